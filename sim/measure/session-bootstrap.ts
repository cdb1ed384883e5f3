/**
 * Interval of a metric within ONE run, by resampling whole session trees: turns of one session are correlated, so they are never
 * resampled alone. The same sessions are drawn for all arms. It ignores that resampled sessions would queue differently: results
 * are labelled `conditional on this run`. Source: experiments specification 3.2.
 */
import type { Uniform } from '../kernel/draw.ts';
import { quantileSorted } from './quantile.ts';
import type { MetricScale } from './registry.ts';

/** Items of a metric by session: those of session s are values[offsets[s]] .. values[offsets[s + 1] - 1]. */
export interface SessionItems {
  readonly offsets: Int32Array;
  readonly values: Float64Array;
}

/** What is computed from the items of the drawn sessions. */
export type BootstrapStatistic = { readonly kind: 'mean' | 'sum' } | { readonly kind: 'quantile'; readonly q: number };

/** How intervals are drawn. */
export interface BootstrapOptions {
  readonly statistic: BootstrapStatistic;
  readonly scale: MetricScale;
  /** Index of the arm that the others are compared with. */
  readonly baseline: number;
  readonly stream: Uniform;
  /** Default 2000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly level?: number;
}

/** Percentile interval; null where no resample had items. */
export interface BootstrapInterval {
  readonly value: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
}

/** Intervals of one run. */
export interface BootstrapResult {
  /** By arm, in the metric's unit. */
  readonly arms: readonly BootstrapInterval[];
  /** Difference from the baseline by arm, in %, pp or the metric's unit; null for the baseline itself. */
  readonly differences: readonly (BootstrapInterval | null)[];
  readonly label: 'conditional on this run';
}

/** Bootstraps all arms together. Every arm must hold the same sessions. Cost O(resamples x items). */
export function sessionBootstrap(arms: readonly SessionItems[], options: BootstrapOptions): BootstrapResult {
  const sessions = arms[0]!.offsets.length - 1;
  for (const arm of arms) if (arm.offsets.length - 1 !== sessions) throw new Error('bootstrap: arms hold different sessions');
  const resamples = options.resamples ?? 2000;
  const evaluators = arms.map((arm) => evaluator(arm, options.statistic));
  const once = new Int32Array(sessions).fill(1);
  const whole = evaluators.map((evaluate) => evaluate(once));
  const drawn = arms.map(() => new Float64Array(resamples).fill(NaN));
  const deltas = arms.map(() => new Float64Array(resamples).fill(NaN));
  const weights = new Int32Array(sessions);
  for (let b = 0; b < resamples; b++) {
    weights.fill(0);
    for (let i = 0; i < sessions; i++) weights[Math.floor(options.stream.double() * sessions)]!++;
    for (let a = 0; a < arms.length; a++) drawn[a]![b] = evaluators[a]!(weights);
    for (let a = 0; a < arms.length; a++) deltas[a]![b] = difference(drawn[options.baseline]![b]!, drawn[a]![b]!, options.scale);
  }
  const level = options.level ?? 0.95;
  return {
    arms: drawn.map((values, a) => interval(whole[a]!, values, level)),
    differences: deltas.map((values, a) =>
      a === options.baseline ? null : interval(difference(whole[options.baseline]!, whole[a]!, options.scale), values, level),
    ),
    label: 'conditional on this run',
  };
}

/** Statistic as a function of how often each session was drawn; NaN for no items. */
function evaluator(items: SessionItems, statistic: BootstrapStatistic): (weights: Int32Array) => number {
  const { offsets, values } = items;
  const sessions = offsets.length - 1;
  if (statistic.kind === 'quantile') return quantileEvaluator(items, statistic.q);
  const sums = new Float64Array(sessions);
  for (let s = 0; s < sessions; s++) for (let i = offsets[s]!; i < offsets[s + 1]!; i++) sums[s]! += values[i]!;
  return (weights) => {
    let total = 0;
    let count = 0;
    for (let s = 0; s < sessions; s++) {
      total += weights[s]! * sums[s]!;
      count += weights[s]! * (offsets[s + 1]! - offsets[s]!);
    }
    if (statistic.kind === 'sum') return total;
    return count === 0 ? NaN : total / count;
  };
}

/** R-7 over the multiset in which the items of a session stand as often as it was drawn; items are sorted once. */
function quantileEvaluator(items: SessionItems, q: number): (weights: Int32Array) => number {
  const { offsets, values } = items;
  const owner = new Int32Array(values.length);
  for (let s = 0; s + 1 < offsets.length; s++) owner.fill(s, offsets[s], offsets[s + 1]);
  const order = Int32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
  const sorted = Float64Array.from(order, (i) => values[i]!);
  const sortedOwner = Int32Array.from(order, (i) => owner[i]!);
  return (weights) => {
    let n = 0;
    for (let i = 0; i < sorted.length; i++) n += weights[sortedOwner[i]!]!;
    if (n === 0) return NaN;
    const h = (n - 1) * q;
    const rank = Math.floor(h);
    let seen = 0;
    let low = NaN;
    for (let i = 0; i < sorted.length; i++) {
      seen += weights[sortedOwner[i]!]!;
      if (Number.isNaN(low) && seen > rank) low = sorted[i]!;
      if (seen > rank + 1) return low + (h - rank) * (sorted[i]! - low);
    }
    return low;
  };
}

/** In displayed units: %, percentage points, or the metric's own unit. */
function difference(baseline: number, candidate: number, scale: MetricScale): number {
  if (scale === 'ratio') return baseline > 0 ? 100 * (candidate / baseline - 1) : NaN;
  return (candidate - baseline) * (scale === 'proportion' ? 100 : 1);
}

function interval(value: number, resampled: Float64Array, level: number): BootstrapInterval {
  const sorted = resampled.filter((x) => !Number.isNaN(x)).sort();
  const tail = (1 - level) / 2;
  return { value: Number.isNaN(value) ? null : value, lo: quantileSorted(sorted, tail), hi: quantileSorted(sorted, 1 - tail) };
}
