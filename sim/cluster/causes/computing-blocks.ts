/**
 * Prompt blocks that admitted requests are computing now: from admission until the first token, or until the request is preempted or
 * ends. An entry is a range of own blocks of one branch; the part before `done` was published by the worker that computes it.
 * Private branches have none: nobody else can ask for them.
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable } from '../../../control/blocks.ts';
import { grownSparse } from '../../../control/sparse-growth.ts';
import { widened } from '../../../control/widened.ts';

/** No entry: entry 0 is never used, so that columns by branch are mostly zero. */
const NONE = 0;

/** Entries by branch and by request. 28 B per entry; there are as many as prefills under way. */
export class ComputingBlocks {
  readonly #branches: BranchTable;
  #head = new Int32Array(1024);
  /** First entry of a request (attempt). */
  readonly #requests = new Map<number, number>();
  #branch = new Int32Array(64);
  #rank = new Int32Array(64);
  #done = new Int32Array(64);
  #to = new Int32Array(64);
  /** Next entry of the branch, and of the request. */
  #next = new Int32Array(64);
  #nextOfRequest = new Int32Array(64);
  #free = NONE;
  #used = 1;

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** A request on a rank computes blocks [fromBlocks, depthBlocks) of a chain. Cost O(branches in that part). */
  begin(request: number, rank: number, branch: BranchId, depthBlocks: number, fromBlocks: number): void {
    const { start, parent, flags } = this.#branches;
    let end = depthBlocks;
    for (let b = this.#branches.at(branch, depthBlocks); b >= 0 && end > fromBlocks; b = parent[b]!) {
      const first = start[b]!;
      if (end <= first) continue;
      if ((flags[b]! & BRANCH_PRIVATE) === 0) this.#add(request, rank, b, Math.max(0, fromBlocks - first), end - first);
      end = first;
    }
  }

  /** It computes nothing any more. */
  end(request: number): void {
    let e = this.#requests.get(request);
    if (e === undefined) return;
    this.#requests.delete(request);
    while (e !== NONE) {
      const following: number = this.#nextOfRequest[e]!;
      this.#unlink(e);
      e = following;
    }
  }

  /** A worker published own blocks [.., to) of a branch. */
  stored(rank: number, branch: BranchId, to: number): void {
    for (let e = this.first(branch); e !== NONE; e = this.#next[e]!) {
      if (this.#rank[e] === rank && this.#done[e]! < to) this.#done[e] = Math.min(to, this.#to[e]!);
    }
  }

  /** First entry of a branch, 0 = none; go on with {@link next}. */
  first(branch: BranchId): number {
    return branch < this.#head.length ? this.#head[branch]! : NONE;
  }

  next(entry: number): number {
    return this.#next[entry]!;
  }

  rank(entry: number): number {
    return this.#rank[entry]!;
  }

  /** The entry's own blocks [done, to) are being computed. */
  done(entry: number): number {
    return this.#done[entry]!;
  }

  to(entry: number): number {
    return this.#to[entry]!;
  }

  #add(request: number, rank: number, branch: BranchId, from: number, to: number): void {
    if (branch >= this.#head.length) this.#head = grownSparse(this.#head, branch + 1);
    let e = this.#free;
    if (e !== NONE) this.#free = this.#next[e]!;
    else {
      e = this.#used++;
      if (e === this.#branch.length) this.#grow();
    }
    this.#branch[e] = branch;
    this.#rank[e] = rank;
    this.#done[e] = from;
    this.#to[e] = to;
    this.#next[e] = this.#head[branch]!;
    this.#head[branch] = e;
    this.#nextOfRequest[e] = this.#requests.get(request) ?? NONE;
    this.#requests.set(request, e);
  }

  #unlink(e: number): void {
    const branch = this.#branch[e]!;
    if (this.#head[branch] === e) this.#head[branch] = this.#next[e]!;
    else {
      let before = this.#head[branch]!;
      while (this.#next[before] !== e) before = this.#next[before]!;
      this.#next[before] = this.#next[e]!;
    }
    this.#next[e] = this.#free;
    this.#free = e;
  }

  #grow(): void {
    const size = this.#branch.length * 2;
    this.#branch = widened(this.#branch, size);
    this.#rank = widened(this.#rank, size);
    this.#done = widened(this.#done, size);
    this.#to = widened(this.#to, size);
    this.#next = widened(this.#next, size);
    this.#nextOfRequest = widened(this.#nextOfRequest, size);
  }
}
