/**
 * What moves between HBM and the host tier of one worker: loads that requests wait for, write-through stores, prefetches. A transfer
 * is a job, a row of columns; ranges are blocks [first, first + blocks) of the chain of a leaf.
 *
 *     transfer id --map--> job    kind | slot | leaf | first | blocks          (action and outcome for prefetches)
 *
 * Source: engine specification 4.3 to 4.5 and 4.7; worker port.
 */
import type { BranchTable } from '../../../control/blocks.ts';
import type { ActionOutcome, KvAction } from '../../../control/ports.ts';
import { outcomeOf, prefetchOutcome } from '../action-outcome.ts';
import { horizonBlocks, lowWaterBlocks, writesLazily } from '../lazy-write.ts';
import { D2H, H2D, type LinkPool } from '../links.ts';
import { releaseReason } from '../removal.ts';
import type { EngineConfig, WorkerCounters, WorkerSink } from '../worker.ts';
import { createWriteFilter } from '../write-filter.ts';
import type { HbmPool } from './hbm-pool.ts';
import { HostPool } from './host-pool.ts';
import { IntMap } from './int-map.ts';
import type { KvOutbox } from './kv-outbox.ts';
import { nextVictims } from './next-victims.ts';
import type { RequestSlots } from './request-slots.ts';
import { NONE } from './segment-columns.ts';
import type { SegmentStore } from './segment-store.ts';

const FREE = 0;
export const LOAD = 1;
export const STORE = 2;
export const PREFETCH = 3;
export const DEMOTE = 4;
export const VICTIMS = 5;

/** `find` says: ask again at the next schedule. */
export const PENDING_BELOW = -1;

/** States of a load in `slots.loaded`: under way, done, done and entered in the cache. */
export const LOADING = 1;
export const LOADED = 2;
export const PROMOTED = 3;

/** Share of the usable blocks that a prefetch leaves free and unclaimed. */
const PREFETCH_FLOOR = 0.1;

export interface HostTrafficParts {
  readonly index: number;
  readonly config: EngineConfig;
  readonly branches: BranchTable;
  readonly links: LinkPool;
  readonly sink: WorkerSink;
  readonly counters: WorkerCounters;
  readonly outbox: KvOutbox;
  readonly pool: HbmPool;
  readonly slots: RequestSlots;
  readonly store: SegmentStore;
}

export class HostTraffic {
  readonly tier: HostPool;
  /** Transfers under way. */
  inFlight = 0;
  /** The last schedule() copied victims, evicted or to come. */
  hasStoredVictims = false;
  /** Victims are copied ahead of their eviction. */
  readonly isLazy: boolean;
  private loads = 0;
  private readonly parts: HostTrafficParts;
  private readonly jobs = new IntMap(5);
  private kind = new Uint8Array(16);
  private slot = new Int32Array(16);
  private leaf = new Int32Array(16);
  private first = new Int32Array(16);
  private blocks = new Int32Array(16);
  private transfer = new Int32Array(16);
  /** Blocks of the resident prefix that a prefetch holds: without it the loaded ones would be of no use. */
  private prefix = new Int32Array(16);
  /** First segment of the host tier that a store writes. */
  private written = new Int32Array(16);
  /** Ranges (branch, from, to) of a copy of victims. */
  private readonly ranges: (readonly number[] | null)[] = [];
  private readonly actions: (KvAction | null)[] = [];
  private readonly outcomes: (ActionOutcome | null)[] = [];
  private readonly spare: number[] = [];
  private jobCount = 0;
  private readonly prefetches: number[] = [];
  private readonly demotions: number[] = [];

  constructor(parts: HostTrafficParts) {
    this.parts = parts;
    const { config } = parts;
    this.isLazy = writesLazily(config);
    const filter = createWriteFilter(config);
    this.tier = new HostPool(parts.branches, config.hostBlocks, config.storeThreshold, parts.outbox, parts.counters, parts.store, filter);
    parts.pool.below = this.tier;
    parts.pool.tellsBelow = filter !== null;
  }

  /** Blocks of the host tier worth loading behind a hit of `hit` blocks, or PENDING_BELOW. Touches the chain of known tokens. */
  find(s: number, length: number, hit: number, tMs: number): number {
    const { config, slots } = this.parts;
    if (config.onboard === 'never') return 0;
    const count = this.tier.find(slots.leaf[s]!, Math.floor(length / config.blockTokens), hit);
    if (count === 0 || !this.isWorthLoading(hit, count, tMs)) return 0;
    return this.tier.unread < count || this.loads >= config.maxSeqs ? PENDING_BELOW : count;
  }

