/**
 * The control plane: one router, one retention policy and the bookkeeping that joins them. Told what happened, it answers within
 * the call; it reads no clock, awaits nothing and keeps nothing of a request beyond its end. Source: ports; router specification 4, 8.
 */
import { AdmissionGate } from './admission/admission-gate.ts';
import type { BranchTable } from './blocks.ts';
import { HintDesk } from './hints/hint-desk.ts';
import type { CopyMode } from './index/branch-index.ts';
import { EventFeed } from './index/event-feed.ts';
import { pauseAfter } from './pause-after.ts';
import type {
  ActionId,
  ActionOutcome,
  AttemptEnd,
  AttemptId,
  Blocks,
  ControlPlane,
  Effects,
  KvAction,
  KvEventBatch,
  KvHint,
  Millis,
  RankFacts,
  RankId,
  RecordLevel,
  Refusal,
  RetentionEvent,
  RetentionPolicy,
  RouteRequest,
  SessionAdmission,
  WorkerChange,
  WorkerReport,
} from './ports.ts';
import type { QueueOptions } from './queue/queue-profile.ts';
import { WaitingRoom } from './queue/waiting-room.ts';
import type { RetentionEnv } from './retention/retention-env.ts';
import { routerPolicy } from './router/catalogue.ts';
import { decisionReasons, recordDecision } from './router/decision-record.ts';
import { tieKey } from './router/keyed-draw.ts';
import type { Policy } from './router/policy.ts';
import { ScoringRouter } from './router/scoring-router.ts';

/** What a plane is built from. */
export interface PlaneOptions {
  readonly branches: BranchTable;
  /** A preset by name with its parameters, or a compiled policy. */
  readonly router: { readonly preset: string; readonly params?: Readonly<Record<string, unknown>> } | { readonly policy: Policy };
  /** The policy, or how to make one from what a plane offers it; null = the engine's own order and nothing else. */
  readonly retention: RetentionPolicy | ((env: RetentionEnv) => RetentionPolicy | null) | null;
  /** Which sessions may run; default null = all of them. */
  readonly admission?: SessionAdmission | null;
  /** Longest pause of a session that an admission may cause. Default 30 minutes. */
  readonly maxPauseMs?: Millis;
  /** uint32 for ties and draws. */
  readonly seed: number;
  readonly recordLevel: RecordLevel;
  readonly effects: Effects;
  /** Requests wait here while every rank they may go to is busy; default null = none ever waits. */
  readonly queue?: QueueOptions | null;
  /** Whether engines publish every physical copy of a block; default `count` (vLLM). */
  readonly copies?: CopyMode;
  /** Age from which a scraped value is stale. Default 1000. */
  readonly signalMaxAgeMs?: Millis;
}

/** A plane whose inside tests and measurements may read. */
export interface InspectablePlane extends ControlPlane {
  readonly router: ScoringRouter;
  readonly retention: RetentionPolicy | null;
  /** Sequence state of every rank's KV events. */
  readonly feed: EventFeed;
  /** Attempts between dispatch and end. */
  readonly inFlight: number;
  /** Requests that wait for a rank. */
  readonly waiting: number;
  /** Entries of the waiting queue: those that wait, and those whose client left before their turn. */
  readonly queued: number;
  /** Requests of sessions that may not run now, and what became of such requests. */
  readonly gate: AdmissionGate | null;
  /** What became of hints outside of requests. */
  readonly hints: HintDesk;
  /** Dispatches so far. */
  readonly bookSeq: number;
}

/** Builds a plane. Throws UserError for an unknown preset or a bad parameter. */
export function createPlane(options: PlaneOptions): InspectablePlane {
  return new Plane(options);
}

/** What must be delivered to a router for it to work as meant. */
export function routerNeeds(policy: Policy): { readonly kvEvents: boolean; readonly blockCounts: boolean; readonly reports: boolean } {
  const signals = ['waiting', 'running', 'kvUsage', 'kvBarrier', 'fresh', 'sinceScrapeTok'];
  return {
    kvEvents: policy.index.mode === 'events' && policy.readsMatch,
    blockCounts: policy.features.some((feature) => feature.base === 'indexSize'),
    reports: policy.features.some((feature) => signals.includes(feature.base)),
  };
}

const REFUSAL_STATUS: Readonly<Record<string, number>> = { context_too_long: 400, QUEUE_LIMIT: 529 };
const NO_CAPACITY = 503;

interface Flight {
  readonly request: RouteRequest;
  readonly rank: RankId;
  readonly dispatchedMs: Millis;
}

