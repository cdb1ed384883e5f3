/** Runs jobs one after another in this process, giving way to signals every 50 ms. */
import type { Trace } from '../../traces/columns.ts';
import { effortFor, setCompilerEffort } from './compiler-effort.ts';
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
  #requests = 0;

  async run(
    plan: RunPlan,
    jobs: readonly Job[],
    board: JobBoard,
    firstIndex: number,
    onDone: (job: Job, result: JobResult) => void,
  ): Promise<void> {
    try {
      for (const [i, job] of jobs.entries()) {
        // Short jobs give way to signals between them.
        await new Promise((resolve) => setImmediate(resolve));
        if (board.cancelled) return;
        try {
          const trace = await prepareTrace(plan, job.replication);
          if (i === 0) setCompilerEffort(effortFor((this.#requests += jobs.length * requestsPlanned(plan, trace))));
          onDone(job, await runSliced(plan, trace, job, board, firstIndex + i));
        } catch (error) {
          if (error instanceof CancelledError) return;
          throw failureOf(error, plan, job);
        }
      }
    } finally {
      setCompilerEffort('usual');
    }
  }

  async close(): Promise<void> {}
}

/** Requests of one job, about; Infinity where only the horizon ends it. */
function requestsPlanned(plan: RunPlan, trace: Trace): number {
  if (plan.kind !== 'terminating') return Number.POSITIVE_INFINITY;
  return (trace.requestCount / Math.max(1, trace.sessionCount)) * (plan.workload.sessions ?? trace.sessionCount);
}

async function runSliced(plan: RunPlan, trace: Trace, job: Job, board: JobBoard, index: number): Promise<JobResult> {
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
