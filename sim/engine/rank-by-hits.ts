import type { Ranker } from './worker.ts';

/** Hits from which slru protects a block. Source: retention specification 6, R3 (SGLang `mem_cache/evict_policy.py`). */
export const PROTECTED_HITS = 2;

/** Key of a block by its hits since it was stored; smaller = evicted first. 0 for rankers that do not count hits. */
export function rankByHits(ranker: Ranker, hits: number): number {
  if (ranker === 'lfu') return hits;
  return ranker === 'slru' && hits >= PROTECTED_HITS ? 1 : 0;
}
