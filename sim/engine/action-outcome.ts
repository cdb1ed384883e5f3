import type { ActionOutcome, KvAction } from '../../control/ports.ts';

/** Outcome of an action on a range of which `appliedBlocks` are there: retention specification 3.2. */
export function outcomeOf(appliedBlocks: number, requestedBlocks: number): ActionOutcome {
  if (appliedBlocks === requestedBlocks) return { result: 'accepted', appliedBlocks, requestedBlocks };
  if (appliedBlocks === 0) return { result: 'missing', appliedBlocks, requestedBlocks };
  return { result: 'clipped', reason: 'notResident', appliedBlocks, requestedBlocks };
}

/** Outcome of a prefetch whose last `movedBlocks` blocks are on their way; those before them are there. */
export function prefetchOutcome(appliedBlocks: number, requestedBlocks: number, movedBlocks: number): ActionOutcome {
  return { ...outcomeOf(appliedBlocks, requestedBlocks), movedBlocks };
}

/** Whether deadline and level of an action make sense at its time; else it is `rejected`, reason `invalid`. */
export function isTimely({ verb, untilMs, priority }: KvAction, tMs: number): boolean {
  if (verb === 'pin') return untilMs >= tMs && untilMs < Number.POSITIVE_INFINITY;
  if (verb !== 'retain') return true;
  return untilMs >= tMs && Number.isInteger(priority) && priority! >= 0 && priority! <= 100;
}

/**
 * Whether these engines can execute an action: marks of all sorts, demotion to garbage and, with a host tier, demotion to it and prefetch.
 * With a store that workers share, also copies to it. They answer the rest with `rejected`, reason `unsupported`.
 */
export function isSupported(action: KvAction, hasHost: boolean, hasStore: boolean): boolean {
  if (action.verb === 'demote') return !leavesTier(action) || (hasHost && action.toTier === 1);
  if (action.verb === 'share') return hasStore && action.toTier === 3;
  return action.verb !== 'prefetch' || hasHost;
}

/** Whether an action is a demotion that copies to another tier. */
export function leavesTier({ verb, toTier }: KvAction): boolean {
  return verb === 'demote' && toTier !== undefined && toTier !== 'none';
}
