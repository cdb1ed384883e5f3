/** Counters of the timeline against the metrics of the same run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { boundMetric } from '../measure/metric-expression.ts';
import { TurnTimeline } from '../measure/turn-timeline.ts';
import { growingSessions, handPlan, PRESSED } from './explain.fixture.ts';
import { explainRun } from './explain-run.ts';
import { prepareTrace, startJob } from './simulate.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-timeline-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('occupancy averages to the metric, expiries and evictions sum to the counters of the engines', async () => {
  const pool = (key: string) => `fleet.pools.one.${key}`;
  const plan = await handPlan(growingSessions(folder, 'memory', PRESSED), [
    ...['control.retention={use: ttl-drop@1, with: {ttl: 30s}}', pool('engine.with.kvBlocks=400'), 'fleet.contextLimit=5k'],
    pool('tiers.host.size=1GiB'),
  ]);
  const trace = await prepareTrace(plan);
  const timeline = new TurnTimeline();
  const { runHash } = await explainRun(plan, trace, 0, 0, boundMetric('turn.ttft.mean'), undefined, timeline);
  const job = startJob({ ...plan, exprs: ['kv.occupancy.hbm', 'kv.occupancy.host'] }, trace, { arm: 0, replication: 0 });
  while (job.step(10_000));
  const { values, facts, runHash: unobserved } = job.result();
  expect(runHash).toBe(unobserved);
  const { events } = timeline.events();
  const average = (name: string, field: string): number => {
    let sum = 0;
    let weights = 0;
    let lastUs = 0;
    for (const { ts, args } of events.filter((event) => event.name === name)) {
      // A look stands for the ticks of 10 s since the one before.
      const weight = Math.max(1, Math.round((ts - lastUs) / 1e7));
      lastUs = ts;
      sum += weight * Number(args![field]);
      weights += weight;
    }
    return sum / weights;
  };
  // 399 usable blocks.
  expect(average('HBM blocks', 'cached') / 399).toBeCloseTo(values['kv.occupancy.hbm']!, 9);
  const hostBlocks = plan.arms[0]!.pools[0]!.config.hostBlocks;
  expect(average('host blocks', 'used') / hostBlocks).toBeCloseTo(values['kv.occupancy.host']!, 9);
  const removed = (name: string, tier: string): number =>
    events.reduce((sum, event) => sum + (event.name === name && event.args!['tier'] === tier ? Number(event.args!['blocks']) : 0), 0);
  expect(facts.hbmExpiredBlocks).toBeGreaterThan(100);
  expect(removed('expired', 'HBM')).toBe(facts.hbmExpiredBlocks);
  expect(facts.hbmEvictedBlocks).toBeGreaterThan(100);
  expect(removed('evicted', 'HBM')).toBe(facts.hbmEvictedBlocks);
  expect(removed('evicted', 'host')).toBeGreaterThan(100);
});
