/** Families policy_queue, scheduler. */
import type { Family } from '../suite.ts';
import { policyQueueFamily } from './policy-queue-family.ts';

/** The families whose recordings lie in the folder. */
export function queueFamilies(folder: string): Family[] {
  return [policyQueueFamily(folder)].filter((family) => family !== undefined);
}
