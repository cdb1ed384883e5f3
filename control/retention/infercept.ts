import type { BranchId } from '../blocks.ts';
import type {
  ActionOutcome,
  Blocks,
  KvAction,
  Millis,
  PauseKind,
  RankId,
  ReleaseReason,
  RetentionEvent,
  RetentionPolicy,
  RouteRequest,
  SessionId,
} from '../ports.ts';
import { discardWaste, type IterationCost, preserveWaste } from './min-waste.ts';
import { PauseTracker } from './pause-tracker.ts';
import { RestEstimator } from './rest-estimator.ts';
import type { Act, RetentionEnv } from './retention-env.ts';
import { type Rest, SessionFrontiers } from './session-frontiers.ts';

/** How a paused context is treated: by least waste, always one way, or by fixed times (ablations of retention specification 8.3). */
export const INFERCEPT_RULES = ['minWaste', 'preserve', 'discard', 'swap', 'swapFrom4s', 'discardFrom7s', 'threeWays'] as const;
export type InferceptRule = (typeof INFERCEPT_RULES)[number];

/** Parameters of {@link Infercept}. */
export interface InferceptParameters {
  readonly rule: InferceptRule;
  readonly cost: IterationCost;
  /** Time between two looks at paused contexts; the paper looks at every iteration. */
  readonly periodMs: Millis;
}

interface Paused {
  readonly rank: RankId;
  readonly session: SessionId;
  readonly request: RouteRequest;
  readonly pause: PauseKind;
  readonly tool: string | undefined;
  readonly declaredMs: Millis | undefined;
  readonly sinceMs: Millis;
}

/** Decisions so far. */
export interface InferceptCounters {
  preserved: number;
  swapped: number;
  discarded: number;
  readonly settled: Record<ActionOutcome['result'], number>;
}

const NO_LOAD = { requests: 0, tokens: 0 };
const SWAP_S = 4;
const DISCARD_S = 7;
/** A claim on a preserved context; renewed by nothing, ended by the next decision or request. */
const PRESERVE_MS: Millis = 3_600_000;

/**
 * `infercept@1`: a context in a pause is kept, swapped to the host or dropped, whichever wastes least. Of those that waste more by
 * lying there than by being computed again, the ones dearest to compute are swapped while the link hides it, the others are
 * dropped. Source: retention specification 8.3. Cost per look O(paused contexts x log pauses).
 */
export class Infercept implements RetentionPolicy {
  readonly name: string;
  readonly deployable: string;
  readonly counters: InferceptCounters = {
    preserved: 0,
    swapped: 0,
    discarded: 0,
    settled: { accepted: 0, clipped: 0, deferred: 0, rejected: 0, missing: 0 },
  };
  readonly #p: InferceptParameters;
  readonly #env: RetentionEnv;
  readonly #rests = new RestEstimator();
  readonly #pauses: PauseTracker;
  readonly #frontiers: SessionFrontiers;
  #paused: Paused[] = [];
  /** Running requests and their contexts by rank. */
  readonly #loads: { requests: number; tokens: number }[] = [];
  readonly #running = new Map<number, { readonly rank: RankId; readonly tokens: number }>();
  #wakeMs: Millis = Number.POSITIVE_INFINITY;

  constructor(name: string, deployable: string, parameters: InferceptParameters, env: RetentionEnv) {
    this.name = name;
    this.deployable = deployable;
    this.#p = parameters;
    this.#env = env;
    this.#pauses = new PauseTracker(env.branches, this.#rests);
    this.#frontiers = new SessionFrontiers(env.branches);
  }

  get wakeMs(): Millis {
    return this.#wakeMs;
  }

