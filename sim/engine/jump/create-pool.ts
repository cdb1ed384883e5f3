import type { BranchTable } from '../../../control/blocks.ts';
import type { EngineConfig } from '../worker.ts';
import { HbmPool } from './hbm-pool.ts';
import type { KvOutbox } from './kv-outbox.ts';
import { RankedPool } from './ranked-pool.ts';
import type { PoolTotals } from './segment-pool.ts';
import type { SegmentStore } from './segment-store.ts';

/** The HBM pool of a worker, with the order of victims that its configuration asks for. */
export function createPool(
  branches: BranchTable,
  outbox: KvOutbox,
  totals: PoolTotals,
  store: SegmentStore,
  config: EngineConfig,
): HbmPool {
  const Pool = (config.ranker ?? 'lru') === 'lru' ? HbmPool : RankedPool;
  return new Pool(branches, config.blocks - 1, outbox, totals, store, config);
}
