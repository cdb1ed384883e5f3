/** The victim order, read ahead without evicting anything. Source: engine specification 4.7; hbm-pool.ts draws the order. */
import type { HbmPool } from './hbm-pool.ts';
import { EXPIRED, GARBAGE, LEASE, NONE, ORDINARY, SOFT } from './segment-columns.ts';

const UNRANKED: readonly number[] = [ORDINARY, SOFT, LEASE];

/**
 * Content worth a copy below among the next `count` victims: ranges (branch, from, to), in victim order, of each the deep end first; each
 * block once. Cost O(segments of them), O(blocks) if there are later copies. For pools without ranker.
 */
export function nextVictims(pool: HbmPool, count: number): number[] {
  const { oldest, younger, seq, from, to, branch, ranking } = pool;
  const ranges: number[] = [];
  let left = count - pool.hashless - pool.listed[GARBAGE]!;
  for (const list of ranking.length > 0 ? ranking : UNRANKED) {
    let s = oldest[list]!;
    let expired = list === ORDINARY ? oldest[EXPIRED]! : NONE;
    while (left > 0 && (s !== NONE || expired !== NONE)) {
      const isExpired = expired !== NONE && (s === NONE || seq[expired >> 1]! < seq[s >> 1]!);
      const next = isExpired ? expired : s;
      const blocks = Math.min(left, to[next]! - from[next]!);
      if (pool.isWorthKeeping(next)) ranges.push(branch[next]!, to[next]! - blocks, to[next]!);
      left -= blocks;
      if (isExpired) expired = younger[next]!;
      else s = younger[next]!;
    }
  }
  return pool.copyBlocks > 0 ? withoutCopies(ranges) : ranges;
}

function withoutCopies(ranges: readonly number[]): number[] {
  const seen = new Set<string>();
  const distinct: number[] = [];
  for (let i = 0; i < ranges.length; i += 3) {
    for (let x = ranges[i + 2]! - 1; x >= ranges[i + 1]!; x--) {
      const block = `${ranges[i]}:${x}`;
      if (!seen.has(block)) distinct.push(ranges[i]!, x, x + 1);
      seen.add(block);
    }
  }
  return distinct;
}
