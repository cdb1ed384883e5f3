/** Whole runs under each write policy of the host tier: what is copied, and what that is worth. Source: retention specification 9.1. */
import { expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';

/** One worker with 12,000 blocks, so that HBM is under pressure. */
const SMALL = [
  'fleet.pools.main.workers=1',
  'fleet.pools.main.engine.with.kvBlocks=12000',
  'workload.arrivals.concurrency=12',
  'run.horizon=20m',
  'run.warmup=0',
];
const host = (size: string): string => `fleet.pools.main.tiers.host.size=${size}`;
const engine = (key: string): string => `fleet.pools.main.engine.with.${key}`;

async function plan(...sets: readonly string[]): Promise<RunPlan> {
  const context = { policies: policyCatalogue(), sets: [...SMALL, ...sets], packageRoot: findPackageRoot() };
  return planOf(await loadScenario({ file: 'agents-8' }, context), { metrics: [] });
}

/** Bytes written to the host tier and share of prompt tokens hit in HBM or host. */
async function simulate(...sets: readonly string[]): Promise<{ writtenBytes: number; hit: number }> {
  const pressed = await plan(...sets);
  const job = startJob(pressed, await prepareTrace(pressed), { arm: 0, replication: 0 });
  while (job.step(100_000));
  const c = job.run().counters[0]!;
  return { writtenBytes: c.hostWriteBytes, hit: (c.hitHbmTokensFirst + c.hitHostTokensFirst) / c.queryTokensFirst };
}

it.each(['128GiB', '256GiB'])(
  'lazy writes fewer bytes than write-through at an equal or better hit share, host tier of %s',
  async (size) => {
    const through = await simulate(host(size), engine('hostWrite=writeThrough'));
    const lazy = await simulate(host(size), engine('hostWrite=lazy'));
    expect(lazy.writtenBytes).toBeLessThan(through.writtenBytes);
    expect(lazy.writtenBytes).toBeGreaterThan(0);
    expect(lazy.hit).toBeGreaterThanOrEqual(through.hit);
  },
  60_000,
);

it('selective and the frequency filter write fewer bytes than write-through', async () => {
  const through = await simulate(host('256GiB'), engine('hostWrite=writeThrough'));
  for (const narrow of ['hostWrite=selective', 'hostAdmit=frequency']) {
    const { writtenBytes } = await simulate(host('256GiB'), engine(narrow));
    expect(writtenBytes).toBeGreaterThan(0);
    expect(writtenBytes).toBeLessThan(through.writtenBytes);
  }
}, 60_000);

it('two filters, and lazy with a ranker, are refused with the remedy', async () => {
  await expect(plan(engine('hostWrite=selective'), engine('hostAdmit=frequency'))).rejects.toThrow(
    /E_EXCLUSIVE.*engine\.with\.hostAdmit.*Remove hostAdmit/,
  );
  await expect(plan(engine('hostWrite=lazy'), engine('ranker=lfu'))).rejects.toThrow(
    /E_UNSUPPORTED.*engine\.with\.hostWrite.*got lazy with ranker lfu.*writeBack/,
  );
});