  on(event: RetentionEvent, act: Act): void {
    const { nowMs } = event;
    switch (event.kind) {
      case 'dispatched':
        this.#dispatched(event.rank, event.request, nowMs);
        break;
      case 'finished':
        this.#finished(event, act);
        break;
      case 'closed': {
        if (event.reason !== 'released') this.#pauses.closed(event.session, nowMs);
        this.#paused = this.#paused.filter((p) => p.session !== event.session);
        for (const rest of this.#frontiers.closed(event.session)) this.#drop(event.session, rest, 'closed', nowMs, act);
        break;
      }
      case 'lost':
        this.#frontiers.lost(event.rank);
        this.#paused = this.#paused.filter((p) => p.rank !== event.rank);
        break;
      case 'tick':
        this.#wakeMs = Number.POSITIVE_INFINITY;
        this.#look(nowMs, act);
        break;
      case 'compacted':
        break;
    }
    const { surplus } = this.#frontiers;
    if (surplus !== undefined) this.#frontiers.closed(surplus);
    if (this.#paused.length > 0 && this.#wakeMs === Number.POSITIVE_INFINITY) this.#wakeMs = nowMs + this.#p.periodMs;
  }

  settled(_action: KvAction, outcome: ActionOutcome): void {
    this.counters.settled[outcome.result]++;
  }

  #dispatched(rank: RankId, request: RouteRequest, nowMs: Millis): void {
    const { session, attempt, branch, depthBlocks, arrivalMs, promptTokens } = request;
    this.#running.set(attempt, { rank, tokens: promptTokens });
    this.#load(rank, 1, promptTokens);
    this.#pauses.resumed(session, branch, depthBlocks, arrivalMs, nowMs);
    this.#frontiers.began(session, attempt, branch, depthBlocks);
    const { branches } = this.#env;
    const goesOn = ({ session: of, request: r }: Paused): boolean =>
      of === session && 2 * branches.commonDepth(r.branch, r.depthBlocks, branch, depthBlocks) >= r.depthBlocks;
    if (this.#paused.some(goesOn)) this.#paused = this.#paused.filter((one) => !goesOn(one));
  }

  #finished({ session, rank, request, end, pause, nowMs }: Extract<RetentionEvent, { kind: 'finished' }>, act: Act): void {
    const { attempt, branch, depthBlocks, hints } = request;
    const running = this.#running.get(attempt);
    if (running !== undefined && this.#running.delete(attempt)) this.#load(running.rank, -1, -running.tokens);
    if (end.status !== 'finished' || depthBlocks === 0) {
      this.#frontiers.failed(session, attempt, nowMs);
      return;
    }
    const tool = end.toolNames?.[0];
    this.#pauses.began(session, branch, depthBlocks, pause, tool, nowMs);
    const rest = this.#frontiers.answered(session, attempt, { branch, depthBlocks, pause, ranks: [rank] }, nowMs);
    if (rest !== undefined) this.#drop(session, rest, 'superseded', nowMs, act);
    if (pause === 'none') return;
    this.#paused.push({ rank, session, request, pause, tool, declaredMs: hints?.declaredPauseMs, sinceMs: nowMs });
    this.#look(nowMs, act, attempt);
  }

  /** Decides about every paused context; those that stay are claimed once, when they are new (`attempt`). */
  #look(nowMs: Millis, act: Act, attempt?: number): void {
    const doomed: { readonly one: Paused; readonly waste: number; readonly way: 'swap' | 'discard' }[] = [];
    for (const one of this.#paused) {
      // Every running request decodes one token per iteration.
      const { requests, tokens } = this.#loads[one.rank] ?? NO_LOAD;
      const waste = discardWaste(one.request.promptTokens, requests, tokens, this.#p.cost);
      const way = this.#way(one, waste, nowMs);
      if (way !== 'preserve') doomed.push({ one, waste, way });
      else if (one.request.attempt === attempt) this.#preserve(one, nowMs, act);
    }
    if (doomed.length === 0) return;
    const budgets = new Map<RankId, Blocks>();
    doomed.sort((a, b) => b.waste - a.waste || a.one.request.attempt - b.one.request.attempt);
    for (const { one, way } of doomed) {
      this.#paused.splice(this.#paused.indexOf(one), 1);
      const { rank, session, request } = one;
      const fromBlocks = this.#frontiers.neededByOthers(session, request.branch, request.depthBlocks);
      const blocks = request.depthBlocks - fromBlocks;
      if (blocks <= 0) continue;
      const budget = budgets.get(rank) ?? this.#hiddenBlocks(rank);
      const swaps = way === 'swap' && blocks <= budget;
      budgets.set(rank, swaps ? budget - blocks : budget);
      if (swaps) this.counters.swapped++;
      else this.counters.discarded++;
      const { branch, depthBlocks } = request;
      const gone = action('demote', rank, session, branch, fromBlocks, depthBlocks, swaps ? nowMs + PRESERVE_MS : nowMs);
      act(Object.assign(gone, { toTier: swaps ? 1 : 'none' } as const));
    }
  }

  #way(one: Paused, waste: number, nowMs: Millis): 'preserve' | 'swap' | 'discard' {
    const restS = this.#restMs(one, nowMs) / 1000;
    switch (this.#p.rule) {
      case 'minWaste':
        return waste < preserveWaste(one.request.promptTokens, restS) ? 'swap' : 'preserve';
      case 'preserve':
      case 'discard':
      case 'swap':
        return this.#p.rule;
      case 'swapFrom4s':
        return restS >= SWAP_S ? 'swap' : 'preserve';
      case 'discardFrom7s':
        return restS >= DISCARD_S ? 'discard' : 'preserve';
      case 'threeWays':
        return restS < SWAP_S ? 'preserve' : restS < DISCARD_S ? 'swap' : 'discard';
    }
  }

  /** Declared rest, else learnt; as long again as it lasted already where neither is known. */
  #restMs({ pause, tool, declaredMs, sinceMs }: Paused, nowMs: Millis): Millis {
    const ageMs = nowMs - sinceMs;
    return declaredMs === undefined ? (this.#rests.restMs(pause, tool, ageMs) ?? ageMs) : Math.max(0, declaredMs - ageMs);
  }

  /** Counts requests that begin or end on a rank, with their contexts. */
  #load(rank: RankId, requests: number, tokens: number): void {
    this.#loads[rank] ??= { requests: 0, tokens: 0 };
    const load = this.#loads[rank];
    load.requests += requests;
    load.tokens += tokens;
  }

