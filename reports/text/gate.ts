/** The text of `kvcast gate`: answer, metrics with verdicts, thresholds, why, what changed, how to repeat it. Source: design/cli.md. */
import type { CheckRow, GateResult, GateVerdictRow, InputRow } from '../../sim/experiment/gate/gate-result.ts';
import { printable } from '../escape.ts';
import { headline } from '../gate/headline.ts';
import { changeText, checkValue, decimalsOfRow, differenceUnit, labelOfRow, levelText, meansOf, noiseText } from '../gate/numbers.ts';
import { whyOf } from '../gate/why.ts';
import { signed } from './numbers.ts';
import type { Paint, Tone } from './paint.ts';
import { type Cell, type Column, padEnd, padStart, table, width, wrap, wrapCommand, wrapItems } from './table.ts';
import { verdictText, verdictTone } from './verdicts.ts';

const COLUMNS = 100;
/** Names of metrics that leave room for the other columns; longer ones stand on a line of their own. */
const NAME_WIDTHS = [23, 18, 12];
const HASH = 12;
/** Columns of the words before explanations. */
const LABEL = 6;

/** All of it. Pure in the document; layout never depends on the terminal. */
export function gateText(gate: GateResult, paint: Paint): string {
  if (gate.verdict === 'refused') return `${inputTable(gate, paint).join('\n')}\n`;
  const { mark, text } = headline(gate);
  const tone: Tone = mark === '✓' ? 'good' : mark === '✗' ? 'bad' : 'unsure';
  const out = wrap(`${mark} ${text}`, COLUMNS, 2).map((line) => paint(line, tone));
  if (gate.verdict !== 'pass') out.push('');
  if (gate.verdicts.length > 0) out.push(...metricTable(gate, paint));
  if (gate.checks.length > 0) out.push(...checkTable(gate.checks, paint));
  out.push(...trust(gate).map((line) => paint(line, 'dim')));
  out.push(...why(gate), ...split(gate), ...leaves(gate));
  if (gate.verdict !== 'pass' && gate.verdict !== 'updated') out.push(...wrapCommand(`Reproduce: ${gate.reproduce}`, COLUMNS));
  return `${out.join('\n')}\n`;
}

function metricTable(gate: GateResult, paint: Paint): string[] {
  for (const name of NAME_WIDTHS) {
    const lines = metricLines(gate, name, (text) => text);
    if (lines.every((line) => width(line) <= COLUMNS)) return metricLines(gate, name, paint);
  }
  return metricLines(gate, NAME_WIDTHS.at(-1)!, paint);
}

function metricLines(gate: GateResult, nameWidth: number, paint: Paint): string[] {
  const rows = gate.verdicts;
  const decimals = sharedDecimals(rows);
  const units = rows.map((row) => labelOfRow(row).unit.split(' ')[0]!);
  const means = rows.map(meansOf);
  const widest = Math.max(7, ...means.map((m) => width(m.baseline)));
  const unitWidth = Math.max(1, ...units.map(width));
  const part = (value: number | null, row: GateVerdictRow): string =>
    value === null ? 'n/a' : signed(value * differenceUnit(row).factor, decimals);
  const lo = rows.map((row) => part(row.lo, row));
  const hi = rows.map((row) => part(row.hi, row));
  const [loWidth, hiWidth] = [Math.max(...lo.map(width)), Math.max(...hi.map(width))];
  const columns: Column[] = [
    { align: 'left', minWidth: nameWidth + 2, maxWidth: nameWidth + 2 },
    { align: 'right' },
    { align: 'right', gap: 0, minWidth: 11 },
    { align: 'right' },
    { align: 'left', gap: 1 },
    { align: 'right' },
    { align: 'left' },
  ];
  const head = ['  metric', 'baseline  ', 'candidate  ', 'Δ   ', levelText(rows[0]!.level), 'noise', 'verdict'];
  const body = rows.map((row, i): (Cell | string)[] => {
    const { unit } = differenceUnit(row);
    return [
      `  ${row.expr}`,
      `${padStart(units[i]!, unitWidth)} ${padStart(means[i]!.baseline, widest)}`,
      means[i]!.candidate,
      `${part(row.delta, row)} ${padEnd(unit, 2)}`,
      row.lo === null ? 'n/a' : `[${padStart(lo[i]!, loWidth)}, ${padStart(hi[i]!, hiWidth)}]`,
      noiseText(row),
      { text: row.verdict === null ? '-' : verdictText(row.verdict), tone: verdictTone(row.verdict) },
    ];
  });
  const lines = table(columns, [head.map((text) => ({ text, tone: 'dim' as const })), ...body], paint);
  return withPrices(gate, lines);
}

/** The price of every inconclusive row below it. */
function withPrices(gate: GateResult, lines: readonly string[]): string[] {
  // A long name has a line of its own, so that rows are found from the end of each: the line with the verdict.
  let at = 1;
  return [
    lines[0]!,
    ...gate.verdicts.flatMap((row) => {
      const own = [lines[at++]!];
      while (at < lines.length && !own.at(-1)!.includes(row.verdict ?? ' -')) own.push(lines[at++]!);
      return row.verdict === 'inconclusive' ? [...own, `      ${priceText(row, gate)}`] : own;
    }),
  ];
}

function priceText(row: GateVerdictRow, gate: GateResult): string {
  if (row.needMore === null) return row.pairs < 2 ? `needs at least 2 replications that have a value, has ${row.pairs}` : 'cannot be told';
  const more = row.needMore >= 10_000 ? 'more than 10,000' : String(row.needMore);
  const all = row.needMore >= 10_000 ? '' : ` (${row.needMore + row.pairs} in all)`;
  const aside = gate.requireConclusive ? '; without --require-conclusive this is exit 0' : '';
  return `needs ≈ ${more} more replications${all} to tell${gate.verdict === 'inconclusive' ? aside : ''}`;
}

