/**
 * How many replications are enough, and where the warm-up ends. Stopping looks at width only, never at the verdict: stopping at
 * the first significant look would give 17 % false alarms at nominal 5 %. Source: experiments specification 3.4, 3.5.
 */
import type { MetricScale } from './registry.ts';
import { meanInterval, moments, pairedDifference } from './statistics.ts';

/** Replications as a scenario states them. `until` in the units of the half-width: 0.05 = 5 %, 5 pp or 0.05 of a count. */
export interface StoppingRule {
  readonly min: number;
  readonly max: number;
  readonly batch: number;
  readonly until: number;
}

/** Replication counts at which to look: min, min + batch, … , max. */
export function looks(rule: StoppingRule): number[] {
  const list: number[] = [];
  for (let n = rule.min; n < rule.max; n += rule.batch) list.push(n);
  list.push(Math.max(rule.min, rule.max));
  return list;
}

/** Where a run stopped and why. */
export interface Stop {
  readonly n: number;
  readonly looks: number;
  readonly stopped: 'precision' | 'max';
}

/**
 * Asks for half-widths look by look (ascending n) and says where to stop: the width is small enough on two consecutive looks, or
 * the maximum is reached. `halfWidthAt` may run the replications it needs; null = not defined, which is never small enough.
 */
export function sequentialStop(rule: StoppingRule, halfWidthAt: (n: number) => number | null): Stop {
  const at = looks(rule);
  let streak = 0;
  for (const [i, n] of at.entries()) {
    streak = isNarrow(halfWidthAt(n), rule.until) ? streak + 1 : 0;
    if (streak === 2) return { n, looks: i + 1, stopped: 'precision' };
  }
  return { n: at[at.length - 1]!, looks: at.length, stopped: 'max' };
}

/** Whether the last two of the half-widths so far, one per look, are small enough: for executors that cannot hand over control. */
export function isPrecise(halfWidths: readonly (number | null)[], until: number): boolean {
  const n = halfWidths.length;
  return n >= 2 && isNarrow(halfWidths[n - 1]!, until) && isNarrow(halfWidths[n - 2]!, until);
}

/**
 * Half-width of the primary quantity: of the paired difference baseline against every other arm, the widest; with one arm the
 * relative half-width of its mean. `values[arm][replication]`. Null when it is not defined.
 */
export function primaryHalfWidth(
  values: readonly (readonly (number | null)[])[],
  baseline: number,
  scale: MetricScale,
  level = 0.95,
): number | null {
  const complete = values.map((arm) => arm.filter((v): v is number => v !== null));
  if (complete.some((arm, i) => arm.length < values[i]!.length || arm.length < 2)) return null;
  if (complete.length === 1) {
    const interval = meanInterval(complete[0]!, level);
    if (scale !== 'ratio') return interval.halfWidth;
    return interval.mean === 0 ? null : interval.halfWidth! / Math.abs(interval.mean!);
  }
  let widest = 0;
  for (let arm = 0; arm < complete.length; arm++) {
    if (arm === baseline) continue;
    const { halfWidth } = pairedDifference(complete[baseline]!, complete[arm]!, { scale, better: 'none', level });
    if (halfWidth === null) return null;
    if (halfWidth > widest) widest = halfWidth;
  }
  return widest;
}

/** Point at which a series has settled. */
export interface WarmupPoint {
  /** Values to leave out. */
  readonly truncate: number;
  /** Mean of the batch means that remain. */
  readonly mean: number;
  /** The best point lies at the end of the search: the series is too short to tell. */
  readonly atLimit: boolean;
}

/**
 * MSER-5: batch means of five values; leave out the d batches that minimise the squared standard error of the rest, d up to half.
 * Null for fewer than two batches. Source: White, An effective truncation heuristic for bias reduction (1997).
 */
export function mser5(series: ArrayLike<number>): WarmupPoint | null {
  const k = Math.floor(series.length / 5);
  if (k < 2) return null;
  const batch = Float64Array.from({ length: k }, (_, i) => {
    let sum = 0;
    for (let j = 5 * i; j < 5 * i + 5; j++) sum += series[j]!;
    return sum / 5;
  });
  const limit = Math.floor(k / 2);
  let best = 0;
  let bestScore = Infinity;
  for (let d = 0; d <= limit; d++) {
    const rest = batch.subarray(d);
    const { mean } = moments(rest);
    let squares = 0;
    for (const z of rest) squares += (z - mean) * (z - mean);
    const score = squares / (rest.length * rest.length);
    if (score < bestScore) {
      bestScore = score;
      best = d;
    }
  }
  return { truncate: 5 * best, mean: moments(batch.subarray(best)).mean, atLimit: best === limit && limit > 0 };
}

/** Warm-up of a steady run, ms: the largest of the settling points, the TTL (at most 1 h) and the time to fill the caches; at most half the horizon. */
export function autoWarmupMs(options: {
  readonly settledMs: readonly number[];
  readonly longestTtlMs: number;
  readonly fillMs: number;
  readonly horizonMs: number;
}): number {
  const ttl = Math.min(options.longestTtlMs, 3_600_000);
  return Math.min(options.horizonMs / 2, Math.max(0, ...options.settledMs, ttl, options.fillMs));
}

function isNarrow(halfWidth: number | null, until: number): boolean {
  return halfWidth !== null && halfWidth <= until;
}
