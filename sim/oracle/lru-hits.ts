/**
 * What a cache of the same room hits when it gives up what was released longest ago, deep end first: the reference without foresight
 * on the recorded order, with which placement can be judged apart from eviction. Sources: engine specification 2.3, retention 11.
 */
import type { ReuseIntervals } from './reuse-intervals.ts';

/** Blocks hit, those held by running requests included. Cost O(n log n) over n idle pieces. */
export function lruHits({ idle, capAfter, capBefore, heldBlocks }: ReuseIntervals): number {
  const { start, end, blocks, counted } = idle;
  const left = Int32Array.from(blocks);
  const byEnd = Int32Array.from(end, (_, i) => i).sort((a, b) => end[a]! - end[b]!);
  let live = 0;
  let hits = heldBlocks;
  let oldest = 0;
  let born = 0;
  let used = 0;
  const shrink = (room: number): void => {
    while (live > room) {
      const drop = Math.min(left[oldest]!, live - room);
      left[oldest]! -= drop;
      live -= drop;
      if (left[oldest] === 0) oldest++;
    }
  };
  for (let m = 0; m < capAfter.length; m++) {
    shrink(capBefore[m]!);
    for (; used < byEnd.length && end[byEnd[used]!] === m; used++) {
      const i = byEnd[used]!;
      hits += Math.min(left[i]!, counted[i]!);
      live -= left[i]!;
      left[i] = 0;
    }
    for (; born < start.length && start[born] === m; born++) live += left[born]!;
    shrink(capAfter[m]!);
  }
  return hits;
}