  /** Starts the load of blocks [from, from + count), whose destinations the request holds. */
  load(s: number, from: number, count: number, tMs: number): void {
    const { sink, slots, config } = this.parts;
    this.startLoad(LOAD, s, slots.leaf[s]!, from, count, tMs);
    this.loads++;
    slots.loaded[s] = LOADING;
    sink.restoring(slots.id[s]!, tMs, count * config.blockTokens);
  }

  /** Offers the full computed blocks of a request that were not offered yet. Returns false if there was no room. */
  offer(s: number, computed: number, tMs: number): boolean {
    const { config, slots } = this.parts;
    const limit = config.storePromptOnly && slots.prompt[s]! < computed ? slots.prompt[s]! : computed;
    const full = Math.floor(limit / config.blockTokens);
    const offered = slots.offered[s]!;
    if (full <= offered) return true;
    if (this.isLazy || this.parts.pool.victims !== null) {
      this.tier.pass(slots.leaf[s]!, offered, full, tMs);
      slots.offered[s] = full;
      return true;
    }
    const job = this.newJob();
    const taken = this.tier.offer(slots.leaf[s]!, offered, full, job, tMs, slots.hostHint[s]!);
    slots.hostHint[s] = this.tier.hint;
    if (taken > 0) {
      this.startJob(job, STORE, s, slots.leaf[s]!, offered, full - offered, D2H, taken, tMs);
      this.written[job] = this.tier.written;
      slots.stores[s]!++;
    } else this.spare.push(job);
    if (taken < 0) return false;
    slots.offered[s] = full;
    return true;
  }

  /** After a schedule(): copies what it evicted, or what will be evicted next, as the mode has it. */
  storeAfterSchedule(tMs: number): void {
    this.hasStoredVictims = false;
    this.storeVictims(tMs);
    this.storeAhead(tMs);
  }

  /** Starts the copy of what was evicted since the last call and should be kept; what finds no slot is dropped. */
  storeVictims(tMs: number): void {
    const { victims } = this.parts.pool;
    if (victims === null || victims.length === 0) return;
    const job = this.newJob();
    let taken = 0;
    for (let i = 0; i < victims.length; i += 3) {
      for (let x = victims[i + 2]! - 1; x >= victims[i + 1]!; x--) if (this.tier.offerVictim(victims[i]!, x, job, tMs)) taken++;
    }
    this.storeUnheld(job, taken, victims, tMs);
    victims.length = 0;
  }

  /** Starts the copy of what will be evicted next, if blocks without content run low. */
  private storeAhead(tMs: number): void {
    const { pool, config } = this.parts;
    if (!this.isLazy || pool.hashless >= lowWaterBlocks(config)) return;
    const next = nextVictims(pool, horizonBlocks(config));
    if (next.length === 0) return;
    const job = this.newJob();
    this.storeUnheld(job, this.tier.offerAhead(next, job, tMs), next, tMs);
  }

  /** Starts the transfer of `taken` blocks, those of `ranges` that got a slot, which nobody holds for it. */
  private storeUnheld(job: number, taken: number, ranges: readonly number[], tMs: number): void {
    if (taken === 0) {
      this.spare.push(job);
      return;
    }
    this.startJob(job, VICTIMS, NONE, 0, 0, 0, D2H, taken, tMs);
    this.ranges[job] = ranges.slice();
    this.hasStoredVictims = true;
  }

  private victimsReady(job: number): number {
    const ranges = this.ranges[job]!;
    let blocks = 0;
    for (let i = 0; i < ranges.length; i += 3) blocks += this.tier.victimsReady(ranges[i]!, ranges[i + 1]!, ranges[i + 2]!, job);
    return blocks;
  }

  /** Treats the stores of a preempted request as done. Returns the time this takes, ms: it delays the next step. */
  flush(s: number, tMs: number): number {
    const { slots, links } = this.parts;
    if (slots.stores[s] === 0) return 0;
    const mine: number[] = [];
    for (let job = 0; job < this.jobCount; job++) if (this.kind[job] === STORE && this.slot[job] === s) mine.push(this.transfer[job]!);
    mine.sort((a, b) => a - b);
    let flushMs = 0;
    for (const transfer of mine) {
      const leftMs = links.remainingMs(transfer, tMs);
      if (leftMs > flushMs) flushMs = leftMs;
      links.cancel(transfer, tMs);
      this.done(transfer, tMs);
    }
    return flushMs;
  }

