/**
 * Where the prompt tokens of first admissions came from. Each token has exactly one source or cause, judged at admission from
 * recorded facts: served by a tier, compulsory (never stored anywhere, or not cacheable by rule), held by another worker at that
 * moment, dropped at its deadline, or evicted. Source: retention specification 13, rolled up as in experiments 7.2.
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable, MAX_PATH } from '../../control/blocks.ts';
import { RankLists } from '../../control/index/rank-lists.ts';
import { grownSparse } from '../../control/sparse-growth.ts';
import type { Worker } from '../engine/worker.ts';
import { EVENT_CLASS } from '../kernel/event-class.ts';

/** Token totals by source or cause; they sum to the prompt tokens of all first admissions. */
export interface TokenSources {
  hbm: number;
  host: number;
  compulsory: number;
  routing: number;
  capacity: number;
  ttl: number;
  other: number;
}

/** All zero. */
export function emptySources(): TokenSources {
  return { hbm: 0, host: 0, compulsory: 0, routing: 0, capacity: 0, ttl: 0, other: 0 };
}

/**
 * Judges admissions. Keeps per branch how many of its own blocks were ever stored anywhere, and which ranks ever ran a request through
 * it: only those can hold a block of it, so that a miss asks a few workers instead of all.
 */
export class Attribution {
  sources = emptySources();
  /** Avoidable tokens of the last judged admission. */
  lastAvoidableTokens = 0;
  readonly #branches: BranchTable;
  readonly #blockTokens: number;
  readonly #dropsAtDeadline: boolean;
  #everStored = new Int32Array(1024);
  readonly #ranThrough = new RankLists();
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limit = new Int32Array(MAX_PATH);

  constructor(branches: BranchTable, blockTokens: number, dropsAtDeadline: boolean) {
    this.#branches = branches;
    this.#blockTokens = blockTokens;
    this.#dropsAtDeadline = dropsAtDeadline;
  }

  /** Starts the sums again; what was stored stays known. */
  reset(): void {
    this.sources = emptySources();
  }

  /** Own blocks [.., to) of a branch were stored on some worker in some tier. */
  stored(branch: number, to: number): void {
    // No prompt names a private block, so none can miss it.
    if ((this.#branches.flags[branch]! & BRANCH_PRIVATE) !== 0) return;
    if (branch >= this.#everStored.length) this.#everStored = grownSparse(this.#everStored, branch + 1);
    if (this.#everStored[branch]! < to) this.#everStored[branch] = to;
  }

  /** A request with this chain (its leaf branch) runs on a rank, which may cache any block of it. Cost O(branches new to the rank). */
  ran(leaf: BranchId, rank: number): void {
    const { parent, flags } = this.#branches;
    const lists = this.#ranThrough;
    // Whoever ran through a branch ran through all above it.
    for (let b = leaf; b >= 0 && lists.get(b, rank) === 0; b = parent[b]!) if ((flags[b]! & BRANCH_PRIVATE) === 0) lists.set(b, rank, 1);
  }

  /** Cost O(branches on the path), and O(ranks that ran through the branch) more when known content was missed. */
  judge(
    branch: number,
    depthBlocks: number,
    promptTokens: number,
    hbmTokens: number,
    hostTokens: number,
    rank: number,
    workers: readonly Worker[],
    tMs: number,
  ): void {
    const hit = hbmTokens + hostTokens;
    const usable = Math.min(depthBlocks, Math.floor((promptTokens - 1) / this.#blockTokens));
    const known = Math.min(usable, this.#knownBlocks(branch, depthBlocks)) * this.#blockTokens;
    const missedKnown = Math.max(0, known - hit);
    const s = this.sources;
    s.hbm += hbmTokens;
    s.host += hostTokens;
    s.compulsory += promptTokens - hit - missedKnown;
    this.lastAvoidableTokens = missedKnown;
    if (missedKnown === 0) return;
    const elsewhere = this.#bestElsewhere(branch, usable, Math.floor(hit / this.#blockTokens), rank, workers, tMs) * this.#blockTokens;
    const routed = Math.max(0, Math.min(elsewhere, known) - hit);
    s.routing += routed;
    if (this.#dropsAtDeadline) s.ttl += missedKnown - routed;
    else s.capacity += missedKnown - routed;
  }

  #knownBlocks(branch: number, depthBlocks: number): number {
    const n = this.#branches.path(branch, depthBlocks, this.#path, this.#limit);
    let known = 0;
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      const stored = b < this.#everStored.length ? this.#everStored[b]! : 0;
      if (stored < this.#limit[i]!) return known + stored;
      known += this.#limit[i]!;
    }
    return known;
  }

  /** Most leading blocks that another worker holds, if more than `hitBlocks`; else 0. */
  #bestElsewhere(branch: BranchId, depthBlocks: number, hitBlocks: number, rank: number, workers: readonly Worker[], tMs: number): number {
    // Whoever holds more than was hit holds the block after the hit, so it ran through that block's branch.
    const n = this.#branches.path(branch, depthBlocks, this.#path, this.#limit);
    let i = 0;
    for (let end = this.#limit[0]!; i < n - 1 && end <= hitBlocks; end += this.#limit[i]!) i++;
    const { head, arena, rankRoom } = this.#ranThrough;
    const at = head[this.#path[i]!] ?? 0;
    if (at === 0) return 0;
    const isDense = this.#ranThrough.isDense(this.#path[i]!);
    const length = isDense ? rankRoom : arena[at]!;
    let best = hitBlocks;
    for (let k = 0; k < length; k++) {
      const w = isDense ? k : arena[at + 2 + 2 * k]!;
      if (w === rank || (isDense && arena[at + 2 + k] === 0)) continue;
      // A worker that jumps shows the steps up to now only when it is advanced.
      workers[w]!.advance(tMs, EVENT_CLASS.stepEnd);
      const resident = workers[w]!.residentBlocks(branch, depthBlocks);
      const total = resident + workers[w]!.hostBlocks(branch, depthBlocks, resident);
      if (total > best) best = total;
    }
    return best > hitBlocks ? best : 0;
  }
}
