/** Block keys of a chain of the branch table. */
import { type BranchId, type BranchTable, MAX_PATH } from '../../../control/blocks.ts';
import type { BlockKey } from './block-pool.ts';
import { blockKey } from './kv-event-log.ts';

const branchesOnPath = new Int32Array(MAX_PATH);
const limitsOnPath = new Int32Array(MAX_PATH);

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
