import type { ActionOutcome, KvAction, Millis, ReleaseReason, RetentionEvent, RetentionPolicy, SessionId } from '../ports.ts';
import type { Act, RetentionEnv } from './retention-env.ts';
import { type Rest, SessionFrontiers } from './session-frontiers.ts';

/** What was asked of workers and what they answered. */
export interface ReferenceCounters {
  /** References sent. */
  referenced: number;
  /** Demotions to garbage sent, by cause. */
  readonly released: Record<ReleaseReason, number>;
  readonly settled: Record<ActionOutcome['result'], number>;
}

/**
 * Session reference (retention specification 8.1): blocks on the path of a live session are class 2 of the victim order; what a moved
 * frontier, a compaction, a close or a long silence leaves to nobody becomes class 0. Lazy: nothing is freed before pressure.
 * Needs only session ids. Cost per event O(frontiers of the session + branches on their paths).
 */
export class SessionReference implements RetentionPolicy {
  readonly name: string;
  readonly deployable: string;
  readonly counters: ReferenceCounters = {
    referenced: 0,
    released: { closed: 0, superseded: 0, compacted: 0, timeout: 0, explicit: 0 },
    settled: { accepted: 0, clipped: 0, deferred: 0, rejected: 0, missing: 0 },
  };
  readonly #env: RetentionEnv;
  readonly #idleCloseMs: Millis;
  readonly #frontiers: SessionFrontiers;

  /** `idleCloseMs`: a session without a request for so long counts as closed. */
  constructor(name: string, deployable: string, idleCloseMs: Millis, env: RetentionEnv) {
    this.name = name;
    this.deployable = deployable;
    this.#env = env;
    this.#idleCloseMs = idleCloseMs;
    this.#frontiers = new SessionFrontiers(env.branches);
  }

  /** Live sessions and their frontiers, for tests and reports. */
  get frontiers(): SessionFrontiers {
    return this.#frontiers;
  }

  get wakeMs(): Millis {
    const { idlest } = this.#frontiers;
    return idlest === undefined ? Number.POSITIVE_INFINITY : idlest.sinceMs + this.#idleCloseMs;
  }

  on(event: RetentionEvent, act: Act): void {
    const { nowMs } = event;
    switch (event.kind) {
      case 'dispatched': {
        const { session, attempt, branch, depthBlocks } = event.request;
        this.#frontiers.began(session, attempt, branch, depthBlocks);
        break;
      }
      case 'finished':
        this.#finished(event, act);
        break;
      case 'closed':
        this.#close(event.session, event.reason === 'released' ? 'explicit' : 'closed', nowMs, act);
        break;
      case 'compacted': {
        const blockTokens = this.#blockTokens(event.session);
        if (blockTokens === undefined) break;
        const rest = this.#frontiers.compacted(event.session, Math.floor(Math.max(0, event.keptTokens) / blockTokens));
        if (rest !== undefined) this.#release(event.session, rest, 'compacted', nowMs, act);
        break;
      }
      case 'lost':
        this.#frontiers.lost(event.rank);
        break;
      case 'tick':
        break;
    }
    this.#closeIdle(nowMs, act);
  }

  settled(_action: KvAction, outcome: ActionOutcome): void {
    this.counters.settled[outcome.result]++;
  }

  #finished({ session, rank, request, end, pause, nowMs }: Extract<RetentionEvent, { kind: 'finished' }>, act: Act): void {
    const { attempt, branch, depthBlocks } = request;
    if (end.status !== 'finished' || depthBlocks === 0) {
      this.#frontiers.failed(session, attempt, nowMs);
      return;
    }
    const rest = this.#frontiers.answered(session, attempt, { branch, depthBlocks, pause, ranks: [rank] }, nowMs);
    this.counters.referenced++;
    act({
      verb: 'pin',
      rank,
      session,
      branch,
      fromBlocks: 0,
      toBlocks: depthBlocks,
      untilMs: nowMs + this.#idleCloseMs,
      hardness: 'reference',
      mode: 'max',
      onExpiry: 'trueLastAccess',
      refreshMs: this.#idleCloseMs,
      tierFloor: 0,
    });
    // A prompt of less than half is a summary of the old one, anything else a rewrite of its end.
    if (rest !== undefined) this.#release(session, rest, 2 * depthBlocks < rest.depthBlocks ? 'compacted' : 'superseded', nowMs, act);
  }

  #close(session: SessionId, why: ReleaseReason, nowMs: Millis, act: Act): void {
    for (const rest of this.#frontiers.closed(session)) this.#release(session, rest, why, nowMs, act);
  }

  #closeIdle(nowMs: Millis, act: Act): void {
    while (this.wakeMs <= nowMs) this.#close(this.#frontiers.idlest!.session, 'timeout', nowMs, act);
    const { surplus } = this.#frontiers;
    if (surplus !== undefined) this.#close(surplus, 'timeout', nowMs, act);
  }

  #release(session: SessionId, rest: Rest, why: ReleaseReason, nowMs: Millis, act: Act): void {
    for (const rank of rest.ranks) {
      this.counters.released[why]++;
      act({
        verb: 'demote',
        rank,
        session,
        branch: rest.branch,
        fromBlocks: rest.fromBlocks,
        toBlocks: rest.depthBlocks,
        untilMs: nowMs,
        hardness: 'reference',
        mode: 'max',
        onExpiry: 'trueLastAccess',
        tierFloor: 0,
        toTier: 'none',
        why,
      });
    }
  }

  /** Block size of the rank that served the session last. */
  #blockTokens(session: SessionId): number | undefined {
    const rank = this.#frontiers.frontiers(session).at(-1)?.ranks.at(-1);
    return rank === undefined ? undefined : this.#env.rankFacts(rank)?.blockTokens;
  }
}
