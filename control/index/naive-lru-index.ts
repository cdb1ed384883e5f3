/**
 * The obviously right LRU index that tests hold the fast one to: every copy of every block as an object in one list per rank.
 * Source: router specification 5.2.1 (`lru`).
 */
import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, MatchColumns, RankId } from '../ports.ts';
import type { LruStats } from './lru-index.ts';
import { clearMatch } from './match-columns.ts';

interface Copy {
  /** Block name `<branch>:<own offset>`. */
  readonly block: string;
  readonly depth: number;
  readonly serial: number;
  users: number;
  /** When its last user let go; meaningless while in use. */
  epoch: number;
}

interface Lease {
  readonly rank: RankId;
  readonly copies: Copy[];
  privateBlocks: Blocks;
  missed: boolean;
}

/** Cost O(copies) everywhere. */
export class NaiveLruIndex {
  readonly #branches: BranchTable;
  readonly #copies: Copy[][] = [];
  readonly #capacity: number[] = [];
  readonly #leases = new Map<number, Lease>();
  #serial = 0;
  #epoch = 0;

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  setCapacity(rank: RankId, blocks: Blocks): void {
    this.#capacity[rank] = blocks;
    this.#evict(rank);
  }

  acquire(attempt: number, rank: RankId, branch: BranchId, depthBlocks: Blocks, privateBlocks: Blocks): void {
    const lease: Lease = { rank, copies: [], privateBlocks, missed: false };
    this.#leases.set(attempt, lease);
    this.#extend(lease, branch, depthBlocks);
  }

  materialize(attempt: number, branch: BranchId, depthBlocks: Blocks, privateBlocks: Blocks): void {
    const lease = this.#leases.get(attempt);
    if (lease === undefined) return;
    lease.privateBlocks = privateBlocks;
    this.#extend(lease, branch, depthBlocks);
  }

  release(attempt: number): void {
    const lease = this.#leases.get(attempt);
    if (lease === undefined) return;
    this.#leases.delete(attempt);
    this.#epoch++;
    for (const copy of lease.copies) {
      copy.users--;
      copy.epoch = this.#epoch;
    }
    this.#evict(lease.rank);
  }

  dropRank(rank: RankId): void {
    for (const [attempt, lease] of this.#leases) if (lease.rank === rank) this.#leases.delete(attempt);
    this.#copies[rank] = [];
  }

  stats(rank: RankId): LruStats {
    const copies = this.#copies[rank] ?? [];
    let privateBlocks = 0;
    for (const lease of this.#leases.values()) if (lease.rank === rank) privateBlocks += lease.privateBlocks;
    const active = copies.filter((copy) => copy.users > 0).length + privateBlocks;
    const resident = copies.length + privateBlocks;
    const over = Math.max(0, resident - (this.#capacity[rank] ?? Number.POSITIVE_INFINITY));
    return { active, inactive: resident - active, over, private: privateBlocks, resident };
  }

  match(branch: BranchId, depthBlocks: Blocks, match: MatchColumns): void {
    clearMatch(match);
    for (const [rank, copies] of this.#copies.entries()) {
      let n = 0;
      while (n < depthBlocks && copies?.some((copy) => copy.block === this.#name(branch, n)) === true) n++;
      match.hbm[rank] = n;
      if (n > 0) match.touched[match.touchedCount++] = rank;
    }
  }

  #extend(lease: Lease, branch: BranchId, depthBlocks: Blocks): void {
    const copies = (this.#copies[lease.rank] ??= []);
    for (let depth = lease.copies.length; depth < depthBlocks; depth++) {
      const block = this.#name(branch, depth);
      let copy = lease.missed ? undefined : copies.find((one) => one.block === block);
      if (copy === undefined) {
        lease.missed = true;
        copy = { block, depth, serial: this.#serial++, users: 0, epoch: 0 };
        copies.push(copy);
      }
      copy.users++;
      lease.copies.push(copy);
    }
    this.#evict(lease.rank);
  }

  #evict(rank: RankId): void {
    const copies = (this.#copies[rank] ??= []);
    while (this.stats(rank).over > 0) {
      const idle = copies.filter((copy) => copy.users === 0);
      if (idle.length === 0) return;
      idle.sort((a, b) => a.epoch - b.epoch || b.depth - a.depth || a.serial - b.serial);
      copies.splice(copies.indexOf(idle[0]!), 1);
    }
  }

  #name(branch: BranchId, depth: number): string {
    const owner = this.#branches.at(branch, depth + 1);
    return `${owner}:${depth - this.#branches.start[owner]!}`;
  }
}
