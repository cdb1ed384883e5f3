/**
 * The global prefix index: which rank holds which blocks, learnt from KV events alone.
 *
 * Per tier and branch a list of (rank, value): value n > 0 = one copy of the leading n own blocks (the usual case: one integer);
 * value < 0 = slot ~value of a {@link CopyRuns} for entries with holes or duplicates. Blocks of private branches can never match
 * another prompt, so they are only counted. Source: router specification 2.3, 2.4, 11.1.1; data-structures specification 2, 3.
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import { KV_CLEARED, KV_STORED, type KvEventBatch, type MatchColumns, type PrefixIndex, type RankId } from '../ports.ts';
import { CopyRuns } from './copy-runs.ts';
import { clearMatch } from './match-columns.ts';
import { RankLists } from './rank-lists.ts';

/** `count`: the engine publishes every physical copy (vLLM). `presence`: it publishes a block once. */
export type CopyMode = 'count' | 'presence';
/** `ordered`: tiers are walked once, fastest first. `any`: contiguous over the union, for analysis. */
export type TierWalk = 'ordered' | 'any';

export interface BranchIndexOptions {
  readonly copies?: CopyMode;
  readonly walk?: TierWalk;
}

const TIERS = 4;

/** Event-fed prefix index with held semantics: credit ends at the first block a rank does not hold. */
export class BranchIndex implements PrefixIndex {
  readonly branches: BranchTable;
  /** One set of lists per tier. */
  readonly tiers: readonly RankLists[] = [new RankLists(), new RankLists(), new RankLists(), new RankLists()];
  /** Removed blocks that were not known, all ranks. */
  unknownRemovedBlocks = 0;
  /** List entries read by matches; a deterministic measure of their cost. */
  entriesWalked = 0;
  readonly #single: boolean;
  readonly #any: boolean;
  #blocks = new Int32Array(16);
  #privateBlocks = new Int32Array(16 * TIERS);
  readonly #runs: (CopyRuns | undefined)[] = [];
  readonly #freeRuns: number[] = [];
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limits = new Int32Array(MAX_PATH);

  constructor(branches: BranchTable, options: BranchIndexOptions = {}) {
    this.branches = branches;
    this.#single = options.copies === 'presence';
    this.#any = options.walk === 'any';
  }

  /** Entries that are not one plain number: holes, tails, duplicates. */
  get irregularEntries(): number {
    return this.#runs.length - this.#freeRuns.length;
  }