class Plane implements InspectablePlane {
  readonly router: ScoringRouter;
  readonly retention: RetentionPolicy | null;
  readonly feed: EventFeed;
  readonly gate: AdmissionGate | null;
  readonly hints = new HintDesk();
  bookSeq = 0;
  readonly #room: WaitingRoom | null;
  #isDraining = false;
  /** Something changed while the queue was being drained: it goes on instead of nesting. */
  #drainAgain = false;
  readonly #effects: Effects;
  readonly #level: RecordLevel;
  readonly #flights = new Map<AttemptId, Flight>();
  readonly #facts: (RankFacts | undefined)[] = [];
  readonly #actions = new Map<ActionId, KvAction>();
  #nextAction: ActionId = 0;
  readonly #act = (action: Omit<KvAction, 'id'>): void => {
    const whole: KvAction = Object.assign(action, { id: this.#nextAction++ });
    this.#actions.set(whole.id, whole);
    this.#effects.act(whole);
  };

  constructor(options: PlaneOptions) {
    const { branches, seed, router, retention, copies, signalMaxAgeMs } = options;
    const policy = 'policy' in router ? router.policy : routerPolicy(router.preset, router.params);
    this.router = new ScoringRouter(policy, {
      branches,
      seed,
      ...(copies === undefined ? {} : { copies }),
      ...(signalMaxAgeMs === undefined ? {} : { signalMaxAgeMs }),
    });
    this.feed = new EventFeed({
      apply: (batch, nowMs) => this.router.kvEvents(batch, nowMs),
      clear: (rank) => this.router.index.dropRank(rank),
      // A shell that can ask a worker for old batches repairs gaps before it tells the plane; here a gap is a loss.
      replay: () => false,
    });
    this.#room = options.queue == null ? null : new WaitingRoom(options.queue, this.router);
    this.gate = options.admission == null ? null : new AdmissionGate(options.admission, options.maxPauseMs);
    this.#effects = options.effects;
    this.#level = options.recordLevel;
    this.router.scoreAll = this.#level !== 'off';
    this.retention =
      typeof retention !== 'function'
        ? retention
        : retention({
            branches,
            rankFacts: (rank) => this.#facts[rank],
            draw: (key) => tieKey(seed >>> 0, key, 'retention') / 4294967296,
            kvUsage: (rank) => (this.router.table.asOfMs[rank]! > Number.NEGATIVE_INFINITY ? this.router.table.kvUsage[rank]! : 1),
          });
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  get waiting(): number {
    return this.#room?.waiting ?? 0;
  }

  get queued(): number {
    return this.#room?.entries ?? 0;
  }

  request(request: RouteRequest, nowMs: Millis): void {
    this.hints.saw(request.session, request.tenant);
    if (this.gate?.holds(request, nowMs) !== true) this.#route(request, 0, nowMs);
    this.#admit(nowMs);
  }

  #route(request: RouteRequest, waitMs: Millis, nowMs: Millis): void {
    if (this.#room === null || !this.#enter(this.#room, request, nowMs)) this.#place(request, waitMs, nowMs);
  }

  /** Lets requests go whose session may run now. Called after anything that an admission is told. */
  #admit(nowMs: Millis): void {
    const { gate } = this;
    if (gate === null) return;
    for (const { request, sinceMs } of gate.release(nowMs)) this.#route(request, nowMs - sinceMs, nowMs);
    if (gate.wakeMs < Number.POSITIVE_INFINITY) this.#effects.wakeAt(gate.wakeMs);
  }

  /** Puts a request into the queue and drains it. False: the request does not queue. */
  #enter(room: WaitingRoom, request: RouteRequest, nowMs: Millis): boolean {
    const { router } = this;
    const { scoreAll } = router;
    router.scoreAll = true;
    router.decide(request, nowMs);
    router.scoreAll = scoreAll;
    const entry = room.offer(request, nowMs);
    if (entry.kind === 'passes') return false;
    if (entry.kind === 'full') {
      // The offer looked at ranks that an affinity rules out; a record is one of the decision.
      if (this.#level !== 'off') router.decide(request, nowMs);
      this.#refuse(request, 'QUEUE_LIMIT', 0, nowMs, room.maxWaitMs);
      return true;
    }
    this.#drain(nowMs);
    if (!room.isWaiting(request.attempt)) return true;
    if (this.#level !== 'off') {
      router.decide(request, nowMs);
      const action = { kind: 'queue', key: entry.key, strict: entry.strict } as const;
      const facts = { action, reasons: ['QUEUED'], waitMs: 0, bookSeq: this.bookSeq };
      this.#effects.decided(recordDecision(router, request, this.#level, facts, nowMs));
    }
    this.#effects.wakeAt(room.deadlineMs);
    return true;
  }

  /** Looks at blocked lanes again, of `rank` or (none given) of all, and drains. */
  #recheck(nowMs: Millis, rank?: RankId): void {
    this.#room?.recheck(rank);
    this.#drain(nowMs);
  }

