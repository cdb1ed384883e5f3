/**
 * An event-fed index that also believes its own router for a moment, so that siblings of a burst see the first one's placement
 * before its KV events arrive. Source: router specification 2.6.
 */
import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, KvEventBatch, MatchColumns, Millis, PrefixIndex, RankId } from '../ports.ts';
import { ApproximateIndex } from './approximate-index.ts';
import { matchColumns } from './match-columns.ts';

/** Per rank the larger of the known HBM match and the predicted one. */
export class PredictingIndex implements PrefixIndex {
  readonly primary: PrefixIndex;
  readonly side: ApproximateIndex;
  #side: MatchColumns = matchColumns(16);
  #extra = new Int32Array(16);

  constructor(branches: BranchTable, primary: PrefixIndex, ttlMs: Millis) {
    this.primary = primary;
    this.side = new ApproximateIndex(branches, { ttlMs });
  }

  apply(batch: KvEventBatch, nowMs: Millis): void {
    this.primary.apply(batch, nowMs);
  }

  placed(rank: RankId, branch: BranchId, depthBlocks: Blocks, nowMs: Millis): void {
    this.side.placed(rank, branch, depthBlocks, nowMs);
  }

  /** A dispatch failed: its prediction is withdrawn. */
  unplaced(rank: RankId, branch: BranchId, depthBlocks: Blocks, placedMs: Millis): void {
    this.side.unplaced(rank, branch, depthBlocks, placedMs);
  }

  dropRank(rank: RankId): void {
    this.primary.dropRank(rank);
    this.side.dropRank(rank);
  }

  blocks(rank: RankId): Blocks {
    return this.primary.blocks(rank);
  }

  /** HBM blocks that only the prediction claims on a rank, in the last match. */
  predicted(rank: RankId): Blocks {
    return rank < this.#extra.length ? this.#extra[rank]! : 0;
  }

  match(branch: BranchId, depthBlocks: Blocks, nowMs: Millis, match: MatchColumns): void {
    this.primary.match(branch, depthBlocks, nowMs, match);
    if (this.#side.hbm.length < match.hbm.length) {
      this.#side = matchColumns(match.hbm.length);
      this.#extra = new Int32Array(match.hbm.length);
    }
    this.#extra.fill(0);
    const side = this.#side;
    this.side.match(branch, depthBlocks, nowMs, side);
    const { hbm, host, disk, remote } = match;
    for (let i = 0; i < side.touchedCount; i++) {
      const rank = side.touched[i]!;
      let more = side.hbm[rank]! - hbm[rank]!;
      if (more <= 0) continue;
      this.#extra[rank] = more;
      if (hbm[rank]! + host[rank]! + disk[rank]! + remote[rank]! === 0) match.touched[match.touchedCount++] = rank;
      hbm[rank]! += more;
      // What HBM is believed to hold now is not counted again below it.
      for (const column of [host, disk, remote]) {
        const less = Math.min(more, column[rank]!);
        column[rank]! -= less;
        more -= less;
      }
    }
  }
}
