/**
 * The run-compressed HBM block pool of one worker. It behaves like a per-block pool with a free queue
 * `[hash-less blocks…][cached blocks in release order…]`, but hash-less blocks are only counted and cached ones are segments
 * (layout: segment-columns.ts). Admission costs O(segments on the path), independent of the number of blocks.
 *
 * Later physical copies. A block computed although it is already cached becomes a copy: a segment with a tag in a side chain of
 * its branch, oldest first. Look-ups see the primary = oldest copy; when that is evicted the next copy takes its place. A primary
 * cannot lose its place while referenced, so only owners of copies need the tag to find their blocks again.
 * Source: engine specification 2.2-2.4, 2.9; retention specification 4.1.
 */
import type { BranchTable } from '../../../control/blocks.ts';
import { REMOVAL } from '../removal.ts';
import type { WorkerCounters } from '../worker.ts';
import type { KvOutbox } from './kv-outbox.ts';
import {
  AFTER,
  DOOMED,
  DUE,
  EXPIRED,
  GARBAGE,
  IN_USE,
  LEASE,
  LEVELLED,
  NONE,
  ORDINARY,
  pathBranch,
  pathLimit,
  REFERRED,
  SegmentColumns,
  SOFT,
  WORN,
} from './segment-columns.ts';
import type { SegmentStore } from './segment-store.ts';

/** Totals that a pool adds to. */
export type PoolTotals = Pick<
  WorkerCounters,
  'hbmEvictedBlocks' | 'hbmExpiredBlocks' | 'duplicateBlocks' | 'claimsBroken' | 'claimsExpired'
>;

/** The pool without claims; all counts in blocks. */
export class SegmentPool extends SegmentColumns {
  /** Blocks an allocation may take: hash-less ones and idle cached ones, claimed or not. */
  free: number;
  /** Free blocks without content. */
  hashless: number;
  /** Blocks with content, later copies included. */
  cached = 0;
  /** Later copies among them. */
  copyBlocks = 0;
  /** Idle blocks among the hits of the last {@link match}. */
  matchIdle = 0;
  /** The tier below has what is evicted now, so that no claim breaks. */
  protected isHonoured = false;
  readonly usable: number;
  protected readonly totals: PoolTotals;
  protected readonly outbox: KvOutbox;

  constructor(branches: BranchTable, usable: number, outbox: KvOutbox, totals: PoolTotals, store: SegmentStore) {
    super(branches, store);
    this.totals = totals;
    this.usable = usable;
    this.outbox = outbox;
    this.free = usable;
    this.hashless = usable;
  }

  /** Cached blocks without holder. */
  get idle(): number {
    return this.free - this.hashless;
  }

  /** Idle cached blocks under a live claim. */
  get claimed(): number {
    return this.listed[SOFT]! + this.listed[LEASE]!;
  }

