/**
 * The obviously right prefix index that tests hold the fast one to: a map of blocks, each with a copy count per rank and tier.
 * Source: router specification 2.4 (held semantics, tier walk).
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable } from '../blocks.ts';
import { KV_CLEARED, KV_STORED, type KvEventBatch, type MatchColumns, type PrefixIndex, type RankId } from '../ports.ts';
import type { BranchIndexOptions } from './branch-index.ts';
import { clearMatch } from './match-columns.ts';

/** Cost O(blocks x ranks) everywhere. */
export class NaiveIndex implements PrefixIndex {
  readonly #branches: BranchTable;
  readonly #options: BranchIndexOptions;
  /** Block name `<branch>:<own offset>` to copies per tier per rank. */
  readonly #held = new Map<string, [Map<RankId, number>, Map<RankId, number>, Map<RankId, number>, Map<RankId, number>]>();

  constructor(branches: BranchTable, options: BranchIndexOptions = {}) {
    this.#branches = branches;
    this.#options = options;
  }

  apply(batch: KvEventBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.kind[i] === KV_CLEARED) {
        this.dropRank(batch.rank);
        continue;
      }
      for (let block = batch.from[i]!; block < batch.to[i]!; block++) {
        const name = `${batch.branch[i]}:${block}`;
        let tiers = this.#held.get(name);
        if (tiers === undefined) this.#held.set(name, (tiers = [new Map(), new Map(), new Map(), new Map()]));
        const copies = tiers[batch.tier[i]!]!;
        const before = copies.get(batch.rank) ?? 0;
        const after = batch.kind[i] === KV_STORED ? (this.#options.copies === 'presence' ? 1 : before + 1) : Math.max(0, before - 1);
        if (after === 0) copies.delete(batch.rank);
        else copies.set(batch.rank, after);
      }
    }
  }

  placed(): void {}

  dropRank(rank: RankId): void {
    for (const tiers of this.#held.values()) for (const copies of tiers) copies.delete(rank);
  }

  blocks(rank: RankId): number {
    let blocks = 0;
    for (const tiers of this.#held.values()) for (const copies of tiers) if (copies.has(rank)) blocks++;
    return blocks;
  }

  match(branch: BranchId, depthBlocks: number, _nowMs: number, match: MatchColumns): void {
    clearMatch(match);
    const columns = [match.hbm, match.host, match.disk, match.remote];
    for (let rank = 0; rank < match.hbm.length; rank++) {
      let tier = 0;
      for (let depth = 0; depth < depthBlocks; depth++) {
        const owner = this.#branches.at(branch, depth + 1);
        if ((this.#branches.flags[owner]! & BRANCH_PRIVATE) !== 0) break;
        const tiers = this.#held.get(`${owner}:${depth - this.#branches.start[owner]!}`);
        if (this.#options.walk === 'any') tier = 0;
        while (tier < 4 && tiers?.[tier]?.has(rank) !== true) tier++;
        if (tier === 4) break;
        columns[tier]![rank]!++;
      }
      if (columns.some((column) => column[rank]! > 0)) match.touched[match.touchedCount++] = rank;
    }
  }
}
