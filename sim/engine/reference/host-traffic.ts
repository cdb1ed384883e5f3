/**
 * What moves between HBM and the host tier of one worker: loads that requests wait for, write-through stores, prefetches.
 * Source: engine specification 4.3 to 4.5 and 4.7.
 */
import type { ActionOutcome, KvAction, Tier } from '../../../control/ports.ts';
import { prefetchOutcome } from '../action-outcome.ts';
import { horizonBlocks, lowWaterBlocks, writesLazily } from '../lazy-write.ts';
import { D2H, H2D, type LinkPool } from '../links.ts';
import { blocksOf, type LowerTiers, type Stretch } from '../lower-tiers.ts';
import type { EngineConfig, WorkerCounters, WorkerSink } from '../worker.ts';
import { createWriteFilter, type WriteFilter } from '../write-filter.ts';
import { writesBack } from '../writes-back.ts';
import type { BlockKey, BlockPool } from './block-pool.ts';
import { HostTier } from './host-tier.ts';
import type { KvEventLog } from './kv-event-log.ts';
import type { SchedulerRequest } from './request.ts';

/** A request as the worker serves it. */
export interface Served {
  readonly request: SchedulerRequest;
  readonly keys: readonly BlockKey[];
  /** False for outputTokens 0: the one token is not delivered. */
  readonly delivers: boolean;
  /** Leading blocks offered for store. */
  offeredBlocks: number;
  /** Stores in flight. */
  readonly stores: Set<number>;
  lastTokenMs: number;
  /** Tokens ever computed in completed steps. */
  highWater: number;
}

/** Transfers that a load waits for, and the blocks it reads from the host tier and below it. */
interface Legs {
  readonly transfers: Set<number>;
  readonly hostKeys: readonly BlockKey[];
}

type Job =
  | { readonly kind: 'load'; readonly served: Served; readonly keys: readonly BlockKey[]; readonly legs: Legs }
  | { readonly kind: 'store'; readonly served: Served; readonly keys: readonly BlockKey[] }
  | { readonly kind: 'victims'; readonly keys: readonly BlockKey[] }
  | {
      readonly kind: 'prefetch';
      readonly action: KvAction;
      readonly keys: readonly BlockKey[];
      readonly parent: BlockKey;
      readonly blocks: readonly number[];
      /** Physical blocks of the resident prefix: without it the loaded ones would be of no use. */
      readonly prefix: readonly number[];
      readonly legs: Legs;
      readonly outcome: ActionOutcome;
    }
  | {
      readonly kind: 'demote';
      readonly action: KvAction;
      readonly keys: readonly BlockKey[];
      readonly blocks: readonly number[];
      readonly outcome: ActionOutcome;
    };

/** Whether a job copies to the host tier. */
function isWrite(job: Job): job is Extract<Job, { kind: 'store' | 'demote' | 'victims' }> {
  return job.kind === 'store' || job.kind === 'demote' || job.kind === 'victims';
}

/** Share of the usable blocks that a prefetch leaves free and unclaimed. */
const PREFETCH_FLOOR = 0.1;

/** What the traffic of one worker is built from. */
export interface HostTrafficParts {
  readonly index: number;
  readonly config: EngineConfig;
  readonly links: LinkPool;
  readonly sink: WorkerSink;
  readonly counters: WorkerCounters;
  readonly events: KvEventLog;
  /** A readable copy left the host tier. */
  removed(key: BlockKey): void;
  readonly pool: BlockPool;
  readonly lower: LowerTiers | null;
}

/** Loads, stores and prefetches in flight, and the tier they serve. */
export class HostTraffic {
  readonly tier: HostTier;
  readonly filter: WriteFilter | null;
  readonly #parts: HostTrafficParts;
  readonly #jobs = new Map<number, Job>();
  /** Keys that a load is bringing up. */
  readonly #loading = new Set<BlockKey>();

  constructor(parts: HostTrafficParts) {
    this.#parts = parts;
    const { config, counters } = parts;
    this.filter = createWriteFilter(config);
    this.tier = new HostTier(config.hostBlocks, config.storeThreshold, counters, parts.removed, this.filter);
  }

  get lower(): LowerTiers | null {
    return this.#parts.lower;
  }

  get inFlight(): number {
    return this.#jobs.size;
  }

  /** Blocks of prefetches and demotions in flight; they hold one reference each. */
  heldBlocks(): number[] {
    return [...new Set(this.#jobs.values())].flatMap((job) => {
      if (job.kind === 'prefetch') return [...job.prefix, ...job.blocks];
      return job.kind === 'demote' ? job.blocks : [];
    });
  }

