/**
 * hostWrite `lazy`: nothing is copied below while blocks without content abound; when they run low, the blocks that will be evicted next
 * are copied ahead of their eviction. Source: retention specification 9.1 (eviction-aware offload, LMCache#4499).
 */
import type { EngineConfig } from './worker.ts';

/** Share of the usable blocks without content below which victims are copied ahead. */
const LOW_WATER = 0.1;
/** Copied ahead, in predicted needs. */
const HORIZON_NEEDS = 2;

/** Whether victims are copied ahead of their eviction. */
export function writesLazily({ hostWrite, hostBlocks, prefixCaching }: EngineConfig): boolean {
  return hostWrite === 'lazy' && hostBlocks > 0 && prefixCaching;
}

/** Victims are copied ahead while fewer blocks than this hold nothing. A number of blocks, not whole. */
export function lowWaterBlocks({ blocks }: EngineConfig): number {
  return LOW_WATER * (blocks - 1);
}

/**
 * How many blocks of the victim order are looked at: twice what the largest step takes, and no more than the host holds.
 */
export function horizonBlocks({ maxBatchedTokens, blockTokens, hostBlocks }: EngineConfig): number {
  return Math.min(HORIZON_NEEDS * Math.ceil(maxBatchedTokens / blockTokens), hostBlocks);
}
