/**
 * A prefix index without events: what this router sent somewhere is believed to be there for a while.
 *
 * Per branch a list of (rank, slot); a slot is a staircase of (own blocks, expiry). A newer insert covers every block of its chain,
 * so expiries fall with depth: steps are kept deepest first = earliest expiry first, and the first live step is the match.
 * Source: router specification 2.5, 2.6.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import type { Blocks, MatchColumns, Millis, PrefixIndex, RankId } from '../ports.ts';
import { clearMatch } from './match-columns.ts';
import { RankLists } from './rank-lists.ts';

export interface ApproximateIndexOptions {
  /** Time to live of an entry; an insert refreshes every block of its chain. */
  readonly ttlMs: Millis;
  /** Entries (block, rank) above which the index is pruned to 80 %. */
  readonly maxBlocks?: number;
  /** Expiries are rounded up to a multiple of this, counted from the rank's first insert; 0 = exact. */
  readonly bucketMs?: Millis;
}

interface Stairs {
  readonly branch: BranchId;
  readonly rank: RankId;
  /** Own leading blocks per step, falling. */
  readonly blocks: number[];
  /** Expiry per step, rising. An entry is gone at or after it. */
  readonly expiryMs: number[];
}

const PRUNE_TO = 0.8;

/** Router-fed prefix index with a time to live. */
export class ApproximateIndex implements PrefixIndex {
  readonly #branches: BranchTable;
  readonly #ttlMs: Millis;
  readonly #maxBlocks: number;
  readonly #bucketMs: Millis;
  readonly #lists = new RankLists();
  readonly #stairs: (Stairs | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #blocks = new Int32Array(16);
  #firstMs = new Float64Array(16).fill(Number.NaN);
  #total = 0;
  /** Entries removed because the index was full. */
  prunedBlocks = 0;
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limits = new Int32Array(MAX_PATH);

  constructor(branches: BranchTable, options: ApproximateIndexOptions) {
    this.#branches = branches;
    this.#ttlMs = options.ttlMs;
    this.#maxBlocks = options.maxBlocks ?? 2 ** 20;
    this.#bucketMs = options.bucketMs ?? 0;
  }

  /** Does nothing: this index hears no events. */
  apply(): void {}

