/**
 * What the fleet ever stored, who may hold it, and who asked for it: per branch the number of leading own blocks ever stored, the ranks
 * that ran a request through it and how far, and the play that asked for it if it was only one.
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable } from '../../../control/blocks.ts';
import { RankLists } from '../../../control/index/rank-lists.ts';
import { grownSparse } from '../../../control/sparse-growth.ts';

/** More than one play asked for the branch. */
export const SHARED = -1;
/** Nobody did. */
const NOBODY = 0;

/** Facts by branch; private branches have none. 8 B per branch and 8 B per (branch, rank). */
export class KnownContent {
  /** Ranks and the own blocks they ran through. */
  readonly ranks = new RankLists();
  readonly #branches: BranchTable;
  #stored = new Int32Array(1024);
  #owner = new Int32Array(1024);

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** Own blocks [.., to) of a branch were stored on some worker in some tier. */
  store(branch: BranchId, to: number): void {
    if ((this.#branches.flags[branch]! & BRANCH_PRIVATE) !== 0) return;
    if (branch >= this.#stored.length) this.#stored = grownSparse(this.#stored, branch + 1);
    if (this.#stored[branch]! < to) this.#stored[branch] = to;
  }

  /** Leading own blocks of a branch that were ever stored. */
  stored(branch: BranchId): number {
    return branch < this.#stored.length ? this.#stored[branch]! : 0;
  }

  /** A request with this chain (its leaf) of a play runs on a rank, which may cache any block of it. Cost O(branches new to rank or play). */
  ran(leaf: BranchId, rank: number, play: number): void {
    const { parent, attach, flags, length } = this.#branches;
    let depth = length[leaf]!;
    // Whoever ran through a branch up to a block ran through all above it.
    for (let b = leaf; b >= 0; depth = attach[b]!, b = parent[b]!) {
      if (depth === 0 || (flags[b]! & BRANCH_PRIVATE) !== 0) continue;
      if (this.ranks.get(b, rank) >= depth) break;
      this.ranks.set(b, rank, depth);
    }
    this.#own(leaf, play);
  }

  /** The play that asked for a branch, {@link SHARED} if several did, undefined if none. */
  owner(branch: BranchId): number | undefined {
    const code = branch < this.#owner.length ? this.#owner[branch]! : NOBODY;
    return code === NOBODY ? undefined : code === SHARED ? SHARED : code - 1;
  }

  #own(leaf: BranchId, play: number): void {
    const { parent, flags, count } = this.#branches;
    if (count > this.#owner.length) this.#owner = grownSparse(this.#owner, count);
    const owner = this.#owner;
    for (let b = leaf; b >= 0; b = parent[b]!) {
      if ((flags[b]! & BRANCH_PRIVATE) !== 0) continue;
      const code = owner[b]!;
      // What is above was seen by the same play, or by several, as well.
      if (code === play + 1 || code === SHARED) return;
      owner[b] = code === NOBODY ? play + 1 : SHARED;
    }
  }
}
