/**
 * The jumping engine behind the worker port: equal to the stepped reference, but it goes from composition change to composition
 * change. A step that computes prompt tokens is decided by the scheduler; steps in which only the decode set takes part form a run
 * whose times are a closed form and whose effects on blocks are made up when somebody looks.
 *
 *     idle ──submit──> pending (schedule at t, 8) ──┬─ prefill in it ──> step ──> complete ──> pending …
 *                                                   └─ decodes only ──> run ───> complete ──> pending …
 *                                                                        └─ cut by an input ──> step (the one in flight)
 *
 * Source: engine specification 6; worker port.
 */
import type { BranchId } from '../../../control/blocks.ts';
import { type KvAction, KvEventBatch } from '../../../control/ports.ts';
import { UserError } from '../../../control/user-error.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { createStepBatch, type Regime } from '../step-timer.ts';
import type { EndStatus, EngineConfig, EngineRequest, LoadView, Worker, WorkerCounters, WorkerParts } from '../worker.ts';
import { DecodeRun } from './decode-run.ts';
import { HbmPool } from './hbm-pool.ts';
import { IntMap } from './int-map.ts';
import { ENDINGS, LINGERING, PREFILL_ONLY, RUNNING } from './request-slots.ts';
import { BY_BUDGET, BY_GATE, BY_ISL_GATE, BY_RESERVED, BY_SEQS, BY_WATERMARK, NOT_BLOCKED, Scheduler } from './scheduler.ts';
import { LEASE, NONE, SOFT } from './segment-columns.ts';
import { zeroCounters } from './zero-counters.ts';

/** Phases. */
const IDLE = 0;
const PENDING = 1;
const STEP = 2;
const RUN = 3;

const UP = 0;
const DRAINING = 1;
const DOWN = 2;

const NEVER = Number.POSITIVE_INFINITY;

/** The production engine. Throws E_UNSUPPORTED for asyncDepth 2. */
export function createJumpWorker(parts: WorkerParts): Worker {
  return new JumpWorker(parts);
}

export class JumpWorker implements Worker {
  readonly index: number;
  readonly config: EngineConfig;
  readonly counters: WorkerCounters = zeroCounters();
  nextMs = NEVER;
  nextClass: number = EVENT_CLASS.observe;
  stuck: string | null = null;
  private readonly parts: WorkerParts;
  private readonly batch = createStepBatch();
  private readonly run = new DecodeRun();
  /** Attempt id -> slot of requests that have not ended. */
  private readonly ids = new IntMap(5);
  private readonly pendingAborts: number[] = [];
  private readonly oddGaps: number[] = [];
  private events = new KvEventBatch();
  /** Step of the run whose end publishes the queued events. */
  private eventStep = 0;
  private pool: HbmPool;
  private scheduler: Scheduler;
  private phase = IDLE;
  private state = UP;
  private epoch = 0;
  private seq = 0;
  private nowMs = 0;
  /** Time of the pending schedule; start and end of the step in flight. */
  private scheduleMs = 0;
  private startMs = 0;
  private endMs = 0;
  private regime: Regime = 'calibrated';
  private drainMs = NEVER;
  private factor = 1;

  constructor(parts: WorkerParts) {
    const { config } = parts;
    if (config.asyncDepth !== 1) {
      throw new UserError({
        severity: 'error',
        code: 'E_UNSUPPORTED',
        path: 'engine.with.asyncDepth',
        message: `got ${config.asyncDepth} with stepMode jump, expected 1`,
        hint: 'Use engine.with.stepMode: reference for asynchronous scheduling',
      });
    }
    this.parts = parts;
    this.index = parts.index;
    this.config = config;
    this.pool = this.newPool();
    this.scheduler = this.newScheduler();
  }

