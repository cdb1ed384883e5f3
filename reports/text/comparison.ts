/** The text of `demo` and `compare`: answer, forest plot, metric table, where the prompt tokens came from, trust lines. */
import type { ComparisonRow, MetricRow, Result } from '../../sim/experiment/result.ts';
import { axisFor, axisLabels, intervalMark } from './bars.ts';
import { causeTables, mainCause } from './causes.ts';
import { labelOf, labelWithUnit } from './labels.ts';
import { decimalsFor, fixed, signed } from './numbers.ts';
import type { Paint } from './paint.ts';
import { alignDecimals, type Cell, padEnd, padStart, table, width, wrap } from './table.ts';
import { notAvailable, tailOf } from './tail.ts';
import { trustLines } from './trust.ts';
import { verdictMark, verdictText, verdictTone } from './verdicts.ts';

const COLUMNS = 100;
/** Longer names of arms stand on a line of their own. */
const NAME = 30;

/** Lines of a comparison of at least two arms. Pure in the result; layout never depends on the terminal. */
export function comparisonText(result: Result, paint: Paint): string {
  const out: string[] = [];
  if (result.truncated) out.push(...partialBanner(result));
  out.push(...answer(result, paint), '');
  out.push(...forest(result, paint), '');
  out.push(...metricTables(result, paint));
  out.push(...causeTables(result, orderedArms(result), paint));
  out.push(...why(result));
  out.push(...prices(result));
  out.push(...sloLines(result), '');
  out.push(...trustLines(result, paint));
  return `${out.join('\n')}\n`;
}

/** First line of a partial result. */
export function partialBanner(result: Result): string[] {
  const { replications: n, planned } = result.trust;
  const first = `PARTIAL: first ${n} of up to ${planned} replications per arm;`;
  return [`${first} ${n > 1 ? 'intervals hold for those.' : 'no interval yet.'}`];
}

/** One sentence built from table rows, plus what carries it. */
function answer(result: Result, paint: Paint): string[] {
  const rows = result.comparisons.filter((c) => c.expr === result.scenario.primary && c.delta !== null);
  const { label } = labelOf(result.scenario.primary, '');
  if (rows.length === 0) return [paint(`${label} could not be compared: no replication has a value.`, 'strong')];
  const judged = rows.filter((r) => r.verdict === 'improved' || r.verdict === 'regressed');
  const best = [...(judged.length > 0 ? judged : rows)].sort((a, b) => betterFirst(a, b))[0]!;
  const first = `${best.arm}: ${label} ${delta(best)} against ${best.vs}.`;
  const lines = wrap(first, COLUMNS).map((line) => paint(line, 'strong'));
  const rest = rows.filter((r) => r !== best);
  if (rest.length === 0) return lines;
  const parts = rest.map((r) => `${r.arm} ${r.verdict === 'inconclusive' ? 'inconclusive' : `${signedDelta(r)} ${r.unit}`}`);
  lines.push(...wrap(`Beside it: ${parts.join('; ')}.`, COLUMNS));
  return lines;
}

function betterFirst(a: ComparisonRow, b: ComparisonRow): number {
  const order = (r: ComparisonRow) => (r.verdict === 'improved' ? 0 : r.verdict === 'regressed' ? 2 : 1);
  return order(a) - order(b) || Math.abs(b.delta!) - Math.abs(a.delta!) || (a.arm < b.arm ? -1 : 1);
}

function signedDelta(row: ComparisonRow): string {
  return signed(row.delta!, decimalsOf(row));
}

/** One replication has a difference but no interval. */
function decimalsOf(row: ComparisonRow): number {
  return decimalsFor(row.lo === null || row.hi === null ? null : (row.hi - row.lo) / 2, row.delta!);
}

/** `-24.1 % [-26.2, -22.0]` */
export function delta(row: ComparisonRow): string {
  const d = decimalsOf(row);
  const interval = row.lo === null || row.hi === null ? '(one replication: no interval)' : `[${signed(row.lo, d)}, ${signed(row.hi, d)}]`;
  return `${signed(row.delta!, d)} ${row.unit} ${interval}`;
}

/** The interval plot takes what 100 columns leave to it. */
function forest(result: Result, paint: Paint): string[] {
  for (let columns = 26; columns > 10; columns -= 2) {
    if (forestLines(result, columns, (text) => text).every((line) => width(line) <= COLUMNS)) return forestLines(result, columns, paint);
  }
  return forestLines(result, 10, paint);
}

