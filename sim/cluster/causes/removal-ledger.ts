/**
 * When and why the last copy of each block left, per branch as ranges of own blocks in ascending order. Only the latest removal of a
 * block is kept: where no copy is left, that is the removal of the last copy. A block that is stored again keeps its entry until it is
 * removed again; nobody asks for it meanwhile.
 *
 *     branch 7    [12..20) 8,100 ms capacity HBM rank 3  ->  [20..64) 7,950..8,020 ms capacity HBM rank 3  ->  …
 *
 * Neighbours with equal facts become one range if nothing that depends on the time could tell them apart: see {@link record}.
 * Source: retention specification 13.3.
 */

import { grownSparse } from '../../../control/sparse-growth.ts';
import { widened } from '../../../control/widened.ts';

/** No range: range 0 is never used, so that columns by branch are mostly zero. */
export const NO_RANGE = 0;

/** The ranges of all branches. 28 B per range; a removal of the block below the lowest range costs O(1), others O(ranges before it). */
export class RemovalLedger {
  /** Ranges visited so far; a measure of this structure's work. */
  touched = 0;
  /** Live ranges. */
  count = 0;
  #head = new Int32Array(1024);
  #from = new Int32Array(256);
  #to = new Int32Array(256);
  #next = new Int32Array(256);
  #sinceMs = new Float64Array(256);
  #atMs = new Float64Array(256);
  /** reason | tier << 4 | rank << 6. */
  #facts = new Int32Array(256);
  #free = NO_RANGE;
  #used = 1;

  /**
   * Own blocks [from, to) of a branch lost a copy between `sinceMs` and `atMs`. A range that was recorded before and ends where this one
   * begins (or the other way round) takes it in if reason, tier and rank are equal and neither begins before `changedMs`: the last
   * time at which anybody who may ask for the branch changed state. Infinity = never join, unless all times are equal. A removal that
   * another worker tells late and that falls into the times of a joined range counts as the earlier one.
   */
  record(
    branch: number,
    from: number,
    to: number,
    sinceMs: number,
    atMs: number,
    reason: number,
    tier: number,
    rank: number,
    changedMs: number,
  ): void {
    if (branch >= this.#head.length) this.#head = grownSparse(this.#head, branch + 1);
    const facts = reason | (tier << 4) | (rank << 6);
    let previous = NO_RANGE;
    let e = this.#head[branch]!;
    while (e !== NO_RANGE && this.#to[e]! <= from) {
      this.touched++;
      previous = e;
      e = this.#next[e]!;
    }
    this.touched++;
    // A removal that another worker reported meanwhile may be later than this one; then its blocks stay.
    while (e !== NO_RANGE && this.#from[e]! < to) {
      if (this.#atMs[e]! > atMs) {
        if (from < this.#from[e]!) previous = this.#insert(branch, previous, from, this.#from[e]!, sinceMs, atMs, facts);
        from = this.#to[e]!;
        previous = e;
        e = this.#next[e]!;
        if (from >= to) return;
        continue;
      }
      if (this.#from[e]! < from) {
        // The part before stays; the part behind, if any, becomes a range of its own.
        if (this.#to[e]! > to) this.#insert(branch, e, to, this.#to[e]!, this.#sinceMs[e]!, this.#atMs[e]!, this.#facts[e]!);
        this.#to[e] = from;
        previous = e;
        e = this.#next[e]!;
      } else if (this.#to[e]! > to) {
        this.#from[e] = to;
      } else {
        const next = this.#next[e]!;
        this.#unlink(branch, previous, e);
        e = next;
      }
    }
    if (e !== NO_RANGE && this.#from[e] === to && this.#joins(e, sinceMs, atMs, facts, changedMs)) {
      this.#from[e] = from;
      this.#take(e, sinceMs, atMs);
      return;
    }
    if (previous !== NO_RANGE && this.#to[previous] === from && this.#joins(previous, sinceMs, atMs, facts, changedMs)) {
      this.#to[previous] = to;
      this.#take(previous, sinceMs, atMs);
      return;
    }
    this.#insert(branch, previous, from, to, sinceMs, atMs, facts);
  }

  /** Range that holds own block `offset` of a branch, or the next one behind it; NO_RANGE if there is none. */
  find(branch: number, offset: number): number {
    if (branch >= this.#head.length) return NO_RANGE;
    let e = this.#head[branch]!;
    while (e !== NO_RANGE && this.#to[e]! <= offset) {
      this.touched++;
      e = this.#next[e]!;
    }
    return e;
  }

  /** Range behind a range. */
  next(range: number): number {
    return this.#next[range]!;
  }

  from(range: number): number {
    return this.#from[range]!;
  }

  to(range: number): number {
    return this.#to[range]!;
  }

  /** Latest time at which a block of the range may have been removed. */
  atMs(range: number): number {
    return this.#atMs[range]!;
  }

  /** Code of REMOVAL. */
  reason(range: number): number {
    return this.#facts[range]! & 15;
  }

  tier(range: number): number {
    return (this.#facts[range]! >> 4) & 3;
  }

  rank(range: number): number {
    return this.#facts[range]! >> 6;
  }

  /** Nobody will ask for this branch any more. */
  forget(branch: number): void {
    if (branch >= this.#head.length) return;
    for (let e = this.#head[branch]!; e !== NO_RANGE; ) {
      const next = this.#next[e]!;
      this.#release(e);
      e = next;
    }
    this.#head[branch] = NO_RANGE;
  }

  /** Bytes of all columns. */
  get bytes(): number {
    return this.#head.length * 4 + this.#from.length * 32;
  }

  #joins(e: number, sinceMs: number, atMs: number, facts: number, changedMs: number): boolean {
    if (this.#facts[e] !== facts) return false;
    const first = Math.min(sinceMs, this.#sinceMs[e]!);
    return first > changedMs || first === Math.max(atMs, this.#atMs[e]!);
  }

  #take(e: number, sinceMs: number, atMs: number): void {
    if (sinceMs < this.#sinceMs[e]!) this.#sinceMs[e] = sinceMs;
    if (atMs > this.#atMs[e]!) this.#atMs[e] = atMs;
  }

  /** Adds a range behind `previous` (NO_RANGE = first). */
  #insert(branch: number, previous: number, from: number, to: number, sinceMs: number, atMs: number, facts: number): number {
    let e = this.#free;
    if (e !== NO_RANGE) this.#free = this.#next[e]!;
    else {
      e = this.#used++;
      if (e === this.#from.length) this.#grow();
    }
    this.count++;
    this.#from[e] = from;
    this.#to[e] = to;
    this.#sinceMs[e] = sinceMs;
    this.#atMs[e] = atMs;
    this.#facts[e] = facts;
    if (previous === NO_RANGE) {
      this.#next[e] = this.#head[branch]!;
      this.#head[branch] = e;
    } else {
      this.#next[e] = this.#next[previous]!;
      this.#next[previous] = e;
    }
    return e;
  }

  #unlink(branch: number, previous: number, e: number): void {
    if (previous === NO_RANGE) this.#head[branch] = this.#next[e]!;
    else this.#next[previous] = this.#next[e]!;
    this.#release(e);
  }

  #release(e: number): void {
    this.count--;
    this.#next[e] = this.#free;
    this.#free = e;
  }

  #grow(): void {
    const size = this.#from.length * 2;
    this.#from = widened(this.#from, size);
    this.#to = widened(this.#to, size);
    this.#next = widened(this.#next, size);
    this.#facts = widened(this.#facts, size);
    this.#sinceMs = widened(this.#sinceMs, size);
    this.#atMs = widened(this.#atMs, size);
  }
}
