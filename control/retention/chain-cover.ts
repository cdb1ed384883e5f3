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
  /** Smaller limits and their chains; absent until there was one. */
  limits: number[] | undefined;
  counts: number[] | undefined;
}

/** A chain: the first `depthBlocks` blocks of the path of `branch`. */
export interface Chain {
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
}

const pathBranches = new Int32Array(MAX_PATH);
const pathLimits = new Int32Array(MAX_PATH);
const otherBranches = new Int32Array(MAX_PATH);
const otherLimits = new Int32Array(MAX_PATH);
/** By place on the path: of how many chains that are not to count no block is missing there. */
const discounted = new Int32Array(MAX_PATH);

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

  /**
   * Takes out a chain that was added and adds another; what their paths share is left alone. Returns whether the other one covers all
   * of the first.
   */
  move(fromBranch: BranchId, fromBlocks: Blocks, toBranch: BranchId, toBlocks: Blocks): boolean {
    const n = this.#branches.path(fromBranch, fromBlocks, pathBranches, pathLimits);
    const m = this.#branches.path(toBranch, toBlocks, otherBranches, otherLimits);
    let shared = 0;
    while (shared < n && shared < m && pathBranches[shared] === otherBranches[shared] && pathLimits[shared] === otherLimits[shared])
      shared++;
    const isExtended = shared === n || (shared === n - 1 && goesOn(shared, m));
    let lowered = shared;
    let raised = shared;
    if (isExtended && shared < n && this.#stretch(pathBranches[shared]!, pathLimits[shared]!, otherLimits[shared]!)) {
      lowered++;
      raised++;
    }
    for (let i = raised; i < m; i++) this.#raise(otherBranches[i]!, otherLimits[i]!);
    for (let i = lowered; i < n; i++) this.#lower(pathBranches[i]!, pathLimits[i]!);
    return isExtended;
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

  /** The same if some chains were not in the bag, which all are. Cost as if they were taken out, without touching anything. */
  coveredWithout(chains: readonly Chain[], branch: BranchId, depthBlocks: Blocks): Blocks {
    const n = this.#branches.path(branch, depthBlocks, pathBranches, pathLimits);
    discounted.fill(0, 0, n);
    for (const chain of chains) {
      const m = this.#branches.path(chain.branch, chain.depthBlocks, otherBranches, otherLimits);
      for (let i = 0; i < n && i < m && pathBranches[i] === otherBranches[i]; i++) if (otherLimits[i]! >= pathLimits[i]!) discounted[i]!++;
    }
    for (let i = 0; i < n; i++) {
      const entry = this.#limits.get(pathBranches[i]!);
      if (entry !== undefined && chainsTo(entry, pathLimits[i]!) > discounted[i]!) continue;
      return this.#branches.start[pathBranches[i]!]! + (entry === undefined ? 0 : this.#maxWithout(chains, i, entry));
    }
    return depthBlocks;
  }

  /** The largest limit on the branch at place `at` of the path in hand, without those of some chains. */
  #maxWithout(chains: readonly Chain[], at: number, entry: BranchLimits): number {
    let max = 0;
    const consider = (limit: number, count: number): void => {
      if (limit <= max) return;
      let others = count;
      for (const chain of chains) {
        const m = this.#branches.path(chain.branch, chain.depthBlocks, otherBranches, otherLimits);
        if (at < m && otherBranches[at] === pathBranches[at] && otherLimits[at] === limit) others--;
      }
      if (others > 0) max = limit;
    };
    consider(entry.max, entry.chains);
    entry.limits?.forEach((limit, i) => void consider(limit, entry.counts![i]!));
    return max;
  }

  /** Moves the limit of the only chain that ends furthest on a branch further. False: it is not that one, and nothing is changed. */
  #stretch(branch: BranchId, from: number, to: number): boolean {
    const entry = this.#limits.get(branch)!;
    if (entry.max !== from || entry.chains > 1) return false;
    entry.max = to;
    this.#blocks += to - from;
    return true;
  }

  #raise(branch: BranchId, limit: number): void {
    const entry = this.#limits.get(branch);
    if (entry === undefined) {
      this.#limits.set(branch, { max: limit, chains: 1, limits: undefined, counts: undefined });
      this.#blocks += limit;
    } else if (limit === entry.max) entry.chains++;
    else if (limit > entry.max) {
      addTo(entry, entry.max, entry.chains);
      this.#blocks += limit - entry.max;
      entry.max = limit;
      entry.chains = 1;
    } else {
      const at = entry.limits === undefined ? -1 : entry.limits.indexOf(limit);
      if (at >= 0) entry.counts![at]!++;
      else addTo(entry, limit, 1);
    }
  }

  #lower(branch: BranchId, limit: number): void {
    const entry = this.#limits.get(branch)!;
    if (limit < entry.max) {
      const at = entry.limits!.indexOf(limit);
      if (--entry.counts![at]! === 0) takeOut(entry, at);
    } else if (--entry.chains === 0) {
      const at = largest(entry.limits);
      const max = at < 0 ? 0 : entry.limits![at]!;
      this.#blocks -= limit - max;
      if (at < 0) this.#limits.delete(branch);
      else {
        entry.max = max;
        entry.chains = entry.counts![at]!;
        takeOut(entry, at);
      }
    }
  }
}

/** Whether the chain of `m` branches whose path is in `other` covers at least as much of branch `at` as that in `path`. */
function goesOn(at: number, m: number): boolean {
  return at < m && otherBranches[at] === pathBranches[at] && otherLimits[at]! >= pathLimits[at]!;
}

/** Chains that cover at least the first `limit` own blocks of a branch. */
function chainsTo({ max, chains, limits, counts }: BranchLimits, limit: number): number {
  if (max < limit) return 0;
  let n = chains;
  if (limits !== undefined) for (let i = 0; i < limits.length; i++) if (limits[i]! >= limit) n += counts![i]!;
  return n;
}

/** Place of the largest value; -1 if there is none. */
function largest(values: readonly number[] | undefined): number {
  if (values === undefined || values.length === 0) return -1;
  let at = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[at]!) at = i;
  return at;
}

function addTo(entry: BranchLimits, limit: number, chains: number): void {
  entry.limits ??= [];
  entry.counts ??= [];
  entry.limits.push(limit);
  entry.counts.push(chains);
}

/** Removes a smaller limit; the last one takes its place. */
function takeOut(entry: BranchLimits, at: number): void {
  const limits = entry.limits!;
  const counts = entry.counts!;
  limits[at] = limits.at(-1)!;
  counts[at] = counts.at(-1)!;
  limits.pop();
  counts.pop();
}
