/**
 * Which workers still owe the router removals, and of which branch. A decoding worker with a full cache evicts a block every few
 * steps, mostly from one old branch; nobody can tell whether the router learnt of it until a prompt with that branch comes. So the
 * worker lets such removals wait (see WorkerParts.lazyEvents), and before a request is shown to the plane exactly those
 * workers are advanced that owe something about a branch of its prompt.
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable } from '../../control/blocks.ts';
import { grownSparse } from '../../control/sparse-growth.ts';

export class LateRanks {
  readonly #branches: BranchTable;
  /** Branch that a rank is late with; -1 = none that a prompt can name. */
  readonly #branchOf: Int32Array;
  /** Number of ranks that are late with a branch. */
  #ranks = new Int32Array(1024);

  constructor(branches: BranchTable, ranks: number) {
    this.#branches = branches;
    this.#branchOf = new Int32Array(ranks).fill(-1);
  }

  /** A rank is late with `branch`, or with none (-1). Cost O(1) amortised. */
  set(rank: number, branch: BranchId): void {
    const old = this.#branchOf[rank]!;
    if (old === branch) return;
    if (old >= 0) this.#ranks[old]!--;
    this.#branchOf[rank] = -1;
    if (branch < 0 || (this.#branches.flags[branch]! & BRANCH_PRIVATE) !== 0) return;
    if (branch >= this.#ranks.length) this.#ranks = grownSparse(this.#ranks, branch + 1);
    this.#branchOf[rank] = branch;
    this.#ranks[branch]!++;
  }

  /** Calls `settle` for each rank that is late with a branch on the path from `branch` to the root. Cost O(path), and O(ranks) where one is. */
  settle(branch: BranchId, settle: (rank: number) => void): void {
    const { parent } = this.#branches;
    const known = this.#ranks.length;
    for (let b = branch; b >= 0; b = parent[b]!) {
      if (b >= known || this.#ranks[b] === 0) continue;
      for (let rank = 0; rank < this.#branchOf.length; rank++) if (this.#branchOf[rank] === b) settle(rank);
    }
  }
}
