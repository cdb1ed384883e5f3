/** Whole runs of the real engines on random small scenarios: nobody beats a bound, and bounds are in order. M10 of retention 16.4. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { Cluster } from '../cluster/cluster.ts';
import { ServiceLog } from '../cluster/service-log.ts';
import { ORACLE_NAMES } from '../experiment/bound-result.ts';
import { planOf } from '../experiment/plan-of.ts';
import { policyCatalogue } from '../experiment/policy-catalogue.ts';
import type { ArmPlan, RunPlan } from '../experiment/run-plan.ts';
import { clusterSpec } from '../experiment/simulate.ts';
import { fixtureTrace } from '../workload/fixture-trace.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { randomSessions } from '../workload/random-sessions.ts';
import { headroomOf } from './headroom.ts';

async function planOfAllArms(): Promise<RunPlan> {
  const sets = [
    'workload.arrivals={mode: open, process: poisson, rate: 2000/h}',
    'workload.sessions=6',
    'fleet.pools.main.engine.with.blockSize=64',
    'fleet.pools.main.timer={use: fixed@1, with: {stepMs: 20}}',
    'matrix.router=[round-robin@1, session-hash@1, dynamo-kv@1]',
    'matrix.retention=[lru@1, {use: kvcast-soft@1, with: {ttl: 5s}}, {use: ttl-drop@1, with: {ttl: 5s}}]',
  ];
  const loaded = await loadScenario({ file: 'quickstart' }, { sets, policies: policyCatalogue(), packageRoot: findPackageRoot() });
  return planOf(loaded, { metrics: [] });
}

interface Fleet {
  readonly arm: number;
  readonly workers: number;
  readonly spareBlocks: number;
  readonly hostBlocks: number;
  readonly batch: number;
  readonly seqs: number;
  readonly stepMode: 'jump' | 'reference';
  readonly outputReuse: 'off' | 'assume';
}

const fleet: fc.Arbitrary<Fleet> = fc.record({
  arm: fc.nat(8),
  workers: fc.integer({ min: 1, max: 3 }),
  spareBlocks: fc.nat(24),
  hostBlocks: fc.constantFrom(0, 0, 0, 8, 30),
  batch: fc.constantFrom(64, 300, 2048),
  seqs: fc.constantFrom(1, 3, 16),
  stepMode: fc.constantFrom('jump' as const, 'jump' as const, 'reference' as const),
  outputReuse: fc.constantFrom('off' as const, 'assume' as const),
});

/** Serves random sessions on a random fleet just large enough for the longest prompt. */
function serve(plan: RunPlan, sessions: Parameters<typeof fixtureTrace>[0], f: Fleet, log?: ServiceLog): Cluster {
  const longest = Math.max(...sessions.flatMap((s) => s.agents.flatMap((a) => a.requests.map((r) => r.in + r.out))));
  const template = plan.arms[f.arm]!;
  const arm: ArmPlan = {
    ...template,
    pools: template.pools.map((pool) => ({
      ...pool,
      workers: f.workers,
      stepMode: f.stepMode,
      config: {
        ...pool.config,
        blocks: Math.ceil(longest / 64) + 3 + f.spareBlocks,
        hostBlocks: f.hostBlocks,
        maxBatchedTokens: f.batch,
        maxSeqs: f.seqs,
        maxModelLen: longest + 64,
        prefillMsPerToken: 0.05,
        prefillMsPerPair: 1e-4,
      },
    })),
  };
  const workload = materialiseWorkload(fixtureTrace(sessions), { ...plan.workload, outputReuse: f.outputReuse }, 7, 0);
  const spec = clusterSpec(plan, arm, workload, 0, null);
  const cluster = new Cluster(log === undefined ? spec : { ...spec, fleet: { ...spec.fleet, log } });
  while (cluster.step(1_000_000));
  return cluster;
}

/** Plays `numRuns` scenarios; every tenth is played without the log too. */
export async function headroomProperty(numRuns: number): Promise<void> {
  const plan = await planOfAllArms();
  let played = 0;
  let scarce = 0;
  let regretted = 0;
  fc.assert(
    fc.property(randomSessions({ sessions: 4, agents: 3 }), fleet, (sessions, f) => {
      const log = new ServiceLog();
      const run = serve(plan, sessions, f, log).result();
      if (played++ % 10 === 0) expect(serve(plan, sessions, f).result().runHash).toBe(run.runHash);
      const headroom = headroomOf(log.records(run.workload.branches), { oracles: ORACLE_NAMES, fromMs: 0, faults: false });
      expect(headroom.foundTokens).toBe(run.counters.reduce((sum, c) => sum + c.hitHbmTokensFirst + c.hitHostTokensFirst, 0));
      expect(headroom.queryTokens).toBe(run.counters.reduce((sum, c) => sum + c.queryTokensFirst, 0));
      const hits = Object.fromEntries(headroom.rows.map((row) => [row.oracle, row.hitTokens]));
      const order = [headroom.foundTokens, hits['belady']!, hits['ttl']!, hits['infinite']!, hits['infinite + router']!];
      for (let i = 1; i < order.length; i++) expect(order[i]).toBeGreaterThanOrEqual(order[i - 1]! - 1e-6);
      expect(hits['belady + router']).toBeGreaterThanOrEqual(hits['belady']!);
      expect(hits['belady + router']).toBeGreaterThanOrEqual(hits['router']!);
      expect(hits['infinite + router']).toBe(headroom.floorTokens);
      const { found, costAware, dual } = headroom.savedMs!;
      for (const saved of [found, costAware]) expect(dual).toBeGreaterThanOrEqual(saved * (1 - 1e-9));
      if (hits['belady']! < hits['infinite']!) scarce++;
      if (headroom.foundTokens < hits['belady']!) regretted++;
    }),
    { numRuns },
  );
  // Room is short in many of these cases, and many policies lose by it.
  expect(scarce).toBeGreaterThan(numRuns / 20);
  expect(regretted).toBeGreaterThan(numRuns / 20);
}
