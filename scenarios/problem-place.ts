/** Turns an origin into the place of a problem. */
import type { Problem } from '../control/user-error.ts';
import type { Origin } from './located-tree.ts';

/** Place fields of a Problem. */
export type Place = Pick<Problem, 'file' | 'line' | 'column'>;

/** file:line:col of a file leaf; the flag's text for a flag; the preset for a preset; nothing for a default. */
export function placeOf(origin: Origin | undefined): Place {
  if (origin?.source === undefined) return {};
  if (origin.kind !== 'file') return { file: origin.kind === 'preset' ? `preset ${origin.source}` : origin.source };
  return { file: origin.source, ...(origin.line === undefined ? {} : { line: origin.line, column: origin.column ?? 1 }) };
}

/** `file a.yaml:14:12`, `flag --set …`, `preset gpu/h100-sxm@1`, `default`. */
export function originText(origin: Origin): string {
  const source = origin.source === undefined ? '' : ` ${origin.source}`;
  return `${origin.kind}${source}${origin.line === undefined ? '' : `:${origin.line}:${origin.column ?? 1}`}`;
}

/** A Problem from its parts; `via` of the origin becomes part of the hint. */
export function problemAt(
  origin: Origin | undefined,
  code: string,
  path: string,
  message: string,
  hint?: string,
  severity: Problem['severity'] = 'error',
): Problem {
  const chain = origin?.via === undefined || origin.via.length === 0 ? undefined : `Included by ${[...origin.via].reverse().join(', by ')}`;
  const full = [hint, chain]
    .filter((text) => text !== undefined)
    .map(closed)
    .join(' ');
  return { severity, code, ...placeOf(origin), ...(path === '' ? {} : { path }), message, ...(full === '' ? {} : { hint: full }) };
}

/** A sentence with its final stop. */
function closed(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** How a value is shown in `got …`: strings as they are, everything else as short JSON. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '""' : value;
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value !== null && typeof value === 'object') return 'a map';
  return String(value);
}

/** Problems in order of file, line, column; those without a place first, in the order found. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return problems
    .map((problem, i) => ({ problem, i }))
    .sort(({ problem: a, i }, { problem: b, i: j }) => {
      const files = (a.file ?? '') < (b.file ?? '') ? -1 : (a.file ?? '') > (b.file ?? '') ? 1 : 0;
      return files || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) || i - j;
    })
    .map(({ problem }) => problem);
}

/** Lines for stderr: at most `limit` problems, then the total. */
export function problemLines(problems: readonly Problem[], format: (problem: Problem) => string, limit = 20): string[] {
  const lines = problems.slice(0, limit).map((problem) => `${problem.severity} ${format(problem)}`);
  if (problems.length > limit) lines.push(`${problems.length} problems in total, the first ${limit} shown`);
  return lines;
}
