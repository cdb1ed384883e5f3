import type { ActionOutcome, KvAction, Millis, PauseKind, RankFacts, RankId, RetentionEvent, RetentionPolicy } from '../ports.ts';
import { breakEvenMs } from './cost-model.ts';
import { HazardEstimator } from './hazard-estimator.ts';
import { MoveQueue, type PlannedMove } from './move-queue.ts';
import { PauseTracker } from './pause-tracker.ts';
import { PREFETCH_DEPLOYABLE, type PrefetchOptions, prefetchAction } from './prefetch-options.ts';
import type { Act, RetentionEnv } from './retention-env.ts';
import type { ReturnWindow } from './return-window.ts';

type Finished = Extract<RetentionEvent, { kind: 'finished' }>;

/** A deadline that its request's blocks can just meet is missed by the way of the action: started this much earlier. Ours. */
const ALLOWANCE_MS: Millis = 10;

/**
 * `onPredicted`: the context of a paused session is asked for before the stretch of time in which it is expected back: the pause that the
 * client declared, else what the pauses of its class so far say, at the age from which HBM is worth its rent for what a reload costs.
 * A class whose returns only thin out has no such age but its beginning, and nothing is asked for. One load at a time per rank, so that at
 * most one of them competes with the loads of admissions. Source: retention specification 5.2, 9.4.
 * Cost per event O(log pauses + branches on the path); O(window) per prediction.
 */
export class ReturnPrefetch implements RetentionPolicy {
  readonly name = 'prefetch.onPredicted';
  readonly deployable = PREFETCH_DEPLOYABLE;
  readonly #options: PrefetchOptions;
  readonly #env: RetentionEnv;
  readonly #estimator = new HazardEstimator();
  readonly #pauses: PauseTracker;
  readonly #moves: MoveQueue;
  /** What a rank is loading, and what is due and waits for it. */
  readonly #loading = new Map<RankId, Omit<KvAction, 'id'>>();
  readonly #due = new Map<RankId, PlannedMove[]>();
  /** When the load ended that something due waited for; Infinity if none. */
  #freeMs = Number.POSITIVE_INFINITY;

  constructor(options: PrefetchOptions, env: RetentionEnv) {
    this.#options = options;
    this.#env = env;
    this.#pauses = new PauseTracker(env.branches, this.#estimator);
    this.#moves = new MoveQueue(env.branches);
  }

  get wakeMs(): Millis {
    return Math.min(this.#moves.wakeMs, this.#freeMs);
  }

  on(event: RetentionEvent, act: Act): void {
    switch (event.kind) {
      case 'dispatched': {
        const { session, branch, depthBlocks, arrivalMs } = event.request;
        this.#moves.resumed(session, branch, depthBlocks);
        this.#pauses.resumed(session, branch, depthBlocks, arrivalMs, event.nowMs);
        break;
      }
      case 'finished':
        this.#finished(event);
        break;
      case 'closed':
        if (event.reason !== 'released') this.#pauses.closed(event.session, event.nowMs);
        this.#moves.closed(event.session);
        break;
      case 'lost':
        this.#loading.delete(event.rank);
        this.#due.delete(event.rank);
    }
    this.#start(event.nowMs, act);
  }

  settled(action: KvAction, _outcome: ActionOutcome, nowMs: Millis): void {
    if (this.#loading.get(action.rank) !== action) return;
    this.#loading.delete(action.rank);
    if (this.#due.has(action.rank)) this.#freeMs = nowMs;
  }

  #finished({ request, rank, session, end, pause, nowMs }: Finished): void {
    if (end.status !== 'finished') return;
    const { branch, depthBlocks } = request;
    const tool = end.toolNames?.[0];
    this.#pauses.began(session, branch, depthBlocks, pause, tool, nowMs);
    const facts = this.#env.rankFacts(rank);
    if (pause === 'none' || facts?.reloadMsPerBlock === undefined) return;
    if (depthBlocks * facts.blockTokens < Math.max(1, this.#options.minTokens)) return;
    const reloadMs = facts.reloadMsPerBlock * depthBlocks;
    const window = this.#windowOf(request.hints?.declaredPauseMs, pause, tool, rank, facts, depthBlocks, reloadMs, nowMs);
    const leadMs = reloadMs + ALLOWANCE_MS;
    // It is expected back before a load could make a difference: nothing leaves HBM so soon.
    if (window === undefined || window.fromMs <= leadMs) return;
    this.#moves.plan({ rank, session, branch, depthBlocks, atMs: nowMs + window.fromMs - leadMs, untilMs: nowMs + window.toMs });
  }

  #windowOf(
    declaredMs: Millis | undefined,
    pause: PauseKind,
    tool: string | undefined,
    rank: RankId,
    facts: RankFacts,
    depthBlocks: number,
    reloadMs: Millis,
    nowMs: Millis,
  ): ReturnWindow | undefined {
    if (declaredMs !== undefined) return { fromMs: declaredMs, toMs: declaredMs };
    const breakEven = breakEvenMs(reloadMs, depthBlocks, facts.hbmBlocks, this.#env.kvUsage?.(rank) ?? 1);
    return this.#estimator.window(pause, tool, nowMs, breakEven);
  }

  /** Asks for what is due, one per rank; what came too late for its window is given up. */
  #start(nowMs: Millis, act: Act): void {
    this.#freeMs = Number.POSITIVE_INFINITY;
    for (let one = this.#moves.due(nowMs); one !== undefined; one = this.#moves.due(nowMs)) {
      const line = this.#due.get(one.rank);
      if (line === undefined) this.#due.set(one.rank, [one]);
      else line.push(one);
    }
    for (const [rank, line] of this.#due) {
      while (line.length > 0 && !this.#loading.has(rank)) {
        const { session, branch, depthBlocks, untilMs } = line.shift()!;
        if (untilMs < nowMs) continue;
        const action = prefetchAction(rank, session, branch, depthBlocks, nowMs);
        this.#loading.set(rank, action);
        act(action);
      }
      if (line.length === 0) this.#due.delete(rank);
    }
  }
}
