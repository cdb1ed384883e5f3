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
import { chainKeys } from '../chain-keys.ts';
import { horizonBlocks, lowWaterBlocks, writesLazily } from '../lazy-write.ts';
import { D2H, H2D, type LinkPool } from '../links.ts';
import { blocksOf, type LowerTiers, type Stretch } from '../lower-tiers.ts';
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

/** Parts of a load and the transfers that bring them up. */
interface Legs {
  readonly row: readonly Stretch[];
  readonly keys: readonly number[];
  readonly transfers: Set<number>;
}

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
  readonly lower: LowerTiers | null;
}

export class HostTraffic {
  readonly tier: HostPool;
  /** What lies below the host tier; null = nothing, and a load is one range of it. */
  readonly lower: LowerTiers | null;
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
  /** Of loads with parts below: their parts, and the transfers of them that are under way. */
  private readonly legs = new Map<number, Legs>();
  /** Load by transfer below the host tier. */
  private readonly lowerJobs = new Map<number, number>();
  private knownLeaf = NONE;
  private knownKeys: readonly number[] = [];
  private readonly prefetches: number[] = [];
  private readonly demotions: number[] = [];

  constructor(parts: HostTrafficParts) {
    this.parts = parts;
    const { config } = parts;
    this.isLazy = writesLazily(config);
    const filter = createWriteFilter(config);
    this.tier = new HostPool(parts.branches, config.hostBlocks, config.storeThreshold, parts.outbox, parts.counters, parts.store, filter);
    this.lower = parts.lower;
    if (this.lower !== null) this.tier.lower = this.lower;
    parts.pool.below = this.tier;
    parts.pool.tellsBelow = filter !== null;
  }

  /** Blocks of the host tier worth loading behind a hit of `hit` blocks, or PENDING_BELOW. Touches the chain of known tokens. */
  find(s: number, length: number, hit: number, tMs: number): number {
    const { config, slots } = this.parts;
    if (config.onboard === 'never') return 0;
    const depth = Math.floor(length / config.blockTokens);
    const count = this.tier.find(slots.leaf[s]!, depth, hit);
    if (this.lower !== null) return this.findBelow(this.lower, slots.leaf[s]!, depth, hit, tMs);
    if (count === 0 || !this.isWorthLoading(hit, count, tMs)) return 0;
    return this.tier.unread < count || this.loads >= config.maxSeqs ? PENDING_BELOW : count;
  }

  /** The same where more tiers lie below. */
  private findBelow(lower: LowerTiers, leaf: number, depth: number, hit: number, tMs: number): number {
    const keys = this.keysOf(leaf, depth);
    const row = lower.worthLoading(this.rowOf(lower, leaf, keys, hit), (blocks) => this.hostMs(blocks, tMs), tMs);
    const count = blocksOf(row);
    if (count === 0) return 0;
    const isBusy = this.unreadOf(lower, row, keys, leaf, hit) < count;
    return isBusy || this.loads >= this.parts.config.maxSeqs ? PENDING_BELOW : count;
  }

  /** Keys of a chain; a request that waits asks for the same ones at each step. */
  private keysOf(leaf: number, depth: number): readonly number[] {
    if (this.knownLeaf !== leaf || this.knownKeys.length !== depth) {
      this.knownKeys = chainKeys(this.parts.branches, leaf, depth);
      this.knownLeaf = leaf;
    }
    return this.knownKeys;
  }

  private rowOf(lower: LowerTiers, leaf: number, keys: readonly number[], from: number): Stretch[] {
    const inHost = this.tier.readyColumn(leaf, keys.length);
    return lower.row(keys, from, (at) => inHost[at] === 1);
  }

  /** Blocks of a row in front of the first that a load is bringing up already. */
  private unreadOf(lower: LowerTiers, row: readonly Stretch[], keys: readonly number[], leaf: number, from: number): number {
    for (const { tier, from: first, blocks } of row) {
      const end = first + blocks;
      let unread = first;
      while (unread < end && !lower.loading.has(keys[unread]!)) unread++;
      if (tier === 1) {
        this.tier.continuation(leaf, end, first);
        unread = Math.min(unread, first + this.tier.unread);
      }
      if (unread < end) return unread - from;
    }
    return blocksOf(row);
  }

