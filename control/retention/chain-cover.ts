/**
 * How far the chains in a bag cover the branches they run through. Every chain covers its blocks from the root, so the covered part of
 * a branch is a leading run of its own blocks: one number, the largest limit of any chain. Per branch a multiset of limits is kept,
 * so that the cover falls correctly when a chain leaves.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import type { Blocks } from '../ports.ts';

/** Limits of the chains on one branch: distinct own-block counts and how many chains end there. Most branches have but one. */
interface BranchLimits {
  max: number;
  /** Chains that end at `max`. */
  chains: number;
  /** Smaller limits and their chains. */
  readonly limits: number[];
  readonly counts: number[];
}

const pathBranches = new Int32Array(MAX_PATH);
const pathLimits = new Int32Array(MAX_PATH);
const otherBranches = new Int32Array(MAX_PATH);
const otherLimits = new Int32Array(MAX_PATH);

/** A bag of chains. Cost per call O(branches on the path x distinct limits per branch). */
export class ChainCover {
  readonly #branches: BranchTable;
  readonly #limits = new Map<BranchId, BranchLimits>();
  #blocks = 0;

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** Blocks covered by at least one chain, each counted once. */
  get blocks(): Blocks {
    return this.#blocks;
  }

  add(branch: BranchId, depthBlocks: Blocks): void {
    const n = this.#branches.path(branch, depthBlocks, pathBranches, pathLimits);
    for (let i = 0; i < n; i++) this.#raise(pathBranches[i]!, pathLimits[i]!);
  }

  /** Takes out a chain that was added. */
  remove(branch: BranchId, depthBlocks: Blocks): void {
    const n = this.#branches.path(branch, depthBlocks, pathBranches, pathLimits);
    for (let i = 0; i < n; i++) this.#lower(pathBranches[i]!, pathLimits[i]!);
  }

  /** Takes out a chain that was added and adds another; what their paths share is left alone. */
  move(fromBranch: BranchId, fromBlocks: Blocks, toBranch: BranchId, toBlocks: Blocks): void {
    const n = this.#branches.path(fromBranch, fromBlocks, pathBranches, pathLimits);
    const m = this.#branches.path(toBranch, toBlocks, otherBranches, otherLimits);
    let shared = 0;
    while (shared < n && shared < m && pathBranches[shared] === otherBranches[shared] && pathLimits[shared] === otherLimits[shared])
      shared++;
    for (let i = shared; i < m; i++) this.#raise(otherBranches[i]!, otherLimits[i]!);
    for (let i = shared; i < n; i++) this.#lower(pathBranches[i]!, pathLimits[i]!);
  }

  /** Leading blocks of a chain that chains of the bag cover. */
  covered(branch: BranchId, depthBlocks: Blocks): Blocks {
    const n = this.#branches.path(branch, depthBlocks, pathBranches, pathLimits);
    for (let i = 0; i < n; i++) {
      const b = pathBranches[i]!;
      const max = this.#limits.get(b)?.max ?? 0;
      if (max < pathLimits[i]!) return this.#branches.start[b]! + max;
    }
    return depthBlocks;
  }

  #raise(branch: BranchId, limit: number): void {
    const entry = this.#limits.get(branch);
    if (entry === undefined) {
      this.#limits.set(branch, { max: limit, chains: 1, limits: [], counts: [] });
      this.#blocks += limit;
    } else if (limit === entry.max) entry.chains++;
    else if (limit > entry.max) {
      entry.limits.push(entry.max);
      entry.counts.push(entry.chains);
      this.#blocks += limit - entry.max;
      entry.max = limit;
      entry.chains = 1;
    } else {
      const at = entry.limits.indexOf(limit);
      if (at >= 0) entry.counts[at]!++;
      else {
        entry.limits.push(limit);
        entry.counts.push(1);
      }
    }
  }

  #lower(branch: BranchId, limit: number): void {
    const entry = this.#limits.get(branch)!;
    if (limit < entry.max) {
      const at = entry.limits.indexOf(limit);
      if (--entry.counts[at]! === 0) takeOut(entry, at);
    } else if (--entry.chains === 0) {
      let at = -1;
      let max = 0;
      entry.limits.forEach((other, i) => {
        if (other > max) {
          at = i;
          max = other;
        }
      });
      this.#blocks -= limit - max;
      if (at < 0) this.#limits.delete(branch);
      else {
        entry.max = max;
        entry.chains = entry.counts[at]!;
        takeOut(entry, at);
      }
    }
  }
}

/** Removes a smaller limit; the last one takes its place. */
function takeOut({ limits, counts }: BranchLimits, at: number): void {
  limits[at] = limits.at(-1)!;
  counts[at] = counts.at(-1)!;
  limits.pop();
  counts.pop();
}
