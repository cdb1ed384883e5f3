/** Families policy_queue, scheduler. */
import { recordedFamily } from '../recording-file.ts';
import type { Family } from '../suite.ts';
import { policyQueueFamily } from './policy-queue-family.ts';
import { replayScheduler } from './scheduler-replay.ts';

/** The families whose recordings lie in the folder. */
export function queueFamilies(folder: string): Family[] {
  return [policyQueueFamily(folder), ...recordedFamily(folder, 'scheduler', ['ranks', 'chains', 'profile', 'ops'], replayScheduler)].filter(
    (family) => family !== undefined,
  );
}