  apply(batch: KvEventBatch): void {
    const { rank, count, kind, tier, branch, from, to } = batch;
    if (rank >= this.#blocks.length) this.#widen(rank + 1);
    for (let i = 0; i < count; i++) {
      const b = branch[i]!;
      if (kind[i] === KV_CLEARED) this.dropRank(rank);
      else if (to[i]! <= from[i]!) continue;
      else if ((this.branches.flags[b]! & BRANCH_PRIVATE) !== 0)
        this.#countPrivate(rank, tier[i]!, to[i]! - from[i]!, kind[i] === KV_STORED);
      else if (kind[i] === KV_STORED) this.#stored(this.tiers[tier[i]!]!, b, rank, from[i]!, to[i]!);
      else this.#removed(this.tiers[tier[i]!]!, b, rank, from[i]!, to[i]!);
    }
  }

  /** Does nothing: an index fed by events does not believe its own decisions. */
  placed(): void {}

  dropRank(rank: RankId): void {
    for (const lists of this.tiers) {
      if (lists.pairs === 0) continue;
      lists.forRank(rank, (branch, value) => {
        if (value < 0) this.#freeSlot(~value);
        lists.set(branch, rank, 0);
      });
    }
    if (rank >= this.#blocks.length) return;
    this.#blocks[rank] = 0;
    this.#privateBlocks.fill(0, rank * TIERS, rank * TIERS + TIERS);
  }

  blocks(rank: RankId): number {
    return rank < this.#blocks.length ? this.#blocks[rank]! : 0;
  }

  /** Contiguous own blocks that an entry value covers from own offset `at` on. */
  leadFrom(value: number, at: number): number {
    if (value >= 0) return value > at ? value - at : 0;
    return this.#runs[~value]!.leadFrom(at);
  }

  match(branch: BranchId, depthBlocks: number, _nowMs: number, match: MatchColumns): void {
    clearMatch(match);
    if (depthBlocks <= 0) return;
    const n = this.branches.path(branch, depthBlocks, this.#path, this.#limits);
    if (this.#any) {
      this.#matchAny(n, match);
      return;
    }
    if (this.tiers[0]!.pairs > 0) this.#matchHbm(n, match);
    for (let tier = 1; tier < TIERS; tier++) if (this.tiers[tier]!.pairs > 0) this.#matchLower(tier, n, match);
  }

  /** First tier: only ranks that hold everything so far go on, so the walk stops at the first branch nobody completes. */
  #matchHbm(n: number, match: MatchColumns): void {
    const lists = this.tiers[0]!;
    const { hbm, touched } = match;
    const ranks = hbm.length;
    let walked = 0;
    let start = 0;
    for (let i = 0; i < n; i++) {
      const limit = this.#limits[i]!;
      const branch = this.#path[i]!;
      const head = branch < lists.head.length ? lists.head[branch]! : 0;
      if (head === 0) break;
      const arena = lists.arena;
      const dense = arena[head + 1]! < 0;
      const step = dense ? 1 : 2;
      const end = head + 2 + (dense ? Math.min(lists.rankRoom, ranks) : 2 * arena[head]!);
      let complete = 0;
      for (let at = head + 2; at < end; at += step) {
        const value = dense ? arena[at]! : arena[at + 1]!;
        if (value === 0) continue;
        const rank = dense ? at - head - 2 : arena[at]!;
        if (hbm[rank] !== start) continue;
        let lead = value > 0 ? value : this.#runs[~value]!.leadFrom(0);
        if (lead >= limit) {
          lead = limit;
          complete++;
        }
        if (lead === 0) continue;
        if (start === 0) touched[match.touchedCount++] = rank;
        hbm[rank] = start + lead;
      }
      walked += (end - head - 2) / step;
      if (complete === 0) break;
      start += limit;
    }
    this.entriesWalked += walked;
  }

  /** A lower tier continues where the faster ones ended, also inside a branch, also from block 0. */
  #matchLower(tier: number, n: number, match: MatchColumns): void {
    const lists = this.tiers[tier]!;
    const { hbm, host, disk, remote, touched } = match;
    const column = tier === 1 ? host : tier === 2 ? disk : remote;
    let start = 0;
    for (let i = 0; i < n; i++) {
      const limit = this.#limits[i]!;
      const branch = this.#path[i]!;
      const head = branch < lists.head.length ? lists.head[branch]! : 0;
      if (head !== 0) {
        const arena = lists.arena;
        const dense = arena[head + 1]! < 0;
        const step = dense ? 1 : 2;
        const end = head + 2 + (dense ? Math.min(lists.rankRoom, hbm.length) : 2 * arena[head]!);
        for (let at = head + 2; at < end; at += step) {
          const value = dense ? arena[at]! : arena[at + 1]!;
          if (value === 0) continue;
          const rank = dense ? at - head - 2 : arena[at]!;
          const reached = hbm[rank]! + host[rank]! + disk[rank]! + remote[rank]! - start;
          if (reached < 0 || reached >= limit) continue;
          const lead = Math.min(this.leadFrom(value, reached), limit - reached);
          if (lead === 0) continue;
          if (start === 0 && reached === 0) touched[match.touchedCount++] = rank;
          column[rank]! += lead;
        }
        this.entriesWalked += (end - head - 2) / step;
      }
      start += limit;
    }
  }

  /** Contiguous over the union of tiers, every block in the fastest tier that holds it. Cost O(ranks x path); analysis only. */
  #matchAny(n: number, match: MatchColumns): void {
    const columns = [match.hbm, match.host, match.disk, match.remote];
    for (let rank = 0; rank < match.hbm.length; rank++) {
      let total = 0;
      for (let i = 0; i < n; i++) {
        const limit = this.#limits[i]!;
        let at = 0;
        while (at < limit) {
          let tier = 0;
          while (tier < TIERS && this.leadFrom(this.tiers[tier]!.get(this.#path[i]!, rank), at) === 0) tier++;
          if (tier === TIERS) break;
          columns[tier]![rank]!++;
          at++;
        }
        total += at;
        if (at < limit) break;
      }
      if (total > 0) match.touched[match.touchedCount++] = rank;
    }
  }

  #stored(lists: RankLists, branch: BranchId, rank: RankId, from: number, to: number): void {
    const value = lists.get(branch, rank);
    if (value >= 0 && from === value) {
      lists.set(branch, rank, to);
      this.#blocks[rank]! += to - from;
      return;
    }
    if (value > 0 && from < value && this.#single) {
      if (to <= value) return;
      lists.set(branch, rank, to);
      this.#blocks[rank]! += to - value;
      return;
    }
    const slot = value < 0 ? ~value : this.#takeSlot(value);
    this.#blocks[rank]! += this.#runs[slot]!.add(from, to, this.#single);
    this.#settle(lists, branch, rank, slot);
  }

  #removed(lists: RankLists, branch: BranchId, rank: RankId, from: number, to: number): void {
    const value = lists.get(branch, rank);
    if (value >= 0 && to >= value) {
      this.unknownRemovedBlocks += to - Math.max(from, value);
      if (from >= value) return;
      lists.set(branch, rank, from);
      this.#blocks[rank]! -= value - from;
      return;
    }
    const slot = value < 0 ? ~value : this.#takeSlot(value);
    const runs = this.#runs[slot]!;
    this.unknownRemovedBlocks += runs.absent(from, to);
    this.#blocks[rank]! -= runs.remove(from, to);
    this.#settle(lists, branch, rank, slot);
  }

  /** Writes an irregular entry back, as one number again where that suffices. */
  #settle(lists: RankLists, branch: BranchId, rank: RankId, slot: number): void {
    const length = this.#runs[slot]!.simpleLength();
    if (length >= 0) this.#freeSlot(slot);
    lists.set(branch, rank, length >= 0 ? length : ~slot);
  }

  #takeSlot(length: number): number {
    const runs = CopyRuns.leading(length);
    const slot = this.#freeRuns.pop();
    if (slot === undefined) return this.#runs.push(runs) - 1;
    this.#runs[slot] = runs;
    return slot;
  }

  #freeSlot(slot: number): void {
    this.#runs[slot] = undefined;
    this.#freeRuns.push(slot);
  }

  #countPrivate(rank: RankId, tier: number, blocks: number, stored: boolean): void {
    const at = rank * TIERS + tier;
    const held = this.#privateBlocks[at]!;
    const next = stored ? held + blocks : Math.max(0, held - blocks);
    this.#privateBlocks[at] = next;
    this.#blocks[rank]! += next - held;
  }

  #widen(ranks: number): void {
    let size = this.#blocks.length;
    while (size < ranks) size *= 2;
    const blocks = new Int32Array(size);
    blocks.set(this.#blocks);
    this.#blocks = blocks;
    const privateBlocks = new Int32Array(size * TIERS);
    privateBlocks.set(this.#privateBlocks);
    this.#privateBlocks = privateBlocks;
  }
}
