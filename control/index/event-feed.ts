/**
 * Sequence numbers of KV events: what is applied at once, what waits for a replay, when a rank is cleared.
 *
 *     COLD -> EXACT <-> DEGRADED -> REPLAYING -> EXACT | RESYNC -> EXACT
 *
 * Source: router specification 2.7, E14.
 */
import { KvEventBatch, type Millis, type RankId } from '../ports.ts';

/** `cold`: nothing is known of the time before the first batch. `resync`: a loss was unrecoverable, the rank was cleared. */
export type FeedState = 'cold' | 'exact' | 'replaying' | 'resync';

/** What a feed drives. */
export interface FeedSink {
  apply(batch: KvEventBatch, nowMs: Millis): void;
  clear(rank: RankId): void;
  /** Asks the worker for its batches from `fromSeq` on; false if it cannot be asked. */
  replay(rank: RankId, fromSeq: number): boolean;
}

/** Pairs (seq, time) remembered per rank to tell duplicates from restarts. A power of two. */
const REMEMBERED = 1024;
/** Live batches held back during a replay; more is a loss. */
const MAX_HELD = 10_000;

interface Feed {
  state: FeedState;
  /** Counts restarts, own numbering. */
  epoch: number;
  /** The worker's epoch, where batches carry one. */
  workerEpoch: number;
  /** Last applied sequence number, -1 before the first. */
  last: number;
  /** First sequence number that this epoch could see. */
  base: number;
  readonly times: Float64Array;
  /** Live batches held back, in sequence. */
  held: KvEventBatch[];
  /** A replay has shown nothing yet. */
  unverified: boolean;
}

/** The sequence state of every rank. Batches may be reused by the caller after a call. */
export class EventFeed {
  readonly #sink: FeedSink;
  readonly #feeds: (Feed | undefined)[] = [];
  duplicates = 0;
  gaps = 0;
  restarts = 0;
  resyncs = 0;
  /** Replays that began right after the last batch, so that it could not be compared. */
  unverifiedEpochs = 0;

  constructor(sink: FeedSink) {
    this.#sink = sink;
  }

  state(rank: RankId): FeedState {
    return this.#feeds[rank]?.state ?? 'cold';
  }

  /** Restarts of the rank noticed so far. */
  epoch(rank: RankId): number {
    return this.#feeds[rank]?.epoch ?? 0;
  }

  /** The rank is gone; its next batch is a first batch. */
  forget(rank: RankId): void {
    const feed = this.#feeds[rank];
    if (feed === undefined) return;
    feed.state = 'cold';
    feed.last = -1;
    feed.held = [];
  }

