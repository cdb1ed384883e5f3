/**
 * The comment of a gate on a pull request, also the summary of its job. What decides comes before the fold, at most 60 lines; the whole
 * stays below 60,000 characters (GitHub takes 65,536). Source: experiments specification 5.5.
 */
import type { CheckRow, GateResult, GateVerdictRow, InputRow } from '../../sim/experiment/gate/gate-result.ts';
import { codeSpan, markdownText } from '../escape.ts';
import { excess, headline } from '../gate/headline.ts';
import { changeText, checkValue, differenceText, labelOfRow, levelText, meansOf, noiseText } from '../gate/numbers.ts';
import { whyOf } from '../gate/why.ts';

/** Rows of a table before the fold; the worst come first, gate.json has the others. */
const MOST_ROWS = 12;
/** Longer values of leaves are cut: a comment is no place for a list of a thousand workers. */
const MOST_TEXT = 300;
const MOST_CHARACTERS = 60_000;

/** First line of the comment: what a workflow looks for to replace it. The name cannot end the HTML comment that it stands in. */
export function commentMarker(name: string): string {
  return `<!-- kvcast:gate:${name.replace(/[^A-Za-z0-9_.-]|--+/g, '_')} -->`;
}

/** All of it, ending in a newline. */
export function gateComment(gate: GateResult): string {
  const { mark, text } = headline(gate);
  const head = [
    commentMarker(gate.scenario.name),
    `### ${mark} kvcast gate: ${markdownText(text)}`,
    '',
    factLine(gate),
    '',
    ...(gate.verdict === 'refused' ? refusalTable(gate) : judgedTables(gate)),
    ...why(gate),
    `Reproduce: ${codeSpan(cut(gate.reproduce))}`,
    ...advice(gate),
    '',
  ];
  const whole = [...head, ...details(gate)].join('\n');
  if (whole.length < MOST_CHARACTERS) return `${whole}\n`;
  return `${[...head, 'Inputs and statistics are too long for a comment: see gate.json.'].join('\n')}\n`;
}

function factLine(gate: GateResult): string {
  const parts = [codeSpan(cut(gate.scenario.name))];
  if (gate.policy.length > 0)
    parts.push(...gate.policy.slice(0, 3).map((leaf) => `${codeSpan(cut(leaf.path))} ${codeSpan(cut(changeText(leaf, '→')))}`));
  if (gate.policy.length > 3) parts.push(`${gate.policy.length - 3} more leaves`);
  if (gate.replications > 0) parts.push(`${gate.replications} paired replication${gate.replications === 1 ? '' : 's'}`);
  parts.push(`exit ${gate.exit.code}`);
  return parts.join(' · ');
}

const SIGN = { regressed: '▲', improved: '▼', 'within noise': '○', inconclusive: '◇' } as const;
const ORDER = ['regressed', 'inconclusive', 'improved', 'within noise'] as const;

function judgedTables(gate: GateResult): string[] {
  const rank = (row: GateVerdictRow): number => (row.verdict === null ? ORDER.length : ORDER.indexOf(row.verdict));
  const rows = [...gate.verdicts].sort((a, b) => rank(a) - rank(b) || excess(b) - excess(a));
  const checks = [...gate.checks].sort((a, b) => Number(a.verdict === 'pass') - Number(b.verdict === 'pass'));
  return [
    ...table(
      ['', 'metric', 'baseline', 'candidate', `difference, ${levelText(rows[0]?.level ?? gate.level)}`, 'verdict'],
      '||rrr|',
      rows.map(metricRow),
    ),
    ...table(['threshold', `value, ${levelText(gate.level)}`, 'result'], '|r|', checks.map(checkRow)),
  ];
}

