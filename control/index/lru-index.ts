/**
 * A prefix index without events and without clock: each rank is believed to keep what was sent to it, up to its capacity, least
 * recently used first. Running attempts hold their blocks; finished ones leave them idle.
 *
 * A block can have several copies. An attempt shares the first copy of every leading block that is there; from its first miss on,
 * each later block gets a copy of its own. Idle copies go in the order of (release, deepest first): since a release touches a depth
 * once, an insertion-ordered set per rank is that order. Which blocks have a copy is kept in a {@link BranchIndex}, so that a match
 * costs what it costs there. Source: router specification 2.5, 5.2.1; recorded vectors of Dynamo 1.6.1.
 */
import type { BranchId, BranchTable } from '../blocks.ts';
import {
  type AttemptId,
  type Blocks,
  KV_REMOVED,
  KV_STORED,
  KvEventBatch,
  type MatchColumns,
  type PrefixIndex,
  type RankId,
} from '../ports.ts';
import { BranchIndex } from './branch-index.ts';

/** Blocks of a rank. */
export interface LruStats {
  /** In use by attempts, private ones included. */
  readonly active: Blocks;
  readonly inactive: Blocks;
  /** Resident beyond the capacity, since blocks in use cannot go. */
  readonly over: Blocks;
  /** Of one attempt only: no other prompt can match them. */
  readonly private: Blocks;
  readonly resident: Blocks;
}

interface Copy {
  readonly branch: BranchId;
  /** Own offset in the branch. */
  readonly offset: number;
  /** Attempts that use it. */
  users: number;
}

interface RankBlocks {
  /** Copies of a block, oldest first. */
  readonly copies: Map<number, Copy[]>;
  /** Copies that nobody uses, next victim first. */
  readonly idle: Set<Copy>;
  readonly leases: Set<AttemptId>;
  /** Copies of blocks. */
  count: Blocks;
  privateBlocks: Blocks;
  capacity: Blocks;
}

/** What an attempt holds. */
interface Lease {
  readonly rank: RankId;
  /** By depth. */
  readonly copies: Copy[];
  privateBlocks: Blocks;
  /** Depth from which its copies are its own; infinite before the first miss. */
  ownFrom: number;
}

/** Own offsets per branch fit into 2^24. */
const OFFSETS = 0x100_0000;

/** Router-fed prefix index with a capacity per rank. Memory about 100 bytes per resident block. */
export class LruIndex implements PrefixIndex {
  readonly #branches: BranchTable;
  readonly #present: BranchIndex;
  readonly #ranks: (RankBlocks | undefined)[] = [];
  readonly #leases = new Map<AttemptId, Lease>();
  readonly #batch = new KvEventBatch();
  /** Copies dropped to make room, all ranks. */
  evictedBlocks = 0;

  constructor(branches: BranchTable) {
    this.#branches = branches;
    this.#present = new BranchIndex(branches, { copies: 'count' });
  }

  /** Does nothing: this index hears no events. */
  apply(): void {}

  /** Does nothing: a decision counts when it is acquired, with the attempt that holds it. */
  placed(): void {}

  /** Blocks a rank can keep in all tiers it can hit, >= 0. Until told, a rank keeps everything. */
  setCapacity(rank: RankId, blocks: Blocks): void {
    this.#rank(rank).capacity = blocks;
    this.#evict(rank);
  }

  /** An attempt goes to a rank: it holds the chain (branch, depthBlocks) and `privateBlocks` more. Cost O(depthBlocks + evicted). */
  acquire(attempt: AttemptId, rank: RankId, branch: BranchId, depthBlocks: Blocks, privateBlocks: Blocks): void {
    this.release(attempt);
    const lease: Lease = { rank, copies: [], privateBlocks: 0, ownFrom: Number.POSITIVE_INFINITY };
    this.#leases.set(attempt, lease);
    this.#rank(rank).leases.add(attempt);
    this.#extend(lease, branch, depthBlocks, privateBlocks);
  }

  /** The attempt's chain has grown to (branch, depthBlocks), and its private blocks are now so many. Ignored after its end. */
  materialize(attempt: AttemptId, branch: BranchId, depthBlocks: Blocks, privateBlocks: Blocks): void {
    const lease = this.#leases.get(attempt);
    if (lease !== undefined) this.#extend(lease, branch, depthBlocks, privateBlocks);
  }

  /** As {@link materialize} with an unchanged chain. Cost O(1 + evicted). */
  resize(attempt: AttemptId, privateBlocks: Blocks): void {
    const lease = this.#leases.get(attempt);
    if (lease === undefined || lease.privateBlocks === privateBlocks) return;
    this.#rank(lease.rank).privateBlocks += privateBlocks - lease.privateBlocks;
    lease.privateBlocks = privateBlocks;
    this.#evict(lease.rank);
  }

