/**
 * What the fleet ever stored, whoever's salt it had: the leading own blocks of every unsalted branch. A prompt whose blocks are new under its
 * own salt and stored here would have hit them under a salt that is shared. Source: retention specification 13.2.
 */
import type { BranchId, BranchTable } from '../../../control/blocks.ts';
import type { UnsaltedBranches } from '../../workload/workload.ts';
import type { SaltTwins } from './attribution.ts';
import { KnownContent } from './known-content.ts';

/** 4 B per unsalted branch. */
export class UnsaltedContent implements SaltTwins {
  readonly #branches: BranchTable;
  readonly #unsalted: UnsaltedBranches;
  readonly #stored: KnownContent;

  constructor(branches: BranchTable, unsalted: UnsaltedBranches) {
    this.#branches = branches;
    this.#unsalted = unsalted;
    this.#stored = new KnownContent(unsalted.branches);
  }

  /** Own blocks [.., to) of a branch of the run were stored. Cost O(unsalted branches behind it). */
  store(branch: BranchId, to: number): void {
    const twin = this.#unsalted.of(branch);
    if (twin < 0) return;
    const { branches } = this.#unsalted;
    const depth = this.#branches.start[branch]! + to;
    const owner = branches.at(twin, depth);
    this.#stored.store(owner, depth - branches.start[owner]!);
  }

  known(branch: BranchId, depthBlocks: number, fromBlocks: number): number {
    const { start, parent } = this.#branches;
    let end = depthBlocks;
    let b = this.#branches.at(branch, depthBlocks);
    // What only its session can name has no twin, and nobody else stored it.
    for (; b >= 0 && this.#unsalted.of(b) < 0; b = parent[b]!) end = Math.min(end, start[b]!);
    return b < 0 ? 0 : Math.max(this.#storedDepth(this.#unsalted.of(b), end) - fromBlocks, 0);
  }

  /** Leading blocks of an unsalted chain that were stored. Whoever stored a block had all before it, so the deepest branch with one decides. */
  #storedDepth(twin: BranchId, depthBlocks: number): number {
    const { branches } = this.#unsalted;
    let end = depthBlocks;
    for (let b = branches.at(twin, depthBlocks); b >= 0; b = branches.parent[b]!) {
      const first = branches.start[b]!;
      const stored = this.#stored.stored(b);
      if (stored > 0 && end > first) return Math.min(end, first + stored);
      end = Math.min(end, first);
    }
    return 0;
  }
}
