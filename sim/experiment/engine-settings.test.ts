/** Engine settings that need another part of the scenario: levels a retention preset, write-back a host tier. */
import { expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';

const SMALL = ['fleet.pools.main.workers=1', 'workload.arrivals.concurrency=12', 'run.horizon=20m', 'run.warmup=0'];
const engine = (key: string): string => `fleet.pools.main.engine.with.${key}`;

async function plan(...sets: readonly string[]): Promise<RunPlan> {
  const context = { policies: policyCatalogue(), sets: [...SMALL, ...sets], packageRoot: findPackageRoot() };
  return planOf(await loadScenario({ file: 'agents-8' }, context), { metrics: [] });
}

it('level 20 everywhere under trtllm leaves the host tier empty, level 30 fills it (retention 15, S11)', async () => {
  const stored = async (priority: number): Promise<{ evicted: number; stored: number }> => {
    const pressed = await plan(
      'control.retention=trtllm@2',
      `control.retention.with.priority=${priority}`,
      'fleet.pools.main.tiers.host.size=64GiB',
      engine('hostWrite=writeBack'),
      engine('kvBlocks=12000'),
    );
    const job = startJob(pressed, await prepareTrace(pressed), { arm: 0, replication: 0 });
    while (job.step(100_000));
    const counters = job.run().counters[0]!;
    return { evicted: counters.hbmEvictedBlocks, stored: counters.hostStoredBlocks };
  };
  const low = await stored(20);
  expect(low.evicted).toBeGreaterThan(1000);
  // Generated blocks have no level of their own: they count as 35.
  expect(low.stored).toBeLessThan(0.1 * low.evicted);
  expect((await stored(30)).stored).toBeGreaterThan(1000);
}, 60_000);