/** All differences of a table share their decimals, so that they stand below each other. */
function sharedDecimals(rows: readonly GateVerdictRow[]): number {
  const told = rows.filter((row) => row.delta !== null && row.delta !== 0).map(decimalsOfRow);
  return told.length === 0 ? 2 : Math.max(...told);
}

const CHECK_MARK = { pass: ['✓', 'good'], fail: ['✗', 'bad'], open: ['?', 'unsure'] } as const;

function checkTable(checks: readonly CheckRow[], paint: Paint): string[] {
  const rows = checks.map((row) => {
    const { value, interval, unit } = checkValue(row);
    const [mark, tone] = CHECK_MARK[row.verdict];
    return [
      { text: `  ${mark} ${row.verdict}`, tone },
      row.expr,
      [value, interval, unit].filter((text) => text !== '').join(' '),
      row.level,
    ];
  });
  return table(
    [{ align: 'left' }, { align: 'left', minWidth: 41, maxWidth: 58 }, { align: 'left', minWidth: 27 }, { align: 'left' }],
    rows,
    paint,
  );
}

function trust(gate: GateResult): string[] {
  const m = gate.verdicts.length;
  const each = gate.verdicts[0]?.level;
  const level = levelText(gate.level);
  const items =
    each === undefined
      ? []
      : gate.familywise === 'bonferroni' && m > 1
        ? [`${levelText(each)} = ${level} over ${m} metrics (Bonferroni)`]
        : gate.familywise === 'holm' && m > 1
          ? [`${levelText(Math.min(...gate.verdicts.map((v) => v.level)))} or less = ${level} over ${m} metrics (Holm)`]
          : [`${level} for each metric`];
  if (gate.baseline !== null) items.push(`baseline by kvcast ${gate.baseline.kvcastVersion}`);
  const codes = [...new Set(gate.health.map((h) => h.code))];
  if (codes.length > 0) items.push(`warnings ${codes.length}: ${codes.join(' ')}`);
  if (gate.inert.length > 0) items.push(`inert ${gate.inert.length}: ${gate.inert.join(', ')}`);
  items.push(`result ${gate.scenario.hash.slice(0, 8)}`);
  return [...wrapItems(items, COLUMNS, 2), ...gate.notes.flatMap((note) => wrap(note, COLUMNS, 2))];
}

function why(gate: GateResult): string[] {
  return labelled(
    'Why',
    whyOf(gate).map(({ expr, size, parts }) => `${expr} ${size} = ${parts.join(', ')}`),
  );
}

/** With --allow-input-change: how much of each difference the inputs made. */
function split(gate: GateResult): string[] {
  const texts = (gate.split ?? []).map((row) => {
    const { unit, factor } = differenceUnit({ ...gate.verdicts.find((v) => v.expr === row.expr)!, unit: row.unit });
    const text = (x: number | null): string => (x === null ? 'n/a' : signed(x * factor, 2));
    return `${row.expr} ${text(row.total)} ${unit} = inputs ${text(row.inputs)}, policy ${text(row.policy)}`;
  });
  return labelled('Split', texts);
}

function leaves(gate: GateResult): string[] {
  return labelled(
    'Leaf',
    gate.policy.map((leaf) => printable(`${leaf.path}  ${changeText(leaf)}`)),
  );
}

/** A label before the first text, all texts in a column beside it. */
function labelled(label: string, texts: readonly string[]): string[] {
  const lines = texts.flatMap((text) => wrap(text, COLUMNS - LABEL, 2));
  return lines.map((line, i) => (i === 0 ? label : '').padEnd(LABEL) + line);
}

/** The table of a refusal: hashes, then every leaf that changed with the place that says so. */
function inputTable(gate: GateResult, paint: Paint): string[] {
  const room = COLUMNS - 2 - Math.max(12, ...gate.inputs.rows.map((row) => row.input.length)) - 2 * (HASH + 2) - 2;
  const rows = gate.inputs.rows.flatMap((row): (Cell | string)[][] => {
    const cells = changedCells(row, room);
    return cells.map((cell, i) => (i === 0 ? [`  ${row.input}`, short(row.baseline), short(row.candidate), cell] : ['', '', '', cell]));
  });
  const head = ['  input', 'baseline', 'candidate', 'changed leaves'].map((text): Cell => ({ text, tone: 'dim' }));
  return table(
    [{ align: 'left', minWidth: 14 }, { align: 'left', minWidth: HASH }, { align: 'left', minWidth: HASH }, { align: 'left' }],
    [head, ...rows],
    paint,
  );
}

function changedCells(row: InputRow, room: number): Cell[] {
  if (row.equal) return [{ text: 'equal' }];
  if (row.leaves.length === 0) return [{ text: row.note ?? 'differs', tone: 'bad' }];
  return row.leaves.flatMap((leaf): Cell[] => [
    ...wrap(printable(`${leaf.path} ${changeText(leaf)}`), room, 2).map((text): Cell => ({ text, tone: 'bad' })),
    ...(leaf.origin === null ? [] : wrap(printable(leaf.origin), room - 2, 2).map((text): Cell => ({ text: `  ${text}`, tone: 'dim' }))),
  ]);
}

/** Hashes are cut, versions are not. */
function short(value: string): string {
  return /^[0-9a-f]{16,}$/.test(value) ? value.slice(0, HASH) : value;
}
