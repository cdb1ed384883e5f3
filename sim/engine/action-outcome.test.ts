import { describe, expect, it } from 'vitest';
import type { KvAction } from '../../control/ports.ts';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import { AffineTimer, engineConfig, Prompts, play, type WorkerInput } from './worker-fixtures.ts';

const LINKS = { gpus: 8, h2dBytesPerMs: 1, d2hBytesPerMs: 1, duplexBytesPerMs: 2, dramBytesPerMs: 100 };

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine', (_, create) => {
  /** Settled outcomes, blocks still claimable, of actions on two resident blocks. */
  const settle = (actions: readonly Partial<KvAction>[]): unknown[] => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const base = { verb: 'pin', rank: 0, session: 5, branch, fromBlocks: 0, toBlocks: 2, untilMs: 1000, hardness: 'soft' } as const;
    const rest = { mode: 'max', onExpiry: 'trueLastAccess', tierFloor: 0 } as const;
    const inputs: WorkerInput[] = [
      { tMs: 0, kind: 'submit', request: p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 }) },
      ...actions.map((action, id): WorkerInput => ({ tMs: 20 + id, kind: 'action', action: { ...base, ...rest, ...action, id } })),
    ];
    const scene = { config: engineConfig({}), branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), inputs };
    const done = play((parts) => create(parts), { ...scene, links: LINKS, checks: 'deep' });
    return done.sink.calls.filter((call) => call.what === 'settled').map((call) => call.facts.slice(1));
  };

  it('refuses tiers and verbs that it does not know, and changes nothing', () => {
    const refused = ['rejected', 'unsupported', 0, 2];
    expect(settle([{ verb: 'demote', toTier: 1 }, { verb: 'share' }])).toEqual([refused, refused]);
  });

  it('takes marks of all sorts', () => {
    const taken = ['accepted', '', 2, 2];
    const marks = [
      { hardness: 'reference' },
      { onExpiry: 'back' },
      { onExpiry: 'front' },
      { verb: 'retain', priority: 80, untilMs: Number.POSITIVE_INFINITY },
    ] as const;
    expect(settle(marks)).toEqual([taken, taken, taken, taken]);
  });

  it('takes demotion to garbage with or without a cause', () => {
    const taken = ['accepted', '', 2, 2];
    expect(settle([{ verb: 'demote' }, { verb: 'demote', toTier: 'none', why: 'superseded' }])).toEqual([taken, taken]);
  });
});
