/**
 * The metrics registry: every number kvcast can report, with unit, direction, scale and definition. Thresholds, reports, docs and
 * the scenario's metric enum are generated from it. Source: experiments specification 4.
 */

/** Which direction is better. */
export type Better = 'lower' | 'higher' | 'none';
/** How differences are taken: ln ratio in %, difference in percentage points, or absolute. */
export type MetricScale = 'ratio' | 'proportion' | 'count';
/** How a value comes about: per item, integrated over time, counted, or computed from others. */
export type MetricKind = 'tally' | 'time-weighted' | 'counter' | 'derived';
/** Labels a metric can be narrowed by. */
export type MetricTag = 'class' | 'tenant' | 'pool' | 'arm';

/** One metric. */
export interface MetricDefinition {
  readonly name: string;
  /** Unit of stored values: s, 1, tok, B, tok/s, count, h, 1/h, USD, USD/h, kWh, Wh. */
  readonly unit: string;
  /** Unit people read and the factor to it, where it differs: gaps between tokens in ms, shares in %. */
  readonly display: { readonly unit: string; readonly factor: number };
  readonly better: Better;
  readonly scale: MetricScale;
  readonly kind: MetricKind;
  readonly tags: readonly MetricTag[];
  /** Half-width of the noise band in displayed difference units: %, pp, or the count. */
  readonly noise: number;
  readonly definition: string;
}

/** Values of the tag `class` are listed in sim/workload/workload.ts. */
export const METRIC_TAGS: readonly MetricTag[] = ['class', 'tenant', 'pool', 'arm'];

/** Noise band when nothing else is said: 1 %, 0.5 pp, 0. */
export const DEFAULT_NOISE: Readonly<Record<MetricScale, number>> = { ratio: 1, proportion: 0.5, count: 0 };

const TIERS = ['hbm', 'host', 'disk', 'remote'] as const;
const TURN_TAGS: readonly MetricTag[] = ['class', 'tenant', 'pool', 'arm'];
const SESSION_TAGS: readonly MetricTag[] = ['tenant', 'arm'];
const POOL_TAGS: readonly MetricTag[] = ['pool', 'arm'];
const ARM_TAGS: readonly MetricTag[] = ['arm'];

type Row = readonly [name: string, unit: string, better: Better, scale: MetricScale, definition: string];

/** Rows that share kind and tags. */
function rows(kind: MetricKind, tags: readonly MetricTag[], list: readonly Row[]): MetricDefinition[] {
  return list.map(([name, unit, better, scale, definition]) => {
    const display = scale === 'proportion' ? { unit: '%', factor: 100 } : { unit, factor: 1 };
    return { name, unit, display, better, scale, kind, tags, noise: DEFAULT_NOISE[scale], definition };
  });
}

