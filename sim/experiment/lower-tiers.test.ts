/** Whole runs with a disk or a remote store below the host tier. Source: engine specification 4.6; retention specification 9, 13. */
import { describe, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { metricValue } from '../measure/metric-value.ts';
import { measuresOf } from './measure-run.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import { prepareTrace, startJob } from './simulate.ts';

/** A worker with little HBM and less host memory. */
const SMALL = [
  'fleet.pools.main.workers=1',
  'fleet.pools.main.engine.with.kvBlocks=5000',
  'fleet.pools.main.tiers.host.size=32GiB',
  'workload.arrivals.concurrency=12',
  'run.horizon=12m',
  'run.drain=false',
  'run.warmup=0',
];
const tier = (key: string): string => `fleet.pools.main.tiers.${key}`;

async function load(sets: readonly string[]) {
  return loadScenario({ file: 'agents-8' }, { policies: policyCatalogue(), packageRoot: findPackageRoot(), sets: [...SMALL, ...sets] });
}

async function simulate(...sets: readonly string[]) {
  const plan = planOf(await load(sets), { metrics: [] });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(100_000));
  const run = job.run();
  const measures = measuresOf(plan, plan.arms[0]!, run);
  return { run, value: (expression: string) => metricValue(expression, measures)! };
}

describe.each([
  ['disk', ['disk.size=1TiB'], 'disk'],
  ['remote', ['remote.size=1TiB', 'remote.total=20GB/s'], 'remote'],
])('%s', (_name, keys, which) => {
  const sets = keys.map(tier);

  it('serves what host memory lost, in both engines alike, and every miss has its cause', async () => {
    const without = await simulate();
    const jump = await simulate(...sets);
    expect(jump.value(`kv.hit.${which}`)).toBeGreaterThan(0);
    const shares = ['hbm', 'host', 'disk', 'remote'].map((one) => jump.value(`kv.hit.${one}`));
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(jump.value('kv.hit.total'), 9);
    expect(jump.value('kv.hit.total')).toBeGreaterThan(without.value('kv.hit.total'));
    expect(jump.value(`link.bytes.${which}Read`)).toBeGreaterThan(0);
    expect(jump.value(`kv.occupancy.${which}`)).toBeGreaterThan(0);
    expect(jump.run.sources.unknown).toBe(0);
    const reference = await simulate(...sets, 'fleet.pools.main.engine.with.stepMode=reference');
    expect(reference.run.runHash).toBe(jump.run.runHash);
  }, 120_000);

  it('of 0B is the run without it', async () => {
    const without = await simulate();
    const none = await simulate(tier(`${which}.size=0B`));
    expect(none.run.runHash).toBe(without.run.runHash);
    expect(none.value(`kv.hit.${which}`)).toBe(0);
  }, 60_000);

  it('that is too slow to pay is declined where loads have to pay, and the miss says so', async () => {
    const slow = await simulate(...sets, tier(`${which}.read=200MB/s`), 'fleet.pools.main.engine.with.onboard=cheaper');
    expect(slow.value(`kv.hit.${which}`)).toBe(0);
    expect(slow.run.sources.unknown).toBe(0);
  }, 60_000);

  it('needs a host tier', async () => {
    await expect(load([...sets, tier('host.size=0B')])).rejects.toThrow(
      new RegExp(`E_REQUIRED.*tiers\\.${which}\\.size.*Set tiers\\.host\\.size`),
    );
  });
});

it('a store shared by two workers serves both, and disk and store add up', async () => {
  const both = await simulate(
    'fleet.pools.main.workers=2',
    'workload.arrivals.concurrency=24',
    tier('disk.size=32GiB'),
    tier('remote.size=1TiB'),
    tier('remote.fill=writeThrough'),
  );
  expect(both.value('kv.hit.disk')).toBeGreaterThan(0);
  expect(both.value('kv.hit.remote')).toBeGreaterThan(0);
  expect(both.value('link.bytes.remoteWrite')).toBeGreaterThan(0);
  expect(both.run.counters.every((c) => c.remoteReadBytes > 0)).toBe(true);
}, 60_000);
