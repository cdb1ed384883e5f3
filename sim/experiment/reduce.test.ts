import { describe, expect, it } from 'vitest';
import type { Conducted } from './conduct.ts';
import { EXIT_PRECEDENCE, strongestExit } from './exit-state.ts';
import { handPlan, handResult } from './job-result.fixture.ts';
import { primaryWidth, type ResultContext, reduce } from './reduce.ts';
import { ROLL_UPS } from './result.ts';
import { resultJson } from './result-json.ts';

const TIME = 'session.activeTime.mean';
const HIT = 'kv.hit.total';
const PLAN = handPlan(['base', 'other'], [TIME, HIT]);

function conducted(base: readonly (number | null)[], other: readonly (number | null)[], more: Partial<Conducted> = {}): Conducted {
  const arm = (a: number, times: readonly (number | null)[]) =>
    times.map((t, r) => handResult(a, r, { [TIME]: t, [HIT]: 0.5 + a / 10 + r / 100 }));
  return {
    results: [arm(0, base), arm(1, other)],
    replications: base.length,
    planned: 10,
    looks: 1,
    stopped: 'fixed',
    truncated: false,
    wallMs: 1,
    events: 1,
    ...more,
  };
}

function context(more: Partial<ResultContext> = {}): ResultContext {
  return {
    command: 'compare',
    kvcastVersion: '1.0.0',
    description: '',
    arms: ['base', 'other'].map((name) => ({ name, policyHash: 'p', deployable: 'yes' })),
    traceName: 't',
    traceDigest: 'd',
    gapCap: 'none',
    inert: [],
    incomplete: [],
    reproduce: 'kvcast compare x',
    level: 0.95,
    ...more,
  };
}

describe('metrics', () => {
  it('have mean and t interval over the replications', () => {
    const result = reduce(PLAN, conducted([10, 12, 14], [5, 6, 7]), context());
    // Mean 12, standard deviation 2, t(2, 0.975) = 4.302653: half-width 2 x 4.302653 / sqrt(3) = 4.968276.
    const row = result.metrics.find((m) => m.arm === 'base' && m.expr === TIME)!;
    expect(row).toMatchObject({ n: 3, mean: 12, unit: 's', values: [10, 12, 14], regime: { calibrated: 0.25, fitOnly: 0.75 } });
    expect(row.lo).toBeCloseTo(12 - 4.968276, 5);
    expect(row.hi).toBeCloseTo(12 + 4.968276, 5);
  });
  it('leave out replications without a value, and know when there is none', () => {
    const result = reduce(PLAN, conducted([10, null, 14], [null, null, null]), context());
    expect(result.metrics.find((m) => m.arm === 'base' && m.expr === TIME)).toMatchObject({ n: 2, mean: 12, values: [10, null, 14] });
    expect(result.metrics.find((m) => m.arm === 'other' && m.expr === TIME)).toMatchObject({ n: 0, mean: null, lo: null, hi: null });
    expect(result.comparisons.find((c) => c.expr === TIME)).toMatchObject({ delta: null, verdict: null });
  });
});

describe('comparisons', () => {
  it('judge the paired ratio: exactly half is -50 % without width', () => {
    const result = reduce(PLAN, conducted([10, 12, 14], [5, 6, 7]), context());
    const row = result.comparisons.find((c) => c.expr === TIME)!;
    expect(row).toMatchObject({ arm: 'other', vs: 'base', scale: 'ratio', unit: '%', verdict: 'improved' });
    expect(row.delta).toBeCloseTo(-50, 9);
    expect(row.lo).toBeCloseTo(-50, 9);
    expect(row.hi).toBeCloseTo(-50, 9);
  });
  it('take shares in percentage points', () => {
    const row = reduce(PLAN, conducted([10, 12], [5, 6]), context()).comparisons.find((c) => c.expr === HIT)!;
    expect(row).toMatchObject({ scale: 'proportion', unit: 'pp', verdict: 'improved' });
    expect(row.delta).toBeCloseTo(10, 9);
  });
  it('are not made for `run`', () => {
    expect(reduce(PLAN, conducted([1, 2], [1, 2]), context({ command: 'run' })).comparisons).toEqual([]);
  });
});

