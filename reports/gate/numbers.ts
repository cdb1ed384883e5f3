/** Numbers of a gate as people read them; every report of a gate prints the same ones. */
import type { CheckRow, GateVerdictRow, LeafChange } from '../../sim/experiment/gate/gate-result.ts';
import { type Label, labelOf } from '../text/labels.ts';
import { decimalsFor, fixed, plain, signed } from '../text/numbers.ts';

/** Label of a row's metric. */
export function labelOfRow(row: Pick<GateVerdictRow, 'expr' | 'metricUnit' | 'metricScale'>): Label {
  return labelOf(row.expr, row.metricUnit, row.metricScale);
}

/** Means of both sides with shared decimals: two significant digits of the baseline's half-width. `n/a` where there is none. */
export function meansOf(row: GateVerdictRow): { readonly baseline: string; readonly candidate: string } {
  const { factor } = labelOfRow(row);
  const text = (mean: number | null): string => {
    if (mean === null) return 'n/a';
    return fixed(mean * factor, decimalsFor(row.halfWidth === null ? null : row.halfWidth * factor, mean * factor));
  };
  return { baseline: text(row.baseline), candidate: text(row.candidate) };
}

/** Unit of a difference as printed, and the factor to it. */
export function differenceUnit(row: Pick<GateVerdictRow, 'expr' | 'unit' | 'metricUnit' | 'metricScale'>): {
  readonly unit: string;
  readonly factor: number;
} {
  if (row.unit === '%' || row.unit === 'pp') return { unit: row.unit, factor: 1 };
  const { unit, factor } = labelOfRow(row);
  return { unit, factor };
}

/** Decimals that show the interval of a row with two significant digits. */
export function decimalsOfRow(row: GateVerdictRow): number {
  const { factor } = differenceUnit(row);
  const half = row.lo === null || row.hi === null ? null : ((row.hi - row.lo) / 2) * factor;
  return decimalsFor(half, (row.delta ?? 0) * factor);
}

/** `+8.5 % [+6.2, +10.8]`, `-1.31 pp (no interval)`, `n/a`. */
export function differenceText(row: GateVerdictRow, decimals = decimalsOfRow(row)): string {
  if (row.delta === null) return 'n/a';
  const { unit, factor } = differenceUnit(row);
  const head = `${signed(row.delta * factor, decimals)} ${unit}`.trim();
  if (row.lo === null || row.hi === null) return `${head} (no interval)`;
  return `${head} [${signed(row.lo * factor, decimals)}, ${signed(row.hi * factor, decimals)}]`;
}

/** `5 %`, `0.5 pp`. */
export function noiseText(row: GateVerdictRow): string {
  const { unit, factor } = differenceUnit(row);
  return `${plain(row.noise * factor)} ${unit}`.trim();
}

/** Value of a threshold's quantity: `3.31 [3.05, 3.57] s`, `-0.3 [-1.1, +0.5] %`. */
export function checkValue(row: CheckRow): { readonly value: string; readonly interval: string; readonly unit: string } {
  if (row.value === null) return { value: 'n/a', interval: '', unit: '' };
  const isShare = row.unit === '%' || row.unit === 'pp';
  const label = labelOf(row.metric, row.unit, row.metricScale);
  const { unit, factor } = isShare ? { unit: row.unit, factor: 1 } : label;
  const half = row.lo === null || row.hi === null ? null : ((row.hi - row.lo) / 2) * factor;
  const decimals = decimalsFor(half, row.value * factor);
  const text = (x: number): string => (row.relative ? signed(x * factor, decimals) : fixed(x * factor, decimals));
  const interval = row.lo === null || row.hi === null ? '' : `[${text(row.lo)}, ${text(row.hi)}]`;
  return { value: text(row.value), interval, unit };
}

/** `99 %`: a level without more decimals than it needs. */
export function levelText(level: number): string {
  return `${plain(Number((level * 100).toPrecision(4)))} %`;
}

/** `2h -> 4h`, `- -> 4h` for a leaf that is new. */
export function changeText(leaf: LeafChange, arrow = '->'): string {
  return `${leaf.baseline ?? '-'} ${arrow} ${leaf.candidate ?? '-'}`;
}
