/** A per-block pool with physical ids, as plain as possible: the model that the segment pool is tested against. */
import type { BranchTable } from '../../../control/blocks.ts';

/** Blocks with ids, a free queue, and a map from content to the blocks that hold it, oldest first. */
export class NaivePool {
  readonly queue: number[] = [];
  readonly ref: number[] = [];
  readonly hash: (string | null)[] = [];
  readonly cached = new Map<string, number[]>();
  /** `+hash` and `-hash` in order of occurrence. */
  readonly events: string[] = [];
  private readonly branches: BranchTable;

  constructor(branches: BranchTable, usable: number) {
    this.branches = branches;
    for (let i = 0; i < usable; i++) {
      this.queue.push(i);
      this.ref.push(0);
      this.hash.push(null);
    }
  }

  /** Content of block `i` of a chain. */
  key(leaf: number, i: number): string {
    const b = this.branches.at(leaf, i + 1);
    return `${b}:${i - this.branches.start[b]!}`;
  }

  hits(leaf: number, depth: number): number[] {
    const table: number[] = [];
    for (let i = 0; i < depth; i++) {
      const ids = this.cached.get(this.key(leaf, i));
      if (ids === undefined) break;
      table.push(ids[0]!);
    }
    return table;
  }

  touch(ids: number[]): void {
    for (const id of ids) {
      if (this.ref[id] === 0) this.queue.splice(this.queue.indexOf(id), 1);
      this.ref[id]!++;
    }
  }

  take(n: number): number[] {
    const ids = this.queue.splice(0, n);
    for (const id of ids) {
      this.ref[id] = 1;
      this.forget(id);
    }
    return ids;
  }

  private forget(id: number): void {
    const hash = this.hash[id]!;
    if (hash === null) return;
    const ids = this.cached.get(hash)!;
    ids.splice(ids.indexOf(id), 1);
    if (ids.length === 0) this.cached.delete(hash);
    this.hash[id] = null;
    this.events.push(`-${hash}`);
  }

  enter(id: number, leaf: number, i: number): void {
    const hash = this.key(leaf, i);
    this.hash[id] = hash;
    const ids = this.cached.get(hash);
    if (ids === undefined) this.cached.set(hash, [id]);
    else ids.push(id);
    this.events.push(`+${hash}`);
  }

  release(table: number[]): void {
    const front: number[] = [];
    for (const id of [...table].reverse()) {
      if (--this.ref[id]! > 0) continue;
      if (this.hash[id] === null) front.push(id);
      else this.queue.push(id);
    }
    this.queue.unshift(...front);
  }
}
