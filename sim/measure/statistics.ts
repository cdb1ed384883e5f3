/**
 * From per-replication values to defensible answers: t intervals, paired differences by scale, verdicts, prices of undecided
 * ones, sequential stopping, warm-up detection. Source: experiments specification 3.3 to 3.5 and 11.6.
 */
import normalQuantile from '@stdlib/stats-base-dists-normal-quantile';
import tQuantileFn from '@stdlib/stats-base-dists-t-quantile';
import { exp, log } from '../../control/math.ts';
import { type Better, DEFAULT_NOISE, type MetricScale } from './registry.ts';

/** Outcome of comparing an arm with the baseline. */
export type Verdict = 'improved' | 'regressed' | 'within noise' | 'inconclusive';

const tMemo = new Map<string, number>();

/** Quantile of Student's t. Above a million degrees of freedom the normal one. */
export function tQuantile(p: number, df: number): number {
  const key = `${p}/${df}`;
  let t = tMemo.get(key);
  if (t === undefined) {
    t = df > 1e6 ? normalQuantile(p, 0, 1) : tQuantileFn(p, df);
    tMemo.set(key, t);
  }
  return t;
}

/** Mean, spread and two-sided interval of independent values. */
export interface Interval {
  readonly n: number;
  readonly mean: number | null;
  /** Sample standard deviation; null below two values. */
  readonly sd: number | null;
  /** t s / sqrt(n); null below two values. */
  readonly halfWidth: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly level: number;
}

/** Student t interval with n - 1 degrees of freedom. `level` e.g. 0.95. Sums in index order. */
export function meanInterval(values: ArrayLike<number>, level = 0.95): Interval {
  const n = values.length;
  if (n === 0) return { n, mean: null, sd: null, halfWidth: null, lo: null, hi: null, level };
  const { mean, sd } = moments(values);
  if (n === 1) return { n, mean, sd: null, halfWidth: null, lo: null, hi: null, level };
  const halfWidth = (tQuantile(1 - (1 - level) / 2, n - 1) * sd) / Math.sqrt(n);
  return { n, mean, sd, halfWidth, lo: mean - halfWidth, hi: mean + halfWidth, level };
}

/** Two-pass mean and sample standard deviation (0 for one value). */
export function moments(values: ArrayLike<number>): { mean: number; sd: number } {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) * (values[i]! - mean);
  return { mean, sd: n > 1 ? Math.sqrt(squares / (n - 1)) : 0 };
}

/** Level of each of `comparisons` tests against one baseline, so that all hold together: 1 - (1 - level) / comparisons. */
export function bonferroniLevel(level: number, comparisons: number): number {
  return 1 - (1 - level) / Math.max(1, comparisons);
}

/** How a paired difference is taken and judged. */
export interface ComparisonRule {
  readonly scale: MetricScale;
  readonly better: Better;
  /** Noise band in displayed units; default by scale. */
  readonly noise?: number;
  /** Level of the interval that is shown; default 0.95. */
  readonly level?: number;
  /** Comparisons against the same baseline (arms - 1); the verdict uses the adjusted level. */
  readonly comparisons?: number;
}

/** A paired difference candidate - baseline in displayed units: %, pp, or the metric's own unit. */
export interface PairedDifference {
  readonly n: number;
  /** `%`, `pp` or `''` for the metric's own unit. */
  readonly unit: '%' | 'pp' | '';
  readonly delta: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly level: number;
  readonly adjusted: { readonly level: number; readonly lo: number | null; readonly hi: number | null };
  readonly noise: number;
  /** Null where no direction is better, or below two pairs. */
  readonly verdict: Verdict | null;
  /** More replications until an inconclusive result could be judged; null otherwise. At most 10,000. */
  readonly needMore: number | null;
  /** t s / sqrt(n) in the units of the stopping rule: ln ratio for %, share for pp, own unit for counts. */
  readonly halfWidth: number | null;
  readonly note?:
    | 'identical'
    | 'non-positive values: absolute difference over the baseline mean'
    | 'baseline mean is 0: absolute difference';
}

/**
 * Paired difference of `candidate` from `baseline`, both by replication in the metric's own unit.
 * Ratio metrics: differences of logarithms, shown as 100 (exp(d) - 1) %. Proportions: percentage points. Counts: absolute.
 */
