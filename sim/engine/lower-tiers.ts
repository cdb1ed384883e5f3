/**
 * The tiers below host memory of one worker: its disk, and the remote store that it shares with others. Both engines use it, so it holds no
 * state of theirs: blocks are keys, and what leaves the host tier or is to be read is told by whole batches.
 *
 *     host --left, or readable there--> disk --left, or readable there--> remote          (an absent tier is passed over)
 *     host <--------- read beside the copy to HBM ---------- disk, remote
 *
 * Blocks are staged through buffers in host memory, not through its tier: the copy to HBM runs beside the read, batch by batch, and a load
 * is done when both are. A write reads from its buffer as well, so what leaves a tier serves nobody until it has arrived below.
 * Source: engine specification 4.2, 4.6; retention specification 9.1 to 9.3.
 */
import type { ActionOutcome, KvAction, Tier } from '../../control/ports.ts';
import { outcomeOf } from './action-outcome.ts';
import type { BlockStore } from './block-store.ts';
import { type BlockKey, blockKey, placeOf } from './chain-keys.ts';
import { D2H, H2D, type LinkPool } from './links.ts';
import { REMOVAL } from './removal.ts';
import type { EngineConfig, WorkerCounters, WorkerParts } from './worker.ts';

/** Memory below the host tier. */
export type LowerTier = 2 | 3;

/** One of them as a worker sees it. */
export interface LowerTierParts {
  readonly tier: LowerTier;
  /** Shared by the workers of a pool if remote. */
  readonly store: BlockStore;
  readonly links: LinkPool;
  /** Link of this worker in the pool. */
  readonly link: number;
  /** Parallel copies of a transfer: 1, or the GPUs of the worker. */
  readonly copies: number;
  /** When a block is copied to it: when it leaves the tier above, or when it is readable there. */
  readonly write: 'writeBack' | 'writeThrough';
  readonly latencyMs: number;
  /** One way, all copies together; for the choice between keeping and dropping. */
  readonly readBytesPerMs: number;
}

/** What the owner wants to hear. Tiers that others share publish nothing: they are the same for every worker. */
export interface LowerTiersEvents {
  stored(tier: LowerTier, key: BlockKey): void;
  /** A share came to its end. */
  settled(action: KvAction, outcome: ActionOutcome, tMs: number): void;
  /** A readable copy left; `isPublished` = the router hears it. */
  removed(tier: LowerTier, key: BlockKey, reason: number, isPublished: boolean): void;
}

/** Part of a load: blocks [from, from + blocks) of the chain from one tier. */
export interface Stretch {
  readonly tier: Tier;
  readonly from: number;
  blocks: number;
}

interface Job {
  readonly kind: 'read' | 'write';
  readonly at: LowerTierParts;
  readonly keys: readonly BlockKey[];
  /** The share that a write is for, and its outcome. */
  readonly share?: { readonly action: KvAction; readonly outcome: ActionOutcome };
}

export class LowerTiers {
  /** Blocks that a load is bringing up from anywhere. */
  readonly loading = new Set<BlockKey>();
  readonly #tiers: readonly LowerTierParts[];
  readonly #config: EngineConfig;
  readonly #counters: WorkerCounters;
  readonly #events: LowerTiersEvents;
  readonly #startOf: (branch: number) => number;
  readonly #jobs = new Map<number, Job>();
  /** What left the host tier, and what became readable there, since the last {@link flush}. */
  #left: BlockKey[] = [];
  #arrived: BlockKey[] = [];

  /** `startOf`: depth at which a branch begins. */
  constructor(
    tiers: readonly LowerTierParts[],
    config: EngineConfig,
    counters: WorkerCounters,
    events: LowerTiersEvents,
    startOf: (branch: number) => number,
  ) {
    this.#tiers = tiers;
    this.#config = config;
    this.#counters = counters;
    this.#events = events;
    this.#startOf = startOf;
  }

  /** Whether there is a store that workers share. */
  get hasStore(): boolean {
    return this.#of(3) !== undefined;
  }

