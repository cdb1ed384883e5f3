import { viewLowerTiers } from '../view-lower-tiers.ts';
import type { EngineConfig, LoadView } from '../worker.ts';
import type { HostTraffic } from './host-traffic.ts';
import type { Scheduler } from './scheduler.ts';

/** Fills in what an observer may see of queues and tiers; the step in flight is the caller's. */
export function fillLoad(view: LoadView, scheduler: Scheduler, host: HostTraffic | null, config: EngineConfig): void {
  const { pool } = scheduler;
  view.running = scheduler.running.count;
  view.waiting = scheduler.waiting.count + scheduler.holding.count;
  view.kvReferencedBlocks = pool.usable - pool.free;
  view.kvCachedBlocks = pool.cached;
  view.kvClaimedBlocks = pool.claimed;
  view.kvUsableBlocks = pool.usable;
  view.hostUsedBlocks = host === null ? 0 : host.tier.filled;
  view.hostBlocks = config.hostBlocks;
  viewLowerTiers(view, host?.lower);
}