  /**
   * Length of the cached prefix of the chain (leaf, depth) in blocks; {@link matchIdle} counts the idle ones among the first
   * `cap` of it. No side effect.
   */
  match(leaf: number, depth: number, cap: number): number {
    const entries = this.branches.path(leaf, depth, pathBranch, pathLimit);
    const { from, to, ref, next } = this;
    let hit = 0;
    let idle = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      let end = 0;
      for (let s = this.chains.get(pathBranch[i]!); s !== NONE && from[s] === end && end < limit; s = next[s]!) {
        this.touched++;
        const stop = Math.min(to[s]!, limit);
        if (ref[s] === 0) {
          const counted = Math.min(hit + stop, cap) - (hit + end);
          if (counted > 0) idle += counted;
        }
        end = stop;
      }
      hit += end;
      if (end < limit) break;
    }
    this.matchIdle = idle;
    return hit;
  }

  /** Takes a reference on the first `depth` blocks of a chain, all cached; a hit refreshes claims and forgives a demotion. */
  touch(leaf: number, depth: number, nowMs: number): void {
    if (depth === 0) return;
    const entries = this.branches.path(leaf, depth, pathBranch, pathLimit);
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      let s = this.chains.get(pathBranch[i]!);
      for (;;) {
        this.touched++;
        if (this.to[s]! > limit) this.split(s, limit);
        if (this.ref[s] === 0) {
          this.free -= this.to[s]! - this.from[s]!;
          this.remove(s);
        }
        this.ref[s]!++;
        if (this.mark[s] !== 0) this.hitMarked(s, nowMs);
        const end = this.to[s]!;
        const before = this.prev[s]!;
        if (before !== NONE && this.ref[before] === this.ref[s] && this.to[before] === this.from[s]) {
          this.mergeNext(before);
          if (this.to[before] === end) s = before;
        }
        if (end === limit) break;
        s = this.next[s]!;
      }
    }
  }

  /** Takes a reference on blocks [first, last) of a chain, all cached; no hit. */
  hold(leaf: number, first: number, last: number): void {
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    let start = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      if (first < start + limit) this.holdRange(pathBranch[i]!, Math.max(first - start, 0), limit);
      start += limit;
    }
  }

  private holdRange(branch: number, low: number, high: number): void {
    let s = this.chains.get(branch);
    while (this.to[s]! <= low) s = this.next[s]!;
    if (this.from[s]! < low) s = this.split(s, low);
    for (;;) {
      this.touched++;
      if (this.to[s]! > high) this.split(s, high);
      if (this.ref[s] === 0) {
        this.free -= this.to[s]! - this.from[s]!;
        this.remove(s);
      }
      this.ref[s]!++;
      if (this.to[s] === high) return;
      s = this.next[s]!;
    }
  }

  /**
   * Blocks in a row from block `first` of a chain on, up to `last`, of which a copy is here. No side effect. Cost O(segments of the path).
   */
  rowFrom(leaf: number, first: number, last: number): number {
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    let start = 0;
    let at = first;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      if (at < start + limit) {
        let x = at - start;
        let s = this.chains.get(pathBranch[i]!);
        while (s !== NONE && this.to[s]! <= x) s = this.next[s]!;
        for (; s !== NONE && x < limit && this.from[s]! <= x; s = this.next[s]!) x = Math.min(this.to[s]!, limit);
        at = start + x;
        if (x < limit) break;
      }
      start += limit;
    }
    return at - first;
  }

  /** A hit on a segment with a mark. */
  protected hitMarked(s: number, _nowMs: number): void {
    if (this.mark[s] === GARBAGE) this.mark[s] = 0;
  }

  /** Takes `n` blocks out of the free ones; the caller has checked `n <= free`. Evicts in victim order when hash-less ones run out. */
  take(n: number): void {
    this.free -= n;
    if (n <= this.hashless) {
      this.hashless -= n;
      return;
    }
    this.outbox.taken = this.hashless;
    this.evict(n - this.hashless);
    this.hashless = 0;
  }

  /**
   * Names the blocks [first, last) of a chain that its holder computes: they become cached, referenced once. Blocks cached
   * already become later copies under `tag`. Returns the number of those.
   */
  enter(leaf: number, first: number, last: number, tag: number): number {
    if (last <= first) return 0;
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    let i = entries;
    let start = last;
    while (start > first) start -= pathLimit[--i]!;
    const before = this.copyBlocks;
    let x = first - start;
    for (; i < entries; i++) {
      this.enterRange(pathBranch[i]!, x, pathLimit[i]!, tag);
      x = 0;
    }
    return this.copyBlocks - before;
  }

  /**
   * The quick form of {@link enter} for one block of a decode: lengthens the segment `hint` of this branch if it ends there.
   * Returns the segment that ends with the block, or NONE if the block became a copy.
   */
  enterOne(branch: number, offset: number, hint: number, tag: number): number {
    if (!this.canLengthen(branch, offset, hint)) return this.enterRange(branch, offset, offset + 1, tag);
    this.lengthen(hint);
    this.outbox.stored(0, branch, offset, offset + 1);
    return hint;
  }

  /** Whether entering this block only lengthens the segment `hint` of its one holder. */
  canLengthen(branch: number, offset: number, hint: number): boolean {
    return (
      hint !== NONE &&
      this.branch[hint] === branch &&
      this.to[hint] === offset &&
      this.lengthens(hint) &&
      this.tag[hint] === 0 &&
      (this.next[hint] === NONE || this.from[this.next[hint]!]! > offset)
    );
  }

  /** Whether nothing would tell the block that its holder computes behind a segment from its own. */
  protected lengthens(s: number): boolean {
    return this.ref[s] === 1 && this.mark[s] === 0;
  }

  /** Enters the block after the end of a segment, see {@link canLengthen}. Nobody is told. */
  lengthen(s: number): void {
    this.to[s]!++;
    this.cached++;
  }

  /**
   * Enters one block of a decode that nobody is told of, if it lengthens the segment `hint` or is the first of its branch. Returns the
   * segment that ends with it; NONE if it is neither, and nothing is changed.
   */
  grow(branch: number, offset: number, hint: number): number {
    if (this.canLengthen(branch, offset, hint)) {
      this.lengthen(hint);
      return hint;
    }
    if (this.chains.get(branch) !== NONE) return NONE;
    this.touched++;
    this.cached++;
    const s = this.alloc(branch, offset, offset + 1, 1);
    this.link(this.chains, s, NONE);
    return s;
  }

  private enterRange(branch: number, first: number, last: number, tag: number): number {
    this.outbox.stored(0, branch, first, last);
    this.cached += last - first;
    let prev = NONE;
    let next = this.chains.get(branch);
    while (next !== NONE && this.from[next]! <= first) {
      prev = next;
      next = this.next[next]!;
      this.touched++;
    }
    let x = first;
    while (x < last) {
      if (prev !== NONE && this.to[prev]! > x) {
        const end = Math.min(last, this.to[prev]!);
        this.addCopy(branch, x, end, tag);
        x = end;
        continue;
      }
      const end = next !== NONE && this.from[next]! < last ? this.from[next]! : last;
      if (end > x) {
        if (prev !== NONE && this.to[prev] === x && this.lengthens(prev)) this.to[prev] = end;
        else {
          const s = this.alloc(branch, x, end, 1);
          this.link(this.chains, s, prev);
          prev = s;
        }
        this.touched++;
        x = end;
      } else {
        prev = next;
        next = this.next[next]!;
      }
    }
    return prev !== NONE && this.to[prev] === last && this.ref[prev] === 1 ? prev : NONE;
  }

  private addCopy(branch: number, from: number, to: number, tag: number): void {
    const s = this.alloc(branch, from, to, 1);
    this.tag[s] = tag;
    let last = this.copies.get(branch);
    if (last !== NONE) while (this.next[last] !== NONE) last = this.next[last]!;
    this.link(this.copies, s, last);
    this.copyBlocks += to - from;
    this.totals.duplicateBlocks += to - from;
  }

  /**
   * Gives back a holder's blocks: the first `depth` blocks of its chain are cached (copies under `tag` among them if tag > 0), and
   * `hashless` more carry no content. Leaf to root, so that the deep end is evicted first. `first` > 0: not the blocks before it.
   */
  release(leaf: number, depth: number, hashless: number, tag: number, first = 0): void {
    this.hashless += hashless;
    this.free += hashless;
    if (depth <= first) return;
    const entries = this.branches.path(leaf, depth, pathBranch, pathLimit);
    let end = depth;
    for (let i = entries - 1; i >= 0 && end > first; i--) {
      const branch = pathBranch[i]!;
      let high = pathLimit[i]!;
      end -= high;
      const low = first > end ? first - end : 0;
      while (tag > 0 && high > low) {
        const own = this.ownCopyBelow(branch, high, tag);
        if (own === NONE || this.from[own]! < low) break;
        if (this.to[own]! < high) this.releaseRange(branch, this.to[own]!, high);
        high = this.from[own]!;
        this.ref[own] = 0;
        if (this.mark[own] === DOOMED) this.dropHeld(own);
        else this.listIdle(own);
      }
      if (high > low) this.releaseRange(branch, low, high);
    }
  }

  /** The referenced copy of `tag` in a branch with the highest end at or below `high`. */
  private ownCopyBelow(branch: number, high: number, tag: number): number {
    let best = NONE;
    for (let s = this.copies.get(branch); s !== NONE; s = this.next[s]!) {
      if (this.tag[s] === tag && this.ref[s]! > 0 && this.to[s]! <= high && (best === NONE || this.to[s]! > this.to[best]!)) best = s;
    }
    return best;
  }

  /** Drops one reference on the primary blocks [low, high) of a branch, deep end first. */
  private releaseRange(branch: number, low: number, high: number): void {
    let s = this.chains.get(branch);
    while (this.to[s]! < high) s = this.next[s]!;
    if (this.to[s]! > high) this.split(s, high);
    for (;;) {
      this.touched++;
      if (this.from[s]! < low) s = this.split(s, low);
      const end = this.from[s]!;
      const before = this.prev[s]!;
      if (--this.ref[s]! === 0 && this.mark[s] === DOOMED) this.dropHeld(s);
      else {
        if (this.ref[s] === 0) this.listIdle(s);
        this.mergeNext(s);
      }
      if (end === low) {
        if (before !== NONE && this.to[before] === end) this.mergeNext(before);
        return;
      }
      s = before;
      // A copy that took the place of a dropped block may have joined it.
      if (this.to[s]! > end) this.split(s, end);
    }
  }

  /** Takes the content of a segment that just lost its last holder. */
  private dropHeld(s: number): void {
    const length = this.to[s]! - this.from[s]!;
    this.free += length;
    this.forget(s, length);
  }

  /** Takes content away without using the blocks; they become hash-less. */
  protected forget(s: number, blocks: number): void {
    this.cached -= blocks;
    this.hashless += blocks;
    this.totals.hbmExpiredBlocks += blocks;
    this.evictFrom(s, blocks);
  }

  /** Puts a segment that lost its last holder at the young end of its list. */
  protected listIdle(s: number): void {
    const length = this.to[s]! - this.from[s]!;
    this.free += length;
    this.seq[s >> 1] = this.releases;
    this.up[s] = 0;
    this.releases += length;
    const mark = this.mark[s]!;
    if (mark === 0 || mark === GARBAGE) this.insert(mark, s, this.youngest[mark]!);
    else this.listMarked(s);
  }

  /** Puts an idle segment with a live mark at its place. */
  protected listMarked(s: number): void {
    this.insertByDeadline(this.mark[s]!, s);
  }

  /** The segment from whose deep end the next block is evicted, until it is used up; NONE if no cached block is idle. */
  victim(): number {
    const { oldest } = this;
    if (oldest[GARBAGE] !== NONE) return oldest[GARBAGE]!;
    const s = oldest[ORDINARY]!;
    const other = oldest[EXPIRED]!;
    if (other !== NONE && (s === NONE || this.seq[other >> 1]! < this.seq[s >> 1]!)) return other;
    if (s !== NONE) return s;
    return oldest[SOFT] !== NONE ? oldest[SOFT]! : oldest[LEASE]!;
  }

  /** Removes `n` idle cached blocks in victim order. */
  protected evict(n: number): void {
    this.totals.hbmEvictedBlocks += n;
    this.cached -= n;
    while (n > 0) {
      const gone = this.evictFrom(this.victim(), n);
      n -= gone;
      this.outbox.taken += gone;
    }
  }

  /** Removes up to `n` blocks of a segment, deep end first; returns how many. */
  protected evictFrom(s: number, n: number): number {
    this.touched++;
    const from = this.from[s]!;
    const to = this.to[s]!;
    const branch = this.branch[s]!;
    const length = to - from;
    const reason = this.list[s] === ORDINARY ? REMOVAL.capacity : this.removalReason(s);
    const copy = this.tag[s] !== 0;
    if (copy) this.copyBlocks -= Math.min(length, n);
    let low = from;
    if (length <= n) {
      n = length;
      if (this.list[s] !== IN_USE) this.remove(s);
      this.unlink(copy ? this.copies : this.chains, s);
      this.dispose(s);
    } else {
      this.listed[this.list[s]!]! -= n;
      this.seq[s >> 1]! += n;
      low = to - n;
      this.to[s] = low;
    }
    this.outbox.removed(0, branch, low, to, reason);
    if (!copy && this.copyBlocks > 0) this.promote(branch, low, to);
    return n;
  }

  /** Why the content of a segment goes, if it is not an ordinary victim. */
  private removalReason(s: number): number {
    const mark = this.mark[s]!;
    if (mark === DUE || mark === DOOMED) return REMOVAL.deadline;
    if (mark === GARBAGE) return this.drop[s >> 4]!;
    if (this.list[s] === EXPIRED) return (this.drop[s >> 4]! & WORN) === 0 ? REMOVAL.afterClaim : REMOVAL.capacity;
    if (mark === REFERRED || mark === LEVELLED) return (this.drop[s >> 4]! & AFTER) !== 0 ? REMOVAL.afterClaim : REMOVAL.capacity;
    return this.isHonoured ? REMOVAL.capacity : REMOVAL.claimBroken;
  }

  /** Tells that all content is gone. Cost O(segments). */
  loseAll(reason: number): void {
    for (const map of [this.chains, this.copies]) {
      map.forEach((branch, first) => {
        for (let s = first; s !== NONE; s = this.next[s]!) this.outbox.lost(0, branch, this.from[s]!, this.to[s]!, reason);
      });
    }
  }

  /** Lets the oldest remaining copies of evicted primary blocks take their place. */
  private promote(branch: number, low: number, high: number): void {
    for (let x = low; x < high; x++) {
      let s = this.copies.get(branch);
      while (s !== NONE && !(this.from[s]! <= x && x < this.to[s]!)) s = this.next[s]!;
      if (s === NONE) continue;
      if (this.to[s]! > x + 1) this.split(s, x + 1);
      if (this.from[s]! < x) s = this.split(s, x);
      this.unlink(this.copies, s);
      this.tag[s] = 0;
      this.copyBlocks--;
      let prev = NONE;
      for (let p = this.chains.get(branch); p !== NONE && this.from[p]! < x; p = this.next[p]!) prev = p;
      this.link(this.chains, s, prev);
      this.mergeNext(s);
      if (prev !== NONE) this.mergeNext(prev);
    }
  }

  /** Empties the cache if nothing is referenced (vLLM reset_prefix_cache); emits no event. Returns whether it did. Cost O(segments). */
  reset(): boolean {
    if (this.free < this.usable) return false;
    this.loseAll(REMOVAL.cleared);
    for (let list = 0; list < this.oldest.length; list++) {
      for (let s = this.oldest[list]!; s !== NONE; s = this.oldest[list]!) {
        this.remove(s);
        this.unlink(this.tag[s] === 0 ? this.chains : this.copies, s);
        this.dispose(s);
      }
    }
    this.cached = 0;
    this.copyBlocks = 0;
    this.hashless = this.usable;
    return true;
  }

  /** Throws if the pool's own bookkeeping disagrees with its segments. Cost O(segments). */
  check(): void {
    let cached = 0;
    let idle = 0;
    let seen = 0;
    for (const map of [this.chains, this.copies]) {
      map.forEach((branch, first) => {
        let end = -1;
        let before = NONE;
        for (let s = first; s !== NONE; s = this.next[s]!) {
          seen++;
          this.assert(this.branch[s] === branch && this.prev[s] === before && this.to[s]! > this.from[s]!, 'E3 chain');
          this.assert(map === this.copies || this.from[s]! >= end, 'E3 order of a chain');
          this.assert((this.tag[s] === 0) === (map === this.chains), 'E3 tag');
          this.assert((this.ref[s] === 0) === (this.list[s] !== IN_USE), 'E1 idle segments are listed');
          end = this.to[s]!;
          cached += this.to[s]! - this.from[s]!;
          if (this.ref[s] === 0) idle += this.to[s]! - this.from[s]!;
          before = s;
        }
      });
    }
    this.assert(seen === this.segments, 'E3 segment count');
    this.assert(cached === this.cached, `E3 cached blocks: counted ${cached}, kept ${this.cached}`);
    this.assert(idle + this.hashless === this.free, `E1 free: idle ${idle} + hashless ${this.hashless} != ${this.free}`);
    for (let list = 0; list < this.oldest.length; list++) this.checkList(list);
  }

  private checkList(list: number): void {
    let blocks = 0;
    let seq = -1;
    let until = 0;
    for (let s = this.oldest[list]!; s !== NONE; s = this.younger[s]!) {
      const mark = this.mark[s]!;
      if (mark === SOFT || mark === LEASE) {
        if (this.until[s >> 4]! > until) seq = -1;
        this.assert(this.until[s >> 4]! >= until, 'E1 deadlines of a list');
        until = this.until[s >> 4]!;
      }
      this.assert(this.list[s] === list && (list > EXPIRED || mark === 0), 'E1 list of a segment');
      this.assert(this.seq[s >> 1]! > seq, 'E1 order of a list');
      blocks += this.to[s]! - this.from[s]!;
      seq = this.seq[s >> 1]! + this.to[s]! - this.from[s]! - 1;
    }
    this.assert(blocks === this.listed[list], 'E1 blocks of a list');
  }

  protected assert(condition: boolean, message: string): void {
    if (!condition) throw new Error(message);
  }
}
