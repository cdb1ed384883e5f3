/** Whole runs with prefetch: what is brought up, what it is worth, and that both engines agree. Source: retention specification 9.4. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { metricValue } from '../measure/metric-value.ts';
import { handScenario, writeHandTrace } from './hand-run.fixture.ts';
import { measuresOf } from './measure-run.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import { prepareTrace, startJob } from './simulate.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-prefetch-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LOADED = { policies: policyCatalogue(), packageRoot: findPackageRoot() };

async function simulate(source: Parameters<typeof loadScenario>[0], sets: readonly string[]) {
  const plan = planOf(await loadScenario(source, { ...LOADED, sets: [...sets] }), { metrics: [] });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(100_000));
  const run = job.run();
  const measures = measuresOf(plan, plan.arms[0]!, run);
  return { run, value: (expression: string) => metricValue(expression, measures) };
}

/** One worker of 12,000 blocks under pressure. */
const PRESSED = [
  'fleet.pools.main.workers=1',
  'fleet.pools.main.engine.with.kvBlocks=12000',
  'fleet.pools.main.tiers.host.size=256GiB',
  'workload.arrivals.concurrency=12',
  'run.horizon=10m',
  'run.warmup=0',
];

it('on arrival: loads begin before admission, both engines agree, no miss is left without cause', async () => {
  const sets = [...PRESSED, 'control.prefetch.onArrival=true'];
  const jump = await simulate({ file: 'agents-8' }, sets);
  const reference = await simulate({ file: 'agents-8' }, [...sets, 'fleet.pools.main.engine.with.stepMode=reference']);
  expect(reference.run.runHash).toBe(jump.run.runHash);
  expect(reference.run.prefetches).toEqual(jump.run.prefetches);
  expect(jump.value('kv.prefetch.bytes')).toBeGreaterThan(0);
  expect(jump.value('kv.prefetch.precision')).toBeGreaterThan(0.2);
  expect(jump.value('kv.prefetch.lateness')).toBeGreaterThan(0);
  expect(jump.run.sources.unknown).toBe(0);
  const { movedBlocks, usedBlocks, wastedBlocks } = jump.run.prefetches[0]!;
  expect(usedBlocks + wastedBlocks).toBeLessThanOrEqual(movedBlocks);
}, 120_000);

it('off: nothing is asked for and the run is the same as without the field', async () => {
  const without = await simulate({ file: 'agents-8' }, PRESSED);
  const off = await simulate({ file: 'agents-8' }, [...PRESSED, 'control.prefetch.onArrival=false', 'control.prefetch.onPredicted=false']);
  expect(off.run.runHash).toBe(without.run.runHash);
  expect(off.value('kv.prefetch.bytes')).toBe(0);
  expect(off.value('kv.prefetch.precision')).toBeNull();
}, 60_000);

/** A tool that comes back after 600 s +- 2.5 s, with another session in each pause that takes all of HBM. */
function cronTrace(): string {
  const request = (startMs: number, blocks: number, first: number, pauseMs?: number): object => ({
    startMs,
    in: blocks * 64 + 8,
    out: 4,
    runs: [[first, first + blocks - 1]],
    stop: 'tool',
    ...(pauseMs === undefined ? {} : { pauseMs }),
  });
  const turns = Array.from({ length: 50 }, (_, i) => request(i * 1000, 40 + i, 1, i === 0 ? undefined : 597_500 + ((i * 37) % 50) * 100));
  const cron = { id: 'cron', arrivalMs: 0, agents: [{ id: 'root', model: 'm', requests: turns }] };
  const fillers = Array.from({ length: 45 }, (_, i) => ({
    id: `f${i}`,
    arrivalMs: 300_000 + i * 600_000,
    agents: [{ id: 'root', model: 'm', requests: [request(0, 120, 1)] }],
  }));
  const file = join(folder, 'cron.kvtrace.jsonl');
  writeHandTrace(file, [cron, ...fillers]);
  return file;
}

it('on prediction: what a timer left in the host tier is in HBM when it comes back, and not late', async () => {
  const text = handScenario(cronTrace(), { name: 'cron', contextLimit: '8k', maxBatchedTokens: 2048 });
  const sets = ['fleet.pools.one.engine.with.kvBlocks=130', 'fleet.pools.one.tiers.host.size=64GiB'];
  const plain = await simulate({ text, name: 'cron' }, sets);
  const ahead = await simulate({ text, name: 'cron' }, [...sets, 'control.prefetch.onPredicted=true']);
  expect(plain.value('kv.hit.hbm')).toBeLessThan(0.09);
  // The first 30 returns are learnt from.
  expect(ahead.value('kv.hit.hbm')).toBeGreaterThan(0.2);
  expect(ahead.value('kv.hit.total')).toBeCloseTo(plain.value('kv.hit.total')!, 9);
  expect(ahead.value('kv.prefetch.precision')).toBeGreaterThan(0.9);
  expect(ahead.value('kv.prefetch.lateness')).toBe(0);
  const reference = await simulate({ text, name: 'cron' }, [
    ...sets,
    'control.prefetch.onPredicted=true',
    'fleet.pools.one.engine.with.stepMode=reference',
  ]);
  expect(reference.run.runHash).toBe(ahead.run.runHash);
}, 60_000);
