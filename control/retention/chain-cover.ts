/**
 * How far the chains in a bag cover the branches they run through. Every chain covers its blocks from the root, so the covered part of
 * a branch is a leading run of its own blocks: one number, the largest limit of any chain. Per branch a multiset of limits is kept,
 * so that the cover falls correctly when a chain leaves.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import type { Blocks } from '../ports.ts';

/** Limits of the chains on one branch: distinct own-block counts and how many chains end there. */
interface BranchLimits {
  readonly limits: number[];
  readonly counts: number[];
  max: number;
}

const pathBranches = new Int32Array(MAX_PATH);
const pathLimits = new Int32Array(MAX_PATH);

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
    let entry = this.#limits.get(branch);
    if (entry === undefined) {
      entry = { limits: [], counts: [], max: 0 };
      this.#limits.set(branch, entry);
    }
    const at = entry.limits.indexOf(limit);
    if (at >= 0) entry.counts[at]!++;
    else {
      entry.limits.push(limit);
      entry.counts.push(1);
      if (limit > entry.max) {
        this.#blocks += limit - entry.max;
        entry.max = limit;
      }
    }
  }

  #lower(branch: BranchId, limit: number): void {
    const entry = this.#limits.get(branch)!;
    const at = entry.limits.indexOf(limit);
    if (--entry.counts[at]! > 0) return;
    const last = entry.limits.length - 1;
    entry.limits[at] = entry.limits[last]!;
    entry.counts[at] = entry.counts[last]!;
    entry.limits.pop();
    entry.counts.pop();
    if (limit < entry.max) return;
    let max = 0;
    for (const other of entry.limits) if (other > max) max = other;
    this.#blocks -= entry.max - max;
    entry.max = max;
    if (max === 0) this.#limits.delete(branch);
  }
}
