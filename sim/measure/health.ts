/**
 * Statistical health: pure judgements over facts, each with the measured value, the limit and a remedy. A fact that is not given
 * is not judged. Source: experiments specification 3.7.
 */
import { tailRule } from './quantile.ts';
import { type Interval, moments, replicationsFor, tQuantile } from './statistics.ts';

/** One warning. `message` states value and limit; `remedy` is one sentence without a final stop's worth of guessing. */
export interface HealthWarning {
  readonly code: string;
  readonly value: number | null;
  readonly limit: number | null;
  readonly message: string;
  readonly remedy: string;
}

/** Facts of a finished experiment. Shares 0..1, times ms. */
export interface HealthFacts {
  /** Widest interval of the primary metric: half-width relative to its mean, and the interval it came from. */
  readonly primary?: { readonly relativeHalfWidth: number; readonly interval: Interval };
  readonly replications?: number;
  readonly steady?: {
    readonly warmupMs: number;
    /** Settling point of MSER-5; null when it could not be told. */
    readonly settledMs: number | null;
  };
  /** Longest finite TTL of any arm. */
  readonly longestTtlMs?: number;
  /** Measured window of a run that was cut by a horizon. */
  readonly windowMs?: number;
  readonly medianSessionSpanMs?: number;
  readonly pauses?: { readonly count: number; readonly aboveTtl: number; readonly gapCapMs: number };
  readonly load?: {
    /** Turns offered and served in the window. */
    readonly offered: number;
    readonly served: number;
    /** Backlog in equal intervals. */
    readonly backlog: readonly number[];
  };
  /** Quantiles that are printed, with the samples per replication behind each. */
  readonly quantiles?: readonly { readonly expr: string; readonly q: number; readonly samples: number }[];
  readonly sessions?: { readonly offered: number; readonly censored: number; readonly excluded: number };
  /** Largest share of tokens of one session, and of the top 1 % of sources. */
  readonly dominance?: { readonly largestSession: number; readonly topPercent: number };
  /** Largest change of a metric under a random tie order, and its noise band, in displayed units. */
  readonly ties?: readonly { readonly expr: string; readonly change: number; readonly noise: number }[];
  /** Shares of GPU time. */
  readonly regime?: { readonly extrapolated: number; readonly thrashing: number };
  /** Evicted blocks by arm. */
  readonly evictedBlocks?: readonly number[];
  /** Blocks of the pools that copy every block to their host tier. */
  readonly writeThrough?: readonly { readonly hbmBlocks: number; readonly hostBlocks: number }[];
  /** Tiers below the host tier that get a copy of every block of the tier above, with what both hold. */
  readonly lowerThrough?: readonly { readonly tier: 'disk' | 'remote'; readonly blocks: number; readonly aboveBlocks: number }[];
  /** Least frequency that a host tier admits blocks from, the period of a decay step, and what was stored in all runs, blocks. */
  readonly frequencyFilter?: { readonly least: number; readonly decayMs: number; readonly storedBlocks: number };
}

/** Every warning that the facts support, in the order of the specification's table. */
export function healthWarnings(facts: HealthFacts): HealthWarning[] {
  return RULES.map((rule) => rule(facts)).filter((warning) => warning !== null);
}

type Rule = (facts: HealthFacts) => HealthWarning | null;

const RULES: readonly Rule[] = [
  wideInterval,
  fewReplications,
  shortWarmup,
  shortHorizon,
  untestedTtl,
  saturated,
  thinTail,
  censored,
  dominant,
  ties,
  regime,
  excluded,
  noPressure,
  hostChurn,
  lowerChurn,
  emptyHost,
];

function wideInterval({ primary }: HealthFacts): HealthWarning | null {
  if (primary === undefined || primary.relativeHalfWidth <= 0.1) return null;
  const { interval, relativeHalfWidth } = primary;
  const target = interval.halfWidth === null ? 0 : (0.1 / relativeHalfWidth) * interval.halfWidth;
  const needed = replicationsFor(interval.sd ?? 0, target, interval.level);
  return {
    code: 'W_CI_WIDE',
    value: relativeHalfWidth,
    limit: 0.1,
    message: `half-width of the primary metric is ${percent(relativeHalfWidth)} (limit 10 %)`,
    remedy: `Use --reps ${needed}`,
  };
}

function fewReplications({ replications }: HealthFacts): HealthWarning | null {
  if (replications === undefined || replications >= 5) return null;
  const message = `${replications} ${replications === 1 ? 'replication' : 'replications'} (limit 5)`;
  return { code: 'W_REPS_FEW', value: replications, limit: 5, message, remedy: 'Raise run.replications.min to 5 or more' };
}

