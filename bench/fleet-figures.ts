/** Runs a scenario with the event loop timed alone, and counts the work of every part per request. */
import type { InspectablePlane } from '../control/plane.ts';
import { loadScenario } from '../scenarios/load-scenario.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { Cluster } from '../sim/cluster/cluster.ts';
import type { ClusterRun } from '../sim/cluster/cluster-spec.ts';
import { emptyLoadView } from '../sim/engine/empty-load-view.ts';
import { planOf } from '../sim/experiment/plan-of.ts';
import { policyCatalogue } from '../sim/experiment/policy-catalogue.ts';
import type { RunPlan } from '../sim/experiment/run-plan.ts';
import { clusterSpec } from '../sim/experiment/simulate.ts';
import { materialiseWorkload } from '../sim/workload/materialise.ts';
import type { Trace } from '../traces/columns.ts';

/** What one run cost. Counters are deterministic, times are not. */
export interface FleetFigures {
  /** Decisions of the router. */
  readonly requests: number;
  /** All events, from the first to the last; the workload is made before. */
  readonly loopMs: number;
  readonly eventsPerRequest: number;
  /** Full schedules and runs of the engines. */
  readonly engineEventsPerRequest: number;
  readonly segmentsPerRequest: number;
  /** Entries of the prefix index, the booking lists and the cost scan. */
  readonly entriesPerRequest: number;
  /** Bytes of the engines' block structures per block cached in HBM or host memory at the end; NaN for the stepped engine. */
  readonly bytesPerCachedBlock: number;
  /** Bytes of what is kept of every request until the end, per request: its row in the turn table, and the branch table. */
  readonly recordBytesPerRequest: number;
  /** Blocks cached in HBM or host memory at the end. */
  readonly cachedBlocks: number;
  /** Judgements of misses: blocks looked at and ranges of the ledger visited; NaN where nothing was judged. */
  readonly causeWorkPerRequest: number;
  /** Actions that the retention policy sent to workers. */
  readonly actionsPerRequest: number;
  readonly runHash: string;
}

/** The plan of a shipped scenario under `--set` assignments. */
export async function scenarioPlan(file: string, sets: readonly string[]): Promise<RunPlan> {
  const loaded = await loadScenario({ file }, { sets, policies: policyCatalogue(), packageRoot: findPackageRoot() });
  return planOf(loaded, { metrics: [] });
}

/** Called around the event loop, nothing else. */
export interface LoopWatch {
  begin(): void;
  end(): void;
}

/** Runs the first arm and replication of a plan; `attribution`: misses are judged. */
export function fleetFigures(plan: RunPlan, trace: Trace, watch?: LoopWatch, attribution = true): FleetFigures {
  const workload = materialiseWorkload(trace, plan.workload, plan.seed, 0);
  const spec = clusterSpec(plan, plan.arms[0]!, workload, 0, null);
  let plane: InspectablePlane | undefined;
  const cluster = new Cluster({
    ...spec,
    attribution,
    createPlane: (branches, effects) => {
      plane = spec.createPlane(branches, effects) as InspectablePlane;
      return plane;
    },
  });
  watch?.begin();
  const start = performance.now();
  while (cluster.step(100_000));
  const loopMs = performance.now() - start;
  watch?.end();
  const run = cluster.result();
  const requests = run.decisions;
  const work = run.causeWork;
  return {
    requests,
    loopMs,
    eventsPerRequest: run.events / requests,
    engineEventsPerRequest: total(run, 'events') / requests,
    segmentsPerRequest: total(run, 'segmentsTouched') / requests,
    entriesPerRequest: entriesWalked(plane!) / requests,
    recordBytesPerRequest: (run.turns.bytes + workload.branches.bytes) / requests,
    ...blockStructures(cluster),
    causeWorkPerRequest: work === null ? Number.NaN : (work.blocks + work.rangesTouched) / requests,
    actionsPerRequest: run.actions.sent / requests,
    runHash: run.runHash,
  };
}

function total(run: ClusterRun, counter: 'events' | 'segmentsTouched'): number {
  return run.counters.reduce((sum, c) => sum + c[counter], 0);
}

function entriesWalked({ router }: InspectablePlane): number {
  const index = router.index as { readonly entriesWalked?: number };
  return (index.entriesWalked ?? 0) + router.bookings.entriesWalked + (router.scan?.entriesWalked ?? 0);
}

function blockStructures(cluster: Cluster): Pick<FleetFigures, 'bytesPerCachedBlock' | 'cachedBlocks'> {
  let bytes = 0;
  let blocks = 0;
  for (const worker of cluster.workers) {
    const view = emptyLoadView();
    worker.loadView(cluster.nowMs, view);
    bytes += (worker as { readonly kvBytes?: number }).kvBytes ?? Number.NaN;
    blocks += view.kvCachedBlocks + view.hostUsedBlocks;
  }
  return { bytesPerCachedBlock: bytes / blocks, cachedBlocks: blocks };
}