  /** Starts the load of blocks [from, from + count), whose destinations the request holds. */
  load(s: number, from: number, count: number, tMs: number): void {
    const { sink, slots, config } = this.parts;
    const job = this.startLoad(LOAD, s, slots.leaf[s]!, from, count, tMs);
    this.loads++;
    slots.loaded[s] = LOADING;
    const row = this.legs.get(job)?.row ?? [];
    const { blockTokens } = config;
    sink.restoring(slots.id[s]!, tMs, count * blockTokens, blocksOf(row, 2) * blockTokens, blocksOf(row, 3) * blockTokens);
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
    this.lower?.flush(tMs);
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
    this.lower?.flush(tMs);
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
    this.doneSlot = NONE;
    if (transfer < 0 && !this.lower!.done(transfer, tMs)) return STORE;
    const job = transfer < 0 ? (this.lowerJobs.get(transfer) ?? NONE) : this.jobs.get(transfer);
    if (job === NONE) return FREE;
    if (!this.isComplete(job, transfer)) return FREE;
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
      this.lower?.flush(tMs);
      if (kind === STORE) slots.stores[s]!--;
      else if (kind === DEMOTE) this.finishDemotion(job, tMs);
    } else {
      this.endRead(job);
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
    const count = this.unreadFrom(branch, toBlocks, from);
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
    this.lower?.flush(tMs);
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

  /** Copies the blocks in a row at the begin of a range that are in HBM or host memory to the store that workers share. */
  share(action: KvAction, tMs: number): ActionOutcome | null {
    const { branch, fromBlocks, toBlocks } = action;
    let at = fromBlocks;
    for (let end = -1; end !== at && at < toBlocks; ) {
      end = at;
      at += this.parts.pool.rowFrom(branch, at, toBlocks);
      if (at < toBlocks) at += this.tier.continuation(branch, toBlocks, at);
    }
    return this.lower!.share(action, this.keysOf(branch, toBlocks).slice(fromBlocks, at), tMs);
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
      for (const transfer of this.legs.get(job)?.transfers ?? []) if (transfer < 0) this.lower!.cancel(transfer, tMs);
      this.endRead(job);
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
    const { config } = this.parts;
    const { onboard, blockTokens } = config;
    if (onboard === 'always') return true;
    const tokens = count * blockTokens;
    if (typeof onboard === 'object') return tokens >= onboard.thresholdTokens;
    const prefix = hit * blockTokens;
    const recomputeMs = config.prefillMsPerToken * tokens + config.prefillMsPerPair * tokens * (prefix + tokens / 2);
    return this.hostMs(count, tMs) < recomputeMs;
  }

  /** Time of a copy from host memory to HBM that would start now. */
  private hostMs(blocks: number, tMs: number): number {
    const { config, links, index } = this.parts;
    const bytes = blocks * config.blockBytesPerGpu;
    return links.estimateMs(index, H2D, bytes, blocks * config.fragmentsPerBlock, config.fragmentSubmitMs, tMs);
  }

  private startLoad(kind: number, s: number, leaf: number, first: number, count: number, tMs: number): number {
    const job = this.newJob();
    this.startJob(job, kind, s, leaf, first, count, H2D, count, tMs);
    if (this.lower === null) this.tier.pin(leaf, first, first + count, 1);
    else this.startLegs(this.lower, job, tMs);
    return job;
  }

  /** Blocks that a load could read in a row from a block on, up to the first that another one is bringing up. */
  private unreadFrom(branch: number, depth: number, from: number): number {
    const { lower } = this;
    if (lower === null) return this.tier.unread;
    const keys = this.keysOf(branch, depth);
    return this.unreadOf(lower, this.rowOf(lower, branch, keys, from), keys, branch, from);
  }

  /** Starts the reads below the host tier beside the copy to HBM of a job. */
  private startLegs(lower: LowerTiers, job: number, tMs: number): void {
    const leaf = this.leaf[job]!;
    const first = this.first[job]!;
    const keys = this.keysOf(leaf, first + this.blocks[job]!);
    const row = this.rowOf(lower, leaf, keys, first);
    this.pinHost(leaf, row, 1);
    const loaded = keys.slice(first);
    for (const key of loaded) lower.loading.add(key);
    const transfers = new Set([this.transfer[job]!, ...lower.read(keys, row, tMs)]);
    for (const transfer of transfers) if (transfer < 0) this.lowerJobs.set(transfer, job);
    this.legs.set(job, { row, keys: loaded, transfers });
  }

  /** Whether the last transfer of a job is done now. */
  private isComplete(job: number, transfer: number): boolean {
    const legs = this.legs.get(job);
    if (legs === undefined) return true;
    legs.transfers.delete(transfer);
    this.lowerJobs.delete(transfer);
    return legs.transfers.size === 0;
  }

  /** A load reads no longer. */
  private endRead(job: number): void {
    const legs = this.legs.get(job);
    if (legs === undefined) {
      this.tier.pin(this.leaf[job]!, this.first[job]!, this.first[job]! + this.blocks[job]!, -1);
      return;
    }
    this.pinHost(this.leaf[job]!, legs.row, -1);
    for (const key of legs.keys) this.lower!.loading.delete(key);
    for (const transfer of legs.transfers) this.lowerJobs.delete(transfer);
    this.legs.delete(job);
  }

  private pinHost(leaf: number, row: readonly Stretch[], change: 1 | -1): void {
    for (const { tier, from, blocks } of row) if (tier === 1) this.tier.pin(leaf, from, from + blocks, change);
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
