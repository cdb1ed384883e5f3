/**
 * Waiting requests in classes. Each class has a shared lane and one lane per pinned rank, each a heap by (strict priority, key,
 * earlier entry); the best head among the lanes that may go represents the class, and classes take turns (class-turns).
 * Source: router specification 6, 5.2.1.
 */
import type { RankId, Tokens } from '../ports.ts';
import { ClassTurns } from './class-turns.ts';
import type { QueueClass, QueueFull, QueueProfile, QueueRecheck } from './queue-profile.ts';

/** One waiting request. */
export interface QueueEntry<T> {
  readonly item: T;
  readonly classIndex: number;
  /** Higher first, before any key. */
  readonly strict: number;
  /** Higher first. */
  readonly key: number;
  readonly promptTokens: Tokens;
  /** <= promptTokens. */
  readonly cachedTokens: Tokens;
  /** Lane: the rank it is pinned to, -1 = the shared lane. */
  readonly lane: number;
  /** Order of entry, set by the queue. */
  sequence: number;
}

/** A new entry, outside of any queue. */
export type NewEntry<T> = Omit<QueueEntry<T>, 'sequence'>;

interface Backlog<T> {
  readonly limits: QueueClass;
  readonly lanes: Map<number, Lane<T>>;
  requests: number;
  promptTokens: Tokens;
  cachedTokens: Tokens;
}

/** The queue. `push` O(log lane), `pop` O(classes + lanes + log lane), and O(lanes) for each lane that it finds blocked by `events`. */
export class PolicyQueue<T> {
  readonly #classes: Backlog<T>[];
  readonly #turns: ClassTurns;
  /** Scratch of `pop`. */
  readonly #cost: Float64Array;
  readonly #head: (Lane<T> | null)[];
  readonly #remembers: boolean;
  #sequence = 0;
  #size = 0;

  constructor(profile: QueueProfile, recheck: QueueRecheck = 'always') {
    this.#remembers = recheck === 'events';
    this.#classes = profile.classes.map((limits) => ({ limits, lanes: new Map(), requests: 0, promptTokens: 0, cachedTokens: 0 }));
    this.#turns = new ClassTurns(profile.classes.map((one) => one.quantumTokens));
    this.#cost = new Float64Array(profile.classes.length);
    this.#head = profile.classes.map(() => null);
  }

  /** Entries waiting, cancelled ones included until they are popped. */
  get size(): number {
    return this.#size;
  }

  /** The limit that a class has reached with `workers` workers; null = it takes one more, however large. O(1). */
  full(classIndex: number, workers: number): QueueFull | null {
    const { limits, requests, promptTokens, cachedTokens } = this.#classes[classIndex]!;
    return (
      reached('requests', requests, limits.maxRequests, workers) ??
      reached('promptTokens', promptTokens, limits.maxPromptTokens, workers) ??
      reached('cachedTokens', cachedTokens, limits.maxCachedTokens, workers)
    );
  }

