/**
 * O2: no eviction saves more prefill time than this. Room gets a price at every moment; an interval is worth keeping if its worth
 * exceeds the prices it passes. For any prices >= 0
 *
 *     D = sum of price x room  +  sum over blocks of max(0, worth - prices on the way)
 *
 * bounds every choice of blocks that fits the room, blocks without their parents included. Prices are improved by subgradient steps
 * and the least D is reported. Source: retention specification 11, O2 (linear-programming duality).
 */
import { heldWorth } from './cost-aware-oracle.ts';
import type { PrefillWorth } from './prefill-worth.ts';
import type { ReuseIntervals } from './reuse-intervals.ts';

const STEPS = 200;
/** Steps without a better bound before the step is halved. */
const PATIENCE = 10;

export class DualOracle {
  /** Upper bound of the prefill time saved, hits on blocks in use included, ms. */
  readonly savedMs: number;
  readonly #intervals: ReuseIntervals;
  readonly #worth: PrefillWorth;
  /** Room of slot 2m = right before record m, 2m + 1 = right after it. */
  readonly #room: Float64Array;
  readonly #price: Float64Array;
  /** Room minus blocks kept at the current prices, by slot. */
  readonly #slack: Float64Array;
  readonly #sum: Float64Array;

  /** `feasibleMs`: what some eviction is known to save; sets the length of the steps. Cost O(200 x (records + intervals)). */
  constructor(intervals: ReuseIntervals, worth: PrefillWorth, feasibleMs: number) {
    this.#intervals = intervals;
    this.#worth = worth;
    const slots = 2 * intervals.capAfter.length;
    this.#room = Float64Array.from({ length: slots }, (_, k) => (k % 2 === 0 ? intervals.capBefore : intervals.capAfter)[k >> 1]!);
    this.#price = new Float64Array(slots);
    this.#slack = new Float64Array(slots);
    this.#sum = new Float64Array(slots + 1);
    const held = heldWorth(intervals, worth);
    let best = this.#bound();
    let scale = 1;
    let stale = 0;
    for (let step = 1; step < STEPS && best > feasibleMs - held; step++) {
      if (!this.#move(scale, feasibleMs - held)) break;
      const bound = this.#bound();
      if (bound < best) {
        best = bound;
        stale = 0;
      } else if (++stale === PATIENCE) {
        scale /= 2;
        stale = 0;
      }
    }
    this.savedMs = best + held;
  }

  #value = 0;

  /** D at the current prices; leaves the slack of every slot. */
  #bound(): number {
    const { start, end, depth, blocks } = this.#intervals;
    const { firstMs, slopeMs } = this.#worth;
    const room = this.#room;
    const price = this.#price;
    const sum = this.#sum;
    const kept = this.#slack.fill(0);
    let bound = 0;
    for (let k = 0; k < price.length; k++) {
      if (price[k]! > 0) bound += price[k]! * room[k]!;
      sum[k + 1] = sum[k]! + price[k]!;
    }
    for (let i = 0; i < start.length; i++) {
      const from = 2 * start[i]! + 1;
      const to = 2 * end[i]!;
      const cost = sum[to]! - sum[from]!;
      const last = depth[i]! + blocks[i]!;
      // Deeper blocks are worth more: those from `first` on pay.
      const break_ = slopeMs > 0 ? Math.floor((cost - firstMs) / slopeMs) + 1 : firstMs > cost ? depth[i]! : last;
      const first = Math.min(last, Math.max(depth[i]!, break_));
      if (first === last) continue;
      bound += this.#worth.of(first, last) - (last - first) * cost;
      kept[from]! += last - first;
      if (to < kept.length) kept[to]! -= last - first;
    }
    let live = 0;
    for (let k = 0; k < kept.length; k++) {
      live += kept[k]!;
      kept[k] = room[k]! - live;
    }
    this.#value = bound;
    return bound;
  }

  /** One step against the slack, never below price 0. False if no price can move. */
  #move(scale: number, feasibleMs: number): boolean {
    const price = this.#price;
    const slack = this.#slack;
    let norm = 0;
    for (let k = 0; k < price.length; k++) if (slack[k]! < 0 || price[k]! > 0) norm += slack[k]! * slack[k]!;
    if (norm === 0) return false;
    const length = (scale * (this.#value - feasibleMs)) / norm;
    for (let k = 0; k < price.length; k++) {
      if (slack[k]! < 0 || price[k]! > 0) price[k] = Math.max(0, price[k]! - length * slack[k]!);
    }
    return true;
  }
}