function metricRow(row: GateVerdictRow): string[] {
  const { unit } = labelOfRow(row);
  const means = meansOf(row);
  const isBad = row.verdict === 'regressed';
  const strong = (text: string): string => (isBad ? `**${text}**` : text);
  const withUnit = (mean: string): string => markdownText(mean === 'n/a' ? mean : `${mean} ${unit}`.trim());
  const [size, interval = ''] = differenceText(row).split(/(?= \[)/);
  const price = row.needMore === null ? '' : `: ≈ ${row.needMore >= 10_000 ? 'more than 10,000' : row.needMore} more replications`;
  return [
    row.verdict === null ? '' : SIGN[row.verdict],
    codeSpan(cut(row.expr)),
    withUnit(means.baseline),
    withUnit(means.candidate),
    `${strong(size!)}${interval}`,
    `${strong(row.verdict ?? 'not judged')}${price === '' ? ` (noise ${noiseText(row)})` : price}${row.severity === 'warn' ? ', level warn' : ''}`,
  ];
}

const RESULT = { pass: '✓ pass', fail: '**✗ fail**', open: '? open' } as const;

function checkRow(row: CheckRow): string[] {
  const { value, interval, unit } = checkValue(row);
  const text = [value, unit, interval].filter((part) => part !== '').join(' ');
  return [`${codeSpan(cut(row.expr))}${row.level === 'warn' ? ' (warn)' : ''}`, markdownText(text), RESULT[row.verdict]];
}

function refusalTable(gate: GateResult): string[] {
  const rows = gate.inputs.rows.filter((row) => !row.equal).flatMap(changeRows);
  return table(['input', 'changed leaf', 'baseline', 'candidate', 'from'], '', rows);
}

function changeRows(row: InputRow): string[][] {
  if (row.leaves.length === 0)
    return [[row.input, markdownText(row.note ?? ''), codeSpan(short(row.baseline)), codeSpan(short(row.candidate)), '']];
  return row.leaves.map((leaf) => [
    row.input,
    codeSpan(cut(leaf.path)),
    codeSpan(cut(leaf.baseline ?? '-')),
    codeSpan(cut(leaf.candidate ?? '-')),
    leaf.origin === null ? '' : codeSpan(cut(leaf.origin)),
  ]);
}

/** A table cut to the rows that fit before the fold; nothing where there are none. `r` aligns a column to the right. */
function table(head: readonly string[], align: string, rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const more = rows.length - MOST_ROWS;
  return [
    line(head),
    `|${head.map((_, i) => (align[i] === 'r' ? '---:' : '---')).join('|')}|`,
    ...rows.slice(0, MOST_ROWS).map(line),
    '',
    ...(more > 0 ? [`${more} more row${more === 1 ? '' : 's'}: gate.json`, ''] : []),
  ];
}

function why(gate: GateResult): string[] {
  const lines = whyOf(gate).map(({ expr, size, parts }) => `**Why** ${codeSpan(expr)} ${size} = ${markdownText(parts.join(', '))}`);
  return lines.length === 0 ? [] : [...lines, ''];
}

function advice(gate: GateResult): string[] {
  if (gate.verdict === 'refused')
    return ['Undo the change, add `--allow-input-change` to judge the policy alone, or accept it with `--update`.'];
  if (gate.verdict !== 'regressed' && gate.verdict !== 'breached') return [];
  return ['If the change is intended: add `--update`, commit the new baseline, and say why in the pull request.'];
}

function details(gate: GateResult): string[] {
  const inputs = gate.inputs.rows.map((row) => [
    row.input,
    codeSpan(short(row.baseline)),
    `${codeSpan(short(row.candidate))} ${row.equal ? '✓ same' : 'changed'}`,
  ]);
  const policy =
    gate.baseline === null
      ? []
      : [
          [
            'policy',
            codeSpan(short(gate.baseline.policyHash)),
            `${codeSpan(short(gate.policyHash))} ${gate.policy.length > 0 ? 'changed' : '✓ same'}`,
          ],
        ];
  return [
    '<details><summary>Inputs, statistics and trust</summary>',
    '',
    ...table(['input', 'baseline', 'candidate'], '', [...inputs, ...policy]),
    ...facts(gate).map((fact) => `- ${fact}`),
    '',
    '</details>',
  ];
}

function facts(gate: GateResult): string[] {
  const m = gate.verdicts.length;
  const names = { bonferroni: 'Bonferroni', holm: 'Holm', none: 'no correction' } as const;
  const list: string[] = [];
  if (m > 0)
    list.push(
      `Verdicts at ${levelText(gate.verdicts[0]!.level)} per metric (${names[gate.familywise]}, ${m} metric${m === 1 ? '' : 's'}); thresholds at ${levelText(gate.level)}. Workload identical in every pair.`,
    );
  if (gate.baseline !== null)
    list.push(
      `Baseline ${codeSpan(gate.baseline.source)} by kvcast ${markdownText(gate.baseline.kvcastVersion)}; this is kvcast ${markdownText(gate.kvcastVersion)}.`,
    );
  if (gate.invariants !== null) list.push(`Invariants (${gate.invariants.level}): ${gate.invariants.violations} violations.`);
  list.push(
    gate.health.length === 0
      ? 'Warnings: none.'
      : `Warnings: ${gate.health.map((h) => `${h.code} ${markdownText(h.message)}`).join('; ')}.`,
  );
  list.push(gate.inert.length === 0 ? 'Inert fields: none.' : `Inert fields: ${gate.inert.map((text) => markdownText(text)).join('; ')}.`);
  return [...list, ...gate.notes.map((note) => markdownText(note))];
}

function short(value: string): string {
  return value.slice(0, 12);
}

function cut(text: string): string {
  return text.length <= MOST_TEXT ? text : `${text.slice(0, MOST_TEXT - 1)}…`;
}