const TURN_ROWS: readonly Row[] = [
  [
    'turn.ttft',
    's',
    'lower',
    'ratio',
    'arrival at the gateway to the first output token leaving the worker; includes routing, admission, queues, tier loads and prefill',
  ],
  ['turn.itl', 's', 'lower', 'ratio', 'gap between consecutive output tokens, all gaps of all turns'],
  ['turn.tpot', 's', 'lower', 'ratio', '(e2e - ttft) / (n - 1) per turn with n >= 2 output tokens'],
  ['turn.e2e', 's', 'lower', 'ratio', 'arrival to last token'],
  ['turn.queue', 's', 'lower', 'ratio', 'gateway queue plus worker queue until the first admission; excludes tier loads'],
  ['turn.slowdown', '1', 'lower', 'ratio', 'e2e / e2e of the same turn alone on an idle worker with its prefix in HBM'],
];
const SESSION_ROWS: readonly Row[] = [
  ['session.completion', 's', 'lower', 'ratio', 'first arrival to last token of the last turn of the tree, client pauses included'],
  ['session.activeTime', 's', 'lower', 'ratio', 'completion minus client pauses on the critical path: what the fleet is responsible for'],
  ['session.slowdown', '1', 'lower', 'ratio', 'activeTime / sum of unloaded e2e along the critical path'],
];
const SESSION_COUNTS: readonly Row[] = [
  ['sessions.offered', 'count', 'none', 'count', 'sessions that started in the measured window'],
  ['sessions.completed', 'count', 'higher', 'count', 'of those, sessions whose last turn finished'],
  ['sessions.failed', 'count', 'lower', 'count', 'of those, sessions given up'],
  ['sessions.abandoned', 'count', 'lower', 'count', 'of those, sessions whose user left before an answer'],
  ['sessions.censored', 'count', 'none', 'count', 'of those, sessions open at the end of the run'],
];
const GOODPUT_ROWS: readonly Row[] = [
  ['goodput.turns', '1', 'higher', 'proportion', 'turns that meet all turn SLOs / turns offered; rejected and timed-out turns do not'],
  [
    'goodput.sessions',
    '1/h',
    'higher',
    'ratio',
    'sessions completed with every session SLO met and >= 99 % of their turns meeting the turn SLOs, per hour',
  ],
];
const THROUGHPUT_ROWS: readonly Row[] = [
  ['throughput.output', 'tok/s', 'higher', 'ratio', 'output tokens of completed turns / window'],
  ['throughput.input', 'tok/s', 'higher', 'ratio', 'prompt tokens of completed turns / window'],
];
const HIT_ROWS: readonly Row[] = [
  ...TIERS.map(
    (tier): Row => [
      `kv.hit.${tier}`,
      '1',
      'higher',
      'proportion',
      `prompt tokens found in ${tier === 'hbm' ? 'HBM' : tier} at the first admission / prompt tokens of first admissions`,
    ],
  ),
  [
    'kv.hit.total',
    '1',
    'higher',
    'proportion',
    'prompt tokens found in any tier at the first admission / prompt tokens of first admissions',
  ],
  [
    'kv.reuse.existed',
    '1',
    'none',
    'proportion',
    'prompt tokens whose content was stored before or being computed / prompt tokens of first admissions: what a perfect cache would serve',
  ],
  [
    'kv.reuse.captured',
    '1',
    'higher',
    'proportion',
    'prompt tokens whose content some tier of the chosen worker held / prompt tokens of first admissions: what routing captured',
  ],
  [
    'kv.reuse.delivered',
    '1',
    'higher',
    'proportion',
    'prompt tokens that the engine served from a tier / prompt tokens of first admissions',
  ],
  ['kv.hit.byTurn', '1', 'higher', 'proportion', 'unweighted mean over turns of the share of the prompt found in any tier'],
  ['kv.readWrite', '1', 'higher', 'ratio', 'prompt tokens served from any tier / prompt tokens written for the first time'],
];
const TOKEN_ROWS: readonly Row[] = [
  ['prefill.amplification', '1', 'lower', 'ratio', 'prefilled tokens / compulsory tokens'],
  ['tokens.compulsory', 'tok', 'none', 'ratio', 'missed prompt tokens that no cache could have held'],
  ['tokens.recomputed.total', 'tok', 'lower', 'ratio', 'prefilled tokens beyond the compulsory ones'],
  ...(
    [
      ['routing', 'held by another worker'],
      ['inflight', 'being computed elsewhere at that moment'],
      ['tier', 'held by a tier too slow to wait for'],
      ['capacity', 'evicted for space'],
      ['ttl', 'dropped at their deadline'],
      ['claim', 'lost because a claim was broken'],
      ['dropped', 'released or superseded by a policy'],
      ['preempted', 'computed again after preemption'],
      ['fault', 'lost with a worker'],
    ] as const
  ).map(([cause, text]): Row => [`tokens.recomputed.${cause}`, 'tok', 'lower', 'ratio', `recomputed tokens ${text}`]),
];
const LOAD_ROWS: readonly Row[] = [
  ['load.imbalance', '1', 'lower', 'ratio', 'largest / mean busy time of the workers in the window'],
  ['load.cv', '1', 'lower', 'ratio', 'standard deviation / mean of busy times'],
  ['load.jain', '1', 'higher', 'proportion', '(sum of busy times)^2 / (n x sum of squares)'],
  ['engine.utilization', '1', 'none', 'proportion', 'busy step time / window, mean over workers'],
];
const PREFETCH_ROWS: readonly Row[] = [
  ['kv.prefetch.bytes', 'B', 'none', 'ratio', 'bytes copied to HBM ahead of their use'],
  ['kv.prefetch.precision', '1', 'higher', 'proportion', 'of those bytes, the share that a request found in HBM'],
  ['kv.prefetch.waste', 'B', 'lower', 'ratio', 'of those bytes, what left HBM before a request came'],
  ['kv.prefetch.lateness', 's', 'lower', 'ratio', 'end of the copy - arrival at the worker of the request that found it, >= 0, mean'],
];
const EVICTION_ROWS: readonly Row[] = [
  ['kv.evictions.capacity', 'B', 'none', 'ratio', 'bytes removed from HBM for space'],
  ['kv.evictions.ttl', 'B', 'none', 'ratio', 'bytes removed from HBM at their deadline'],
  ['kv.evictions.drop', 'B', 'none', 'ratio', 'bytes removed from HBM because a policy said so'],
];
const LINK_ROWS: readonly Row[] = [
  ['link.bytes.h2d', 'B', 'lower', 'ratio', 'bytes copied from host to GPU'],
  ['link.bytes.d2h', 'B', 'lower', 'ratio', 'bytes copied from GPU to host'],
  ['link.bytes.diskRead', 'B', 'none', 'ratio', 'bytes read from disks'],
  ['link.bytes.diskWrite', 'B', 'lower', 'ratio', 'bytes written to disks'],
  ['link.bytes.remoteRead', 'B', 'none', 'ratio', 'bytes read from remote stores'],
  ['link.bytes.remoteWrite', 'B', 'lower', 'ratio', 'bytes written to remote stores'],
];
const LINK_SHARES: readonly Row[] = [
  ['link.utilization.h2d', '1', 'none', 'proportion', 'bytes host to GPU / one-way capacity x window'],
  ['link.utilization.d2h', '1', 'none', 'proportion', 'bytes GPU to host / one-way capacity x window'],
];
const ROUTER_ROWS: readonly Row[] = [
  ['router.decisions', 'count', 'none', 'count', 'placements decided'],
  ['router.staleMiss', '1', 'lower', 'proportion', 'placements whose believed match exceeded the true match at arrival'],
];
const HINT_ROWS: readonly Row[] = [
  [
    'hints.dropped',
    'count',
    'none',
    'count',
    'fields of hints of requests that could not be used: unknown, of another type, out of range; over the whole run',
  ],
  [
    'claims.refused',
    'count',
    'none',
    'count',
    'claims that the control plane did not send: no budget, tenant at its share, no tier; over the whole run',
  ],
  [
    'claims.clipped',
    'count',
    'none',
    'count',
    'claims and levels sent for less than was asked: fewer blocks, shorter, lower; over the whole run',
  ],
];
const COST_ROWS: readonly Row[] = [
  ['fleet.gpuHours', 'h', 'lower', 'ratio', 'workers x GPUs x provisioned time over the window, idle included'],
  ['cost.usdPerHour', 'USD/h', 'lower', 'ratio', 'GPUs x price + host GiB x price'],
  ['cost.usdPerSession', 'USD', 'lower', 'ratio', 'total cost / completed sessions'],
  ['cost.usdPerGoodSession', 'USD', 'lower', 'ratio', 'total cost / sessions that count for goodput.sessions'],
  ['energy.kWh', 'kWh', 'lower', 'ratio', 'GPUs x (idle + (TDP - idle) x utilisation) x PUE, idle = 0.2 TDP assumed'],
  ['energy.whPerSession', 'Wh', 'lower', 'ratio', 'energy / completed sessions'],
  ['fairness.jain', '1', 'higher', 'proportion', 'Jain index over tenants of served tokens per session, prompt + 2 x output'],
];

