import type {
  ActionOutcome,
  Blocks,
  Hardness,
  KvAction,
  Millis,
  PauseKind,
  RankId,
  RetentionEvent,
  RetentionPolicy,
  RouteRequest,
  SessionId,
} from '../ports.ts';
import { rentPressure } from './cost-model.ts';
import type { TtlEstimator } from './gap-estimators.ts';
import { type ExclusiveRest, HeldClaims } from './held-claims.ts';
import { type HoldPlan, holdPlan } from './hold-plan.ts';
import type { LeaseParameters } from './lease-parameters.ts';
import { LostReturns } from './lost-returns.ts';
import { MoveQueue } from './move-queue.ts';
import { PauseTracker } from './pause-tracker.ts';
import type { Act, RetentionEnv } from './retention-env.ts';
import type { SessionFrontiers } from './session-frontiers.ts';
import { TenantBuckets } from './tenant-buckets.ts';

type Finished = Extract<RetentionEvent, { kind: 'finished' }>;

/** What became of the claims a policy wanted. asked = sent + rejected here; every one sent is settled by its worker once. */
export interface ClaimCounters {
  asked: number;
  sent: number;
  released: number;
  /** Contexts that were sent to the host tier when their time in HBM was over. */
  demoted: number;
  /** Refused by the control plane, by reason: disabled, unsupported, budget, tenant. */
  readonly rejectedHere: Record<string, number>;
  /** Sent for fewer blocks or a shorter time than asked, by reason: budget, tenant, maxTtl, minTtl. */
  readonly clippedHere: Record<string, number>;
  /** Outcomes reported by workers. */
  readonly settled: Record<ActionOutcome['result'], number>;
}

/**
 * A deadline that is due now is set this much later, so that the action is still valid when it arrives; a worker rejects deadlines
 * of the past. Ours: above any message delay, far below any TTL.
 */
const DUE_NOW_MS: Millis = 1000;

/**
 * The lease class: turns the end of a response into claims with finite deadlines, within budgets (retention specification 7).
 * One instance serves all ranks. Cost per event O(branches on the path + live claims of the session).
 */
export class LeaseRetention implements RetentionPolicy {
  readonly name: string;
  readonly deployable: string;
  readonly counters: ClaimCounters = {
    asked: 0,
    sent: 0,
    released: 0,
    demoted: 0,
    rejectedHere: {},
    clippedHere: {},
    settled: { accepted: 0, clipped: 0, deferred: 0, rejected: 0, missing: 0 },
  };
  readonly #params: LeaseParameters;
  readonly #env: RetentionEnv;
  readonly #estimator: TtlEstimator | undefined;
  readonly #pauses: PauseTracker | undefined;
  /** Only kept for an estimator that asks how long returns queue. */
  readonly #returns: LostReturns | undefined;
  readonly #hardness: Hardness;
  readonly #drops: boolean;
  /** Only kept where a budget, a tenant share or a release needs it. */
  readonly #held: HeldClaims | undefined;
  /** No refresh can move a deadline further than this. */
  readonly #longestTtlMs: Millis;
  readonly #demotions: MoveQueue | undefined;
  readonly #buckets: TenantBuckets | undefined;
  /** Beside it: releases what a closed session leaves, and knows what others need. */
  readonly #frontiers: SessionFrontiers | undefined;

