/**
 * The HBM pool with a ranker other than lru. Its lists stay what they are, in the order of release; over those of all classes but
 * garbage lies one heap in the order (class, level, deadline if claimed, key of the ranker, release), whose top is the next victim.
 * All blocks of a segment have the same hits, and keys that put its blocks in a row: equal ones, or for fifo the numbers of their stores.
 * Cost: O(log segments) per segment that becomes idle or is taken; none for pools without ranker.
 * Source: retention specification 4.1, 6; worker port (Ranker).
 */
import type { BranchTable } from '../../../control/blocks.ts';
import { PROTECTED_HITS, RankKeys } from '../rank-keys.ts';
import type { EngineConfig, Ranker } from '../worker.ts';
import { HbmPool } from './hbm-pool.ts';
import type { KvOutbox } from './kv-outbox.ts';
import { DUE, GARBAGE, IN_USE, LEASE, NONE, pathBranch, pathLimit, SOFT } from './segment-columns.ts';
import { SegmentHeap } from './segment-heap.ts';
import type { PoolTotals } from './segment-pool.ts';
import type { SegmentStore } from './segment-store.ts';

export class RankedPool extends HbmPool {
  private readonly ranker: Ranker;
  private readonly keys: RankKeys;
  private readonly order: SegmentHeap;
  /** Hits from which further ones change nothing; 0 = the ranker does not count them. */
  private readonly countedHits: number;
  /** Victims of a segment go from its shallow end: it was stored, or released last, there. */
  private readonly shallowFirst: boolean;
  /** 1 = the earlier release goes first, -1 = the later. */
  private readonly direction: number;
  /** Blocks stored so far. */
  private stores = 0;
  private evicting = false;
  private splitting = false;

  /** As of {@link HbmPool}; `config.ranker` is set. */
  constructor(branches: BranchTable, usable: number, outbox: KvOutbox, totals: PoolTotals, store: SegmentStore, config: EngineConfig) {
    super(branches, usable, outbox, totals, store, config);
    this.addRankColumns();
    const ranker = config.ranker!;
    this.ranker = ranker;
    this.keys = new RankKeys(config);
    this.countedHits = ranker === 'lfu' || ranker === 'gdsf' ? Infinity : ranker === 'slru' ? PROTECTED_HITS : 0;
    this.shallowFirst = ranker === 'fifo' || ranker === 'mru';
    this.direction = ranker === 'mru' ? -1 : 1;
    this.order = new SegmentHeap(this);
  }

  /** Whether an idle segment goes before another. */
  isBefore(a: number, b: number): boolean {
    const group = this.groupOf(a);
    const other = this.groupOf(b);
    if (group !== other) return group < other;
    const mark = this.mark[a]!;
    if ((mark === SOFT || mark === LEASE) && this.until[a >> 4] !== this.until[b >> 4]) return this.until[a >> 4]! < this.until[b >> 4]!;
    if (this.rank[a >> 4] !== this.rank[b >> 4]) return this.rank[a >> 4]! < this.rank[b >> 4]!;
    return (this.seq[a >> 1]! - this.seq[b >> 1]!) * this.direction < 0;
  }

  override victim(): number {
    if (this.oldest[GARBAGE] !== NONE) return this.oldest[GARBAGE]!;
    const s = this.order.first;
    // Whoever evicts takes the deep end of what it gets.
    if (this.evicting && this.shallowFirst && s !== NONE && this.to[s]! - this.from[s]! > 1) this.split(s, this.from[s]! + 1);
    return s;
  }

  protected override evict(n: number): void {
    this.evicting = true;
    super.evict(n);
    this.evicting = false;
  }

