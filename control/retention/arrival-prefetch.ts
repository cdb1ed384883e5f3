import type { ActionOutcome, AttemptId, KvAction, RankId, RetentionEvent, RetentionPolicy, RouteRequest } from '../ports.ts';
import { PREFETCH_DEPLOYABLE, type PrefetchOptions, prefetchAction } from './prefetch-options.ts';
import type { Act, RetentionEnv } from './retention-env.ts';

/** A dispatched request that has no token yet. */
interface Waiting {
  readonly attempt: AttemptId;
  readonly request: RouteRequest;
  /** What lies below HBM is worth loading, as far as is known, and was not asked for yet. */
  isOpen: boolean;
}

/**
 * `onArrival`: the loads of the first `lookahead` requests of a rank that wait for their first token start at once, in the order in which
 * they came, instead of at their admission. Source: retention specification 9.4. Cost O(requests that wait for the rank) per event.
 */
export class ArrivalPrefetch implements RetentionPolicy {
  readonly name = 'prefetch.onArrival';
  readonly deployable = PREFETCH_DEPLOYABLE;
  readonly hearsFirstTokens = true;
  readonly #options: PrefetchOptions;
  readonly #env: RetentionEnv;
  readonly #lines = new Map<RankId, Waiting[]>();

  constructor(options: PrefetchOptions, env: RetentionEnv) {
    this.#options = options;
    this.#env = env;
  }

  on(event: RetentionEvent, act: Act): void {
    switch (event.kind) {
      case 'dispatched':
        this.#lineOf(event.rank).push({ attempt: event.request.attempt, request: event.request, isOpen: this.#isWorthwhile(event) });
        this.#start(event.rank, event.nowMs, act);
        return;
      case 'answering':
      case 'finished':
        this.#leave(event.rank, event.request.attempt);
        this.#start(event.rank, event.nowMs, act);
        return;
      case 'lost':
        this.#lines.delete(event.rank);
    }
  }

  settled(_action: KvAction, _outcome: ActionOutcome): void {}

  /** Where the router knows what lies below, too little is left alone; else the worker finds out. */
  #isWorthwhile({ rank, request, lowerBlocks }: Extract<RetentionEvent, { kind: 'dispatched' }>): boolean {
    const facts = this.#env.rankFacts(rank);
    const hasBelow = facts === undefined || facts.hostBlocks > 0;
    const blocks = lowerBlocks ?? request.depthBlocks;
    return hasBelow && blocks > 0 && blocks * (facts?.blockTokens ?? 1) >= this.#options.minTokens;
  }

  #start(rank: RankId, nowMs: number, act: Act): void {
    const line = this.#lineOf(rank);
    const count = Math.min(line.length, this.#options.lookahead);
    for (let i = 0; i < count; i++) {
      const one = line[i]!;
      if (!one.isOpen) continue;
      one.isOpen = false;
      const { session, branch, depthBlocks } = one.request;
      act(prefetchAction(rank, session, branch, depthBlocks, nowMs));
    }
  }

  #leave(rank: RankId, attempt: AttemptId): void {
    const line = this.#lineOf(rank);
    const at = line.findIndex((one) => one.attempt === attempt);
    if (at >= 0) line.splice(at, 1);
  }

  #lineOf(rank: RankId): Waiting[] {
    let line = this.#lines.get(rank);
    if (line === undefined) {
      line = [];
      this.#lines.set(rank, line);
    }
    return line;
  }
}
