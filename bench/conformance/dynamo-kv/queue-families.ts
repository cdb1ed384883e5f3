/** Families policy_queue, scheduler. */
import type { Family } from '../suite.ts';

/** The families whose recordings lie in the folder. */
export function queueFamilies(_folder: string): Family[] {
  return [];
}
