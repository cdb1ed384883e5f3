import { expect, test } from 'vitest';
import { BRANCH_PRIVATE, BranchTable } from '../../control/blocks.ts';
import { type ControlPlane, KV_CLEARED, KV_STORED, KvEventBatch, TIER } from '../../control/ports.ts';
import { KvFeed } from './kv-feed.ts';

interface Seen {
  readonly atMs: number;
  readonly rank: number;
  readonly seq: number;
  readonly branches: number[];
}

function listener(): { plane: ControlPlane; seen: Seen[] } {
  const seen: Seen[] = [];
  const kvEvents = (batch: KvEventBatch, atMs: number): void => {
    seen.push({ atMs, rank: batch.rank, seq: batch.seq, branches: [...batch.branch.subarray(0, batch.count)] });
  };
  return { plane: { kvEvents } as unknown as ControlPlane, seen };
}

function batchOf(rank: number, epoch: number, seq: number, branches: readonly number[], kind = KV_STORED): KvEventBatch {
  const batch = new KvEventBatch();
  batch.rank = rank;
  batch.epoch = epoch;
  batch.seq = seq;
  for (const branch of branches) batch.push(kind, TIER.hbm, branch, 0, 1);
  return batch;
}

const branches = new BranchTable();
const shared = branches.add(-1, 0, 4, 0);
const hidden = branches.add(shared, 4, 4, BRANCH_PRIVATE);

test('hands over in order of arrival, each batch with its own time, and only what has arrived', () => {
  const feed = new KvFeed(branches, true);
  const { plane, seen } = listener();
  feed.send(20, 1, batchOf(1, 0, 0, [shared]));
  feed.send(10, 0, batchOf(0, 0, 0, [shared, hidden]));
  feed.send(30, 0, batchOf(0, 0, 1, [hidden]));
  feed.deliver(plane, 20, false);
  expect(seen).toEqual([{ atMs: 10, rank: 0, seq: 0, branches: [shared, hidden] }]);
  feed.deliver(plane, 20, true);
  expect(seen.slice(1)).toEqual([{ atMs: 20, rank: 1, seq: 0, branches: [shared] }]);
  feed.deliver(plane, 1e9, true);
  expect(seen.slice(2)).toEqual([{ atMs: 30, rank: 0, seq: 1, branches: [hidden] }]);
});

test('a copy travels: the worker may reuse its batch', () => {
  const feed = new KvFeed(branches, true);
  const { plane, seen } = listener();
  const batch = batchOf(0, 0, 0, [shared]);
  feed.send(1, 0, batch);
  batch.branch[0] = 99;
  batch.count = 0;
  feed.deliver(plane, 1, true);
  expect(seen[0]!.branches).toEqual([shared]);
});

test('without a count of blocks, private ones are left out and the rest is numbered without gaps in each epoch', () => {
  const feed = new KvFeed(branches, false);
  const { plane, seen } = listener();
  feed.send(1, 0, batchOf(0, 0, 0, [shared]));
  feed.send(2, 0, batchOf(0, 0, 1, [hidden]));
  feed.send(3, 0, batchOf(0, 0, 2, [hidden, shared]));
  feed.send(4, 1, batchOf(1, 0, 5, [shared]));
  feed.send(5, 0, batchOf(0, 1, 0, [hidden], KV_CLEARED));
  feed.deliver(plane, 5, true);
  expect(seen.map(({ rank, seq, branches: b }) => [rank, seq, b])).toEqual([
    [0, 0, [shared]],
    [0, 1, [shared]],
    [1, 0, [shared]],
    [0, 0, [hidden]],
  ]);
});
