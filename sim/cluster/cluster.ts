/**
 * The cluster: agents, control plane, network and worker engines on one calendar. It owns time and the messages between the
 * parts, nothing else: what the plane knows it was told by a message that took time to arrive.
 *
 * Calendar slots: [workers][links of nodes][delay lines]; the heap holds what has no constant delay (arrivals after pauses,
 * faults, samples). Source: engine specification 1 and 12, data-structures specification 5.
 */
import type {
  ActionOutcome,
  AttemptEnd,
  ControlPlane,
  Effects,
  KvAction,
  Placement,
  Refusal,
  RouteRequest,
  StopReason,
} from '../../control/ports.ts';
import { KV_STORED, KvEventBatch } from '../../control/ports.ts';
import { STOPS } from '../../traces/columns.ts';
import type { LinkPool } from '../engine/links.ts';
import type { EndStatus, LoadView, Worker, WorkerCounters, WorkerSink } from '../engine/worker.ts';
import { Calendar, NOTHING, SLOT } from '../kernel/calendar.ts';
import { Stream } from '../kernel/draw.ts';
import { EVENT_CLASS } from '../kernel/event-class.ts';
import { LOGGED, RunHash } from '../kernel/run-hash.ts';
import { windowCounters } from '../measure/run-measures.ts';
import { DDSketch } from '../measure/sketch.ts';
import { TURN_STATUS, TurnTable } from '../measure/turn-table.ts';
import { AgentLoop, type ClosedLoopSink, type PlayEnd } from '../workload/closed-loop.ts';
import type { Workload } from '../workload/workload.ts';
import { ATTEMPT, Attempts } from './attempts.ts';
import { Attribution } from './attribution.ts';
import type { ActionCounts, ClusterRun, ClusterSpec, OccupancySums } from './cluster-spec.ts';
import { DelayLine } from './delay-line.ts';
import type { FaultSpec } from './fleet.ts';
import { MessageSlots } from './message-slots.ts';
import { createPlayTable, ensurePlay } from './play-table.ts';
import { UnloadedTime } from './unloaded-time.ts';
import { buildMachines } from './worker-builder.ts';

/** Delay lines in calendar order; equal times inside class 4 go in this order. */
const LINE = { kv: 0, net: 1, settled: 2, report: 3, timer: 4, action: 5, timeout: 6, submit: 7 } as const;
const SAMPLE_MS = 10_000;
/** Payloads of observations: all workers are sampled; the measured window begins. A rank is scraped otherwise. */
const SAMPLE = -1;
const WARM = -2;
const REPORT_TRAVEL_MS = 1;
/** How an attempt ended, as told to plane and agent. */
const END = { finished: 0, failed: 1, cancelled: 2, lost: 3, rejected: 4 } as const;
const END_STATUS = ['finished', 'failed', 'cancelled', 'lost', 'rejected'] as const;

/** Thrown when a run makes no progress: exit 6. */
export class StuckError extends Error {
  override readonly name = 'StuckError';
}

