/**
 * O3: an eviction that knows the future and what blocks are worth: when room is short it gives up the leaf with the largest distance to
 * its next use per worth. Feasible, so the best eviction saves at least as much. Source: retention specification 11, O3.
 *
 * Works on runs of blocks: inside a run the next use is the same and the worth grows with the depth, so once its deepest block is the
 * victim, the rest of the run follows. A run stops at the deepest branch below it that still holds blocks.
 */
import { byStart } from './belady-oracle.ts';
import type { PrefillWorth } from './prefill-worth.ts';
import type { ReuseIntervals } from './reuse-intervals.ts';

export class CostAwareOracle {
  /** Prefill time saved, hits on blocks in use included, ms. */
  readonly savedMs: number;
  readonly #intervals: ReuseIntervals;
  readonly #worth: PrefillWorth;
  /** Blocks kept by interval, from the shallow end. */
  readonly #kept: Int32Array;
  /** Kept intervals of each branch that has some. */
  readonly #live = new Map<number, number[]>();
  /** Kept blocks in the branch and below it; branches that hold none are absent. */
  readonly #below = new Map<number, number>();
  /** Branches of `#below` by parent. */
  readonly #children = new Map<number, Set<number>>();
  #total = 0;

  /** Cost O(records + intervals + evictions x branches that hold blocks). */
  constructor(intervals: ReuseIntervals, worth: PrefillWorth) {
    this.#intervals = intervals;
    this.#worth = worth;
    const { start, end, depth, blocks, branch, capAfter, capBefore } = intervals;
    this.#kept = Int32Array.from(blocks);
    const begins = byStart(start, capAfter.length);
    let saved = heldWorth(intervals, worth);
    let next = 0;
    for (let m = 0; m < capAfter.length; m++) {
      this.#shrink(m, capBefore[m]!);
      for (; next < end.length && end[next] === m; next++) {
        const kept = this.#kept[next]!;
        saved += worth.of(depth[next]!, depth[next]! + kept);
        if (kept > 0) this.#forget(next, kept);
      }
      for (let k = begins.from[m]!; k < begins.from[m + 1]!; k++) {
        const i = begins.interval[k]!;
        const list = this.#live.get(branch[i]!);
        if (list === undefined) this.#live.set(branch[i]!, [i]);
        else list.push(i);
        this.#count(branch[i]!, blocks[i]!);
      }
      this.#shrink(m, capAfter[m]!);
    }
    this.savedMs = saved;
  }

  #shrink(m: number, room: number): void {
    while (this.#total > room) {
      const { interval, blocks } = this.#victim(m);
      this.#forget(interval, Math.min(blocks, this.#total - room));
    }
  }

  /** The run whose deepest block goes first, and how many blocks of it are leaves. */
  #victim(m: number): { readonly interval: number; readonly blocks: number } {
    const { depth, end, table } = this.#intervals;
    let interval = -1;
    let blocks = 0;
    let best = -1;
    for (const [b, list] of this.#live) {
      let i = list[0]!;
      for (const other of list) if (depth[other]! > depth[i]!) i = other;
      let floor = depth[i]!;
      const children = this.#children.get(b);
      if (children !== undefined) for (const child of children) floor = Math.max(floor, table.start[child]!);
      const last = depth[i]! + this.#kept[i]!;
      if (floor >= last) continue;
      const ratio = (end[i]! - m) / this.#worth.at(last - 1);
      const deeper = interval < 0 ? true : last > depth[interval]! + this.#kept[interval]!;
      const same = interval >= 0 && last === depth[interval]! + this.#kept[interval]!;
      if (ratio > best || (ratio === best && (deeper || (same && i > interval)))) {
        best = ratio;
        interval = i;
        blocks = last - floor;
      }
    }
    return { interval, blocks };
  }

  /** Takes `blocks` off the deep end of an interval. */
  #forget(i: number, blocks: number): void {
    const b = this.#intervals.branch[i]!;
    this.#kept[i]! -= blocks;
    if (this.#kept[i] === 0) {
      const list = this.#live.get(b)!;
      if (list.length === 1) this.#live.delete(b);
      else list.splice(list.indexOf(i), 1);
    }
    this.#count(b, -blocks);
  }

  #count(branch: number, blocks: number): void {
    const { parent } = this.#intervals.table;
    this.#total += blocks;
    for (let b = branch; b >= 0; b = parent[b]!) {
      const sum = (this.#below.get(b) ?? 0) + blocks;
      const above = parent[b]!;
      if (sum > 0) {
        if (!this.#below.has(b)) {
          const siblings = this.#children.get(above);
          if (siblings === undefined) this.#children.set(above, new Set([b]));
          else siblings.add(b);
        }
        this.#below.set(b, sum);
      } else {
        this.#below.delete(b);
        this.#children.get(above)?.delete(b);
      }
    }
  }
}

/** Worth of the hits on blocks that running requests hold, ms. */
export function heldWorth({ heldFrom, heldTo }: ReuseIntervals, worth: PrefillWorth): number {
  let sum = 0;
  for (let i = 0; i < heldFrom.length; i++) sum += worth.of(heldFrom[i]!, heldTo[i]!);
  return sum;
}
