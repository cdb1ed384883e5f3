/**
 * O1, leaf-MIN: the most blocks that any eviction could have had in the cache when they were asked for, in the recorded order. When
 * room is short it gives up the block with the farthest next use, the deepest of equals; a block without a next use is never kept.
 *
 * Exact for blocks of equal worth, also when the room changes with time: a parent's next use is never later than its child's, so the
 * farthest block can always be a leaf, and dropping what ends last at the first overload is optimal for intervals of equal weight.
 * Where some admissions do not count (warm-up, re-admissions) it is exact for a cache that may keep a block without its parent, as
 * vLLM's, and an upper bound for a tree. Source: retention specification 11, O1.
 */
import { IndexHeap } from './index-heap.ts';
import type { ReuseIntervals } from './reuse-intervals.ts';

export class BeladyOracle {
  /** Blocks hit, those held by running requests included. */
  readonly hitBlocks: number;
  /** By interval: blocks that were kept to its end, from the shallow end. */
  readonly kept: Int32Array;

  /** Cost O(n log n) over n intervals. */
  constructor(intervals: ReuseIntervals) {
    const { start, end, blocks, capAfter, capBefore, heldBlocks } = intervals;
    this.kept = Int32Array.from(blocks);
    const { kept } = this;
    const heap = new IndexHeap();
    const begins = byStart(start, capAfter.length);
    let live = 0;
    let hits = 0;
    let next = 0;
    // Intervals are numbered by end, then depth: the largest number is the farthest next use, and the deepest of it.
    const shrink = (room: number): void => {
      while (live > room) {
        const last = heap.top!;
        const drop = Math.min(kept[last]!, live - room);
        kept[last]! -= drop;
        live -= drop;
        if (kept[last] === 0) heap.pop();
      }
    };
    for (let m = 0; m < capAfter.length; m++) {
      shrink(capBefore[m]!);
      for (; next < end.length && end[next] === m; next++) {
        hits += kept[next]!;
        live -= kept[next]!;
      }
      for (let k = begins.from[m]!; k < begins.from[m + 1]!; k++) {
        const i = begins.interval[k]!;
        live += kept[i]!;
        heap.push(i);
      }
      shrink(capAfter[m]!);
    }
    this.hitBlocks = hits + heldBlocks;
  }
}

/** Intervals grouped by the record that starts them: those of record m are interval[from[m]..from[m + 1]). Cost O(n). */
export function byStart(start: Int32Array, records: number): { readonly from: Int32Array; readonly interval: Int32Array } {
  const from = new Int32Array(records + 1);
  for (const m of start) from[m + 1]!++;
  for (let m = 0; m < records; m++) from[m + 1]! += from[m]!;
  const at = Int32Array.from(from);
  const interval = new Int32Array(start.length);
  start.forEach((m, i) => {
    interval[at[m]!++] = i;
  });
  return { from, interval };
}