function forestLines(result: Result, plotColumns: number, paint: Paint): string[] {
  const expr = result.scenario.primary;
  const rows = result.comparisons.filter((c) => c.expr === expr);
  const metrics = result.metrics.filter((m) => m.expr === expr);
  const label = labelOf(expr, metrics[0]?.unit ?? '');
  const drawn = rows.filter((r) => r.delta !== null);
  const axis = axisFor(
    drawn.flatMap((r) => [r.lo ?? r.delta!, r.hi ?? r.delta!]),
    plotColumns,
  );
  const deltas = alignDecimals(drawn.map(signedDelta));
  const intervals = drawn.map((r) => {
    const d = decimalsOf(r);
    return r.lo === null || r.hi === null ? (['', ''] as const) : ([signed(r.lo, d), signed(r.hi, d)] as const);
  });
  const wlo = Math.max(0, ...intervals.map((i) => i[0].length));
  const whi = Math.max(0, ...intervals.map((i) => i[1].length));
  const unit = rows[0]?.unit ?? '%';
  const means = alignDecimals(metrics.map((m) => meanText(m, label.factor)));
  const head: (Cell | string)[] = [
    { text: expr, tone: 'dim' },
    dim(`mean, ${label.unit}`),
    dim(`Δ ${unit}`),
    dim(`${level(rows[0]?.level ?? 0.95)}`),
    dim(axisLabels(axis, (v) => fixed(v, 0))),
    '',
  ];
  const lines = orderedArms(result).map((arm): (Cell | string)[] => {
    const i = drawn.findIndex((r) => r.arm === arm);
    const m = metrics.findIndex((r) => r.arm === arm);
    const mean = m < 0 ? '-' : means[m]!;
    if (arm === result.scenario.baseline) return [`  ${arm}`, mean];
    if (i < 0) return [`  ${arm}`, mean, dim('n/a')];
    const row = drawn[i]!;
    const span = row.lo === null ? 'n/a' : `[${padStart(intervals[i]![0], wlo)}, ${padStart(intervals[i]![1], whi)}]`;
    const tone = verdictTone(row.verdict);
    return [
      `  ${arm}`,
      mean,
      deltas[i]!,
      span,
      { text: intervalMark(axis, row.lo ?? row.delta, row.delta, row.hi ?? row.delta), tone },
      { text: row.verdict === null ? '' : verdictText(row.verdict), tone },
    ];
  });
  const printed = table(
    [
      { align: 'left', maxWidth: NAME },
      { align: 'right' },
      { align: 'right' },
      { align: 'left' },
      { align: 'left', gap: 1 },
      { align: 'left', gap: 1 },
    ],
    [head, ...lines],
    paint,
  );
  // The word may run on under the columns that the baseline leaves empty.
  const names = Math.max(...[width(expr), ...result.arms.map((a) => width(a.name) + 2)].filter((w) => w <= NAME));
  const meanWidth = Math.max(width(`mean, ${label.unit}`), ...means.map(width));
  return printed.map((line, i) =>
    i === printed.length - 1 ? `${padEnd(line, names + 2 + meanWidth)}  ${paint('baseline', 'dim')}` : line,
  );
}

function dim(text: string): Cell {
  return { text, tone: 'dim' };
}

/** Level as printed: 95 %. */
export function level(value: number): string {
  return `${fixed(value * 100, Math.abs(value * 100 - Math.round(value * 100)) < 1e-9 ? 0 : 1)} %`;
}

/** Arms by the primary metric, best difference first, the baseline last. */
function orderedArms(result: Result): string[] {
  const rows = result.comparisons.filter((c) => c.expr === result.scenario.primary);
  const others = result.arms.map((a) => a.name).filter((a) => a !== result.scenario.baseline);
  const key = (arm: string) => rows.find((r) => r.arm === arm)?.delta ?? Number.POSITIVE_INFINITY;
  others.sort((a, b) => key(a) - key(b) || (a < b ? -1 : 1));
  return [...others, result.scenario.baseline];
}

/** `574 ±27`, or `n/a`. */
export function meanText(row: MetricRow, factor: number): string {
  if (row.mean === null || tailOf(row) === 'none') return notAvailable(row);
  const half = row.lo === null || row.hi === null ? null : ((row.hi - row.lo) / 2) * factor;
  const d = decimalsFor(half, row.mean * factor);
  const thin = tailOf(row) === 'thin' ? '†' : '';
  return half === null ? `${fixed(row.mean * factor, d)}${thin}` : `${fixed(row.mean * factor, d)} ±${fixed(half, d)}${thin}`;
}

const PER_TABLE = 4;

/** Metrics down, arms across, as many arms a table as 100 columns hold, at most four. */
function metricTables(result: Result, paint: Paint): string[] {
  const exprs = [...new Set(result.metrics.map((m) => m.expr))].filter((e) => e !== result.scenario.primary);
  const arms = orderedArms(result);
  const lines: string[] = [];
  const fits = (group: readonly string[]) => metricTable(result, exprs, group, (text) => text).every((line) => width(line) <= COLUMNS);
  for (let from = 0; from < arms.length; ) {
    let many = PER_TABLE;
    while (many > 1 && !fits(arms.slice(from, from + many))) many--;
    lines.push(...metricTable(result, exprs, arms.slice(from, from + many), paint), '');
    from += many;
  }
  return lines;
}

