import type { BlockKey } from './chain-keys.ts';

interface Slot {
  /** False while it is written. */
  isReady: boolean;
  /** Loads that read it. */
  pins: number;
}

/** Block cache of a tier below host memory, least recently used first. All costs O(1), an eviction O(slots that are read or written). */
export class BlockStore {
  readonly capacity: number;
  readonly #slots = new Map<BlockKey, Slot>();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Slots in use, readable or being written. */
  get filled(): number {
    return this.#slots.size;
  }

  /** Whether a block is there or on its way. */
  has(key: BlockKey): boolean {
    return this.#slots.has(key);
  }

  isReady(key: BlockKey): boolean {
    return this.#slots.get(key)?.isReady === true;
  }

  /** Makes a block that is there the youngest. */
  touch(key: BlockKey): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#slots.set(key, slot);
  }

  /** Takes a slot for a block that is not there. Returns the block that had to go for it, null if none, undefined if none can go. */
  take(key: BlockKey): BlockKey | null | undefined {
    let gone: BlockKey | null = null;
    if (this.#slots.size >= this.capacity) {
      const victim = this.#victim();
      if (victim === undefined) return undefined;
      this.#slots.delete(victim);
      gone = victim;
    }
    this.#slots.set(key, { isReady: false, pins: 0 });
    return gone;
  }

  /** The copy of a block arrived. */
  ready(key: BlockKey): void {
    this.#slots.get(key)!.isReady = true;
  }

  /** The copy will never arrive. */
  drop(key: BlockKey): void {
    this.#slots.delete(key);
  }

  /** A load begins (+1) or ceases (-1) to read a block. */
  pin(key: BlockKey, change: 1 | -1): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) slot.pins += change;
  }

  /** Readable blocks, oldest first. */
  readable(): BlockKey[] {
    return [...this.#slots].filter(([, slot]) => slot.isReady).map(([key]) => key);
  }

  /** Empties it. */
  clear(): void {
    this.#slots.clear();
  }

  /** Throws if more is in use than there is. */
  check(): void {
    if (this.#slots.size > this.capacity) throw new Error(`E11: ${this.#slots.size} slots of ${this.capacity} below the host tier`);
  }

  #victim(): BlockKey | undefined {
    for (const [key, slot] of this.#slots) if (slot.isReady && slot.pins === 0) return key;
    return undefined;
  }
}
