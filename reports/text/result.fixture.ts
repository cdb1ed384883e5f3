/** A result made by hand, with as many arms as a test wants and any part replaced. */
import type { ComparisonRow, MetricRow, Result, Verdict } from '../../sim/experiment/result.ts';

const NAMES = ['round-robin+lru', 'round-robin+kvcast-soft', 'dynamo-kv+lru', 'dynamo-kv+kvcast-soft', 'least-requests+mooncake-soft', 'f'];
const REGIME = { calibrated: 0.06, fitOnly: 0.94, extrapolated: 0 };

/** Expression, unit, mean, half-width, samples. */
const METRICS: readonly (readonly [string, string, number, number, number?])[] = [
  ['session.activeTime.mean', 's', 731, 31],
  ['turn.ttft.p(50)', 's', 1.888, 0.092, 24_000],
  ['turn.ttft.p(99)', 's', 21, 1.4, 24_000],
  ['kv.hit.total', '1', 0.6706, 0.0042],
  ['tokens.recomputed.total', 'tok', 124.2e6, 6.3e6],
  ['load.imbalance', '1', 1.057, 0.007],
];

/** Verdict of arm i against the first, in turn. */
const VERDICTS: readonly Verdict[] = ['inconclusive', 'improved', 'regressed', 'within noise'];

export function metricRow(arm: string, [expr, unit, mean, half, samples]: (typeof METRICS)[number], scale = 1): MetricRow {
  const m = mean * scale;
  return {
    expr,
    arm,
    unit,
    n: 10,
    mean: m,
    lo: m - half,
    hi: m + half,
    level: 0.95,
    values: Array.from({ length: 10 }, () => m),
    regime: REGIME,
    ...(samples === undefined ? {} : { samples }),
  };
}

function comparison(arm: string, vs: string, expr: string, i: number): ComparisonRow {
  const proportion = expr === 'kv.hit.total';
  const delta = [0.5, -21.52, 12.3, 0.02, -3.1][i % 5]!;
  return {
    expr,
    arm,
    vs,
    scale: proportion ? 'proportion' : 'ratio',
    unit: proportion ? 'pp' : '%',
    delta,
    lo: delta - 1.1,
    hi: delta + 1.1,
    level: 0.95,
    adjusted: { level: 0.983333, lo: delta - 1.4, hi: delta + 1.4 },
    noise: proportion ? 0.5 : 1,
    verdict: VERDICTS[i % 4]!,
    needMore: VERDICTS[i % 4] === 'inconclusive' ? 20 : null,
  };
}

/** A comparison of `arms` arms, 10 replications each. */
export function resultOf(arms: number, replaced: Partial<Result> = {}, names: readonly string[] = NAMES): Result {
  const used = names.slice(0, arms);
  const others = used.slice(1);
  return {
    formatVersion: '1.0',
    kvcastVersion: '1.0.0',
    command: 'compare',
    scenario: {
      name: 'by-hand',
      hash: '7c41f0a2ffff',
      seed: 42,
      baseline: used[0]!,
      description: '',
      primary: METRICS[0]![0],
      sessions: 48,
    },
    arms: used.map((name) => ({ name, router: 'r@1', retention: 'k@1', policyHash: 'e3', deployable: 'yes', runHashes: ['9f'] })),
    metrics: used.flatMap((arm, i) => METRICS.map((m) => metricRow(arm, m, 1 - i * 0.1))),
    comparisons: METRICS.flatMap(([expr]) => others.map((arm, i) => comparison(arm, used[0]!, expr, i))),
    causes: used.map((arm) => ({
      arm,
      hbm: 0.619,
      host: 0.052,
      compulsory: 0.042,
      inflight: 0.002,
      tier: 0,
      routing: 0.24,
      fault: 0,
      preempted: 0,
      dropped: 0,
      claim: 0,
      ttl: 0,
      capacity: 0.045,
      unknown: 0,
      existed: 0.958,
      captured: 0.68,
      delivered: 0.671,
      causes: { fresh: 0.042, in_flight: 0.002, routed_elsewhere: 0.24, evicted_tool_pause: 0.03, evicted_shared: 0.015 },
      flagged: { alsoEvictedHere: 0.01, shadowed: 0.009, horizon: 0 },
      kinds: {},
    })),
    slo: used.map((arm, i) => ({
      name: 'first-token',
      arm,
      expr: 'turn.ttft < 5s',
      scope: 'turn' as const,
      level: 'error' as const,
      met: 0.752 + i / 20,
      verdict: null,
    })),
    health: [],
    inert: [],
    incomplete: [],
    truncated: false,
    workload: {
      trace: 'weka-dev@1',
      traceDigest: 'sha256:0',
      pauses: 'debiased',
      sharing: 'tools',
      gapCap: 'none',
      sessionsOffered: 480,
      sessionsCompleted: 472,
      sessionsCensored: 8,
      sessionsFailed: 0,
      sessionsAbandoned: 0,
      sessionsExcluded: 0,
      sessionsTruncated: 0,
      turns: 24_000,
      promptTokens: 4.32e9,
      workloadHashes: ['a'],
    },
    fleet: [
      {
        pool: 'main',
        gpu: 'h100-sxm@1',
        workers: 3,
        gpusPerWorker: 8,
        cell: 'c',
        cellLevel: 'derived',
        hbmTokens: 940_672,
        hostTokens: 0,
        hbmFrom: 'formula',
        usdPerGpuHour: 2.5,
      },
    ],
    trust: {
      invariants: { level: 'cheap', violations: 0 },
      stopped: 'max',
      replications: 10,
      planned: 10,
      looks: 1,
      warmupMs: 0,
      horizonMs: null,
      notModelled: [],
    },
    reproduce: 'kvcast compare by-hand --seed 42',
    exit: { code: 0, reasons: [] },
    ...replaced,
  };
}
