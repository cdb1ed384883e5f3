/** Quantile of ascending values by linear interpolation at h = (n - 1) p. Source: trace specification 6. NaN for no values. */
export function quantile(ascending: ArrayLike<number>, p: number): number {
  const n = ascending.length;
  if (n === 0) return Number.NaN;
  const h = (n - 1) * p;
  const low = Math.floor(h);
  const a = ascending[low]!;
  return low + 1 < n && h > low ? a + (h - low) * (ascending[low + 1]! - a) : a;
}

/** Value of rank ⌊n p⌋ of ascending counts, so that the answer is one of them; the last for p = 1, 0 for no values. */
export function ranked(ascending: ArrayLike<number>, p: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * p))] ?? 0;
}

/** `x` rounded to `digits` decimals; ties by the exact binary value. */
export function rounded(x: number, digits: number): number {
  return Number(x.toFixed(digits)) + 0;
}

/** 100 · part / whole, 0 for an empty whole. */
export function percent(part: number, whole: number, digits: number): number {
  return whole === 0 ? 0 : rounded((100 * part) / whole, digits);
}

/** a / b rounded, 0 for b = 0. */
export function ratio(a: number, b: number, digits: number): number {
  return b === 0 ? 0 : rounded(a / b, digits);
}
