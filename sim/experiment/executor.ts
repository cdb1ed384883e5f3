/**
 * The executor port: moves work, nothing else. It never aggregates, never decides to stop, never sees another result. Results are
 * stored by (arm, replication) and reduced in that order by the caller, so the order of completion cannot matter.
 * Source: experiments specification 9.1.
 */
import type { JobResult } from './job-result.ts';
import type { RunPlan } from './run-plan.ts';

/** One (arm, replication) of a plan. */
export interface Job {
  readonly arm: number;
  readonly replication: number;
}

/** Shared counters of running jobs, for progress lines and cancellation. Backed by memory that threads see. */
export class JobBoard {
  /** [0] cancel flag, [1] thousands of events, then one cell per job: thousandths done. */
  readonly cells: Int32Array;

  constructor(cells: Int32Array) {
    this.cells = cells;
  }

  /** Board for up to `jobs` jobs. */
  static create(jobs: number): JobBoard {
    return new JobBoard(new Int32Array(new SharedArrayBuffer(4 * (jobs + 2))));
  }

  cancel(): void {
    Atomics.store(this.cells, 0, 1);
  }

  get cancelled(): boolean {
    return Atomics.load(this.cells, 0) !== 0;
  }

  /** Adds finished events and sets a job's share done (0..1). */
  report(job: number, share: number, events: number): void {
    if (job + 2 < this.cells.length) Atomics.store(this.cells, job + 2, Math.min(1000, Math.round(share * 1000)));
    Atomics.add(this.cells, 1, Math.round(events / 1000));
  }

  /** Sum of shares done, in jobs. */
  get jobsDone(): number {
    let sum = 0;
    for (let i = 2; i < this.cells.length; i++) sum += Atomics.load(this.cells, i);
    return sum / 1000;
  }

  get events(): number {
    return Atomics.load(this.cells, 1) * 1000;
  }
}

/** Runs jobs; `onDone` is called once per job, in any order. Rejects with the first failure that is a bug or bad input. */
export interface Executor {
  readonly name: string;
  readonly parallelism: number;
  /** `firstIndex` is the board cell of jobs[0]. Jobs not started when the board is cancelled are left out. */
  run(
    plan: RunPlan,
    jobs: readonly Job[],
    board: JobBoard,
    firstIndex: number,
    onDone: (job: Job, result: JobResult) => void,
  ): Promise<void>;
  close(): Promise<void>;
}

/** Thrown inside a job that was cancelled. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
}
