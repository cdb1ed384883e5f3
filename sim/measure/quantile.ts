/** Exact quantiles and the rule that says when a tail may be printed. Source: experiments specification 3.6. */

/**
 * Quantile of ascending values, definition R-7: linear interpolation at (n - 1) q. Null for no values. `q` in 0..1.
 * Source: Hyndman and Fan, Sample quantiles in statistical packages (1996), type 7.
 */
export function quantileSorted(sorted: ArrayLike<number>, q: number): number | null {
  const n = sorted.length;
  if (n === 0) return null;
  const h = (n - 1) * q;
  const i = Math.floor(h);
  const low = sorted[i]!;
  if (i + 1 >= n) return low;
  return low + (h - i) * (sorted[i + 1]! - low);
}

/** Quantile of values in any order. Cost O(n log n), one copy. For several quantiles sort once. */
export function quantile(values: ArrayLike<number>, q: number): number | null {
  return quantileSorted(Float64Array.from(values).sort(), q);
}

/** How a quantile may be shown: plainly, with a dagger, or not at all. */
export type TailRule = 'plain' | 'dagger' | 'none';

/** Samples beyond the quantile decide: at least 5 plain, at least 1 with a dagger. `n` per replication. */
export function tailRule(n: number, q: number): TailRule {
  // 1 - q is not exact in binary: 50 samples at 0.9 must count as five.
  const beyond = n * (1 - q) + 1e-9;
  return beyond >= 5 ? 'plain' : beyond >= 1 ? 'dagger' : 'none';
}

/** Mean of values that each hold for a duration; null when no time passed. */
export function timeWeightedMean(values: ArrayLike<number>, durationsMs: ArrayLike<number>): number | null {
  let sum = 0;
  let time = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i]! * durationsMs[i]!;
    time += durationsMs[i]!;
  }
  return time > 0 ? sum / time : null;
}

/** Smallest value that held, or was undercut, for at least a share `q` of the time: inverse of the weighted ECDF, no interpolation. */
export function timeWeightedQuantile(values: ArrayLike<number>, durationsMs: ArrayLike<number>, q: number): number | null {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  let time = 0;
  for (let i = 0; i < durationsMs.length; i++) time += durationsMs[i]!;
  if (!(time > 0)) return null;
  let passed = 0;
  for (const i of order) {
    passed += durationsMs[i]!;
    if (durationsMs[i]! > 0 && passed >= q * time) return values[i]!;
  }
  return values[order[order.length - 1]!]!;
}
