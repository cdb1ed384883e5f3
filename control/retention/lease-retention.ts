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
} from '../ports.ts';
import { breakEvenMs, recomputeMs } from './cost-model.ts';
import type { TtlEstimator } from './gap-estimators.ts';
import { type ExclusiveRest, HeldClaims } from './held-claims.ts';
import type { LeaseParameters } from './lease-parameters.ts';
import { PauseTracker } from './pause-tracker.ts';
import type { RetentionEnv } from './retention-env.ts';

type Act = (action: Omit<KvAction, 'id'>) => void;
type Finished = Extract<RetentionEvent, { kind: 'finished' }>;

/** What became of the claims a policy wanted. asked = sent + rejected here; every one sent is settled by its worker once. */
export interface ClaimCounters {
  asked: number;
  sent: number;
  released: number;
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
    rejectedHere: {},
    clippedHere: {},
    settled: { accepted: 0, clipped: 0, deferred: 0, rejected: 0, missing: 0 },
  };
  readonly #params: LeaseParameters;
  readonly #env: RetentionEnv;
  readonly #estimator: TtlEstimator | undefined;
  readonly #pauses: PauseTracker | undefined;
  readonly #hardness: Hardness;
  readonly #drops: boolean;
  /** Only kept where a budget, a tenant share or a release needs it. */
  readonly #held: HeldClaims | undefined;
  /** No refresh can move a deadline further than this. */
  readonly #longestTtlMs: Millis;
  /** Somebody else releases what a closed session leaves. */
  readonly #isReleased: boolean;

  /** `isReleased`: a session reference beside it demotes what a closed session leaves; only the own books are closed. */
  constructor(name: string, deployable: string, params: LeaseParameters, env: RetentionEnv, estimator?: TtlEstimator, isReleased = false) {
    this.name = name;
    this.deployable = deployable;
    this.#params = params;
    this.#env = env;
    this.#estimator = estimator;
    this.#pauses = estimator?.learns === true ? new PauseTracker(env.branches, estimator) : undefined;
    this.#hardness = params.hardness === 'lease' ? 'lease' : 'soft';
    this.#drops = params.onExpiry === 'drop';
    const budgeted = params.hardness === 'lease' && Number.isFinite(params.budget);
    const watched = budgeted || params.tenantShare < 1 || params.releaseOnClose;
    this.#held = watched ? new HeldClaims(env.branches, params.tenantShare < 1) : undefined;
    this.#longestTtlMs = longestTtlMs(params);
    this.#isReleased = isReleased;
  }

  on(event: RetentionEvent, act: Act): void {
    if (event.kind === 'dispatched') this.#dispatched(event.rank, event.request, event.nowMs);
    else if (event.kind === 'finished') this.#finished(event, act);
    else if (event.kind === 'closed') this.#closed(event, act);
    else if (event.kind === 'lost') this.#held?.lost(event.rank);
  }

  settled(action: KvAction, outcome: ActionOutcome, nowMs: Millis): void {
    this.counters.settled[outcome.result]++;
    const { rank, session, branch, toBlocks, untilMs } = action;
    if (this.#held === undefined || outcome.result === 'accepted' || outcome.result === 'deferred') return;
    const held = this.#held.take(rank, session, branch, toBlocks, untilMs);
    const applied = outcome.result === 'clipped' ? outcome.appliedBlocks : 0;
    if (held !== undefined && applied > 0) this.#held.hold(rank, held.tenant, session, branch, applied, held.claim.untilMs, nowMs);
  }

  /** Live claims on a rank and the blocks they cover, each block once; zeros where no ledger is kept. */
  claimed(rank: RankId, nowMs: Millis): { readonly claims: number; readonly blocks: Blocks } {
    return this.#held?.claimed(rank, nowMs) ?? { claims: 0, blocks: 0 };
  }

  #dispatched(rank: RankId, request: RouteRequest, nowMs: Millis): void {
    this.#pauses?.resumed(request.session, request.branch, request.depthBlocks, request.arrivalMs, nowMs);
    if (this.#held === undefined || this.#hardness !== 'lease' || this.#params.refresh !== 'onHit') return;
    // A hit moves deadlines at the worker. The covered part of this prompt therefore stays charged, whoever claimed it, at least
    // until the longest deadline that the hit can give it; the claim made at the end of the response takes over from there.
    const { session, tenant, branch } = request;
    const covered = this.#held.covered(rank, branch, request.depthBlocks, nowMs);
    if (covered > 0) this.#held.hold(rank, tenant, session, branch, covered, nowMs + this.#longestTtlMs, nowMs);
  }

  #finished(event: Finished, act: Act): void {
    const { request, rank, session, end, nowMs } = event;
    if (end.status === 'rejected' || end.status === 'lost') return;
    if (!this.#drops && end.status !== 'finished') return;
    const pause: PauseKind = end.sessionFinal === true ? 'none' : event.pause;
    const tool = end.toolNames?.[0];
    const p = this.#params;
    const breakpoints = p.cacheControl === 'honour' ? (request.hints?.cacheControl ?? []) : [];
    if (request.depthBlocks > 0) {
      const ttlMs = this.#ttlMs(event, pause, tool);
      // A duration of 0 protects nothing; where expiry drops the blocks it still has to be said.
      if (ttlMs > 0 || (ttlMs === 0 && this.#drops)) this.#claim(rank, request, request.depthBlocks, ttlMs, nowMs, act);
      for (const { blockIndex, ttlMs: wanted } of breakpoints) {
        const depth = Math.min(blockIndex + 1, request.depthBlocks);
        if (depth > 0 && wanted > 0) this.#claim(rank, request, depth, wanted, nowMs, act);
      }
    }
    this.#pauses?.began(session, request.branch, request.depthBlocks, pause, tool, nowMs);
  }

  /** Time to keep without hints; negative = nothing asked for. */
  #ttlMs(event: Finished, pause: PauseKind, tool: string | undefined): Millis {
    const { ttl, priority, defaultPriority } = this.#params;
    if (ttl === undefined) return -1;
    if (priority !== undefined && priority <= (defaultPriority ?? 0)) return -1;
    // A session known to be over needs nothing. Where expiry drops blocks, others may still read them until the deadline.
    if (pause === 'none' && !this.#drops) return -1;
    if (typeof ttl === 'number') return ttl;
    if (typeof ttl === 'object') return pause === 'none' ? 0 : ttl[pause];
    if (this.#estimator === undefined || pause === 'none') return 0;
    return this.#estimator.ttlMs(pause, tool, event.nowMs, this.#stakes(event.rank, event.request));
  }

  /** What a wrong guess costs for this context: retention specification 5, with the rent of HBM at the reported usage. */
  #stakes(rank: RankId, request: RouteRequest): { readonly missMs: Millis; readonly breakEvenMs: Millis } {
    const facts = this.#env.rankFacts(rank);
    if (facts === undefined) return { missMs: 0, breakEvenMs: 0 };
    const tokens = request.depthBlocks * facts.blockTokens;
    const missMs = recomputeMs(0, tokens, facts.prefillMsPerToken, facts.prefillMsPerPair);
    const usage = this.#env.kvUsage?.(rank) ?? 1;
    return { missMs, breakEvenMs: breakEvenMs(missMs, request.depthBlocks, facts.hbmBlocks, usage) };
  }

  #claim(rank: RankId, request: RouteRequest, depthBlocks: Blocks, wantedMs: Millis, nowMs: Millis, act: Act): void {
    const p = this.#params;
    this.counters.asked++;
    const refused = this.#refusal(rank);
    if (refused !== undefined) {
      count(this.counters.rejectedHere, refused);
      return;
    }
    const ttlMs = this.#clampedTtl(request, wantedMs);
    const startMs = p.anchor === 'requestStart' ? request.arrivalMs : nowMs;
    let untilMs = startMs + ttlMs;
    if (untilMs < nowMs) {
      // Only a clock that started with the request can have run out: nothing is left to protect, but a drop is due now.
      if (!this.#drops) {
        count(this.counters.rejectedHere, 'expired');
        return;
      }
      untilMs = nowMs + DUE_NOW_MS;
    }
    let depth = depthBlocks;
    if (this.#held !== undefined) {
      const { tenant, session, branch } = request;
      depth = this.#grant(this.#held, rank, request, depthBlocks, nowMs);
      if (depth === 0) return;
      this.#held.supersede(rank, session, branch, depth, p.deadlineMode === 'replace' ? Number.POSITIVE_INFINITY : untilMs);
      this.#held.hold(rank, tenant, session, branch, depth, untilMs, nowMs);
    }
    this.counters.sent++;
    act({
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
      ...(p.refresh === 'onHit' ? { refreshMs: ttlMs } : {}),
      tierFloor: p.tierFloor,
    });
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
      if (wantedMs > maxTtlMs) count(this.counters.clippedHere, 'maxTtl');
      return maxTtlMs;
    }
    if (ttlMs < minTtlMs) {
      if (wantedMs < minTtlMs) count(this.counters.clippedHere, 'minTtl');
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
    if (p.tenantShare < 1 && depth > 0) {
      const budgetBlocks = Math.floor(p.tenantShare * (facts?.hbmBlocks ?? 0));
      depth = this.#clipped(depth, held.room(rank, request.tenant, request.branch, depth, budgetBlocks, nowMs), 'tenant');
    }
    return depth;
  }

  #clipped(askedBlocks: Blocks, grantedBlocks: Blocks, reason: string): Blocks {
    if (grantedBlocks === 0) count(this.counters.rejectedHere, reason);
    else if (grantedBlocks < askedBlocks) count(this.counters.clippedHere, reason);
    return grantedBlocks;
  }

  #closed({ session, reason, nowMs }: Extract<RetentionEvent, { kind: 'closed' }>, act: Act): void {
    // Who only releases may come back: its pause goes on.
    if (reason !== 'released') this.#pauses?.closed(session, nowMs);
    if (this.#held === undefined) return;
    if (this.#isReleased) this.#held.takeSession(session, nowMs);
    if (!this.#params.releaseOnClose) return;
    for (const rest of this.#held.takeSession(session, nowMs)) this.#release(rest, nowMs, act);
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
