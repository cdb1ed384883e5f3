/**
 * Runs jobs on worker threads (piscina). Each thread reads the trace from the columnar cache once; a job that dies with its thread is
 * tried once more on a fresh one. Source: experiments specification 9.1.
 */
import { Piscina } from 'piscina';
import { UserError } from '../../control/user-error.ts';
import type { Executor, Job, JobBoard } from './executor.ts';
import { failureOf } from './job-failure.ts';
import type { JobResult } from './job-result.ts';
import type { RunPlan } from './run-plan.ts';
import type { ThreadReply, ThreadTask } from './run-thread.ts';
import { threadFile } from './thread-file.ts';

/** Executor on `threads` worker threads. */
export class ThreadExecutor implements Executor {
  readonly name = 'threads';
  readonly parallelism: number;
  readonly #pool: Piscina<ThreadTask, ThreadReply>;

  constructor(threads: number) {
    this.parallelism = threads;
    this.#pool = new Piscina({ filename: threadFile(), minThreads: 1, maxThreads: threads, maxQueue: 1_000_000, idleTimeout: 60_000 });
  }

  async run(
    plan: RunPlan,
    jobs: readonly Job[],
    board: JobBoard,
    firstIndex: number,
    onDone: (job: Job, result: JobResult) => void,
  ): Promise<void> {
    let next = 0;
    let failed = false;
    const lane = async (): Promise<void> => {
      while (next < jobs.length && !board.cancelled && !failed) {
        const i = next++;
        const job = jobs[i]!;
        try {
          const reply = await this.#runOnce({ plan, job, board: board.cells, index: firstIndex + i });
          if (reply.kind === 'cancelled') return;
          onDone(job, resultOf(reply));
        } catch (error) {
          failed = true;
          throw failureOf(error, plan, job);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.parallelism, jobs.length) }, lane));
  }

  async #runOnce(task: ThreadTask): Promise<ThreadReply> {
    try {
      return await this.#pool.run(task, { name: 'runTask' });
    } catch (error) {
      if (!isThreadDeath(error)) throw error;
      return this.#pool.run(task, { name: 'runTask' });
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function resultOf(reply: Exclude<ThreadReply, { kind: 'cancelled' }>): JobResult {
  if (reply.kind === 'user-error') throw new UserError(reply.problems, reply.exitCode);
  if (reply.kind === 'stuck') throw Object.assign(new Error(reply.message), { name: 'StuckError' });
  return reply.result;
}

function isThreadDeath(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return (
    code === 'ERR_WORKER_OUT_OF_MEMORY' ||
    code === 'ERR_WORKER_TERMINATED' ||
    /worker.*(exit|terminat)/i.test(String((error as Error).message))
  );
}
