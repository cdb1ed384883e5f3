/** The text of `sweep`: one row per point and arm, bars for the distance from the best, Pareto marks. */
import type { MetricRow, Result } from '../../sim/experiment/result.ts';
import type { SweepResult, SweepRow } from '../../sim/experiment/sweep.ts';
import { bar } from './bars.ts';
import { meanText } from './comparison.ts';
import { labelOf } from './labels.ts';
import { decimalsFor, fixed, signed } from './numbers.ts';
import type { Paint } from './paint.ts';
import { alignDecimals, type Cell, table, wrap } from './table.ts';
import { trustLines } from './trust.ts';
import { verdictMark, verdictTone } from './verdicts.ts';

const SHOWN = ['turn.ttft.p(99)', 'kv.hit.total', 'tokens.recomputed.total'] as const;

/** Lines of a sweep. */
export function sweepText(sweep: SweepResult, paint: Paint): string {
  const label = labelOf(sweep.primary, '');
  const out = [paint(answer(sweep), 'strong'), ''];
  out.push(...rowsTable(sweep, paint), '');
  const points = sweep.points.length;
  const n = sweep.points[0]!.result.trust.replications;
  out.push(
    ...wrap(
      `Bars: distance from the best. ◆ Pareto: ${sweep.paretoAxes.map((a) => labelOf(a, '').label).join(' against ')}. ${points} points x ${n} replications. The best ${label.label} was chosen after the fact.`,
      100,
    ),
  );
  out.push(...trustLines(sweep.points[0]!.result, paint));
  return `${out.join('\n')}\n`;
}

function answer(sweep: SweepResult): string {
  if (sweep.best === null) return 'No point has a value of the primary metric.';
  const best = sweep.rows[sweep.best]!;
  const label = labelOf(sweep.primary, metricOf(sweep, best, sweep.primary)?.unit ?? '');
  const value = metricOf(sweep, best, sweep.primary)!;
  const near = sweep.rows.filter((r) => r.vsBest?.verdict === 'within noise').map(nameOf);
  const tail = near.length === 0 ? '' : `; ${near.join(', ')} ${near.length === 1 ? 'is' : 'are'} within noise`;
  return `${nameOf(best)} gives the best ${label.label}, ${meanText(value, label.factor)} ${label.unit}${tail}.`;
}

function nameOf(row: SweepRow): string {
  const values = Object.entries(row.values).map(([axis, value]) => `${axis} ${value}`);
  return row.arm === 'default' ? values.join(', ') : `${values.join(', ')} (${row.arm})`;
}

function rowsTable(sweep: SweepResult, paint: Paint): string[] {
  const axes = sweep.axes.map((a) => a.label);
  const manyArms = new Set(sweep.rows.map((r) => r.arm)).size > 1;
  const primary = labelOf(sweep.primary, metricOf(sweep, sweep.rows[0]!, sweep.primary)?.unit ?? '');
  const worst = Math.max(1e-12, ...sweep.rows.map((r) => Math.abs(r.vsBest?.delta ?? 0)));
  const means = alignDecimals(sweep.rows.map((r) => text(metricOf(sweep, r, sweep.primary), primary.factor)));
  const deltas = alignDecimals(sweep.rows.map((r) => (r.vsBest === null ? '' : signed(r.vsBest.delta, digits(r)))));
  const head = [
    ...axes,
    ...(manyArms ? ['arm'] : []),
    '',
    `${primary.label}, ${primary.unit}`,
    'vs best',
    '95 %',
    '',
    ...SHOWN.map((e) => heading(e)),
    '',
  ].map((t): Cell => ({ text: t, tone: 'dim' }));
  const rows = sweep.rows.map((row, i): (Cell | string)[] => {
    const isBest = i === sweep.best;
    const v = row.vsBest;
    return [
      ...axes.map((a) => row.values[a] ?? ''),
      ...(manyArms ? [row.arm] : []),
      isBest ? '▏' : v === null ? '' : bar(Math.abs(v.delta) / worst, 8),
      means[i]!,
      isBest ? { text: 'best', tone: 'good' as const } : deltas[i]!,
      v === null ? '' : `[${signed(v.lo, digits(row))}, ${signed(v.hi, digits(row))}]`,
      { text: v === null ? '' : verdictMark(v.verdict), tone: verdictTone(v?.verdict ?? null) },
      ...SHOWN.map((e) => shown(sweep, row, e)),
      row.pareto ? '◆' : '',
    ];
  });
  const right = { align: 'right' as const };
  const left = { align: 'left' as const };
  return table(
    [
      ...axes.map(() => right),
      ...(manyArms ? [left] : []),
      { ...left, minWidth: 8 },
      right,
      right,
      left,
      { ...left, gap: 1 },
      ...SHOWN.map(() => right),
      left,
    ],
    [head, ...rows],
    paint,
  );
}

function digits(row: SweepRow): number {
  return decimalsFor((row.vsBest!.hi - row.vsBest!.lo) / 2, row.vsBest!.delta);
}

function heading(expr: string): string {
  const label = labelOf(expr, '');
  return label.unit === '' ? label.label : `${label.label}, ${label.unit}`;
}

function shown(sweep: SweepResult, row: SweepRow, expr: string): string {
  const metric = metricOf(sweep, row, expr);
  return text(metric, labelOf(expr, metric?.unit ?? '', expr.startsWith('kv.hit') ? 'proportion' : undefined).factor);
}

function text(row: MetricRow | undefined, factor: number): string {
  if (row === undefined || row.mean === null) return 'n/a';
  const half = row.lo === null || row.hi === null ? null : ((row.hi - row.lo) / 2) * factor;
  return fixed(row.mean * factor, decimalsFor(half, row.mean * factor));
}

function metricOf(sweep: SweepResult, row: SweepRow, expr: string): MetricRow | undefined {
  const result: Result = sweep.points[row.point]!.result;
  return result.metrics.find((m) => m.arm === row.arm && m.expr === expr);
}
