/**
 * The cluster: agents, control plane, network and worker engines on one calendar. It owns time and the messages between the
 * parts, nothing else: what the plane knows it was told by a message that took time to arrive.
 *
 * Calendar slots: [workers][links of nodes][delay lines]; the heap holds what has no constant delay (arrivals after pauses,
 * faults, samples). Source: engine specification 1 and 12, data-structures specification 5.
 */
import { traceHints } from '../../control/hints/normalise-hints.ts';
import type {
  ActionOutcome,
  AgentHints,
  ControlPlane,
  Effects,
  KvAction,
  KvEventBatch,
  Placement,
  Refusal,
  RouteRequest,
} from '../../control/ports.ts';
import type { LinkPool } from '../engine/links.ts';
import type { EndStatus, Worker, WorkerSink } from '../engine/worker.ts';
import { Calendar, NOTHING, SLOT } from '../kernel/calendar.ts';
import { EVENT_CLASS } from '../kernel/event-class.ts';
import { LOGGED } from '../kernel/run-hash.ts';
import { TURN_STATUS } from '../measure/turn-table.ts';
import { AgentLoop, type ClosedLoopSink, type PlayEnd } from '../workload/closed-loop.ts';
import type { Workload } from '../workload/workload.ts';
import { applyFault, busiestWorker } from './apply-fault.ts';
import { attemptEnd } from './attempt-end.ts';
import { ATTEMPT, Attempts, END, endKind } from './attempts.ts';
import type { ClusterRun, ClusterSpec } from './cluster-spec.ts';
import { DelayLine } from './delay-line.ts';
import { OBSERVE, queueFixedEvents } from './fixed-events.ts';
import { BUSIEST, type FaultSpec } from './fleet.ts';
import { KvFeed } from './kv-feed.ts';
import { LateRanks } from './late-ranks.ts';
import { MessageSlots } from './message-slots.ts';
import { nextLookMs, OccupancySampler } from './occupancy.ts';
import { IMPATIENT, patienceMs } from './patience.ts';
import { Population } from './population.ts';
import { retryDelayMs } from './retry-delay.ts';
import { RunRecord } from './run-record.ts';
import { StuckError } from './stuck-error.ts';
import { engineRequest, TurnRequest } from './turn-request.ts';
import { buildMachines } from './worker-builder.ts';

/** Delay lines in calendar order; equal times inside class 4 go in this order. */
const LINE = { net: 0, settled: 1, report: 2, timer: 3, action: 4, timeout: 5, submit: 6 } as const;
const REPORT_TRAVEL_MS = 1;

/** One run. `step` until it returns false, then `result`. */
export class Cluster implements WorkerSink, Effects, ClosedLoopSink {
  readonly #spec: ClusterSpec;
  readonly #workload: Workload;
  readonly #calendar: Calendar;
  readonly #workers: Worker[];
  readonly #pools: (LinkPool | null)[];
  readonly #poolsOf: readonly (readonly number[])[];
  readonly #plane: ControlPlane;
  readonly #loop: AgentLoop;
  readonly #lines: DelayLine[];
  readonly #lineSlot: number;
  readonly #submitLine: Int32Array;
  readonly #submitDelayMs: Float64Array;
  readonly #kvFeed: KvFeed;
  readonly #late: LateRanks;
  readonly #actions = new MessageSlots<KvAction>();
  readonly #outcomes = new MessageSlots<ActionOutcome>();
  readonly #reports = new MessageSlots<{ rank: number; asOfMs: number; waiting: number; running: number; kvUsage: number }>();
  readonly #attempts = new Attempts();
  readonly #record: RunRecord;
  readonly #population: Population;
  readonly #sampler: OccupancySampler;
  #liveTurns = 0;
  #nowMs = 0;
  #progressAt = 0;
  #wakeMs = Number.POSITIVE_INFINITY;
  #over = false;