function metricTable(result: Result, exprs: readonly string[], arms: readonly string[], paint: Paint): string[] {
  const split = arms.map((a) => a.split(/(?=\+)/));
  const deep = Math.max(...split.map((s) => s.length));
  const heads: (Cell | string)[][] = [];
  for (let i = 0; i < deep; i++) {
    const title = i === 0 ? 'mean ± half-width' : '';
    heads.push([dim(title), ...split.map((s) => dim(`${s[i - (deep - s.length)] ?? ''}  `))]);
  }
  const rows = exprs.map((expr) => {
    const label = labelOf(expr, result.metrics.find((m) => m.expr === expr)?.unit ?? '', scaleOf(result, expr));
    const cells = arms.map((arm): Cell => {
      const row = result.metrics.find((m) => m.expr === expr && m.arm === arm);
      const verdict = result.comparisons.find((c) => c.expr === expr && c.arm === arm)?.verdict ?? null;
      return { text: row === undefined ? '-  ' : `${meanText(row, label.factor)} ${verdictMark(verdict)}`, tone: verdictTone(verdict) };
    });
    return [`  ${labelWithUnit(label)}`, ...cells];
  });
  return table([{ align: 'left' }, ...arms.map(() => ({ align: 'right' as const, minWidth: 15 }))], [...heads, ...rows], paint);
}

function scaleOf(result: Result, expr: string): string | undefined {
  return result.comparisons.find((c) => c.expr === expr)?.scale;
}

/** Names the largest avoidable cause under the baseline and what the best arm pays. */
function why(result: Result): string[] {
  const base = result.causes.find((c) => c.arm === result.scenario.baseline);
  const cause = base === undefined ? null : mainCause(base);
  return cause === null ? [] : wrap(`Why: ${cause}.${pays(result)}`, COLUMNS, 2);
}

/** ` Price: …` names metrics that moved the other way in the best arm. */
function pays(result: Result): string {
  const best = orderedArms(result)[0]!;
  const worse = result.comparisons.filter((c) => c.arm === best && c.verdict === 'regressed' && c.expr !== result.scenario.primary);
  if (worse.length === 0) return '';
  const parts = worse.slice(0, 2).map((c) => {
    const from = result.metrics.find((m) => m.expr === c.expr && m.arm === c.vs);
    const to = result.metrics.find((m) => m.expr === c.expr && m.arm === best);
    const label = labelOf(c.expr, from?.unit ?? '', c.scale);
    if (from?.mean == null || to?.mean == null) return label.label;
    const d = decimalsFor(Math.abs(to.mean - from.mean) * label.factor, to.mean * label.factor);
    return `${label.label} ${fixed(from.mean * label.factor, d)} -> ${fixed(to.mean * label.factor, d)} ✗`;
  });
  return ` Price of ${best}: ${parts.join(', ')}.`;
}

/** The price of every inconclusive row of the primary metric. */
function prices(result: Result): string[] {
  return result.comparisons
    .filter((c) => c.expr === result.scenario.primary && c.verdict === 'inconclusive' && c.delta !== null)
    .flatMap((c) => {
      const noise = `±${fixed(c.noise, c.noise < 1 ? 1 : 0)} ${c.unit}`;
      const more = c.needMore === null ? '' : `; ≈ ${c.needMore >= 10_000 ? 'more than 10,000' : c.needMore} more replications`;
      return wrap(`? ${c.arm}: ${signedDelta(c)} ${c.unit} cannot be told from ${noise}${more}`, COLUMNS - 2, 2).map((line) => `  ${line}`);
    });
}

function sloLines(result: Result): string[] {
  const names = [...new Set(result.slo.map((s) => s.name))];
  return names.flatMap((name) => {
    const rows = result.slo.filter((s) => s.name === name);
    const { expr, scope } = rows[0]!;
    if (scope === 'run') return wrap(`SLO ${name}: ${expr}: ${rows.map((r) => `${r.arm} ${r.verdict}`).join(', ')}`, COLUMNS, 2);
    const met = rows.filter((r) => r.met !== null).sort((a, b) => b.met! - a.met!);
    if (met.length === 0) return [`SLO ${name}: ${expr} per ${scope}: n/a (0 samples)`];
    const base = rows.find((r) => r.arm === result.scenario.baseline);
    const best = met[0]!;
    const tail = base === undefined || base === best || base.met === null ? '' : ` … ${fixed(base.met * 100, 1)} % (baseline)`;
    return [
      `SLO ${name}: ${expr} per ${scope}, met by ${fixed(best.met! * 100, 1)} % of ${scope}s${base === best ? '' : ` (best)`}${tail}`,
    ];
  });
}
