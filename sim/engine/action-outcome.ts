import type { ActionOutcome, KvAction } from '../../control/ports.ts';

/** Outcome of an action on a range of which `appliedBlocks` are there: retention specification 3.2. */
export function outcomeOf(appliedBlocks: number, requestedBlocks: number): ActionOutcome {
  if (appliedBlocks === requestedBlocks) return { result: 'accepted', appliedBlocks, requestedBlocks };
  if (appliedBlocks === 0) return { result: 'missing', appliedBlocks, requestedBlocks };
  return { result: 'clipped', reason: 'notResident', appliedBlocks, requestedBlocks };
}

/**
 * Whether these engines can execute an action: claims that fall back to their last access or drop, demotion to garbage and, with a
 * host tier, prefetch. They answer the rest with `rejected`, reason `unsupported`.
 */
export function isSupported(action: KvAction): boolean {
  if (action.verb === 'pin') {
    return action.hardness !== 'reference' && (action.onExpiry === 'trueLastAccess' || action.onExpiry === 'drop');
  }
  if (action.verb === 'demote') return action.toTier === undefined || action.toTier === 'none';
  return action.verb === 'prefetch';
}
