/**
 * What the control plane has claimed on one rank: live claims on chains, the blocks they cover together, and their deadlines.
 * Blocks shared by several claims are charged once (retention:I3).
 */
import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, Millis, SessionId } from '../ports.ts';
import { ChainCover } from './chain-cover.ts';

/** One live claim. `untilMs` may grow through {@link ClaimLedger.extend}. */
export interface LedgerClaim {
  readonly session: SessionId;
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
  untilMs: Millis;
  live: boolean;
  /** A cover of some claims of the ledger that it counts in as well. */
  part: ChainCover | undefined;
}

/** Live claims of one rank. Every claim has a finite deadline and leaves by itself (retention:I14). */
export class ClaimLedger {
  /** Blocks of live claims. */
  readonly cover: ChainCover;
  readonly #heapKey: number[] = [];
  readonly #heapClaim: LedgerClaim[] = [];
  #live = 0;

  constructor(branches: BranchTable) {
    this.cover = new ChainCover(branches);
  }

  /** Blocks covered by at least one live claim, each counted once. */
  get chargedBlocks(): Blocks {
    return this.cover.blocks;
  }

  /** Number of live claims. */
  get liveClaims(): number {
    return this.#live;
  }

  /** Leading blocks of the chain covered by live claims of anyone. Cost O(branches on the path). */
  coveredBlocks(branch: BranchId, depthBlocks: Blocks): Blocks {
    return this.cover.covered(branch, depthBlocks);
  }

  /**
   * Adds a claim on the first `depthBlocks` (>= 1) of the chain, to `part` as well while it lives. Throws on a deadline that is not
   * finite.
   */
  add(session: SessionId, branch: BranchId, depthBlocks: Blocks, untilMs: Millis, part?: ChainCover): LedgerClaim {
    checkDeadline(session, untilMs);
    this.cover.add(branch, depthBlocks);
    part?.add(branch, depthBlocks);
    return this.#enter({ session, branch, depthBlocks, untilMs, live: true, part });
  }

  /** A live claim of the same session ends and another takes its place: cheaper than both where their chains share most branches. */
  renew(old: LedgerClaim, branch: BranchId, depthBlocks: Blocks, untilMs: Millis): LedgerClaim {
    const { session, part } = old;
    checkDeadline(session, untilMs);
    old.live = false;
    this.#live--;
    this.cover.move(old.branch, old.depthBlocks, branch, depthBlocks);
    part?.move(old.branch, old.depthBlocks, branch, depthBlocks);
    return this.#enter({ session, branch, depthBlocks, untilMs, live: true, part });
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
    this.cover.remove(claim.branch, claim.depthBlocks);
    claim.part?.remove(claim.branch, claim.depthBlocks);
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

  #enter(claim: LedgerClaim): LedgerClaim {
    this.#live++;
    this.#push(claim.untilMs, claim);
    return claim;
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

function checkDeadline(session: SessionId, untilMs: Millis): void {
  if (!Number.isFinite(untilMs)) throw new Error(`claim of session ${session}: deadline ${untilMs} is not finite (retention:I14)`);
}
