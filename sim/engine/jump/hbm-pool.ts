/**
 * The HBM pool: a segment pool whose blocks may carry claims. A claim is a mark on segments, never a reference; it decides the list
 * in which an idle segment waits, and so the victim order.
 *
 *     garbage (demoted)  <  ordinary + expired, by release  <  soft pins, by deadline  <  leases, by deadline
 *
 * Deadlines of all claimed segments, referenced or idle, lie in a binary heap of (deadline, segment, generation); entries that a
 * refresh, merge or eviction made stale are recognised and skipped.
 * Source: engine specification 4.7, retention specification 4.1 and 7, worker port (claims).
 */
import { DOOMED, DROPS, DUE, EXPIRED, GARBAGE, IN_USE, LEASE, NONE, pathBranch, pathLimit, SOFT, WORN } from './segment-columns.ts';
import { SegmentPool } from './segment-pool.ts';

/** What a claim asks for. */
export interface ClaimTerms {
  readonly mark: number;
  readonly untilMs: number;
  readonly refreshMs: number;
  readonly session: number;
  readonly drop: boolean;
  readonly mode: 'max' | 'replace' | 'fixed';
}

export class HbmPool extends SegmentPool {
  /** A claim with onExpiry = drop was ever set: deadlines are effects of their own. */
  dropping = false;
  private heapUntil = new Float64Array(16);
  private heapSegment = new Int32Array(16);
  private heapGeneration = new Int32Array(16);
  private heapSize = 0;
  private garbageReason = 0;

  /** Earliest deadline of a live claim; Infinity if none. */
  get nextExpiryMs(): number {
    while (this.heapSize > 0 && !this.topLives()) this.pop();
    return this.heapSize === 0 ? Infinity : this.heapUntil[0]!;
  }

  /** Claims the resident copies of blocks [first, last) of a chain. Returns the number of distinct resident blocks. */
  claim(branch: number, first: number, last: number, terms: ClaimTerms): number {
    this.addClaimColumns();
    if (terms.drop) this.dropping = true;
    return this.mark_(branch, first, last, terms);
  }

  /**
   * Releases the resident copies of blocks [first, last) of a chain to class 0; `reason` = what their eviction will be told as (REMOVAL).
   * Returns the number of distinct blocks.
   */
  demote(branch: number, first: number, last: number, reason: number): number {
    this.addClaimColumns();
    this.garbageReason = reason;
    return this.mark_(branch, first, last, null);
  }

