/** What a result says about the end of its run, whatever the flags of the command. Source: experiments specification 2.3. */
import type { IncompleteJob } from './result.ts';

/** Exit codes from the one that wins to the one that yields. */
export const EXIT_PRECEDENCE = [1, 2, 6, 130, 143, 5, 13, 14, 10, 11, 12, 3, 4, 0] as const;

/** The code that wins when several apply. */
export function strongestExit(codes: readonly number[]): number {
  const rank = (code: number): number => {
    const at = (EXIT_PRECEDENCE as readonly number[]).indexOf(code);
    return at < 0 ? 0 : at;
  };
  return codes.reduce((best, code) => (rank(code) < rank(best) ? code : best), 0);
}

/** Code and reasons of a result: 130 when interrupted (a TERM exits 143 all the same), 5 when runs hit a limit, else 0. */
export function exitState(facts: {
  readonly truncated: boolean;
  readonly replications: number;
  readonly planned: number;
  readonly incomplete: readonly IncompleteJob[];
}): { readonly code: number; readonly reasons: readonly string[] } {
  const reasons: string[] = [];
  if (facts.truncated) reasons.push(`interrupted: ${facts.replications} of up to ${facts.planned} replications`);
  const n = facts.incomplete.length;
  if (n > 0) reasons.push(`incomplete: ${n} run${n === 1 ? '' : 's'} hit a limit`);
  return { code: facts.truncated ? 130 : n > 0 ? 5 : 0, reasons };
}
