/** Runs jobs one after another in this process, giving way to signals every 50 ms. */
import { CancelledError, type Executor, type Job, type JobBoard } from './executor.ts';
import { failureOf } from './job-failure.ts';
import type { JobResult } from './job-result.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';

const SLICE_MS = 50;
const EVENTS_PER_LOOK = 4096;

/** Executor without threads. */
export class LocalExecutor implements Executor {
  readonly name = 'local';
  readonly parallelism = 1;

  async run(
    plan: RunPlan,
    jobs: readonly Job[],
    board: JobBoard,
    firstIndex: number,
    onDone: (job: Job, result: JobResult) => void,
  ): Promise<void> {
    for (const [i, job] of jobs.entries()) {
      if (board.cancelled) return;
      try {
        onDone(job, await runSliced(plan, await prepareTrace(plan, job.replication), job, board, firstIndex + i));
      } catch (error) {
        if (error instanceof CancelledError) return;
        throw failureOf(error, plan, job);
      }
    }
  }

  async close(): Promise<void> {}
}

async function runSliced(
  plan: RunPlan,
  trace: Awaited<ReturnType<typeof prepareTrace>>,
  job: Job,
  board: JobBoard,
  index: number,
): Promise<JobResult> {
  const running = startJob(plan, trace, job);
  let before = 0;
  let sliceEnd = performance.now() + SLICE_MS;
  while (running.step(EVENTS_PER_LOOK)) {
    if (performance.now() < sliceEnd) continue;
    board.report(index, running.progress, running.events - before);
    before = running.events;
    await new Promise((resolve) => setImmediate(resolve));
    if (board.cancelled) throw new CancelledError('cancelled');
    sliceEnd = performance.now() + SLICE_MS;
  }
  board.report(index, 1, running.events - before);
  return running.result();
}
