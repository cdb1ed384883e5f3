/**
 * The host tier: a block cache keyed by the same chain keys, LRU, written through. Source: engine specification 4.3, 4.5.
 */
import type { WorkerCounters } from '../worker.ts';
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
  readonly #lookups = new Map<BlockKey, number>();
  readonly #removed: (key: BlockKey) => void;

  constructor(capacity: number, storeThreshold: number, totals: HostTotals, removed: (key: BlockKey) => void) {
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
   * Takes slots for those of the offered blocks that are not there, all or nothing; touches those that are. `isForced`: also for blocks
   * that were looked up too seldom.
   */
  offer(keys: readonly BlockKey[], isForced = false): Offer {
    const wanted: BlockKey[] = [];
    for (const key of keys) {
      if (this.slots.has(key)) {
        this.#totals.hostSkippedPresentBlocks++;
        this.#touch(key);
      } else if (isForced || this.#storeThreshold <= 1 || (this.#lookups.get(key) ?? 0) >= this.#storeThreshold) wanted.push(key);
    }
    const short = this.slots.size + wanted.length - this.capacity;
    if (short > 0 && !this.#evict(short, new Set(keys))) {
      this.#totals.hostSkippedFullBlocks += wanted.length;
      return { keys: [], full: true };
    }
    for (const key of wanted) this.slots.set(key, { ready: false, pins: 0 });
    return { keys: wanted, full: false };
  }

  /** Takes a slot for each victim that is not there, as long as one can be had; touches those that are. Returns what got one. */
  offerVictims(keys: readonly BlockKey[]): BlockKey[] {
    const taken: BlockKey[] = [];
    for (const key of keys) {
      if (this.slots.has(key)) {
        this.#totals.hostSkippedPresentBlocks++;
        this.#touch(key);
        continue;
      }
      if (this.slots.size === this.capacity && !this.#evict(1, new Set())) {
        this.#totals.hostSkippedFullBlocks++;
        continue;
      }
      this.slots.set(key, { ready: false, pins: 0 });
      taken.push(key);
    }
    return taken;
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
