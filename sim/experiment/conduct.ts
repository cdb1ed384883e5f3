/**
 * Runs the replications of one point: batches in index order until the width of the primary interval is small enough, the maximum is
 * reached, time is up or somebody interrupts. Only complete batches count. Source: experiments specification 3.4, 2.5.
 */
import { type Executor, type Job, JobBoard } from './executor.ts';
import type { JobResult } from './job-result.ts';
import type { RunPlan } from './run-plan.ts';

/** Replications to run; `until` null = no precision rule. */
export interface ReplicationRule {
  readonly min: number;
  readonly max: number;
  readonly batch: number;
  /** Half-width of the primary quantity, share (0.05) for ratios, points for proportions. */
  readonly until: number | null;
}

/** What was run. `results[arm][replication - first replication of the plan]`. */
export interface Conducted {
  readonly results: readonly (readonly JobResult[])[];
  readonly replications: number;
  /** Most replications that the rule allows. */
  readonly planned: number;
  readonly looks: number;
  readonly stopped: 'precision' | 'max' | 'time' | 'fixed' | 'interrupted';
  readonly truncated: boolean;
  readonly wallMs: number;
  readonly events: number;
}

export interface ConductHooks {
  /** Called often while jobs run. */
  onProgress(facts: { doneJobs: number; totalJobs: number; share: number; events: number; elapsedMs: number }): void;
  /** Called once per finished job in order of completion. */
  onJob(armName: string, result: JobResult): void;
  /** Widest half-width of the primary quantity over `replications` complete replications; null = cannot be judged. */
  halfWidth(results: readonly (readonly JobResult[])[], replications: number): number | null;
  /** Aborted by the user. */
  readonly signal: AbortSignal;
  readonly deadlineMs: number | null;
}

const POLL_MS = 100;

/** Runs until the rule is met. Rejects on bugs and bad input, naming the job; an interruption resolves with the complete prefix. */
export async function conduct(plan: RunPlan, rule: ReplicationRule, executor: Executor, hooks: ConductHooks): Promise<Conducted> {
  const started = performance.now();
  const arms = plan.arms.length;
  const first = plan.firstReplication;
  const results: JobResult[][] = plan.arms.map(() => []);
  const board = JobBoard.create(arms * rule.max);
  const cancel = (): void => board.cancel();
  hooks.signal.addEventListener('abort', cancel);
  if (hooks.signal.aborted) cancel();
  let doneJobs = 0;
  let target = rule.min;
  let total = arms * target;
  const report = (): void =>
    hooks.onProgress({
      doneJobs,
      totalJobs: total,
      share: board.jobsDone / total,
      events: board.events,
      elapsedMs: performance.now() - started,
    });
  const timer = setInterval(report, POLL_MS);
  let complete = 0;
  let looks = 0;
  let narrow = 0;
  let stopped: Conducted['stopped'] =
    rule.until === null || rule.min === rule.max ? (rule.min === rule.max && rule.until !== null ? 'max' : 'fixed') : 'max';
  try {
    while (complete < target) {
      await executor.run(plan, jobsOf(arms, first + complete, first + target), board, complete * arms, (job, result) => {
        results[job.arm]![job.replication - first] = result;
        doneJobs++;
        hooks.onJob(plan.arms[job.arm]!.name, result);
        report();
      });
      if (board.cancelled) {
        stopped = 'interrupted';
        break;
      }
      complete = target;
      looks++;
      if (rule.until === null || target >= rule.max) break;
      const half = hooks.halfWidth(results, complete);
      narrow = half !== null && half <= rule.until ? narrow + 1 : 0;
      if (narrow >= 2) {
        stopped = 'precision';
        break;
      }
      if (hooks.deadlineMs !== null && performance.now() - started > hooks.deadlineMs) {
        stopped = 'time';
        break;
      }
      target = Math.min(rule.max, target + rule.batch);
      total = arms * target;
    }
  } finally {
    clearInterval(timer);
    hooks.signal.removeEventListener('abort', cancel);
  }
  const whole = stopped === 'interrupted' ? completePrefix(results, rule) : complete;
  return {
    results: results.map((r) => r.slice(0, whole)),
    replications: whole,
    planned: rule.max,
    looks,
    stopped,
    truncated: stopped === 'interrupted',
    wallMs: performance.now() - started,
    events: board.events,
  };
}

/** Replication-major, so that a cut leaves whole replications of all arms. */
function jobsOf(arms: number, from: number, to: number): Job[] {
  const jobs: Job[] = [];
  for (let replication = from; replication < to; replication++) for (let arm = 0; arm < arms; arm++) jobs.push({ arm, replication });
  return jobs;
}

/** Leading replications that every arm has. */
function completePrefix(results: readonly (readonly (JobResult | undefined)[])[], rule: ReplicationRule): number {
  let n = 0;
  while (n < rule.max && results.every((arm) => arm[n] !== undefined)) n++;
  return n;
}
