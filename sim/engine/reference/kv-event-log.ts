/** Queued KV events of one worker and their publication as ranges. */
import { KV_REMOVED, KV_STORED, KvEventBatch, type Tier } from '../../../control/ports.ts';
import { type BlockKey, placeOf } from '../chain-keys.ts';
import type { WorkerSink } from '../worker.ts';

/** Events of one worker that wait for publication. */
export class KvEventLog {
  readonly #worker: number;
  readonly #sink: WorkerSink;
  #queued: { readonly kind: number; readonly tier: Tier; readonly key: BlockKey }[] = [];
  #batch = new KvEventBatch();
  #epoch = 0;
  #seq = 0;

  constructor(worker: number, sink: WorkerSink) {
    this.#worker = worker;
    this.#sink = sink;
  }

  stored(tier: Tier, key: BlockKey): void {
    this.#queued.push({ kind: KV_STORED, tier, key });
  }

  removed(tier: Tier, key: BlockKey): void {
    this.#queued.push({ kind: KV_REMOVED, tier, key });
  }

  /** Forgets what was not published; numbers start again. */
  startEpoch(epoch: number): void {
    this.#queued = [];
    this.#epoch = epoch;
    this.#seq = 0;
  }

  /** Sends one batch if anything is queued. Neighbours of one kind, tier and branch become one range. */
  publish(tMs: number): void {
    if (this.#queued.length === 0) return;
    const batch = this.#batch;
    batch.rank = this.#worker;
    batch.epoch = this.#epoch;
    batch.seq = this.#seq++;
    batch.publishedMs = tMs;
    batch.count = 0;
    for (const { kind, tier, key } of this.#queued) {
      const [branch, offset] = placeOf(key);
      const last = batch.count - 1;
      const joins = last >= 0 && batch.kind[last] === kind && batch.tier[last] === tier && batch.branch[last] === branch;
      if (joins && batch.to[last] === offset) batch.to[last]!++;
      else if (joins && batch.from[last] === offset + 1) batch.from[last]!--;
      else batch.push(kind, tier, branch, offset, offset + 1);
    }
    this.#queued = [];
    this.#sink.kvEvents(this.#worker, batch, tMs);
  }
}
