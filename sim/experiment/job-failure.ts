/** A failure inside a job, with the job's identity in its message so that one command repeats it. */
import { UserError } from '../../control/user-error.ts';
import type { Job } from './executor.ts';
import type { RunPlan } from './run-plan.ts';

/** `arm lru, replication 7, seed 42` */
export function jobIdentity(plan: RunPlan, job: Job): string {
  return `arm ${plan.arms[job.arm]!.name}, replication ${job.replication}, seed ${plan.seed}`;
}

/** The error to reject with: input errors as they are (they name their own place), all others named after the job. Keeps name and stack. */
export function failureOf(error: unknown, plan: RunPlan, job: Job): Error {
  const cause = error instanceof Error ? error : new Error(String(error));
  if (cause instanceof UserError) return cause;
  const failure = new Error(`${jobIdentity(plan, job)}: ${cause.message}`, { cause });
  failure.name = cause.name;
  failure.stack = cause.stack?.replace(cause.message, failure.message) ?? '';
  return failure;
}
