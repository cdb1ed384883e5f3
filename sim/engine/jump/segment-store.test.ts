import { describe, expect, it } from 'vitest';
import { BranchTable } from '../../../control/blocks.ts';
import { firstDifference, randomCase, recordWorker } from '../worker.property.ts';
import { RecordingSink } from '../worker-fixtures.ts';
import { zeroCounters } from '../zero-counters.ts';
import { createJumpWorker } from './create-jump-worker.ts';
import { EngineMemory } from './engine-memory.ts';
import { KvOutbox } from './kv-outbox.ts';
import { SegmentPool } from './segment-pool.ts';
import { NONE, SegmentStore } from './segment-store.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 100);

/** A pool of 1,000 blocks on branches of 4 blocks each. */
function fullPool(store: SegmentStore, branches: BranchTable): SegmentPool {
  const pool = new SegmentPool(branches, 1000, new KvOutbox(branches, 0, new RecordingSink()), zeroCounters(), store);
  for (let i = 0; i < 250; i++) {
    const branch = branches.add(-1, 0, 4, 0);
    pool.take(4);
    pool.enter(branch, 0, 4, 1);
    pool.release(branch, 4, 0, 0);
  }
  return pool;
}

describe('memory of segments shared by workers', () => {
  it('changes nothing for any of them, whatever others left in it', () => {
    const memory = new EngineMemory();
    for (let seed = 0; seed < RUNS; seed++) {
      const workload = randomCase(seed, {});
      const alone = recordWorker((parts) => createJumpWorker(parts), workload, 'deep');
      const among = recordWorker((parts) => createJumpWorker(parts, memory), workload, 'deep');
      expect(firstDifference(among, alone), `seed ${seed}`).toBeNull();
    }
  });

  it('keeps the segments of two pools apart while it grows under both', () => {
    const store = new SegmentStore();
    const branches = new BranchTable();
    const pools = [fullPool(store, branches), fullPool(store, branches)];
    for (const pool of pools) pool.check();
    expect(pools.map((pool) => pool.cached)).toEqual([1000, 1000]);
    expect(pools.map((pool) => pool.match(0, 4, 4))).toEqual([4, 0]);
    expect(pools[0]!.bytes).toBe(pools[1]!.bytes);
  });

  it('is used again when a pool is gone, without regard to what claims it held', () => {
    const store = new SegmentStore();
    const branches = new BranchTable();
    fullPool(store, branches).retire();
    const { bytes } = store;
    for (let i = 0; i < 10; i++) fullPool(store, branches).retire();
    expect(store.bytes).toBe(bytes);
    expect(store.shares).toBe(0);
    store.addClaims();
    const claimed = fullPool(store, branches);
    claimed.check();
    expect(store.bytes).toBe(bytes + (bytes / 64) * 17);
    expect(claimed.chains.get(branches.count - 1)).not.toBe(NONE);
  });
});
