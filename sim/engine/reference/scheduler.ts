/**
 * The vLLM V1 scheduler, one call of `schedule` per step. Knows tokens, blocks and queues; no clock, no durations.
 * Source: engine specification 2 with 2.11 (vLLM 0.32.0) and 4.3; held equal to recorded schedules of the real one.
 */
import type { EngineConfig } from '../worker.ts';
import { writesBack } from '../writes-back.ts';
import { BlockPool, type BlockPoolOptions } from './block-pool.ts';
import { comesBefore, type SchedulerRequest } from './request.ts';

/** n tokens scheduled on `computed` resident ones. */
export interface ScheduledItem {
  readonly request: SchedulerRequest;
  readonly n: number;
  readonly computed: number;
  /** Whole table for an admission, else the newly taken blocks. */
  readonly blocks: readonly number[];
  /** The chunk reaches the end of the known tokens, so it samples one. */
  samples: boolean;
  /** Preemption count when scheduled; a later one makes the output stale. */
  readonly generation: number;
}

/** A request that entered the running list. */
export interface Admission {
  readonly request: SchedulerRequest;
  readonly queryTokens: number;
  readonly hitTokens: number;
  readonly hostTokens: number;
  readonly resumed: boolean;
  /** The last block was in HBM but is recomputed. */
  readonly lastBlockRecomputed: boolean;
}

/** Why a waiting request was not admitted. */
export type Blocked = 'seqs' | 'islGate' | 'gate' | 'watermark' | 'reserved';

/** Result of one schedule(). */
export interface StepPlan {
  readonly items: ScheduledItem[];
  readonly admitted: Admission[];
  readonly preempted: SchedulerRequest[];
  /** Requests that ended because they can never fit. */
  readonly failed: SchedulerRequest[];
  /** Why the waiting loop ended with a candidate left. */
  blocked: Blocked | null;
}

/** Why a request is done. */
export type FinishReason = 'stop' | 'length' | 'length_capped';

/** Outcome of one item when its step is done. */
export interface Applied {
  /** Nothing to do: the request ended before. */
  readonly waste: boolean;
  /** A token was appended. */
  readonly token: boolean;
  /** The request was preempted while this output was outstanding. */
  readonly stale: boolean;
  /** The request ends now; the caller calls {@link Scheduler.finish}. */
  readonly finish: FinishReason | null;
}

/** What lies below HBM, and who wants to know. All calls happen inside schedule(), in the order of occurrence. */
export interface SchedulerOutside {
  /** Blocks of the host tier to load behind a local hit of `hitBlocks`, 0 = none; pending = ask again at the next schedule. */
  findBelow(request: SchedulerRequest, hitBlocks: number): number | 'pending';
  /** Starts the load of blocks [from, from + count) of the request, whose destinations are in its table. */
  load(request: SchedulerRequest, from: number, count: number): void;
  admitted(admission: Admission): void;
  /** The request found this much in HBM and below, and takes blocks now. */
  matched(request: SchedulerRequest, hitBlocks: number, hostBlocks: number): void;
  preempted(request: SchedulerRequest): void;
  failed(request: SchedulerRequest): void;
  /** An allocation failed: gives up blocks held by prefetches; true if any. */
  reclaim(): boolean;
}

/** HBM only, nobody listens. */
export const NOTHING_OUTSIDE: SchedulerOutside = {
  findBelow: () => 0,
  load: () => {
    throw new Error('scheduler: no tier below HBM');
  },
  admitted: () => {},
  matched: () => {},
  preempted: () => {},
  failed: () => {},
  reclaim: () => false,
};

/** What a scheduler is built from. */
export interface SchedulerSettings {
  readonly config: EngineConfig;
  readonly outside: SchedulerOutside;
  readonly events: Pick<BlockPoolOptions, 'stored' | 'removed' | 'claimsBroken' | 'totals' | 'isBelow'>;
  /** End a preempted request that can never fit; the real scheduler would hang. */
  readonly failHopeless: boolean;
  /** max_num_active_seqs; default maxSeqs. */
  readonly maxActiveSeqs?: number;
}