  constructor(spec: ClusterSpec) {
    this.#spec = spec;
    this.#sampler = new OccupancySampler(spec.fleet.onLook);
    this.#workload = spec.workload;
    const count = spec.fleet.workers.length;
    const delays = [...new Set(spec.fleet.workers.map((w) => w.requestMs))].sort((a, b) => a - b);
    const lazyMs = spec.lazyEvents === false || spec.countsBlocks ? undefined : spec.network.indexAgeMs;
    const machines = buildMachines(spec.fleet, spec.workload.branches, this, lazyMs, (transfer, worker, tMs) =>
      this.#transferDone(transfer, worker, tMs),
    );
    this.#workers = machines.workers;
    this.#pools = machines.pools;
    this.#poolsOf = machines.poolsOf;
    this.#lineSlot = count + this.#pools.length;
    this.#lines = [4, 4, 4, 4, 4, 5, ...delays.map(() => EVENT_CLASS.submit)].map((c) => new DelayLine(c));
    this.#calendar = new Calendar(this.#lineSlot + this.#lines.length, spec.tieSeed);
    this.#submitLine = Int32Array.from(spec.fleet.workers, (w) => LINE.submit + delays.indexOf(w.requestMs));
    this.#submitDelayMs = Float64Array.from(spec.fleet.workers, (w) => w.requestMs);
    this.#late = new LateRanks(spec.workload.branches, count);
    this.#kvFeed = new KvFeed(spec.workload.branches, spec.countsBlocks);
    this.#record = new RunRecord(spec, this.#workers);
    this.#loop = new AgentLoop(spec.workload, this);
    this.#population = new Population(spec.workload, spec.horizonMs, (play, tMs) =>
      this.#calendar.push(tMs, EVENT_CLASS.arrival, play, -1),
    );
    this.#plane = spec.createPlane(spec.workload.branches, this);
    spec.fleet.workers.forEach((w, rank) => {
      this.#plane.worker({ rank, state: 'joined', epoch: 0, key: w.key, facts: w.facts }, 0);
      this.#plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
    });
    this.#population.queueInitial(this.#nowMs);
    queueFixedEvents(spec, this.#calendar);
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

  /** The engines, for measurements of their memory. */
  get workers(): readonly Worker[] {
    return this.#workers;
  }

  /** Share of the work done, 0..1, for progress lines only. */
  get progress(): number {
    const horizon = this.#spec.horizonMs;
    if (Number.isFinite(horizon) && !this.#spec.drain) return Math.min(1, this.#nowMs / horizon);
    return this.#record.turns.finishedCount / Math.max(1, this.#workload.turns.count);
  }

  result(): ClusterRun {
    return {
      ...this.#record.result(this.#workers),
      plays: this.#population.table,
      occupancy: this.#sampler.sums,
      events: this.#calendar.yielded + this.#kvFeed.delivered,
      endMs: this.#nowMs,
    };
  }

  // ---- the calendar -------------------------------------------------------------------------------------------------------

  #slotDue(slot: number, eventClass: number): void {
    const workers = this.#workers.length;
    if (slot < workers) {
      const worker = this.#workers[slot]!;
      worker.advance(this.#nowMs, eventClass);
      // The schedule() that follows the end of a step is the next effect if nothing else is due now.
      const follows = worker.nextMs === this.#nowMs && this.#poolsOf[slot]!.length === 0 && this.#calendar.isAlone(slot);
      if (follows && eventClass === EVENT_CLASS.stepEnd) worker.advance(this.#nowMs, EVENT_CLASS.schedule);
      this.#touch(slot);
    } else if (slot < this.#lineSlot) {
      const pool = this.#pools[slot - workers]!;
      pool.advance(this.#nowMs);
      this.#calendar.setSlot(slot, pool.nextMs, EVENT_CLASS.transfer);
    } else this.#lineDue(slot - this.#lineSlot);
  }

  #lineDue(index: number): void {
    const now = this.#nowMs;
    this.#kvFeed.deliver(this.#plane, now, true);
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
    if (index === LINE.net) this.#deliverToken(payload);
    else if (index === LINE.action) this.#deliverAction(entity, payload);
    else if (index === LINE.settled) this.#plane.settled(entity, this.#outcomes.take(payload), now);
    else if (index === LINE.report) this.#plane.report(this.#reports.take(payload), now);
    else if (index === LINE.timeout) this.#timeout(payload);
    else this.#submit(payload);
  }

  #eventDue(eventClass: number, entity: number, payload: number): void {
    this.#kvFeed.deliver(this.#plane, this.#nowMs, eventClass >= EVENT_CLASS.control);
    if (eventClass === EVENT_CLASS.arrival) {
      if (payload >= 0) this.#arrive(entity, payload);
      else this.#startPlay(entity);
    } else if (eventClass === EVENT_CLASS.abort) this.#unanswered(entity, payload);
    else if (eventClass === EVENT_CLASS.lifecycle) this.#fault(entity, payload);
    else if (payload === OBSERVE.warm) this.#beginWindow();
    else if (payload >= 0) this.#scrape(payload);
    else this.#sample();
  }

  #send(index: number, timeMs: number, entity: number, payload: number): void {
    const line = this.#lines[index]!;
    const before = line.nextMs;
    line.push(timeMs < this.#nowMs ? this.#nowMs : timeMs, entity, payload);
    if (line.nextMs !== before) this.#calendar.setSlot(this.#lineSlot + index, line.nextMs, line.eventClass);
  }

  /** Lets a worker publish what it owes; its own effects of this instant keep their order. */
  readonly #settle = (rank: number): void => {
    this.#workers[rank]!.advance(this.#nowMs, EVENT_CLASS.stepEnd);
  };

  /** Shows a worker's next own effect to the calendar, and that of its links, which it may have used. */
  #touch(rank: number): void {
    const worker = this.#workers[rank]!;
    this.#calendar.setSlot(rank, worker.nextMs, worker.nextClass);
    this.#late.set(rank, worker.lateBranch);
    for (const place of this.#poolsOf[rank]!) {
      this.#calendar.setSlot(this.#workers.length + place, this.#pools[place]!.nextMs, EVENT_CLASS.transfer);
    }
  }

