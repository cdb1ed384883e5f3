import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, Millis, RankId, SessionId } from '../ports.ts';

/** A context that is moved between tiers at a time unless its session has come back by then. */
export interface PlannedMove {
  readonly rank: RankId;
  readonly session: SessionId;
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
  readonly atMs: Millis;
  /** How long the copy where it goes is worth keeping. */
  readonly untilMs: Millis;
}

interface Entry extends PlannedMove {
  isOpen: boolean;
}

/** Moves by time, called off when a request continues the context. Cost O(log n) per plan, O(plans of the session) per request. */
export class MoveQueue {
  readonly #branches: BranchTable;
  readonly #heap: Entry[] = [];
  readonly #sessions = new Map<SessionId, Entry[]>();

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** When the next one is due; Infinity if none. */
  get wakeMs(): Millis {
    this.#skim();
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0]!.atMs;
  }

  plan(move: PlannedMove): void {
    const entry: Entry = { ...move, isOpen: true };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (heap[up]!.atMs <= entry.atMs) break;
      heap[i] = heap[up]!;
      i = up;
    }
    heap[i] = entry;
    const list = this.#sessions.get(entry.session);
    if (list === undefined) this.#sessions.set(entry.session, [entry]);
    else list.push(entry);
  }

  /** A request of the session went out: what it continues, at least half of it, stays. */
  resumed(session: SessionId, branch: BranchId, depthBlocks: Blocks): void {
    this.#close(session, (e) => 2 * this.#branches.commonDepth(e.branch, e.depthBlocks, branch, depthBlocks) >= e.depthBlocks);
  }

  closed(session: SessionId): void {
    this.#close(session, () => true);
  }

  /** Takes out the next one that is due. */
  due(nowMs: Millis): PlannedMove | undefined {
    this.#skim();
    if (this.#heap.length === 0 || this.#heap[0]!.atMs > nowMs) return undefined;
    const entry = this.#pop();
    this.#close(entry.session, (e) => e === entry);
    return entry;
  }

  #close(session: SessionId, ends: (entry: Entry) => boolean): void {
    const list = this.#sessions.get(session);
    if (list === undefined) return;
    const rest = list.filter((entry) => !ends(entry));
    for (const entry of list) if (!rest.includes(entry)) entry.isOpen = false;
    if (rest.length === 0) this.#sessions.delete(session);
    else this.#sessions.set(session, rest);
  }

  #skim(): void {
    while (this.#heap.length > 0 && !this.#heap[0]!.isOpen) this.#pop();
  }

  #pop(): Entry {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child++;
      if (heap[child]!.atMs >= last.atMs) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
