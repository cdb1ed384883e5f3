/**
 * Turns chains of block ids (kvh1 keys or ids of a trace) into (branch, depth) of a branch table: a radix trie over ids.
 *
 * Every branch made here keeps the ids of its own blocks in one column, so that following a known chain is a linear comparison.
 * Where chains part, `children` maps (branch, own offset) to the branches that hang there, by their first id. Ids need not be
 * chained: two blocks are the same only if everything before them is the same too, so a collision of keys in different places
 * does no harm.
 */
import { type BranchId, BranchTable, NO_BRANCH } from './blocks.ts';

/** Own offsets per branch fit into 2^24 (a chain of 16 M blocks). */
const OFFSETS = 0x100_0000;

/** Interns id chains. Memory 8 bytes per distinct block; append-only, like the table. */
export class ChainInterner {
  readonly branches: BranchTable;
  /** Ids of the own blocks of branch b; undefined for branches made by others. */
  readonly #ids: (Float64Array<ArrayBuffer> | undefined)[] = [];
  readonly #roots = new Map<number, BranchId>();
  readonly #children = new Map<number, Map<number, BranchId>>();
  /** Blocks that the last walk found known. */
  #depth = 0;
  #offset = 0;

  constructor(branches: BranchTable = new BranchTable()) {
    this.branches = branches;
  }

  /** Branch of the chain of the first `count` ids, extending the table where it is new; its depth is `count`. Cost O(count). */
  intern(ids: ArrayLike<number>, count: number = ids.length): BranchId {
    return this.internBelow(NO_BRANCH, 0, ids, count);
  }

  /** As {@link intern}, for the first `count` ids behind the known chain (parent, parentDepth). Cost O(count + branches on its path). */
  internBelow(parent: BranchId, parentDepth: number, ids: ArrayLike<number>, count: number = ids.length): BranchId {
    const above = this.branches.at(parent, parentDepth);
    if (count === 0) return above;
    const branch = this.#walk(ids, count, above, above < 0 ? 0 : parentDepth - this.branches.start[above]!);
    const known = this.#depth;
    if (known === count) return branch;
    if (branch >= 0 && this.#offset === this.branches.length[branch]! && this.branches.flags[branch] === 0) {
      this.branches.extend(branch, count - known);
      this.#write(branch, this.#offset, ids, known, count);
      return branch;
    }
    const made = this.branches.add(branch, this.#offset, count - known);
    this.#link(branch, this.#offset, ids[known]!, made);
    this.#write(made, 0, ids, known, count);
    return made;
  }

  /** Longest known prefix of the ids, without adding anything. Cost O(prefix). */
  find(ids: ArrayLike<number>, count: number = ids.length): { readonly branch: BranchId; readonly depthBlocks: number } {
    const branch = this.#walk(ids, count);
    return { branch, depthBlocks: this.#depth };
  }

  /** Ids of the chain (branch, depth), root first; all its branches must have been made here. Slow: wire protocols and tests. */
  ids(branch: BranchId, depthBlocks: number): Float64Array<ArrayBuffer> {
    const out = new Float64Array(depthBlocks);
    let end = depthBlocks;
    for (let b = this.branches.at(branch, depthBlocks); b >= 0; b = this.branches.parent[b]!) {
      const start = this.branches.start[b]!;
      if (end > start) out.set(this.#ids[b]!.subarray(0, end - start), start);
      end = Math.min(end, start);
    }
    return out;
  }

  /** Follows known blocks from own offset `offset` of a branch; leaves how many in #depth and the own offset of the result in #offset. */
  #walk(ids: ArrayLike<number>, count: number, branch: BranchId = NO_BRANCH, offset = 0): BranchId {
    let depth = 0;
    for (;;) {
      if (branch >= 0) {
        const own = this.#ids[branch];
        const limit = Math.min(this.branches.length[branch]!, offset + count - depth);
        while (offset < limit && own?.[offset] === ids[depth]) {
          offset++;
          depth++;
        }
      }
      if (depth === count) break;
      const next = branch < 0 ? this.#roots.get(ids[depth]!) : this.#children.get(branch * OFFSETS + offset)?.get(ids[depth]!);
      if (next === undefined) break;
      branch = next;
      offset = 0;
    }
    this.#depth = depth;
    this.#offset = offset;
    return branch;
  }

  #link(parent: BranchId, offset: number, id: number, child: BranchId): void {
    if (parent < 0) {
      this.#roots.set(id, child);
      return;
    }
    const at = parent * OFFSETS + offset;
    const siblings = this.#children.get(at);
    if (siblings === undefined) this.#children.set(at, new Map([[id, child]]));
    else siblings.set(id, child);
  }

  /** Copies ids [from, to) into the column of a branch from own offset `at` on. */
  #write(branch: BranchId, at: number, ids: ArrayLike<number>, from: number, to: number): void {
    const size = at + to - from;
    if (size >= OFFSETS) throw new Error(`branch ${branch} would hold ${size} blocks, limit ${OFFSETS - 1}`);
    let column = this.#ids[branch];
    if (column === undefined || column.length < size) {
      const wide = new Float64Array(column === undefined ? size : Math.max(size, column.length * 2));
      if (column !== undefined) wide.set(column);
      column = wide;
      this.#ids[branch] = wide;
    }
    for (let i = from; i < to; i++) column[at + i - from] = ids[i]!;
  }
}
