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
import { KV_CLEARED, type KvAction, type Tier } from '../../../control/ports.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { leavesTier } from '../action-outcome.ts';
import { createLowerTiers, type LowerTiers } from '../lower-tiers.ts';
import { REMOVAL } from '../removal.ts';
import { createStepBatch, type Regime } from '../step-timer.ts';
import type { EndStatus, EngineConfig, EngineRequest, LoadView, Worker, WorkerCounters, WorkerParts } from '../worker.ts';
import { zeroCounters } from '../zero-counters.ts';
import { BY_SEQS, NOT_BLOCKED } from './blocked.ts';
import { checkWorker } from './check-worker.ts';
import { createPool } from './create-pool.ts';
import { DecodeRun } from './decode-run.ts';
import { endAll } from './end-all.ts';
import { EngineMemory } from './engine-memory.ts';
import { fillBatch } from './fill-batch.ts';
import { fillLoad } from './fill-load.ts';
import { fillSlot } from './fill-slot.ts';
import type { HbmPool } from './hbm-pool.ts';
import { HostTraffic, STORE } from './host-traffic.ts';
import { IntMap } from './int-map.ts';
import { executeCommand } from './kv-commands.ts';
import { KvOutbox, outboxEvents } from './kv-outbox.ts';
import { IDLE, PENDING, RUN, STEP } from './phases.ts';
import { refusalOf } from './refusal.ts';
import { RUNNING } from './request-slots.ts';
import { lateBoundary, nextBoundary, runHorizon } from './run-horizon.ts';
import { Scheduler, type SchedulerParts } from './scheduler.ts';
import { NONE } from './segment-columns.ts';
import { StepCompletion } from './step-completion.ts';
import { StepLedger } from './step-ledger.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** State of the jumping engine; asyncDepth 2 is in async-worker.ts. */
export class JumpWorker implements Worker {
  readonly index: number;
  readonly config: EngineConfig;
  readonly counters: WorkerCounters = zeroCounters();
  nextMs = NEVER;
  nextClass: number = EVENT_CLASS.observe;
  stuck: string | null = null;
  lateBranch: BranchId = NONE;
  protected readonly parts: WorkerParts;
  private readonly memory: EngineMemory;
  protected readonly batch = createStepBatch();
  protected readonly run = new DecodeRun();
  protected readonly ids = new IntMap(5);
  protected readonly ledger: StepLedger;
  protected readonly outbox: KvOutbox;
  private readonly lower: LowerTiers | null;
  /** Age from which publications may be merged, ms; Infinity = never, and none is late. */
  protected readonly lazyEvents: number;
  // Gone and made anew with a crash.
  protected pool: HbmPool;
  protected scheduler: Scheduler;
  protected host: HostTraffic | null;
  protected completion: StepCompletion;
  /** First of the steps that are taken at once. */
  protected bulkFrom = 0;
  /** Step of the run whose end publishes the queued events. */
  protected eventStep = 0;
  protected phase = IDLE;
  protected state: 'up' | 'draining' | 'down' = 'up';
  protected epoch = 0;
  protected nowMs = 0;
  /** Start of the step of a run whose blocks are allocated; NaN outside. */
  protected crossingMs = Number.NaN;
  /** Time of the pending schedule; start and end of the step in flight. */
  protected scheduleMs = 0;
  protected startMs = 0;
  protected endMs = 0;
  protected regime: Regime = 'calibrated';
  protected drainMs = NEVER;
  protected factor = 1;

  constructor(parts: WorkerParts, memory = new EngineMemory()) {
    const { config } = parts;
    if (config.hostBlocks > 0 && parts.links === null) throw new Error('jump worker: a host tier needs links');
    this.parts = parts;
    this.memory = memory;
    this.index = parts.index;
    this.config = config;
    this.lazyEvents = parts.lazyEvents ?? NEVER;
    this.ledger = new StepLedger(this.counters, parts.sink);
    this.outbox = new KvOutbox(parts.branches, parts.index, parts.sink, parts.lazyEvents !== undefined);
    this.outbox.clock = (n) => this.run.endMs(this.bulkFrom + this.scheduler.bulk.stepOf(n));
    this.lower = createLowerTiers(parts, this.counters, outboxEvents(this.outbox, parts.sink));
    this.pool = this.newPool();
    this.scheduler = this.newScheduler();
    this.host = this.newHost();
    this.completion = this.newCompletion();
  }

