import type {
  AttemptEnd,
  AttemptId,
  Blocks,
  Millis,
  PauseKind,
  RankFacts,
  RankId,
  RouteRequest,
  SessionAdmission,
  WorkerChange,
} from '../ports.ts';

/** A request of a session that may not run now. */
export interface HeldRequest {
  readonly request: RouteRequest;
  readonly sinceMs: Millis;
}

/** What became of requests at the gate. */
export interface GateCounters {
  /** Requests that had to wait. */
  held: number;
  /** Of those, let go because their time was over. */
  forced: number;
  /** Longest wait of a request that was let go. */
  longestMs: Millis;
}

/** No session is paused for longer, whatever the policy says. Source: retention specification 8.5. */
export const MAX_PAUSE_MS: Millis = 1_800_000;

/**
 * Where requests wait whose session may not run: tells the admission what happens, asks it again after every event, and lets nobody
 * wait for longer than `maxPauseMs`. Order of arrival. Cost per event O(held requests).
 */
export class AdmissionGate {
  readonly admission: SessionAdmission;
  readonly counters: GateCounters = { held: 0, forced: 0, longestMs: 0 };
  readonly #maxPauseMs: Millis;
  readonly #held = new Map<AttemptId, HeldRequest>();
  /** Requests that asked and were neither placed nor given up. */
  readonly #asked = new Map<AttemptId, RouteRequest>();

  constructor(admission: SessionAdmission, maxPauseMs: Millis = MAX_PAUSE_MS) {
    this.admission = admission;
    this.#maxPauseMs = maxPauseMs;
  }

  /** Requests that wait here. */
  get size(): number {
    return this.#held.size;
  }

  /** When it wants to be asked again at the latest. */
  get wakeMs(): Millis {
    const first = this.#held.values().next().value;
    const due = first === undefined ? Number.POSITIVE_INFINITY : first.sinceMs + this.#maxPauseMs;
    return Math.min(due, this.admission.wakeMs ?? Number.POSITIVE_INFINITY);
  }

  /** A request asks: true = it waits here. */
  holds(request: RouteRequest, nowMs: Millis): boolean {
    this.#asked.set(request.attempt, request);
    this.admission.on?.({ kind: 'requested', request, nowMs });
    if (this.admission.admit(request.session, nowMs) === 'run') return false;
    this.#held.set(request.attempt, { request, sinceMs: nowMs });
    this.counters.held++;
    return true;
  }

  /** Takes out everybody who may go now, in order of arrival. */
  release(nowMs: Millis): readonly HeldRequest[] {
    if (this.#held.size === 0) return [];
    const free: HeldRequest[] = [];
    for (const [attempt, one] of this.#held) {
      const { session } = one.request;
      if (one.sinceMs + this.#maxPauseMs <= nowMs) {
        this.admission.on?.({ kind: 'forced', session, nowMs });
        this.counters.forced++;
      } else if (this.admission.admit(session, nowMs) !== 'run') continue;
      this.#held.delete(attempt);
      this.counters.longestMs = Math.max(this.counters.longestMs, nowMs - one.sinceMs);
      free.push(one);
    }
    return free;
  }

  dispatched(request: RouteRequest, rank: RankId, bestBlocks: Blocks | undefined, nowMs: Millis): void {
    this.#asked.delete(request.attempt);
    this.admission.on?.({ kind: 'dispatched', request, rank, ...(bestBlocks === undefined ? {} : { bestBlocks }), nowMs });
  }

  /** A request that asked will not be placed. */
  withdrawn(attempt: AttemptId, nowMs: Millis): void {
    const request = this.#asked.get(attempt);
    if (request === undefined) return;
    this.#asked.delete(attempt);
    this.#held.delete(attempt);
    this.admission.on?.({ kind: 'withdrawn', request, nowMs });
  }

  ended(request: RouteRequest, rank: RankId, end: AttemptEnd, pause: PauseKind, nowMs: Millis): void {
    this.admission.on?.({ kind: 'ended', request, rank, end, pause, nowMs });
    if (end.sessionFinal === true) this.closed(request.session, nowMs);
  }

  closed(session: number, nowMs: Millis): void {
    this.admission.on?.({ kind: 'closed', session, nowMs });
  }

  worker(change: WorkerChange, facts: RankFacts | undefined, nowMs: Millis): void {
    const { rank, state } = change;
    if (state === 'joined' || facts === undefined) return;
    const tokens = state === 'ready' || state === 'restarted' ? facts.hbmBlocks * facts.blockTokens : 0;
    this.admission.on?.({ kind: 'capacity', rank, tokens, blockTokens: facts.blockTokens, nowMs });
  }

  tick(nowMs: Millis): void {
    if ((this.admission.wakeMs ?? Number.POSITIVE_INFINITY) <= nowMs) this.admission.on?.({ kind: 'tick', nowMs });
  }
}
