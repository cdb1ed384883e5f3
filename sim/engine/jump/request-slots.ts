/**
 * Requests of one worker as columns: a request is an integer slot, freed slots are used again.
 *
 *     slot            0        1        2     …
 *     prompt      [ 8000 |  96000 |     -  | … ]      constant facts
 *     computed    [ 8000 |  32768 |     -  | … ]      state; of slots in the decode set it lives in decode-set.ts instead
 *     next/prev   [    1 |     -1 |     -  | … ]      neighbours in the one queue or running list the slot is in
 */
import { NONE } from './segment-columns.ts';

/** States of a slot. */
export const QUEUED = 0;
export const RESTORING = 1;
export const RUNNING = 2;
export const PREEMPTED = 3;
/** Ended, but its blocks are still needed by transfers. */
export const LINGERING = 4;

/** Reasons of a regular end. A request that ends `prefill_only` delivers no token. */
export const ENDINGS = ['length', 'stop', 'length_capped', 'prefill_only'] as const;
export const PREFILL_ONLY = 3;

export class RequestSlots {
  id = new Int32Array(16);
  session = new Int32Array(16);
  leaf = new Int32Array(16);
  prompt = new Int32Array(16);
  /** Tokens to produce after the limits. */
  limit = new Int32Array(16);
  priority = new Float64Array(16);
  arrival = new Float64Array(16);
  /** Reason of a regular end: index in ENDINGS. */
  ending = new Uint8Array(16);
  state = new Uint8Array(16);
  /** Tokens produced; tokens with KV; blocks in the table; leading blocks of it that are in the cache. */
  out = new Int32Array(16);
  computed = new Int32Array(16);
  held = new Int32Array(16);
  entered = new Int32Array(16);
  /** Admission that owns later copies, 0 = none (segment-pool.ts). */
  tag = new Int32Array(16);
  preemptions = new Int32Array(16);
  /** Token positions below this were covered by completed steps. */
  doneTo = new Int32Array(16);
  /** Time of the last token. */
  lastToken = new Float64Array(16);
  /** Place in the order of admissions = order of the running list. */
  order = new Float64Array(16);
  /** Segment that ended with the request's last entered block. */
  hint = new Int32Array(16);
  /** Host tier: tokens found by the lookup of a restore, its transfer state, blocks offered for store, stores in flight. */
  hitHbm = new Int32Array(16);
  hitHost = new Int32Array(16);
  loaded = new Uint8Array(16);
  offered = new Int32Array(16);
  /** Segment of the host tier near the last offered block. */
  hostHint = new Int32Array(16);
  stores = new Int32Array(16);
  /** Asynchronous scheduling: tokens sampled but not known yet; last token in flight; the end is a stop token that nobody foresees. */
  placeholders = new Uint8Array(16);
  isEnding = new Uint8Array(16);
  unforeseen = new Uint8Array(16);
  /** Schedule() call that gave this slot tokens. */
  stamp = new Float64Array(16);
  next = new Int32Array(16);
  prev = new Int32Array(16);
  capacity = 16;
  private freeHead = NONE;
  private used = 0;

  alloc(): number {
    let s = this.freeHead;
    if (s !== NONE) this.freeHead = this.next[s]!;
    else {
      s = this.used++;
      if (s === this.capacity) this.widen();
    }
    this.out[s] = 0;
    this.computed[s] = 0;
    this.held[s] = 0;
    this.entered[s] = 0;
    this.tag[s] = 0;
    this.preemptions[s] = 0;
    this.doneTo[s] = 0;
    this.lastToken[s] = 0;
    this.hint[s] = NONE;
    this.hitHbm[s] = 0;
    this.hitHost[s] = 0;
    this.loaded[s] = 0;
    this.offered[s] = 0;
    this.hostHint[s] = NONE;
    this.stores[s] = 0;
    this.placeholders[s] = 0;
    this.isEnding[s] = 0;
    this.stamp[s] = 0;
    return s;
  }

  dispose(s: number): void {
    this.next[s] = this.freeHead;
    this.freeHead = s;
  }

  private widen(): void {
    this.capacity *= 2;
    for (const [name, column] of Object.entries(this)) {
      if (!ArrayBuffer.isView(column)) continue;
      const old = column as Int32Array;
      const wide = new (old.constructor as Int32ArrayConstructor)(this.capacity);
      wide.set(old);
      (this as unknown as Record<string, Int32Array>)[name] = wide;
    }
  }
}

/** A doubly linked list of slots over the shared link columns. */
export class SlotList {
  head = NONE;
  tail = NONE;
  count = 0;
  private readonly slots: RequestSlots;

  constructor(slots: RequestSlots) {
    this.slots = slots;
  }

  /** Puts a slot behind `prev`; NONE = at the head. */
  insert(s: number, prev: number): void {
    const { slots } = this;
    const next = prev === NONE ? this.head : slots.next[prev]!;
    slots.prev[s] = prev;
    slots.next[s] = next;
    if (prev === NONE) this.head = s;
    else slots.next[prev] = s;
    if (next === NONE) this.tail = s;
    else slots.prev[next] = s;
    this.count++;
  }

  push(s: number): void {
    this.insert(s, this.tail);
  }

  /** Puts a slot at its place in the order (priority, arrival, id), searched from the tail. */
  insertByKey(s: number): void {
    const { slots } = this;
    let prev = this.tail;
    while (prev !== NONE && comesBefore(slots, s, prev)) prev = slots.prev[prev]!;
    this.insert(s, prev);
  }

  remove(s: number): void {
    const { slots } = this;
    const prev = slots.prev[s]!;
    const next = slots.next[s]!;
    if (prev === NONE) this.head = next;
    else slots.next[prev] = next;
    if (next === NONE) this.tail = prev;
    else slots.prev[next] = prev;
    this.count--;
  }

  clear(): void {
    this.head = NONE;
    this.tail = NONE;
    this.count = 0;
  }
}

/** Order of the priority policy: (priority, arrival, id), smaller first. */
export function comesBefore(slots: RequestSlots, a: number, b: number): boolean {
  if (slots.priority[a] !== slots.priority[b]) return slots.priority[a]! < slots.priority[b]!;
  if (slots.arrival[a] !== slots.arrival[b]) return slots.arrival[a]! < slots.arrival[b]!;
  return slots.id[a]! < slots.id[b]!;
}