  /** The attempt is over; what it alone used becomes idle. `isFailed`: copies made for it alone were never filled and go at once. */
  release(attempt: AttemptId, isFailed = false): void {
    const lease = this.#leases.get(attempt);
    if (lease === undefined) return;
    const { rank, copies } = lease;
    const blocks = this.#rank(rank);
    this.#leases.delete(attempt);
    blocks.leases.delete(attempt);
    blocks.privateBlocks -= lease.privateBlocks;
    const batch = this.#begin(rank);
    for (let depth = copies.length - 1; depth >= 0; depth--) {
      const copy = copies[depth]!;
      if (--copy.users > 0) continue;
      if (isFailed && depth >= lease.ownFrom) this.#remove(blocks, copy, batch);
      else blocks.idle.add(copy);
    }
    this.#present.apply(batch);
    this.#evict(rank);
  }

  dropRank(rank: RankId): void {
    const blocks = this.#ranks[rank];
    if (blocks === undefined) return;
    for (const attempt of blocks.leases) this.#leases.delete(attempt);
    blocks.leases.clear();
    blocks.copies.clear();
    blocks.idle.clear();
    blocks.count = 0;
    blocks.privateBlocks = 0;
    this.#present.dropRank(rank);
  }

  match(branch: BranchId, depthBlocks: Blocks, nowMs: number, match: MatchColumns): void {
    this.#present.match(branch, depthBlocks, nowMs, match);
  }

  /** Distinct blocks with a copy. */
  blocks(rank: RankId): Blocks {
    return this.#present.blocks(rank);
  }

  stats(rank: RankId): LruStats {
    const { count, privateBlocks, idle, capacity } = this.#rank(rank);
    const resident = count + privateBlocks;
    const over = Math.max(0, resident - capacity);
    return { active: resident - idle.size, inactive: idle.size, over, private: privateBlocks, resident };
  }

  #extend(lease: Lease, branch: BranchId, depthBlocks: Blocks, privateBlocks: Blocks): void {
    const blocks = this.#rank(lease.rank);
    blocks.privateBlocks += privateBlocks - lease.privateBlocks;
    lease.privateBlocks = privateBlocks;
    const from = lease.copies.length;
    // Owners are found leaf first, copies made root first.
    const owners: BranchId[] = [];
    for (let b = this.#branches.at(branch, depthBlocks); b >= 0; b = this.#branches.parent[b]!) {
      if (this.#branches.end(b) > from) owners.push(b);
      if (this.#branches.start[b]! <= from) break;
    }
    const batch = this.#begin(lease.rank);
    for (let depth = from, i = owners.length - 1; i >= 0; i--) {
      const owner = owners[i]!;
      const start = this.#branches.start[owner]!;
      const end = i === 0 ? depthBlocks : this.#branches.start[owners[i - 1]!]!;
      const own = this.#hold(blocks, lease, owner, depth - start, end - start);
      if (own < end - start) batch.push(KV_STORED, 0, owner, own, end - start);
      depth = Math.max(depth, end);
    }
    this.#present.apply(batch);
    this.#evict(lease.rank);
  }

  /** Holds own blocks [from, to) of a branch; returns the offset from which new copies were made. */
  #hold(blocks: RankBlocks, lease: Lease, branch: BranchId, from: number, to: number): number {
    let own = to;
    for (let offset = from; offset < to; offset++) {
      const key = branch * OFFSETS + offset;
      let copies = blocks.copies.get(key);
      let copy = lease.ownFrom === Number.POSITIVE_INFINITY ? copies?.[0] : undefined;
      if (copy === undefined) {
        if (lease.ownFrom === Number.POSITIVE_INFINITY) lease.ownFrom = lease.copies.length;
        own = Math.min(own, offset);
        copy = { branch, offset, users: 0 };
        if (copies === undefined) blocks.copies.set(key, (copies = []));
        copies.push(copy);
        blocks.count++;
      } else if (copy.users === 0) blocks.idle.delete(copy);
      copy.users++;
      lease.copies.push(copy);
    }
    return own;
  }

  #evict(rank: RankId): void {
    const blocks = this.#rank(rank);
    let excess = Math.min(blocks.idle.size, blocks.count + blocks.privateBlocks - blocks.capacity);
    if (excess <= 0) return;
    const batch = this.#begin(rank);
    this.evictedBlocks += excess;
    for (const copy of blocks.idle) {
      if (excess-- <= 0) break;
      blocks.idle.delete(copy);
      this.#remove(blocks, copy, batch);
    }
    this.#present.apply(batch);
  }

  #remove(blocks: RankBlocks, copy: Copy, batch: KvEventBatch): void {
    const { branch, offset } = copy;
    const key = branch * OFFSETS + offset;
    const copies = blocks.copies.get(key)!;
    if (copies.length === 1) blocks.copies.delete(key);
    else copies.splice(copies.indexOf(copy), 1);
    blocks.count--;
    const last = batch.count - 1;
    if (last >= 0 && batch.branch[last] === branch && batch.from[last] === offset + 1) batch.from[last] = offset;
    else batch.push(KV_REMOVED, 0, branch, offset, offset + 1);
  }

  #begin(rank: RankId): KvEventBatch {
    this.#batch.rank = rank;
    this.#batch.count = 0;
    return this.#batch;
  }

  #rank(rank: RankId): RankBlocks {
    return (this.#ranks[rank] ??= {
      copies: new Map(),
      idle: new Set(),
      leases: new Set(),
      count: 0,
      privateBlocks: 0,
      capacity: Number.POSITIVE_INFINITY,
    });
  }
}
