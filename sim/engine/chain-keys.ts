/** Blocks by number: every block of the branch table has a key, and a chain is a row of them. */
import { type BranchId, type BranchTable, MAX_PATH } from '../../control/blocks.ts';

/** Identity of block content: branch and own offset in one number. */
export type BlockKey = number;

/** Own offsets per branch that a key can tell apart. */
const OFFSETS = 1 << 21;

const branchesOnPath = new Int32Array(MAX_PATH);
const limitsOnPath = new Int32Array(MAX_PATH);

/** Key of own block `offset` of `branch`. */
export function blockKey(branch: BranchId, offset: number): BlockKey {
  if (offset >= OFFSETS) throw new Error(`block key: offset ${offset} of branch ${branch}`);
  return branch * OFFSETS + offset;
}

/** Branch and own offset of a key. */
export function placeOf(key: BlockKey): readonly [branch: BranchId, offset: number] {
  return [Math.floor(key / OFFSETS), key % OFFSETS];
}

/** Keys of blocks [0, depth) of the chain (branch, depth). Throws if the branch ends before. Cost O(depth). */
export function chainKeys(branches: BranchTable, branch: BranchId, depth: number): BlockKey[] {
  if (depth > branches.end(branch)) throw new Error(`chain keys: branch ${branch} ends before block ${depth}`);
  const keys: BlockKey[] = [];
  const entries = branches.path(branch, depth, branchesOnPath, limitsOnPath);
  for (let e = 0; e < entries; e++) {
    for (let offset = 0; offset < limitsOnPath[e]!; offset++) keys.push(blockKey(branchesOnPath[e]!, offset));
  }
  if (keys.length !== depth) throw new Error(`chain keys: path of ${branch} has ${keys.length} blocks, not ${depth}`);
  return keys;
}
