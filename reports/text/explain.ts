/** The text of `explain`: sentences, the waterfall, causes of missed tokens, then the sessions. */
import type { ExplainResult, ExplainRow } from '../../sim/experiment/explain-result.ts';
import { ROLL_UPS } from '../../sim/experiment/result.ts';
import { sessionTurns, worstSessions } from './explain-sessions.ts';
import { decimalsFor, fixed, signed, thousands } from './numbers.ts';
import type { Paint } from './paint.ts';
import { swapLines } from './swap.ts';
import { type Cell, clip, table, wrap } from './table.ts';

const COLUMNS = 100;
/** Longer names of arms are cut. */
const NAME = 24;

const RIGHT = { align: 'right' as const };
const LEFT = { align: 'left' as const };

/** Lines of an explanation, at most 100 columns. */
export function explainText(result: ExplainResult, paint: Paint): string {
  const out: string[] = [];
  result.sentences.forEach(({ text }, i) => {
    out.push(...wrap(text, COLUMNS).map((line) => (i === 0 ? paint(line, 'strong') : line)));
  });
  if (result.rows.length > 0) out.push('', ...waterfall(result, paint));
  if (result.swap !== undefined) out.push('', ...swapLines(result.swap, paint));
  out.push('', ...causes(result, paint));
  out.push(...worstSessions('Worst sessions by slowdown', result.worst.bySlowdown, paint));
  out.push(...worstSessions('Sessions that lost most against the reference', result.worst.byRegression, paint));
  out.push(...sessionTurns(result.session, paint), '');
  for (const note of result.notes) out.push(...wrap(note, COLUMNS));
  out.push(...wrap(trust(result), COLUMNS).map((line) => paint(line, 'dim')));
  return `${out.join('\n')}\n`;
}

function waterfall(result: ExplainResult, paint: Paint): string[] {
  const { subject, reference, difference, rows } = result;
  const dim = (text: string): Cell => ({ text, tone: 'dim' });
  if (reference === null || difference === null) {
    const d = decimalsFor(null, subject.value ?? 0);
    const body = rows.map((row) => [`  ${row.id}`, nameOf(row), fixed(row.subject, d + 1), share(row.subject, subject.value ?? 0)]);
    const whole = ['', 'total', fixed(subject.value ?? 0, d + 1), '100.0'];
    return table([LEFT, LEFT, RIGHT, RIGHT], [[dim('Row'), dim(result.metric.expr), dim('s'), dim('%')], ...body, whole], paint);
  }
  const half = difference.lo === null || difference.hi === null ? null : (difference.hi - difference.lo) / 2;
  const d = Math.min(6, decimalsFor(half, difference.delta) + 1);
  const interval = (lo: number | null | undefined, hi: number | null | undefined): string =>
    lo == null || hi == null ? '' : `[${signed(lo, d)}, ${signed(hi, d)}]`;
  const line = (id: string, name: string, here: number, there: number, delta: number, text: string): string[] => [
    ...[`  ${id}`, name, fixed(there, d), fixed(here, d), signed(delta, d), share(delta, difference.delta), text],
  ];
  const body = rows.map((row) => line(row.id, nameOf(row), row.subject, row.reference!, row.delta!, interval(row.lo, row.hi)));
  const last = line('', 'total', subject.value ?? 0, reference.value ?? 0, difference.delta, interval(difference.lo, difference.hi));
  const heads = ['Row', result.metric.expr, 'before, s', 'now, s', 'delta, s', '% of it', '95 %'].map(dim);
  return [
    ...table([LEFT, { ...LEFT, maxWidth: 26 }, RIGHT, RIGHT, RIGHT, RIGHT, LEFT], [heads, ...body, last], paint),
    ...wrap(`before: ${reference.arm} (${reference.result}). now: ${subject.arm} (${subject.result}).`, COLUMNS).map((l) =>
      paint(l, 'dim'),
    ),
  ];
}

function nameOf(row: ExplainRow): string {
  return row.component === 'other' ? `other (${row.merged} rows)` : row.component;
}

function share(part: number, whole: number): string {
  return whole === 0 ? '' : fixed((100 * part) / whole, 1);
}

function causes({ causes: { subject, reference } }: ExplainResult, paint: Paint): string[] {
  const keys = (['hbm', 'host', ...ROLL_UPS] as const).filter((key) => subject[key] > 0 || (reference?.[key] ?? 0) > 0);
  const dim = (text: string): Cell => ({ text, tone: 'dim' });
  const percent = (value: number): string => fixed(100 * value, 2);
  const sides = reference === undefined ? [subject] : [reference, subject];
  const heads = [dim('Prompt tokens, %'), ...sides.map((row) => dim(clip(row.arm, NAME))), ...(reference === undefined ? [] : [dim('pp')])];
  const body = keys.map((key) => [
    `  ${key}`,
    ...sides.map((row) => percent(row[key])),
    ...(reference === undefined ? [] : [signed(100 * (subject[key] - reference[key]), 2)]),
  ]);
  return table([LEFT, ...sides.map(() => RIGHT), ...(reference === undefined ? [] : [RIGHT])], [heads, ...body], paint);
}

function trust({ replications, turns: t, reference, metric }: ExplainResult): string {
  const isBand = t.paired < t.subject && /\.(p\(|med)/.test(metric.expr);
  const paired = isBand
    ? `, means over ${thousands(t.paired)} around the quantile`
    : reference === null
      ? ''
      : `, means over ${thousands(t.paired)} that both have`;
  return `Repeated ${replications.length === 1 ? 'replication' : 'replications'} ${replications.join(' ')}: run hashes equal the stored ones; ${thousands(t.subject)} turns${paired}; components of every turn sum to its time.`;
}
