import type { HbmPool } from './hbm-pool.ts';
import type { HostTraffic } from './host-traffic.ts';
import type { Scheduler } from './scheduler.ts';

/** Throws if conservation is broken; `deep` walks the structures of all tiers. Source: engine specification 9.2. */
export function checkWorker(scheduler: Scheduler, pool: HbmPool, host: HostTraffic | null, alive: number, deep: boolean): void {
  const { requests, running, config } = scheduler;
  if (requests !== alive) throw new Error(`E4: ${requests} in queues, ${alive} alive`);
  if (running.count > config.maxSeqs) throw new Error(`E7: ${running.count} running`);
  if (pool.free < 0 || pool.hashless < 0 || pool.free > pool.usable) throw new Error(`E1: ${pool.free} free of ${pool.usable}`);
  if (!deep) return;
  pool.check();
  host?.tier.check();
  host?.lower?.check();
}
