/**
 * The host tier: a block cache keyed by the same chain keys, LRU. Source: engine specification 4.3, 4.5.
 */
import type { WorkerCounters } from '../worker.ts';
import type { WriteFilter } from '../write-filter.ts';
import type { BlockKey } from './block-pool.ts';

interface HostSlot {
  /** False while the copy from HBM is under way. */
  ready: boolean;
  /** Loads that read this slot. */
  pins: number;
}

/** Result of offering blocks for store. */
export interface Offer {
  /** Slots taken, in offer order; empty with `full` = not enough evictable slots, offer again. */
  readonly keys: readonly BlockKey[];
  readonly full: boolean;
}

/** Lookups a block needs before it is stored are counted for this many blocks at most (vLLM's tracker). */
const TRACKED_BLOCKS = 64_000;

/** Counters a host tier keeps. */
export type HostTotals = Pick<WorkerCounters, 'hostEvictedBlocks' | 'hostSkippedFullBlocks' | 'hostSkippedPresentBlocks'>;

/** Slots of the host tier in LRU order. */
export class HostTier {
  readonly capacity: number;
  /** Least recently used first. */
  readonly slots = new Map<BlockKey, HostSlot>();
  readonly #totals: HostTotals;
  readonly #storeThreshold: number;
  readonly #filter: WriteFilter | null;
  readonly #lookups = new Map<BlockKey, number>();
  readonly #removed: (key: BlockKey) => void;

  constructor(
    capacity: number,
    storeThreshold: number,
    totals: HostTotals,
    removed: (key: BlockKey) => void,
    filter: WriteFilter | null = null,
  ) {
    this.#filter = filter;
    this.#totals = totals;
    this.capacity = capacity;
    this.#storeThreshold = storeThreshold;
    this.#removed = removed;
  }

  isReady(key: BlockKey): boolean {
    return this.slots.get(key)?.ready === true;
  }

  /**
   * Readable blocks in a row from block `from` on. Touches every present block of the whole chain, tail first, so that its head ends
   * youngest; counts one lookup for each block asked for.
   */
  find(chain: readonly BlockKey[], from: number): number {
    if (this.#storeThreshold > 1) for (const key of chain.slice(from)) this.#countLookup(key);
    for (const key of chain.toReversed()) this.#touch(key);
    let count = 0;
    while (from + count < chain.length && this.isReady(chain[from + count]!)) count++;
    return count;
  }

  pin(keys: readonly BlockKey[], change: 1 | -1): void {
    for (const key of keys) {
      const slot = this.slots.get(key);
      if (slot === undefined) throw new Error(`host tier: pinned block ${key} is gone`);
      slot.pins += change;
    }
  }

  /**
   * Takes slots for those of the blocks that a request offers that are not there, all or nothing; touches those that are, and counts a
   * pass over all of them unless there is no room. `isForced`: a demotion, also of blocks that were looked up or passed too seldom.
   */
  offer(keys: readonly BlockKey[], tMs: number, isForced = false): Offer {
    const wanted: BlockKey[] = [];
    for (const key of keys) {
      if (this.slots.has(key)) {
        this.#totals.hostSkippedPresentBlocks++;
        this.#touch(key);
      } else if (isForced || this.#isWanted(key, tMs)) wanted.push(key);
    }
    const short = this.slots.size + wanted.length - this.capacity;
    if (short > 0 && !this.#evict(short, new Set(keys))) {
      this.#totals.hostSkippedFullBlocks += wanted.length;
      return { keys: [], full: true };
    }
    if (!isForced) this.pass(keys, tMs);
    for (const key of wanted) this.slots.set(key, { ready: false, pins: 0 });
    return { keys: wanted, full: false };
  }

  /** A request passes over blocks. */
  pass(keys: readonly BlockKey[], tMs: number): void {
    for (const key of keys) this.#filter?.pass(key, tMs);
  }

  /** Takes a slot for each victim that is not there, as long as one can be had; touches those that are. Returns what got one. */
  offerVictims(keys: readonly BlockKey[], tMs: number): BlockKey[] {
    const taken: BlockKey[] = [];
    for (const key of keys) {
      if (this.slots.has(key)) {
        this.#totals.hostSkippedPresentBlocks++;
        this.#touch(key);
      } else if (this.#filter?.admits(key, tMs) === false) continue;
      else if (this.#takeSlot(key)) taken.push(key);
      else this.#totals.hostSkippedFullBlocks++;
    }
    return taken;
  }

  /**
   * Takes slots for those of `keys` that are not there, in their order, as long as others than theirs can go; touches those that are, so
   * that all of them end youngest in their order. Returns what got a slot.
   */
  offerAhead(keys: readonly BlockKey[], tMs: number): BlockKey[] {
    const missing = keys.filter((key) => !this.slots.has(key) && this.#filter?.admits(key, tMs) !== false);
    const free = this.capacity - this.slots.size;
    const idle = this.#victims(Math.max(missing.length - free, 0), new Set(keys)).length;
    const taken = missing.slice(0, free + idle);
    if (taken.length > free) this.#evict(taken.length - free, new Set(keys));
    for (const key of taken) this.slots.set(key, { ready: false, pins: 0 });
    for (const key of keys) this.#touch(key);
    return taken;
  }

  #takeSlot(key: BlockKey): boolean {
    if (this.slots.size === this.capacity && !this.#evict(1, new Set())) return false;
    this.slots.set(key, { ready: false, pins: 0 });
    return true;
  }

  #isWanted(key: BlockKey, tMs: number): boolean {
    const isLookedUp = this.#storeThreshold <= 1 || (this.#lookups.get(key) ?? 0) >= this.#storeThreshold;
    return isLookedUp && this.#filter?.wouldAdmit(key, tMs) !== false;
  }

  /** The copy arrived. */
  ready(keys: readonly BlockKey[]): void {
    for (const key of keys) {
      const slot = this.slots.get(key);
      if (slot === undefined || slot.ready) throw new Error(`host tier: block ${key} was not being written`);
      slot.ready = true;
    }
  }

  #touch(key: BlockKey): void {
    const slot = this.slots.get(key);
    if (slot === undefined) return;
    this.slots.delete(key);
    this.slots.set(key, slot);
  }

  /** Removes the `count` oldest blocks that may go, all or none. */
  #evict(count: number, exempt: ReadonlySet<BlockKey>): boolean {
    const victims = this.#victims(count, exempt);
    if (victims.length < count) return false;
    for (const key of victims) {
      this.slots.delete(key);
      this.#totals.hostEvictedBlocks++;
      this.#removed(key);
    }
    return true;
  }

  #victims(count: number, exempt: ReadonlySet<BlockKey>): BlockKey[] {
    const victims: BlockKey[] = [];
    for (const [key, slot] of this.slots) {
      if (victims.length === count) break;
      if (slot.ready && slot.pins === 0 && !exempt.has(key)) victims.push(key);
    }
    return victims;
  }

  #countLookup(key: BlockKey): void {
    const count = (this.#lookups.get(key) ?? 0) + 1;
    this.#lookups.delete(key);
    this.#lookups.set(key, count);
    if (this.#lookups.size > TRACKED_BLOCKS) this.#lookups.delete(this.#lookups.keys().next().value!);
  }
}