describe('the rest of the document', () => {
  const result = reduce(PLAN, conducted([10, 12, 14], [5, 6, 7]), context());
  it('sources of tokens are shares that sum to one', () => {
    const row = result.causes[0]!;
    expect(row).toMatchObject({ arm: 'base', hbm: 0.6, host: 0.1, compulsory: 0.05, routing: 0.15, capacity: 0.1, ttl: 0, unknown: 0 });
    expect(row.hbm + row.host + ROLL_UPS.reduce((sum, key) => sum + row[key], 0)).toBeCloseTo(1, 12);
    expect(row).toMatchObject({ existed: 0.95, captured: 0.72, delivered: 0.7 });
    expect(row.causes).toEqual({ fresh: 0.05, routed_elsewhere: 0.15, evicted_tool_pause: 0.1 });
  });
  it('counts the workload once, not per arm', () => {
    expect(result.workload).toMatchObject({
      sessionsOffered: 12,
      sessionsCompleted: 9,
      sessionsCensored: 3,
      turns: 30,
      promptTokens: 300,
      workloadHashes: ['w0', 'w1', 'w2'],
    });
  });
  it('lists run hashes by replication', () => {
    expect(result.arms.map((a) => a.runHashes)).toEqual([
      ['0-0', '0-1', '0-2'],
      ['1-0', '1-1', '1-2'],
    ]);
  });
  it('holds no wall time and survives JSON', () => {
    const json = resultJson(result);
    expect(json).not.toContain('wallMs');
    expect(JSON.parse(json).metrics[0].mean).toBe(12);
    expect(json.endsWith('}\n')).toBe(true);
  });
  it('refuses numbers that are none', () => {
    expect(() => resultJson({ ...result, scenario: { ...result.scenario, seed: Number.NaN } })).toThrow('result field seed is NaN');
  });
});

describe('exit', () => {
  const exit = (more: Partial<Conducted>, extra: Partial<ResultContext> = {}) =>
    reduce(PLAN, conducted([1, 2], [1, 2], more), context(extra)).exit;
  const limit = [{ arm: 'base', replication: 1, reason: 'time limit of 5 ms' }];
  it('is 0 without reasons when all went well', () => {
    expect(exit({})).toEqual({ code: 0, reasons: [] });
  });
  it('is 5 when runs hit a limit', () => {
    expect(exit({}, { incomplete: limit })).toEqual({ code: 5, reasons: ['incomplete: 1 run hit a limit'] });
  });
  it('is 130 when interrupted, with all reasons', () => {
    expect(exit({ truncated: true, stopped: 'interrupted' }, { incomplete: limit })).toEqual({
      code: 130,
      reasons: ['interrupted: 2 of up to 10 replications', 'incomplete: 1 run hit a limit'],
    });
  });
  it('of several codes the one that comes first in the specification wins', () => {
    expect(EXIT_PRECEDENCE).toEqual([1, 2, 6, 130, 143, 5, 13, 14, 10, 11, 12, 3, 4, 0]);
    expect([
      strongestExit([]),
      strongestExit([0, 4, 3]),
      strongestExit([10, 5, 0]),
      strongestExit([4, 143, 10]),
      strongestExit([130, 1]),
    ]).toEqual([0, 3, 5, 143, 1]);
  });
});

describe('the width that decides about stopping', () => {
  it('is that of the widest paired difference over the first replications only', () => {
    const { results } = conducted([10, 12, 14, 1000], [5, 6, 7, 1]);
    expect(primaryWidth(PLAN, results, 3)).toBeCloseTo(0, 9);
    expect(primaryWidth(PLAN, results, 4)).toBeGreaterThan(0.1);
  });
});