  /** Blocks of loads in flight by source key; for checks. */
  pinnedKeys(): BlockKey[] {
    return [...new Set(this.#jobs.values())].flatMap((job) => (isWrite(job) ? [] : job.legs.hostKeys));
  }

  writingKeys(): BlockKey[] {
    return [...this.#jobs.values()].flatMap((job) => (isWrite(job) ? job.keys : []));
  }

  /** See SchedulerOutside.findBelow. */
  find(served: Served, hitBlocks: number, tMs: number): number | 'pending' {
    const { config } = this.#parts;
    if (config.onboard === 'never') return 0;
    const chain = served.keys.slice(0, Math.floor(served.request.len / config.blockTokens));
    const hostCount = this.tier.find(chain, hitBlocks);
    const count = this.#worthLoading(chain, hitBlocks, hostCount, tMs);
    if (count === 0) return 0;
    if (chain.slice(hitBlocks, hitBlocks + count).some((key) => this.#loading.has(key))) return 'pending';
    const loads = new Set([...this.#jobs.values()].filter((job) => job.kind === 'load')).size;
    return loads >= config.maxSeqs ? 'pending' : count;
  }

  load(served: Served, from: number, count: number, tMs: number): void {
    const keys = served.keys.slice(from, from + count);
    const row = this.#rowOf(served.keys.slice(0, from + count), from);
    this.#startLoad(served.keys, from, row, tMs, (legs) => ({ kind: 'load', served, keys, legs }));
    const { blockTokens } = this.#parts.config;
    const tokens = (tier: Tier) => blocksOf(row, tier) * blockTokens;
    this.#parts.sink.restoring(served.request.id, tMs, count * blockTokens, tokens(2), tokens(3));
  }

  /** Offers the full computed blocks of a request that were not offered yet. */
  offer(served: Served, computedTokens: number, tMs: number): void {
    const { config } = this.#parts;
    const limit = config.storePromptOnly ? Math.min(computedTokens, served.request.promptTokens) : computedTokens;
    const full = Math.floor(limit / config.blockTokens);
    if (full <= served.offeredBlocks) return;
    const offered = served.keys.slice(served.offeredBlocks, full);
    if (writesBack(config) || writesLazily(config)) {
      this.tier.pass(offered, tMs);
      served.offeredBlocks = full;
      return;
    }
    const { keys, full: noRoom } = this.tier.offer(offered, tMs);
    this.#parts.lower?.flush(tMs);
    if (noRoom) return;
    served.offeredBlocks = full;
    if (keys.length === 0) return;
    const transfer = this.#start(D2H, keys.length, tMs);
    this.#jobs.set(transfer, { kind: 'store', served, keys });
    served.stores.add(transfer);
  }

  /** Starts the copy of what was evicted since the last call and should be kept; what finds no slot is dropped. */
  storeVictims(tMs: number): void {
    this.#storeUnheld(this.tier.offerVictims(this.#parts.pool.victims.splice(0), tMs), tMs);
  }

  /** After a schedule(): starts the copy of what will be evicted next, if the mode is lazy and blocks without content run low. */
  storeAhead(tMs: number): void {
    const { pool, config } = this.#parts;
    if (!writesLazily(config) || pool.hashless() >= lowWaterBlocks(config)) return;
    this.#storeUnheld(this.tier.offerAhead(pool.nextVictims(horizonBlocks(config)), tMs), tMs);
  }

  /** Copies of blocks that nobody holds for it: the copy is ordered before the writes of a new holder. */
  #storeUnheld(keys: readonly BlockKey[], tMs: number): void {
    this.#parts.lower?.flush(tMs);
    if (keys.length > 0) this.#jobs.set(this.#start(D2H, keys.length, tMs), { kind: 'victims', keys });
  }

  /** Treats the stores of a preempted request as done. Returns the time this takes, ms: it delays the next step. */
  flush(served: Served, tMs: number): number {
    let flushMs = 0;
    for (const transfer of [...served.stores]) {
      flushMs = Math.max(flushMs, this.#parts.links.remainingMs(transfer, tMs));
      this.#parts.links.cancel(transfer, tMs);
      this.done(transfer, tMs);
    }
    return flushMs;
  }

  /** Completion of a transfer. Returns the request concerned, if any; unknown transfers (cancelled) do nothing. */
  done(transfer: number, tMs: number): Served | null {
    if (transfer < 0 && !this.#parts.lower!.done(transfer, tMs)) return null;
    const job = this.#jobs.get(transfer);
    if (job === undefined) return null;
    this.#jobs.delete(transfer);
    if (!isWrite(job)) {
      job.legs.transfers.delete(transfer);
      if (job.legs.transfers.size > 0) return null;
    }
    const { config, counters, events } = this.#parts;
    const bytes = job.keys.length * config.blockBytesPerGpu * config.gpus;
    if (isWrite(job)) {
      this.tier.ready(job.keys);
      for (const key of job.keys) {
        events.stored(1, key);
        this.#parts.lower?.enteredHost(key);
      }
      this.#parts.lower?.flush(tMs);
      counters.hostWriteBytes += bytes;
      counters.hostStoredBlocks += job.keys.length;
      if (job.kind === 'store') {
        job.served.stores.delete(transfer);
        return job.served;
      }
      if (job.kind === 'victims') return null;
      this.#parts.pool.release(job.blocks.toReversed());
      this.#parts.sink.settled(job.action, job.outcome, tMs);
      return null;
    }
    this.#endLoad(job.keys, job.legs);
    counters.hostReadBytes += bytes;
    if (job.kind === 'load') {
      job.served.request.restore!.done = true;
      return job.served;
    }
    this.#finishPrefetch(job, tMs);
    return null;
  }

  /**
   * Brings the host continuation of a chain into HBM. `keys` = blocks [0, toBlocks), `resident` = leading blocks in HBM. Returns the
   * outcome, or null if it settles when the transfer ends.
   */
  prefetch(action: KvAction, keys: readonly BlockKey[], resident: number, tMs: number): ActionOutcome | null {
    const { pool } = this.#parts;
    const requestedBlocks = action.toBlocks - action.fromBlocks;
    if (resident >= action.toBlocks) return { result: 'accepted', appliedBlocks: requestedBlocks, requestedBlocks };
    const from = Math.max(resident, action.fromBlocks);
    this.tier.find(keys, from);
    const readable = blocksOf(this.#rowOf(keys, from));
    const busy = keys.slice(from, from + readable).findIndex((key) => this.#loading.has(key));
    const count = busy < 0 ? readable : busy;
    if (count === 0) return { result: 'missing', appliedBlocks: 0, requestedBlocks };
    const prefix = keys.slice(0, resident).map((key) => pool.lookup(key));
    if (pool.free - pool.unreferenced(prefix) - pool.dearFree() - count < PREFETCH_FLOOR * pool.usable) {
      return { result: 'rejected', reason: 'progress', appliedBlocks: 0, requestedBlocks };
    }
    const loaded = keys.slice(from, from + count);
    const outcome = prefetchOutcome(count + from - action.fromBlocks, requestedBlocks, count);
    pool.hold(prefix);
    const blocks = pool.take(count);
    const row = this.#rowOf(keys.slice(0, from + count), from);
    const parent = from > 0 ? keys[from - 1]! : -1;
    this.#startLoad(keys, from, row, tMs, (legs) => ({ kind: 'prefetch', action, keys: loaded, parent, blocks, prefix, outcome, legs }));
    return null;
  }

  /**
   * Copies blocks to the host tier, `keys` and their physical `blocks`, which are held until the copy is readable. Returns `outcome` if
   * all are there already, a refusal if there is no room, or null if it settles when the transfer ends.
   */
  demote(
    action: KvAction,
    keys: readonly BlockKey[],
    blocks: readonly number[],
    outcome: ActionOutcome,
    tMs: number,
  ): ActionOutcome | null {
    const offer = this.tier.offer(keys, tMs, true);
    this.#parts.lower?.flush(tMs);
    if (offer.full) return { ...outcome, result: 'rejected', reason: 'budget', appliedBlocks: 0 };
    if (offer.keys.length === 0) return outcome;
    this.#parts.pool.hold(blocks);
    this.#jobs.set(this.#start(D2H, offer.keys.length, tMs), { kind: 'demote', action, keys: offer.keys, blocks, outcome });
    return null;
  }

  /** A request needs the blocks: gives up every prefetch. True if there was one. */
  cancelPrefetches(tMs: number): boolean {
    const prefetches = new Set([...this.#jobs.values()].filter((job) => job.kind === 'prefetch'));
    for (const job of prefetches) {
      for (const transfer of job.legs.transfers) {
        this.#jobs.delete(transfer);
        if (transfer < 0) this.#parts.lower!.cancel(transfer, tMs);
        else this.#parts.links.cancel(transfer, tMs);
      }
      this.#endLoad(job.keys, job.legs);
      this.#parts.pool.release([...job.prefix, ...job.blocks].toReversed());
      const { requestedBlocks } = job.outcome;
      this.#parts.sink.settled(job.action, { result: 'rejected', reason: 'progress', appliedBlocks: 0, requestedBlocks }, tMs);
    }
    return prefetches.size > 0;
  }

  /** Crash: nothing of it arrives any more. Prefetches and demotions settle as rejected. */
  cancelAll(tMs: number): void {
    for (const transfer of this.#jobs.keys()) if (transfer > 0) this.#parts.links.cancel(transfer, tMs);
    for (const job of new Set(this.#jobs.values())) {
      if (job.kind !== 'prefetch' && job.kind !== 'demote') continue;
      const { requestedBlocks } = job.outcome;
      this.#parts.sink.settled(job.action, { result: 'rejected', reason: 'down', appliedBlocks: 0, requestedBlocks }, tMs);
    }
    this.#jobs.clear();
  }

  #finishPrefetch(job: Extract<Job, { kind: 'prefetch' }>, tMs: number): void {
    const { pool, sink } = this.#parts;
    job.keys.forEach((key, i) => {
      pool.enter(job.blocks[i]!, key, i > 0 ? job.keys[i - 1]! : job.parent);
    });
    pool.release([...job.prefix, ...job.blocks].toReversed());
    sink.settled(job.action, job.outcome, tMs);
  }

  /** What lies below HBM in a row from block `from` on, by tier. */
  #rowOf(keys: readonly BlockKey[], from: number): Stretch[] {
    const isReady = (at: number) => this.tier.isReady(keys[at]!);
    if (this.#parts.lower !== null) return this.#parts.lower.row(keys, from, isReady);
    let to = from;
    while (to < keys.length && isReady(to)) to++;
    return to === from ? [] : [{ tier: 1, from, blocks: to - from }];
  }

  /** Blocks behind a hit that are worth loading. */
  #worthLoading(chain: readonly BlockKey[], hitBlocks: number, hostCount: number, tMs: number): number {
    const { lower } = this.#parts;
    if (lower === null) return hostCount > 0 && this.#isWorthLoading(hitBlocks, hostCount, tMs) ? hostCount : 0;
    return blocksOf(lower.worthLoading(this.#rowOf(chain, hitBlocks), (blocks) => this.#hostMs(blocks, tMs), tMs));
  }

  /** onboard policy; retention specification 9.3. */
  #isWorthLoading(hitBlocks: number, count: number, tMs: number): boolean {
    const { config } = this.#parts;
    const { onboard, blockTokens } = config;
    if (onboard === 'always' || onboard === 'never') return onboard === 'always';
    const tokens = count * blockTokens;
    if (onboard !== 'cheaper') return tokens >= onboard.thresholdTokens;
    const prefix = hitBlocks * blockTokens;
    const recomputeMs = config.prefillMsPerToken * tokens + config.prefillMsPerPair * tokens * (prefix + tokens / 2);
    return this.#hostMs(count, tMs) < recomputeMs;
  }

  /** Time of a copy from host memory to HBM that would start now. */
  #hostMs(blocks: number, tMs: number): number {
    const { config, links, index } = this.#parts;
    const bytes = blocks * config.blockBytesPerGpu;
    return links.estimateMs(index, H2D, bytes, blocks * config.fragmentsPerBlock, config.fragmentSubmitMs, tMs);
  }

  /** Starts the copy to HBM of a row of `chain`, and the reads below host memory beside it. */
  #startLoad(chain: readonly BlockKey[], from: number, row: readonly Stretch[], tMs: number, jobOf: (legs: Legs) => Job): void {
    const count = blocksOf(row);
    const hostKeys = row.filter(({ tier }) => tier === 1).flatMap((one) => chain.slice(one.from, one.from + one.blocks));
    this.tier.pin(hostKeys, 1);
    for (const key of chain.slice(from, from + count)) this.#loading.add(key);
    const transfers = new Set([this.#start(H2D, count, tMs), ...(this.#parts.lower?.read(chain, row, tMs) ?? [])]);
    const job = jobOf({ transfers, hostKeys });
    for (const transfer of transfers) this.#jobs.set(transfer, job);
  }

  #endLoad(keys: readonly BlockKey[], { hostKeys }: Legs): void {
    this.tier.pin(hostKeys, -1);
    for (const key of keys) this.#loading.delete(key);
  }

  #start(direction: 0 | 1, blocks: number, tMs: number): number {
    const { config, links, index } = this.#parts;
    const bytes = blocks * config.blockBytesPerGpu;
    return links.start(index, direction, bytes, blocks * config.fragmentsPerBlock, config.fragmentSubmitMs, config.gpus, tMs);
  }
}
