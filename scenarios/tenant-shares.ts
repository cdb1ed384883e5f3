/** Shares of a mix of tenants: those left out share equally what the others leave. */

/** How far the sum of written shares may be from 1: decimal fractions such as 0.1 have no exact double. */
const SUM_TOLERANCE = 1e-9;

/** Share of each tenant, 0..1. */
export function tenantShares(written: readonly (number | undefined)[]): number[] {
  const open = written.filter((share) => share === undefined).length;
  const rest = Math.max(0, 1 - sumOf(written));
  return written.map((share) => share ?? rest / open);
}

/** Sum of the written shares if it cannot be made 1: too much, or too little with nobody to take the rest. */
export function wrongShareSum(written: readonly (number | undefined)[]): number | undefined {
  const sum = sumOf(written);
  const isOpen = written.includes(undefined);
  return sum > 1 + SUM_TOLERANCE || (!isOpen && sum < 1 - SUM_TOLERANCE) ? sum : undefined;
}

function sumOf(written: readonly (number | undefined)[]): number {
  return written.reduce<number>((sum, share) => sum + (share ?? 0), 0);
}
