/** Entry of a worker thread: prepares the trace of a plan once, runs jobs of it. */
import { type Problem, UserError } from '../../control/user-error.ts';
import { StuckError } from '../cluster/stuck-error.ts';
import { type Job, JobBoard } from './executor.ts';
import type { JobResult } from './job-result.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';

export interface ThreadTask {
  readonly plan: RunPlan;
  readonly job: Job;
  readonly board: Int32Array;
  readonly index: number;
}

/** Errors of the user travel as data, since classes do not survive the way between threads. */
export type ThreadReply =
  | { readonly kind: 'done'; readonly result: JobResult }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'user-error'; readonly problems: readonly Problem[]; readonly exitCode: number }
  | { readonly kind: 'stuck'; readonly message: string };

/** About 10 to 40 ms of work, so that a cancellation is seen in time; whole thousands because the board counts those. */
const EVENTS_PER_LOOK = 8000;

/** Called by the pool for each job. */
export async function runTask(task: ThreadTask): Promise<ThreadReply> {
  const board = new JobBoard(task.board);
  try {
    const trace = await prepareTrace(task.plan, task.job.replication);
    const running = startJob(task.plan, trace, task.job);
    let before = 0;
    while (running.step(EVENTS_PER_LOOK)) {
      board.report(task.index, running.progress, running.events - before);
      before = running.events;
      if (board.cancelled) return { kind: 'cancelled' };
    }
    board.report(task.index, 1, running.events - before);
    return { kind: 'done', result: running.result() };
  } catch (error) {
    if (error instanceof UserError) return { kind: 'user-error', problems: error.problems, exitCode: error.exitCode };
    if (error instanceof StuckError) return { kind: 'stuck', message: error.message };
    throw error;
  }
}
