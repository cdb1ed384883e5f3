/**
 * How the work of a run grows, by counters that no machine and no load changes. Limits of growth: data-structures specification 8;
 * engine events: 2-3 compositions per request at any load (4 there). The budgets of the other counters are ours: what a request costs
 * with some four branches on its path, a batch of KV events per composition of a step, and a message each way.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { type FleetFigures, fleetFigures, scenarioPlan } from './fleet-figures.ts';

const BUDGET = {
  eventsPerRequest: 14,
  engineEventsPerRequest: 3.5,
  segmentsPerRequest: 30,
  entriesPerRequest: 16,
  causeWorkPerRequest: 120,
} as const;
const COUNTERS = Object.keys(BUDGET) as (keyof typeof BUDGET)[];

/** 64 live agent sessions on HBM alone. */
async function agents(workers: number, hours: number, blockTokens = 64): Promise<FleetFigures> {
  const plan = await scenarioPlan('agents-64', [
    `fleet.pools.main.workers=${workers}`,
    'workload.arrivals.concurrency=64',
    `run.horizon=${hours}h`,
    'run.warmup=0',
    'fleet.pools.main.tiers.host.size=0B',
    `fleet.pools.main.engine.with.blockSize=${blockTokens}`,
  ]);
  return fleetFigures(plan, await prepareTrace(plan));
}

/** Growth of a total from one run to another as a power of the growth of `size`. */
function exponent(from: number, to: number, size: number): number {
  return Math.log(to / from) / Math.log(size);
}

describe('work per request of an agent population', () => {
  const runs: Record<'on8' | 'on64' | 'longer', FleetFigures> = {} as never;
  beforeAll(async () => {
    // Four hours fill the caches; before that nothing is evicted, and a request costs less.
    runs.on8 = await agents(8, 4);
    runs.on64 = await agents(64, 4);
    runs.longer = await agents(8, 14);
  }, 60_000);

  it('stays within the budget on 8 and on 64 workers', () => {
    for (const run of [runs.on8, runs.on64, runs.longer])
      for (const counter of COUNTERS) expect(run[counter], counter).toBeLessThan(BUDGET[counter]);
  });

  it('grows with the number of requests by an exponent of at most 1.05', () => {
    const size = runs.longer.requests / runs.on8.requests;
    expect(size).toBeGreaterThan(3);
    for (const counter of COUNTERS) {
      const grown = exponent(runs.on8[counter] * runs.on8.requests, runs.longer[counter] * runs.longer.requests, size);
      expect(grown, counter).toBeLessThan(1.05);
    }
  });

  it('grows with the number of workers, at the same requests, by an exponent of at most 0.35', () => {
    expect(runs.on64.requests / runs.on8.requests).toBeCloseTo(1, 1);
    for (const counter of COUNTERS) expect(exponent(runs.on8[counter], runs.on64[counter], 8), counter).toBeLessThan(0.35);
  });

  it('does not grow with the size of a block', async () => {
    const coarse = await agents(8, 4, 256);
    for (const counter of COUNTERS) expect(exponent(runs.on8[counter], coarse[counter], 4), counter).toBeLessThan(0.05);
  });

  it('keeps of a request that is over its row in the turn table and its private branch, nothing else that grows', () => {
    // 52 B and 17 B, pages and columns that are not full yet, and the branches of the sessions.
    expect(runs.longer.recordBytesPerRequest).toBeLessThan(92);
    const added = runs.longer.requests * runs.longer.recordBytesPerRequest - runs.on8.requests * runs.on8.recordBytesPerRequest;
    expect(added / (runs.longer.requests - runs.on8.requests)).toBeLessThan(92);
  });

  it('keeps at most 2 bytes of block structures per cached block', () => {
    expect(runs.longer.bytesPerCachedBlock).toBeLessThan(2);
  });
});
