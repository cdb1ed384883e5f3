/** Families hashing, indexer, tiers, approx_ttl, approx_lru. */
import type { Family } from '../suite.ts';

export const INDEX_RULES: Readonly<Record<string, string>> = {};

/** The families whose recordings lie in the folder. */
export function indexFamilies(_folder: string): Family[] {
  return [];
}