  /** A live batch arrived. Cost O(1) beside the application. */
  deliver(batch: KvEventBatch, nowMs: Millis): void {
    const feed = this.#feed(batch.rank);
    if (batch.epoch < feed.workerEpoch) {
      this.duplicates++;
      return;
    }
    if (batch.epoch > feed.workerEpoch) {
      if (feed.last >= 0) this.#restart(batch.rank, feed);
      feed.workerEpoch = batch.epoch;
    }
    const head = feed.held.length > 0 ? feed.held[feed.held.length - 1]!.seq : feed.last;
    if (head < 0) this.#first(feed, batch, nowMs);
    else if (batch.seq <= head) this.#repeated(feed, batch, nowMs);
    else if (feed.state === 'replaying') this.#hold(feed, batch, nowMs);
    else if (batch.seq === head + 1) {
      if (feed.state === 'resync') feed.state = 'exact';
      this.#apply(feed, batch, nowMs);
    } else {
      this.gaps++;
      // From the last applied one inclusive, to see whether the worker is still the same.
      if (this.#askReplay(feed, batch.rank, feed.last)) this.#hold(feed, batch, nowMs);
      else {
        feed.held.push(copyOf(batch));
        this.#resync(feed, batch.rank, nowMs);
      }
    }
  }

  /** A batch of a replay arrived, in sequence. */
  replayed(batch: KvEventBatch, nowMs: Millis): void {
    const feed = this.#feed(batch.rank);
    if (feed.state !== 'replaying') return;
    if (batch.seq === feed.last) {
      const same = feed.times[batch.seq & (REMEMBERED - 1)] === batch.publishedMs;
      feed.unverified = false;
      if (same) return;
      // The worker restarted and overtook the old count: nothing that was known holds.
      const { held } = feed;
      this.#restart(batch.rank, feed);
      feed.held = held;
      if (!this.#askReplay(feed, batch.rank, 0)) this.#resync(feed, batch.rank, nowMs);
      return;
    }
    if (feed.last < 0) {
      // What this epoch can know begins here; unless it is 0, the time before stays unknown.
      feed.base = batch.seq;
      feed.last = batch.seq - 1;
    } else if (batch.seq > feed.last + 1) {
      this.#resync(feed, batch.rank, nowMs);
      return;
    } else if (feed.unverified && batch.seq === feed.last + 1) this.unverifiedEpochs++;
    feed.unverified = false;
    if (batch.seq <= feed.last) return;
    this.#apply(feed, batch, nowMs);
    this.#releaseHeld(feed, nowMs);
  }

  /** The replay is over or failed: what is still missing is lost. */
  replayEnded(rank: RankId, nowMs: Millis): void {
    const feed = this.#feed(rank);
    if (feed.state !== 'replaying') return;
    if (feed.last < 0) {
      feed.base = feed.held[0]?.seq ?? 0;
      feed.last = feed.base - 1;
      this.#releaseHeld(feed, nowMs);
    } else this.#resync(feed, rank, nowMs);
  }

  #first(feed: Feed, batch: KvEventBatch, nowMs: Millis): void {
    feed.base = batch.seq;
    if (batch.seq > 0 && this.#askReplay(feed, batch.rank, 0)) {
      this.#hold(feed, batch, nowMs);
      return;
    }
    feed.state = batch.seq === 0 ? 'exact' : 'cold';
    feed.last = batch.seq - 1;
    this.#apply(feed, batch, nowMs);
  }

  /** A sequence number seen before: the same batch again, or a worker that counts from the start. */
  #repeated(feed: Feed, batch: KvEventBatch, nowMs: Millis): void {
    const held = feed.held.find((one) => one.seq === batch.seq);
    const known = held !== undefined || (batch.seq > feed.last - REMEMBERED && batch.seq >= feed.base && batch.seq <= feed.last);
    const timeMs = held === undefined ? feed.times[batch.seq & (REMEMBERED - 1)] : held.publishedMs;
    if (known && timeMs === batch.publishedMs) {
      this.duplicates++;
      return;
    }
    this.#restart(batch.rank, feed);
    this.#first(feed, batch, nowMs);
  }

  #restart(rank: RankId, feed: Feed): void {
    this.restarts++;
    feed.epoch++;
    feed.last = -1;
    feed.state = 'cold';
    feed.held = [];
    this.#sink.clear(rank);
  }

  #askReplay(feed: Feed, rank: RankId, fromSeq: number): boolean {
    feed.unverified = true;
    const before = feed.state;
    feed.state = 'replaying';
    if (this.#sink.replay(rank, fromSeq)) return true;
    feed.state = before;
    return false;
  }

  #hold(feed: Feed, batch: KvEventBatch, nowMs: Millis): void {
    feed.held.push(copyOf(batch));
    if (feed.held.length > MAX_HELD) this.#resync(feed, batch.rank, nowMs);
  }

  #releaseHeld(feed: Feed, nowMs: Millis): void {
    while (feed.held.length > 0 && feed.held[0]!.seq <= feed.last) feed.held.shift();
    if (feed.held.length > 0 && feed.held[0]!.seq !== feed.last + 1) return;
    feed.state = feed.base === 0 ? 'exact' : 'cold';
    const { held } = feed;
    feed.held = [];
    for (const batch of held) this.deliver(batch, nowMs);
  }

  /** A loss that nothing can repair: the rank starts from what was held back. */
  #resync(feed: Feed, rank: RankId, nowMs: Millis): void {
    this.resyncs++;
    this.#sink.clear(rank);
    feed.state = 'resync';
    const { held } = feed;
    feed.held = [];
    for (const batch of held) {
      feed.base = Math.max(feed.base, batch.seq);
      this.#apply(feed, batch, nowMs);
    }
  }

  #apply(feed: Feed, batch: KvEventBatch, nowMs: Millis): void {
    feed.last = batch.seq;
    feed.times[batch.seq & (REMEMBERED - 1)] = batch.publishedMs;
    this.#sink.apply(batch, nowMs);
  }

  #feed(rank: RankId): Feed {
    const known = this.#feeds[rank];
    if (known !== undefined) return known;
    const times = new Float64Array(REMEMBERED);
    const feed: Feed = { state: 'cold', epoch: 0, workerEpoch: 0, last: -1, base: 0, times, held: [], unverified: false };
    this.#feeds[rank] = feed;
    return feed;
  }
}

function copyOf(batch: KvEventBatch): KvEventBatch {
  const copy = new KvEventBatch();
  copy.copyFrom(batch);
  return copy;
}