  /** Adds an entry, whatever the limits say. */
  push(entry: NewEntry<T>): QueueEntry<T> {
    const whole: QueueEntry<T> = { ...entry, sequence: this.#sequence++ };
    const backlog = this.#classes[entry.classIndex]!;
    let lane = backlog.lanes.get(entry.lane);
    if (lane === undefined) backlog.lanes.set(entry.lane, (lane = new Lane()));
    lane.push(whole);
    backlog.requests++;
    backlog.promptTokens += entry.promptTokens;
    backlog.cachedTokens += entry.cachedTokens;
    this.#size++;
    return whole;
  }

  /** Takes the next entry among the heads of lanes for which `mayGo` holds; undefined if there is none. `mayGo` must be pure. */
  pop(mayGo: (head: QueueEntry<T>) => boolean): QueueEntry<T> | undefined {
    const n = this.#classes.length;
    for (let c = 0; c < n; c++) {
      const lane = this.#bestLane(c, mayGo);
      this.#head[c] = lane;
      this.#cost[c] = lane === null ? Number.POSITIVE_INFINITY : cost(lane.head!);
    }
    const chosen = this.#turns.choose(this.#cost);
    if (chosen < 0) return undefined;
    const backlog = this.#classes[chosen]!;
    const lane = this.#head[chosen]!;
    const entry = lane.pop()!;
    if (lane.head === undefined) backlog.lanes.delete(entry.lane);
    backlog.requests--;
    backlog.promptTokens -= entry.promptTokens;
    backlog.cachedTokens -= entry.cachedTokens;
    this.#size--;
    this.#turns.charge(chosen, cost(entry), backlog.requests === 0);
    return entry;
  }

  /** The lane of a rank may go again, or every lane if none is given. O(classes), O(lanes) for all. */
  recheck(rank?: RankId): void {
    if (!this.#remembers) return;
    for (const { lanes } of this.#classes) {
      if (rank !== undefined) lanes.get(rank)?.unblock();
      else for (const lane of lanes.values()) lane.unblock();
    }
  }

  #bestLane(classIndex: number, mayGo: (head: QueueEntry<T>) => boolean): Lane<T> | null {
    const { lanes } = this.#classes[classIndex]!;
    if (this.#remembers) return this.#bestRemembering(lanes, mayGo);
    let best: Lane<T> | null = null;
    for (const lane of lanes.values()) {
      if ((best === null || isBefore(lane.head!, best.head!)) && mayGo(lane.head!)) best = lane;
    }
    return best;
  }

  /** Looks at pinned lanes best head first until one may go; those found blocked are not looked at again before a recheck. */
  #bestRemembering(lanes: ReadonlyMap<number, Lane<T>>, mayGo: (head: QueueEntry<T>) => boolean): Lane<T> | null {
    const shared = lanes.get(SHARED);
    const open = shared !== undefined && mayGo(shared.head!) ? shared : null;
    for (let pinned = bestPinned(lanes); pinned !== null; pinned = bestPinned(lanes)) {
      if (mayGo(pinned.head!)) return open !== null && isBefore(open.head!, pinned.head!) ? open : pinned;
      pinned.isBlocked = true;
    }
    return open;
  }
}

/** Lane of the requests that any rank may serve. */
const SHARED = -1;

/** The pinned lane with the best head among those not known to be blocked. */
function bestPinned<T>(lanes: ReadonlyMap<number, Lane<T>>): Lane<T> | null {
  let best: Lane<T> | null = null;
  for (const [rank, lane] of lanes) {
    if (rank !== SHARED && !lane.isBlocked && (best === null || isBefore(lane.head!, best.head!))) best = lane;
  }
  return best;
}

/** Uncached tokens, at least one: what serving the entry costs its class. */
function cost(entry: QueueEntry<unknown>): number {
  return Math.max(1, entry.promptTokens - entry.cachedTokens);
}

function reached(kind: QueueFull['kind'], current: number, perWorker: number | undefined, workers: number): QueueFull | null {
  if (perWorker === undefined) return null;
  const limit = perWorker * workers;
  return current >= limit ? { kind, current, limit } : null;
}

/** Whether `a` goes before `b`; a total order. */
export function isBefore(a: QueueEntry<unknown>, b: QueueEntry<unknown>): boolean {
  if (a.strict !== b.strict) return a.strict > b.strict;
  if (a.key !== b.key) return a.key > b.key;
  return a.sequence < b.sequence;
}

/** Binary heap of entries. */
class Lane<T> {
  /** Found blocked, and not to be looked at before an event says so. */
  isBlocked = false;
  readonly #heap: QueueEntry<T>[] = [];

  get head(): QueueEntry<T> | undefined {
    return this.#heap[0];
  }

  unblock(): void {
    this.isBlocked = false;
  }

  push(entry: QueueEntry<T>): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  pop(): QueueEntry<T> | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
