/** Whole runs under each ranker: nothing changes where nothing is evicted (retention 16.3, N1); under pressure the engines agree. */
import { describe, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import type { Ranker } from '../engine/worker.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import { prepareTrace, startJob } from './simulate.ts';

const SMALL = ['fleet.pools.main.workers=1', 'workload.arrivals.concurrency=6', 'run.horizon=5m', 'run.warmup=0'];
const AMPLE = 100_000;
const TIGHT = 8000;

/** Hash and evictions of one run of agents-8 with this many blocks. */
async function simulate(ranker: Ranker, kvBlocks: number, stepMode: 'jump' | 'reference' = 'jump') {
  const settings = Object.entries({ ranker, kvBlocks, stepMode }).map(([key, value]) => `fleet.pools.main.engine.with.${key}=${value}`);
  const context = { policies: policyCatalogue(), sets: [...SMALL, ...settings], packageRoot: findPackageRoot() };
  const plan = planOf(await loadScenario({ file: 'agents-8' }, context), { metrics: [] });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(100_000));
  return { hash: job.result().runHash, evicted: job.run().counters[0]!.hbmEvictedBlocks };
}

describe.each<Ranker>(['lfu', 'slru', 'fifo', 'mru', 'gdsf', 'tlru'])('%s', (ranker) => {
  it('equals lru bit for bit while nothing is evicted', async () => {
    const lru = await simulate('lru', AMPLE);
    expect(lru.evicted).toBe(0);
    expect(await simulate(ranker, AMPLE)).toEqual(lru);
  });

  it('evicts something else under pressure, the same in both engines', async () => {
    const jump = await simulate(ranker, TIGHT);
    expect(jump.evicted).toBeGreaterThan(1000);
    expect(jump.hash).not.toBe((await simulate('lru', TIGHT)).hash);
    expect(await simulate(ranker, TIGHT, 'reference')).toEqual(jump);
  });
});