  /** `frontiers`: of a session reference beside it, which demotes what a closed session leaves; only the own books are closed then. */
  constructor(
    name: string,
    deployable: string,
    params: LeaseParameters,
    env: RetentionEnv,
    estimator?: TtlEstimator,
    frontiers?: SessionFrontiers,
  ) {
    this.name = name;
    this.deployable = deployable;
    this.#params = params;
    this.#env = env;
    this.#estimator = estimator;
    this.#pauses = estimator?.learns === true ? new PauseTracker(env.branches, estimator) : undefined;
    this.#returns = estimator?.queued === undefined ? undefined : new LostReturns();
    this.#hardness = params.hardness === 'lease' ? 'lease' : 'soft';
    this.#drops = params.onExpiry === 'drop';
    const budgeted = params.hardness === 'lease' && Number.isFinite(params.budget);
    const watched =
      budgeted || params.tenantShare < 1 || params.releaseOnClose || params.tiers === 'two' || params.tenantBudget === 'blockTime';
    this.#held = watched ? new HeldClaims(env.branches, params.tenantShare < 1) : undefined;
    this.#longestTtlMs = longestTtlMs(params);
    this.#frontiers = frontiers;
    this.#demotions = params.tiers === 'two' ? new MoveQueue(env.branches) : undefined;
    this.#buckets = params.tenantBudget === 'blockTime' ? new TenantBuckets(params.tenantShare) : undefined;
  }

  /** When the next context is to leave HBM. */
  get wakeMs(): Millis {
    return this.#demotions?.wakeMs ?? Number.POSITIVE_INFINITY;
  }