  placed(rank: RankId, branch: BranchId, depthBlocks: Blocks, nowMs: Millis): void {
    if (depthBlocks <= 0) return;
    if (rank >= this.#blocks.length) this.#widen(rank + 1);
    const expiryMs = this.#expiryOf(rank, nowMs);
    const n = this.#branches.path(branch, depthBlocks, this.#path, this.#limits);
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      let slot = this.#lists.get(b, rank) - 1;
      if (slot < 0) {
        slot = this.#takeSlot(b, rank);
        this.#lists.set(b, rank, slot + 1);
      }
      this.#insert(this.#stairs[slot]!, this.#limits[i]!, expiryMs, nowMs);
    }
    if (this.#total > this.#maxBlocks) this.#prune(nowMs);
  }

  /** Takes back what `placed` at `placedMs` inserted and nothing renewed since. Blocks it had renewed itself are lost too. */
  unplaced(rank: RankId, branch: BranchId, depthBlocks: Blocks, placedMs: Millis): void {
    if (depthBlocks <= 0 || rank >= this.#blocks.length) return;
    const expiryMs = this.#expiryOf(rank, placedMs);
    const n = this.#branches.path(branch, depthBlocks, this.#path, this.#limits);
    for (let i = 0; i < n; i++) {
      const slot = this.#lists.get(this.#path[i]!, rank) - 1;
      if (slot < 0) continue;
      const stairs = this.#stairs[slot]!;
      const at = stairs.expiryMs.lastIndexOf(expiryMs);
      if (at < 0 || at !== stairs.expiryMs.length - 1) continue;
      // Everything that stays is deeper and would stand on blocks that are gone.
      this.#count(rank, -stairs.blocks[0]!);
      this.#freeSlot(slot);
      this.#lists.set(this.#path[i]!, rank, 0);
    }
  }

  dropRank(rank: RankId): void {
    this.#lists.forRank(rank, (branch, value) => {
      this.#freeSlot(value - 1);
      this.#lists.set(branch, rank, 0);
    });
    if (rank >= this.#blocks.length) return;
    this.#total -= this.#blocks[rank]!;
    this.#blocks[rank] = 0;
    this.#firstMs[rank] = Number.NaN;
  }

  match(branch: BranchId, depthBlocks: Blocks, nowMs: Millis, match: MatchColumns): void {
    clearMatch(match);
    if (depthBlocks <= 0 || this.#lists.pairs === 0) return;
    const { hbm, touched } = match;
    const n = this.#branches.path(branch, depthBlocks, this.#path, this.#limits);
    let start = 0;
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      const limit = this.#limits[i]!;
      const lists = this.#lists;
      const head = b < lists.head.length ? lists.head[b]! : 0;
      if (head === 0) return;
      const dense = lists.arena[head + 1]! < 0;
      const step = dense ? 1 : 2;
      const end = head + 2 + (dense ? Math.min(lists.rankRoom, hbm.length) : 2 * lists.arena[head]!);
      for (let at = head + 2; at < end; at += step) {
        const slot = (dense ? lists.arena[at]! : lists.arena[at + 1]!) - 1;
        if (slot < 0) continue;
        const rank = dense ? at - head - 2 : lists.arena[at]!;
        if (hbm[rank] !== start) continue;
        const lead = Math.min(limit, liveBlocks(this.#stairs[slot]!, nowMs));
        if (lead === 0) continue;
        if (start === 0) touched[match.touchedCount++] = rank;
        hbm[rank] = start + lead;
      }
      start += limit;
    }
  }

  blocks(rank: RankId): Blocks {
    return rank < this.#blocks.length ? this.#blocks[rank]! : 0;
  }

  /** Expiry of an insert into a rank now. */
  #expiryOf(rank: RankId, nowMs: Millis): Millis {
    const exact = nowMs + this.#ttlMs;
    if (this.#bucketMs === 0) return exact;
    if (Number.isNaN(this.#firstMs[rank]!)) this.#firstMs[rank] = nowMs;
    const first = this.#firstMs[rank]!;
    return first + Math.ceil((exact - first) / this.#bucketMs) * this.#bucketMs;
  }

  #insert(stairs: Stairs, blocks: Blocks, expiryMs: Millis, nowMs: Millis): void {
    const before = stairs.blocks[0] ?? 0;
    while (stairs.expiryMs.length > 0 && stairs.expiryMs[0]! <= nowMs) this.#shift(stairs);
    while (stairs.blocks.length > 0 && stairs.blocks[stairs.blocks.length - 1]! <= blocks) {
      stairs.blocks.pop();
      stairs.expiryMs.pop();
    }
    if (stairs.expiryMs[stairs.expiryMs.length - 1] !== expiryMs) {
      stairs.blocks.push(blocks);
      stairs.expiryMs.push(expiryMs);
    }
    this.#count(stairs.rank, stairs.blocks[0]! - before);
  }

  #shift(stairs: Stairs): void {
    stairs.blocks.shift();
    stairs.expiryMs.shift();
  }

  /**
   * Removes expired entries, then live ones by (earliest expiry, deepest position, larger branch, larger rank), until 80 % of the
   * room is used. Cost O(entries log entries), amortised over a fifth of the room.
   */
  #prune(nowMs: Millis): void {
    for (const stairs of this.#stairs) if (stairs !== undefined) this.#dropExpired(stairs, nowMs);
    let excess = this.#total - Math.floor(this.#maxBlocks * PRUNE_TO);
    if (excess > 0) this.prunedBlocks += excess;
    // A staircase's first step expires first and lies deepest, so groups of equal expiry go one after the other.
    const steps: { readonly stairs: Stairs; readonly expiryMs: Millis }[] = [];
    for (const stairs of this.#stairs) for (const expiryMs of stairs?.expiryMs ?? []) steps.push({ stairs: stairs!, expiryMs });
    steps.sort((a, b) => a.expiryMs - b.expiryMs);
    for (let i = 0; excess > 0; ) {
      const group: Stairs[] = [];
      for (const { expiryMs } = steps[i]!; steps[i]?.expiryMs === expiryMs; i++) group.push(steps[i]!.stairs);
      excess -= this.#pruneGroup(group, excess);
    }
    for (let slot = 0; slot < this.#stairs.length; slot++) {
      const stairs = this.#stairs[slot];
      if (stairs === undefined || stairs.blocks.length > 0) continue;
      this.#lists.set(stairs.branch, stairs.rank, 0);
      this.#freeSlot(slot);
    }
  }

  /** Removes up to `excess` blocks of first steps with one expiry, deepest position first; returns how many. */
  #pruneGroup(group: readonly Stairs[], excess: number): number {
    const start = (stairs: Stairs): number => this.#branches.start[stairs.branch]!;
    const floor = (stairs: Stairs): number => start(stairs) + (stairs.blocks[1] ?? 0);
    const end = (stairs: Stairs): number => start(stairs) + stairs.blocks[0]!;
    const atOrBelow = (position: number): number => {
      let blocks = 0;
      for (const stairs of group) blocks += Math.max(0, end(stairs) - Math.max(floor(stairs), position));
      return blocks;
    };
    let low = 0;
    let high = 1;
    for (const stairs of group) high = Math.max(high, end(stairs));
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (atOrBelow(middle) <= excess) high = middle;
      else low = middle + 1;
    }
    let removed = 0;
    const cut = (stairs: Stairs, position: number): void => {
      const left = Math.max(position, floor(stairs)) - start(stairs);
      if (left >= stairs.blocks[0]!) return;
      removed += stairs.blocks[0]! - left;
      this.#count(stairs.rank, left - stairs.blocks[0]!);
      if (left === (stairs.blocks[1] ?? 0)) this.#shift(stairs);
      else stairs.blocks[0] = left;
    };
    const partial = group.filter((stairs) => floor(stairs) < low && end(stairs) >= low);
    for (const stairs of group) cut(stairs, low);
    partial.sort((a, b) => b.branch - a.branch || b.rank - a.rank);
    for (const stairs of partial) if (removed < excess) cut(stairs, low - 1);
    return removed;
  }

  #dropExpired(stairs: Stairs, nowMs: Millis): void {
    const before = stairs.blocks[0] ?? 0;
    while (stairs.expiryMs.length > 0 && stairs.expiryMs[0]! <= nowMs) this.#shift(stairs);
    this.#count(stairs.rank, (stairs.blocks[0] ?? 0) - before);
  }

  #count(rank: RankId, blocks: number): void {
    this.#blocks[rank]! += blocks;
    this.#total += blocks;
  }

  #takeSlot(branch: BranchId, rank: RankId): number {
    const stairs: Stairs = { branch, rank, blocks: [], expiryMs: [] };
    const slot = this.#freeSlots.pop();
    if (slot === undefined) return this.#stairs.push(stairs) - 1;
    this.#stairs[slot] = stairs;
    return slot;
  }

  #freeSlot(slot: number): void {
    this.#stairs[slot] = undefined;
    this.#freeSlots.push(slot);
  }

  #widen(ranks: number): void {
    let size = this.#blocks.length;
    while (size < ranks) size *= 2;
    const blocks = new Int32Array(size);
    blocks.set(this.#blocks);
    const firstMs = new Float64Array(size).fill(Number.NaN);
    firstMs.set(this.#firstMs);
    this.#blocks = blocks;
    this.#firstMs = firstMs;
  }
}

function liveBlocks(stairs: Stairs, nowMs: Millis): Blocks {
  let i = 0;
  while (i < stairs.blocks.length && stairs.expiryMs[i]! <= nowMs) i++;
  return i < stairs.blocks.length ? stairs.blocks[i]! : 0;
}
