/** Copies to the host tier when blocks are evicted, on both engines: retention specification 7 (trtllm, secondaryOffloadMinPriority) and 9.1. */
import { describe, expect, it } from 'vitest';
import type { KvAction } from '../../control/ports.ts';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import type { EngineConfig } from './worker.ts';
import { AffineTimer, engineConfig, type Performance, Prompts, play, type WorkerInput } from './worker-fixtures.ts';

const LINKS = { gpus: 8, h2dBytesPerMs: 1, d2hBytesPerMs: 1, duplexBytesPerMs: 2, dramBytesPerMs: 100 };

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine, writing back,', (_, create) => {
  /** Blocks a, b, c released one after the other; actions; a prompt that takes all blocks at 500 ms. One copy takes 10 ms. */
  const scene = (
    actions: readonly (readonly [name: 'a' | 'b' | 'c', action: Partial<KvAction>])[],
    config: Partial<EngineConfig> = {},
  ): Performance => {
    const p = new Prompts(4);
    const branch = { a: p.shared(1), b: p.shared(1), c: p.shared(1) };
    const inputs: WorkerInput[] = Object.values(branch).map((id, i) => {
      const request = p.request({ promptTokens: 5, outputTokens: 1, branch: id, depth: 1, arrivalMs: 20 * i });
      return { tMs: 20 * i, kind: 'submit', request };
    });
    const base = {
      verb: 'retain',
      rank: 0,
      session: 5,
      fromBlocks: 0,
      toBlocks: 1,
      untilMs: Number.POSITIVE_INFINITY,
      tierFloor: 0,
    } as const;
    actions.forEach(([name, action], id) => {
      const rest = { hardness: 'soft', mode: 'max', onExpiry: 'trueLastAccess', branch: branch[name] } as const;
      inputs.push({ tMs: 100, kind: 'action', action: { ...base, ...rest, ...action, id } });
    });
    const chains = Object.values(branch).map((id) => [id, 1] as const);
    inputs.push({ tMs: 500, kind: 'submit', request: p.request({ promptTokens: 15, outputTokens: 1, arrivalMs: 500 }) });
    inputs.push({ tMs: 505, kind: 'probe', chains }, { tMs: 900, kind: 'probe', chains });
    const settings = { hostBlocks: 8, blocks: 5, blockBytesPerGpu: 10, maxBatchedTokens: 1024, hostWrite: 'writeBack', ...config } as const;
    const timer = new AffineTimer({ baseMs: 10 });
    return play((parts) => create(parts), {
      config: engineConfig(settings),
      branches: p.branches,
      timer,
      inputs,
      links: LINKS,
      checks: 'deep',
    });
  };
  /** Blocks [a, b, c] in the host tier at the end. */
  const below = ({ observations }: Performance): number[] => observations.at(-1)!.chains.map(([, host]) => host);

  it('copies nothing before blocks are evicted, then each of them once, readable when the copy ends', () => {
    const done = scene([]);
    expect(done.observations[0]!.view.hostUsedBlocks).toBe(3);
    expect(done.observations[0]!.chains.map(([, host]) => host)).toEqual([0, 0, 0]);
    expect(below(done)).toEqual([1, 1, 1]);
    expect(done.counters).toMatchObject({ hostStoredBlocks: 3, hostWriteBytes: 30, hbmEvictedBlocks: 3 });
    expect(scene([], { hostWrite: 'writeThrough' }).observations[0]!.chains.map(([, host]) => host)).toEqual([1, 1, 1]);
  });

  it('drops victims below level 30 even with free host slots, keeps those of 30 and of the default level 35 (7)', () => {
    const trtllm = { defaultPriority: 35, offloadMinPriority: 30 };
    const done = scene(
      [
        ['a', { priority: 20 }],
        ['b', { priority: 30 }],
      ],
      trtllm,
    );
    expect(below(done)).toEqual([0, 1, 1]);
    expect(
      below(
        scene(
          [
            ['a', { priority: 20 }],
            ['b', { priority: 20 }],
            ['c', { priority: 29 }],
          ],
          trtllm,
        ),
      ),
    ).toEqual([0, 0, 0]);
  });

  it('drops garbage, and what finds no slot', () => {
    expect(below(scene([['b', { verb: 'demote', why: 'closed' }]]))).toEqual([1, 0, 1]);
    const done = scene([], { hostBlocks: 2 });
    expect(below(done)).toEqual([1, 1, 0]);
    expect(done.counters).toMatchObject({ hostSkippedFullBlocks: 1, hostStoredBlocks: 2 });
  });

  it('breaks no claim whose floor is the host where the host has the block, and every other one it takes (4.1)', () => {
    const until = { untilMs: 9000, verb: 'pin' } as const;
    const claims = [
      ['a', { ...until, hardness: 'lease', tierFloor: 1 }],
      ['b', { ...until, hardness: 'lease' }],
      ['c', { ...until, tierFloor: 1 }],
    ] as const;
    const broken = (config: Partial<EngineConfig>): number => scene(claims, { hostWrite: 'writeThrough', ...config }).counters.claimsBroken;
    expect(broken({})).toBe(1);
    expect(broken({ hostBlocks: 0 })).toBe(3);
    // Written back, no copy is readable when the blocks go.
    expect(broken({ hostWrite: 'writeBack' })).toBe(3);
    // Room for the two younger blocks: the claim on the oldest breaks.
    expect(broken({ hostBlocks: 2 })).toBe(2);
  });
});
