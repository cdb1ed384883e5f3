/**
 * What became of blocks that were brought up ahead of their use: hit by a request, or gone from HBM without. The engine says when a prefetch
 * is done, what a request found in HBM, and what left it. Source: retention specification 9.4.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../../control/blocks.ts';
import type { ActionOutcome, KvAction } from '../../control/ports.ts';
import type { PrefetchTotals } from '../measure/run-measures.ts';

/** A prefetch that copied something. */
interface Prefetch {
  readonly doneMs: number;
  isUsed: boolean;
}

/** More than the blocks of any branch: a block is branch x OFFSETS + own offset. */
const OFFSETS = 2 ** 21;

const path = new Int32Array(MAX_PATH);
const limit = new Int32Array(MAX_PATH);

/** Totals of a worker at its start. */
function nothing(): PrefetchTotals {
  return { movedBlocks: 0, usedBlocks: 0, wastedBlocks: 0, usedPrefetches: 0, lateMs: 0 };
}

/** Costs nothing until the first prefetch is sent; then O(blocks) per prefetch, match and removal. */
export class PrefetchLedger {
  /** By rank, since the begin of the window. */
  totals: PrefetchTotals[];
  readonly #branches: BranchTable;
  /** Brought up, not used, still there: by rank and block. */
  readonly #open: Map<number, Prefetch>[];
  /** When requests that were not matched yet came to their worker. */
  readonly #cameMs = new Map<number, number>();
  #isAsked = false;

  constructor(branches: BranchTable, ranks: number) {
    this.#branches = branches;
    this.totals = Array.from({ length: ranks }, nothing);
    this.#open = Array.from({ length: ranks }, () => new Map());
  }

  /** A prefetch is on its way to a worker. */
  sent(): void {
    this.#isAsked = true;
  }

  /** The window begins: what is open belongs to the time before. */
  reset(): void {
    this.totals = this.totals.map(nothing);
    for (const open of this.#open) open.clear();
  }

  /** An action was carried out, or not. */
  settled({ verb, rank, branch, fromBlocks }: KvAction, { movedBlocks = 0, appliedBlocks, result }: ActionOutcome, tMs: number): void {
    if (verb !== 'prefetch' || movedBlocks === 0 || result === 'rejected') return;
    const prefetch: Prefetch = { doneMs: tMs, isUsed: false };
    const open = this.#open[rank]!;
    const totals = this.totals[rank]!;
    totals.movedBlocks += movedBlocks;
    const to = fromBlocks + appliedBlocks;
    this.#eachBlock(branch, to - movedBlocks, to, (block) => {
      if (open.has(block)) totals.wastedBlocks++;
      open.set(block, prefetch);
    });
  }

  /** A request came to its worker. */
  submitted(attempt: number, tMs: number): void {
    if (this.#isAsked) this.#cameMs.set(attempt, tMs);
  }

  /** A request takes the first `hbmBlocks` blocks of its chain, which are in HBM. */
  matched(attempt: number, rank: number, leaf: BranchId, hbmBlocks: number, tMs: number): void {
    if (!this.#isAsked) return;
    const cameMs = this.#cameMs.get(attempt) ?? tMs;
    this.#cameMs.delete(attempt);
    const open = this.#open[rank]!;
    if (open.size === 0) return;
    const totals = this.totals[rank]!;
    this.#eachBlock(leaf, 0, hbmBlocks, (block) => {
      const prefetch = open.get(block);
      if (prefetch === undefined) return;
      open.delete(block);
      totals.usedBlocks++;
      if (prefetch.isUsed) return;
      prefetch.isUsed = true;
      totals.usedPrefetches++;
      totals.lateMs += Math.max(0, prefetch.doneMs - cameMs);
    });
  }

  /** Copies of own blocks [from, to) of a branch left the HBM of a rank. */
  removed(rank: number, branch: BranchId, from: number, to: number): void {
    const open = this.#open[rank]!;
    if (open.size === 0) return;
    for (let x = from; x < to; x++) if (open.delete(branch * OFFSETS + x)) this.totals[rank]!.wastedBlocks++;
  }

  /** Blocks [from, to) of a chain. */
  #eachBlock(leaf: BranchId, from: number, to: number, visit: (block: number) => void): void {
    const entries = this.#branches.path(leaf, to, path, limit);
    let start = 0;
    for (let i = 0; i < entries; i++) {
      for (let x = Math.max(from - start, 0); x < limit[i]!; x++) visit(path[i]! * OFFSETS + x);
      start += limit[i]!;
    }
  }
}
