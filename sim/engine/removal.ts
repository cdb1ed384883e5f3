/**
 * Why a copy of a block left a tier, as the engine knows it. What that means for a request that misses the block is judged elsewhere
 * (sim/cluster/causes). Source: retention specification 13.3.
 */
import type { ReleaseReason } from '../../control/ports.ts';

/** Codes; a byte of segments and of the ledger of removals holds them. */
export const REMOVAL = {
  /** Taken by an allocation; no claim since its last access. */
  capacity: 0,
  /** Taken by an allocation after a claim ran out that was granted or refreshed at or after the last access. */
  afterClaim: 1,
  /** Dropped at the deadline of a claim, or at the last release after it. */
  deadline: 2,
  /** Taken by an allocation though a live claim covered it. */
  claimBroken: 3,
  /** Garbage: released on demand, after a close, after a newer state of the session, after an idle time-out. */
  released: 4,
  superseded: 5,
  timeout: 6,
  /** The worker crashed or left. */
  lost: 7,
  /** The cache was emptied on demand. */
  cleared: 8,
} as const;

/** Reason with which garbage will be evicted, by the cause that a demotion gave. */
export function releaseReason(why: ReleaseReason | undefined): number {
  if (why === 'superseded' || why === 'compacted') return REMOVAL.superseded;
  return why === 'timeout' ? REMOVAL.timeout : REMOVAL.released;
}
