/** The outcome of evaluating one metric, and the arithmetic its formulas share. */

/** A metric's value in registry units, the items behind it, and why there is none. */
export interface MetricResult {
  readonly value: number | null;
  /** Items behind a tally or share; null where the word makes no sense. */
  readonly n: number | null;
  readonly reason?: string;
}

/** Milliseconds of an hour. */
export const MS_PER_HOUR = 3_600_000;

/** Sum in index order. */
export function sum<T>(list: ArrayLike<T>, of: (item: T) => number): number {
  let total = 0;
  for (let i = 0; i < list.length; i++) total += of(list[i]!);
  return total;
}

/** A value that counts no items. */
export function value(x: number): MetricResult {
  return { value: x, n: null };
}

/** A value that may not have been measured. */
export function present(x: number | undefined): MetricResult {
  return x === undefined ? missing('not measured') : value(x);
}

/** No value, and why. */
export function missing(reason: string): MetricResult {
  return { value: null, n: null, reason };
}

/** A quotient; no value where the denominator is not positive. */
export function ratio(numerator: number, denominator: number, reason: string, n: number | null = null): MetricResult {
  return denominator > 0 ? { value: numerator / denominator, n } : { value: null, n, reason };
}