  private mark_(branch: number, first: number, last: number, terms: ClaimTerms | null): number {
    const entries = this.branches.path(branch, last, pathBranch, pathLimit);
    let start = 0;
    let resident = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      const low = first - start;
      start += limit;
      if (low >= limit) continue;
      const b = pathBranch[i]!;
      resident += this.markRange(this.chains.get(b), Math.max(low, 0), limit, terms);
      if (this.copyBlocks > 0) this.markRange(this.copies.get(b), Math.max(low, 0), limit, terms);
    }
    return resident;
  }

  private markRange(head: number, low: number, high: number, terms: ClaimTerms | null): number {
    let blocks = 0;
    let s = head;
    while (s !== NONE) {
      this.touched++;
      if (this.from[s]! >= high || this.to[s]! <= low) {
        s = this.next[s]!;
        continue;
      }
      if (this.from[s]! < low) s = this.split(s, low);
      if (this.to[s]! > high) this.split(s, high);
      blocks += this.to[s]! - this.from[s]!;
      if (terms === null) {
        this.drop[s >> 4] = this.garbageReason;
        this.remark(s, GARBAGE);
      } else this.setClaim(s, terms);
      const prev = this.prev[s]!;
      if (this.tag[s] === 0 && prev !== NONE) {
        const end = this.to[s]!;
        this.mergeNext(prev);
        if (this.to[prev] === end) s = prev;
      }
      s = this.next[s]!;
    }
    return blocks;
  }

  private setClaim(s: number, terms: ClaimTerms): void {
    const old = this.mark[s]!;
    let mark = terms.mark;
    let until = terms.untilMs;
    if (old === SOFT || old === LEASE) {
      if (terms.mode === 'fixed') return;
      if (terms.mode === 'max') {
        if (old > mark) mark = old;
        if (this.until[s >> 4]! > until) until = this.until[s >> 4]!;
      }
    }
    if (this.list[s] !== IN_USE) this.remove(s);
    this.until[s >> 4] = until;
    this.refresh[s >> 4] = terms.refreshMs;
    this.holder[s] = terms.session;
    this.drop[s >> 4] = terms.drop ? DROPS : 0;
    this.mark[s] = mark;
    if (this.ref[s] === 0) this.insertByDeadline(mark, s);
    this.push(until, s);
  }

  /** Gives a segment the mark 0, GARBAGE or DOOMED and moves it, if idle, to the list of that mark. */
  private remark(s: number, mark: number): void {
    this.mark[s] = mark;
    if (this.list[s] === IN_USE) return;
    this.remove(s);
    this.insertBySeq(mark === GARBAGE ? GARBAGE : EXPIRED, s);
  }

  protected override hitMarked(s: number, nowMs: number): void {
    const mark = this.mark[s]!;
    if (mark === GARBAGE) this.mark[s] = 0;
    else if (mark !== SOFT && mark !== LEASE) return;
    else if (this.refresh[s >> 4] === 0) this.drop[s >> 4]! |= WORN;
    else if (nowMs + this.refresh[s >> 4]! > this.until[s >> 4]!) {
      this.until[s >> 4] = nowMs + this.refresh[s >> 4]!;
      this.push(this.until[s >> 4]!, s);
    }
  }

  protected override split(s: number, at: number): number {
    const deep = super.split(s, at);
    if (this.mark[deep] === SOFT || this.mark[deep] === LEASE) this.push(this.until[deep >> 4]!, deep);
    return deep;
  }

  /** Ends the claims whose deadline lies before `tMs`, or at it if `inclusive`. Returns whether content was dropped. */
  expire(tMs: number, inclusive: boolean): boolean {
    let dropped = false;
    for (;;) {
      const until = this.nextExpiryMs;
      if (!(until < tMs || (inclusive && until === tMs))) return dropped;
      if (this.expireInstant(until)) dropped = true;
    }
  }

  /** All claims of one deadline; drops go in queue order. Returns whether content was dropped. */
  private expireInstant(until: number): boolean {
    let dropped = false;
    while (this.nextExpiryMs === until) {
      const s = this.heapSegment[0]!;
      this.pop();
      this.totals.claimsExpired += this.to[s]! - this.from[s]!;
      this.touched++;
      if ((this.drop[s >> 4]! & DROPS) === 0) {
        this.remark(s, 0);
        this.mergeAround(s);
      } else if (this.ref[s]! > 0) this.mark[s] = DOOMED;
      else {
        this.mark[s] = DUE;
        dropped = true;
      }
    }
    if (!dropped) return false;
    const { atMs } = this.outbox;
    this.outbox.at(until);
    // What is due now stands at the old end of the two lists; a drop may cut another due segment in two.
    for (;;) {
      const soft = this.dueHead(SOFT);
      const lease = this.dueHead(LEASE);
      if (soft === NONE && lease === NONE) break;
      const s = soft === NONE || (lease !== NONE && this.seq[lease >> 1]! < this.seq[soft >> 1]!) ? lease : soft;
      this.forget(s, this.to[s]! - this.from[s]!);
    }
    this.outbox.at(atMs);
    return true;
  }

  private dueHead(list: number): number {
    const s = this.oldest[list]!;
    return s !== NONE && this.mark[s] === DUE ? s : NONE;
  }

  private mergeAround(s: number): void {
    if (this.tag[s] !== 0) return;
    const prev = this.prev[s]!;
    this.mergeNext(s);
    if (prev !== NONE) this.mergeNext(prev);
  }

  private topLives(): boolean {
    const s = this.heapSegment[0]!;
    return (
      this.generation[s] === this.heapGeneration[0] &&
      (this.mark[s] === SOFT || this.mark[s] === LEASE) &&
      this.until[s >> 4] === this.heapUntil[0]
    );
  }

  private push(until: number, s: number): void {
    let i = this.heapSize++;
    if (i === this.heapUntil.length) this.widenHeap();
    const key = this.heapUntil;
    const segment = this.heapSegment;
    const generation = this.heapGeneration;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (key[up]! <= until) break;
      key[i] = key[up]!;
      segment[i] = segment[up]!;
      generation[i] = generation[up]!;
      i = up;
    }
    key[i] = until;
    segment[i] = s;
    generation[i] = this.generation[s]!;
  }

  private pop(): void {
    const n = --this.heapSize;
    const key = this.heapUntil;
    const segment = this.heapSegment;
    const generation = this.heapGeneration;
    const until = key[n]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && key[child + 1]! < key[child]!) child++;
      if (key[child]! >= until) break;
      key[i] = key[child]!;
      segment[i] = segment[child]!;
      generation[i] = generation[child]!;
      i = child;
    }
    key[i] = until;
    segment[i] = segment[n]!;
    generation[i] = generation[n]!;
  }

  private widenHeap(): void {
    const size = this.heapUntil.length * 2;
    const until = new Float64Array(size);
    until.set(this.heapUntil);
    this.heapUntil = until;
    const segment = new Int32Array(size);
    segment.set(this.heapSegment);
    this.heapSegment = segment;
    const generation = new Int32Array(size);
    generation.set(this.heapGeneration);
    this.heapGeneration = generation;
  }
}
