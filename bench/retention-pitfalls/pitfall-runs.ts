/** Runs the scenario of a pitfall in this process and asks whether its criterion is met. */
import type { ControlPlane, Effects } from '../../control/ports.ts';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { Cluster } from '../../sim/cluster/cluster.ts';
import { SAMPLE_MS } from '../../sim/cluster/occupancy.ts';
import { StuckError } from '../../sim/cluster/stuck-error.ts';
import { emptyLoadView } from '../../sim/engine/empty-load-view.ts';
import { measureRun } from '../../sim/experiment/measure-run.ts';
import { planOf } from '../../sim/experiment/plan-of.ts';
import { policyCatalogue } from '../../sim/experiment/policy-catalogue.ts';
import type { RunPlan } from '../../sim/experiment/run-plan.ts';
import { clusterSpec, prepareTrace } from '../../sim/experiment/simulate.ts';
import { materialiseWorkload } from '../../sim/workload/materialise.ts';
import type { Trace } from '../../traces/columns.ts';
import type { Engine, FleetSample, Pitfall, PitfallRun, SentAction } from './pitfall.ts';
import { PITFALLS } from './pitfalls.ts';

/** What came of a pitfall on one engine. */
export interface PitfallOutcome {
  readonly violations: readonly string[];
  /** Run hash by arm; those of the two engines must be equal. Empty if a run got stuck. */
  readonly runHashes: Readonly<Record<string, string>>;
}

/** Runs all arms of a pitfall, named by its scenario. A run that gets stuck violates every criterion; other errors are thrown. */
export async function pitfallOutcome(packageRoot: string, scenario: string, engine: Engine): Promise<PitfallOutcome> {
  const pitfall = PITFALLS.find((p) => p.scenario === scenario);
  if (pitfall === undefined) throw new Error(`no pitfall ${scenario}`);
  try {
    const arms = await pitfallRuns(packageRoot, pitfall, engine);
    return {
      violations: pitfall.violations(arms),
      runHashes: Object.fromEntries([...arms].map(([name, { run }]) => [name, run.runHash])),
    };
  } catch (error) {
    if (!(error instanceof StuckError)) throw error;
    return { violations: [`stuck: ${error.message}`], runHashes: {} };
  }
}

/** All arms of a pitfall, each run to its end on one engine. */
export async function pitfallRuns(packageRoot: string, pitfall: Pitfall, engine: Engine): Promise<Map<string, PitfallRun>> {
  const file = `retention/${pitfall.scenario}`;
  const loaded = await loadScenario({ file }, { policies: policyCatalogue(), packageRoot });
  const plan = planOf(loaded, { metrics: pitfall.metrics ?? [] });
  const trace = await prepareTrace(plan);
  return new Map(plan.arms.map((arm, i) => [arm.name, runArm(plan, trace, i, engine)]));
}

function runArm(plan: RunPlan, trace: Trace, index: number, engine: Engine): PitfallRun {
  const chosen = plan.arms[index]!;
  const arm = { ...chosen, pools: chosen.pools.map((pool) => ({ ...pool, stepMode: engine })) };
  const workload = materialiseWorkload(trace, plan.workload, plan.seed, 0);
  const spec = clusterSpec(plan, arm, workload, 0, null);
  const sent: SentAction[] = [];
  const cluster: Cluster = new Cluster({
    ...spec,
    createPlane: (branches, effects) =>
      noted(
        sent,
        effects,
        (inner) => spec.createPlane(branches, inner),
        () => cluster.nowMs,
      ),
  });
  const samples: FleetSample[] = [];
  while (cluster.step(1)) {
    // The look itself is the last event of its instant: what stands before it is written over.
    if (cluster.nowMs % SAMPLE_MS !== 0) continue;
    if (samples.at(-1)?.tMs === cluster.nowMs) samples.pop();
    samples.push(sampleOf(cluster));
  }
  const run = cluster.result();
  const result = measureRun(plan, arm, { arm: index, replication: 0 }, run, 0, undefined);
  return { run, result, workers: cluster.workers, sent, samples };
}

function sampleOf(cluster: Cluster): FleetSample {
  const view = emptyLoadView();
  const sample = { tMs: cluster.nowMs, claimedBlocks: 0, claimsExpired: 0, claimsBroken: 0, hbmEvictedBlocks: 0 };
  for (const worker of cluster.workers) {
    worker.loadView(cluster.nowMs, view);
    sample.claimedBlocks += view.kvClaimedBlocks;
    sample.claimsExpired += worker.counters.claimsExpired;
    sample.claimsBroken += worker.counters.claimsBroken;
    sample.hbmEvictedBlocks += worker.counters.hbmEvictedBlocks;
  }
  return sample;
}

/** A plane whose actions and their outcomes are noted in `sent`. */
function noted(sent: SentAction[], effects: Effects, createPlane: (effects: Effects) => ControlPlane, nowMs: () => number): ControlPlane {
  const open = new Map<number, SentAction>();
  const plane = createPlane({
    dispatch: (request, placement) => effects.dispatch(request, placement),
    refuse: (request, refusal) => effects.refuse(request, refusal),
    act: (action) => {
      const one: SentAction = { tMs: nowMs(), action };
      sent.push(one);
      open.set(action.id, one);
      effects.act(action);
    },
    wakeAt: (tMs) => effects.wakeAt(tMs),
    decided: (record) => effects.decided(record),
  });
  return {
    request: (request, tMs) => plane.request(request, tMs),
    firstToken: (attempt, tMs) => plane.firstToken(attempt, tMs),
    progress: (attempt, outputTokens, tMs) => plane.progress(attempt, outputTokens, tMs),
    ended: (attempt, end, tMs) => plane.ended(attempt, end, tMs),
    worker: (change, tMs) => plane.worker(change, tMs),
    kvEvents: (batch, tMs) => plane.kvEvents(batch, tMs),
    report: (report, tMs) => plane.report(report, tMs),
    hint: (hint, tMs) => plane.hint(hint, tMs),
    settled: (action, outcome, tMs) => {
      open.get(action)!.outcome = outcome;
      plane.settled(action, outcome, tMs);
    },
    timer: (tMs) => plane.timer(tMs),
  };
}