  /** Completion of a transfer. Returns its kind; the request concerned is in `doneSlot`. Unknown (cancelled) ones do nothing. */
  done(transfer: number, tMs: number): number {
    const job = this.jobs.get(transfer);
    this.doneSlot = NONE;
    if (job === NONE) return FREE;
    const { config, counters, slots } = this.parts;
    const kind = this.kind[job]!;
    const leaf = this.leaf[job]!;
    const first = this.first[job]!;
    const last = first + this.blocks[job]!;
    const s = this.slot[job]!;
    const blockBytes = config.blockBytesPerGpu * config.gpus;
    this.doneSlot = s;
    if (kind === STORE || kind === DEMOTE || kind === VICTIMS) {
      const written = kind === VICTIMS ? this.victimsReady(job) : this.tier.ready(leaf, first, last, job, this.written[job]);
      counters.hostWriteBytes += written * blockBytes;
      counters.hostStoredBlocks += written;
      if (kind === STORE) slots.stores[s]!--;
      else if (kind === DEMOTE) this.finishDemotion(job, tMs);
    } else {
      this.tier.pin(leaf, first, last, -1);
      counters.hostReadBytes += (last - first) * blockBytes;
      if (kind === LOAD) {
        this.loads--;
        slots.loaded[s] = LOADED;
      } else this.finishPrefetch(job, tMs);
    }
    this.endJob(job);
    return kind;
  }

  /** Request of the last completion, or NONE. */
  doneSlot = NONE;

  /** Brings the host continuation of a chain into HBM. Returns the outcome, or null if it settles when the transfer ends. */
  prefetch(action: KvAction, tMs: number): ActionOutcome | null {
    const { pool } = this.parts;
    const { branch, fromBlocks, toBlocks } = action;
    const requestedBlocks = toBlocks - fromBlocks;
    const resident = pool.match(branch, toBlocks, toBlocks);
    const idlePrefix = pool.matchIdle;
    if (resident >= toBlocks) return { result: 'accepted', appliedBlocks: requestedBlocks, requestedBlocks };
    const from = Math.max(resident, fromBlocks);
    this.tier.find(branch, toBlocks, from);
    const count = this.tier.unread;
    if (count === 0) return { result: 'missing', appliedBlocks: 0, requestedBlocks };
    if (pool.free - idlePrefix - pool.dear - count < PREFETCH_FLOOR * pool.usable) {
      return { result: 'rejected', reason: 'progress', appliedBlocks: 0, requestedBlocks };
    }
    if (resident > 0) pool.hold(branch, 0, resident);
    pool.take(count);
    const job = this.startLoad(PREFETCH, NONE, branch, from, count, tMs);
    this.actions[job] = action;
    this.outcomes[job] = prefetchOutcome(count + from - fromBlocks, requestedBlocks, count);
    this.prefix[job] = resident;
    this.prefetches.push(job);
    return null;
  }

  /**
   * Copies the resident blocks in a row at the begin of a range to the host tier; they are held until the copy is readable, and garbage
   * from now on unless somebody hits them. Returns the outcome, or null if it settles when the transfer ends.
   */
  demote(action: KvAction, tMs: number): ActionOutcome | null {
    const { pool } = this.parts;
    const { branch, fromBlocks, toBlocks } = action;
    const row = pool.rowFrom(branch, fromBlocks, toBlocks);
    const outcome = outcomeOf(row, toBlocks - fromBlocks);
    if (row === 0) return outcome;
    const job = this.newJob();
    const taken = this.tier.offer(branch, fromBlocks, fromBlocks + row, job, tMs, NONE, true);
    if (taken <= 0) this.spare.push(job);
    if (taken < 0) return { ...outcome, result: 'rejected', reason: 'budget', appliedBlocks: 0 };
    pool.demote(branch, fromBlocks, fromBlocks + row, releaseReason(action.why));
    if (taken === 0) return outcome;
    pool.hold(branch, fromBlocks, fromBlocks + row);
    this.startJob(job, DEMOTE, NONE, branch, fromBlocks, row, D2H, taken, tMs);
    this.written[job] = this.tier.written;
    this.actions[job] = action;
    this.outcomes[job] = outcome;
    this.demotions.push(job);
    return null;
  }

  private finishDemotion(job: number, tMs: number): void {
    const first = this.first[job]!;
    this.demotions.splice(this.demotions.indexOf(job), 1);
    this.parts.pool.release(this.leaf[job]!, first + this.blocks[job]!, 0, 0, first);
    this.parts.sink.settled(this.actions[job]!, this.outcomes[job]!, tMs);
  }

  /** A request needs the blocks: gives up every prefetch. True if there was one. */
  cancelPrefetches(tMs: number): boolean {
    if (this.prefetches.length === 0) return false;
    for (const job of this.prefetches) {
      this.parts.links.cancel(this.transfer[job]!, tMs);
      this.tier.pin(this.leaf[job]!, this.first[job]!, this.first[job]! + this.blocks[job]!, -1);
      this.parts.pool.release(this.leaf[job]!, 0, this.blocks[job]!, 0);
      this.releasePrefix(job);
      this.settleRejected(job, 'progress', tMs);
      this.endJob(job);
    }
    this.prefetches.length = 0;
    return true;
  }

