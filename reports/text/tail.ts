/** Whether enough samples stand behind a quantile to print it. Source: experiments specification 3.6. */
import type { MetricRow } from '../../sim/experiment/result.ts';

/** `none` = not printed at all, `thin` = printed with a dagger. The rule counts samples beyond the quantile per replication: 1 and 5. */
export function tailOf(row: Pick<MetricRow, 'expr' | 'samples'>): 'plain' | 'thin' | 'none' {
  const q = /\.p\(([\d.]+)\)$/.exec(row.expr);
  if (q === null || row.samples === undefined) return 'plain';
  // 1 - q is not exact in binary: 50 samples at p(90) count as five.
  const beyond = (row.samples * (100 - Number(q[1]))) / 100 + 1e-9;
  return beyond >= 5 ? 'plain' : beyond >= 1 ? 'thin' : 'none';
}

/** `n/a (12 samples)` */
export function notAvailable(row: Pick<MetricRow, 'samples'>): string {
  return row.samples === undefined ? 'n/a' : `n/a (${row.samples} samples)`;
}

/** Explains the dagger, where one was printed. */
export function tailLegend(rows: readonly Pick<MetricRow, 'expr' | 'samples'>[]): string[] {
  return rows.some((row) => tailOf(row) === 'thin') ? ['† fewer than 5 samples per replication beyond the quantile.'] : [];
}
