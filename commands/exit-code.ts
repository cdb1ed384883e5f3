/** Exit codes of commands that simulate. Source: experiments specification 2.3. */
import type { Result } from '../sim/experiment/result.ts';

export interface ExitRules {
  readonly strict?: boolean;
  readonly enforceSlo?: boolean;
  readonly detailedExitcode?: boolean;
}

/** Code by precedence 130 > 5 > 10 > 3 > 4 > 0. */
export function exitOf(result: Result, rules: ExitRules, state: { readonly interrupted: boolean }): number {
  if (state.interrupted) return interruptedBy === 'SIGTERM' ? 143 : 130;
  if (result.incomplete.length > 0) return 5;
  if (rules.enforceSlo === true && result.slo.some((s) => s.scope === 'run' && s.level === 'error' && s.verdict === 'fail')) return 10;
  if (rules.strict === true && (result.health.length > 0 || result.inert.length > 0)) return 3;
  if (rules.detailedExitcode === true && result.comparisons.some((c) => c.verdict === 'improved' || c.verdict === 'regressed')) return 4;
  return 0;
}

let interruptedBy: 'SIGINT' | 'SIGTERM' = 'SIGINT';

/** Remembers which signal came. */
export function noteSignal(signal: 'SIGINT' | 'SIGTERM'): void {
  interruptedBy = signal;
}
