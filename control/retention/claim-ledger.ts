/**
 * What the control plane has claimed on one rank: live claims on chains, the blocks they cover together, and their deadlines.
 *
 * A claim on the chain (branch, depth) covers every block from the root, so the covered part of a branch is always a leading run
 * of its own blocks: one number, the largest limit of any live claim. Blocks shared by several claims are charged once
 * (retention:I3). Per branch a multiset of limits is kept, so that the charge falls correctly when a claim ends.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import type { Blocks, Millis, SessionId } from '../ports.ts';

/** One live claim. `untilMs` may grow through {@link ClaimLedger.extend}. */
export interface LedgerClaim {
  readonly session: SessionId;
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
  untilMs: Millis;
  live: boolean;
}

/** Limits of the claims on one branch: distinct own-block counts and how many claims end there. */
interface BranchLimits {
  readonly limits: number[];
  readonly counts: number[];
  max: number;
}

const pathBranches = new Int32Array(MAX_PATH);
const pathLimits = new Int32Array(MAX_PATH);

/** Live claims of one rank. Every claim has a finite deadline and leaves by itself (retention:I14). */
export class ClaimLedger {
  readonly #branches: BranchTable;
  readonly #limits = new Map<BranchId, BranchLimits>();
  readonly #heapKey: number[] = [];
  readonly #heapClaim: LedgerClaim[] = [];
  #charged = 0;
  #live = 0;

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** Blocks covered by at least one live claim, each counted once. */
  get chargedBlocks(): Blocks {
    return this.#charged;
  }

  /** Number of live claims. */
  get liveClaims(): number {
    return this.#live;
  }

  /** Leading blocks of the chain covered by live claims of anyone. Cost O(branches on the path). */
  coveredBlocks(branch: BranchId, depthBlocks: Blocks): Blocks {
    const n = this.#branches.path(branch, depthBlocks, pathBranches, pathLimits);
    for (let i = 0; i < n; i++) {
      const b = pathBranches[i]!;
      const max = this.#limits.get(b)?.max ?? 0;
      if (max < pathLimits[i]!) return this.#branches.start[b]! + max;
    }
    return depthBlocks;
  }

  /** Adds a claim on the first `depthBlocks` (>= 1) of the chain. Throws on a deadline that is not finite. */
  add(session: SessionId, branch: BranchId, depthBlocks: Blocks, untilMs: Millis): LedgerClaim {
    if (!Number.isFinite(untilMs)) throw new Error(`claim of session ${session}: deadline ${untilMs} is not finite (retention:I14)`);
    const claim: LedgerClaim = { session, branch, depthBlocks, untilMs, live: true };
    const n = this.#branches.path(branch, depthBlocks, pathBranches, pathLimits);
    for (let i = 0; i < n; i++) this.#raise(pathBranches[i]!, pathLimits[i]!);
    this.#live++;
    this.#push(untilMs, claim);
    return claim;
  }

  /** Moves a deadline to a later time; an earlier one is ignored. */
  extend(claim: LedgerClaim, untilMs: Millis): void {
    if (untilMs > claim.untilMs) claim.untilMs = untilMs;
  }

  /** Ends a claim now. Idempotent. */
  remove(claim: LedgerClaim): void {
    if (!claim.live) return;
    claim.live = false;
    this.#live--;
    const n = this.#branches.path(claim.branch, claim.depthBlocks, pathBranches, pathLimits);
    for (let i = 0; i < n; i++) this.#lower(pathBranches[i]!, pathLimits[i]!);
  }

  /** Ends every claim whose deadline lies before `nowMs` and reports it; a claim holds up to and including its deadline. */
  expire(nowMs: Millis, expired: (claim: LedgerClaim) => void): void {
    while (this.#heapKey.length > 0 && this.#heapKey[0]! < nowMs) {
      const claim = this.#pop();
      if (!claim.live) continue;
      if (claim.untilMs >= nowMs) {
        this.#push(claim.untilMs, claim);
        continue;
      }
      this.remove(claim);
      expired(claim);
    }
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
        this.#charged += limit - entry.max;
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
    this.#charged -= entry.max - max;
    entry.max = max;
    if (max === 0) this.#limits.delete(branch);
  }

  #push(key: number, claim: LedgerClaim): void {
    const keys = this.#heapKey;
    const claims = this.#heapClaim;
    let i = keys.length;
    keys.push(key);
    claims.push(claim);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (keys[up]! <= key) break;
      keys[i] = keys[up]!;
      claims[i] = claims[up]!;
      i = up;
    }
    keys[i] = key;
    claims[i] = claim;
  }

  #pop(): LedgerClaim {
    const keys = this.#heapKey;
    const claims = this.#heapClaim;
    const top = claims[0]!;
    const key = keys.pop()!;
    const claim = claims.pop()!;
    const n = keys.length;
    if (n === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[i] = keys[child]!;
      claims[i] = claims[child]!;
      i = child;
    }
    keys[i] = key;
    claims[i] = claim;
    return top;
  }
}