  override touch(leaf: number, depth: number, nowMs: number): void {
    super.touch(leaf, depth, nowMs);
    if (this.countedHits === 0 || depth === 0) return;
    const entries = this.branches.path(leaf, depth, pathBranch, pathLimit);
    for (let i = 0; i < entries; i++) {
      for (let s = this.chains.get(pathBranch[i]!); s !== NONE && this.from[s]! < pathLimit[i]!; s = this.next[s]!) {
        if (this.hits[s >> 4]! < this.countedHits) this.hits[s >> 4]!++;
      }
    }
  }

  protected override lengthens(s: number): boolean {
    return this.ranker !== 'fifo' && this.hits[s >> 4] === 0 && super.lengthens(s);
  }

  protected override alloc(branch: number, from: number, to: number, ref: number): number {
    const s = super.alloc(branch, from, to, ref);
    this.hits[s >> 4] = 0;
    this.rank[s >> 4] = this.stores;
    this.stores += to - from;
    return s;
  }

  override releaseOf(session: number, leaf: number, depth: number, hashless: number, tag: number): void {
    if (depth > 0) this.keys.startChain(session, depth);
    super.releaseOf(session, leaf, depth, hashless, tag);
    this.keys.endChain();
  }

  protected override listIdle(s: number): void {
    const keep = this.keys.keepBlocks - this.branches.start[this.branch[s]!]!;
    if (this.from[s]! < keep && keep < this.to[s]!) this.listRanked(this.split(s, keep), false);
    this.listRanked(s, this.from[s]! < keep);
  }

  private listRanked(s: number, kept: boolean): void {
    if (this.ranker !== 'fifo') this.rank[s >> 4] = this.keys.key(this.hits[s >> 4]!, kept);
    super.listIdle(s);
  }

  protected override evictFrom(s: number, n: number): number {
    if (isRanked(this.list[s]!)) this.keys.evicted(this.rank[s >> 4]!);
    return super.evictFrom(s, n);
  }

  protected override insert(list: number, s: number, older: number): void {
    super.insert(list, s, older);
    if (!this.splitting && isRanked(list)) this.order.add(s);
  }

  protected override remove(s: number): void {
    if (isRanked(this.list[s]!)) this.order.remove(s);
    super.remove(s);
  }

  protected override split(s: number, at: number): number {
    const ranked = isRanked(this.list[s]!);
    if (ranked) this.order.remove(s);
    this.splitting = true;
    const deep = super.split(s, at);
    this.splitting = false;
    this.hits[deep >> 4] = this.hits[s >> 4]!;
    this.rank[deep >> 4] = this.rank[s >> 4]! + (this.ranker === 'fifo' ? at - this.from[s]! : 0);
    if (ranked) {
      this.order.add(s);
      this.order.add(deep);
    }
    return deep;
  }

  protected override mergeNext(s: number): void {
    super.mergeNext(s);
    // It takes the earlier releases of what it was joined with.
    if (isRanked(this.list[s]!)) this.order.rise(s);
  }

  protected override sameClaim(a: number, b: number): boolean {
    if (this.hits[a >> 4] !== this.hits[b >> 4]) return false;
    const rank = this.rank[a >> 4]!;
    if (this.ranker === 'fifo') {
      if (this.rank[b >> 4] !== rank + this.to[a]! - this.from[a]!) return false;
    } else if (this.list[a] !== IN_USE && this.rank[b >> 4] !== rank) return false;
    return super.sameClaim(a, b);
  }

  override check(): void {
    super.check();
    this.order.check();
    let ranked = 0;
    for (let list = 0; list < this.oldest.length; list++) {
      if (!isRanked(list)) continue;
      for (let s = this.oldest[list]!; s !== NONE; s = this.younger[s]!) {
        this.assert(this.order.has(s), 'E1 an idle segment has no place among the victims');
        ranked++;
      }
    }
    this.assert(ranked === this.order.size, 'E1 number of ranked segments');
  }
}

/** Whether segments of a list lie in the heap: idle ones that are no garbage. */
function isRanked(list: number): boolean {
  return list !== IN_USE && list !== GARBAGE && list !== DUE;
}
