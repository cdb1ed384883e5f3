/**
 * The branch table: every block prefix of a run as two integers, (branch, depth).
 *
 * Layout. A branch is a run of consecutive blocks hanging off its parent. `attach` counts how many of the parent's OWN blocks
 * precede the child, so a path from the root is: all own blocks of each ancestor up to the attach offset of the next branch on
 * the path, then the leaf's own blocks. Branches are never split; a branch may grow at its end. A divergence adds a child.
 *
 *     branch 0  [0 1 2 3 4 5 6 7]            start 0, length 8
 *     branch 1        └─attach 3 [3 4 5]     start 3, length 3, parent 0
 *
 * Equality of (branch, own offset) is equality of the whole prefix up to that block, so the table is exact for chained ids.
 * Source: data-structures specification, section 2.
 */
import { widened } from './widened.ts';

/** Index of a branch in a {@link BranchTable}; -1 = the empty chain. */
export type BranchId = number;

/** Branch flag: content of one request only (unlabelled tail, generated tokens); no other prompt can ever match it. */
export const BRANCH_PRIVATE = 1;

/** Branch flag: only requests of one session tree can name it. Absent = others may. */
export const BRANCH_SESSION = 4;

/** No branch: the empty chain. */
export const NO_BRANCH = -1;

/** Growable columns describing every branch of a run. Append-only; shared by engines, router index and workload. */
export class BranchTable {
  /** Parent branch, or -1. Shape [count]. */
  parent = new Int32Array(1024);
  /** Own blocks of the parent that precede this branch, 0..length(parent). Shape [count]. */
  attach = new Int32Array(1024);
  /** Absolute depth of the first own block = blocks on the path before this branch. Shape [count]. */
  start = new Int32Array(1024);
  /** Own blocks. Shape [count]. */
  length = new Int32Array(1024);
  /** Bit set of BRANCH_ flags. Shape [count]. */
  flags = new Uint8Array(1024);
  /** Number of branches. */
  count = 0;

  /** Adds a branch below `parent` after `attach` of its own blocks (ignored for parent -1). Cost O(1) amortised. */
  add(parent: BranchId, attach: number, length: number, flags = 0): BranchId {
    const id = this.reserve(1);
    this.place(id, parent, attach, length, flags);
    return id;
  }

  /** Ids for `count` branches, empty until they are placed; returns the first. Cost O(1) amortised. */
  reserve(count: number): BranchId {
    const id = this.count;
    this.count = id + count;
    if (this.count > this.parent.length) this.#grow();
    return id;
  }

  /** As {@link add}, under an id that was reserved. */
  place(id: BranchId, parent: BranchId, attach: number, length: number, flags = 0): void {
    this.parent[id] = parent;
    this.attach[id] = parent < 0 ? 0 : attach;
    this.start[id] = parent < 0 ? 0 : this.start[parent]! + attach;
    this.length[id] = length;
    this.flags[id] = flags;
  }

  /** Adds a child where the chain (branch, depth) ends. `depth` is absolute; it may lie in an ancestor of `branch`. */
  addAt(branch: BranchId, depth: number, length: number, flags = 0): BranchId {
    const at = this.at(branch, depth);
    return at < 0 ? this.add(-1, 0, length, flags) : this.add(at, depth - this.start[at]!, length, flags);
  }

  /** Lengthens a branch at its end. */
  extend(branch: BranchId, blocks: number): void {
    this.length[branch]! += blocks;
  }

  /** Branch that owns block `depth - 1` of the path of `branch`; -1 for depth 0. Cost O(branches on the path). */
  at(branch: BranchId, depth: number): BranchId {
    let b = branch;
    while (b >= 0 && this.start[b]! >= depth) b = this.parent[b]!;
    return b;
  }

  /** Absolute depth at which the branch ends. */
  end(branch: BranchId): number {
    return branch < 0 ? 0 : this.start[branch]! + this.length[branch]!;
  }

  /**
   * Writes the path of the chain (branch, depth) root first: `branches[i]` and the number of leading OWN blocks `limits[i]`
   * (>= 1) of it that belong to the chain. Returns the number of entries. Cost O(branches on the path), no allocation.
   */
  path(branch: BranchId, depth: number, branches: Int32Array, limits: Int32Array): number {
    let b = this.at(branch, depth);
    let n = 0;
    let end = depth;
    while (b >= 0) {
      const start = this.start[b]!;
      if (end > start) {
        branches[n] = b;
        limits[n] = end - start;
        n++;
        end = start;
      }
      b = this.parent[b]!;
    }
    for (let i = 0, j = n - 1; i < j; i++, j--) {
      const tb = branches[i]!;
      branches[i] = branches[j]!;
      branches[j] = tb;
      const tl = limits[i]!;
      limits[i] = limits[j]!;
      limits[j] = tl;
    }
    return n;
  }

  /** Blocks shared by two chains. Cost O(branches on both paths). */
  commonDepth(a: BranchId, aDepth: number, b: BranchId, bDepth: number): number {
    let x = this.at(a, aDepth);
    let y = this.at(b, bDepth);
    let dx = aDepth;
    let dy = bDepth;
    while (x !== y) {
      const sx = x < 0 ? -1 : this.start[x]!;
      const sy = y < 0 ? -1 : this.start[y]!;
      if (sx >= sy) {
        dx = sx;
        x = this.at(this.parent[x]!, sx);
      } else {
        dy = sy;
        y = this.at(this.parent[y]!, sy);
      }
    }
    return x < 0 ? 0 : Math.min(dx, dy);
  }

  /** Bytes of the columns. */
  get bytes(): number {
    return this.parent.length * (4 * 4 + 1);
  }

  #grow(): void {
    // Half as much again: a copy of a large table lives beside the old one for a while.
    const size = Math.max(this.count, (this.parent.length * 3) >> 1);
    this.parent = widened(this.parent, size);
    this.attach = widened(this.attach, size);
    this.start = widened(this.start, size);
    this.length = widened(this.length, size);
    this.flags = widened(this.flags, size);
  }
}

/** Deepest path a table may hold; scratch arrays for {@link BranchTable.path} use this size. */
export const MAX_PATH = 4096;