/** All metrics in the order of the specification's table. */
export const METRICS: readonly MetricDefinition[] = [
  ...rows('tally', TURN_TAGS, TURN_ROWS).map((m) =>
    m.name === 'turn.itl' || m.name === 'turn.tpot' ? { ...m, display: { unit: 'ms', factor: 1000 } } : m,
  ),
  ...rows('tally', SESSION_TAGS, SESSION_ROWS),
  ...rows('counter', SESSION_TAGS, SESSION_COUNTS),
  ...rows('derived', TURN_TAGS, GOODPUT_ROWS),
  ...rows('derived', TURN_TAGS, THROUGHPUT_ROWS),
  ...rows('derived', TURN_TAGS, HIT_ROWS),
  ...rows('derived', ARM_TAGS, TOKEN_ROWS),
  ...rows('time-weighted', ARM_TAGS, [
    ['kv.duplicateBytes', 'B', 'lower', 'ratio', 'time-weighted sum over blocks of (copies over workers - 1) x bytes'],
  ]),
  ...rows('derived', POOL_TAGS, LOAD_ROWS),
  ...rows('counter', POOL_TAGS, [['engine.preemptions', 'count', 'lower', 'count', 'preemptions']]),
  ...rows(
    'time-weighted',
    POOL_TAGS,
    TIERS.map((tier): Row => [`kv.occupancy.${tier}`, '1', 'none', 'proportion', `time-weighted used / capacity of ${tier}`]),
  ),
  ...rows('time-weighted', ARM_TAGS, [
    ['kv.idlePerActive', '1', 'none', 'ratio', 'cached HBM blocks that no request uses, over time / blocks in use, over time'],
    ['kv.claimedPerActive', '1', 'lower', 'ratio', 'idle HBM blocks under a live claim, over time / blocks in use, over time'],
  ]),
  ...rows('derived', ARM_TAGS, [
    ['kv.pinWaste', '1', 'lower', 'proportion', 'byte-seconds of pins and leases that ended without a hit / all pinned byte-seconds'],
  ]),
  ...rows('derived', POOL_TAGS, PREFETCH_ROWS),
  ...rows('counter', POOL_TAGS, EVICTION_ROWS),
  ...rows('counter', POOL_TAGS, LINK_ROWS),
  ...rows('derived', POOL_TAGS, LINK_SHARES),
  ...rows('counter', ARM_TAGS, ROUTER_ROWS),
  ...rows('counter', ARM_TAGS, HINT_ROWS),
  ...rows('counter', TURN_TAGS, [
    ['turns.rejected', 'count', 'lower', 'count', 'turns refused by the gateway or an engine'],
    ['turns.timedOut', 'count', 'lower', 'count', 'turns that ended by time-out'],
  ]),
  ...rows('derived', ARM_TAGS, COST_ROWS),
];

const byName = new Map(METRICS.map((metric) => [metric.name, metric]));

/** Metric by name; undefined when unknown. */
export function findMetric(name: string): MetricDefinition | undefined {
  return byName.get(name);
}