  submit(request: EngineRequest, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.submit);
    const { config, scheduler } = this;
    const { slots } = scheduler;
    if (this.ids.get(request.id) !== NONE) throw new Error(`worker ${this.index}: request ${request.id} was submitted before`);
    if (this.refuse(request, tMs)) return;
    const s = slots.alloc();
    const room = config.maxModelLen - request.promptTokens;
    const wanted = Math.max(request.outputTokens, 1);
    slots.id[s] = request.id;
    slots.session[s] = request.session;
    slots.leaf[s] = request.leaf;
    slots.prompt[s] = request.promptTokens;
    slots.limit[s] = Math.min(wanted, room);
    slots.ending[s] = request.outputTokens <= 0 ? PREFILL_ONLY : wanted > room ? 2 : request.stopsEarly ? 1 : 0;
    slots.priority[s] = Number.isNaN(request.priority) ? 0 : request.priority;
    slots.arrival[s] = request.arrivalMs;
    this.ids.set(request.id, s);
    scheduler.enqueue(s);
    if (this.phase === RUN) this.arriveInRun(tMs);
    else this.wake(tMs);
    this.refresh();
  }

  /** Ends a request that cannot be served at all. */
  private refuse(request: EngineRequest, tMs: number): boolean {
    let status: EndStatus = 'rejected';
    let reason = '';
    if (this.state === DOWN) {
      status = 'lost';
      reason = 'down';
    } else if (this.state === DRAINING) {
      status = 'handback';
      reason = 'draining';
    } else if (!(request.promptTokens > 0)) reason = 'empty_prompt';
    else if (request.promptTokens >= this.config.maxModelLen) reason = 'context_limit';
    else if (Math.ceil(request.promptTokens / this.config.blockTokens) > this.pool.usable) reason = 'kv_too_small';
    else return false;
    this.parts.sink.ended(request.id, tMs, status, 0, reason);
    return true;
  }

  /** A request came while a run goes on: the run ends at the next boundary only if the request could be admitted there. */
  private arriveInRun(tMs: number): void {
    const { scheduler, config } = this;
    if (scheduler.budgetLeft <= 0) return;
    if (scheduler.running.count >= config.maxSeqs) {
      if (scheduler.blocked === NOT_BLOCKED) {
        this.countBlocked();
        scheduler.blocked = BY_SEQS;
      }
      return;
    }
    // A longer queue lowers the adaptive threshold, and with it what the head asks for.
    const adaptive = config.longPrefillAdaptive && config.longPrefillThreshold > 0;
    if (scheduler.blocked === NOT_BLOCKED || config.policy === 'priority' || adaptive) this.cut(tMs);
  }

  abort(id: number, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.abort);
    const s = this.ids.get(id);
    if (s === NONE) return;
    const running = this.scheduler.slots.state[s] === RUNNING;
    if (this.phase === RUN && (running || this.scheduler.blocked !== BY_SEQS || this.scheduler.waiting.head === s)) this.cut(tMs);
    if (running && this.phase === STEP) this.pendingAborts.push(id);
    else {
      this.end(s, tMs, 'aborted', 'abort', 0);
      if (this.phase === RUN && this.scheduler.waiting.count + this.scheduler.holding.count === 0) {
        this.countBlocked();
        this.scheduler.blocked = NOT_BLOCKED;
      }
      this.wake(tMs);
    }
    this.refresh();
  }

  apply(action: KvAction, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.control);
    this.execute(action, tMs);
    if (!this.inFlight) this.publish(tMs);
    this.refresh();
  }

  private execute(action: KvAction, tMs: number): void {
    const { branches, sink } = this.parts;
    const { verb, branch, fromBlocks, toBlocks } = action;
    const requestedBlocks = Math.max(toBlocks - fromBlocks, 0);
    const valid =
      fromBlocks >= 0 &&
      toBlocks > fromBlocks &&
      branch >= 0 &&
      branch < branches.count &&
      toBlocks <= branches.end(branch) &&
      (verb !== 'pin' || (action.untilMs >= tMs && action.untilMs < NEVER));
    let reason = '';
    if (!valid) reason = 'invalid';
    else if (this.state === DOWN) reason = 'down';
    else if (verb === 'retain' || verb === 'share' || verb === 'prefetch') reason = 'unsupported';
    if (reason !== '') {
      sink.settled(action, { result: 'rejected', reason, appliedBlocks: 0, requestedBlocks }, tMs);
      return;
    }
    const appliedBlocks =
      verb === 'demote'
        ? this.pool.demote(branch, fromBlocks, toBlocks)
        : this.pool.claim(branch, fromBlocks, toBlocks, {
            mark: action.hardness === 'lease' ? LEASE : SOFT,
            untilMs: action.untilMs,
            refreshMs: action.refreshMs ?? 0,
            session: action.session,
            drop: action.onExpiry === 'drop',
            mode: action.mode,
          });
    if (appliedBlocks === requestedBlocks) sink.settled(action, { result: 'accepted', appliedBlocks, requestedBlocks }, tMs);
    else if (appliedBlocks === 0) sink.settled(action, { result: 'missing', appliedBlocks, requestedBlocks }, tMs);
    else sink.settled(action, { result: 'clipped', reason: 'notResident', appliedBlocks, requestedBlocks }, tMs);
  }

  transferDone(_transfer: number, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.transfer);
  }

  drain(tMs: number, deadlineMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    if (this.state === DOWN) return;
    this.state = DRAINING;
    this.drainMs = deadlineMs;
    this.refresh();
  }

  crash(tMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    this.stop(tMs, 'lost', 'crash');
    this.refresh();
  }

  restart(tMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    if (this.state !== DOWN) this.stop(tMs, 'lost', 'crash');
    this.state = UP;
    this.epoch++;
    this.seq = 0;
    this.factor = 1;
    this.refresh();
  }

  setSlowdown(factor: number, tMs: number): void {
    if (!(factor >= 1)) throw new Error(`slow-down factor ${factor}, must be >= 1`);
    this.advance(tMs, EVENT_CLASS.lifecycle);
    if (this.phase === RUN) this.cut(tMs);
    if (this.phase === STEP) this.endMs = tMs + ((this.endMs - tMs) * factor) / this.factor;
    this.factor = factor;
    this.refresh();
  }

  advance(tMs: number, eventClass: number): void {
    while (this.nextMs < tMs || (this.nextMs === tMs && this.nextClass <= eventClass && tMs < NEVER)) this.takeEffect();
    if (this.phase === RUN) {
      this.materialise(tMs, eventClass);
      if (eventClass >= EVENT_CLASS.observe) this.count();
    }
    if (tMs < NEVER) this.passTime(tMs);
    this.pool.expire(tMs, eventClass >= EVENT_CLASS.expiry);
  }

  loadView(_tMs: number, view: LoadView): void {
    const { pool, scheduler, run } = this;
    if (this.phase === RUN) this.count();
    view.running = scheduler.running.count;
    view.waiting = scheduler.waiting.count + scheduler.holding.count;
    view.kvReferencedBlocks = pool.usable - pool.free;
    view.kvCachedBlocks = pool.cached;
    view.kvClaimedBlocks = pool.claimed;
    view.kvUsableBlocks = pool.usable;
    view.hostUsedBlocks = 0;
    view.hostBlocks = this.config.hostBlocks;
    view.stepEndsMs = !this.inFlight ? NEVER : this.phase === STEP ? this.endMs : run.endMs(run.scheduled);
  }

  residentBlocks(branch: BranchId, depthBlocks: number): number {
    return this.pool.match(branch, depthBlocks, 0);
  }

  hostBlocks(_branch: BranchId, _depthBlocks: number, _fromBlocks: number): number {
    return 0;
  }

  check(deep: boolean): void {
    const { scheduler, pool } = this;
    if (scheduler.requests !== this.ids.size) {
      throw new Error(`E4: ${scheduler.requests} in queues, ${this.ids.size} alive`);
    }
    if (scheduler.running.count > this.config.maxSeqs) throw new Error(`E7: ${scheduler.running.count} running`);
    if (pool.free < 0 || pool.hashless < 0 || pool.free > pool.usable) throw new Error(`E1: ${pool.free} free of ${pool.usable}`);
    if (deep) pool.check();
  }

  /** Whether a step is in flight. */
  private get inFlight(): boolean {
    return this.phase === STEP || (this.phase === RUN && this.run.scheduled > this.run.ended);
  }

  private newPool(): HbmPool {
    const { config, branches, sink, index } = this.parts;
    const pool = new HbmPool(branches, config.blocks - 1, 0, this.counters);
    pool.events = this.events;
    pool.watcher = { broken: (session, blocks) => sink.claimBroken(index, session, blocks, this.effectMs()) };
    return pool;
  }

  private newScheduler(): Scheduler {
    const { config, branches, sink } = this.parts;
    const scheduler = new Scheduler({ config, branches, pool: this.pool, sink, counters: this.counters });
    scheduler.lastEndMs = Number.NaN;
    scheduler.onFailed = (s, nowMs) => this.endLoose(s, nowMs, 'failed', 'kv_exhausted');
    return scheduler;
  }

  /** Time of the allocation going on. */
  private effectMs(): number {
    return this.phase === RUN ? this.run.endMs(this.run.scheduled) : this.nowMs;
  }

  /** Commits the next own effect. */
  private takeEffect(): void {
    const atMs = this.nextMs;
    if (this.nextClass === EVENT_CLASS.stepEnd) {
      if (this.phase === RUN && this.run.endMs(this.run.steps) > atMs) this.materialise(atMs, EVENT_CLASS.stepEnd);
      else {
        if (this.phase === RUN) this.materialise(atMs, EVENT_CLASS.stepEnd);
        this.passTime(atMs);
        this.complete(atMs);
      }
    } else if (this.nextClass === EVENT_CLASS.lifecycle) {
      if (this.phase === RUN) this.materialise(atMs, EVENT_CLASS.lifecycle);
      this.passTime(atMs);
      this.pool.expire(atMs, false);
      this.stop(atMs, 'handback', 'drained');
    } else if (this.nextClass === EVENT_CLASS.schedule) {
      this.passTime(atMs);
      this.schedule(atMs);
    } else {
      if (this.phase === RUN) this.materialise(atMs, EVENT_CLASS.expiry);
      this.passTime(atMs);
      if (this.pool.expire(atMs, true)) {
        if (!this.inFlight) this.publish(atMs);
        else if (this.phase === RUN) {
          this.eventStep = this.run.scheduled;
          if (this.scheduler.blocked !== NOT_BLOCKED) this.cut(atMs);
        }
      }
    }
    this.refresh();
  }

  private schedule(tMs: number): void {
    const { scheduler, counters, pool } = this;
    const { decode } = scheduler;
    this.phase = IDLE;
    while (scheduler.requests > 0) {
      counters.events++;
      pool.expire(tMs, false);
      scheduler.schedule(tMs);
      if (scheduler.itemCount > 0 || decode.count > 0) {
        if (scheduler.itemCount > 0) this.beginStep(tMs);
        else this.beginRun(tMs);
        break;
      }
      this.bumpBlocked(1);
      counters.emptySteps++;
      this.publish(tMs);
      if (!scheduler.disturbed) break;
    }
    counters.segmentsTouched = pool.touched;
    this.stuck = scheduler.requests > 0 && this.phase === IDLE ? (scheduler.holding.count > 0 ? 'restore-wedge' : 'blocked') : null;
  }

  /** Executes the step that the scheduler decided; the decode set has counted it already. */
  private beginStep(tMs: number): void {
    const { scheduler, batch } = this;
    const { slots, decode, itemCount, itemSlot, itemTokens } = scheduler;
    let seqs = decode.count;
    let kv = decode.kvTokens - seqs;
    let longest = seqs > 0 ? decode.maxKvTokens - 1 : 0;
    let chunks = 0;
    for (let i = 0; i < itemCount; i++) {
      const n = itemTokens[i]!;
      const resident = slots.computed[itemSlot[i]!]!;
      if (n === 1) {
        seqs++;
        kv += resident;
        if (resident > longest) longest = resident;
        continue;
      }
      if (chunks === batch.chunkTokens.length) {
        batch.chunkTokens = doubled(batch.chunkTokens);
        batch.chunkResident = doubled(batch.chunkResident);
      }
      batch.chunkTokens[chunks] = n;
      batch.chunkResident[chunks++] = resident;
    }
    batch.decodeSeqs = seqs;
    batch.decodeKvTokens = kv;
    batch.maxDecodeKvTokens = longest;
    batch.chunkCount = chunks;
    this.bumpBlocked(1);
    const stepMs = this.parts.timer.stepMs(batch);
    this.regime = this.parts.timer.regime;
    this.phase = STEP;
    this.startMs = tMs;
    this.endMs = tMs + (this.factor === 1 ? stepMs : stepMs * this.factor);
  }

  /** Starts a run; its first step is decided and counted by the decode set. */
  private beginRun(tMs: number): void {
    const { scheduler, pool, run } = this;
    const { decode } = scheduler;
    let horizon = decode.remaining(decode.first) + 1;
    if (horizon > 1) horizon = 1 + decode.stepsWithNeed(pool.free, horizon - 1);
    const { blocked } = scheduler;
    // After a preemption nobody has looked at the queue; the reason may change with what is free.
    if (scheduler.disturbed || blocked === BY_WATERMARK || blocked === BY_RESERVED) horizon = 1;
    else if (horizon > 1 && (blocked === BY_GATE || blocked === BY_ISL_GATE || blocked === BY_BUDGET)) {
      // Without chunking the reason depends on the head's hits, which evictions shorten.
      horizon = this.config.chunkedPrefill ? scheduler.gateHorizon(horizon) : 1;
      if (scheduler.evictionHelps && horizon > 1) horizon = 1 + decode.stepsWithNeed(pool.hashless, horizon - 1);
    }
    const n = decode.count;
    run.begin(this.parts.timer, n, decode.kvTokens - n, decode.maxKvTokens - 1, horizon, tMs, this.factor);
    // Steps without duration are separate effects: an input of the same time may come between them.
    if (run.endMs(1) <= tMs) run.steps = 1;
    this.phase = RUN;
    this.eventStep = 1;
  }

  /** Commits the effects of the run up to (tMs, eventClass); the end of its last step is left to {@link complete}. */
  private materialise(tMs: number, eventClass: number): void {
    const { run, scheduler, pool, events } = this;
    const ended = run.stepsBy(tMs);
    let wanted = ended + 1;
    if (wanted > run.steps) wanted = run.steps;
    else if (eventClass < EVENT_CLASS.schedule && ended > 0 && run.endMs(ended) === tMs) wanted = ended;
    let k = run.scheduled;
    if (k < wanted) {
      const { decode } = scheduler;
      const { phaseCount } = decode;
      const bs = this.config.blockTokens;
      const caching = this.config.prefixCaching;
      let i = decode.iter % bs;
      for (; k < wanted; k++) {
        const j = i + 1 === bs ? 0 : i + 1;
        if (phaseCount[i] !== 0 || (caching && phaseCount[j] !== 0)) {
          if (events.count > 0 && k >= this.eventStep) this.publish(run.endMs(this.eventStep));
          run.scheduled = k;
          const startMs = run.endMs(k);
          pool.expire(startMs, false);
          scheduler.crossDecode();
          if (events.count > 0) this.eventStep = k + 1;
        }
        decode.iter++;
        i = j;
      }
      run.scheduled = wanted;
    }
    run.ended = ended;
    if (events.count > 0 && ended >= this.eventStep && this.eventStep < run.steps) this.publish(run.endMs(this.eventStep));
  }

  /** Ends a run at the first boundary at or after tMs, up to which it is committed. */
  private cut(tMs: number): void {
    const { run, scheduler } = this;
    this.count();
    const ended = run.ended;
    if (ended > 0) scheduler.lastEndMs = run.endMs(ended);
    if (run.scheduled === ended) {
      this.phase = PENDING;
      this.scheduleMs = tMs;
      return;
    }
    scheduler.itemCount = 0;
    this.phase = STEP;
    this.regime = run.regime;
    this.startMs = run.endMs(ended);
    this.endMs = run.endMs(ended + 1);
  }

  /** Brings the counters and token gaps of a run up to its committed steps. */
  private count(): void {
    this.countBlocked();
    this.countSteps(this.run.ended);
  }

  private countSteps(ended: number): void {
    const { run, counters, parts } = this;
    let k = run.counted;
    if (k >= ended) return;
    const { members } = run;
    const ms = run.endMs(ended) - run.endMs(k);
    counters.steps += ended - k;
    counters.decodeTokens += (ended - k) * members;
    counters.busyMs += ms;
    counters.regimeMs[run.regime] += ms;
    run.counted = ended;
    while (k < ended) {
      const end = Math.min(ended, run.segmentEnd(k));
      parts.sink.tokenGaps(run.stepMs(k), run.growthMs(k), end - k, members);
      k = end;
    }
  }

  private countBlocked(): void {
    const { run } = this;
    this.bumpBlocked(run.scheduled - run.blockedCounted);
    run.blockedCounted = run.scheduled;
  }

  private bumpBlocked(calls: number): void {
    const { blocked } = this.scheduler;
    if (blocked === NOT_BLOCKED || blocked === BY_BUDGET) return;
    const { counters } = this;
    if (blocked === BY_SEQS) counters.blockedBySeqs += calls;
    else if (blocked === BY_ISL_GATE) counters.blockedByIslGate += calls;
    else if (blocked === BY_GATE) counters.blockedByGate += calls;
    else if (blocked === BY_WATERMARK) counters.blockedByWatermark += calls;
    else counters.blockedByReserved += calls;
  }

  /** The step in flight, or the last one of the run, ends. */
  private complete(tMs: number): void {
    const { scheduler } = this;
    if (this.phase === RUN) {
      this.countBlocked();
      this.countSteps(this.run.steps);
      this.finishMembers(NEVER, tMs);
    } else this.completeStep(tMs);
    scheduler.lastEndMs = tMs;
    this.publish(tMs);
    this.phase = IDLE;
    this.wake(tMs);
  }

  private completeStep(tMs: number): void {
    const { scheduler, counters, oddGaps } = this;
    const { slots, decode, itemSlot, itemTokens } = scheduler;
    const ms = tMs - this.startMs;
    counters.steps++;
    counters.busyMs += ms;
    counters.regimeMs[this.regime] += ms;
    if (this.pendingAborts.length > 0) this.endAborted(tMs);
    const previousMs = scheduler.lastEndMs;
    let inStep = decode.count;
    counters.decodeTokens += decode.count;
    oddGaps.length = 0;
    for (let i = 0; i < scheduler.itemCount; i++) {
      const s = itemSlot[i]!;
      if (s === NONE) {
        counters.wastedTokens += itemTokens[i]!;
        continue;
      }
      this.finishMembers(slots.order[s]!, tMs);
      if (!this.computeItem(s, itemTokens[i]!)) continue;
      const out = ++slots.out[s]!;
      const delivers = slots.ending[s] !== PREFILL_ONLY;
      if (delivers) {
        if (out === 1) this.parts.sink.firstToken(slots.id[s]!, tMs);
        else if (slots.lastToken[s] === previousMs) inStep++;
        else oddGaps.push(tMs - slots.lastToken[s]!);
        slots.lastToken[s] = tMs;
      }
      if (out >= slots.limit[s]!) this.end(s, tMs, 'finished', ENDINGS[slots.ending[s]!]!, 0);
      else scheduler.joinDecode(s);
    }
    this.finishMembers(NEVER, tMs);
    if (inStep > 0) this.parts.sink.tokenGaps(tMs - previousMs, 0, 1, inStep);
    for (const gapMs of oddGaps) this.parts.sink.tokenGaps(gapMs, 0, 1, 1);
  }

  /** Books n computed tokens of a loose request. Returns whether it now samples. */
  private computeItem(s: number, n: number): boolean {
    const { counters } = this;
    const { slots } = this.scheduler;
    const from = slots.computed[s]!;
    const end = from + n;
    const done = slots.doneTo[s]!;
    const fresh = done > from ? (done < end ? done : end) : from;
    const prompt = slots.prompt[s]!;
    const prefillEnd = prompt > fresh ? (prompt < end ? prompt : end) : fresh;
    counters.recomputedTokens += fresh - from;
    counters.prefillTokens += prefillEnd - fresh;
    counters.decodeTokens += end - prefillEnd;
    if (end > done) slots.doneTo[s] = end;
    slots.computed[s] = end;
    return end === prompt + slots.out[s]!;
  }

  /** Ends the members that have produced their last token and were admitted before `order`. */
  private finishMembers(order: number, tMs: number): void {
    const { scheduler } = this;
    const { decode, slots } = scheduler;
    for (let s = decode.first; s !== NONE && decode.finish[s]! <= decode.iter && slots.order[s]! < order; s = decode.first) {
      this.end(s, tMs, 'finished', ENDINGS[slots.ending[s]!]!, 0);
    }
  }

  /** Aborts that came while the step was in flight: its output for them is lost. */
  private endAborted(tMs: number): void {
    const { scheduler, counters } = this;
    for (const id of this.pendingAborts) {
      const s = this.ids.get(id);
      if (s === NONE) continue;
      if (scheduler.decode.has(s)) {
        counters.wastedTokens++;
        this.end(s, tMs, 'aborted', 'abort', 1);
        continue;
      }
      for (let i = 0; i < scheduler.itemCount; i++) if (scheduler.itemSlot[i] === s) scheduler.itemSlot[i] = NONE;
      this.end(s, tMs, 'aborted', 'abort', 0);
    }
    this.pendingAborts.length = 0;
  }

  /** Terminal state of a request that is in a queue or running. */
  private end(s: number, tMs: number, status: EndStatus, reason: string, lag: number): void {
    this.scheduler.detach(s, lag);
    this.endLoose(s, tMs, status, reason);
  }

  /** Terminal state of a request that no queue holds. */
  private endLoose(s: number, tMs: number, status: EndStatus, reason: string): void {
    const { scheduler } = this;
    const { slots } = scheduler;
    const id = slots.id[s]!;
    const out = slots.ending[s] === PREFILL_ONLY ? 0 : slots.out[s]!;
    this.ids.delete(id);
    if (slots.stores[s]! > 0) slots.state[s] = LINGERING;
    else {
      scheduler.releaseBlocks(s);
      slots.dispose(s);
    }
    this.parts.sink.ended(id, tMs, status, out, reason);
  }

  /** Crash, or the end of a drain: everything that lives here ends, the tiers are gone. */
  private stop(tMs: number, status: EndStatus, reason: string): void {
    const { scheduler, ids } = this;
    const { slots } = scheduler;
    if (this.phase === RUN) this.cut(tMs);
    const lag = this.phase === STEP ? 1 : 0;
    const live: number[] = [];
    ids.forEach((_id, s) => {
      live.push(s);
    });
    live.sort((a, b) => slots.id[a]! - slots.id[b]!);
    for (const s of live) {
      if (scheduler.decode.has(s)) scheduler.leaveDecode(s, lag, 0);
      const out = slots.ending[s] === PREFILL_ONLY ? 0 : slots.out[s]!;
      this.parts.sink.ended(slots.id[s]!, tMs, status, out, reason);
    }
    ids.clear();
    this.pendingAborts.length = 0;
    this.events.count = 0;
    this.seq = 0;
    this.pool = this.newPool();
    this.scheduler = this.newScheduler();
    this.phase = IDLE;
    this.state = DOWN;
    this.drainMs = NEVER;
    this.stuck = null;
  }

  /** schedule() at (tMs, 8) if no step is in flight. */
  private wake(tMs: number): void {
    if (this.phase >= STEP || this.scheduler.requests === 0) return;
    this.phase = PENDING;
    this.scheduleMs = tMs;
  }

  private passTime(tMs: number): void {
    const { scheduler } = this;
    if (tMs < this.nowMs) throw new Error(`worker ${this.index}: time goes back from ${this.nowMs} to ${tMs}`);
    if (this.phase < STEP && scheduler.waiting.count + scheduler.holding.count > 0) this.counters.waitingMs += tMs - this.nowMs;
    this.nowMs = tMs;
  }

  private publish(tMs: number): void {
    const { events } = this;
    if (events.count === 0) return;
    events.rank = this.index;
    events.epoch = this.epoch;
    events.seq = this.seq++;
    events.publishedMs = tMs;
    this.parts.sink.kvEvents(this.index, events, tMs);
    events.count = 0;
    this.pool.urgent = false;
  }

  /** Finds the next own effect. */
  private refresh(): void {
    let ms = NEVER;
    let eventClass: number = EVENT_CLASS.observe;
    if (this.phase === PENDING) {
      ms = this.scheduleMs;
      eventClass = EVENT_CLASS.schedule;
    } else if (this.phase === STEP) {
      ms = this.endMs;
      eventClass = EVENT_CLASS.stepEnd;
    } else if (this.phase === RUN) {
      ms = this.run.endMs(this.nextPublication());
      eventClass = EVENT_CLASS.stepEnd;
    }
    if (this.drainMs < ms || (this.drainMs === ms && ms < NEVER && eventClass > EVENT_CLASS.lifecycle)) {
      ms = this.drainMs;
      eventClass = EVENT_CLASS.lifecycle;
    }
    if (this.pool.dropping) {
      const expiryMs = this.pool.nextExpiryMs;
      if (expiryMs < ms) {
        ms = expiryMs;
        eventClass = EVENT_CLASS.expiry;
      }
    }
    this.nextMs = ms;
    this.nextClass = eventClass;
  }

  /** Steps of the run up to the end that publishes events the router must not miss, or all. */
  private nextPublication(): number {
    const { run, pool, scheduler } = this;
    const { decode } = scheduler;
    if (pool.urgent) return Math.min(this.eventStep, run.steps);
    const left = run.steps - run.scheduled;
    if (left <= 0) return run.steps;
    let steps = decode.stepsWithNeed(pool.hashless, left);
    if (decode.sharedWriters > 0 && this.config.prefixCaching) {
      const bs = this.config.blockTokens;
      for (let k = 0; k < steps; k++) if (decode.phaseCount[(decode.iter + k + 1) % bs] !== 0) steps = k;
    }
    return Math.min(run.steps, run.scheduled + steps + 1);
  }
}

function doubled(column: Int32Array): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(column.length * 2);
  wide.set(column);
  return wide;
}
