/** The text of `sweep`: one row per point and arm, bars for the distance from the best, Pareto marks. */
import type { MetricRow, Result } from '../../sim/experiment/result.ts';
import type { SweepResult, SweepRow } from '../../sim/experiment/sweep.ts';
import { bar } from './bars.ts';
import { meanText } from './comparison.ts';
import { labelOf, labelWithUnit } from './labels.ts';
import { decimalsFor, fixed, signed } from './numbers.ts';
import type { Paint } from './paint.ts';
import { alignDecimals, type Cell, table, width, wrap } from './table.ts';
import { trustLines } from './trust.ts';
import { ttlCurveLines } from './ttl-curve.ts';
import { verdictMark, verdictTone } from './verdicts.ts';

const COLUMNS = 100;
const BAR = 6;
/** Longer names of arms stand on a line of their own. */
const NAME = 24;
const SHOWN = ['turn.ttft.p(99)', 'kv.hit.total', 'tokens.recomputed.total'] as const;

/** Lines of a sweep. */
export function sweepText(sweep: SweepResult, paint: Paint): string {
  const label = labelOf(sweep.primary, '');
  const out = [...answer(sweep).map((line) => paint(line, 'strong')), ''];
  out.push(...rowsTable(sweep, paint), '');
  const manyArms = sweep.ttl.length > 1;
  for (const curve of sweep.ttl) out.push(...ttlCurveLines(curve, manyArms, paint), '');
  const points = sweep.points.length;
  const n = sweep.points[0]!.result.trust.replications;
  out.push(
    ...wrap(
      `Bars: distance from the best. ◆ Pareto: ${sweep.paretoAxes.map((a) => labelOf(a, '').label).join(' against ')}. ${points} point${points === 1 ? '' : 's'} x ${n} replication${n === 1 ? '' : 's'}. The best ${label.label} was chosen after the fact.`,
      COLUMNS,
    ),
  );
  out.push(...trustLines(sweep.points[0]!.result, paint));
  return `${out.join('\n')}\n`;
}

/** One sentence; rows that cannot be told from the best are counted when there are many. */
function answer(sweep: SweepResult): string[] {
  if (sweep.best === null) return ['No point has a value of the primary metric.'];
  const best = sweep.rows[sweep.best]!;
  const value = metricOf(sweep, best, sweep.primary)!;
  const label = labelOf(sweep.primary, value.unit);
  const near = sweep.rows.filter((r) => r.vsBest?.verdict === 'within noise').map(nameOf);
  const names = near.length > 3 ? `${near.length} other rows` : near.join(', ');
  const tail = near.length === 0 ? '' : `; ${names} ${near.length === 1 ? 'is' : 'are'} within noise of it`;
  return wrap(`${nameOf(best)} gives the best ${label.label}, ${`${meanText(value, label.factor)} ${label.unit}`.trim()}${tail}.`, COLUMNS);
}

function nameOf(row: SweepRow): string {
  const values = Object.entries(row.values).map(([axis, value]) => `${axis} ${value}`);
  return row.arm === 'default' ? values.join(', ') : `${values.join(', ')} (${row.arm})`;
}

/** The table with as many of the further metrics as 100 columns hold. */
function rowsTable(sweep: SweepResult, paint: Paint): string[] {
  const further = SHOWN.filter((expr) => expr !== sweep.primary);
  for (let shown = further.length; shown > 0; shown--) {
    if (tableOf(sweep, further.slice(0, shown), (text) => text).every((line) => width(line) <= COLUMNS))
      return tableOf(sweep, further.slice(0, shown), paint);
  }
  return tableOf(sweep, [], paint);
}

function tableOf(sweep: SweepResult, further: readonly string[], paint: Paint): string[] {
  const axes = sweep.axes.map((a) => a.label);
  const manyArms = new Set(sweep.rows.map((r) => r.arm)).size > 1;
  const primary = labelOf(sweep.primary, metricOf(sweep, sweep.rows[0]!, sweep.primary)?.unit ?? '');
  const worst = Math.max(1e-12, ...sweep.rows.map((r) => Math.abs(r.vsBest?.delta ?? 0)));
  const means = alignDecimals(sweep.rows.map((r) => text(metricOf(sweep, r, sweep.primary), primary.factor)));
  const deltas = alignDecimals(sweep.rows.map((r) => (r.vsBest === null ? '' : signed(r.vsBest.delta, digits(r)))));
  const unit = sweep.rows.find((r) => r.vsBest !== null)?.vsBest?.unit ?? '%';
  const titles = (exprs: readonly string[]) =>
    exprs.map((expr) => twoLines(labelWithUnit(labelOf(expr, metricOf(sweep, sweep.rows[0]!, expr)?.unit ?? '')), ' '));
  const [primaryTitle] = titles([sweep.primary]);
  const furtherTitles = titles(further);
  const axisTitles = axes.map((axis) => twoLines(axis, '.'));
  const heads = [
    [
      ...axisTitles.map((t) => t[0]),
      ...(manyArms ? [''] : []),
      '',
      primaryTitle![0],
      'vs best',
      '',
      '',
      ...furtherTitles.map((t) => t[0]),
      '',
    ],
    [
      ...axisTitles.map((t) => t[1]),
      ...(manyArms ? ['arm'] : []),
      '',
      primaryTitle![1],
      unit,
      '95 %',
      '',
      ...furtherTitles.map((t) => t[1]),
      '',
    ],
  ].map((row) => row.map((text): Cell => ({ text, tone: 'dim' })));
  const rows = sweep.rows.map((row, i): (Cell | string)[] => {
    const isBest = i === sweep.best;
    const v = row.vsBest;
    return [
      ...axes.map((a) => row.values[a] ?? ''),
      ...(manyArms ? [row.arm] : []),
      isBest ? '▏' : v === null ? '' : bar(Math.abs(v.delta) / worst, BAR),
      means[i]!,
      isBest ? { text: 'best', tone: 'good' as const } : deltas[i]!,
      v === null ? '' : `[${signed(v.lo, digits(row))}, ${signed(v.hi, digits(row))}]`,
      { text: v === null ? '' : verdictMark(v.verdict), tone: verdictTone(v?.verdict ?? null) },
      ...further.map((e) => shown(sweep, row, e)),
      row.pareto ? '◆' : '',
    ];
  });
  const right = { align: 'right' as const };
  const left = { align: 'left' as const };
  return table(
    [
      ...axes.map(() => right),
      ...(manyArms ? [{ ...left, maxWidth: NAME }] : []),
      { ...left, minWidth: BAR },
      right,
      right,
      left,
      { ...left, gap: 1 },
      ...further.map(() => right),
      left,
    ],
    [...heads, ...rows],
    paint,
  );
}

/** A heading on two lines of about equal width, broken after a sign. */
function twoLines(text: string, sign: string): [string, string] {
  const parts = text.split(sign);
  let best: [string, string] = ['', text];
  for (let i = 1; i < parts.length; i++) {
    const broken: [string, string] = [parts.slice(0, i).join(sign) + sign.trim(), parts.slice(i).join(sign)];
    if (Math.max(...broken.map(width)) < Math.max(...best.map(width))) best = broken;
  }
  return best;
}

function digits(row: SweepRow): number {
  return decimalsFor((row.vsBest!.hi - row.vsBest!.lo) / 2, row.vsBest!.delta);
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