/** Queues and pool of one engine; decides what the next step computes. */
export class Scheduler {
  readonly config: EngineConfig;
  readonly pool: BlockPool;
  readonly running: SchedulerRequest[] = [];
  readonly waiting: SchedulerRequest[] = [];
  /** Requests that wait and hold KV: restoring, or restored and not admitted yet. Drained before `waiting`. */
  readonly holding: SchedulerRequest[] = [];
  /** Calls that entered at least one block in the cache = stored events of the real scheduler. */
  storedCalls = 0;
  readonly #outside: SchedulerOutside;
  readonly #failHopeless: boolean;
  readonly #maxActiveSeqs: number;
  /** Requests of the running schedule() that return to `holding`. */
  #aside: SchedulerRequest[] = [];
  #nowMs = 0;

  constructor(settings: SchedulerSettings) {
    const { config } = settings;
    this.config = config;
    this.#outside = settings.outside;
    this.#failHopeless = settings.failHopeless;
    this.#maxActiveSeqs = settings.maxActiveSeqs ?? config.maxSeqs;
    this.pool = new BlockPool({
      blocks: config.blocks,
      defaultPriority: config.defaultPriority ?? 0,
      ranking: config,
      notesVictims: writesBack(config),
      keepFromPriority: config.offloadMinPriority ?? 0,
      appendHashless: config.rules === '0.27' && !config.prefixCaching,
      ...settings.events,
    });
  }

  get hasRequests(): boolean {
    return this.running.length + this.waiting.length + this.holding.length > 0;
  }

  submit(request: SchedulerRequest): void {
    if (this.config.policy === 'priority') insertByKey(this.waiting, request);
    else this.waiting.push(request);
  }

  schedule(nowMs: number): StepPlan {
    this.#nowMs = nowMs;
    const plan: StepPlan = { items: [], admitted: [], preempted: [], failed: [], blocked: null };
    const threshold = this.#stepThreshold();
    const budget = this.#scheduleRunning(plan, threshold);
    if (plan.preempted.length === 0) this.#scheduleWaiting(plan, threshold, budget);
    for (const item of plan.items) {
      const request = item.request;
      request.computed += item.n;
      item.samples = request.computed === request.len + request.placeholders;
      if (item.samples && this.config.asyncDepth === 2) request.placeholders++;
    }
    return plan;
  }

  /** Processes the output of one item. Does not free the blocks of a request that ends: see {@link finish}. */
  apply(item: ScheduledItem): Applied {
    const request = item.request;
    if (request.state === 'ended') return { waste: true, token: false, stale: false, finish: null };
    const stale = request.preemptions !== item.generation;
    if (!item.samples) return { waste: false, token: false, stale, finish: null };
    request.out++;
    if (this.config.asyncDepth === 2 && !stale) {
      request.placeholders--;
      this.#enterFull(request, request.computed - request.placeholders);
    }
    return { waste: false, token: true, stale, finish: this.#stopTest(request) };
  }

  /** Takes a request out of every queue, `ended`; frees its blocks unless `keepBlocks`. */
  finish(request: SchedulerRequest, keepBlocks = false): void {
    for (const queue of [this.running, this.waiting, this.holding]) {
      const at = queue.indexOf(request);
      if (at >= 0) queue.splice(at, 1);
    }
    request.state = 'ended';
    if (!keepBlocks) this.freeBlocks(request);
  }

  /** Tail first, so that within one request the tail is evicted before the head. */
  freeBlocks(request: SchedulerRequest): void {
    this.pool.releaseOf(request.session, request.blocks);
    request.blocks = [];
    request.entered = 0;
  }

  /** Whether the known tokens can never fit. */
  isHopeless(request: SchedulerRequest): boolean {
    return this.#blocksFor(request.len) > this.pool.usable;
  }

  /** A request alone, since 0.32, or adaptive: engine specification 2.11. */
  #stepThreshold(): number {
    const { longPrefillThreshold, longPrefillAdaptive, maxBatchedTokens, rules } = this.config;
    const requests = this.running.length + this.waiting.length + this.holding.length;
    if (rules !== '0.27' && requests <= 1) return 0;
    if (longPrefillThreshold <= 0 || !longPrefillAdaptive) return longPrefillThreshold;
    return Math.max(longPrefillThreshold, Math.floor(maxBatchedTokens / Math.max(requests, 1)));
  }

