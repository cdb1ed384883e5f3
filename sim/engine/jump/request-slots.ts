/**
 * Requests in the engines of a fleet. A request is a slot, a row of 176 bytes in one memory, so that an effect on it reads a few cache
 * lines and not one per fact; a column is a view that begins at the place of its fact in the row. The id of a slot is the position of its row,
 * a multiple of 44, and freed rows are used again by any worker:
 *
 *     slot           0        44       88     …
 *     prompt      [ 8000 |  96000 |     -  | … ]      constant facts
 *     computed    [ 8000 |  32768 |     -  | … ]      state; of slots in the decode set it follows from decode-set.ts instead
 *     next/prev   [   44 |     -1 |     -  | … ]      neighbours in the one queue or running list the slot is in
 *
 * Eight-byte facts lie at half the id and are read and written through methods.
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

/** Distance of two ids, in ints. */
const ROW = 44;

export class RequestSlots {
  // Places 0-9 of a row: five eight-byte facts.
  private priorities = new Float64Array(0);
  private arrivals = this.priorities;
  private lastTokens = this.priorities;
  private offsets = this.priorities;
  private finishes = this.priorities;
  id = new Int32Array(0);
  session = this.id;
  leaf = this.id;
  prompt = this.id;
  /** Tokens to produce after the limits. */
  limit = this.id;
  /** Reason of a regular end: index in ENDINGS. */
  ending = this.id;
  state = this.id;
  /** Tokens produced; tokens with KV; blocks in the table; leading blocks of it that are in the cache. */
  out = this.id;
  computed = this.id;
  held = this.id;
  entered = this.id;
  /** Admission that owns later copies, 0 = none (segment-pool.ts). */
  tag = this.id;
  preemptions = this.id;
  /** Token positions below this were covered by completed steps. */
  doneTo = this.id;
  /** Place in the order of admissions = order of the running list. */
  order = this.id;
  /** Segment that ended with the request's last entered block. */
  hint = this.id;
  /** Host tier: tokens found by the lookup of a restore, its transfer state, blocks offered for store, stores in flight. */
  hitHbm = this.id;
  hitHost = this.id;
  loaded = this.id;
  offered = this.id;
  /** Segment of the host tier near the last offered block. */
  hostHint = this.id;
  stores = this.id;
  /** Asynchronous scheduling: tokens sampled but not known yet; last token in flight; the end is a stop token that nobody foresees. */
  placeholders = this.id;
  isEnding = this.id;
  unforeseen = this.id;
  /** Schedule() call that gave this slot tokens. */
  stamp = this.id;
  next = this.id;
  prev = this.id;
  /** Decode set (decode-set.ts): neighbours in the phase, position in the heap (NONE = not a member), 1 = writes for others too. */
  phaseNext = this.id;
  phasePrev = this.id;
  place = this.id;
  shared = this.id;
  /** Worker of a slot in use; NONE = free. */
  private owner = this.id;
  private all = this.id;
  private capacity = 0;
  private freeHead = NONE;
  private used = 0;

  constructor() {
    this.resize(16);
  }

  /** A slot of this worker for a request of a session, in no queue. */
  alloc(worker: number, session: number): number {
    let s = this.freeHead;
    if (s !== NONE) this.freeHead = this.next[s]!;
    else {
      if (this.used === this.capacity) this.resize(this.capacity * 2);
      s = this.used++ * ROW;
    }
    this.owner[s] = worker;
    this.session[s] = session;
    this.out[s] = 0;
    this.computed[s] = 0;
    this.held[s] = 0;
    this.entered[s] = 0;
    this.tag[s] = 0;
    this.preemptions[s] = 0;
    this.doneTo[s] = 0;
    this.lastTokens[s >> 1] = 0;
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
    this.place[s] = NONE;
    return s;
  }

  dispose(s: number): void {
    this.owner[s] = NONE;
    this.next[s] = this.freeHead;
    this.freeHead = s;
  }

  /** Frees every slot of a worker that is gone, lingering ones too. Cost O(slots of the fleet). */
  disposeOf(worker: number): void {
    for (let i = 0; i < this.used; i++) if (this.owner[i * ROW] === worker) this.dispose(i * ROW);
  }

  /** Slots in use. Cost O(slots). */
  get live(): number {
    let live = 0;
    for (let i = 0; i < this.used; i++) if (this.owner[i * ROW] !== NONE) live++;
    return live;
  }

  /** What the caller asked for; smaller goes first. */
  priority(s: number): number {
    return this.priorities[s >> 1]!;
  }

  /** Arrival at the worker, ms. */
  arrivalMs(s: number): number {
    return this.arrivals[s >> 1]!;
  }

  setRank(s: number, priority: number, arrivalMs: number): void {
    this.priorities[s >> 1] = priority;
    this.arrivals[s >> 1] = arrivalMs;
  }

  /** Time of the last token, ms. */
  lastTokenMs(s: number): number {
    return this.lastTokens[s >> 1]!;
  }

  setLastToken(s: number, ms: number): void {
    this.lastTokens[s >> 1] = ms;
  }

  /** Of a member of the decode set: resident tokens minus the set's iter. */
  offset(s: number): number {
    return this.offsets[s >> 1]!;
  }

  /** Of a member of the decode set: iter after which it has produced its last token. */
  finish(s: number): number {
    return this.finishes[s >> 1]!;
  }

  setCourse(s: number, offset: number, finish: number): void {
    this.offsets[s >> 1] = offset;
    this.finishes[s >> 1] = finish;
  }

  private resize(rows: number): void {
    const old = this.all;
    const buffer = new ArrayBuffer(rows * ROW * 4);
    this.all = new Int32Array(buffer);
    this.all.set(old);
    const doubles = (place: number) => new Float64Array(buffer, place * 4, (rows * ROW - place) >> 1);
    this.priorities = doubles(0);
    this.arrivals = doubles(2);
    this.lastTokens = doubles(4);
    this.offsets = doubles(6);
    this.finishes = doubles(8);
    const ints = (place: number) => new Int32Array(buffer, place * 4, rows * ROW - place);
    this.id = ints(10);
    this.leaf = ints(11);
    this.prompt = ints(12);
    this.limit = ints(13);
    this.ending = ints(14);
    this.state = ints(15);
    this.out = ints(16);
    this.computed = ints(17);
    this.held = ints(18);
    this.entered = ints(19);
    this.tag = ints(20);
    this.preemptions = ints(21);
    this.doneTo = ints(22);
    this.order = ints(23);
    this.hint = ints(24);
    this.hitHbm = ints(25);
    this.hitHost = ints(26);
    this.loaded = ints(27);
    this.offered = ints(28);
    this.hostHint = ints(29);
    this.stores = ints(30);
    this.stamp = ints(31);
    this.next = ints(32);
    this.prev = ints(33);
    this.phaseNext = ints(34);
    this.phasePrev = ints(35);
    this.place = ints(36);
    this.shared = ints(37);
    this.owner = ints(38);
    this.placeholders = ints(39);
    this.isEnding = ints(40);
    this.unforeseen = ints(41);
    this.session = ints(42);
    this.capacity = rows;
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
  if (slots.priority(a) !== slots.priority(b)) return slots.priority(a) < slots.priority(b);
  if (slots.arrivalMs(a) !== slots.arrivalMs(b)) return slots.arrivalMs(a) < slots.arrivalMs(b);
  return slots.id[a]! < slots.id[b]!;
}
