/** KV events of one worker between their occurrence and their publication, as ranges in one reused batch. */
import { BRANCH_PRIVATE, type BranchTable } from '../../../control/blocks.ts';
import { KV_REMOVED, KV_STORED, KvEventBatch, type Tier } from '../../../control/ports.ts';
import { placeOf } from '../chain-keys.ts';
import type { LowerTiersEvents } from '../lower-tiers.ts';
import type { WorkerSink } from '../worker.ts';

/** Queue and publication of events; all tiers of a worker share one. */
export class KvOutbox {
  readonly batch = new KvEventBatch();
  /** Something is queued that the router must see in time: a removal, or a stored block that others can match. */
  urgent = false;
  private readonly branches: BranchTable;
  private readonly worker: number;
  private readonly sink: WorkerSink;
  private readonly dropsPrivate: boolean;
  /** When blocks are removed that are removed now: not before `sinceMs`, not after `atMs`. */
  sinceMs = 0;
  atMs = 0;
  /** Where the two differ: time at which the n-th block of the allocation under way is taken, and how many were before this removal. */
  clock: (n: number) => number = () => this.atMs;
  taken = 0;
  private epoch = 0;
  private seq = 0;

  /** `dropsPrivate`: nobody asks for blocks that match no prompt, so they are not reported. */
  constructor(branches: BranchTable, worker: number, sink: WorkerSink, dropsPrivate = false) {
    this.dropsPrivate = dropsPrivate;
    this.branches = branches;
    this.worker = worker;
    this.sink = sink;
  }

  /** Number of ranges queued. */
  get count(): number {
    return this.batch.count;
  }

  stored(tier: Tier, branch: number, from: number, to: number): void {
    if ((this.branches.flags[branch]! & BRANCH_PRIVATE) === 0) this.urgent = true;
    else if (this.dropsPrivate) return;
    const { batch } = this;
    const last = batch.count - 1;
    if (last >= 0 && batch.kind[last] === KV_STORED && batch.branch[last] === branch && batch.tier[last] === tier) {
      if (batch.to[last] === from) {
        batch.to[last] = to;
        return;
      }
    }
    batch.push(KV_STORED, tier, branch, from, to);
  }

  /** What follows happens at this time. */
  at(tMs: number): void {
    this.sinceMs = tMs;
    this.atMs = tMs;
  }

  removed(tier: Tier, branch: number, from: number, to: number, reason: number): void {
    if ((this.branches.flags[branch]! & BRANCH_PRIVATE) === 0) this.lost(tier, branch, from, to, reason);
    else if (this.dropsPrivate) return;
    const { batch } = this;
    this.urgent = true;
    const last = batch.count - 1;
    if (last >= 0 && batch.kind[last] === KV_REMOVED && batch.branch[last] === branch && batch.tier[last] === tier) {
      if (batch.from[last] === to) {
        batch.from[last] = from;
        return;
      }
      if (batch.to[last] === from) {
        batch.to[last] = to;
        return;
      }
    }
    batch.push(KV_REMOVED, tier, branch, from, to);
  }

  /** Copies that vanish without an event of their own. */
  lost(tier: Tier, branch: number, from: number, to: number, reason: number): void {
    if ((this.branches.flags[branch]! & BRANCH_PRIVATE) !== 0) return;
    const { worker, sink } = this;
    if (sink.removed(worker, tier, branch, from, to, this.sinceMs, this.atMs, reason)) return;
    for (let x = to - 1; x >= from; x--) {
      const tMs = this.clock(this.taken + to - 1 - x);
      sink.removed(worker, tier, branch, x, x + 1, tMs, tMs, reason);
    }
  }

  /** Sends what is queued, if anything, as one batch. The batch is reused after the call. */
  publish(tMs: number): void {
    const { batch } = this;
    if (batch.count === 0) return;
    batch.rank = this.worker;
    batch.epoch = this.epoch;
    batch.seq = this.seq++;
    batch.publishedMs = tMs;
    this.sink.kvEvents(this.worker, batch, tMs);
    batch.count = 0;
    this.urgent = false;
  }

  /** Forgets what was not published; numbers start again. */
  startEpoch(epoch: number): void {
    this.epoch = epoch;
    this.seq = 0;
    this.batch.count = 0;
    this.urgent = false;
  }
}

/** How tiers below the host tier tell of their blocks. */
export function outboxEvents(outbox: KvOutbox, sink: WorkerSink): LowerTiersEvents {
  return {
    settled: (action, outcome, tMs) => sink.settled(action, outcome, tMs),
    stored: (tier, key) => {
      const [branch, x] = placeOf(key);
      outbox.stored(tier, branch, x, x + 1);
    },
    removed: (tier, key, reason, isPublished) => {
      const [branch, x] = placeOf(key);
      if (isPublished) outbox.removed(tier, branch, x, x + 1, reason);
      else outbox.lost(tier, branch, x, x + 1, reason);
    },
  };
}
