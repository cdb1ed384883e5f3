/**
 * The running requests that get exactly one token in every step, in a form that no step has to touch.
 *
 * `iter` counts steps in which the set took part. A member's resident tokens are `offset + iter`, so sums and maxima over members
 * follow from sums and maxima of offsets. A member needs a new block in the step that starts at iter = i when offset + i is a
 * multiple of the block size, and completes one when offset + i + 1 is. Members with the same remainder share a phase:
 *
 *     phase p (0..blockTokens)   members, in running order             p = -offset mod blockTokens
 *     step at iter i             phase  i      mod blockTokens  needs a block
 *                                phase (i + 1) mod blockTokens  completes one
 *
 * A binary heap holds the members by the iter after which they have produced their last token, ties in running order.
 * Source: engine specification 6.2, data-structures specification 4.
 */
import { widened } from '../../../control/widened.ts';
import type { RequestSlots } from './request-slots.ts';
import { NONE } from './segment-columns.ts';

export class DecodeSet {
  count = 0;
  iter = 0;
  /** Upper bound of the running order of all members. */
  orderBound = -1;
  /** Members whose next block may be matched by other requests. */
  sharedWriters = 0;
  readonly phaseHead: Int32Array;
  readonly phaseTail: Int32Array;
  readonly phaseCount: Int32Array;
  /** Bit p % 32 of word p / 32 = phase p has members. */
  private readonly occupied: Int32Array;
  private heap = new Int32Array(16);
  private offsetSum = 0;
  private maxOffset = -Infinity;
  private maxKnown = true;
  private readonly slots: RequestSlots;
  readonly blockTokens: number;
  /**
   * Steps between the schedule() that counts a step and the one that begins with its input known: 0, or 1 when scheduling runs a step
   * ahead. A block enters the cache, and is offered to lower tiers, so many iters after the set has counted its last token.
   */
  readonly lag: number;

  constructor(slots: RequestSlots, blockTokens: number, lag = 0) {
    this.slots = slots;
    this.blockTokens = blockTokens;
    this.lag = lag;
    this.iter = lag;
    this.phaseHead = new Int32Array(blockTokens).fill(NONE);
    this.phaseTail = new Int32Array(blockTokens).fill(NONE);
    this.phaseCount = new Int32Array(blockTokens);
    this.occupied = new Int32Array((blockTokens + 31) >> 5);
  }

  /** Next member of the phase, by slot. */
  get next(): Int32Array {
    return this.slots.phaseNext;
  }

  /** 1 = the next block of this slot may be matched by other requests. */
  get shared(): Int32Array {
    return this.slots.shared;
  }

  /** Sum of resident tokens. */
  get kvTokens(): number {
    return this.offsetSum + this.count * this.iter;
  }

  /** Largest number of resident tokens; 0 without members. */
  get maxKvTokens(): number {
    if (this.count === 0) return 0;
    if (!this.maxKnown) {
      let max = -Infinity;
      const { heap, slots } = this;
      for (let i = 0; i < this.count; i++) {
        const o = slots.offset(heap[i]!);
        if (o > max) max = o;
      }
      this.maxOffset = max;
      this.maxKnown = true;
    }
    return this.maxOffset + this.iter;
  }

  /** The member that ends first, or NONE. */
  get first(): number {
    return this.count === 0 ? NONE : this.heap[0]!;
  }

  has(s: number): boolean {
    return this.slots.place[s] !== NONE;
  }

  /** Resident tokens of a member. */
  computed(s: number): number {
    return this.slots.offset(s) + this.iter;
  }

  /** Tokens a member has still to produce. */
  remaining(s: number): number {
    return this.slots.finish(s) - this.iter;
  }

  /** Adds a slot with `computed` resident tokens and `remaining` >= 1 tokens to produce. */
  add(s: number, computed: number, remaining: number, shared: boolean): void {
    const offset = computed - this.iter;
    this.slots.setCourse(s, offset, this.iter + remaining);
    this.offsetSum += offset;
    if (this.count === 0) {
      this.maxOffset = offset;
      this.maxKnown = true;
      this.orderBound = this.slots.order[s]!;
    } else {
      if (offset > this.maxOffset) this.maxOffset = offset;
      if (this.slots.order[s]! > this.orderBound) this.orderBound = this.slots.order[s]!;
    }
    this.shared[s] = shared ? 1 : 0;
    if (shared) this.sharedWriters++;
    this.linkPhase(s);
    if (this.count === this.heap.length) this.heap = widened(this.heap, 2 * this.heap.length);
    this.sift(this.count++, s);
  }

  remove(s: number): void {
    const last = this.heap[--this.count]!;
    const { place } = this.slots;
    const at = place[s]!;
    place[s] = NONE;
    if (last !== s) {
      if (at > 0 && this.before(last, this.heap[(at - 1) >> 1]!)) this.sift(at, last);
      else this.sink(at, last);
    }
    const offset = this.slots.offset(s);
    this.offsetSum -= offset;
    if (offset === this.maxOffset) this.maxKnown = false;
    if (this.shared[s] === 1) this.sharedWriters--;
    this.unlinkPhase(s);
  }