  on(event: RetentionEvent, act: Act): void {
    if (event.kind === 'dispatched') this.#dispatched(event.rank, event.request, event.nowMs);
    else if (event.kind === 'finished') this.#finished(event, act);
    else if (event.kind === 'closed') this.#closed(event, act);
    else if (event.kind === 'lost') {
      this.#held?.lost(event.rank);
      this.#buckets?.lost(event.rank);
    }
    if (this.#demotions !== undefined) this.#demote(this.#demotions, event.nowMs, act);
  }

  settled(action: KvAction, outcome: ActionOutcome, nowMs: Millis): void {
    this.counters.settled[outcome.result]++;
    const { rank, session, branch, toBlocks, untilMs } = action;
    if (action.verb !== 'pin' || this.#held === undefined || outcome.result === 'accepted' || outcome.result === 'deferred') return;
    const held = this.#held.take(rank, session, branch, toBlocks, untilMs);
    const applied = outcome.result === 'clipped' ? outcome.appliedBlocks : 0;
    if (held !== undefined && applied > 0)
      this.#held.hold({ rank, tenant: held.tenant, session, branch, depth: applied }, held.claim.untilMs, nowMs);
  }

  /** Live claims on a rank and the blocks they cover, each block once; zeros where no ledger is kept. */
  claimed(rank: RankId, nowMs: Millis): { readonly claims: number; readonly blocks: Blocks } {
    return this.#held?.claimed(rank, nowMs) ?? { claims: 0, blocks: 0 };
  }

  #dispatched(rank: RankId, request: RouteRequest, nowMs: Millis): void {
    this.#demotions?.resumed(request.session, request.branch, request.depthBlocks);
    const left = this.#pauses?.resumed(request.session, request.branch, request.depthBlocks, request.arrivalMs, nowMs) ?? -1;
    if (left >= 0) this.#returns?.sent(request.attempt, left);
    if (this.#held === undefined || this.#hardness !== 'lease' || this.#params.refresh !== 'onHit') return;
    // A hit moves deadlines at the worker. The covered part of this prompt therefore stays charged, whoever claimed it, at least
    // until the longest deadline that the hit can give it; the claim made at the end of the response takes over from there.
    const { session, tenant, branch } = request;
    const covered = this.#held.covered(rank, branch, request.depthBlocks, nowMs);
    if (covered > 0) this.#held.hold({ rank, tenant, session, branch, depth: covered }, nowMs + this.#longestTtlMs, nowMs);
  }

  #finished(event: Finished, act: Act): void {
    const { request, rank, session, end, nowMs } = event;
    const waitMs = this.#returns?.ended(request, end, this.#env.rankFacts(rank)?.blockTokens ?? 1);
    if (waitMs !== undefined) this.#estimator!.queued!(waitMs);
    if (end.status === 'rejected' || end.status === 'lost') return;
    if (!this.#drops && end.status !== 'finished') return;
    const pause: PauseKind = end.sessionFinal === true ? 'none' : event.pause;
    const tool = end.toolNames?.[0];
    const p = this.#params;
    const breakpoints = p.cacheControl === 'honour' ? (request.hints?.cacheControl ?? []) : [];
    if (request.depthBlocks > 0) {
      const { hbmMs: ttlMs, hostMs } = this.#holdMs(event, pause, tool);
      let leavesMs = nowMs;
      // A duration of 0 protects nothing; where expiry drops the blocks it still has to be said.
      if (ttlMs > 0 || (ttlMs === 0 && this.#drops)) {
        const untilMs = this.#claim(rank, request, request.depthBlocks, ttlMs, nowMs, act);
        // A claim protects up to and including its deadline.
        if (untilMs !== undefined) leavesMs = untilMs + 1;
      }
      if (hostMs > ttlMs) {
        const untilMs = Math.min(nowMs + hostMs, nowMs + p.maxTtlMs);
        const { branch, depthBlocks } = request;
        this.#demotions?.plan({ rank, session, branch, depthBlocks, atMs: leavesMs, untilMs: Math.max(leavesMs, untilMs) });
      }
      for (const { blockIndex, ttlMs: wanted } of breakpoints) {
        const depth = Math.min(blockIndex + 1, request.depthBlocks);
        if (depth > 0 && wanted > 0) this.#claim(rank, request, depth, wanted, nowMs, act);
      }
    }
    this.#pauses?.began(session, request.branch, request.depthBlocks, pause, tool, nowMs);
  }

  /** Times to keep without hints; negative = nothing asked for. */
  #holdMs({ rank, request, nowMs }: Finished, pause: PauseKind, tool: string | undefined): HoldPlan {
    const { ttl, priority, defaultPriority } = this.#params;
    if (ttl === undefined) return alike(-1);
    if (priority !== undefined && priority <= (defaultPriority ?? 0)) return alike(-1);
    // A session known to be over needs nothing. Where expiry drops blocks, others may still read them until the deadline.
    if (pause === 'none' && !this.#drops) return alike(-1);
    if (typeof ttl === 'number') return alike(ttl);
    if (typeof ttl === 'object') return alike(pause === 'none' ? 0 : ttl[pause]);
    if (this.#estimator === undefined) return alike(0);
    return holdPlan(this.#params, this.#env, this.#estimator, rank, request, pause, tool, nowMs);
  }

  /**
   * Demotes what is due, unless HBM has room: without pressure a copy below would only cost bandwidth. What others claim or need stays.
   * Source: retention specification 8.2, 9.2.
   */
  #demote(demotions: MoveQueue, nowMs: Millis, act: Act): void {
    for (let one = demotions.due(nowMs); one !== undefined; one = demotions.due(nowMs)) {
      const { rank, session, branch, depthBlocks, untilMs } = one;
      if (rentPressure(this.#env.kvUsage?.(rank) ?? 1) === 0) continue;
      const fromBlocks = Math.max(
        this.#held?.covered(rank, branch, depthBlocks, nowMs) ?? 0,
        this.#frontiers?.neededByOthers(session, branch, depthBlocks) ?? 0,
      );
      if (fromBlocks >= depthBlocks) continue;
      this.counters.demoted++;
      act({
        verb: 'demote',
        rank,
        session,
        branch,
        fromBlocks,
        toBlocks: depthBlocks,
        untilMs,
        hardness: this.#hardness,
        mode: 'max',
        onExpiry: 'trueLastAccess',
        tierFloor: 1,
        toTier: 1,
      });
    }
  }

  /** Claims a prefix; returns the deadline, undefined if nothing was sent. */
  #claim(rank: RankId, request: RouteRequest, depthBlocks: Blocks, wantedMs: Millis, nowMs: Millis, act: Act): Millis | undefined {
    const p = this.#params;
    this.counters.asked++;
    const refused = this.#refusal(rank);
    if (refused !== undefined) {
      this.#refused(refused);
      return undefined;
    }
    const ttlMs = this.#clampedTtl(request, wantedMs);
    const startMs = p.anchor === 'requestStart' ? request.arrivalMs : nowMs;
    let untilMs = startMs + ttlMs;
    if (untilMs < nowMs) {
      // Only a clock that started with the request can have run out: nothing is left to protect, but a drop is due now.
      if (!this.#drops) {
        this.#refused('expired');
        return undefined;
      }
      untilMs = nowMs + DUE_NOW_MS;
    }
    let depth = depthBlocks;
    if (this.#held !== undefined) {
      const { tenant, session, branch } = request;
      depth = this.#grant(this.#held, rank, request, depthBlocks, nowMs);
      if (depth === 0) return undefined;
      if (this.#buckets !== undefined) {
        untilMs = this.#paid(this.#held, this.#buckets, rank, request, depth, untilMs, nowMs);
        if (untilMs <= nowMs) return undefined;
      }
      const dueMs = p.deadlineMode === 'replace' ? Number.POSITIVE_INFINITY : untilMs;
      this.#held.renew({ rank, tenant, session, branch, depth }, untilMs, dueMs, nowMs);
    }
    this.counters.sent++;
    const pin: Parameters<Act>[0] = {
      verb: 'pin',
      rank,
      session: request.session,
      branch: request.branch,
      fromBlocks: 0,
      toBlocks: depth,
      untilMs,
      hardness: this.#hardness,
      mode: p.deadlineMode,
      onExpiry: this.#drops ? 'drop' : 'trueLastAccess',
      tierFloor: p.tierFloor,
    };
    act(p.refresh === 'onHit' ? Object.assign(pin, { refreshMs: ttlMs }) : pin);
    return untilMs;
  }

  #refusal(rank: RankId): string | undefined {
    if (this.#hardness !== 'lease') return undefined;
    if (this.#params.budget === 0) return 'disabled';
    const needsHost = this.#params.tierFloor >= 1 && Number.isFinite(this.#params.budget);
    return needsHost && (this.#env.rankFacts(rank)?.hostBlocks ?? 0) === 0 ? 'unsupported' : undefined;
  }

  #clampedTtl(request: RouteRequest, wantedMs: Millis): Millis {
    const { minTtlMs, maxTtlMs, jitter } = this.#params;
    let ttlMs = wantedMs;
    if (jitter > 0) ttlMs *= 1 + jitter * (2 * this.#env.draw(`${this.name}/${request.id}#${request.attemptNumber}`) - 1);
    if (ttlMs > maxTtlMs) {
      if (wantedMs > maxTtlMs) this.#shortened('maxTtl');
      return maxTtlMs;
    }
    if (ttlMs < minTtlMs) {
      if (wantedMs < minTtlMs) this.#shortened('minTtl');
      return minTtlMs;
    }
    return ttlMs;
  }

  /** Blocks that the budgets leave, root side first (retention specification 3.2); 0 = rejected. */
  #grant(held: HeldClaims, rank: RankId, request: RouteRequest, depthBlocks: Blocks, nowMs: Millis): Blocks {
    const facts = this.#env.rankFacts(rank);
    const p = this.#params;
    let depth = depthBlocks;
    if (this.#hardness === 'lease' && Number.isFinite(p.budget) && p.tierFloor <= 1) {
      const capacity = p.tierFloor === 0 ? (facts?.hbmBlocks ?? 0) : (facts?.hostBlocks ?? 0);
      const left = held.room(rank, undefined, request.branch, depth, Math.floor(p.budget * capacity), nowMs);
      depth = this.#clipped(depth, left, 'budget');
    }
    if (p.tenantShare < 1 && depth > 0 && this.#buckets === undefined) {
      const budgetBlocks = Math.floor(p.tenantShare * (facts?.hbmBlocks ?? 0));
      depth = this.#clipped(depth, held.room(rank, request.tenant, request.branch, depth, budgetBlocks, nowMs), 'tenant');
    }
    return depth;
  }

  /** Deadline that the tenant's bucket pays for; what the session's earlier claims on the chain no longer need is given back first. */
  #paid(
    held: HeldClaims,
    buckets: TenantBuckets,
    rank: RankId,
    request: RouteRequest,
    depth: Blocks,
    untilMs: Millis,
    nowMs: Millis,
  ): Millis {
    const { tenant, session, branch } = request;
    const capacity = this.#env.rankFacts(rank)?.hbmBlocks ?? 0;
    for (const { claim } of held.prefixesOf(rank, session, branch, depth)) {
      // A longer claim stays beside a shorter one.
      if (this.#params.deadlineMode !== 'replace' && claim.untilMs > untilMs) continue;
      buckets.giveBack(rank, tenant, capacity, claim.depthBlocks, claim.untilMs - nowMs, nowMs);
    }
    const grantedMs = buckets.take(rank, tenant, capacity, depth, untilMs - nowMs, nowMs);
    if (grantedMs === 0) this.#refused('tenant');
    else if (grantedMs < untilMs - nowMs) this.#shortened('tenant');
    return nowMs + grantedMs;
  }

  #refused(reason: string): void {
    count(this.counters.rejectedHere, reason);
    if (this.#env.claims !== undefined) this.#env.claims.refused++;
  }

  #shortened(reason: string): void {
    count(this.counters.clippedHere, reason);
    if (this.#env.claims !== undefined) this.#env.claims.clipped++;
  }

  #clipped(askedBlocks: Blocks, grantedBlocks: Blocks, reason: string): Blocks {
    if (grantedBlocks === 0) this.#refused(reason);
    else if (grantedBlocks < askedBlocks) this.#shortened(reason);
    return grantedBlocks;
  }

  #closed({ session, reason, nowMs }: Extract<RetentionEvent, { kind: 'closed' }>, act: Act): void {
    // Who only releases may come back: its pause goes on.
    if (reason !== 'released') this.#pauses?.closed(session, nowMs);
    this.#demotions?.closed(session);
    this.#refund(session, nowMs);
    if (this.#held === undefined) return;
    if (this.#frontiers !== undefined) this.#held.takeSession(session, nowMs);
    if (!this.#params.releaseOnClose) return;
    for (const rest of this.#held.takeSession(session, nowMs)) this.#release(rest, nowMs, act);
  }

  #refund(session: SessionId, nowMs: Millis): void {
    if (this.#buckets === undefined || this.#held === undefined) return;
    for (const { rank, tenant, claim } of this.#held.claimsOf(session)) {
      const capacity = this.#env.rankFacts(rank)?.hbmBlocks ?? 0;
      this.#buckets.giveBack(rank, tenant, capacity, claim.depthBlocks, claim.untilMs - nowMs, nowMs);
    }
  }

  /** An explicit release: the exclusive part falls back to its true last access as soon as the action is sure to have arrived. */
  #release({ rank, claim, fromBlocks }: ExclusiveRest, nowMs: Millis, act: Act): void {
    this.counters.released++;
    act({
      verb: 'pin',
      rank,
      session: claim.session,
      branch: claim.branch,
      fromBlocks,
      toBlocks: claim.depthBlocks,
      untilMs: Math.min(claim.untilMs, nowMs + DUE_NOW_MS),
      hardness: this.#hardness,
      mode: 'replace',
      onExpiry: this.#drops ? 'drop' : 'trueLastAccess',
      tierFloor: this.#params.tierFloor,
    });
  }
}

function alike(ms: Millis): HoldPlan {
  return { hbmMs: ms, hostMs: ms };
}

/** Upper bound of the durations that a policy asks for without further hints than it honours. */
function longestTtlMs(params: LeaseParameters): Millis {
  const { ttl, maxTtlMs, jitter } = params;
  if (ttl === undefined || typeof ttl === 'string' || params.cacheControl === 'honour') return maxTtlMs;
  const base = typeof ttl === 'number' ? ttl : Math.max(ttl.tool, ttl.human, ttl.join);
  return Math.min(maxTtlMs, base * (1 + jitter));
}

function count(counters: Record<string, number>, reason: string): void {
  counters[reason] = (counters[reason] ?? 0) + 1;
}
