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
  next: Int32Array;
  prev: Int32Array;
  offset: Float64Array;
  finish: Float64Array;
  /** Position in the heap; NONE = not a member. */
  place: Int32Array;
  shared: Uint8Array;
  private heap: Int32Array;
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
    this.next = new Int32Array(slots.capacity);
    this.prev = new Int32Array(slots.capacity);
    this.offset = new Float64Array(slots.capacity);
    this.finish = new Float64Array(slots.capacity);
    this.place = new Int32Array(slots.capacity).fill(NONE);
    this.shared = new Uint8Array(slots.capacity);
    this.heap = new Int32Array(slots.capacity);
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
      const { heap, offset } = this;
      for (let i = 0; i < this.count; i++) {
        const o = offset[heap[i]!]!;
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
    return s < this.place.length && this.place[s] !== NONE;
  }

  /** Resident tokens of a member. */
  computed(s: number): number {
    return this.offset[s]! + this.iter;
  }

  /** Tokens a member has still to produce. */
  remaining(s: number): number {
    return this.finish[s]! - this.iter;
  }

  /** Adds a slot with `computed` resident tokens and `remaining` >= 1 tokens to produce. */
  add(s: number, computed: number, remaining: number, shared: boolean): void {
    if (s >= this.place.length) this.widen();
    const offset = computed - this.iter;
    this.offset[s] = offset;
    this.finish[s] = this.iter + remaining;
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
    this.sift(this.count++, s);
  }

  remove(s: number): void {
    const last = this.heap[--this.count]!;
    const at = this.place[s]!;
    this.place[s] = NONE;
    if (last !== s) {
      if (at > 0 && this.before(last, this.heap[(at - 1) >> 1]!)) this.sift(at, last);
      else this.sink(at, last);
    }
    this.offsetSum -= this.offset[s]!;
    if (this.offset[s] === this.maxOffset) this.maxKnown = false;
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
    for (let i = 0; i < this.count; i++) this.place[this.heap[i]!] = NONE;
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
    const r = -this.offset[s]! % this.blockTokens;
    return r < 0 ? r + this.blockTokens : r + 0;
  }

  private linkPhase(s: number): void {
    const { next, prev } = this;
    const order = this.slots.order;
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
    const before = this.prev[s]!;
    const after = this.next[s]!;
    if (before === NONE) this.phaseHead[p] = after;
    else this.next[before] = after;
    if (after === NONE) this.phaseTail[p] = before;
    else this.prev[after] = before;
    if (--this.phaseCount[p]! === 0) this.occupied[p >> 5]! &= ~(1 << (p & 31));
  }

  private before(a: number, b: number): boolean {
    return this.finish[a]! < this.finish[b]! || (this.finish[a] === this.finish[b] && this.slots.order[a]! < this.slots.order[b]!);
  }

  private sift(i: number, s: number): void {
    const { heap, place } = this;
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
    const { heap, place } = this;
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

  private widen(): void {
    const size = this.slots.capacity;
    const wideInt = (old: Int32Array, fill: number): Int32Array => {
      const wide = new Int32Array(size).fill(fill);
      wide.set(old);
      return wide;
    };
    const wideFloat = (old: Float64Array): Float64Array => {
      const wide = new Float64Array(size);
      wide.set(old);
      return wide;
    };
    this.next = wideInt(this.next, 0);
    this.prev = wideInt(this.prev, 0);
    this.place = wideInt(this.place, NONE);
    this.heap = wideInt(this.heap, 0);
    this.offset = wideFloat(this.offset);
    this.finish = wideFloat(this.finish);
    const shared = new Uint8Array(size);
    shared.set(this.shared);
    this.shared = shared;
  }
}

/** Index of the lowest set bit. */
function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
