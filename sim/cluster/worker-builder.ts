/** Builds workers and the links of their nodes from a fleet specification. */
import type { BranchTable } from '../../control/blocks.ts';
import { createJumpWorker } from '../engine/jump/create-jump-worker.ts';
import { EngineMemory } from '../engine/jump/engine-memory.ts';
import { createLinkPool, type LinkPool } from '../engine/links.ts';
import { createReferenceWorker } from '../engine/reference/reference-worker.ts';
import type { Worker, WorkerSink } from '../engine/worker.ts';
import type { FleetSpec } from './fleet.ts';
import { LowerMachines } from './lower-machines.ts';

/** Machines of a run. `pools[node]` is null where no worker of the node uses a lower tier; those of disks and stores follow. */
export interface Machines {
  readonly workers: Worker[];
  readonly pools: (LinkPool | null)[];
  /** Places of the pools that a worker uses, by rank. */
  readonly poolsOf: readonly (readonly number[])[];
}

/** `lazyEventsMs`: see WorkerParts.lazyEvents. `onDone` learns of every completed transfer by the id that the worker of this rank knows. */
export function buildMachines(
  fleet: FleetSpec,
  branches: BranchTable,
  sink: WorkerSink,
  lazyEventsMs: number | undefined,
  onDone: (transfer: number, worker: number, tMs: number) => void,
): Machines {
  const pools: (LinkPool | null)[] = fleet.nodes.map((node, n) => {
    const used = fleet.workers.some((w) => w.node === n && w.config.hostBlocks > 0);
    return used ? createLinkPool({ ...node, onDone }) : null;
  });
  const lazy = lazyEventsMs === undefined ? {} : { lazyEvents: lazyEventsMs };
  const memory = new EngineMemory();
  const depths = new LowerMachines(pools, onDone);
  const { observer } = fleet;
  const poolsOf: number[][] = [];
  const workers = fleet.workers.map((spec, index) => {
    const lower = depths.of(spec, index);
    poolsOf[index] = [...(pools[spec.node] === null ? [] : [spec.node]), ...lower.map((one) => pools.indexOf(one.links))];
    const heard = fleet.log === undefined ? sink : fleet.log.sink(index, sink);
    const parts = {
      index,
      config: spec.config,
      branches,
      timer: spec.createTimer(),
      links: pools[spec.node] ?? null,
      sink: observer === undefined ? heard : observer.sink(index, heard),
      ...(lower.length === 0 ? {} : { lower }),
      ...lazy,
      ...(observer === undefined ? {} : { observer }),
    };
    const worker = spec.stepMode === 'reference' ? createReferenceWorker(parts) : createJumpWorker(parts, memory);
    fleet.log?.listen(worker);
    return worker;
  });
  return { workers, pools, poolsOf };
}