  /**
   * Largest n <= horizon such that the members need at most `limit` new blocks in the n steps from `iter` on.
   * Cost O(min(horizon, block size)).
   */
  stepsWithNeed(limit: number, horizon: number): number {
    const bs = this.blockTokens;
    const { count, phaseCount } = this;
    if (count === 0 || count * Math.ceil(horizon / bs) <= limit) return horizon;
    if (limit <= 0) {
      const steps = this.distance(this.iter % bs);
      return Math.min(steps, horizon);
    }
    const cycles = Math.min(Math.floor(limit / count), Math.floor(horizon / bs));
    let steps = cycles * bs;
    let left = limit - cycles * count;
    let phase = this.iter % bs;
    while (steps < horizon) {
      left -= phaseCount[phase]!;
      if (left < 0) return steps;
      steps++;
      phase = phase + 1 === bs ? 0 : phase + 1;
    }
    return horizon;
  }

  /** Number of steps from `iter` on up to and including the first in which a member completes a block; at most `most`, at least 1. */
  stepsToCompletion(most: number): number {
    const phase = (this.iter % this.blockTokens) + 1 - this.lag;
    const steps = 1 + this.distance(phase === this.blockTokens ? 0 : phase);
    return steps < most ? steps : Math.max(most, 1);
  }

  /** Number of steps from `iter` on before the first in which a member needs or completes a block. */
  stepsToCrossing(): number {
    // An occupied phase completes blocks in the step before the one in which it needs them; a step ahead, both in one schedule().
    const steps = this.distance(this.iter % this.blockTokens) - 1 + this.lag;
    return steps > 0 ? steps : 0;
  }

  /** Phases from `phase` on, around the circle, before the first that has members; the block size if none has. */
  distance(phase: number): number {
    const { occupied, blockTokens } = this;
    let word = phase >> 5;
    let bits = occupied[word]! & (-1 << (phase & 31));
    while (bits === 0 && ++word < occupied.length) bits = occupied[word]!;
    if (bits !== 0) return (word << 5) + lowestBit(bits) - phase;
    for (word = 0; word << 5 < phase; word++) {
      bits = occupied[word]!;
      if (bits !== 0) return (word << 5) + lowestBit(bits) + blockTokens - phase;
    }
    return blockTokens;
  }

  clear(): void {
    for (let i = 0; i < this.count; i++) this.slots.place[this.heap[i]!] = NONE;
    this.phaseHead.fill(NONE);
    this.phaseTail.fill(NONE);
    this.phaseCount.fill(0);
    this.occupied.fill(0);
    this.count = 0;
    this.offsetSum = 0;
    this.maxOffset = -Infinity;
    this.maxKnown = true;
    this.sharedWriters = 0;
  }

  /** Phase of the members that complete a block in the step that ends next, or has just ended. */
  get completing(): number {
    return (this.iter - this.lag) % this.blockTokens;
  }

  /** Phase of a member. */
  phase(s: number): number {
    const r = -this.slots.offset(s) % this.blockTokens;
    return r < 0 ? r + this.blockTokens : r + 0;
  }

  private linkPhase(s: number): void {
    const { phaseNext: next, phasePrev: prev, order } = this.slots;
    const p = this.phase(s);
    let before = this.phaseTail[p]!;
    while (before !== NONE && order[before]! > order[s]!) before = prev[before]!;
    const after = before === NONE ? this.phaseHead[p]! : next[before]!;
    prev[s] = before;
    next[s] = after;
    if (before === NONE) this.phaseHead[p] = s;
    else next[before] = s;
    if (after === NONE) this.phaseTail[p] = s;
    else prev[after] = s;
    this.phaseCount[p]!++;
    this.occupied[p >> 5]! |= 1 << (p & 31);
  }

  private unlinkPhase(s: number): void {
    const p = this.phase(s);
    const { phaseNext: next, phasePrev: prev } = this.slots;
    const before = prev[s]!;
    const after = next[s]!;
    if (before === NONE) this.phaseHead[p] = after;
    else next[before] = after;
    if (after === NONE) this.phaseTail[p] = before;
    else prev[after] = before;
    if (--this.phaseCount[p]! === 0) this.occupied[p >> 5]! &= ~(1 << (p & 31));
  }

  private before(a: number, b: number): boolean {
    const { slots } = this;
    const later = slots.finish(a) - slots.finish(b);
    return later < 0 || (later === 0 && slots.order[a]! < slots.order[b]!);
  }

  private sift(i: number, s: number): void {
    const { heap } = this;
    const { place } = this.slots;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const other = heap[up]!;
      if (!this.before(s, other)) break;
      heap[i] = other;
      place[other] = i;
      i = up;
    }
    heap[i] = s;
    place[s] = i;
  }

  private sink(i: number, s: number): void {
    const { heap } = this;
    const { place } = this.slots;
    const n = this.count;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && this.before(heap[child + 1]!, heap[child]!)) child++;
      const other = heap[child]!;
      if (!this.before(other, s)) break;
      heap[i] = other;
      place[other] = i;
      i = child;
    }
    heap[i] = s;
    place[s] = i;
  }
}

/** Index of the lowest set bit. */
function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
