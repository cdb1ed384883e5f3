/**
 * The host tier: a block cache in least-recently-used order, as segments. All slots, read, written or idle, stand in one list.
 *
 *     oldest  <->  [0..64) ready  <->  [64..70) pinned by a load  <->  [70..71) being written  <->  youngest
 *
 * A look-up touches what is there of the whole chain tail first, so the head ends youngest and the deep end of such a segment is
 * the older one (`up` = 0); offered blocks are touched and inserted in order, so their shallow end is older (`up` = 1). `ref` = 1
 * marks blocks that a load reads, `mark` = WRITING blocks whose copy is under way; both are passed over by eviction.
 * Source: engine specification 4.3, 4.5.
 */
import type { BranchTable } from '../../../control/blocks.ts';
import type { LowerTiers } from '../lower-tiers.ts';
import { REMOVAL } from '../removal.ts';
import type { WorkerCounters } from '../worker.ts';
import type { WriteFilter } from '../write-filter.ts';
import type { KvOutbox } from './kv-outbox.ts';
import { NONE, ORDINARY, pathBranch, pathLimit, SegmentColumns, WRITING } from './segment-columns.ts';
import type { SegmentStore } from './segment-store.ts';

/** Blocks whose look-ups are counted before they are stored (vLLM's tracker). */
const TRACKED_BLOCKS = 64_000;
/** Own offsets of a branch that a tracker key can tell apart. */
const OFFSETS = 2 ** 21;

export type HostTotals = Pick<WorkerCounters, 'hostEvictedBlocks' | 'hostSkippedFullBlocks' | 'hostSkippedPresentBlocks'>;

export class HostPool extends SegmentColumns {
  /** Slots in use. */
  filled = 0;
  readonly capacity: number;
  /** Among the readable blocks of the last {@link find}: number before the first one that a load reads already. */
  unread = 0;
  /** After an offer: a segment near its end, and the first one that it writes (NONE = it writes nothing). */
  hint = NONE;
  written = NONE;
  /** What lies below; hears of readable copies that come and go. Null = nothing. */
  lower: LowerTiers | null = null;
  private readyBlocks = new Uint8Array(256);
  private isForced = false;
  /** Time of the offer in hand. */
  private nowMs = 0;
  private pinned = 0;
  private writing = 0;
  private readonly outbox: KvOutbox;
  private readonly totals: HostTotals;
  private readonly storeThreshold: number;
  private readonly filter: WriteFilter | null;
  private readonly lookups = new Map<number, number>();
  /** Ranges (branch, from, to) of an offer that are to be written. */
  private wanted = new Int32Array(48);
  private wantedCount = 0;
  private wantedBlocks = 0;

  constructor(
    branches: BranchTable,
    capacity: number,
    storeThreshold: number,
    outbox: KvOutbox,
    totals: HostTotals,
    store: SegmentStore,
    filter: WriteFilter | null = null,
  ) {
    super(branches, store);
    this.filter = filter;
    this.capacity = capacity;
    this.storeThreshold = storeThreshold;
    this.outbox = outbox;
    this.totals = totals;
  }

  /** Touches the chain (leaf, depth), tail first; returns the number of readable blocks in a row from block `from` on. */
  find(leaf: number, depth: number, from: number): number {
    const entries = this.branches.path(leaf, depth, pathBranch, pathLimit);
    if (this.storeThreshold > 1) this.countLookups(entries, from);
    for (let i = entries - 1; i >= 0; i--) this.touchTailFirst(pathBranch[i]!, pathLimit[i]!);
    return this.readable(entries, from);
  }

  /** Readable blocks in a row from block `from` of the chain (leaf, depth) on. No side effect but `unread`. */
  continuation(leaf: number, depth: number, from: number): number {
    return this.readable(this.branches.path(leaf, depth, pathBranch, pathLimit), from);
  }

  /** 1 for each block of the chain (leaf, depth) that can be read; valid until the next call. */
  readyColumn(leaf: number, depth: number): Uint8Array {
    if (this.readyBlocks.length < depth) this.readyBlocks = new Uint8Array(2 * depth);
    this.readyBlocks.fill(0, 0, depth);
    const entries = this.branches.path(leaf, depth, pathBranch, pathLimit);
    let start = 0;
    for (let i = 0; i < entries; i++) {
      this.markHeld(pathBranch[i]!, 0, pathLimit[i]!, this.readyBlocks, start, 1);
      start += pathLimit[i]!;
    }
    return this.readyBlocks;
  }