  /** Places everybody who may go. Called after anything that can free a rank; merged, never nested. */
  #drain(nowMs: Millis): void {
    const room = this.#room;
    if (room === null || room.entries === 0) return;
    this.#drainAgain = true;
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.router.bookings.settle(nowMs);
    while (this.#drainAgain) {
      this.#drainAgain = false;
      for (let one = room.next(); one !== undefined; one = room.next()) {
        if (!one.isCancelled) this.#place(one.request, nowMs - one.enteredMs, nowMs);
        else if (this.#level !== 'off') this.#recordAbandoned(one.request, nowMs - one.enteredMs, nowMs);
      }
    }
    this.#isDraining = false;
  }

  /** The record of whose turn came too late; nothing else happens. */
  #recordAbandoned(request: RouteRequest, waitMs: Millis, nowMs: Millis): void {
    const { router } = this;
    const rank = router.decide(request, nowMs);
    const action = { kind: 'abandon', rank } as const;
    const facts = { action, reasons: ['ABANDONED'], waitMs, bookSeq: this.bookSeq };
    this.#effects.decided(recordDecision(router, request, this.#level as 'compact' | 'full', facts, nowMs));
  }

  /** Decides and books in one turn. */
  #place(request: RouteRequest, waitMs: Millis, nowMs: Millis): void {
    const { router } = this;
    const rank = router.decide(request, nowMs);
    if (rank < 0) {
      this.#refuse(request, router.refusal, waitMs, nowMs);
      return;
    }
    const { hbm, host, disk, remote } = router.input.match;
    const placement = { rank, hbmBlocks: hbm[rank]!, lowerBlocks: host[rank]! + disk[rank]! + remote[rank]! };
    this.bookSeq++;
    if (this.#level !== 'off') {
      const facts = {
        action: { kind: 'dispatch', rank },
        reasons: waitMs > 0 ? ['QUEUED', ...decisionReasons(router, rank)] : decisionReasons(router, rank),
        waitMs,
        bookSeq: this.bookSeq,
      } as const;
      this.#effects.decided(recordDecision(router, request, this.#level, facts, nowMs));
    }
    const bestBlocks = this.gate === null ? undefined : this.#bestBlocks(request, nowMs);
    router.book(request, rank, nowMs);
    this.#flights.set(request.attempt, { request, rank, dispatchedMs: nowMs });
    this.#effects.dispatch(request, placement);
    this.gate?.dispatched(request, rank, bestBlocks, nowMs);
    if (this.retention === null) return;
    const event = { kind: 'dispatched', session: request.session, rank, request, nowMs } as const;
    const { hbmBlocks, lowerBlocks } = placement;
    this.#tell(this.retention, router.policy.readsMatch ? { ...event, hbmBlocks, lowerBlocks } : event);
  }

  /** Most blocks of the prompt of the last decision that an eligible rank holds; undefined if the router does not look. */
  #bestBlocks(request: RouteRequest, nowMs: Millis): Blocks | undefined {
    const { router } = this;
    if (!router.policy.readsMatch) return undefined;
    router.readCache(request, nowMs);
    const { hbm, host, disk, remote } = router.input.match;
    let best = 0;
    for (let i = 0; i < router.eligible; i++) {
      const rank = router.rows[i]!;
      best = Math.max(best, hbm[rank]! + host[rank]! + disk[rank]! + remote[rank]!);
    }
    return best;
  }

  firstToken(attempt: AttemptId, nowMs: Millis): void {
    const freed = this.router.firstToken(attempt, nowMs);
    const flight = this.#flights.get(attempt);
    if (flight !== undefined && this.retention?.hearsFirstTokens === true) {
      const { request, rank } = flight;
      this.#tell(this.retention, { kind: 'answering', session: request.session, rank, request, nowMs });
    }
    if (freed && flight !== undefined) this.#recheck(nowMs, flight.rank);
    else if (this.#room?.recheckAlways === true) this.#drain(nowMs);
  }

  progress(attempt: AttemptId, outputTokens: number, nowMs: Millis): void {
    this.router.progress(attempt, outputTokens, nowMs);
  }

  ended(attempt: AttemptId, end: AttemptEnd, nowMs: Millis): void {
    const flight = this.#flights.get(attempt);
    if (flight === undefined) {
      this.#room?.cancel(attempt);
      this.gate?.withdrawn(attempt, nowMs);
      this.#admit(nowMs);
      return;
    }
    const { request, rank } = flight;
    this.#flights.delete(attempt);
    if (end.status !== 'finished') this.router.withdraw(request, rank, flight.dispatchedMs);
    this.router.ended(attempt, nowMs);
    if (this.retention !== null) {
      const { session } = request;
      this.#tell(this.retention, { kind: 'finished', session, rank, request, end, pause: pauseAfter(end), nowMs });
      if (end.sessionFinal === true) this.#tell(this.retention, { kind: 'closed', session, reason: 'final', nowMs });
    }
    this.gate?.ended(request, rank, end, pauseAfter(end), nowMs);
    this.#admit(nowMs);
    this.#recheck(nowMs, rank);
  }

  worker(change: WorkerChange, nowMs: Millis): void {
    if (change.facts !== undefined) this.#facts[change.rank] = change.facts;
    this.router.worker(change);
    this.gate?.worker(change, this.#facts[change.rank], nowMs);
    if (change.state === 'lost') this.feed.forget(change.rank);
    const isCold = change.state === 'lost' || change.state === 'restarted';
    if (isCold && this.retention !== null) this.#tell(this.retention, { kind: 'lost', rank: change.rank, nowMs });
    this.#admit(nowMs);
    this.#recheck(nowMs);
  }

  kvEvents(batch: KvEventBatch, nowMs: Millis): void {
    // A batch that was under way when its worker was lost tells of blocks that are gone.
    if (this.router.readsEvents && !this.router.isLost(batch.rank)) this.feed.deliver(batch, nowMs);
  }

  report(report: WorkerReport, nowMs: Millis): void {
    this.router.report(report);
    this.#recheck(nowMs);
  }

  hint(hint: KvHint, nowMs: Millis): void {
    this.hints.take(hint, nowMs, () => this.#execute(hint, nowMs));
  }

  #execute({ kind, session, keptTokens }: KvHint, nowMs: Millis): void {
    if (kind === 'sessionClosed' && this.gate !== null) {
      this.gate.closed(session, nowMs);
      this.#admit(nowMs);
    }
    if (this.retention === null) return;
    if (kind === 'sessionClosed') this.#tell(this.retention, { kind: 'closed', session, reason: 'explicit', nowMs });
    if (kind === 'release') this.#tell(this.retention, { kind: 'closed', session, reason: 'released', nowMs });
    if (kind === 'sessionCompacted') this.#tell(this.retention, { kind: 'compacted', session, keptTokens: keptTokens!, nowMs });
  }

  #tell(retention: RetentionPolicy, event: RetentionEvent): void {
    retention.on(event, this.#act);
    this.#wakeFor(retention);
  }

  #wakeFor({ wakeMs }: RetentionPolicy): void {
    if (wakeMs !== undefined && wakeMs < Number.POSITIVE_INFINITY) this.#effects.wakeAt(wakeMs);
  }

  settled(action: ActionId, outcome: ActionOutcome, nowMs: Millis): void {
    const whole = this.#actions.get(action);
    if (whole === undefined) return;
    this.#actions.delete(action);
    if (this.retention === null) return;
    this.retention.settled(whole, outcome, nowMs);
    this.#wakeFor(this.retention);
  }

  timer(nowMs: Millis): void {
    this.router.bookings.expire(nowMs);
    const { retention } = this;
    if (retention?.wakeMs !== undefined && retention.wakeMs < Number.POSITIVE_INFINITY) {
      if (retention.wakeMs <= nowMs) this.#tell(retention, { kind: 'tick', nowMs });
      else this.#effects.wakeAt(retention.wakeMs);
    }
    this.gate?.tick(nowMs);
    this.#admit(nowMs);
    const room = this.#room;
    if (room === null) return;
    this.#recheck(nowMs);
    for (let one = room.overdue(nowMs); one !== undefined; one = room.overdue(nowMs)) {
      this.#refuse(one.request, 'QUEUE_TIMEOUT', nowMs - one.enteredMs, nowMs);
    }
    if (room.waiting > 0) this.#effects.wakeAt(room.deadlineMs);
  }

  #refuse(request: RouteRequest, code: string, waitMs: Millis, nowMs: Millis, retryAfterMs?: Millis): void {
    const status = REFUSAL_STATUS[code] ?? NO_CAPACITY;
    const refusal: Refusal = { status, code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    if (this.#level !== 'off') {
      const facts = { action: { kind: 'refuse', refusal }, reasons: [code], waitMs, bookSeq: this.bookSeq } as const;
      this.#effects.decided(recordDecision(this.router, request, this.#level, facts, nowMs));
    }
    this.#effects.refuse(request, refusal);
    this.gate?.withdrawn(request.attempt, nowMs);
  }
}
