/**
 * Input errors as data: stable code, position, got, expected, hint. Prose is rendered by {@link formatProblem} only.
 * It lives in control/ because every room may import from there.
 */

/** One problem of the user's input. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Stable code, `E_…` or `W_…`, listed in scenarios/error-codes.ts. */
  readonly code: string;
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  readonly column?: number;
  /** Path inside the document, e.g. `fleet.pools[0].workers`. */
  readonly path?: string;
  /** `got X, expected Y` or another statement of fact, without final stop. */
  readonly message: string;
  /** One sentence with the remedy. */
  readonly hint?: string;
}

/** Thrown for the user's mistakes: exit code 2 (or `exitCode`), no stack trace. */
export class UserError extends Error {
  readonly problems: readonly Problem[];
  readonly exitCode: number;

  constructor(problems: Problem | readonly Problem[], exitCode = 2) {
    const list = Array.isArray(problems) ? (problems as readonly Problem[]) : [problems as Problem];
    super(list.map((p) => formatProblem(p)).join('\n'));
    this.name = 'UserError';
    this.problems = list;
    this.exitCode = exitCode;
  }
}

/** `CODE file:line:col path: got X, expected Y. hint` */
export function formatProblem(problem: Problem): string {
  let place = problem.file ?? '';
  if (problem.line !== undefined) place += `:${problem.line}`;
  if (problem.line !== undefined && problem.column !== undefined) place += `:${problem.column}`;
  const head = [problem.code, place, problem.path ?? ''].filter((s) => s !== '').join(' ');
  const joint = head === problem.code ? ' ' : ': ';
  return `${head}${joint}${problem.message}${problem.hint === undefined ? '' : `. ${problem.hint}`}`;
}
