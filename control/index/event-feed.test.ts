import { expect, test } from 'vitest';
import { KvEventBatch } from '../ports.ts';
import { EventFeed, type FeedSink } from './event-feed.ts';

function batch(seq: number, publishedMs = seq * 10, epoch = 0): KvEventBatch {
  const made = new KvEventBatch();
  made.seq = seq;
  made.publishedMs = publishedMs;
  made.epoch = epoch;
  made.push(0, 0, 0, seq, seq + 1);
  return made;
}

/** Holds the batches an index would hold, and what was asked for. */
class Index implements FeedSink {
  applied: string[] = [];
  readonly asked: number[] = [];
  readonly canReplay: boolean;
  constructor(canReplay = true) {
    this.canReplay = canReplay;
  }
  apply(one: KvEventBatch): void {
    this.applied.push(`${one.seq}@${one.publishedMs}`);
  }
  clear(): void {
    this.applied = [];
  }
  replay(_rank: number, fromSeq: number): boolean {
    this.asked.push(fromSeq);
    return this.canReplay;
  }
}

function fed(last: number, canReplay = true): { index: Index; feed: EventFeed } {
  const index = new Index(canReplay);
  const feed = new EventFeed(index);
  for (let seq = 0; seq <= last; seq++) feed.deliver(batch(seq), 0);
  return { index, feed };
}

test('a sequence that starts again is a restart: the rank holds only the new batch (router:E14)', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(0, 900), 0);
  expect(index.applied).toEqual(['0@900']);
  expect([feed.epoch(0), feed.state(0)]).toEqual([1, 'exact']);
});

test('a gap is replayed from the last batch, which must be the same (router:E14)', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(8), 0);
  expect([feed.state(0), index.asked]).toEqual(['replaying', [5]]);
  feed.deliver(batch(9), 0);
  for (const seq of [5, 6, 7]) feed.replayed(batch(seq), 0);
  expect(index.applied).toEqual(Array.from({ length: 10 }, (_, seq) => `${seq}@${seq * 10}`));
  expect(feed.state(0)).toBe('exact');
});

test('a replay that begins too late clears the rank (router:E14)', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(8), 0);
  feed.replayed(batch(7), 0);
  expect([index.applied, feed.state(0)]).toEqual([['8@80'], 'resync']);
  feed.deliver(batch(9), 0);
  expect([index.applied, feed.state(0)]).toEqual([['8@80', '9@90'], 'exact']);
});

test('another time at the last sequence number is a restart that overtook us: replay from 0, nothing old is left (router:E14)', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(8, 1080), 0);
  feed.replayed(batch(5, 1050), 0);
  expect([index.asked, index.applied, feed.epoch(0)]).toEqual([[5, 0], [], 1]);
  for (let seq = 0; seq <= 7; seq++) feed.replayed(batch(seq, 1000 + seq * 10), 0);
  expect(index.applied).toEqual(Array.from({ length: 9 }, (_, seq) => `${seq}@${1000 + seq * 10}`));
  expect(feed.state(0)).toBe('exact');
});

test('a batch seen before is ignored (router:E14)', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(5), 0);
  feed.deliver(batch(0), 0);
  expect([index.applied.length, feed.duplicates, feed.epoch(0)]).toEqual([6, 2, 0]);
});

test('a replay that starts right after the last batch is accepted and flagged; one that fails is a loss', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(8), 0);
  feed.replayed(batch(6), 0);
  feed.replayed(batch(7), 0);
  expect([index.applied.length, feed.state(0), feed.unverifiedEpochs]).toEqual([9, 'exact', 1]);
  feed.deliver(batch(12), 0);
  feed.replayEnded(0, 0);
  expect([index.applied, feed.state(0), feed.resyncs]).toEqual([['12@120'], 'resync', 1]);
});

test('a late join asks for the beginning and stays cold if it is gone', () => {
  for (const from of [0, 2]) {
    const index = new Index();
    const feed = new EventFeed(index);
    feed.deliver(batch(4), 0);
    expect([index.asked, index.applied]).toEqual([[0], []]);
    for (let seq = from; seq <= 3; seq++) feed.replayed(batch(seq), 0);
    expect(index.applied).toHaveLength(5 - from);
    expect(feed.state(0)).toBe(from === 0 ? 'exact' : 'cold');
  }
});

test('without a way to replay, a gap clears the rank at once; a late join applies what comes', () => {
  const { index, feed } = fed(5, false);
  feed.deliver(batch(8), 0);
  expect([index.applied, feed.state(0), feed.resyncs]).toEqual([['8@80'], 'resync', 1]);
  const late = new Index(false);
  const other = new EventFeed(late);
  other.deliver(batch(3), 0);
  other.deliver(batch(4), 0);
  expect([late.applied, other.state(0)]).toEqual([['3@30', '4@40'], 'cold']);
});

test('epochs that workers declare decide at once: a newer one clears, an older one is ignored', () => {
  const { index, feed } = fed(5);
  feed.deliver(batch(0, 7, 1), 0);
  feed.deliver(batch(6, 60, 0), 0);
  feed.deliver(batch(1, 8, 1), 0);
  expect([index.applied, feed.epoch(0), feed.state(0)]).toEqual([['0@7', '1@8'], 1, 'exact']);
});

test('random drops, duplicates and restarts leave a subset of the truth, and all of it when nothing is lost for good', () => {
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 300; round++) {
    const index = new Index();
    const feed = new EventFeed(index);
    let sent: KvEventBatch[] = [];
    let clock = 0;
    let lostForGood = false;
    for (let step = 0; step < 60; step++) {
      if (next(25) === 0) sent = [];
      const made = batch(sent.length, ++clock);
      sent.push(made);
      if (next(6) > 0) feed.deliver(made, 0);
      if (next(8) === 0) feed.deliver(sent[next(sent.length)]!, 0);
      while (feed.state(0) === 'replaying') {
        const asked = index.asked.length;
        const from = Math.max(index.asked[asked - 1]!, next(10) === 0 ? sent.length - 2 : 0);
        if (from > index.asked[asked - 1]!) lostForGood = true;
        for (let seq = from; seq < sent.length && index.asked.length === asked; seq++) feed.replayed(sent[seq]!, 0);
        if (index.asked.length === asked) feed.replayEnded(0, 0);
      }
    }
    const truth = sent.map((one) => `${one.seq}@${one.publishedMs}`);
    // Quiescence: one more batch arrives and whatever it needs is replayed.
    const final = batch(sent.length, ++clock);
    sent.push(final);
    truth.push(`${final.seq}@${final.publishedMs}`);
    feed.deliver(final, 0);
    while (feed.state(0) === 'replaying') {
      const asked = index.asked.length;
      for (let seq = index.asked[asked - 1]!; seq < sent.length && index.asked.length === asked; seq++) feed.replayed(sent[seq]!, 0);
      if (index.asked.length === asked) feed.replayEnded(0, 0);
    }
    // A buffer that rolled to exactly the next batch cannot show whether the worker is still the same: flagged, not detected.
    if (feed.unverifiedEpochs === 0) expect(index.applied.every((one) => truth.includes(one))).toBe(true);
    expect(new Set(index.applied).size).toBe(index.applied.length);
    if (!lostForGood) expect(index.applied).toEqual(truth);
  }
});