  /** Crash: nothing arrives any more. Prefetches and demotions settle as rejected. */
  cancelAll(tMs: number): void {
    for (let job = 0; job < this.jobCount; job++) {
      if (this.kind[job] !== FREE) this.parts.links.cancel(this.transfer[job]!, tMs);
    }
    const open = [...this.prefetches, ...this.demotions].sort((a, b) => this.transfer[a]! - this.transfer[b]!);
    for (const job of open) this.settleRejected(job, 'down', tMs);
  }

  private settleRejected(job: number, reason: string, tMs: number): void {
    const { requestedBlocks } = this.outcomes[job]!;
    this.parts.sink.settled(this.actions[job]!, { result: 'rejected', reason, appliedBlocks: 0, requestedBlocks }, tMs);
  }

  private finishPrefetch(job: number, tMs: number): void {
    const { pool, sink } = this.parts;
    const leaf = this.leaf[job]!;
    const first = this.first[job]!;
    const last = first + this.blocks[job]!;
    this.prefetches.splice(this.prefetches.indexOf(job), 1);
    // Content that came to HBM meanwhile makes these later copies; negative tags belong to prefetches.
    const copies = pool.enter(leaf, first, last, PREFETCH_TAG);
    pool.release(leaf, last, 0, copies > 0 ? PREFETCH_TAG : 0, first);
    this.releasePrefix(job);
    sink.settled(this.actions[job]!, this.outcomes[job]!, tMs);
  }

  private releasePrefix(job: number): void {
    if (this.prefix[job]! > 0) this.parts.pool.release(this.leaf[job]!, this.prefix[job]!, 0, 0);
  }

  /** onboard policy; retention specification 9.3. */
  private isWorthLoading(hit: number, count: number, tMs: number): boolean {
    const { config, links, index } = this.parts;
    const { onboard, blockTokens } = config;
    if (onboard === 'always') return true;
    const tokens = count * blockTokens;
    if (typeof onboard === 'object') return tokens >= onboard.thresholdTokens;
    const prefix = hit * blockTokens;
    const recomputeMs = config.prefillMsPerToken * tokens + config.prefillMsPerPair * tokens * (prefix + tokens / 2);
    const bytes = count * config.blockBytesPerGpu;
    return links.estimateMs(index, H2D, bytes, count * config.fragmentsPerBlock, config.fragmentSubmitMs, tMs) < recomputeMs;
  }

  private startLoad(kind: number, s: number, leaf: number, first: number, count: number, tMs: number): number {
    this.tier.pin(leaf, first, first + count, 1);
    const job = this.newJob();
    this.startJob(job, kind, s, leaf, first, count, H2D, count, tMs);
    return job;
  }

  private startJob(
    job: number,
    kind: number,
    s: number,
    leaf: number,
    first: number,
    blocks: number,
    direction: 0 | 1,
    moved: number,
    tMs: number,
  ): void {
    const { config, links, index } = this.parts;
    this.kind[job] = kind;
    this.slot[job] = s;
    this.leaf[job] = leaf;
    this.first[job] = first;
    this.blocks[job] = blocks;
    const bytes = moved * config.blockBytesPerGpu;
    const transfer = links.start(index, direction, bytes, moved * config.fragmentsPerBlock, config.fragmentSubmitMs, config.gpus, tMs);
    this.transfer[job] = transfer;
    this.jobs.set(transfer, job);
    this.inFlight++;
  }

  private newJob(): number {
    const job = this.spare.length > 0 ? this.spare.pop()! : this.jobCount++;
    if (job === this.kind.length) this.widen();
    return job;
  }

  private endJob(job: number): void {
    this.jobs.delete(this.transfer[job]!);
    this.kind[job] = FREE;
    this.ranges[job] = null;
    this.actions[job] = null;
    this.outcomes[job] = null;
    this.spare.push(job);
    this.inFlight--;
  }

  private widen(): void {
    const size = this.kind.length * 2;
    const kind = new Uint8Array(size);
    kind.set(this.kind);
    this.kind = kind;
    for (const name of ['slot', 'leaf', 'first', 'blocks', 'transfer', 'prefix', 'written'] as const) {
      const wide = new Int32Array(size);
      wide.set(this[name]);
      this[name] = wide;
    }
  }
}

/** Owner of copies entered by a prefetch; they are released in the same breath. */
const PREFETCH_TAG = 2 ** 31 - 1;
