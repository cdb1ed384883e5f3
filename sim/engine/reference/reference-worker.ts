/**
 * The stepped engine: one schedule() per step, per-block pool with physical ids, one calendar slot. The oracle for the jumping engine:
 * obviously right first. Source: engine specification 1 to 5, 8, 9; the shared semantics stand in worker.ts.
 */
import { BRANCH_PRIVATE, type BranchId } from '../../../control/blocks.ts';
import type { KvAction, Tier } from '../../../control/ports.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { blockKey, chainKeys, placeOf } from '../chain-keys.ts';
import { createLowerTiers, type LowerTiers } from '../lower-tiers.ts';
import { REMOVAL } from '../removal.ts';
import { ObservedStep, WAIT, type WaitReason } from '../step-observer.ts';
import { addToBatch, clearBatch, createStepBatch, type Regime } from '../step-timer.ts';
import { viewLowerTiers } from '../view-lower-tiers.ts';
import type { EndStatus, EngineConfig, EngineRequest, LoadView, Worker, WorkerCounters, WorkerParts } from '../worker.ts';
import { zeroCounters } from '../zero-counters.ts';
import type { BlockKey } from './block-pool.ts';
import { HostTraffic, type Served } from './host-traffic.ts';
import { checkInvariants } from './invariants.ts';
import { applyAction } from './kv-actions.ts';
import { KvEventLog } from './kv-event-log.ts';
import { SchedulerRequest } from './request.ts';
import { type Admission, type ScheduledItem, Scheduler, type StepPlan } from './scheduler.ts';

/** A scheduled step that executes or waits for its turn (asynchronous scheduling). */
interface Flight {
  readonly plan: StepPlan;
  /** Flush of preempted stores, added to the duration. */
  readonly flushMs: number;
  startMs: number;
  endMs: number;
  regime: Regime;
}

/** Called with every schedule() that had something to do; for tests that look at decisions. */
export type ScheduleTrace = (plan: StepPlan, tMs: number, scheduler: Scheduler) => void;

/** More empty schedules in a row than this are a bug or a hopeless configuration: engine specification 9.3. */
const MAX_EMPTY_SCHEDULES = 10_000;
const MAX_PREEMPTIONS = 1024;

const NEVER = Number.POSITIVE_INFINITY;

/** The stepped engine behind the worker port. `trace` sees every schedule. */
export function createReferenceWorker(parts: WorkerParts, trace?: ScheduleTrace): ReferenceWorker {
  return new ReferenceWorker(parts, trace);
}

/** State of the stepped engine; public where invariants and tests look. */
export class ReferenceWorker implements Worker {
  readonly index: number;
  readonly config: EngineConfig;
  readonly counters: WorkerCounters = zeroCounters();
  nextMs = NEVER;
  nextClass: number = EVENT_CLASS.observe;
  readonly lateBranch = -1;
  stuck: string | null = null;
  scheduler: Scheduler;
  host: HostTraffic | null = null;
  readonly lower: LowerTiers | null;
  /** Requests that have not ended, and ended ones whose blocks a transfer still uses. */
  readonly served = new Map<number, Served>();
  readonly lingering = new Map<number, Served>();
  submitted = 0;
  terminal = 0;
  readonly #parts: WorkerParts;
  readonly #trace: ScheduleTrace | undefined;
  readonly #events: KvEventLog;
  readonly #batch = createStepBatch();
  readonly #flights: Flight[] = [];
  readonly #pendingAborts: number[] = [];
  readonly #ids = new Set<number>();
  #state: 'up' | 'draining' | 'down' = 'up';
  #epoch = 0;
  #nowMs = 0;
  #scheduleMs = NEVER;
  #drainMs = NEVER;
  #slowdown = 1;
  /** Flush time that waits for the next step with tokens. */
  #flushMs = 0;
  #previousStepEndMs = Number.NaN;
  #emptySchedules = 0;

  constructor(parts: WorkerParts, trace?: ScheduleTrace) {
    this.#parts = parts;
    this.#trace = trace;
    this.index = parts.index;
    this.config = parts.config;
    this.#events = new KvEventLog(parts.index, parts.sink);
    if (parts.config.hostBlocks > 0 && parts.links === null) throw new Error('reference worker: a host tier needs links');
    this.lower = createLowerTiers(parts, this.counters, {
      stored: (tier, key) => this.#events.stored(tier, key),
      settled: (action, outcome, tMs) => parts.sink.settled(action, outcome, tMs),
      removed: (tier, key, reason, isPublished) => this.#removed(tier, key, reason, isPublished),
    });
    this.scheduler = this.#cold();
  }