/** One run. `step` until it returns false, then `result`. */
export class Cluster implements WorkerSink, Effects, ClosedLoopSink {
  readonly #spec: ClusterSpec;
  readonly #workload: Workload;
  readonly #calendar: Calendar;
  readonly #workers: Worker[];
  readonly #pools: (LinkPool | null)[];
  readonly #nodeOf: Int32Array;
  readonly #plane: ControlPlane;
  readonly #loop: AgentLoop;
  readonly #lines: DelayLine[];
  readonly #lineSlot: number;
  readonly #submitLine: Int32Array;
  readonly #submitDelayMs: Float64Array;
  readonly #batches = new MessageSlots<KvEventBatch>();
  readonly #sparesBatches: KvEventBatch[] = [];
  readonly #actions = new MessageSlots<KvAction>();
  readonly #outcomes = new MessageSlots<{ action: KvAction; outcome: ActionOutcome }>();
  readonly #reports = new MessageSlots<{ rank: number; asOfMs: number; waiting: number; running: number; kvUsage: number }>();
  readonly #attempts = new Attempts();
  readonly #turns: TurnTable;
  readonly #plays = createPlayTable(1024);
  #gaps = new DDSketch();
  #startCounters: WorkerCounters[] = [];
  readonly #hash = new RunHash();
  readonly #attribution: Attribution;
  readonly #unloaded: UnloadedTime;
  #occupancy = emptyOccupancy();
  readonly #actionCounts: ActionCounts = { sent: 0, accepted: 0, clipped: 0, rejected: 0, missing: 0 };
  readonly #view: LoadView = {
    running: 0,
    waiting: 0,
    kvReferencedBlocks: 0,
    kvCachedBlocks: 0,
    kvClaimedBlocks: 0,
    kvUsableBlocks: 0,
    hostUsedBlocks: 0,
    hostBlocks: 0,
    stepEndsMs: 0,
  };
  /** Latest attempt of a turn. */
  #attemptOf = new Int32Array(1024).fill(-1);
  #nextInitial = 0;
  #pendingStarts = 0;
  #livePlays = 0;
  #liveTurns = 0;
  #nowMs = 0;
  #decisions = 0;
  #stale = 0;
  #refusals = 0;
  #timeouts = 0;
  #progressAt = 0;
  #wakeMs = Number.POSITIVE_INFINITY;
  #nextDeepCheckMs = 0;
  #sampledMs = 0;
  #over = false;

  constructor(spec: ClusterSpec) {
    this.#spec = spec;
    this.#workload = spec.workload;
    const count = spec.fleet.workers.length;
    const delays = [...new Set(spec.fleet.workers.map((w) => w.requestMs))].sort((a, b) => a - b);
    const machines = buildMachines(spec.fleet, spec.workload.branches, this, (transfer, worker, tMs) =>
      this.#transferDone(transfer, worker, tMs),
    );
    this.#workers = machines.workers;
    this.#pools = machines.pools;
    this.#nodeOf = Int32Array.from(spec.fleet.workers, (w) => w.node);
    this.#lineSlot = count + this.#pools.length;
    this.#lines = [4, 4, 4, 4, 4, 4, 5, ...delays.map(() => EVENT_CLASS.submit)].map((c) => new DelayLine(c));
    this.#calendar = new Calendar(this.#lineSlot + this.#lines.length, spec.tieSeed);
    this.#submitLine = Int32Array.from(spec.fleet.workers, (w) => LINE.submit + delays.indexOf(w.requestMs));
    this.#submitDelayMs = Float64Array.from(spec.fleet.workers, (w) => w.requestMs);
    this.#turns = new TurnTable(spec.workload.turns.count);
    this.#attribution = new Attribution(spec.workload.branches, spec.workload.blockTokens, spec.dropsAtDeadline);
    const first = spec.fleet.workers[0]!;
    this.#unloaded = new UnloadedTime(first.createTimer(), first.config.maxBatchedTokens, first.config.blockTokens, first.requestMs);
    this.#loop = new AgentLoop(spec.workload, this);
    this.#plane = spec.createPlane(spec.workload.branches, this);
    spec.fleet.workers.forEach((w, rank) => {
      this.#plane.worker({ rank, state: 'joined', epoch: 0, key: w.key, facts: w.facts }, 0);
      this.#plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
    });
    this.#scheduleFixedEvents();
  }

  /** Handles up to `maxEvents` events; false when the run is over. */
  step(maxEvents: number): boolean {
    const calendar = this.#calendar;
    const horizon = this.#spec.horizonMs;
    for (let i = 0; i < maxEvents; i++) {
      const kind = calendar.next();
      if (kind === NOTHING || (!this.#spec.drain && calendar.nowMs > horizon) || this.#isDone()) {
        this.#finish(kind === NOTHING ? this.#nowMs : calendar.nowMs);
        return false;
      }
      this.#nowMs = calendar.nowMs;
      if (kind === SLOT) this.#slotDue(calendar.entity, calendar.eventClass);
      else this.#eventDue(calendar.eventClass, calendar.entity, calendar.payload);
      if (calendar.yielded - this.#progressAt > this.#spec.noProgressEvents) this.#failStuck('no token, admission or end');
    }
    return true;
  }

  /** Ends the run now; what is open counts as censored. */
  stop(): void {
    this.#finish(this.#nowMs);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get events(): number {
    return this.#calendar.yielded;
  }

  /** Share of the work done, 0..1, for progress lines only. */
  get progress(): number {
    const horizon = this.#spec.horizonMs;
    if (Number.isFinite(horizon) && !this.#spec.drain) return Math.min(1, this.#nowMs / horizon);
    return this.#turns.finishedCount / Math.max(1, this.#workload.turns.count);
  }

  result(): ClusterRun {
    const workers = this.#workers;
    return {
      workload: this.#workload,
      turns: this.#turns,
      plays: this.#plays,
      tokenGaps: this.#gaps,
      counters: workers.map((w, i) =>
        this.#startCounters.length === 0 ? w.counters : windowCounters(w.counters, this.#startCounters[i]!),
      ),
      occupancy: this.#occupancy,
      sources: this.#attribution.sources,
      runHash: this.#hash.digest(),
      decisions: this.#decisions,
      staleDecisions: this.#stale,
      refusals: this.#refusals,
      timeouts: this.#timeouts,
      actions: this.#actionCounts,
      events: this.#calendar.yielded,
      endMs: this.#nowMs,
      violations: this.#violations(),
    };
  }

  // ---- the calendar -------------------------------------------------------------------------------------------------------

  #slotDue(slot: number, eventClass: number): void {
    const workers = this.#workers.length;
    if (slot < workers) {
      this.#workers[slot]!.advance(this.#nowMs, eventClass);
      this.#touch(slot);
    } else if (slot < this.#lineSlot) {
      const pool = this.#pools[slot - workers]!;
      pool.advance(this.#nowMs);
      this.#calendar.setSlot(slot, pool.nextMs, EVENT_CLASS.transfer);
    } else this.#lineDue(slot - this.#lineSlot);
  }

  #lineDue(index: number): void {
    const now = this.#nowMs;
    if (index === LINE.timer) {
      this.#wakeMs = Number.POSITIVE_INFINITY;
      this.#calendar.setSlot(this.#lineSlot + LINE.timer, Number.POSITIVE_INFINITY, EVENT_CLASS.control);
      this.#plane.timer(now);
      return;
    }
    const line = this.#lines[index]!;
    const entity = line.nextEntity;
    const payload = line.pop();
    this.#calendar.setSlot(this.#lineSlot + index, line.nextMs, line.eventClass);
    if (index === LINE.kv) this.#deliverKv(payload);
    else if (index === LINE.net) this.#deliverToken(payload);
    else if (index === LINE.action) this.#deliverAction(entity, payload);
    else if (index === LINE.settled) this.#deliverOutcome(payload);
    else if (index === LINE.report) this.#plane.report(this.#reports.take(payload), now);
    else if (index === LINE.timeout) this.#timeout(payload);
    else this.#submit(payload);
  }

  #eventDue(eventClass: number, entity: number, payload: number): void {
    if (eventClass === EVENT_CLASS.arrival) {
      if (payload >= 0) this.#arrive(entity, payload);
      else this.#startPlay(entity);
    } else if (eventClass === EVENT_CLASS.lifecycle) this.#fault(entity, payload);
    else if (payload === WARM) this.#beginWindow();
    else if (payload >= 0) this.#scrape(payload);
    else this.#sample();
  }

  #send(index: number, timeMs: number, entity: number, payload: number): void {
    const line = this.#lines[index]!;
    const before = line.nextMs;
    line.push(timeMs < this.#nowMs ? this.#nowMs : timeMs, entity, payload);
    if (line.nextMs !== before) this.#calendar.setSlot(this.#lineSlot + index, line.nextMs, line.eventClass);
  }

  /** Shows a worker's next own effect to the calendar, and that of its links, which it may have used. */
  #touch(rank: number): void {
    const worker = this.#workers[rank]!;
    this.#calendar.setSlot(rank, worker.nextMs, worker.nextClass);
    const node = this.#nodeOf[rank]!;
    const pool = this.#pools[node];
    if (pool != null) this.#calendar.setSlot(this.#workers.length + node, pool.nextMs, EVENT_CLASS.transfer);
  }

  #transferDone(transfer: number, worker: number, tMs: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#workers[worker]!.transferDone(transfer, tMs);
    this.#touch(worker);
  }

  #scheduleFixedEvents(): void {
    this.#spec.faults.forEach((fault, i) => {
      this.#calendar.push(fault.atMs, EVENT_CLASS.lifecycle, fault.worker, i);
    });
    this.#queueNextInitialPlay();
    this.#calendar.push(SAMPLE_MS, EVENT_CLASS.observe, 0, SAMPLE);
    if (this.#spec.warmupMs > 0) this.#calendar.push(this.#spec.warmupMs, EVENT_CLASS.observe, 0, WARM);
    if (!this.#spec.feedsReports) return;
    const period = this.#spec.network.metricsAgeMs;
    this.#workers.forEach((_, rank) => {
      const phase = new Stream(`${this.#spec.seed}/scrape/${rank}`).double() * period;
      this.#calendar.push(phase, EVENT_CLASS.observe, rank, rank);
    });
  }

  // ---- agents -------------------------------------------------------------------------------------------------------------

  #queueNextInitialPlay(): void {
    const plays = this.#workload.initialPlays;
    if (this.#nextInitial >= plays.length) return;
    const play = plays[this.#nextInitial++]!;
    const start = this.#workload.plays.startMs[play]!;
    if (start > this.#spec.horizonMs) return;
    this.#pendingStarts++;
    this.#calendar.push(Math.max(start, this.#nowMs), EVENT_CLASS.arrival, play, -1);
  }

  #startPlay(play: number): void {
    ensurePlay(this.#plays, play);
    this.#plays.startMs[play] = this.#nowMs;
    this.#pendingStarts--;
    this.#livePlays++;
    // Successors of closed slots push themselves; only the sorted list is walked here.
    if (this.#workload.mode !== 'closed' || this.#workload.plays.ordinal[play] === 0) this.#queueNextInitialPlay();
    this.#loop.start(play, this.#nowMs);
  }

  /** ClosedLoopSink: a turn becomes due. */
  due(turn: number, tMs: number): void {
    this.#liveTurns++;
    this.#calendar.push(Math.max(tMs, this.#nowMs), EVENT_CLASS.arrival, turn, 0);
  }

  /** ClosedLoopSink: the play failed; this turn of it is never sent, or aborted. */
  cancelled(turn: number): void {
    const attempt = turn < this.#attemptOf.length ? this.#attemptOf[turn]! : -1;
    // Not sent yet: its arrival finds the play closed.
    if (attempt < 0 || this.#attempts.state[attempt] === ATTEMPT.over) return;
    const running = this.#attempts.state[attempt] === ATTEMPT.running;
    const rank = this.#attempts.rank[attempt]!;
    this.#attempts.close(attempt);
    this.#liveTurns--;
    this.#turns.ended(turn, this.#nowMs, TURN_STATUS.failed);
    if (rank >= 0) this.#plane.ended(attempt, { status: 'cancelled', stop: 'other', outputTokens: 0 }, this.#nowMs);
    if (!running) return;
    this.#workers[rank]!.abort(attempt, this.#nowMs);
    this.#touch(rank);
  }

  /** ClosedLoopSink: all agents of a play ended. */
  playEnded(play: number, tMs: number, status: PlayEnd, activeMs: number, unloadedMs: number): void {
    this.#plays.endMs[play] = tMs;
    this.#plays.activeMs[play] = activeMs;
    this.#plays.unloadedMs[play] = unloadedMs;
    this.#plays.status[play] = status === 'completed' ? 1 : 2;
    this.#livePlays--;
    this.#plane.hint({ kind: 'sessionClosed', session: play }, this.#nowMs);
    if (this.#workload.mode !== 'closed') return;
    const startMs = tMs + this.#workload.respawnMs;
    if (startMs > this.#spec.horizonMs) return;
    const next = this.#workload.successor(this.#workload.plays.slot[play]!, this.#workload.plays.ordinal[play]! + 1);
    if (next < 0) return;
    this.#pendingStarts++;
    this.#calendar.push(Math.max(startMs, this.#nowMs), EVENT_CLASS.arrival, next, -1);
  }

  // ---- a turn's way -------------------------------------------------------------------------------------------------------

  #arrive(turn: number, attemptNumber: number): void {
    const turns = this.#workload.turns;
    const play = turns.play[turn]!;
    if (!this.#loop.isOpen(play)) {
      this.#liveTurns--;
      return;
    }
    this.#turns.ensure(turn + 1);
    if (turn >= this.#attemptOf.length) this.#attemptOf = grownInt(this.#attemptOf, turn + 1, -1);
    const attempt = this.#attempts.add(turn);
    this.#attemptOf[turn] = attempt;
    if (attemptNumber === 0) this.#turns.arrived(turn, this.#nowMs, turns.promptTokens[turn]!);
    this.#turns.attempts[turn] = attemptNumber + 1;
    this.#hash.add(this.#nowMs, LOGGED.arrival, turn);
    const request: RouteRequest = {
      attempt,
      id: this.#workload.turnName(turn),
      attemptNumber,
      session: play,
      sessionKey: this.#workload.playName(play),
      tenant: this.#workload.plays.tenant[play]!,
      arrivalMs: this.#nowMs,
      promptTokens: turns.promptTokens[turn]!,
      branch: turns.branch[turn]!,
      depthBlocks: turns.depthBlocks[turn]!,
    };
    this.#attempts.keep(attempt, request);
    this.#plane.request(request, this.#nowMs);
  }

  /** Effects: booked, send it. */
  dispatch(request: RouteRequest, placement: Placement): void {
    const attempt = request.attempt;
    const turn = this.#attempts.turn[attempt]!;
    const rank = placement.rank;
    this.#decisions++;
    this.#attempts.rank[attempt] = rank;
    this.#attempts.state[attempt] = ATTEMPT.sent;
    this.#attempts.cachedTokens[attempt] = placement.hbmBlocks + placement.lowerBlocks;
    const isFirst = Number.isNaN(this.#turns.dispatchMs[turn]!);
    this.#turns.dispatched(turn, this.#nowMs, rank);
    this.#hash.add(this.#nowMs, LOGGED.decision, rank);
    this.#send(this.#submitLine[rank]!, this.#nowMs + this.#submitDelayMs[rank]!, attempt, attempt);
    if (Number.isFinite(this.#spec.timeoutMs)) this.#send(LINE.timeout, this.#nowMs + this.#spec.timeoutMs, attempt, attempt);
    if (isFirst) this.#loop.dispatched(turn, this.#nowMs);
  }

  /** Effects: no place. */
  refuse(request: RouteRequest, refusal: Refusal): void {
    this.#refusals++;
    this.#attempts.endKind[request.attempt] = END.rejected;
    this.#attemptEnded(request.attempt, refusal.status >= 429);
  }

  /** Effects: an action travels to its worker. */
  act(action: KvAction): void {
    this.#actionCounts.sent++;
    this.#send(LINE.action, this.#nowMs + this.#spec.network.netMs, action.rank, this.#actions.put(action));
  }

  /** Effects. */
  wakeAt(tMs: number): void {
    if (tMs >= this.#wakeMs) return;
    this.#wakeMs = Math.max(tMs, this.#nowMs);
    this.#calendar.setSlot(this.#lineSlot + LINE.timer, this.#wakeMs, EVENT_CLASS.control);
  }

  /** Effects. */
  decided(record: Parameters<Effects['decided']>[0]): void {
    this.#spec.onDecision?.(record);
  }

  #submit(attempt: number): void {
    if (this.#attempts.state[attempt] === ATTEMPT.over) return;
    const turn = this.#attempts.turn[attempt]!;
    const turns = this.#workload.turns;
    const rank = this.#attempts.rank[attempt]!;
    this.#attempts.state[attempt] = ATTEMPT.running;
    this.#workers[rank]!.submit(
      {
        id: attempt,
        session: turns.play[turn]!,
        leaf: turns.leaf[turn]!,
        promptTokens: turns.promptTokens[turn]!,
        outputTokens: turns.outputTokens[turn]!,
        priority: this.#workload.plays.priority[turns.play[turn]!]!,
        arrivalMs: this.#nowMs,
        stopsEarly: STOPS[turns.stop[turn]!] !== 'length',
      },
      this.#nowMs,
    );
    this.#touch(rank);
  }

  /** Message of a worker about a token: payload = 2 * attempt + (0 first token, 1 end). */
  #deliverToken(payload: number): void {
    const attempt = payload >> 1;
    if (this.#attempts.state[attempt] === ATTEMPT.over) return;
    if ((payload & 1) === 0) this.#plane.firstToken(attempt, this.#nowMs);
    else this.#attemptEnded(attempt, this.#attempts.endKind[attempt] !== END.finished);
  }

  /** Control plane and agent learn of an end at the same time; a failed attempt may be tried again. */
  #attemptEnded(attempt: number, retryable: boolean): void {
    const turn = this.#attempts.turn[attempt]!;
    const kind = this.#attempts.endKind[attempt]!;
    const stop: StopReason = STOPS[this.#workload.turns.stop[turn]!]!;
    const wasPlaced = this.#attempts.rank[attempt]! >= 0;
    this.#attempts.close(attempt);
    this.#liveTurns--;
    if (wasPlaced) {
      const end: AttemptEnd = {
        status: END_STATUS[kind]!,
        stop: kind === END.finished ? stop : 'other',
        outputTokens: this.#attempts.outputTokens[attempt]!,
      };
      this.#plane.ended(attempt, end, this.#nowMs);
    }
    if (kind === END.finished) this.#loop.completed(turn, this.#nowMs, this.#unloadedMs(turn));
    else if (retryable && this.#turns.attempts[turn]! <= this.#spec.retries.max) this.#retry(turn);
    else {
      this.#turns.ended(
        turn,
        this.#nowMs,
        kind === END.rejected ? TURN_STATUS.rejected : kind === END.cancelled ? TURN_STATUS.timedOut : TURN_STATUS.failed,
      );
      this.#loop.failed(turn, this.#nowMs);
    }
  }

  #unloadedMs(turn: number): number {
    const turns = this.#workload.turns;
    const ms = this.#unloaded.e2eMs(turns.promptTokens[turn]!, turns.reusableTokens[turn]!, turns.outputTokens[turn]!);
    this.#turns.unloadedMs[turn] = ms;
    return ms;
  }

  #retry(turn: number): void {
    const number = this.#turns.attempts[turn]!;
    const { baseMs, capMs } = this.#spec.retries;
    let backoff = baseMs;
    for (let i = 1; i < number; i++) backoff = Math.min(capMs, backoff * 2);
    const jitter = 0.75 + 0.25 * new Stream(`${this.#spec.seed}/retry/${this.#workload.turnName(turn)}/${number}`).double();
    this.#liveTurns++;
    this.#calendar.push(this.#nowMs + backoff * jitter, EVENT_CLASS.arrival, turn, number);
  }

  #timeout(attempt: number): void {
    if (this.#attempts.state[attempt] === ATTEMPT.over) return;
    if (this.#attempts.state[attempt] !== ATTEMPT.running) {
      this.#timeouts++;
      this.#attempts.endKind[attempt] = END.cancelled;
      this.#attemptEnded(attempt, true);
      return;
    }
    this.#timeouts++;
    const rank = this.#attempts.rank[attempt]!;
    this.#workers[rank]!.abort(attempt, this.#nowMs);
    this.#touch(rank);
  }

  // ---- worker -> cluster --------------------------------------------------------------------------------------------------

  /** WorkerSink. */
  admitted(id: number, tMs: number, queryTokens: number, hitHbmTokens: number, hitHostTokens: number, first: boolean): void {
    this.#progressAt = this.#calendar.yielded;
    if (!first) return;
    const turn = this.#attempts.turn[id]!;
    const turns = this.#workload.turns;
    const believedTokens = this.#attempts.cachedTokens[id]! * this.#workload.blockTokens;
    if (believedTokens > hitHbmTokens + hitHostTokens + this.#workload.blockTokens) this.#stale++;
    this.#attempts.cachedTokens[id] = hitHbmTokens + hitHostTokens;
    this.#hash.add(tMs, LOGGED.admission, turn);
    this.#turns.admitted(turn, tMs, hitHbmTokens, hitHostTokens);
    if (!this.#spec.attribution) return;
    this.#attribution.judge(
      turns.branch[turn]!,
      turns.depthBlocks[turn]!,
      queryTokens,
      hitHbmTokens,
      hitHostTokens,
      this.#attempts.rank[id]!,
      this.#workers,
    );
    this.#turns.avoidableTokens[turn] = this.#attribution.lastAvoidableTokens;
  }

  /** WorkerSink. */
  restoring(id: number, tMs: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#turns.restoring(this.#attempts.turn[id]!, tMs);
  }

  /** WorkerSink. */
  firstToken(id: number, tMs: number): void {
    this.#progressAt = this.#calendar.yielded;
    const turn = this.#attempts.turn[id]!;
    this.#hash.add(tMs, LOGGED.firstToken, turn);
    this.#turns.firstToken(turn, tMs);
    this.#send(LINE.net, tMs + this.#spec.network.netMs, this.#attempts.rank[id]!, 2 * id);
  }

  /** WorkerSink. */
  tokenGaps(firstMs: number, incrementMs: number, count: number, weight: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#gaps.addRange(firstMs, incrementMs, count, weight);
  }

  /** WorkerSink. */
  ended(id: number, tMs: number, status: EndStatus, outputTokens: number, _reason: string): void {
    this.#progressAt = this.#calendar.yielded;
    const turn = this.#attempts.turn[id]!;
    this.#attempts.outputTokens[id] = outputTokens;
    this.#attempts.endKind[id] = endKind(status);
    if (status === 'finished') {
      this.#hash.add(tMs, LOGGED.lastToken, turn);
      this.#turns.finished(turn, tMs, outputTokens);
    } else this.#hash.add(tMs, LOGGED.end, turn);
    const delay = status === 'lost' ? this.#spec.network.detectMs : this.#spec.network.netMs;
    this.#send(LINE.net, tMs + delay, this.#attempts.rank[id]!, 2 * id + 1);
  }

  /** WorkerSink. */
  preempted(id: number): void {
    this.#turns.preemptions[this.#attempts.turn[id]!]!++;
  }

  /** WorkerSink: the batch travels with the index age; it is copied because the worker reuses it. */
  kvEvents(worker: number, batch: KvEventBatch, tMs: number): void {
    if (this.#spec.attribution) {
      for (let i = 0; i < batch.count; i++) if (batch.kind[i] === KV_STORED) this.#attribution.stored(batch.branch[i]!, batch.to[i]!);
    }
    if (!this.#spec.feedsIndex) return;
    const copy = this.#sparesBatches.pop() ?? new KvEventBatch();
    copy.copyFrom(batch);
    this.#send(LINE.kv, tMs + this.#spec.network.indexAgeMs, worker, this.#batches.put(copy));
  }

  #deliverKv(slot: number): void {
    const batch = this.#batches.take(slot);
    this.#plane.kvEvents(batch, this.#nowMs);
    this.#sparesBatches.push(batch);
  }

  /** WorkerSink. */
  settled(action: KvAction, outcome: ActionOutcome, tMs: number): void {
    if (outcome.result === 'deferred') return;
    this.#actionCounts[outcome.result]++;
    this.#hash.add(tMs, LOGGED.retention, outcome.appliedBlocks);
    this.#send(LINE.settled, tMs + this.#spec.network.netMs, action.rank, this.#outcomes.put({ action, outcome }));
  }

  /** WorkerSink. */
  claimBroken(): void {}

  #deliverAction(rank: number, slot: number): void {
    this.#workers[rank]!.apply(this.#actions.take(slot), this.#nowMs);
    this.#touch(rank);
  }

  #deliverOutcome(slot: number): void {
    const { action, outcome } = this.#outcomes.take(slot);
    this.#plane.settled(action.id, outcome, this.#nowMs);
  }

  // ---- observation, faults, end -------------------------------------------------------------------------------------------

  #scrape(rank: number): void {
    const worker = this.#workers[rank]!;
    worker.advance(this.#nowMs, EVENT_CLASS.observe);
    this.#touch(rank);
    worker.loadView(this.#nowMs, this.#view);
    const v = this.#view;
    const report = { rank, asOfMs: this.#nowMs, waiting: v.waiting, running: v.running, kvUsage: v.kvReferencedBlocks / v.kvUsableBlocks };
    this.#send(LINE.report, this.#nowMs + REPORT_TRAVEL_MS, rank, this.#reports.put(report));
    if (this.#liveTurns > 0 || this.#livePlays > 0 || this.#nextInitial < this.#workload.initialPlays.length) {
      this.#calendar.push(this.#nowMs + this.#spec.network.metricsAgeMs, EVENT_CLASS.observe, rank, rank);
    }
  }

  /** Adds the state of all workers, weighted by the ticks since the last look in which nothing happened. */
  #sample(): void {
    const weight = Math.max(1, Math.round((this.#nowMs - this.#sampledMs) / SAMPLE_MS));
    this.#sampledMs = this.#nowMs;
    const o = this.#occupancy;
    this.#workers.forEach((worker, rank) => {
      worker.advance(this.#nowMs, EVENT_CLASS.observe);
      this.#touch(rank);
      worker.loadView(this.#nowMs, this.#view);
      const v = this.#view;
      o.samples += weight;
      o.referenced += (weight * v.kvReferencedBlocks) / v.kvUsableBlocks;
      o.cached += (weight * v.kvCachedBlocks) / v.kvUsableBlocks;
      o.claimed += (weight * v.kvClaimedBlocks) / v.kvUsableBlocks;
      o.host += v.hostBlocks === 0 ? 0 : (weight * v.hostUsedBlocks) / v.hostBlocks;
      o.waiting += weight * v.waiting;
      if (worker.stuck !== null) this.#failStuck(worker.stuck);
    });
    o.livePlays += weight * this.#livePlays;
    if (this.#spec.checks === 'deep' || this.#nowMs >= this.#nextDeepCheckMs) {
      this.#nextDeepCheckMs = this.#nowMs + 60 * SAMPLE_MS;
      for (const worker of this.#workers) worker.check(this.#spec.checks === 'deep');
    }
    if (this.#isDone()) return;
    // While nothing happens nothing changes: the next look is at the first tick after the next event.
    const nextEventMs = this.#calendar.nextMs;
    const idleTicks = Number.isFinite(nextEventMs) ? Math.max(1, Math.ceil((nextEventMs - this.#nowMs) / SAMPLE_MS)) : 1;
    this.#calendar.push(this.#nowMs + idleTicks * SAMPLE_MS, EVENT_CLASS.observe, 0, SAMPLE);
  }

  /** The warm-up is over: counters, sketches and causes count from here. */
  #beginWindow(): void {
    this.#startCounters = this.#workers.map((worker, rank) => {
      worker.advance(this.#nowMs, EVENT_CLASS.observe);
      this.#touch(rank);
      return { ...worker.counters, regimeMs: { ...worker.counters.regimeMs } };
    });
    this.#gaps = new DDSketch();
    this.#attribution.reset();
    this.#occupancy = emptyOccupancy();
  }

  #fault(rank: number, index: number): void {
    const isEnd = index < 0;
    const fault: FaultSpec = this.#spec.faults[isEnd ? -1 - index : index]!;
    const worker = this.#workers[rank]!;
    const epoch = isEnd ? 1 : 0;
    if (fault.kind === 'slow') worker.setSlowdown(isEnd ? 1 : fault.factor, this.#nowMs);
    else if (fault.kind === 'drain' && !isEnd) {
      worker.drain(this.#nowMs, this.#nowMs + fault.forMs);
      this.#plane.worker({ rank, state: 'draining', epoch }, this.#nowMs);
    } else if (fault.kind === 'crash') {
      if (isEnd) {
        worker.restart(this.#nowMs);
        this.#plane.worker({ rank, state: 'restarted', epoch: index }, this.#nowMs);
      } else {
        worker.crash(this.#nowMs);
        this.#plane.worker({ rank, state: 'lost', epoch }, this.#nowMs);
      }
    }
    this.#touch(rank);
    if (!isEnd && Number.isFinite(fault.forMs)) this.#calendar.push(this.#nowMs + fault.forMs, EVENT_CLASS.lifecycle, rank, -1 - index);
  }

  #isDone(): boolean {
    return (
      this.#livePlays === 0 && this.#liveTurns === 0 && this.#pendingStarts === 0 && this.#nextInitial >= this.#workload.initialPlays.length
    );
  }

  #finish(tMs: number): void {
    if (this.#over) return;
    this.#over = true;
    const end = this.#spec.drain ? this.#nowMs : Math.min(tMs, this.#spec.horizonMs);
    this.#nowMs = Number.isFinite(end) ? Math.max(end, 0) : this.#nowMs;
    for (const worker of this.#workers) {
      worker.advance(this.#nowMs, EVENT_CLASS.observe);
      worker.check(true);
    }
    for (let play = 0; play < this.#plays.count; play++)
      if (this.#plays.status[play] === 0 && !Number.isNaN(this.#plays.startMs[play]!)) this.#plays.status[play] = 3;
    this.#turns.censorOpen();
  }

  #violations(): string[] {
    return [];
  }

  #failStuck(reason: string): never {
    const waiting = this.#workers.map((w) => w.stuck).filter((s) => s !== null);
    throw new StuckError(`${waiting[0] ?? reason} at sim ${Math.round(this.#nowMs)} ms after ${this.#calendar.yielded} events`);
  }
}

function emptyOccupancy(): OccupancySums {
  return { samples: 0, referenced: 0, cached: 0, claimed: 0, host: 0, waiting: 0, livePlays: 0 };
}

function endKind(status: EndStatus): number {
  if (status === 'finished') return END.finished;
  if (status === 'aborted') return END.cancelled;
  if (status === 'lost' || status === 'handback') return END.lost;
  return status === 'rejected' ? END.rejected : END.failed;
}

function grownInt(column: Int32Array, atLeast: number, fill: number): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(Math.max(atLeast, column.length * 2)).fill(fill);
  wide.set(column);
  return wide;
}
