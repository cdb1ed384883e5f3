import { describe, expect, test } from 'vitest';
import { UserError } from '../user-error.ts';
import { routerPolicy, routerPresets } from './catalogue.ts';
import { compilePolicy, type Policy } from './policy.ts';
import type { PolicyDocument } from './policy-document.ts';
import { ScoringEngine } from './scoring-engine.ts';

/** Decides over features given directly, one value per rank w0/0, w1/0, … Features not given are 0. */
function choose(policy: Policy, features: Readonly<Record<string, readonly number[]>>, n: number): { row: number; engine: ScoringEngine } {
  const engine = new ScoringEngine(policy, 42);
  const source = {
    fill: (feature: { name: string }, rows: number, out: Float64Array) => {
      for (let row = 0; row < rows; row++) out[row] = features[feature.name]?.[row] ?? 0;
    },
  };
  const rows = Int32Array.from({ length: n }, (_, i) => i);
  return { row: engine.decide(source, n, { id: 'req-1', attemptNumber: 0, rows, hash: Uint32Array.from(rows, (i) => i + 1) }), engine };
}

function scores(policy: Policy, features: Readonly<Record<string, readonly number[]>>, n: number): number[] {
  return [...choose(policy, features, n).engine.scores.subarray(0, n)];
}

function rule(policy: Policy, features: Readonly<Record<string, readonly number[]>>, n: number): string {
  return policy.rules[choose(policy, features, n).engine.rule]!.id;
}

describe('vectors of the router specification, section 5', () => {
  test('E1: cost and product combiners over given terms', () => {
    const terms = (prefill: number[], decode = [10, 5, 9]): Record<string, number[]> => ({
      adjPrefillBlocks: prefill,
      decodeBlocks: decode,
    });
    const cost = (params: Record<string, number>, prefill: number[]): number[] =>
      scores(routerPolicy('dynamo-kv@1', params), terms(prefill), 3);
    expect(cost({}, [8, 5, 2])).toEqual([18, 10, 11]);
    expect(cost({ s: 2 }, [8, 5, 2])).toEqual([26, 15, 13]);
    // Credit 0.5 and 0 of 2, 5, 8 cached blocks out of 10.
    expect(cost({}, [9, 7.5, 6])).toEqual([19, 12.5, 15]);
    expect(cost({}, [10, 10, 10])).toEqual([20, 15, 19]);
    expect(scores(routerPolicy('dynamo-lmetric@1'), terms([8, 5, 2]), 3)).toEqual([88, 30, 20]);
  });

  test('E7: the imbalance gate of sgl-cache-aware, both comparisons strict', () => {
    const policy = routerPolicy('sgl-cache-aware@1');
    const imbalanced = (most: number, least: number): boolean => rule(policy, { inflight: [most, least] }, 2) === 'imbalanced';
    const cases: [number, number, boolean][] = [
      [64, 0, false],
      [65, 0, true],
      [165, 100, true],
      [200, 130, true],
      [97, 32, true],
      [96, 32, false],
      [66, 43, false],
    ];
    for (const [most, least, expected] of cases) expect(imbalanced(most, least), `${most}, ${least}`).toBe(expected);
  });

  test('sgl-cache-aware: longest match, then load; without any match load, then processed', () => {
    const policy = routerPolicy('sgl-cache-aware@1');
    const hit = { matchBlocks: [0, 4, 4], matchRatio: [0, 0.4, 0.4], inflight: [0, 9, 7] };
    expect([choose(policy, hit, 3).row, rule(policy, hit, 3)]).toEqual([2, 'hit']);
    const miss = { inflight: [3, 2, 2], processed: [0, 9, 8] };
    expect([choose(policy, miss, 3).row, rule(policy, miss, 3)]).toEqual([2, 'miss']);
    const keep = routerPolicy('sgl-cache-aware-keep-affinity@1');
    expect(choose(keep, { inflight: [200, 64, 0], matchBlocks: [9, 8, 0], matchRatio: [0.9, 0.8, 0] }, 3).row).toBe(1);
  });

  test('llm-d: the default and the precise weights disagree', () => {
    const features = { matchLen: [0.9, 0.2, 0], waiting: [8, 2, 4], kvUsage: [0.8, 0.5, 0.6] };
    const close = (got: number[], expected: number[]): void => {
      for (let i = 0; i < got.length; i++) expect(got[i]).toBeCloseTo(expected[i]!, 4);
    };
    close(scores(routerPolicy('llm-d-default@1'), features, 3), [3.1, 3.6, 2.1333]);
    close(scores(routerPolicy('llm-d-precise@1'), features, 3), [2, 1.9, 1.0667]);
  });

  test('E12 and the gate of llm-d-agentic: sticky unless the penalty exceeds 18 s', () => {
    const policy = routerPolicy('llm-d-agentic@1');
    const load = { uncachedInflightTok: [102_000, 40_000] };
    const [a, b] = scores(policy, load, 2);
    expect([Math.round(a! * 1e6) / 1e6, Math.round(b! * 1e6) / 1e6]).toEqual([0.975681, 0.990463]);
    const sticky = (P: number, other: number): number =>
      choose(policy, { ...load, matchRatio: [0.9, 0.1], pendingPrefillTok: [P, other] }, 2).row;
    expect(choose(policy, load, 2).row).toBe(1);
    expect([sticky(300_000, 10_000), sticky(300_000, 20_000), sticky(286_704, 0), sticky(286_705, 0)]).toEqual([1, 0, 0, 1]);
  });

  test('aibrix-prefix rejects a 90 % match on a rank beyond one standard deviation', () => {
    const features = { running: [3, 4, 5, 9], matchRatio: [0, 0.2, 0, 0.9] };
    expect(choose(routerPolicy('aibrix-prefix@1'), features, 4).row).toBe(1);
    expect(rule(routerPolicy('aibrix-prefix@1'), { running: [0, 9] }, 2)).toBe('imbalanced');
  });

  test('ps-loadaware and trt-kv', () => {
    const ps = { matchTokRatio: [0.9, 0.5, 0], 'relLoad(inflight)': [1, -1 / 3, -2 / 3] };
    expect(scores(routerPolicy('ps-loadaware@1'), ps, 3).map((x) => Math.round(x * 1e4) / 1e4)).toEqual([-0.1, 0.8333, 0.6667]);
    expect(scores(routerPolicy('trt-kv@1'), { matchPaddedRatio: [0.9, 0.5, 0], inflight: [40, 8, 0] }, 3)).toEqual([0.275, 0.375, 0]);
  });

  test('scores equal but for rounding are a tie: 0.33333333333333326 and 0.3333333333333333', () => {
    const features = { matchTokRatio: [1, 0, 0], 'relLoad(inflight)': [(1 - 1 / 3) / 1, -1 / 3, -1 / 3] };
    const { engine } = choose(routerPolicy('ps-loadaware@1'), features, 3);
    expect(new Set(engine.scores.subarray(0, 3)).size).toBe(2);
    expect(engine.tieSize).toBe(3);
  });

  test('lmetric: least product, ties by load, then uncached tokens, then the order of keys', () => {
    const policy = routerPolicy('lmetric@1');
    expect(choose(policy, { newPrefillTok: [100, 300, 40], inflight: [2, 0, 6] }, 3).row).toBe(2);
    expect(choose(policy, { newPrefillTok: [100, 300, 60], inflight: [2, 0, 4] }, 3).row).toBe(1);
    expect(choose(policy, { newPrefillTok: [0, 0, 0], inflight: [2, 1, 1] }, 3).row).toBe(1);
  });

  test('bounded load: loads 10, 4, 3, 3 under c = 1.25 allow 6.5625, so the owner is passed over', () => {
    const document = {
      ...routerPolicy('session-hash@1').document,
      rules: [
        {
          id: 'walk',
          filters: [{ boundedLoad: { feature: 'inflight', c: 1.25 } }],
          combine: { lex: [['ringRank', 'min']] },
          pick: 'arg',
        },
      ],
    } as unknown as PolicyDocument;
    const policy = compilePolicy(document);
    expect(choose(policy, { inflight: [10, 4, 3, 3], ringRank: [0, 1, 2, 3] }, 4).row).toBe(1);
    expect(choose(policy, { inflight: [6.5625, 4, 3, 6.4375], ringRank: [0, 1, 2, 3] }, 4).row).toBe(0);
  });
});