function shortWarmup({ steady, longestTtlMs = 0 }: HealthFacts): HealthWarning | null {
  if (steady === undefined) return null;
  const needed = Math.max(steady.settledMs ?? 0, longestTtlMs);
  if (needed <= steady.warmupMs) return null;
  const why = needed === longestTtlMs ? 'the longest TTL' : 'the point at which the series settle';
  return {
    code: 'W_WARMUP_SHORT',
    value: steady.warmupMs,
    limit: needed,
    message: `warm-up ${duration(steady.warmupMs)} is shorter than ${why}, ${duration(needed)}`,
    remedy: `Set run.warmup to ${duration(needed)}`,
  };
}

function shortHorizon({ windowMs, longestTtlMs = 0, medianSessionSpanMs = 0 }: HealthFacts): HealthWarning | null {
  if (windowMs === undefined) return null;
  const needed = 3 * Math.max(longestTtlMs, medianSessionSpanMs);
  if (windowMs >= needed) return null;
  const of = longestTtlMs >= medianSessionSpanMs ? 'longest TTL' : 'median session span';
  return {
    code: 'W_HORIZON_SHORT',
    value: windowMs,
    limit: needed,
    message: `measured window ${duration(windowMs)} is shorter than 3 x the ${of}, ${duration(needed)}`,
    remedy: 'Extend run.horizon',
  };
}

function untestedTtl({ pauses, longestTtlMs }: HealthFacts): HealthWarning | null {
  if (pauses === undefined || longestTtlMs === undefined || pauses.count === 0) return null;
  const share = pauses.aboveTtl / pauses.count;
  const isCapped = pauses.gapCapMs < longestTtlMs;
  if (share >= 0.01 && !isCapped) return null;
  const cap = isCapped ? `Remove workload.trace.gapCap (${duration(pauses.gapCapMs)}) or use` : 'Use';
  return {
    code: 'W_TTL_UNTESTED',
    value: share,
    limit: 0.01,
    message: `${percent(share)} of pauses exceed ${duration(longestTtlMs)} (limit 1 %)`,
    remedy: `${cap} a trace with longer pauses`,
  };
}

function saturated({ load }: HealthFacts): HealthWarning | null {
  if (load === undefined) return null;
  const unserved = load.offered === 0 ? 0 : (load.offered - load.served) / load.offered;
  if (unserved <= 0.02 && !backlogGrows(load.backlog)) return null;
  const message =
    unserved > 0.02 ? `${percent(unserved)} of offered turns were not served (limit 2 %)` : 'the backlog grows to the end of the window';
  const remedy = 'Unstable: latency has no steady value; read throughput, or lower the load';
  return { code: 'W_SATURATED', value: unserved, limit: 0.02, message, remedy };
}

function thinTail({ quantiles }: HealthFacts): HealthWarning | null {
  const thin = quantiles?.filter(({ q, samples }) => tailRule(samples, q) !== 'plain') ?? [];
  if (thin.length === 0) return null;
  const worst = thin.reduce((a, b) => (b.samples * (1 - b.q) < a.samples * (1 - a.q) ? b : a));
  const needed = Math.ceil(5 / (1 - worst.q) - 1e-6);
  return {
    code: 'W_TAIL_THIN',
    value: worst.samples,
    limit: needed,
    message: `${worst.expr} rests on ${worst.samples} samples per replication (limit ${needed})`,
    remedy: 'Raise workload.sessions',
  };
}

function censored({ sessions }: HealthFacts): HealthWarning | null {
  if (sessions === undefined || sessions.offered === 0) return null;
  const share = sessions.censored / sessions.offered;
  if (share <= 0.05) return null;
  const message = `${percent(share)} of sessions open at the horizon (limit 5 %)`;
  return { code: 'W_CENSORED', value: share, limit: 0.05, message, remedy: 'Extend run.horizon or set run.drain' };
}

function dominant({ dominance }: HealthFacts): HealthWarning | null {
  if (dominance === undefined) return null;
  const remedy = 'Use another seed or more sessions';
  if (dominance.largestSession > 0.2) {
    const message = `one session holds ${percent(dominance.largestSession)} of all tokens (limit 20 %)`;
    return { code: 'W_DOMINANT', value: dominance.largestSession, limit: 0.2, message, remedy };
  }
  if (dominance.topPercent <= 0.3) return null;
  const message = `the top 1 % of sessions hold ${percent(dominance.topPercent)} of all tokens (limit 30 %)`;
  return { code: 'W_DOMINANT', value: dominance.topPercent, limit: 0.3, message, remedy };
}

function ties({ ties: list }: HealthFacts): HealthWarning | null {
  const beyond = list?.filter(({ change, noise }) => Math.abs(change) > noise) ?? [];
  if (beyond.length === 0) return null;
  const worst = beyond.reduce((a, b) => (Math.abs(b.change) - b.noise > Math.abs(a.change) - a.noise ? b : a));
  const message = `${worst.expr} changes by ${Math.abs(worst.change).toPrecision(2)} under a random tie order (limit ${worst.noise})`;
  return { code: 'W_TIES', value: Math.abs(worst.change), limit: worst.noise, message, remedy: 'Report the spread over tie orders' };
}

