/**
 * Per branch, which ranks hold something and one integer value each. Shared by every tier of the index and by the bookings.
 *
 * Layout: all lists live in one Int32Array arena, found by `head[branch]` (0 = none).
 *
 *     sparse   [ count, class k, rank, value, rank, value, … ]     room for 2^k pairs
 *     dense    [ count, -1, value of rank 0, value of rank 1, … ]  one word per rank
 *
 * A list is dense when more than max(4, ranks/8) ranks are in it, so a system prompt that everybody holds is read by rank and
 * never walked pair by pair. Value 0 means absent. Source: data-structures specification 3.
 */
import { grownSparse } from '../sparse-growth.ts';
import { widened } from '../widened.ts';

const HEADER = 2;
const DENSE = -1;
const MIN_DENSE = 4;

/** Branch to (rank, value) pairs. Values are any non-zero int32. */
export class RankLists {
  /** Arena offset of a branch's list, 0 = none. Shape [branches seen]. */
  head: Int32Array<ArrayBuffer> = new Int32Array(64);
  /** All lists; replaced when it grows, so re-read it after a `set`. */
  arena: Int32Array<ArrayBuffer> = new Int32Array(1024);
  /** Pairs in all lists. */
  pairs = 0;
  /** Ranks a dense list has room for. */
  rankRoom: number;
  #top = 1;
  #free: number[][] = [];
  #freeDense: number[] = [];
  /** Pairs above which a list becomes dense. */
  #denseAbove = MIN_DENSE;

  constructor(rankRoom = 16) {
    this.rankRoom = rankRoom;
    this.#denseAbove = Math.max(MIN_DENSE, rankRoom >> 3);
  }

  /** Value of (branch, rank), 0 = absent. Cost O(1) dense, O(pairs of the branch) sparse. */
  get(branch: number, rank: number): number {
    const at = this.find(branch, rank);
    return at < 0 ? 0 : this.arena[at]!;
  }

  /** Arena offset of the value of (branch, rank), or -1; valid until the next `set`. */
  find(branch: number, rank: number): number {
    const head = branch < this.head.length ? this.head[branch]! : 0;
    if (head === 0) return -1;
    const arena = this.arena;
    if (arena[head + 1] === DENSE) return rank < this.rankRoom ? head + HEADER + rank : -1;
    const end = head + HEADER + 2 * arena[head]!;
    for (let i = head + HEADER; i < end; i += 2) if (arena[i] === rank) return i + 1;
    return -1;
  }

  /** True if the branch has a list that is read by rank. */
  isDense(branch: number): boolean {
    const head = branch < this.head.length ? this.head[branch]! : 0;
    return head !== 0 && this.arena[head + 1] === DENSE;
  }

  /** Stores a value, 0 removes it. Cost as {@link get}, amortised. */
  set(branch: number, rank: number, value: number): void {
    if (rank >= this.rankRoom) this.widenRanks(rank + 1);
    const at = this.find(branch, rank);
    if (at >= 0) {
      const old = this.arena[at]!;
      if (value !== 0 && old !== 0) this.arena[at] = value;
      else if (value !== old) this.#toggle(branch, at, value);
    } else if (value !== 0) this.#append(branch, rank, value);
  }

  /** Room for ranks below `ranks`, so that dense lists may be read for each of them. Moves every dense list if there was less. */
  widenRanks(ranks: number): void {
    const old = this.rankRoom;
    if (ranks <= old) return;
    let room = old;
    while (room < ranks) room *= 2;
    this.rankRoom = room;
    this.#denseAbove = Math.max(MIN_DENSE, room >> 3);
    this.#freeDense = [];
    for (let branch = 0; branch < this.head.length; branch++) {
      const head = this.head[branch]!;
      if (head === 0 || this.arena[head + 1] !== DENSE) continue;
      const wide = this.#takeDense();
      this.arena[wide] = this.arena[head]!;
      this.arena.copyWithin(wide + HEADER, head + HEADER, head + HEADER + old);
      this.head[branch] = wide;
    }
  }