  submit(request: EngineRequest, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.submit);
    if (this.#ids.has(request.id)) throw new Error(`worker ${this.index}: request ${request.id} was submitted before`);
    this.#ids.add(request.id);
    this.submitted++;
    const refusal = this.#refusal(request);
    if (refusal !== null) {
      this.terminal++;
      this.#parts.sink.ended(request.id, tMs, refusal[0], 0, refusal[1]);
      return;
    }
    const bs = this.config.blockTokens;
    const limit = Math.min(request.promptTokens + request.outputTokens, this.config.maxModelLen);
    const keys = chainKeys(this.#parts.branches, request.leaf, Math.floor(limit / bs));
    const outputTokens = Math.max(request.outputTokens, 1);
    const queued = new SchedulerRequest({
      id: request.id,
      session: request.session,
      promptTokens: request.promptTokens,
      maxTokens: request.stopsEarly ? NEVER : outputTokens,
      stopAt: request.stopsEarly ? outputTokens : NEVER,
      priority: request.priority,
      arrival: request.arrivalMs,
      keyOf: (block) => {
        const key = keys[block];
        if (key === undefined) throw new Error(`worker ${this.index}: request ${request.id} has no block ${block}`);
        return key;
      },
    });
    const delivers = request.outputTokens > 0;
    this.served.set(request.id, {
      request: queued,
      keys,
      delivers,
      offeredBlocks: 0,
      stores: new Set(),
      lastTokenMs: Number.NaN,
      highWater: 0,
    });
    this.scheduler.submit(queued);
    this.#parts.observer?.queued(this.index, request.id, tMs);
    this.#wake(tMs);
    this.#refresh();
  }

  abort(id: number, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.abort);
    const served = this.served.get(id);
    if (served === undefined) return;
    if (served.request.state === 'running' && this.#flights.length > 0) this.#pendingAborts.push(id);
    else {
      this.#end(served, tMs, 'aborted', 'abort');
      this.#wake(tMs);
    }
    this.#refresh();
  }

  apply(action: KvAction, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.control);
    const isDown = this.#state === 'down';
    applyAction(action, tMs, {
      branches: this.#parts.branches,
      pool: this.scheduler.pool,
      host: this.host,
      sink: this.#parts.sink,
      isDown,
    });
    this.host?.storeVictims(tMs);
    if (this.#flights.length === 0) this.#events.publish(tMs);
    this.#refresh();
  }

  transferDone(transfer: number, tMs: number): void {
    this.advance(tMs, EVENT_CLASS.transfer);
    if (this.host === null) return;
    this.#progress();
    const served = this.host.done(transfer, tMs);
    if (served?.request.restore?.done) this.#parts.observer?.loaded(this.index, served.request.id, tMs);
    if (served !== null) this.#releaseLingering(served);
    if (this.#flights.length === 0) this.#events.publish(tMs);
    this.#wake(tMs);
    this.#refresh();
  }

  drain(tMs: number, deadlineMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    if (this.#state === 'down') return;
    this.#state = 'draining';
    this.#drainMs = deadlineMs;
    this.#refresh();
  }

  crash(tMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    this.#stop(tMs, 'lost', 'crash');
    this.#refresh();
  }

  restart(tMs: number): void {
    this.advance(tMs, EVENT_CLASS.lifecycle);
    if (this.#state !== 'down') this.#stop(tMs, 'lost', 'crash');
    this.#state = 'up';
    this.#epoch++;
    this.#events.startEpoch(this.#epoch);
    this.#slowdown = 1;
    this.#refresh();
  }

  setSlowdown(factor: number, tMs: number): void {
    if (!(factor >= 1)) throw new Error(`slow-down factor ${factor}, must be >= 1`);
    this.advance(tMs, EVENT_CLASS.lifecycle);
    const flight = this.#flights[0];
    if (flight !== undefined) flight.endMs = tMs + ((flight.endMs - tMs) * factor) / this.#slowdown;
    this.#slowdown = factor;
    this.#refresh();
  }

  advance(tMs: number, eventClass: number): void {
    while (this.nextMs < NEVER && (this.nextMs < tMs || (this.nextMs === tMs && this.nextClass <= eventClass))) {
      const atMs = this.nextMs;
      this.#passTime(atMs);
      if (this.nextClass === EVENT_CLASS.stepEnd) this.#completeStep(atMs);
      else if (this.nextClass === EVENT_CLASS.lifecycle) this.#stop(atMs, 'handback', 'drained');
      else if (this.nextClass === EVENT_CLASS.schedule) this.#schedule(atMs);
      else {
        this.scheduler.pool.expire(atMs);
        if (this.#flights.length === 0) this.#events.publish(atMs);
      }
      this.#refresh();
    }
    if (tMs < NEVER) this.#passTime(tMs);
  }

  loadView(_tMs: number, view: LoadView): void {
    const { pool, running, waiting, holding } = this.scheduler;
    view.running = running.length;
    view.waiting = waiting.length + holding.length;
    view.kvReferencedBlocks = pool.referenced;
    view.kvCachedBlocks = pool.cached;
    view.kvClaimedBlocks = pool.claimedFree();
    view.kvUsableBlocks = pool.usable;
    view.hostUsedBlocks = this.host?.tier.slots.size ?? 0;
    view.hostBlocks = this.config.hostBlocks;
    viewLowerTiers(view, this.lower);
    view.stepEndsMs = this.#flights[0]?.endMs ?? NEVER;
  }

  residentBlocks(branch: BranchId, depthBlocks: number): number {
    const keys = chainKeys(this.#parts.branches, branch, depthBlocks);
    const missing = keys.findIndex((key) => this.scheduler.pool.lookup(key) < 0);
    return missing < 0 ? keys.length : missing;
  }

  hostBlocks(branch: BranchId, depthBlocks: number, fromBlocks: number): number {
    if (this.host === null || fromBlocks >= depthBlocks) return 0;
    const { tier } = this.host;
    const keys = chainKeys(this.#parts.branches, branch, depthBlocks).slice(fromBlocks);
    const missing = keys.findIndex((key) => !tier.isReady(key));
    return missing < 0 ? keys.length : missing;
  }

  markHeld(tier: Tier, branch: BranchId, from: number, to: number, out: Uint8Array, at: number, value: number): void {
    if (tier > 1) this.lower?.markHeld(tier, branch, from, to, out, at, value);
    else
      for (let x = from; x < to; x++) {
        const key = blockKey(branch, x);
        const isHeld = tier === 0 ? this.scheduler.pool.lookup(key) >= 0 : this.host?.tier.isReady(key) === true;
        if (isHeld) out[at + x - from] = value;
      }
  }

  check(deep: boolean): void {
    checkInvariants(this, deep);
  }

  /** An empty pool and host tier. */
  #cold(): Scheduler {
    const { sink, links, index } = this.#parts;
    const { counters, config } = this;
    const scheduler = new Scheduler({
      config,
      failHopeless: true,
      events: {
        stored: (key) => this.#events.stored(0, key),
        removed: (key, reason) => {
          this.host?.filter?.left(key);
          this.#removed(0, key, reason);
        },
        isBelow: (key) => this.host?.tier.isReady(key) === true,
        totals: counters,
        claimsBroken: (session, blocks) => sink.claimBroken(index, session, blocks, this.#nowMs),
      },
      outside: {
        findBelow: (request, hitBlocks) => this.host?.find(this.#servedBy(request), hitBlocks, this.#nowMs) ?? 0,
        load: (request, from, count) => this.host!.load(this.#servedBy(request), from, count, this.#nowMs),
        admitted: (admission) => this.#admitted(admission),
        matched: (request, hbm, host) => {
          if (request.preemptions === 0) sink.matched(request.id, this.#nowMs, hbm, host);
        },
        preempted: (request) => this.#preempted(request),
        failed: (request) => this.#end(this.#servedBy(request), this.#nowMs, 'failed', 'kv_exhausted'),
        reclaim: () => this.host?.cancelPrefetches(this.#nowMs) ?? false,
      },
    });
    this.host =
      config.hostBlocks > 0 && config.prefixCaching
        ? new HostTraffic({
            index,
            config,
            links: links!,
            sink,
            counters,
            events: this.#events,
            removed: (key) => {
              this.#removed(1, key, REMOVAL.capacity);
              this.lower?.leftHost(key);
            },
            pool: scheduler.pool,
            lower: this.lower,
          })
        : null;
    return scheduler;
  }

  #removed(tier: Tier, key: BlockKey, reason: number, isPublished = true): void {
    const { branches, sink } = this.#parts;
    if (isPublished) this.#events.removed(tier, key);
    const [branch, offset] = placeOf(key);
    if ((branches.flags[branch]! & BRANCH_PRIVATE) !== 0) return;
    sink.removed(this.index, tier, branch, offset, offset + 1, this.#nowMs, this.#nowMs, reason);
  }

  /** Status and reason if the request cannot be served at all. */
  #refusal(request: EngineRequest): [EndStatus, string] | null {
    if (this.#state === 'down') return ['lost', 'down'];
    if (this.#state === 'draining') return ['handback', 'draining'];
    if (!(request.promptTokens > 0)) return ['rejected', 'empty_prompt'];
    if (request.promptTokens >= this.config.maxModelLen) return ['rejected', 'context_limit'];
    const blocks = Math.ceil(request.promptTokens / this.config.blockTokens);
    return blocks > this.scheduler.pool.usable ? ['rejected', 'kv_too_small'] : null;
  }

  #schedule(tMs: number): void {
    this.#scheduleMs = NEVER;
    let reason: WaitReason = WAIT.step;
    while (this.scheduler.hasRequests) {
      this.counters.events++;
      if (++this.#emptySchedules > MAX_EMPTY_SCHEDULES) throw new Error(this.#diagnosis('no progress'));
      const plan = this.scheduler.schedule(tMs);
      this.host?.storeVictims(tMs);
      this.host?.storeAhead(tMs);
      this.#countBlocked(plan);
      reason = waitReason(plan, this.config);
      this.#trace?.(plan, tMs, this.scheduler);
      const isEmpty = plan.items.length === 0;
      if (isEmpty) this.counters.emptySteps++;
      else this.#progress();
      if (isEmpty && this.#flights.length === 0) {
        this.#events.publish(tMs);
        if (plan.preempted.length > 0) continue;
        break;
      }
      const flushMs = isEmpty ? 0 : this.#flushMs;
      if (!isEmpty) this.#flushMs = 0;
      this.#flights.push({ plan, flushMs, startMs: NEVER, endMs: NEVER, regime: 'calibrated' });
      if (this.#flights.length === 1) this.#begin(this.#flights[0]!, tMs);
      if (this.config.asyncDepth === 1 || this.#flights.length === 2) break;
    }
    this.#parts.observer?.passed(this.index, tMs, reason);
    const isHopeful = !this.scheduler.hasRequests || this.#flights.length > 0 || (this.host !== null && this.host.inFlight > 0);
    this.stuck = isHopeful ? null : this.scheduler.holding.length > 0 ? 'restore-wedge' : 'blocked';
  }

  /** Starts to execute a step with tokens. */
  #begin(flight: Flight, tMs: number): void {
    const batch = this.#batch;
    clearBatch(batch);
    for (const { request, n, computed } of flight.plan.items) addToBatch(batch, n, computed, computed < request.promptTokens);
    const stepMs = this.#parts.timer.stepMs(batch);
    flight.regime = this.#parts.timer.regime;
    flight.startMs = tMs;
    flight.endMs = tMs + stepMs * this.#slowdown + flight.flushMs;
  }

  #completeStep(tMs: number): void {
    const flight = this.#flights.shift()!;
    this.counters.steps++;
    this.counters.busyMs += tMs - flight.startMs;
    this.counters.regimeMs[flight.regime] += tMs - flight.startMs;
    this.#progress();
    this.#tellStep(flight, tMs);
    for (const id of this.#pendingAborts.splice(0)) {
      const served = this.served.get(id);
      if (served !== undefined) this.#end(served, tMs, 'aborted', 'abort');
    }
    let inStep = 0;
    const gaps: number[] = [];
    for (const item of flight.plan.items) {
      const gapFromMs = this.#completeItem(item, tMs);
      if (gapFromMs === this.#previousStepEndMs) inStep++;
      else if (!Number.isNaN(gapFromMs)) gaps.push(tMs - gapFromMs);
    }
    if (inStep > 0) this.#parts.sink.tokenGaps(tMs - this.#previousStepEndMs, 0, 1, inStep);
    for (const gapMs of gaps) this.#parts.sink.tokenGaps(gapMs, 0, 1, 1);
    this.#previousStepEndMs = tMs;
    this.#events.publish(tMs);
    // An empty step takes no time: its turn is over before it begins.
    while (this.#flights[0]?.plan.items.length === 0) this.#flights.shift();
    if (this.#flights.length > 0) this.#begin(this.#flights[0]!, tMs);
    // A request may still come at this time, also while the wasted step of one that just ended goes on.
    if (this.scheduler.hasRequests || this.#flights.length > 0) this.#scheduleMs = tMs;
  }

  #tellStep({ plan, startMs }: Flight, tMs: number): void {
    const { observer } = this.#parts;
    if (observer === undefined) return;
    const step = new ObservedStep();
    for (const { request, n, computed, samples } of plan.items) step.add(request.id, n, computed, request.promptTokens, samples);
    observer.stepped(this.index, step, startMs, tMs);
  }

  /** Applies the output of one item. Returns the time of the token before this one; NaN if none was or is delivered. */
  #completeItem(item: ScheduledItem, tMs: number): number {
    const { request } = item;
    const served = this.served.get(request.id);
    const applied = this.scheduler.apply(item);
    this.#countTokens(item, applied.waste ? undefined : served);
    if (applied.waste || served === undefined) return Number.NaN;
    let gapFromMs = Number.NaN;
    if (applied.token && served.delivers) {
      if (request.out === 1) this.#parts.sink.firstToken(request.id, tMs);
      else gapFromMs = served.lastTokenMs;
      served.lastTokenMs = tMs;
    }
    if (!applied.stale) this.host?.offer(served, Math.min(item.computed + item.n, request.len), tMs);
    if (applied.finish !== null) this.#end(served, tMs, 'finished', served.delivers ? applied.finish : 'prefill_only');
    else if (applied.stale && this.scheduler.isHopeless(request)) this.#end(served, tMs, 'failed', 'kv_exhausted');
    return gapFromMs;
  }

  #countTokens(item: ScheduledItem, served: Served | undefined): void {
    const { counters } = this;
    if (served === undefined) {
      counters.wastedTokens += item.n;
      return;
    }
    const end = item.computed + item.n;
    const fresh = Math.max(item.computed, Math.min(end, served.highWater));
    const prefillEnd = Math.max(fresh, Math.min(end, item.request.promptTokens));
    counters.recomputedTokens += fresh - item.computed;
    counters.prefillTokens += prefillEnd - fresh;
    counters.decodeTokens += end - prefillEnd;
    served.highWater = Math.max(served.highWater, end);
  }

  #countBlocked(plan: StepPlan): void {
    const { counters } = this;
    if (plan.blocked === 'seqs') counters.blockedBySeqs++;
    else if (plan.blocked === 'islGate') counters.blockedByIslGate++;
    else if (plan.blocked === 'gate') counters.blockedByGate++;
    else if (plan.blocked === 'watermark') counters.blockedByWatermark++;
    else if (plan.blocked === 'reserved') counters.blockedByReserved++;
  }

  #admitted({ request, queryTokens, hitTokens, hostTokens, resumed, lastBlockRecomputed }: Admission): void {
    const { counters } = this;
    counters.admissions++;
    if (resumed) {
      counters.queryTokensAgain += queryTokens;
      counters.hitHbmTokensAgain += hitTokens;
      counters.hitHostTokensAgain += hostTokens;
    } else {
      counters.queryTokensFirst += queryTokens;
      counters.hitHbmTokensFirst += hitTokens;
      counters.hitHostTokensFirst += hostTokens;
      if (lastBlockRecomputed) counters.lastBlockRecomputed++;
    }
    this.#parts.sink.admitted(request.id, this.#nowMs, queryTokens, hitTokens, hostTokens, !resumed);
  }

  #preempted(request: SchedulerRequest): void {
    this.counters.preemptions++;
    this.#parts.sink.preempted(request.id, this.#nowMs);
    if (request.preemptions > MAX_PREEMPTIONS) throw new Error(this.#diagnosis(`request ${request.id} preempted too often`));
    if (this.host !== null) this.#flushMs = Math.max(this.#flushMs, this.host.flush(this.#servedBy(request), this.#nowMs));
  }

  /** Terminal state of a request; its blocks stay while a transfer uses them. */
  #end(served: Served, tMs: number, status: EndStatus, reason: string): void {
    const { request } = served;
    const isLoading = request.restore !== null && !request.restore.done;
    const lingers = served.stores.size > 0 || isLoading;
    this.scheduler.finish(request, lingers);
    this.served.delete(request.id);
    if (lingers) this.lingering.set(request.id, served);
    this.terminal++;
    this.#progress();
    this.#parts.sink.ended(request.id, tMs, status, served.delivers ? request.out : 0, reason);
  }

  #releaseLingering(served: Served): void {
    const { request } = served;
    const isLoading = request.restore !== null && !request.restore.done;
    if (!this.lingering.has(request.id) || served.stores.size > 0 || isLoading) return;
    this.lingering.delete(request.id);
    this.scheduler.freeBlocks(request);
  }

  /** Crash, or the end of a drain: everything that lives here ends, the tiers are gone. */
  #stop(tMs: number, status: EndStatus, reason: string): void {
    this.host?.cancelAll(tMs);
    const live = [...this.served.values()].sort((a, b) => a.request.id - b.request.id);
    for (const served of live) {
      this.served.delete(served.request.id);
      this.terminal++;
      served.request.state = 'ended';
      this.#parts.sink.ended(served.request.id, tMs, status, served.delivers ? served.request.out : 0, reason);
    }
    this.lingering.clear();
    this.#flights.length = 0;
    this.#pendingAborts.length = 0;
    this.scheduler.pool.loseAll(REMOVAL.lost);
    for (const [key, slot] of this.host?.tier.slots ?? []) if (slot.ready) this.#removed(1, key, REMOVAL.lost);
    this.lower?.lose(tMs);
    this.#events.startEpoch(this.#epoch);
    this.scheduler = this.#cold();
    this.#state = 'down';
    this.#scheduleMs = NEVER;
    this.#drainMs = NEVER;
    this.#flushMs = 0;
    this.#previousStepEndMs = Number.NaN;
    this.stuck = null;
  }

  #servedBy(request: SchedulerRequest): Served {
    return this.served.get(request.id)!;
  }

  /** schedule() at (tMs, 8) if no step is in flight. */
  #wake(tMs: number): void {
    if (this.#flights.length === 0 && this.scheduler.hasRequests) this.#scheduleMs = tMs;
  }

  #progress(): void {
    this.#emptySchedules = 0;
  }

  #passTime(tMs: number): void {
    if (tMs < this.#nowMs) throw new Error(`worker ${this.index}: time goes back from ${this.#nowMs} to ${tMs}`);
    const waits = this.scheduler.waiting.length + this.scheduler.holding.length > 0;
    if (waits && this.#flights.length === 0) this.counters.waitingMs += tMs - this.#nowMs;
    this.#nowMs = tMs;
  }

  /** Finds the next own effect. */
  #refresh(): void {
    this.nextMs = NEVER;
    this.nextClass = EVENT_CLASS.observe;
    const consider = (ms: number, eventClass: number) => {
      if (ms < this.nextMs || (ms === this.nextMs && ms < NEVER && eventClass < this.nextClass)) {
        this.nextMs = ms;
        this.nextClass = eventClass;
      }
    };
    consider(this.#flights[0]?.endMs ?? NEVER, EVENT_CLASS.stepEnd);
    consider(this.#drainMs, EVENT_CLASS.lifecycle);
    consider(this.#scheduleMs, EVENT_CLASS.schedule);
    consider(this.scheduler.pool.nextExpiryMs(), EVENT_CLASS.expiry);
  }

  #diagnosis(what: string): string {
    const { running, waiting, holding, pool } = this.scheduler;
    const head = holding[0] ?? waiting[0];
    const need = head === undefined ? 0 : Math.ceil(head.len / this.config.blockTokens) - head.blocks.length;
    const queues = `${running.length} running, ${waiting.length} waiting, ${holding.length} restoring`;
    return `worker ${this.index} at ${this.#nowMs} ms: ${what}; ${queues}; head ${head?.id} needs ${need} blocks, ${pool.free} free, ${pool.claimedFree()} claimed`;
  }
}

/** Why those in the queue were left there by a pass. */
function waitReason({ blocked, preempted, items }: StepPlan, config: EngineConfig): WaitReason {
  if (blocked === 'seqs') return WAIT.slots;
  if (blocked !== null || preempted.length > 0) return WAIT.blocks;
  const spent = items.reduce((sum, item) => sum + item.n, 0);
  return spent < config.maxBatchedTokens && config.chunkedPrefill ? WAIT.load : WAIT.budget;
}
