import { describe, expect, it } from 'vitest';
import type { DecisionRecord, Effects } from '../../control/ports.ts';
import { TurnDecisions } from './turn-decisions.ts';

const record = (id: string, rank: number, more: Partial<DecisionRecord> = {}): DecisionRecord => ({
  ...{ v: 1, id, attempt: 0, tMs: 0, policy: 'p', rule: 'kv', action: { kind: 'dispatch', rank }, reasons: ['RULE:kv'] },
  ...{ request: { promptTokens: 64, fullBlocks: 1, depthBlocks: 1 }, tie: { size: 1, mode: 'random' }, draws: [], waitMs: 0, bookSeq: 1 },
  candidates: [0, 1].map((r) => ({
    ...{ rank: r, key: `w${r}`, matchBlocks: { hbm: r, host: 0, disk: 0, remote: 0 }, cachedTokens: 64 * r },
    ...{ features: { load: { raw: r, weight: 1, contribution: r } }, score: 10 + r, inTie: r === rank },
  })),
  ...more,
});

function heard() {
  const passed: string[] = [];
  const note =
    (name: string) =>
    (...args: unknown[]): void => {
      passed.push(`${name} ${JSON.stringify(args)}`);
    };
  const outer = { dispatch: note('dispatch'), refuse: note('refuse'), act: note('act'), wakeAt: note('wakeAt'), decided: note('decided') };
  const decisions = new TurnDecisions();
  return { decisions, passed, effects: decisions.heard(outer as Effects) };
}

describe('TurnDecisions', () => {
  it('keeps the worker, the reasons, the wait in seconds and the score table', () => {
    const { decisions, effects } = heard();
    effects.decided(record('s/root/0', 1, { waitMs: 250, reasons: ['QUEUED', 'RULE:kv'] }));
    expect(decisions.of('s/root/0')).toEqual({
      ...{ worker: 'w1', reasons: ['QUEUED', 'RULE:kv'], wait: 0.25 },
      scores: [
        { worker: 'w0', cachedTokens: 0, score: 10, features: { load: { raw: 0, weight: 1, contribution: 0 } } },
        { worker: 'w1', cachedTokens: 64, score: 11, features: { load: { raw: 1, weight: 1, contribution: 1 } } },
      ],
    });
    expect(decisions.of('s/root/1')).toBeUndefined();
  });

  it('of several dispatches of a turn the last one; queueing and leaving are none', () => {
    const { decisions, effects } = heard();
    effects.decided(record('t', 0));
    effects.decided(record('t', 1));
    effects.decided(record('t', 0, { action: { kind: 'queue', key: 0, strict: 0 } }));
    effects.decided(record('t', 0, { action: { kind: 'abandon', rank: 0 } }));
    expect(decisions.of('t')!.worker).toBe('w1');
  });

  it('passes every effect on but the records', () => {
    const { passed, effects } = heard();
    effects.dispatch({ id: 'r' } as never, { rank: 0 } as never);
    effects.refuse({ id: 'r' } as never, { code: 'c' } as never);
    effects.act({ id: 7 } as never);
    effects.wakeAt(3);
    effects.decided(record('t', 0));
    expect(passed).toEqual(['dispatch [{"id":"r"},{"rank":0}]', 'refuse [{"id":"r"},{"code":"c"}]', 'act [{"id":7}]', 'wakeAt [3]']);
  });
});