  /** Step 2 of engine specification 2.1. Returns the budget left. */
  #scheduleRunning(plan: StepPlan, threshold: number): number {
    const { maxBatchedTokens, maxModelLen } = this.config;
    let budget = maxBatchedTokens;
    let index = 0;
    while (index < this.running.length && budget > 0) {
      const request = this.running[index]!;
      if (this.#endsInFlight(request)) {
        index++;
        continue;
      }
      const wanted = request.len + request.placeholders - request.computed;
      const n = Math.min(cap(wanted, threshold), budget, maxModelLen - 1 - request.computed);
      if (n <= 0) {
        index++;
        continue;
      }
      let blocks = this.#allocateRunning(request, n);
      let selfPreempted = false;
      while (blocks === null && !selfPreempted) {
        const victim = this.#chooseVictim();
        const at = plan.items.findIndex((item) => item.request === victim);
        if (at >= 0) {
          budget += plan.items[at]!.n;
          plan.items.splice(at, 1);
          index--;
        }
        this.#preempt(victim, plan);
        selfPreempted = victim === request;
        if (!selfPreempted) blocks = this.#allocateRunning(request, n);
      }
      if (blocks === null) break;
      plan.items.push(newItem(request, n, blocks));
      budget -= n;
      index++;
    }
    return budget;
  }

  /** Asynchronous scheduling: the step in flight produces the last token by length. */
  #endsInFlight(request: SchedulerRequest): boolean {
    return request.placeholders > 0 && request.computed + 2 - request.placeholders >= request.promptTokens + request.maxTokens;
  }

  /** Blocks newly taken for n more tokens, or null if they do not fit. */
  #allocateRunning(request: SchedulerRequest, n: number): number[] | null {
    const need = Math.max(this.#blocksFor(request.computed + n) - request.blocks.length, 0);
    if (need > this.pool.free) {
      if (!this.#outside.reclaim() || need > this.pool.free) return null;
    }
    const blocks = this.pool.take(need);
    request.blocks.push(...blocks);
    this.#enterFull(request, Math.min(request.computed + n, request.len));
    return blocks;
  }

  #chooseVictim(): SchedulerRequest {
    if (this.config.policy === 'fcfs') return this.running.at(-1)!;
    let victim = this.running[0]!;
    for (const request of this.running) {
      const worse = request.priority > victim.priority || (request.priority === victim.priority && request.arrival > victim.arrival);
      if (worse) victim = request;
    }
    return victim;
  }

  #preempt(request: SchedulerRequest, plan: StepPlan): void {
    this.running.splice(this.running.indexOf(request), 1);
    this.freeBlocks(request);
    request.computed = 0;
    request.placeholders = 0;
    request.restore = null;
    request.preemptions++;
    request.state = 'preempted';
    plan.preempted.push(request);
    this.#outside.preempted(request);
    if (this.#failHopeless && this.isHopeless(request)) {
      request.state = 'ended';
      plan.failed.push(request);
      this.#outside.failed(request);
    } else if (this.config.policy === 'priority') insertByKey(this.waiting, request);
    else this.waiting.unshift(request);
  }

  /** Step 3 of engine specification 2.1 with the two queues of 2.11. */
  #scheduleWaiting(plan: StepPlan, threshold: number, budget: number): void {
    this.#aside = [];
    const asideWaiting: SchedulerRequest[] = [];
    while (budget > 0 && this.holding.length + this.waiting.length > 0) {
      if (this.running.length >= this.#maxActiveSeqs) {
        plan.blocked = 'seqs';
        break;
      }
      const queue = this.holding.length > 0 ? this.holding : this.waiting;
      const request = queue[0]!;
      if (request.restore !== null && !request.restore.done) {
        queue.shift();
        this.#aside.push(request);
        continue;
      }
      if (request.restore !== null) this.#promote(request);
      const isFresh = request.restore === null;
      const hits = isFresh ? this.#localHits(request) : [];
      const below = isFresh && this.config.prefixCaching ? this.#outside.findBelow(request, hits.length) : 0;
      if (below === 'pending') {
        queue.shift();
        asideWaiting.push(request);
        continue;
      }
      const bs = this.config.blockTokens;
      const start = request.computed + (hits.length + below) * bs;
      const whole = cap(request.len - start, threshold);
      if (below === 0 && !this.config.chunkedPrefill && whole > budget) break;
      const n = below > 0 ? 0 : Math.min(whole, budget);
      const lastBlockCached = below === 0 && this.#lastBlockCached(request, hits.length);
      const blocked = this.#allocateWaiting(request, hits, start + n, below);
      if (blocked !== null) {
        plan.blocked = blocked;
        break;
      }
      queue.shift();
      if (below > 0) {
        request.state = 'restoring';
        request.entered = hits.length;
        request.restore = { hitTokens: hits.length * bs, hostTokens: below * bs, done: false, promoted: false };
        this.#aside.push(request);
        this.#outside.load(request, hits.length, below);
        continue;
      }
      this.#admit(plan, request, hits.length, start, n, lastBlockCached);
      budget -= n;
    }
    this.#putBack(asideWaiting);
  }

  #admit(plan: StepPlan, request: SchedulerRequest, hitBlocks: number, start: number, n: number, lastBlockCached: boolean): void {
    if (hitBlocks > 0) request.entered = hitBlocks;
    this.#enterFull(request, Math.min(start + n, request.len));
    const hitTokens = request.restore?.hitTokens ?? hitBlocks * this.config.blockTokens;
    const admission: Admission = {
      request,
      queryTokens: request.len,
      hitTokens,
      hostTokens: request.restore?.hostTokens ?? 0,
      resumed: request.preemptions > 0,
      lastBlockRecomputed: lastBlockCached,
    };
    if (request.firstHitTokens < 0) request.firstHitTokens = hitTokens;
    request.restore = null;
    request.computed = start;
    request.state = 'running';
    this.running.push(request);
    plan.items.push(newItem(request, n, request.blocks.slice()));
    plan.admitted.push(admission);
    this.#outside.admitted(admission);
  }

  /** Requests put aside return to the front of their own queue in their original order. */
  #putBack(asideWaiting: readonly SchedulerRequest[]): void {
    if (this.config.policy === 'priority') {
      for (const request of this.#aside) insertByKey(this.holding, request);
      for (const request of asideWaiting) insertByKey(this.waiting, request);
    } else {
      this.holding.unshift(...this.#aside);
      this.waiting.unshift(...asideWaiting);
    }
    this.#aside = [];
  }

  /** A finished load becomes visible: its blocks enter the cache; at least one token is left to compute. */
  #promote(request: SchedulerRequest): void {
    const restore = request.restore!;
    if (restore.promoted) return;
    restore.promoted = true;
    const loaded = restore.hitTokens + restore.hostTokens;
    this.#enterFull(request, loaded);
    request.computed = loaded === request.len ? loaded - 1 : loaded;
  }

  /** Longest cached prefix, at most len - 1 tokens. */
  #localHits(request: SchedulerRequest): number[] {
    const hits: number[] = [];
    if (!this.config.prefixCaching) return hits;
    const limit = Math.floor((request.len - 1) / this.config.blockTokens);
    for (let i = 0; i < limit; i++) {
      const block = this.pool.lookup(request.keyOf(i));
      if (block < 0) break;
      hits.push(block);
    }
    return hits;
  }

  #lastBlockCached(request: SchedulerRequest, hitBlocks: number): boolean {
    const aligned = (hitBlocks + 1) * this.config.blockTokens === request.len;
    return aligned && this.pool.lookup(request.keyOf(hitBlocks)) >= 0;
  }

  /** Gates of engine specification 2.4, then the allocation of a table that covers `target` tokens. Null = done. */
  #allocateWaiting(request: SchedulerRequest, hits: readonly number[], target: number, below: number): Blocked | null {
    let blocked = this.#testGates(request, hits, target, below > 0);
    if (blocked !== null && this.#outside.reclaim()) blocked = this.#testGates(request, hits, target, below > 0);
    if (blocked !== null) return blocked;
    if (request.restore === null) this.#outside.matched(request, hits.length, below);
    this.pool.touch(hits, this.#nowMs);
    request.blocks.push(...hits);
    const need = Math.max(this.#blocksFor(target) - request.blocks.length, 0);
    request.blocks.push(...this.pool.take(need));
    return null;
  }

  #testGates(request: SchedulerRequest, hits: readonly number[], target: number, isLoad: boolean): Blocked | null {
    const { watermark, blocks, reserveFullIsl, maxModelLen } = this.config;
    const free = this.pool.free;
    const fromQueue = this.pool.unreferenced(hits);
    const need = (tokens: number) => Math.max(this.#blocksFor(tokens) - hits.length - request.blocks.length, 0) + fromQueue;
    const reserve = this.running.length > 0 ? Math.floor(watermark * blocks) : 0;
    const whole = need(Math.min(request.len, maxModelLen));
    if (reserveFullIsl && whole + reserve > free) return whole <= free ? 'watermark' : 'islGate';
    const reserved = isLoad ? this.#reservedBlocks() : 0;
    const now = need(target);
    if (now + reserve <= free - reserved) return null;
    if (now <= free - reserved) return 'watermark';
    return now + reserve <= free ? 'reserved' : 'gate';
  }

  /** Blocks that prefills in flight still need for their known tokens. */
  #reservedBlocks(): number {
    let reserved = 0;
    for (const request of this.running) reserved += this.#lacking(request);
    for (const request of [...this.holding, ...this.#aside]) reserved += this.#lacking(request);
    return reserved;
  }

  #lacking(request: SchedulerRequest): number {
    return Math.max(this.#blocksFor(request.len) - request.blocks.length, 0);
  }

  /** Enters the full blocks below `tokens` in the cache. */
  #enterFull(request: SchedulerRequest, tokens: number): void {
    if (!this.config.prefixCaching) return;
    const full = Math.floor(tokens / this.config.blockTokens);
    if (full > request.entered) this.storedCalls++;
    for (let i = request.entered; i < full; i++) {
      this.pool.enter(request.blocks[i]!, request.keyOf(i), i > 0 ? request.keyOf(i - 1) : -1);
    }
    request.entered = Math.max(request.entered, full);
  }

  #stopTest(request: SchedulerRequest): FinishReason | null {
    if (request.out >= request.stopAt) return 'stop';
    if (request.out >= request.maxTokens) return 'length';
    return request.len >= this.config.maxModelLen ? 'length_capped' : null;
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.config.blockTokens);
  }
}

function newItem(request: SchedulerRequest, n: number, blocks: readonly number[]): ScheduledItem {
  return { request, n, computed: request.computed, blocks, samples: false, generation: request.preemptions };
}

function cap(tokens: number, threshold: number): number {
  return threshold > 0 && threshold < tokens ? threshold : tokens;
}

function insertByKey(queue: SchedulerRequest[], request: SchedulerRequest): void {
  const at = queue.findIndex((other) => comesBefore(request, other));
  queue.splice(at < 0 ? queue.length : at, 0, request);
}
