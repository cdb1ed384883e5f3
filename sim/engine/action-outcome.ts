import type { ActionOutcome } from '../../control/ports.ts';

/** Outcome of an action on a range of which `appliedBlocks` are there: retention specification 3.2. */
export function outcomeOf(appliedBlocks: number, requestedBlocks: number): ActionOutcome {
  if (appliedBlocks === requestedBlocks) return { result: 'accepted', appliedBlocks, requestedBlocks };
  if (appliedBlocks === 0) return { result: 'missing', appliedBlocks, requestedBlocks };
  return { result: 'clipped', reason: 'notResident', appliedBlocks, requestedBlocks };
}