  /** Visits every (branch, value) of a rank. Cost O(all pairs); for rare events only. The visitor may `set` the visited pair. */
  forRank(rank: number, visit: (branch: number, value: number) => void): void {
    const branches = this.head.length;
    for (let branch = 0; branch < branches; branch++) {
      if (this.head[branch] === 0) continue;
      const value = this.get(branch, rank);
      if (value !== 0) visit(branch, value);
    }
  }

  /** Appears or disappears at a known place. */
  #toggle(branch: number, at: number, value: number): void {
    const head = this.head[branch]!;
    const arena = this.arena;
    if (arena[head + 1] === DENSE) {
      arena[at] = value;
      const count = arena[head]! + (value === 0 ? -1 : 1);
      arena[head] = count;
      this.pairs += value === 0 ? -1 : 1;
      if (2 * count < this.#denseAbove) this.#thin(branch);
      return;
    }
    const count = arena[head]! - 1;
    const last = head + HEADER + 2 * count;
    arena[at - 1] = arena[last]!;
    arena[at] = arena[last + 1]!;
    arena[head] = count;
    this.pairs--;
    if (count === 0) {
      this.#release(head);
      this.head[branch] = 0;
    }
  }

  #append(branch: number, rank: number, value: number): void {
    if (branch >= this.head.length) this.head = grownSparse(this.head, branch + 1);
    let head = this.head[branch]!;
    this.pairs++;
    if (head === 0) {
      head = this.#take(0);
      this.head[branch] = head;
    }
    const count = this.arena[head]!;
    if (count >= this.#denseAbove) {
      head = this.#thicken(branch);
      this.arena[head + HEADER + rank] = value;
      this.arena[head] = count + 1;
      return;
    }
    const room = this.arena[head + 1]!;
    if (count === 1 << room) {
      const wide = this.#take(room + 1);
      this.arena.copyWithin(wide + HEADER, head + HEADER, head + HEADER + 2 * count);
      this.#release(head);
      this.head[branch] = wide;
      head = wide;
    }
    const at = head + HEADER + 2 * count;
    this.arena[at] = rank;
    this.arena[at + 1] = value;
    this.arena[head] = count + 1;
  }

  #thicken(branch: number): number {
    const old = this.head[branch]!;
    const dense = this.#takeDense();
    const arena = this.arena;
    const count = arena[old]!;
    arena[dense] = count;
    for (let i = 0; i < count; i++) arena[dense + HEADER + arena[old + HEADER + 2 * i]!] = arena[old + HEADER + 2 * i + 1]!;
    this.#release(old);
    this.head[branch] = dense;
    return dense;
  }

  #thin(branch: number): void {
    const old = this.head[branch]!;
    const count = this.arena[old]!;
    let room = 0;
    while (1 << room < count) room++;
    const sparse = this.#take(room);
    const arena = this.arena;
    let at = sparse + HEADER;
    for (let rank = 0; rank < this.rankRoom; rank++) {
      const value = arena[old + HEADER + rank]!;
      if (value === 0) continue;
      arena[at] = rank;
      arena[at + 1] = value;
      at += 2;
    }
    arena[sparse] = count;
    this.#release(old);
    this.head[branch] = sparse;
    if (count === 0) {
      this.#release(sparse);
      this.head[branch] = 0;
    }
  }

  #take(room: number): number {
    const head = this.#free[room]?.pop() ?? this.#carve(HEADER + 2 * (1 << room));
    this.arena[head] = 0;
    this.arena[head + 1] = room;
    return head;
  }

  #takeDense(): number {
    const head = this.#freeDense.pop() ?? this.#carve(HEADER + this.rankRoom);
    this.arena.fill(0, head, head + HEADER + this.rankRoom);
    this.arena[head + 1] = DENSE;
    return head;
  }

  #release(head: number): void {
    const room = this.arena[head + 1]!;
    if (room === DENSE) this.#freeDense.push(head);
    else (this.#free[room] ??= []).push(head);
  }

  #carve(words: number): number {
    const head = this.#top;
    this.#top += words;
    if (this.#top > this.arena.length) this.arena = roomFor(this.arena, this.#top);
    return head;
  }
}

function roomFor(column: Int32Array<ArrayBuffer>, needed: number): Int32Array<ArrayBuffer> {
  let size = column.length * 2;
  while (size < needed) size *= 2;
  return widened(column, size);
}