  /**
   * Copies blocks, those in a row at the begin of the range of a share, to the store that workers share; the source stays. Returns the
   * outcome if nothing is to be copied, or null if it settles with the transfer. Source: retention specification 3.
   */
  share(action: KvAction, keys: readonly BlockKey[], tMs: number): ActionOutcome | null {
    const store = this.#of(3)!;
    const requestedBlocks = action.toBlocks - action.fromBlocks;
    const taken: BlockKey[] = [];
    const pushedOut: BlockKey[] = [];
    let applied = 0;
    for (const key of keys) {
      if (store.store.has(key)) store.store.touch(key);
      else {
        const gone = store.store.take(key);
        if (gone === undefined) break;
        taken.push(key);
        if (gone !== null) pushedOut.push(gone);
      }
      applied++;
    }
    for (const key of pushedOut) this.#gone(store, key);
    const outcome = outcomeOf(applied, requestedBlocks);
    if (taken.length > 0) this.#start('write', store, taken, tMs, { action, outcome: shortOfRoom(outcome, keys.length) });
    return taken.length > 0 ? null : shortOfRoom(outcome, keys.length);
  }

  /** The fastest of these tiers that can be read for a block; 0 = none. */
  tierOf(key: BlockKey): LowerTier | 0 {
    for (const { tier, store } of this.#tiers) if (store.isReady(key)) return tier;
    return 0;
  }

  /** Marks which own blocks [from, to) of a branch a tier can be read for; see Worker.markHeld. */
  markHeld(tier: Tier, branch: number, from: number, to: number, out: Uint8Array, at: number, value: number): void {
    const store = this.#of(tier)?.store;
    if (store === undefined) return;
    for (let x = from; x < to; x++) if (store.isReady(blockKey(branch, x))) out[at + x - from] = value;
  }

  filled(tier: LowerTier): number {
    return this.#of(tier)?.store.filled ?? 0;
  }

  capacity(tier: LowerTier): number {
    return this.#of(tier)?.store.capacity ?? 0;
  }

  /**
   * What can be read in a row from block `from` of a chain on, each block from the fastest tier that has it. `isInHost(i)`: whether the
   * host tier has block i. Cost O(blocks).
   */
  row(keys: readonly BlockKey[], from: number, isInHost: (at: number) => boolean): Stretch[] {
    const stretches: Stretch[] = [];
    let last: Stretch | undefined;
    for (let at = from; at < keys.length; at++) {
      const tier = isInHost(at) ? 1 : this.tierOf(keys[at]!);
      if (tier === 0) break;
      if (last?.tier === tier) last.blocks++;
      else {
        last = { tier, from: at, blocks: 1 };
        stretches.push(last);
      }
    }
    return stretches;
  }

  /** Of a row the part that is worth loading: all or nothing per stretch, from the root on. Source: retention specification 9.3. */
  worthLoading(row: Stretch[], hostMs: (blocks: number) => number, tMs: number): Stretch[] {
    const { onboard, blockTokens } = this.#config;
    if (onboard === 'always') return row;
    if (onboard === 'never') return [];
    if (onboard !== 'cheaper') return blocksOf(row) * blockTokens >= onboard.thresholdTokens ? row : [];
    const declined = row.findIndex(({ tier, from, blocks }) => {
      const below = this.#of(tier);
      const loadMs = below === undefined ? hostMs(blocks) : Math.max(hostMs(blocks), this.#estimateMs(below, blocks, tMs));
      return !(loadMs < this.#recomputeMs(from, blocks));
    });
    return declined < 0 ? row : row.slice(0, declined);
  }

  /** Starts to read the stretches of a load that lie below the host tier. Returns the ids of the transfers. */
  read(keys: readonly BlockKey[], row: readonly Stretch[], tMs: number): number[] {
    const transfers: number[] = [];
    for (const at of this.#tiers) {
      const wanted = row.filter(({ tier }) => tier === at.tier).flatMap(({ from, blocks }) => keys.slice(from, from + blocks));
      if (wanted.length === 0) continue;
      for (const key of wanted.toReversed()) at.store.touch(key);
      for (const key of wanted) at.store.pin(key, 1);
      transfers.push(this.#start('read', at, wanted, tMs));
    }
    return transfers;
  }

  /** Gives up a read. */
  cancel(transfer: number, tMs: number): void {
    const job = this.#jobs.get(transfer);
    if (job === undefined) return;
    job.at.links.cancel(transferOf(transfer), tMs);
    this.#jobs.delete(transfer);
    for (const key of job.keys) job.at.store.pin(key, -1);
  }

  /** Completion of a transfer. Returns whether it was a read; a write is all done. */
  done(transfer: number, tMs: number): boolean {
    const job = this.#jobs.get(transfer);
    if (job === undefined) return false;
    this.#jobs.delete(transfer);
    const { at, keys, kind } = job;
    const bytes = keys.length * this.#config.blockBytesPerGpu * this.#config.gpus;
    const totals = this.#counters;
    if (kind === 'read') {
      for (const key of keys) at.store.pin(key, -1);
      if (at.tier === 2) totals.diskReadBytes += bytes;
      else totals.remoteReadBytes += bytes;
      return true;
    }
    if (at.tier === 2) totals.diskWriteBytes += bytes;
    else totals.remoteWriteBytes += bytes;
    for (const key of keys) {
      at.store.ready(key);
      if (at.tier === 2) this.#events.stored(2, key);
    }
    if (job.share !== undefined) this.#events.settled(job.share.action, job.share.outcome, tMs);
    const next = this.#tiers[this.#tiers.indexOf(at) + 1];
    if (next?.write === 'writeThrough') this.#write(next, [...keys], tMs);
    return false;
  }

  /** A readable copy left the host tier. */
  leftHost(key: BlockKey): void {
    this.#left.push(key);
  }

  /** A copy became readable in the host tier. */
  enteredHost(key: BlockKey): void {
    this.#arrived.push(key);
  }

  /** Starts the copies of what was told since the last time. */
  flush(tMs: number): void {
    if (this.#left.length === 0 && this.#arrived.length === 0) return;
    const first = this.#tiers[0]!;
    const moving = first.write === 'writeBack' ? this.#left : this.#arrived;
    this.#left = [];
    this.#arrived = [];
    this.#write(first, moving, tMs);
  }

  /** The worker crashed: its transfers end, its disk is empty. */
  lose(tMs: number): void {
    for (const [transfer, { at, keys, kind, share }] of this.#jobs) {
      at.links.cancel(transferOf(transfer), tMs);
      for (const key of keys) {
        if (kind === 'read') at.store.pin(key, -1);
        else at.store.drop(key);
      }
      if (share === undefined) continue;
      const { requestedBlocks } = share.outcome;
      this.#events.settled(share.action, { result: 'rejected', reason: 'down', appliedBlocks: 0, requestedBlocks }, tMs);
    }
    this.#jobs.clear();
    this.loading.clear();
    this.#left = [];
    this.#arrived = [];
    const disk = this.#of(2);
    if (disk === undefined) return;
    for (const key of disk.store.readable()) this.#events.removed(2, key, REMOVAL.lost, false);
    disk.store.clear();
  }

  check(): void {
    for (const { store } of this.#tiers) store.check();
  }

  /** Copies blocks to a tier, the deep end first so that it ends oldest; those that are there are touched, those without room dropped. */
  #write(at: LowerTierParts, moving: BlockKey[], tMs: number): void {
    const taken: BlockKey[] = [];
    const pushedOut: BlockKey[] = [];
    for (const key of moving.sort((a, b) => b - a)) {
      if (at.store.has(key)) at.store.touch(key);
      else if (this.#isWorthKeeping(at, key)) {
        const gone = at.store.take(key);
        if (gone === undefined) continue;
        taken.push(key);
        if (gone !== null) pushedOut.push(gone);
      }
    }
    for (const key of pushedOut) this.#gone(at, key);
    if (taken.length > 0) this.#start('write', at, taken, tMs);
    const next = this.#tiers[this.#tiers.indexOf(at) + 1];
    if (next?.write === 'writeBack' && pushedOut.length > 0) this.#write(next, pushedOut, tMs);
  }

  /** A readable copy went for another. */
  #gone({ tier }: LowerTierParts, key: BlockKey): void {
    if (tier === 2) this.#counters.diskEvictedBlocks++;
    else this.#counters.remoteEvictedBlocks++;
    this.#events.removed(tier, key, REMOVAL.capacity, tier === 2);
  }

  /** Demote or drop: whether a reload costs less than to compute the block again. Source: retention specification 9.2. */
  #isWorthKeeping(at: LowerTierParts, key: BlockKey): boolean {
    const { prefillMsPerToken, prefillMsPerPair, blockBytesPerGpu, gpus } = this.#config;
    if (prefillMsPerToken === 0 && prefillMsPerPair === 0) return true;
    const [branch, offset] = placeOf(key);
    return (blockBytesPerGpu * gpus) / at.readBytesPerMs < this.#recomputeMs(this.#startOf(branch) + offset, 1);
  }

  #recomputeMs(from: number, blocks: number): number {
    const { prefillMsPerToken, prefillMsPerPair, blockTokens } = this.#config;
    const tokens = blocks * blockTokens;
    return prefillMsPerToken * tokens + prefillMsPerPair * tokens * (from * blockTokens + tokens / 2);
  }

  #estimateMs({ links, link, copies, latencyMs }: LowerTierParts, blocks: number, tMs: number): number {
    return links.estimateMs(link, H2D, this.#bytes(blocks, copies), 1, latencyMs, tMs);
  }

  #start(kind: Job['kind'], at: LowerTierParts, keys: readonly BlockKey[], tMs: number, share?: Job['share']): number {
    const { links, link, copies, latencyMs, tier } = at;
    const direction = kind === 'read' ? H2D : D2H;
    const id = lowerTransfer(tier, links.start(link, direction, this.#bytes(keys.length, copies), 1, latencyMs, copies, tMs));
    this.#jobs.set(id, share === undefined ? { kind, at, keys } : { kind, at, keys, share });
    return id;
  }

  /** Bytes of each copy. */
  #bytes(blocks: number, copies: number): number {
    return (blocks * this.#config.blockBytesPerGpu * this.#config.gpus) / copies;
  }

  #of(tier: Tier): LowerTierParts | undefined {
    return this.#tiers.find((one) => one.tier === tier);
  }
}

/** What a worker has below its host tier; null without one, or without anything below. */
export function createLowerTiers(
  { lower = [], config, branches }: WorkerParts,
  counters: WorkerCounters,
  events: LowerTiersEvents,
): LowerTiers | null {
  if (lower.length === 0 || config.hostBlocks === 0 || !config.prefixCaching) return null;
  return new LowerTiers(lower, config, counters, events, (branch) => branches.start[branch]!);
}

/** Blocks of a row, of one tier or of all. */
export function blocksOf(row: readonly Stretch[], tier?: Tier): number {
  return row.reduce((sum, one) => sum + (tier === undefined || one.tier === tier ? one.blocks : 0), 0);
}

/** Outcome of a copy of `there` blocks of which not all found room; the root side is granted. */
function shortOfRoom(outcome: ActionOutcome, there: number): ActionOutcome {
  if (outcome.appliedBlocks === there) return outcome;
  return { ...outcome, result: outcome.appliedBlocks === 0 ? 'rejected' : 'clipped', reason: 'budget' };
}

/** Id by which a worker knows a transfer of a pool below the host links: negative, so that it is none of theirs. */
export function lowerTransfer(tier: LowerTier, transfer: number): number {
  return -(2 * transfer + (tier - 2));
}

function transferOf(id: number): number {
  return Math.floor(-id / 2);
}