  #transferDone(transfer: number, worker: number, tMs: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#workers[worker]!.transferDone(transfer, tMs);
    this.#touch(worker);
  }

  // ---- agents -------------------------------------------------------------------------------------------------------------

  #startPlay(play: number): void {
    this.#population.started(play, this.#nowMs);
    this.#loop.start(play, this.#nowMs);
  }

  /** ClosedLoopSink: a turn becomes due. */
  due(turn: number, tMs: number): void {
    this.#liveTurns++;
    this.#calendar.push(Math.max(tMs, this.#nowMs), EVENT_CLASS.arrival, turn, 0);
  }

  /** ClosedLoopSink: the play failed; this turn of it is never sent, or aborted. */
  cancelled(turn: number): void {
    const attempt = this.#attempts.latest(turn, this.#workload.turns.agent(turn));
    // Not sent yet: its arrival finds the play closed.
    if (attempt < 0 || this.#attempts.state(attempt) === ATTEMPT.over) return;
    this.#drop(attempt, TURN_STATUS.failed);
  }

  /** Takes an attempt back, wherever it is. */
  #drop(attempt: number, status: number): void {
    const running = this.#attempts.state(attempt) === ATTEMPT.running;
    const rank = this.#attempts.rank(attempt);
    const isOpen = this.#attempts.close(attempt);
    this.#liveTurns--;
    this.#record.turns.ended(this.#attempts.row(attempt), status);
    if (isOpen) this.#plane.ended(attempt, { status: 'cancelled', stop: 'other', outputTokens: 0 }, this.#nowMs);
    if (!running) return;
    this.#workers[rank]!.abort(attempt, this.#nowMs);
    this.#touch(rank);
  }

  /** ClosedLoopSink: all agents of a play ended. */
  playEnded(play: number, tMs: number, status: PlayEnd, activeMs: number, unloadedMs: number): void {
    this.#plane.hint({ kind: 'sessionClosed', session: play }, this.#nowMs);
    this.#record.causes?.playEnded(play);
    this.#population.ended(play, tMs, status, activeMs, unloadedMs, this.#nowMs);
  }

  // ---- a turn's way -------------------------------------------------------------------------------------------------------

  #arrive(turn: number, attemptNumber: number): void {
    const turns = this.#workload.turns;
    if (!this.#loop.isOpen(turns.play(turn))) {
      this.#liveTurns--;
      return;
    }
    const attempt = this.#attempt(turn, attemptNumber);
    this.#record.hash.add(this.#nowMs, LOGGED.arrival, turn);
    const hints = this.#hintsOf(turn);
    if (this.#spec.feedsIndex) {
      this.#late.settle(turns.branch(turn), this.#settle);
      this.#kvFeed.deliver(this.#plane, this.#nowMs, true);
    }
    this.#record.causes?.arrived(turn, attemptNumber > 0, this.#nowMs);
    this.#plane.request(new TurnRequest(this.#workload, turn, attempt, attemptNumber, this.#nowMs, hints), this.#nowMs);
    if (this.#attempts.asked(attempt)) this.#expect(turn, attempt, attemptNumber);
  }

  /** From now on client and user wait. */
  #expect(turn: number, attempt: number, attemptNumber: number): void {
    const { timeoutMs, firstTokenMs } = this.#spec;
    const now = this.#nowMs;
    if (timeoutMs < Number.POSITIVE_INFINITY) this.#send(LINE.timeout, now + timeoutMs, attempt, attempt);
    if (firstTokenMs < Number.POSITIVE_INFINITY) this.#calendar.push(now + firstTokenMs, EVENT_CLASS.abort, attempt, IMPATIENT.attempt);
    const userMs = attemptNumber > 0 ? Number.POSITIVE_INFINITY : patienceMs(this.#spec, this.#workload, turn);
    if (userMs < Number.POSITIVE_INFINITY) this.#calendar.push(now + userMs, EVENT_CLASS.abort, turn, IMPATIENT.user);
  }

  /** Somebody's patience ends: that of an attempt's client, or of a turn's user. */
  #unanswered(id: number, who: number): void {
    if (who === IMPATIENT.attempt) {
      if (this.#attempts.state(id) !== ATTEMPT.over && !this.#attempts.isAnswered(id)) this.#timeout(id);
      return;
    }
    const agent = this.#workload.turns.agent(id);
    const row = this.#attempts.rowOf(agent);
    if (!this.#loop.isWaiting(id) || this.#record.turns.isAnswered(row)) return;
    const attempt = this.#attempts.latest(id, agent);
    if (attempt >= 0 && this.#attempts.state(attempt) !== ATTEMPT.over) this.#drop(attempt, TURN_STATUS.abandoned);
    else this.#record.turns.ended(row, TURN_STATUS.abandoned);
    this.#loop.failed(id, this.#nowMs, 'abandoned');
  }

  /** A first attempt gets a row and a chain; the next ones of its turn share them. */
  #attempt(turn: number, number: number): number {
    const { turns } = this.#workload;
    const agent = turns.agent(turn);
    if (number === 0) return this.#attempts.first(turn, agent, this.#record.turns.arrived(turn, this.#nowMs), turns.openLeaf(turn));
    const attempt = this.#attempts.again(turn, agent);
    this.#record.turns.retried(this.#attempts.row(attempt), number + 1);
    return attempt;
  }

  /** Hints of the trace, if the client of this play sends them. */
  #hintsOf(turn: number): AgentHints | undefined {
    const { plays, turns } = this.#workload;
    if (plays.sendsHints[turns.play(turn)] === 0) return undefined;
    const raw = this.#workload.hints(turn);
    if (raw === undefined) return undefined;
    const { hints, drops } = traceHints(raw, turns.depthBlocks(turn));
    this.#record.droppedHints += drops.length;
    return hints;
  }

  /** Effects: booked, send it. */
  dispatch(request: RouteRequest, placement: Placement): void {
    const attempt = request.attempt;
    const rank = placement.rank;
    this.#record.decisions++;
    this.#attempts.sent(attempt, rank, placement.hbmBlocks + placement.lowerBlocks);
    const isFirst = this.#record.turns.dispatched(this.#attempts.row(attempt), this.#nowMs, rank);
    this.#record.hash.add(this.#nowMs, LOGGED.decision, rank);
    this.#send(this.#submitLine[rank]!, this.#nowMs + this.#submitDelayMs[rank]!, attempt, attempt);
    if (isFirst) this.#loop.dispatched(this.#attempts.turn(attempt), this.#nowMs);
  }

  /** Effects: no place. */
  refuse(request: RouteRequest, refusal: Refusal): void {
    this.#record.refusals++;
    this.#attempts.setEnd(request.attempt, END.rejected);
    this.#attemptEnded(request.attempt, refusal.status >= 429);
  }

  /** Effects: an action travels to its worker. */
  act(action: KvAction): void {
    this.#record.acted(action);
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
    if (this.#attempts.state(attempt) === ATTEMPT.over) return;
    const now = this.#nowMs;
    const rank = this.#attempts.rank(attempt);
    this.#attempts.running(attempt);
    this.#record.prefetches.submitted(attempt, now);
    this.#workers[rank]!.submit(
      engineRequest(this.#workload, this.#attempts.turn(attempt), attempt, this.#attempts.leaf(attempt), now),
      now,
    );
    this.#touch(rank);
  }

  /** Message of a worker about a token: payload = 2 * attempt + (0 first token, 1 end). */
  #deliverToken(payload: number): void {
    const attempt = payload >> 1;
    if (this.#attempts.state(attempt) === ATTEMPT.over) return;
    if ((payload & 1) === 0) this.#plane.firstToken(attempt, this.#nowMs);
    else this.#attemptEnded(attempt, this.#attempts.endKind(attempt) !== END.finished);
  }

  /** Control plane and agent learn of an end at the same time; a failed attempt may be tried again. */
  #attemptEnded(attempt: number, retryable: boolean): void {
    const { turns } = this.#record;
    const turn = this.#attempts.turn(attempt);
    const row = this.#attempts.row(attempt);
    const kind = this.#attempts.endKind(attempt);
    const isOpen = this.#attempts.close(attempt);
    this.#liveTurns--;
    if (isOpen) {
      const submitMs = this.#submitDelayMs[this.#attempts.rank(attempt)] ?? 0;
      this.#plane.ended(attempt, attemptEnd(this.#workload, this.#attempts, turns, attempt, submitMs), this.#nowMs);
    }
    if (kind === END.finished) this.#loop.completed(turn, this.#nowMs, this.#record.unloadedMs(turn), turns.decodeMs(row));
    else if (retryable && turns.attemptsOf(row) <= this.#spec.retries.max) this.#retry(turn, turns.attemptsOf(row));
    else {
      turns.ended(row, kind === END.rejected ? TURN_STATUS.rejected : kind === END.cancelled ? TURN_STATUS.timedOut : TURN_STATUS.failed);
      this.#loop.failed(turn, this.#nowMs);
    }
  }

  #retry(turn: number, number: number): void {
    const delayMs = retryDelayMs(this.#spec.retries, this.#spec.seed, this.#workload.turnName(turn), number);
    this.#liveTurns++;
    this.#calendar.push(this.#nowMs + delayMs, EVENT_CLASS.arrival, turn, number);
  }

  #timeout(attempt: number): void {
    if (this.#attempts.state(attempt) === ATTEMPT.over) return;
    if (this.#attempts.state(attempt) !== ATTEMPT.running) {
      this.#record.timeouts++;
      this.#attempts.setEnd(attempt, END.cancelled);
      this.#attemptEnded(attempt, true);
      return;
    }
    this.#record.timeouts++;
    const rank = this.#attempts.rank(attempt);
    this.#workers[rank]!.abort(attempt, this.#nowMs);
    this.#touch(rank);
  }

  // ---- worker -> cluster --------------------------------------------------------------------------------------------------

  matched(id: number, tMs: number, hbmBlocks: number, hostBlocks: number): void {
    this.#record.matched(this.#attempts, id, tMs, hbmBlocks, hostBlocks);
  }

  /** WorkerSink. */
  admitted(id: number, tMs: number, _queryTokens: number, hitHbmTokens: number, hitHostTokens: number, first: boolean): void {
    this.#progressAt = this.#calendar.yielded;
    this.#record.admitted(this.#attempts, id, tMs, hitHbmTokens, hitHostTokens, first);
  }

  /** WorkerSink. */
  restoring(id: number, tMs: number, _tokens: number, diskTokens: number, remoteTokens: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#record.turns.restoring(this.#attempts.row(id), tMs, diskTokens, remoteTokens);
  }

  /** WorkerSink. */
  firstToken(id: number, tMs: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#attempts.answered(id);
    this.#record.firstToken(this.#attempts.row(id), this.#attempts.turn(id), tMs);
    this.#record.causes?.firstToken(id);
    this.#send(LINE.net, tMs + this.#spec.network.netMs, this.#attempts.rank(id), 2 * id);
  }

  /** WorkerSink. */
  tokenGaps(firstMs: number, incrementMs: number, count: number, weight: number): void {
    this.#progressAt = this.#calendar.yielded;
    this.#record.tokenGaps.addRange(firstMs, incrementMs, count, weight);
  }

  /** WorkerSink. */
  ended(id: number, tMs: number, status: EndStatus, outputTokens: number, _reason: string): void {
    this.#progressAt = this.#calendar.yielded;
    this.#attempts.left(id, endKind(status), outputTokens);
    this.#record.ended(this.#attempts.row(id), this.#attempts.turn(id), tMs, status === 'finished', outputTokens);
    this.#record.causes?.ended(this.#attempts, id, tMs);
    const delay = status === 'lost' ? this.#spec.network.detectMs : this.#spec.network.netMs;
    this.#send(LINE.net, tMs + delay, this.#attempts.rank(id), 2 * id + 1);
  }

  preempted(id: number, tMs: number): void {
    this.#record.turns.preempted(this.#attempts.row(id));
    this.#record.causes?.preempted(this.#attempts, id, tMs);
  }

  /** WorkerSink: the batch travels with the index age; it is copied because the worker reuses it. */
  kvEvents(worker: number, batch: KvEventBatch, tMs: number): void {
    this.#record.causes?.stored(batch);
    if (!this.#spec.feedsIndex) return;
    const dueMs = tMs + this.#spec.network.indexAgeMs;
    this.#kvFeed.send(dueMs < this.#nowMs ? this.#nowMs : dueMs, worker, batch);
  }

  /** WorkerSink. */
  settled(action: KvAction, outcome: ActionOutcome, tMs: number): void {
    if (outcome.result === 'deferred') return;
    this.#record.settled(action, outcome, tMs);
    this.#send(LINE.settled, tMs + this.#spec.network.netMs, action.id, this.#outcomes.put(outcome));
  }

  removed(rank: number, tier: number, branch: number, from: number, to: number, sinceMs: number, tMs: number, reason: number): boolean {
    return this.#record.removed(rank, tier, branch, from, to, sinceMs, tMs, reason);
  }

  claimBroken(): void {}

  #deliverAction(rank: number, slot: number): void {
    this.#workers[rank]!.apply(this.#actions.take(slot), this.#nowMs);
    this.#touch(rank);
  }

  // ---- observation, faults, end -------------------------------------------------------------------------------------------

  #scrape(rank: number): void {
    const worker = this.#workers[rank]!;
    worker.advance(this.#nowMs, EVENT_CLASS.observe);
    this.#touch(rank);
    const v = this.#sampler.look(worker, this.#nowMs);
    const report = { rank, asOfMs: this.#nowMs, waiting: v.waiting, running: v.running, kvUsage: v.kvReferencedBlocks / v.kvUsableBlocks };
    this.#send(LINE.report, this.#nowMs + REPORT_TRAVEL_MS, rank, this.#reports.put(report));
    if (this.#liveTurns > 0 || this.#population.live > 0 || this.#population.hasInitial)
      this.#calendar.push(this.#nowMs + this.#spec.network.metricsAgeMs, EVENT_CLASS.observe, rank, rank);
  }

  /** Looks at all workers. */
  #sample(): void {
    this.#sampler.begin(this.#nowMs, this.#population.live);
    this.#advanceAll(EVENT_CLASS.observe);
    for (const worker of this.#workers) this.#sampler.add(worker, this.#nowMs);
    for (const { stuck } of this.#workers) if (stuck !== null) this.#failStuck(stuck);
    this.#sampler.check(this.#workers, this.#nowMs, this.#spec.checks === 'deep');
    if (this.#isDone()) return;
    this.#calendar.push(nextLookMs(this.#nowMs, this.#calendar.nextMs), EVENT_CLASS.observe, 0, OBSERVE.sample);
  }

  /** The warm-up is over: counters, sketches and causes count from here. */
  #beginWindow(): void {
    this.#advanceAll(EVENT_CLASS.observe);
    this.#record.beginWindow(this.#workers);
    this.#sampler.reset();
  }

  /** `index` of a fault that begins; -1 - index where it ends. */
  #fault(entity: number, index: number): void {
    const isEnd = index < 0;
    const fault: FaultSpec = this.#spec.faults[isEnd ? -1 - index : index]!;
    const isToBeFound = !isEnd && fault.worker === BUSIEST;
    if (isToBeFound) this.#advanceAll(EVENT_CLASS.lifecycle);
    const rank = isToBeFound ? busiestWorker(this.#workers, this.#nowMs) : entity;
    applyFault(fault, isEnd, index, this.#workers[rank]!, this.#plane, this.#nowMs);
    this.#touch(rank);
    if (!isEnd && Number.isFinite(fault.forMs)) this.#calendar.push(this.#nowMs + fault.forMs, EVENT_CLASS.lifecycle, rank, -1 - index);
  }

  #advanceAll(eventClass: number): void {
    this.#workers.forEach((worker, rank) => {
      worker.advance(this.#nowMs, eventClass);
      this.#touch(rank);
    });
  }

  #isDone(): boolean {
    return this.#liveTurns === 0 && this.#population.isOver;
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
    this.#population.censorOpen();
    this.#record.turns.censorOpen();
  }

  #failStuck(reason: string): never {
    const first = this.#workers.find((w) => w.stuck !== null)?.stuck;
    throw new StuckError(`${first ?? reason} at sim ${Math.round(this.#nowMs)} ms after ${this.#calendar.yielded} events`);
  }
}
