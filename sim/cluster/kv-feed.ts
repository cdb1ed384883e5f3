/**
 * KV events on their way from the workers to the plane. They all take the same time, and the plane looks at them only when something
 * else happens to it: so they wait in a line beside the calendar and are handed over, each with its own time, before the plane is
 * asked anything. The plane sees the same order of messages as if each batch had been an event of its own.
 *
 * Blocks of private branches can match no prompt. Unless the plane counts what a rank holds, it is not told of them: half of all
 * batches in agent workloads are generated tokens filling a block.
 */
import { BRANCH_PRIVATE, type BranchTable } from '../../control/blocks.ts';
import { type ControlPlane, KV_CLEARED, KvEventBatch, type Tier } from '../../control/ports.ts';
import { EVENT_CLASS } from '../kernel/event-class.ts';
import { DelayLine } from './delay-line.ts';
import { MessageSlots } from './message-slots.ts';

export class KvFeed {
  /** Batches handed over so far. */
  delivered = 0;
  readonly #line = new DelayLine(EVENT_CLASS.control);
  readonly #batches = new MessageSlots<KvEventBatch>();
  readonly #spares: KvEventBatch[] = [];
  readonly #branches: BranchTable;
  readonly #countsBlocks: boolean;
  readonly #nextSeq: number[] = [];
  readonly #epoch: number[] = [];

  /** `countsBlocks`: the plane reads how many blocks a rank holds, so private ones matter. */
  constructor(branches: BranchTable, countsBlocks: boolean) {
    this.#branches = branches;
    this.#countsBlocks = countsBlocks;
  }

  /** Takes a copy of a batch, which arrives at `dueMs`. */
  send(dueMs: number, worker: number, batch: KvEventBatch): void {
    const copy = this.#spares.pop() ?? new KvEventBatch();
    if (this.#countsBlocks) copy.copyFrom(batch);
    else if (!this.#copyShared(batch, copy)) {
      this.#spares.push(copy);
      return;
    }
    this.#line.push(dueMs, worker, this.#batches.put(copy));
  }

  /** Hands over what arrived before `nowMs`, and what arrives exactly then if `inclusive`. */
  deliver(plane: ControlPlane, nowMs: number, inclusive: boolean): void {
    const line = this.#line;
    while (line.nextMs < nowMs || (inclusive && line.nextMs === nowMs)) {
      const atMs = line.nextMs;
      const batch = this.#batches.take(line.pop());
      plane.kvEvents(batch, atMs);
      this.#spares.push(batch);
      this.delivered++;
    }
  }

  /** Numbers what is left of a worker's batches without gaps, from 0 in each epoch: a missing number would mean a lost batch. */
  #number(rank: number, epoch: number): number {
    if (this.#epoch[rank] !== epoch) {
      this.#epoch[rank] = epoch;
      this.#nextSeq[rank] = 0;
    }
    return this.#nextSeq[rank]!++;
  }

  /** Copies the ranges that a prompt may match; false if there are none. */
  #copyShared(batch: KvEventBatch, copy: KvEventBatch): boolean {
    const { flags } = this.#branches;
    copy.count = 0;
    for (let i = 0; i < batch.count; i++) {
      const branch = batch.branch[i]!;
      const kind = batch.kind[i]!;
      if (kind !== KV_CLEARED && (flags[branch]! & BRANCH_PRIVATE) !== 0) continue;
      copy.push(kind, batch.tier[i]! as Tier, branch, batch.from[i]!, batch.to[i]!);
    }
    if (copy.count === 0) return false;
    copy.rank = batch.rank;
    copy.epoch = batch.epoch;
    copy.seq = this.#number(batch.rank, batch.epoch);
    copy.publishedMs = batch.publishedMs;
    return true;
  }
}