  private readable(entries: number, first: number): number {
    let start = 0;
    let at = first;
    let unread = -1;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      if (at < start + limit) {
        let x = at - start;
        let s = this.chains.get(pathBranch[i]!);
        while (s !== NONE && this.to[s]! <= x) s = this.next[s]!;
        while (s !== NONE && x < limit && this.from[s]! <= x && this.mark[s] !== WRITING) {
          if (this.ref[s]! > 0 && unread < 0) unread = start + x - first;
          x = Math.min(this.to[s]!, limit);
          s = this.next[s]!;
        }
        at = start + x;
        if (x < limit) break;
      }
      start += limit;
    }
    const count = at - first;
    this.unread = unread < 0 ? count : unread;
    return count;
  }

  private touchTailFirst(branch: number, limit: number): void {
    let s = this.chains.get(branch);
    if (s === NONE || this.from[s]! >= limit) return;
    for (let n = this.next[s]!; n !== NONE && this.from[n]! < limit; n = this.next[n]!) s = n;
    if (this.to[s]! > limit) this.split(s, limit);
    while (s !== NONE) {
      this.touched++;
      const before = this.prev[s]!;
      this.remove(s);
      this.append(s, 0);
      this.mergeNext(s);
      s = before;
    }
  }

  /** Makes a segment the youngest. */
  private append(s: number, up: 0 | 1): void {
    this.seq[s >> 1] = this.releases;
    this.up[s] = up;
    this.releases += this.to[s]! - this.from[s]!;
    this.insert(ORDINARY, s, this.youngest[ORDINARY]!);
  }

  /**
   * Takes slots for those of blocks [first, last) of a chain that are not there, all or nothing, and marks them as written by `job`;
   * touches those that are. Returns the number of slots taken, or -1 if not enough can be evicted. A segment near `first` as `hint`
   * (any id will do) saves the walk from the start of the branch; {@link hint} is one for the next offer. Counts a pass over all of them
   * unless there is no room. `isForced`: a demotion, also of blocks that were looked up or passed too seldom.
   */
  offer(leaf: number, first: number, last: number, job: number, tMs: number, hint = NONE, isForced = false): number {
    this.hint = hint;
    this.isForced = isForced;
    this.nowMs = tMs;
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    this.wantedCount = 0;
    this.wantedBlocks = 0;
    let evictable = this.filled - this.pinned - this.writing;
    let start = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      if (first < start + limit) evictable -= this.touchInOrder(pathBranch[i]!, first > start ? first - start : 0, limit);
      start += limit;
    }
    const wanted = this.wantedBlocks;
    const short = this.filled + wanted - this.capacity;
    if (short > 0) {
      if (evictable < short) {
        this.totals.hostSkippedFullBlocks += wanted;
        return -1;
      }
      this.evict(short);
    }
    if (!isForced && this.filter !== null) this.pass(leaf, first, last, tMs);
    this.written = NONE;
    for (let i = 0; i < this.wantedCount; i++) this.write(this.wanted[3 * i]!, this.wanted[3 * i + 1]!, this.wanted[3 * i + 2]!, job);
    this.filled += wanted;
    this.writing += wanted;
    return wanted;
  }

  /** Touches what is there of [low, high) of a branch and notes the rest as wanted. Returns the touched blocks that were evictable. */
  private touchInOrder(branch: number, low: number, high: number): number {
    let evictable = 0;
    let x = low;
    let s = this.startBelow(branch, low);
    while (s !== NONE && this.to[s]! <= low) s = this.next[s]!;
    while (s !== NONE && this.from[s]! < high) {
      this.touched++;
      if (this.from[s]! < x) s = this.split(s, x);
      if (this.to[s]! > high) this.split(s, high);
      this.want(branch, x, this.from[s]!);
      const length = this.to[s]! - this.from[s]!;
      this.totals.hostSkippedPresentBlocks += length;
      if (this.ref[s] === 0 && this.mark[s] !== WRITING) evictable += length;
      x = this.to[s]!;
      this.remove(s);
      this.append(s, 1);
      const prev = this.prev[s]!;
      const next = this.next[s]!;
      this.hint = s;
      if (prev !== NONE && this.to[prev] === this.from[s]) {
        this.mergeNext(prev);
        if (this.to[prev] === x) this.hint = prev;
      }
      s = next;
    }
    this.want(branch, x, high);
    return evictable;
  }

  /** A request passes over blocks [first, last) of a chain. Cost O(blocks), nothing without a filter. */
  pass(leaf: number, first: number, last: number, tMs: number): void {
    const { filter } = this;
    if (filter === null) return;
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    let start = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      for (let x = Math.max(first - start, 0); x < limit; x++) filter.pass(pathBranch[i]! * OFFSETS + x, tMs);
      start += limit;
    }
  }

  /** A copy of blocks [from, to) of a branch left HBM. */
  leftHbm(branch: number, from: number, to: number): void {
    for (let x = from; x < to; x++) this.filter!.left(branch * OFFSETS + x);
  }

  /** Notes blocks for writing; with a store threshold or filter only those that may be written. */
  private want(branch: number, from: number, to: number): void {
    if (from >= to) return;
    if (this.isForced || (this.storeThreshold <= 1 && this.filter === null)) {
      this.wantRange(branch, from, to);
      return;
    }
    for (let x = from; x < to; x++) if (this.isWanted(branch * OFFSETS + x)) this.wantRange(branch, x, x + 1);
  }

  private isWanted(key: number): boolean {
    if (this.storeThreshold > 1 && (this.lookups.get(key) ?? 0) < this.storeThreshold) return false;
    return this.filter === null || this.filter.wouldAdmit(key, this.nowMs);
  }

  private wantRange(branch: number, from: number, to: number): void {
    const at = 3 * this.wantedCount++;
    if (at + 3 > this.wanted.length) {
      const wide = new Int32Array(this.wanted.length * 2);
      wide.set(this.wanted);
      this.wanted = wide;
    }
    this.wanted[at] = branch;
    this.wanted[at + 1] = from;
    this.wanted[at + 2] = to;
    this.wantedBlocks += to - from;
  }

  /**
   * Takes a slot for a block evicted from HBM and marks it as written by `job`, if it is not there and a slot can be had; touches it if
   * it is there. Returns whether it took one. Cost O(segments of the branch).
   */
  offerVictim(branch: number, x: number, job: number, tMs: number): boolean {
    let s = this.holderOf(branch, x);
    if (s !== NONE) {
      this.totals.hostSkippedPresentBlocks++;
      if (this.from[s]! < x) s = this.split(s, x);
      if (this.to[s]! > x + 1) this.split(s, x + 1);
      this.remove(s);
      this.append(s, 0);
      this.mergeAround(s);
      return false;
    }
    if (!this.admits(branch, x, tMs)) return false;
    const isTaken = this.takeSlot(branch, x, job);
    if (!isTaken) this.totals.hostSkippedFullBlocks++;
    return isTaken;
  }

  /**
   * Takes slots for those of the blocks in ranges (branch, from, to), deep end first, that are not there, in their order, as long as others
   * than theirs can go; touches those that are, so that all of them end youngest in their order. Returns the number of slots taken.
   */
  offerAhead(ranges: readonly number[], job: number, tMs: number): number {
    const missing: number[] = [];
    let evictable = this.filled - this.pinned - this.writing;
    for (let i = 0; i < ranges.length; i += 3) {
      const branch = ranges[i]!;
      for (let x = ranges[i + 2]! - 1; x >= ranges[i + 1]!; ) {
        const s = this.holderOf(branch, x);
        if (s === NONE && this.admits(branch, x, tMs)) missing.push(branch, x);
        x = s === NONE ? x - 1 : this.from[s]! - 1;
      }
      evictable -= this.touchDeepFirst(branch, ranges[i + 1]!, ranges[i + 2]!);
    }
    const free = this.capacity - this.filled;
    const taken = Math.min(missing.length / 2, free + evictable);
    if (taken > free) this.evict(taken - free);
    for (let i = 0; i < taken; i++) this.takeSlot(missing[2 * i]!, missing[2 * i + 1]!, job);
    if (taken > 0) for (let i = 0; i < ranges.length; i += 3) this.touchDeepFirst(ranges[i]!, ranges[i + 1]!, ranges[i + 2]!);
    return taken;
  }

  /** Touches what is there of [low, high) of a branch, deep end first. Returns the touched blocks that could be evicted. */
  private touchDeepFirst(branch: number, low: number, high: number): number {
    let evictable = 0;
    let s = NONE;
    for (let n = this.chains.get(branch); n !== NONE && this.from[n]! < high; n = this.next[n]!) s = n;
    if (s !== NONE && this.to[s]! > high) this.split(s, high);
    while (s !== NONE && this.to[s]! > low) {
      this.touched++;
      if (this.from[s]! < low) s = this.split(s, low);
      if (this.ref[s] === 0 && this.mark[s] !== WRITING) evictable += this.to[s]! - this.from[s]!;
      const before = this.prev[s]!;
      this.remove(s);
      this.append(s, 0);
      this.mergeNext(s);
      s = before;
    }
    return evictable;
  }

  private admits(branch: number, x: number, tMs: number): boolean {
    return this.filter === null || this.filter.admits(branch * OFFSETS + x, tMs);
  }

  /** The segment that holds a block, or NONE. */
  private holderOf(branch: number, x: number): number {
    let s = this.chains.get(branch);
    while (s !== NONE && this.to[s]! <= x) s = this.next[s]!;
    return s !== NONE && this.from[s]! <= x ? s : NONE;
  }

  /** Takes a slot for a block that is not there; false if none can be had. */
  private takeSlot(branch: number, x: number, job: number): boolean {
    if (this.filled === this.capacity) {
      if (this.pinned + this.writing === this.filled) return false;
      this.evict(1);
    }
    let prev = NONE;
    for (let p = this.chains.get(branch); p !== NONE && this.from[p]! < x; p = this.next[p]!) prev = p;
    const slot = this.alloc(branch, x, x + 1, 0);
    this.link(this.chains, slot, prev);
    this.mark[slot] = WRITING;
    this.holder[slot] = job;
    this.append(slot, 0);
    this.filled++;
    this.writing++;
    return true;
  }

  /** The blocks [from, to) of a branch that `job` wrote are readable now. Returns their number. */
  victimsReady(branch: number, from: number, to: number, job: number): number {
    const blocks = this.readyRange(branch, from, to, job, NONE);
    this.writing -= blocks;
    return blocks;
  }

  /** See TierBelow. Cost O(segments of the branch). */
  deepRow(branch: number, from: number, to: number): number {
    let start = from;
    let at = from;
    let isThere = false;
    for (let s = this.chains.get(branch); s !== NONE && this.from[s]! < to; s = this.next[s]!) {
      if (this.to[s]! <= from) continue;
      if (this.from[s]! > at) {
        if (isThere) start = at;
        isThere = false;
        at = this.from[s]!;
      }
      const isReadable = this.mark[s] !== WRITING;
      if (isReadable !== isThere) start = at;
      isThere = isReadable;
      at = Math.min(this.to[s]!, to);
    }
    if (at < to && isThere) {
      start = at;
      isThere = false;
    }
    return isThere ? to - start : start - to;
  }

  private write(branch: number, from: number, to: number, job: number): void {
    let prev = NONE;
    for (let p = this.startBelow(branch, from); p !== NONE && this.from[p]! < from; p = this.next[p]!) prev = p;
    const s = this.alloc(branch, from, to, 0);
    this.link(this.chains, s, prev);
    this.mark[s] = WRITING;
    this.holder[s] = job;
    this.append(s, 1);
    this.hint = s;
    if (this.written === NONE) this.written = s;
  }

  /** A segment of the branch that starts before `offset`, or its first one, or NONE. */
  private startBelow(branch: number, offset: number): number {
    const { hint } = this;
    return hint !== NONE && this.branch[hint] === branch && this.from[hint]! < offset ? hint : this.chains.get(branch);
  }

  /** Removes the `n` oldest blocks that are neither read nor written; the caller has checked that they exist. */
  private evict(n: number): void {
    this.filled -= n;
    this.totals.hostEvictedBlocks += n;
    let s = this.oldest[ORDINARY]!;
    while (n > 0) {
      const younger = this.younger[s]!;
      if (this.ref[s] === 0 && this.mark[s] !== WRITING) n -= this.evictFrom(s, n);
      s = younger;
    }
  }

  private evictFrom(s: number, n: number): number {
    this.touched++;
    const from = this.from[s]!;
    const to = this.to[s]!;
    const branch = this.branch[s]!;
    if (to - from <= n) {
      this.remove(s);
      this.unlink(this.chains, s);
      this.dispose(s);
      this.tellRemoved(branch, from, to);
      return to - from;
    }
    this.listed[ORDINARY]! -= n;
    this.seq[s >> 1]! += n;
    if (this.up[s] === 0) {
      this.to[s] = to - n;
      this.tellRemoved(branch, to - n, to);
    } else {
      this.from[s] = from + n;
      this.tellRemoved(branch, from, from + n);
    }
    return n;
  }

  private tellRemoved(branch: number, from: number, to: number): void {
    this.outbox.removed(1, branch, from, to, REMOVAL.capacity);
    if (this.lower !== null) for (let x = from; x < to; x++) this.lower.leftHost(branch * OFFSETS + x);
  }

  /** Tells that all readable content is gone. Cost O(segments). */
  loseAll(reason: number): void {
    for (let s = this.oldest[ORDINARY]!; s !== NONE; s = this.younger[s]!) {
      if (this.mark[s] !== WRITING) this.outbox.lost(1, this.branch[s]!, this.from[s]!, this.to[s]!, reason);
    }
  }

  /**
   * The blocks of [first, last) of a chain that `job` wrote are readable now. Returns their number. `written` = segment of the first
   * of them, if known: such segments neither merge nor leave.
   */
  ready(leaf: number, first: number, last: number, job: number, written = NONE): number {
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    let blocks = 0;
    let start = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      if (first < start + limit) blocks += this.readyRange(pathBranch[i]!, first - start, limit, job, written);
      start += limit;
    }
    this.writing -= blocks;
    return blocks;
  }

  private readyRange(branch: number, low: number, high: number, job: number, written: number): number {
    let blocks = 0;
    let s = written !== NONE && this.branch[written] === branch ? written : this.chains.get(branch);
    while (s !== NONE && this.from[s]! < high) {
      if (this.from[s]! >= low && this.mark[s] === WRITING && this.holder[s] === job) {
        blocks += this.to[s]! - this.from[s]!;
        this.mark[s] = 0;
        this.outbox.stored(1, branch, this.from[s]!, this.to[s]!);
        if (this.lower !== null) for (let x = this.from[s]!; x < this.to[s]!; x++) this.lower.enteredHost(branch * OFFSETS + x);
        s = this.mergeAround(s);
      }
      s = this.next[s]!;
    }
    return blocks;
  }

  /** Blocks [first, last) of a chain, all readable, begin (+1) or cease (-1) to be read. */
  pin(leaf: number, first: number, last: number, change: 1 | -1): void {
    const entries = this.branches.path(leaf, last, pathBranch, pathLimit);
    let start = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      if (first < start + limit) this.pinRange(pathBranch[i]!, first > start ? first - start : 0, limit, change);
      start += limit;
    }
    this.pinned += change * (last - first);
  }

  private pinRange(branch: number, low: number, high: number, change: 1 | -1): void {
    let s = this.chains.get(branch);
    while (this.to[s]! <= low) s = this.next[s]!;
    if (this.from[s]! < low) s = this.split(s, low);
    for (;;) {
      this.touched++;
      if (this.to[s]! > high) this.split(s, high);
      this.ref[s]! += change;
      const end = this.to[s]!;
      s = this.mergeAround(s);
      if (end === high) return;
      s = this.next[s]!;
    }
  }

  /** Joins a segment with equal neighbours; returns the segment that holds it now. */
  private mergeAround(s: number): number {
    const prev = this.prev[s]!;
    const end = this.to[s]!;
    this.mergeNext(s);
    if (prev !== NONE && this.to[prev] === this.from[s]) {
      this.mergeNext(prev);
      if (this.to[prev]! >= end) return prev;
    }
    return s;
  }

  private countLookups(entries: number, from: number): void {
    let start = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      for (let x = from > start ? from - start : 0; x < limit; x++) {
        const key = pathBranch[i]! * OFFSETS + x;
        const count = (this.lookups.get(key) ?? 0) + 1;
        this.lookups.delete(key);
        this.lookups.set(key, count);
        if (this.lookups.size > TRACKED_BLOCKS) this.lookups.delete(this.lookups.keys().next().value!);
      }
      start += limit;
    }
  }

  /** Throws if slots are lost or counted twice. Cost O(segments). */
  check(): void {
    let used = 0;
    let pinned = 0;
    let writing = 0;
    let seq = -1;
    let seen = 0;
    for (let s = this.oldest[ORDINARY]!; s !== NONE; s = this.younger[s]!) {
      const length = this.to[s]! - this.from[s]!;
      if (!(length > 0 && this.seq[s >> 1]! > seq)) throw new Error('E11: order of the host tier');
      seq = this.seq[s >> 1]! + length - 1;
      used += length;
      seen++;
      if (this.ref[s]! > 0) pinned += length;
      if (this.mark[s] === WRITING) writing += length;
    }
    if (used !== this.filled || used > this.capacity)
      throw new Error(`E11: ${used} host slots, counted ${this.filled} of ${this.capacity}`);
    if (pinned !== this.pinned || writing !== this.writing) throw new Error(`E11: ${pinned} pinned, ${writing} written`);
    if (seen !== this.segments) throw new Error('E11: a host segment is in no list');
  }
}
