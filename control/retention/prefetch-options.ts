import type { BranchId } from '../blocks.ts';
import type { Blocks, KvAction, Millis, RankId, SessionId, Tokens } from '../ports.ts';

/** When blocks below HBM are brought up ahead of their use; retention specification 9.4. */
export interface PrefetchOptions {
  /** When a request is dispatched, before its admission. */
  readonly onArrival: boolean;
  /** When a paused session is expected back. */
  readonly onPredicted: boolean;
  /** Of onArrival: how many requests of a rank that wait for their first token, >= 1. */
  readonly lookahead: number;
  /** Less than that is left to the admission. */
  readonly minTokens: Tokens;
}

/** What a live engine needs for any of it. */
export const PREFETCH_DEPLOYABLE = 'needs loads from lower tiers ahead of admission';

/** Defaults of retention specification 9.4; nothing is brought up. */
export const PREFETCH_OFF: PrefetchOptions = { onArrival: false, onPredicted: false, lookahead: 4, minTokens: 256 };

/** Asks a worker to bring the first blocks of a chain up to HBM, those that lie below. */
export function prefetchAction(
  rank: RankId,
  session: SessionId,
  branch: BranchId,
  depthBlocks: Blocks,
  nowMs: Millis,
): Omit<KvAction, 'id'> {
  return {
    verb: 'prefetch',
    rank,
    session,
    branch,
    fromBlocks: 0,
    toBlocks: depthBlocks,
    untilMs: nowMs,
    hardness: 'soft',
    mode: 'max',
    onExpiry: 'trueLastAccess',
    tierFloor: 0,
  };
}
