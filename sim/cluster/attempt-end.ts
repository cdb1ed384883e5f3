import type { AttemptEnd } from '../../control/ports.ts';
import { STOPS } from '../../traces/columns.ts';
import type { TurnTable } from '../measure/turn-table.ts';
import type { Workload } from '../workload/workload.ts';
import { type Attempts, END, END_STATUS } from './attempts.ts';

/**
 * What the control plane is told of an attempt's end: what stands in the response, and what the engine reports with it.
 * `submitMs` = how long the request travelled to its engine.
 */
export function attemptEnd(workload: Workload, attempts: Attempts, table: TurnTable, attempt: number, submitMs: number): AttemptEnd {
  const kind = attempts.endKind(attempt);
  const status = END_STATUS[kind]!;
  const outputTokens = attempts.outputTokens(attempt);
  if (kind !== END.finished) return { status, stop: 'other', outputTokens };
  const turn = attempts.turn(attempt);
  const row = attempts.row(attempt);
  const toolNames = workload.toolNames(turn);
  return {
    status,
    stop: STOPS[workload.turns.stop(turn)]!,
    outputTokens,
    ...(toolNames === undefined ? undefined : { toolNames }),
    // The table keeps the first admission of a turn, whichever attempt that was.
    ...(table.attemptsOf(row) > 1 ? undefined : { cachedTokens: table.hitTokens(row), queueMs: table.waitMs(row) - submitMs }),
  };
}
