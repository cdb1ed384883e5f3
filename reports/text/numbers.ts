/**
 * Numbers as they are printed: the half-width of an interval gets two significant digits (at most three decimals) and everything
 * on its row shares those decimals. Source: design of terminal output, principles 4 to 6.
 */

/** Decimals that show `halfWidth` with two significant digits, 0..3; for 0 or a non-finite one three significant digits of `value`. */
export function decimalsFor(halfWidth: number | null, value: number): number {
  const basis = halfWidth !== null && Number.isFinite(halfWidth) && halfWidth > 0 ? halfWidth : 0;
  if (basis > 0) return clamp(1 - exponent(Number(basis.toPrecision(2))), 0, 3);
  if (value === 0 || !Number.isFinite(value)) return 0;
  return clamp(2 - exponent(value), 0, 3);
}

/** Fixed decimals with an ASCII minus and no negative zero. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return Number(text) === 0 && text.startsWith('-') ? text.slice(1) : text;
}

/** Fixed decimals with an explicit sign; zero has none. */
export function signed(value: number, decimals: number): string {
  const text = fixed(value, decimals);
  return Number(text) > 0 ? `+${text}` : text;
}

/** Integer with thousands separated by commas. */
export function thousands(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** Counts as k, M, G with three significant digits: 940672 -> 941 k is not wanted for exact facts; use thousands there. */
export function scaled(value: number): string {
  for (const [factor, suffix] of [
    [1e12, ' T'],
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (Math.abs(value) >= factor) return `${trim3(value / factor)}${suffix}`;
  }
  return trim3(value);
}

/** Six significant digits, trailing zeros trimmed. */
export function plain(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function trim3(value: number): string {
  return fixed(value, clamp(2 - exponent(value === 0 ? 1 : value), 0, 2));
}

function exponent(value: number): number {
  return Math.floor(Math.log10(Math.abs(value)));
}

function clamp(value: number, lo: number, hi: number): number {
  return Math.min(hi, Math.max(lo, value));
}
