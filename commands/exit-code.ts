/** Exit codes of commands that simulate. Source: experiments specification 2.3. */
import { strongestExit } from '../sim/experiment/exit-state.ts';
import type { Result } from '../sim/experiment/result.ts';

export interface ExitRules {
  readonly strict?: boolean;
  readonly enforceSlo?: boolean;
  readonly detailedExitcode?: boolean;
}

/** The code of one result under the flags of the command. */
export function exitOf(result: Result, rules: ExitRules): number {
  const codes = [result.exit.code === 130 ? interruptionCode() : result.exit.code];
  if (rules.enforceSlo === true && result.slo.some((s) => s.scope === 'run' && s.level === 'error' && s.verdict === 'fail')) codes.push(10);
  if (rules.strict === true && (result.health.length > 0 || result.inert.length > 0)) codes.push(3);
  if (rules.detailedExitcode === true && result.comparisons.some((c) => c.verdict === 'improved' || c.verdict === 'regressed'))
    codes.push(4);
  return strongestExit(codes);
}

/** Sets the code of the process unless a stronger one is set. */
export function raiseExit(code: number): void {
  process.exitCode = strongestExit([Number(process.exitCode ?? 0), code]);
}

/** 130, or 143 after a TERM. */
export function interruptionCode(): number {
  return interruptedBy === 'SIGTERM' ? 143 : 130;
}

let interruptedBy: 'SIGINT' | 'SIGTERM' = 'SIGINT';

/** Remembers which signal came. */
export function noteSignal(signal: 'SIGINT' | 'SIGTERM'): void {
  interruptedBy = signal;
}