function regime({ regime: shares }: HealthFacts): HealthWarning | null {
  if (shares === undefined) return null;
  const value = shares.extrapolated + shares.thrashing;
  if (value <= 0.05) return null;
  const which = shares.extrapolated >= shares.thrashing ? 'extrapolated' : 'thrashing';
  const message = `${percent(value)} of GPU time is extrapolated or thrashing, mostly ${which} (limit 5 %)`;
  return { code: 'W_REGIME', value, limit: 0.05, message, remedy: 'Read these latencies as an order of magnitude' };
}

function excluded({ sessions }: HealthFacts): HealthWarning | null {
  if (sessions === undefined) return null;
  const all = sessions.offered + sessions.excluded;
  const share = all === 0 ? 0 : sessions.excluded / all;
  if (share <= 0.05) return null;
  const message = `${percent(share)} of sessions excluded as overlong or rejected (limit 5 %)`;
  return { code: 'W_EXCLUDED', value: share, limit: 0.05, message, remedy: 'Raise fleet.contextLimit or set workload.overlong: truncate' };
}

function noPressure({ evictedBlocks }: HealthFacts): HealthWarning | null {
  if (evictedBlocks === undefined || evictedBlocks.length === 0 || evictedBlocks.some((n) => n > 0)) return null;
  const remedy = 'Retention cannot matter here: reduce capacity or add load';
  return { code: 'W_PRESSURE_NONE', value: 0, limit: 1, message: 'no block was evicted in any arm', remedy };
}

/** A tier below that holds less than the one above loses what it was given before the one above does. */
function hostChurn({ writeThrough }: HealthFacts): HealthWarning | null {
  const worst = writeThrough
    ?.filter(({ hbmBlocks, hostBlocks }) => hostBlocks < hbmBlocks)
    .reduce<{ hbmBlocks: number; hostBlocks: number } | null>((a, b) => (a === null || b.hostBlocks < a.hostBlocks ? b : a), null);
  if (worst === undefined || worst === null) return null;
  const message = `write-through will churn: the host tier holds ${worst.hostBlocks} blocks, HBM ${worst.hbmBlocks}`;
  const remedy = 'Raise tiers.host.size, or set engine.with.hostWrite: lazy';
  return { code: 'W_HOST_CHURN', value: worst.hostBlocks, limit: worst.hbmBlocks, message, remedy };
}

/** The same further down. */
function lowerChurn({ lowerThrough }: HealthFacts): HealthWarning | null {
  const worst = lowerThrough?.find(({ blocks, aboveBlocks }) => blocks < aboveBlocks);
  if (worst === undefined) return null;
  const { tier, blocks, aboveBlocks } = worst;
  const message = `write-through will churn: tiers.${tier} holds ${blocks} blocks, the tier above ${aboveBlocks}`;
  const remedy = `Raise tiers.${tier}.size, or set tiers.${tier}.fill: writeBack`;
  return { code: 'W_TIER_CHURN', value: blocks, limit: aboveBlocks, message, remedy };
}

function emptyHost({ frequencyFilter }: HealthFacts): HealthWarning | null {
  if (frequencyFilter === undefined || frequencyFilter.storedBlocks > 0) return null;
  const { least, decayMs } = frequencyFilter;
  const message = `no block reached frequency ${least} (decay ${duration(decayMs)}): the host tier stayed empty`;
  return { code: 'W_HOST_FILTER', value: 0, limit: 1, message, remedy: 'Lower engine.with.hostAdmitMin, or raise hostAdmitDecay' };
}

/**
 * Whether a backlog still grows at the end: its last third lies above both the first and the middle third, by one-sided t tests
 * at 95 % on the thirds. A queue that only filled at the start does not.
 */
export function backlogGrows(series: readonly number[]): boolean {
  const third = Math.floor(series.length / 3);
  if (third < 2) return false;
  const last = series.slice(series.length - third);
  return exceeds(last, series.slice(0, third)) && exceeds(last, series.slice(third, 2 * third));
}

function exceeds(a: readonly number[], b: readonly number[]): boolean {
  const x = moments(a);
  const y = moments(b);
  const n = a.length;
  const spread = Math.sqrt((x.sd * x.sd + y.sd * y.sd) / n);
  return x.mean - y.mean > tQuantile(0.95, 2 * n - 2) * spread;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Duration as a scenario writes it: the two largest units. */
function duration(ms: number): string {
  const units: [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ];
  const first = units.findIndex(([, size]) => ms >= size);
  if (first < 0) return '0';
  const [name, size] = units[first]!;
  const whole = Math.floor(ms / size);
  const next = units[first + 1];
  if (next === undefined) return `${Math.round(ms)}ms`;
  const rest = Math.floor((ms - whole * size) / next[1]);
  return `${whole}${name}${rest > 0 ? `${rest}${next[0]}` : ''}`;
}