export function pairedDifference(baseline: readonly number[], candidate: readonly number[], rule: ComparisonRule): PairedDifference {
  const n = Math.min(baseline.length, candidate.length);
  const level = rule.level ?? 0.95;
  const adjustedLevel = bonferroniLevel(level, rule.comparisons ?? 1);
  const form = differenceForm(baseline, candidate, n, rule.scale);
  const noise = form.note?.startsWith('baseline') ? 0 : (rule.noise ?? DEFAULT_NOISE[rule.scale]);
  const empty = { n, unit: form.unit, level, noise };
  if (n === 0) {
    const adjusted = { level: adjustedLevel, lo: null, hi: null };
    return { ...empty, delta: null, lo: null, hi: null, adjusted, verdict: null, needMore: null, halfWidth: null };
  }
  const raw = meanInterval(form.d, level);
  const wide = meanInterval(form.d, adjustedLevel);
  const delta = form.show(raw.mean!);
  const shown = (x: number | null): number | null => (x === null ? null : form.show(x));
  const adjusted = { level: adjustedLevel, lo: shown(wide.lo), hi: shown(wide.hi) };
  const identical = form.d.every((d) => d === 0);
  const judged = identical
    ? 'within noise'
    : adjusted.lo === null || rule.better === 'none'
      ? null
      : verdict({ lo: adjusted.lo, hi: adjusted.hi!, centre: delta, noise, better: rule.better });
  const needMore = judged === 'inconclusive' ? moreReplications(form, wide, noise) : null;
  const note = identical ? ('identical' as const) : form.note;
  return {
    ...empty,
    delta,
    lo: shown(raw.lo),
    hi: shown(raw.hi),
    adjusted,
    verdict: judged,
    needMore,
    halfWidth: raw.halfWidth,
    ...(note === undefined ? {} : { note }),
  };
}

interface DifferenceForm {
  readonly unit: '%' | 'pp' | '';
  /** In the units of the stopping rule. */
  readonly d: readonly number[];
  show(x: number): number;
  /** Inverse of show. */
  hide(shown: number): number;
  readonly note?: Exclude<PairedDifference['note'], 'identical' | undefined>;
}

function differenceForm(a: readonly number[], b: readonly number[], n: number, scale: MetricScale): DifferenceForm {
  const pairs = (f: (x: number, y: number) => number): number[] => Array.from({ length: n }, (_, r) => f(a[r]!, b[r]!));
  const times100 = { show: (x: number) => 100 * x, hide: (x: number) => x / 100 };
  const plain = { show: (x: number) => x, hide: (x: number) => x };
  if (scale === 'proportion') return { unit: 'pp', d: pairs((x, y) => y - x), ...times100 };
  if (scale === 'count') return { unit: '', d: pairs((x, y) => y - x), ...plain };
  const positive = pairs((x, y) => Math.min(x, y)).every((x) => x > 0);
  if (positive) {
    return {
      unit: '%',
      d: pairs((x, y) => log(y) - log(x)),
      show: (x) => 100 * (exp(x) - 1),
      hide: (x) => log(Math.max(1e-12, 1 + x / 100)),
    };
  }
  const base = n === 0 ? 0 : moments(a.slice(0, n)).mean;
  if (base === 0) return { unit: '', d: pairs((x, y) => y - x), ...plain, note: 'baseline mean is 0: absolute difference' };
  return {
    unit: '%',
    d: pairs((x, y) => (y - x) / Math.abs(base)),
    ...times100,
    note: 'non-positive values: absolute difference over the baseline mean',
  };
}

/**
 * Verdict on an interval [lo, hi] with centre and noise band, all in the displayed unit. The first rule that applies: inside the
 * band `within noise`; worse beyond both zero and the band `regressed`; better likewise `improved`; else `inconclusive`.
 */
export function verdict(options: {
  readonly lo: number;
  readonly hi: number;
  readonly centre: number;
  readonly noise: number;
  readonly better: 'lower' | 'higher';
}): Verdict {
  const { noise } = options;
  const flip = options.better === 'higher';
  const lo = flip ? -options.hi : options.lo;
  const hi = flip ? -options.lo : options.hi;
  const centre = flip ? -options.centre : options.centre;
  if (-noise <= lo && hi <= noise) return 'within noise';
  if (lo > 0 && centre > noise) return 'regressed';
  if (hi < 0 && centre < -noise) return 'improved';
  return 'inconclusive';
}

/** Smallest n >= 2 with t(n - 1) s / sqrt(n) <= target at the level; capped. */
export function replicationsFor(sd: number, target: number, level: number, cap = 10_000): number {
  if (sd === 0) return 2;
  if (!(target > 0)) return cap;
  const enough = (n: number): boolean => (tQuantile(1 - (1 - level) / 2, n - 1) * sd) / Math.sqrt(n) <= target;
  if (!enough(cap)) return cap;
  // The half-width falls with n: bisect.
  let low = 1;
  let high = cap;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** Price of `inconclusive`: until the half-width at the verdict's level is below the distance from centre to noise band. */
function moreReplications(form: DifferenceForm, interval: Interval, noise: number): number {
  const centre = interval.mean!;
  const distance = Math.min(Math.abs(centre - form.hide(noise)), Math.abs(centre - form.hide(-noise)));
  return Math.max(1, replicationsFor(interval.sd!, distance, interval.level) - interval.n);
}

/** Unpaired difference b - a with its half-width, after Welch; for results that share no workload. */
export function welchDifference(
  a: readonly number[],
  b: readonly number[],
  level = 0.95,
): { delta: number; halfWidth: number; df: number } {
  const ma = moments(a);
  const mb = moments(b);
  const va = (ma.sd * ma.sd) / a.length;
  const vb = (mb.sd * mb.sd) / b.length;
  const df = ((va + vb) * (va + vb)) / ((va * va) / (a.length - 1) + (vb * vb) / (b.length - 1));
  return { delta: mb.mean - ma.mean, halfWidth: tQuantile(1 - (1 - level) / 2, df) * Math.sqrt(va + vb), df };
}
