import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, Millis, RankId, SessionId } from '../ports.ts';
import { ChainCover } from './chain-cover.ts';
import { ClaimLedger, type LedgerClaim } from './claim-ledger.ts';

interface RankClaims {
  readonly ledger: ClaimLedger;
  /** Who was the first to be looked after here, while tenant shares are watched. */
  firstTenant: number | undefined;
  /** What the claims of each tenant cover; empty while all are of the first one. */
  readonly tenants: Map<number, ChainCover>;
}

/** A claim with its place. */
export interface HeldClaim {
  readonly rank: RankId;
  readonly tenant: number;
  readonly claim: LedgerClaim;
}

/** Who claims the first `depth` blocks of which chain where. */
export interface ClaimPlace {
  readonly rank: RankId;
  readonly tenant: number;
  readonly session: SessionId;
  readonly branch: BranchId;
  readonly depth: Blocks;
}

/** What a session leaves behind on a rank: blocks [fromBlocks, depthBlocks) of the chain, claimed by nobody else. */
export interface ExclusiveRest {
  readonly rank: RankId;
  readonly claim: LedgerClaim;
  readonly fromBlocks: Blocks;
}

/** Live claims of all ranks, found by rank and by session. Expired ones leave whenever their rank is looked at. */
export class HeldClaims {
  readonly #branches: BranchTable;
  readonly #perTenant: boolean;
  readonly #ranks = new Map<RankId, RankClaims>();
  readonly #sessions = new Map<SessionId, HeldClaim[]>();

  /** `perTenant`: also know what the claims of each tenant cover, for {@link room} with a tenant. */
  constructor(branches: BranchTable, perTenant: boolean) {
    this.#branches = branches;
    this.#perTenant = perTenant;
  }

  /** Live claims on a rank and the blocks they cover, each block once. */
  claimed(rank: RankId, nowMs: Millis): { readonly claims: number; readonly blocks: Blocks } {
    const { ledger } = this.#rank(rank, nowMs);
    return { claims: ledger.liveClaims, blocks: ledger.chargedBlocks };
  }

  /** Leading blocks of a chain that are claimed on a rank, by anyone. */
  covered(rank: RankId, branch: BranchId, depth: Blocks, nowMs: Millis): Blocks {
    return this.#rank(rank, nowMs).ledger.coveredBlocks(branch, depth);
  }