describe('documents', () => {
  test('every preset compiles, has a schema for each parameter with a title, and names that are unique', () => {
    const presets = routerPresets();
    expect(new Set(presets.map((preset) => `${preset.name}@${preset.version}`)).size).toBe(presets.length);
    for (const { document, params } of presets) {
      compilePolicy(document);
      expect(Object.keys(document.paramSchemas ?? {}).sort()).toEqual(Object.keys(document.params ?? {}).sort());
      for (const schema of Object.values(document.paramSchemas ?? {})) expect(schema.title.length).toBeGreaterThan(0);
      expect(params).toMatchObject({ type: 'object', additionalProperties: false });
    }
  });

  function problems(edit: Record<string, unknown>, overrides: Record<string, unknown> = {}): string[] {
    try {
      compilePolicy({ ...routerPolicy('dynamo-kv@1').document, ...edit } as PolicyDocument, overrides);
    } catch (error) {
      if (error instanceof UserError) return error.problems.map((problem) => `${problem.code} ${problem.path}`);
      throw error;
    }
    return [];
  }

  test('mistakes are all reported, with their place', () => {
    const rules = [
      { id: 'a', gate: { unknown: 1 }, combine: { cost: [['$nope', 'inflight']] }, pick: 'arg' },
      { id: 'b', gate: 'cold', combine: { lex: [['inflite', 'min']] }, pick: 'best', extra: 1 },
    ];
    expect(problems({ rules, params: {}, load: {}, index: { mode: 'events' }, paramSchemas: {}, more: 1 })).toEqual([
      'E_UNKNOWN_KEY more',
      'E_ENUM rules[0].gate',
      'E_POLICY rules[0].combine.cost[0]',
      'E_UNKNOWN_KEY rules[1].extra',
      'E_FEATURE rules[1].combine.lex[0]',
      'E_ENUM rules[1].pick',
      'E_POLICY rules[1].gate',
    ]);
    expect(problems({ params: { ...routerPolicy('dynamo-kv@1').document.params, idle: 1 } })).toEqual(['E_POLICY params.idle']);
  });

  test('parameters are checked against their schema', () => {
    expect(problems({}, { c: -1, h: 2, T: 'hot', assumeKvReuse: 1, wait: 3, predictedTtlSec: null })).toEqual([
      'E_RANGE with.c',
      'E_RANGE with.h',
      'E_TYPE with.T',
      'E_TYPE with.assumeKvReuse',
      'E_UNKNOWN_KEY with.wait',
    ]);
  });

  test('an unknown preset names those that exist', () => {
    expect(() => routerPolicy('dynamo-kv')).toThrow(/E_PRESET.*dynamo-kv@1/);
  });
});
