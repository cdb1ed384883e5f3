/**
 * GitHub annotations of a gate: workflow commands, worst first, at the line that says what is wrong. At most ten errors and ten
 * warnings: the platform shows no more of a step. Source: experiments specification 5.5.
 */
import type { GateResult } from '../sim/experiment/gate/gate-result.ts';
import { annotationMessage, annotationProperty } from './escape.ts';
import { excess, headline } from './gate/headline.ts';
import { changeText, checkValue, differenceText, noiseText } from './gate/numbers.ts';

const MOST = 10;

interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

interface Annotation {
  readonly kind: 'error' | 'warning' | 'notice';
  readonly place: Place;
  readonly text: string;
}

/** Lines of workflow commands, ending in a newline. A pass is one notice. */
export function gateAnnotations(gate: GateResult): string {
  const { mark, text } = headline(gate);
  const all = gate.verdict === 'refused' ? refusals(gate) : [...metrics(gate), ...thresholds(gate)];
  const shown = (['error', 'warning'] as const).flatMap((kind) => cut(all.filter((a) => a.kind === kind)));
  const answer: Annotation = { kind: 'notice', place: {}, text: `${mark} ${text}` };
  return `${[answer, ...shown].map((a) => line(a, gate)).join('\n')}\n`;
}

/** The worst ones; the last place tells how many more there are. */
function cut(list: readonly Annotation[]): readonly Annotation[] {
  if (list.length <= MOST) return list;
  const rest = list.length - MOST + 1;
  return [...list.slice(0, MOST - 1), { ...list[MOST - 1]!, text: `${rest} more, the next of them: ${list[MOST - 1]!.text}` }];
}

function metrics(gate: GateResult): Annotation[] {
  // Whoever changed one policy leaf in a file wants to see the mark there.
  const leaf = gate.policy.find((change) => change.file !== undefined);
  return gate.verdicts
    .filter((row) => row.verdict === 'regressed' || (row.verdict === 'inconclusive' && gate.requireConclusive))
    .sort((a, b) => Number(a.verdict === 'inconclusive') - Number(b.verdict === 'inconclusive') || excess(b) - excess(a))
    .map((row) => ({
      kind: row.severity === 'error' ? 'error' : 'warning',
      place: placeOf(leaf ?? row),
      text: `${row.expr} ${row.verdict}: ${differenceText(row)} (noise ${noiseText(row)})${leaf === undefined ? '' : `; ${leaf.path} ${changeText(leaf)}`}`,
    }));
}

function thresholds(gate: GateResult): Annotation[] {
  return gate.checks
    .filter((row) => row.verdict === 'fail' || (row.verdict === 'open' && gate.requireConclusive))
    .map((row) => {
      const { value, interval, unit } = checkValue(row);
      const got = [value, interval, unit].filter((part) => part !== '').join(' ');
      const word = row.verdict === 'fail' ? 'fails' : 'cannot be judged';
      return { kind: row.level === 'error' ? 'error' : 'warning', place: placeOf(row), text: `threshold ${row.expr} ${word}: ${got}` };
    });
}

function refusals(gate: GateResult): Annotation[] {
  return gate.inputs.rows
    .filter((row) => !row.equal)
    .flatMap((row): Annotation[] => {
      const head = `${row.input} differs from the baseline`;
      if (row.leaves.length === 0)
        return [{ kind: 'error', place: {}, text: `${head}: ${row.note ?? `${row.baseline} -> ${row.candidate}`}` }];
      return row.leaves.map((leaf) => ({ kind: 'error', place: placeOf(leaf), text: `${head}: ${leaf.path} ${changeText(leaf)}` }));
    });
}

function placeOf({ file, line: row, column }: Place): Place {
  if (file === undefined) return {};
  return { file, ...(row === undefined ? {} : { line: row, column: column ?? 1 }) };
}

function line({ kind, place, text }: Annotation, gate: GateResult): string {
  const file = place.file ?? gate.file;
  const properties = [`file=${annotationProperty(file)}`, `line=${place.line ?? 1}`, `col=${place.column ?? 1}`];
  return `::${kind} ${properties.join(',')},title=${annotationProperty(`kvcast gate ${gate.scenario.name}`)}::${annotationMessage(text)}`;
}