  /** Blocks of a claim that a budget on the rank, or of one tenant on it, leaves; root side first. What is covered costs nothing. */
  room(rank: RankId, tenant: number | undefined, branch: BranchId, depth: Blocks, budgetBlocks: Blocks, nowMs: Millis): Blocks {
    const state = this.#rank(rank, nowMs);
    const cover = (tenant === undefined ? undefined : this.#part(rank, state, tenant)) ?? state.ledger.cover;
    const left = Math.max(0, budgetBlocks - cover.blocks);
    // The common case needs no walk: everything would fit even if none of it were covered yet.
    return depth <= left ? depth : Math.min(depth, cover.covered(branch, depth) + left);
  }

  hold({ rank, tenant, session, branch, depth }: ClaimPlace, untilMs: Millis, nowMs: Millis): void {
    const state = this.#rank(rank, nowMs);
    const part = this.#perTenant ? this.#part(rank, state, tenant) : undefined;
    this.#keep({ rank, tenant, claim: state.ledger.add(session, branch, depth, untilMs, part) });
  }

  /**
   * As {@link hold}, and ends claims of the session on prefixes of the chain on this rank, all of them or those due at `dueMs` or before.
   */
  renew(place: ClaimPlace, untilMs: Millis, dueMs: Millis, nowMs: Millis): void {
    const { rank, tenant, session, branch, depth } = place;
    const { ledger } = this.#rank(rank, nowMs);
    const list = this.#sessions.get(session) ?? [];
    let renewed: HeldClaim | undefined;
    for (let i = list.length - 1; i >= 0; i--) {
      const held = list[i]!;
      const old = held.claim;
      if (held.rank !== rank || old.depthBlocks > depth || old.untilMs > dueMs) continue;
      if (this.#branches.commonDepth(old.branch, old.depthBlocks, branch, depth) < old.depthBlocks) continue;
      if (renewed === undefined && held.tenant === tenant) renewed = held;
      else this.#drop(held);
    }
    if (renewed === undefined) {
      this.hold(place, untilMs, nowMs);
      return;
    }
    list.splice(list.indexOf(renewed), 1);
    list.push({ rank, tenant, claim: ledger.renew(renewed.claim, branch, depth, untilMs) });
  }

  /** Live claims of a session on all ranks. */
  claimsOf(session: SessionId): readonly HeldClaim[] {
    return this.#sessions.get(session) ?? [];
  }

  /** Live claims of the session on prefixes of a chain on this rank. */
  prefixesOf(rank: RankId, session: SessionId, branch: BranchId, depth: Blocks): readonly HeldClaim[] {
    return this.claimsOf(session).filter(
      ({ rank: at, claim }) =>
        at === rank &&
        claim.depthBlocks <= depth &&
        this.#branches.commonDepth(claim.branch, claim.depthBlocks, branch, depth) === claim.depthBlocks,
    );
  }

  /** Ends and returns the claim that was made for such an action. */
  take(rank: RankId, session: SessionId, branch: BranchId, depth: Blocks, untilMs: Millis): HeldClaim | undefined {
    const held = this.#sessions
      .get(session)
      ?.find((h) => h.rank === rank && h.claim.branch === branch && h.claim.depthBlocks === depth && h.claim.untilMs >= untilMs);
    if (held !== undefined) this.#drop(held);
    return held;
  }

  /** Ends all claims of a session and returns what nobody else claims. */
  takeSession(session: SessionId, nowMs: Millis): readonly ExclusiveRest[] {
    for (const { rank } of this.#sessions.get(session)?.slice() ?? []) this.#rank(rank, nowMs);
    const open = this.#sessions.get(session)?.slice() ?? [];
    for (const held of open) this.#drop(held);
    const rest: ExclusiveRest[] = [];
    for (const { rank, claim } of open) {
      const fromBlocks = this.covered(rank, claim.branch, claim.depthBlocks, nowMs);
      if (fromBlocks < claim.depthBlocks) rest.push({ rank, claim, fromBlocks });
    }
    return rest;
  }

  /** Forgets everything on a rank that lost its memory. Cost O(sessions). */
  lost(rank: RankId): void {
    if (!this.#ranks.delete(rank)) return;
    for (const [session, list] of this.#sessions) {
      const rest = list.filter((held) => held.rank !== rank);
      if (rest.length === 0) this.#sessions.delete(session);
      else if (rest.length < list.length) this.#sessions.set(session, rest);
    }
  }

  #rank(rank: RankId, nowMs: Millis): RankClaims {
    let state = this.#ranks.get(rank);
    if (state === undefined) {
      state = { ledger: new ClaimLedger(this.#branches), firstTenant: undefined, tenants: new Map() };
      this.#ranks.set(rank, state);
    }
    state.ledger.expire(nowMs, this.#forget);
    return state;
  }

  /** What the claims of a tenant cover on a rank; undefined while nobody else had any there, so that it is what the ledger covers. */
  #part(rank: RankId, state: RankClaims, tenant: number): ChainCover | undefined {
    state.firstTenant ??= tenant;
    if (state.tenants.size === 0) {
      if (tenant === state.firstTenant) return undefined;
      this.#tellApart(rank, state);
    }
    let cover = state.tenants.get(tenant);
    if (cover === undefined) {
      cover = new ChainCover(this.#branches);
      state.tenants.set(tenant, cover);
    }
    return cover;
  }

  /** Another tenant came to a rank: the claims so far get a cover of their own. Cost O(claims of all ranks), once per rank. */
  #tellApart(rank: RankId, { firstTenant, tenants }: RankClaims): void {
    const cover = new ChainCover(this.#branches);
    tenants.set(firstTenant!, cover);
    for (const list of this.#sessions.values()) {
      for (const { rank: at, claim } of list) {
        if (at !== rank) continue;
        cover.add(claim.branch, claim.depthBlocks);
        claim.part = cover;
      }
    }
  }

  #keep(held: HeldClaim): void {
    const { session } = held.claim;
    const list = this.#sessions.get(session);
    if (list === undefined) this.#sessions.set(session, [held]);
    else list.push(held);
  }

  #drop(held: HeldClaim): void {
    this.#ranks.get(held.rank)?.ledger.remove(held.claim);
    this.#forget(held.claim);
  }

  readonly #forget = (claim: LedgerClaim): void => {
    const list = this.#sessions.get(claim.session);
    if (list === undefined) return;
    const at = list.findIndex((held) => held.claim === claim);
    if (at >= 0) list.splice(at, 1);
    if (list.length === 0) this.#sessions.delete(claim.session);
  };
}