  submit(request: EngineRequest, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.submit);
    const { config, scheduler } = this;
    if (this.ids.get(request.id) !== NONE) throw new Error(`worker ${this.index}: request ${request.id} was submitted before`);
    const refusal = refusalOf(request, config, this.state);
    if (refusal !== null) {
      this.parts.sink.ended(request.id, tMs, refusal.status, 0, refusal.reason);
      return;
    }
    const s = scheduler.slots.alloc(this.index, request.session);
    fillSlot(scheduler.slots, s, request, config.maxModelLen);
    this.ids.set(request.id, s);
    scheduler.enqueue(s);
    if (this.phase === RUN) this.arriveInRun(tMs);
    else this.wake(tMs);
    this.refresh();
  }

  /** A request came while a run goes on: the run ends at the next boundary only if the request could be admitted there. */
  protected arriveInRun(tMs: number): void {
    const { scheduler, config } = this;
    if (scheduler.budgetLeft <= 0) return;
    if (scheduler.running.count >= config.maxSeqs) {
      if (scheduler.blocked === NOT_BLOCKED) this.changeBlocked(BY_SEQS);
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
    const { scheduler } = this;
    const running = scheduler.slots.state[s] === RUNNING;
    if (this.phase === RUN && (running || scheduler.blocked !== BY_SEQS)) this.cut(tMs);
    if (running && this.phase === STEP) this.completion.aborts.push(id);
    else {
      this.completion.end(s, tMs, 'aborted', 'abort', 0);
      if (this.phase === RUN && scheduler.waiting.count + scheduler.holding.count === 0) this.changeBlocked(NOT_BLOCKED);
      this.wake(tMs);
    }
    this.refresh();
  }

  apply(action: KvAction, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.control);
    const { branches, sink } = this.parts;
    const outcome = executeCommand(action, tMs, { branches, pool: this.pool, host: this.host, isDown: this.state === 'down' });
    if (outcome !== null) sink.settled(action, outcome, tMs);
    this.host?.storeVictims(tMs);
    this.showEvents(tMs);
    // These take blocks that the horizon of the run counted on, touch what a waiting request looked up, or change who goes next.
    if (this.phase === RUN && (action.verb === 'prefetch' || leavesTier(action) || this.host?.isLazy)) this.cut(tMs);
    this.refresh();
  }

  /**
   * Empties the prefix cache of a worker without host tier if no block is referenced (class control). Returns whether it did; then a
   * `cleared` event tells so.
   */
  resetPrefixCache(tMs: number): boolean {
    if (this.host !== null) throw new Error(`worker ${this.index}: no reset of a cache with a host tier`);
    this.advance(tMs, EVENT_CLASS.control);
    const done = this.pool.reset();
    if (done) {
      this.outbox.batch.push(KV_CLEARED, 0, NONE, 0, 0);
      this.showEvents(tMs);
    }
    this.refresh();
    return done;
  }

  transferDone(transfer: number, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.transfer);
    const { host, scheduler } = this;
    if (host === null) return;
    const kind = host.done(transfer, tMs);
    const freed = host.doneSlot !== NONE && this.completion.releaseLingering(host.doneSlot);
    this.showEvents(tMs);
    if (this.phase === RUN) {
      const waits = scheduler.blocked !== NOT_BLOCKED || scheduler.lookedUp || scheduler.holding.count > 0;
      if (waits || kind !== STORE || freed) this.cut(tMs);
    }
    this.wake(tMs);
    this.refresh();
  }

  drain(tMs: number, deadlineMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    if (this.state === 'down') return;
    this.state = 'draining';
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
    if (this.state !== 'down') this.stop(tMs, 'lost', 'crash');
    this.state = 'up';
    this.outbox.startEpoch(++this.epoch);
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
    if (this.phase === RUN) this.count();
    fillLoad(view, this.scheduler, this.host, this.config);
    view.stepEndsMs = !this.inFlight ? NEVER : this.phase === STEP ? this.endMs : this.run.endMs(this.run.ended + 1);
  }

  residentBlocks(branch: BranchId, depthBlocks: number): number {
    return this.pool.match(branch, depthBlocks, 0);
  }

  hostBlocks(branch: BranchId, depthBlocks: number, fromBlocks: number): number {
    return this.host === null || fromBlocks >= depthBlocks ? 0 : this.host.tier.continuation(branch, depthBlocks, fromBlocks);
  }

  markHeld(tier: Tier, branch: BranchId, from: number, to: number, out: Uint8Array, at: number, value: number): void {
    if (tier > 1) this.lower?.markHeld(tier, branch, from, to, out, at, value);
    else (tier === 0 ? this.pool : this.host?.tier)?.markHeld(branch, from, to, out, at, value);
  }

  check(deep: boolean): void {
    checkWorker(this.scheduler, this.pool, this.host, this.ids.size, deep);
  }

  /** Bytes of block structures, HBM and host. */
  get kvBytes(): number {
    return this.pool.bytes + (this.host?.tier.bytes ?? 0);
  }

  /** Steps that were scheduled and have not ended; 0 in a run. */
  protected get outstanding(): number {
    return this.phase === STEP ? 1 : 0;
  }

  /** Whether a step is in flight. */
  protected get inFlight(): boolean {
    return this.phase === STEP || (this.phase === RUN && this.run.scheduled > this.run.ended);
  }

  protected newPool(): HbmPool {
    const { config, branches, sink, index } = this.parts;
    const pool = createPool(branches, this.outbox, this.counters, this.memory.segments, config);
    pool.watcher = {
      broken: (session, blocks) => {
        sink.claimBroken(index, session, blocks, Number.isNaN(this.crossingMs) ? this.nowMs : this.crossingMs);
      },
    };
    return pool;
  }

  protected newScheduler(): Scheduler {
    const { config, branches, sink } = this.parts;
    const scheduler = this.createScheduler({ config, branches, pool: this.pool, sink, counters: this.counters, slots: this.memory.slots });
    scheduler.lastEndMs = Number.NaN;
    scheduler.onFailed = (s, nowMs) => this.completion.endLoose(s, nowMs, 'failed', 'kv_exhausted');
    return scheduler;
  }

  protected createScheduler(parts: SchedulerParts): Scheduler {
    return new Scheduler(parts);
  }

  protected newHost(): HostTraffic | null {
    const { config, branches, sink, links, index } = this.parts;
    if (config.hostBlocks <= 0 || !config.prefixCaching) return null;
    const { counters, outbox, pool, scheduler } = this;
    const { segments: store } = this.memory;
    const host = new HostTraffic({
      index,
      config,
      branches,
      links: links!,
      sink,
      counters,
      outbox,
      pool,
      slots: scheduler.slots,
      store,
      lower: this.lower,
    });
    scheduler.host = host;
    return host;
  }

  protected newCompletion(): StepCompletion {
    const { config, counters, scheduler, host, ids } = this;
    return new StepCompletion({ config, counters, sink: this.parts.sink, scheduler, host, ids });
  }

  /** Commits the next own effect. */
  protected takeEffect(): void {
    const atMs = this.nextMs;
    const isRun = this.phase === RUN;
    if (isRun) this.materialise(atMs, this.nextClass);
    this.passTime(atMs);
    if (this.nextClass === EVENT_CLASS.stepEnd) {
      if (!isRun || this.run.ended === this.run.steps) this.complete(atMs);
      else if (this.completion.owing) this.cut(atMs);
    } else if (this.nextClass === EVENT_CLASS.lifecycle) {
      this.pool.expire(atMs, false);
      this.stop(atMs, 'handback', 'drained');
    } else if (this.nextClass === EVENT_CLASS.schedule) this.schedule(atMs);
    else {
      const isDropped = this.pool.expire(atMs, true);
      if (isDropped) this.showEvents(atMs);
      if (isRun && (this.host?.isLazy || (isDropped && this.scheduler.blocked !== NOT_BLOCKED))) this.cut(atMs);
    }
    this.refresh();
  }

  /** Events that occurred outside a step go out at once; else with the step in flight. */
  protected showEvents(tMs: number): void {
    if (!this.inFlight) this.outbox.publish(tMs);
    else if (this.phase === RUN && this.outbox.count > 0) this.eventStep = this.run.ended + 1;
  }

  protected schedule(tMs: number): void {
    const { scheduler, counters, pool } = this;
    const { decode } = scheduler;
    this.phase = IDLE;
    while (scheduler.requests > 0) {
      counters.events++;
      pool.expire(tMs, false);
      scheduler.schedule(tMs);
      if (scheduler.items.count > 0 || scheduler.flushMs > 0) {
        if (scheduler.items.count + decode.count > 0) {
          this.beginStep(tMs);
          break;
        }
      } else if (decode.count > 0) {
        this.beginRun(tMs);
        break;
      }
      this.ledger.blocked(scheduler.blocked, 1);
      counters.emptySteps++;
      this.outbox.publish(tMs);
      if (!scheduler.disturbed) break;
    }
    this.noteProgress();
  }

  /** After a schedule(): counts, and whether the worker can go on by itself. */
  protected noteProgress(): void {
    const { scheduler, pool } = this;
    this.counters.segmentsTouched = pool.touched + (this.host === null ? 0 : this.host.tier.touched);
    const hopeful = scheduler.requests === 0 || this.phase >= STEP || (this.host !== null && this.host.inFlight > 0);
    this.stuck = hopeful ? null : scheduler.holding.count > 0 ? 'restore-wedge' : 'blocked';
  }

  /** Executes the step that the scheduler decided; the decode set has counted it already. */
  protected beginStep(tMs: number): void {
    const { scheduler, batch } = this;
    fillBatch(batch, scheduler, scheduler.items);
    this.ledger.blocked(scheduler.blocked, 1);
    const stepMs = this.parts.timer.stepMs(batch);
    this.regime = this.parts.timer.regime;
    this.phase = STEP;
    this.startMs = tMs;
    this.endMs = tMs + (this.factor === 1 ? stepMs : stepMs * this.factor) + scheduler.flushMs;
    scheduler.flushMs = 0;
  }

  /** Starts a run; its first step is decided and counted by the decode set. */
  protected beginRun(tMs: number): void {
    const { scheduler, run } = this;
    const { decode } = scheduler;
    const n = decode.count;
    const steps = runHorizon(scheduler, this.completion, this.config);
    run.begin(this.parts.timer, n, decode.kvTokens - n, decode.maxKvTokens - 1, steps, tMs, this.factor);
    // Steps without duration are separate effects: an input of the same time may come between them.
    if (run.endMs(1) <= tMs) run.steps = 1;
    this.phase = RUN;
    this.eventStep = 1;
  }

  /** Commits the effects of the run up to (tMs, eventClass); the end of its last step is left to {@link complete}. */
  protected materialise(tMs: number, eventClass: number): void {
    const { run, outbox } = this;
    const ended = run.stepsBy(tMs);
    let wanted = ended + 1;
    if (wanted > run.steps) wanted = run.steps;
    else if (eventClass < EVENT_CLASS.schedule && ended > 0 && run.endMs(ended) === tMs) wanted = ended;
    if (run.scheduled < wanted) this.scheduleInRun(wanted, tMs - this.lazyEvents);
    if (ended > run.ended) {
      run.ended = ended;
      if (this.completion.membersOffer && ended < run.steps) this.offerInRun(ended);
    }
    if (outbox.count > 0 && ended >= this.eventStep && this.eventStep < run.steps) outbox.publish(run.endMs(this.eventStep));
  }

  /** Schedule-time effects of the steps before `wanted`; what was due by `oldMs` may go into one batch. */
  protected scheduleInRun(wanted: number, oldMs: number): void {
    const { run, scheduler, pool, outbox } = this;
    const { decode } = scheduler;
    let k = run.scheduled;
    const last = decode.iter + wanted - k;
    // Steps before this one publish nothing on their own, whatever they do.
    const merged = this.lazyEvents === NEVER ? 0 : Math.min(wanted, run.stepsBy(oldMs));
    for (;;) {
      if (k < merged) {
        this.bulkFrom = k;
        outbox.sinceMs = run.endMs(k);
        outbox.atMs = run.endMs(merged - 1);
        const done = scheduler.bulk.cross(merged - k, outbox.atMs);
        if (outbox.count > 0 && scheduler.bulk.crossed > 0) this.eventStep = k + scheduler.bulk.crossed;
        k += done;
      }
      const quiet = decode.stepsToCrossing();
      k += quiet;
      if (k >= wanted) break;
      if (outbox.count > 0 && k >= this.eventStep && !(run.endMs(k + 1) <= oldMs)) outbox.publish(run.endMs(this.eventStep));
      const startMs = run.endMs(k);
      this.crossingMs = startMs;
      pool.expire(startMs, false);
      outbox.at(startMs);
      decode.iter += quiet;
      scheduler.crossDecode();
      if (outbox.count > 0) this.eventStep = k + 1;
      decode.iter++;
      k++;
    }
    decode.iter = last;
    this.crossingMs = Number.NaN;
    run.scheduled = wanted;
  }

  /** The end of a step inside the run, never passed by unseen if a member completed a block in it. */
  protected offerInRun(ended: number): void {
    const { run, scheduler, outbox } = this;
    const { decode } = scheduler;
    if (run.scheduled !== ended || decode.phaseCount[decode.completing] === 0) return;
    const atMs = run.endMs(ended);
    outbox.at(atMs);
    this.completion.offerInRun(atMs);
    if (outbox.count > 0) this.eventStep = ended;
  }

  /** Ends a run at the first boundary at or after tMs, up to which it is committed. */
  protected cut(tMs: number): void {
    const { run, scheduler } = this;
    this.count();
    const { ended } = run;
    if (ended > 0) scheduler.lastEndMs = run.endMs(ended);
    if (run.scheduled === ended) {
      this.phase = PENDING;
      this.scheduleMs = tMs;
      return;
    }
    scheduler.items.count = 0;
    this.phase = STEP;
    this.regime = run.regime;
    this.startMs = run.endMs(ended);
    this.endMs = run.endMs(ended + 1);
  }

  /** Brings the counters and token gaps of a run up to its committed steps. */
  protected count(): void {
    this.ledger.blockedInRun(this.run, this.scheduler.blocked);
    this.ledger.run(this.run, this.run.ended);
  }

  /** From the next schedule() of the run on, the waiting loop ends for another reason. */
  protected changeBlocked(reason: number): void {
    this.ledger.blockedInRun(this.run, this.scheduler.blocked);
    this.scheduler.blocked = reason;
  }

  /** The step in flight, or the last one of the run, ends. */
  protected complete(tMs: number): void {
    const { scheduler } = this;
    this.pool.expire(tMs, false);
    if (this.phase === RUN) {
      this.count();
      this.completion.runEnd(tMs);
    } else {
      this.ledger.step(tMs - this.startMs, this.regime);
      this.completion.step(tMs);
    }
    scheduler.lastEndMs = tMs;
    this.outbox.publish(tMs);
    this.phase = IDLE;
    this.wake(tMs);
  }

  /** Crash, or the end of a drain: everything that lives here ends, the tiers are gone. */
  protected stop(tMs: number, status: EndStatus, reason: string): void {
    const { scheduler, ids } = this;
    this.host?.cancelAll(tMs);
    if (this.phase === RUN) this.cut(tMs);
    endAll(ids, scheduler, this.outstanding, tMs, status, reason, this.parts.sink);
    this.pool.loseAll(REMOVAL.lost);
    this.host?.tier.loseAll(REMOVAL.lost);
    this.lower?.lose(tMs);
    this.outbox.startEpoch(this.epoch);
    scheduler.slots.disposeOf(this.index);
    this.pool.retire();
    this.host?.tier.retire();
    this.pool = this.newPool();
    this.scheduler = this.newScheduler();
    this.host = this.newHost();
    this.completion = this.newCompletion();
    this.phase = IDLE;
    this.state = 'down';
    this.drainMs = NEVER;
    this.stuck = null;
  }

  /** schedule() at (tMs, 8) if no step is in flight. */
  protected wake(tMs: number): void {
    if (this.phase >= STEP || this.scheduler.requests === 0) return;
    this.phase = PENDING;
    this.scheduleMs = tMs;
  }

  protected passTime(tMs: number): void {
    const { scheduler } = this;
    if (tMs < this.nowMs) throw new Error(`worker ${this.index}: time goes back from ${this.nowMs} to ${tMs}`);
    if (this.phase < STEP && scheduler.waiting.count + scheduler.holding.count > 0) this.counters.waitingMs += tMs - this.nowMs;
    this.nowMs = tMs;
    this.outbox.at(tMs);
  }

  /** Steps of the run up to its next own effect. */
  protected boundary(): number {
    const { run, outbox, scheduler } = this;
    const { membersOffer } = this.completion;
    const next = nextBoundary(run, this.eventStep, scheduler, outbox, membersOffer);
    if (this.lazyEvents === NEVER || outbox.urgent) return next;
    const late = lateBoundary(run, next, scheduler, membersOffer);
    if (late > next) this.lateBranch = this.pool.branch[this.pool.victim()]!;
    return late;
  }

  /** Finds the next own effect. */
  protected refresh(): void {
    let ms = NEVER;
    let eventClass: number = EVENT_CLASS.observe;
    this.lateBranch = NONE;
    if (this.phase === PENDING) {
      ms = this.scheduleMs;
      eventClass = EVENT_CLASS.schedule;
    } else if (this.phase === STEP) {
      ms = this.endMs;
      eventClass = EVENT_CLASS.stepEnd;
    } else if (this.phase === RUN) {
      ms = this.run.endMs(this.boundary());
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
}