  /** Blocks that the link moves within a period. */
  #hiddenBlocks(rank: RankId): Blocks {
    const facts = this.#env.rankFacts(rank);
    if (facts?.reloadMsPerBlock === undefined || facts.hostBlocks === 0) return 0;
    return Math.floor(this.#p.periodMs / facts.reloadMsPerBlock);
  }

  #preserve({ rank, session, request }: Paused, nowMs: Millis, act: Act): void {
    this.counters.preserved++;
    act(action('pin', rank, session, request.branch, 0, request.depthBlocks, nowMs + PRESERVE_MS));
  }

  #drop(session: SessionId, rest: Rest, why: ReleaseReason, nowMs: Millis, act: Act): void {
    for (const rank of rest.ranks) {
      const gone = action('demote', rank, session, rest.branch, rest.fromBlocks, rest.depthBlocks, nowMs);
      act(Object.assign(gone, { toTier: 'none', why } as const));
    }
  }
}

function action(
  verb: 'pin' | 'demote',
  rank: RankId,
  session: SessionId,
  branch: BranchId,
  fromBlocks: Blocks,
  toBlocks: Blocks,
  untilMs: Millis,
): Parameters<Act>[0] {
  return {
    verb,
    rank,
    session,
    branch,
    fromBlocks,
    toBlocks,
    untilMs,
    hardness: 'soft',
    mode: 'replace',
    onExpiry: 'trueLastAccess',
    tierFloor: 0,
  };
}
