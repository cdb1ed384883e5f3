/** Why a metric moved, in one line each. */
import type { GateResult } from '../../sim/experiment/gate/gate-result.ts';
import { decimalsFor, signed } from '../text/numbers.ts';
import { differenceUnit } from './numbers.ts';

/** One explained difference: the metric, its size, its largest parts. */
export interface Why {
  readonly expr: string;
  /** `-1.31 pp`. */
  readonly size: string;
  /** `routing -1.18`; at most three, then `other N rows`. */
  readonly parts: readonly string[];
}

const NAMED = 3;

/** Metrics that moved and have parts, in the order of their rows. Parts sum to the difference; what is left over is told as other rows. */
export function whyOf(gate: GateResult): Why[] {
  const exprs = [...new Set(gate.why.map((row) => row.of))];
  return exprs.flatMap((expr) => {
    const whole = gate.verdicts.find((row) => row.expr === expr);
    if (whole?.delta == null || (whole.verdict !== 'regressed' && whole.verdict !== 'improved')) return [];
    const { unit, factor } = differenceUnit(whole);
    const decimals = Math.max(2, decimalsFor(null, whole.delta * factor));
    const rows = gate.why.filter((row) => row.of === expr);
    const named = rows.slice(0, NAMED).filter((row) => Math.abs(row.delta * factor) >= 0.5 * 10 ** -decimals);
    const rest = whole.delta * factor - named.reduce((sum, row) => sum + row.delta * factor, 0);
    const parts = named.map((row) => `${row.row.slice(row.row.lastIndexOf('.') + 1)} ${signed(row.delta * factor, decimals)}`);
    if (Math.abs(rest) >= 0.5 * 10 ** -decimals) parts.push(`other ${signed(rest, decimals)}`);
    if (parts.length === 0) return [];
    return [{ expr, size: `${signed(whole.delta * factor, decimals)} ${unit}`, parts }];
  });
}
