/** Builds workers and the links of their nodes from a fleet specification. */
import type { BranchTable } from '../../control/blocks.ts';
import { createJumpWorker } from '../engine/jump/create-jump-worker.ts';
import { EngineMemory } from '../engine/jump/engine-memory.ts';
import { createLinkPool, type LinkPool } from '../engine/links.ts';
import { createReferenceWorker } from '../engine/reference/reference-worker.ts';
import type { Worker, WorkerSink } from '../engine/worker.ts';
import type { FleetSpec } from './fleet.ts';

/** Machines of a run. `pools[node]` is null where no worker of the node uses a lower tier. */
export interface Machines {
  readonly workers: Worker[];
  readonly pools: (LinkPool | null)[];
}

/** `lazyEventsMs`: see WorkerParts.lazyEvents. `onDone` learns of every completed transfer; the worker index is the rank. */
export function buildMachines(
  fleet: FleetSpec,
  branches: BranchTable,
  sink: WorkerSink,
  lazyEventsMs: number | undefined,
  onDone: (transfer: number, worker: number, tMs: number) => void,
): Machines {
  const pools = fleet.nodes.map((node, n) => {
    const used = fleet.workers.some((w) => w.node === n && w.config.hostBlocks > 0);
    return used ? createLinkPool({ ...node, onDone }) : null;
  });
  const lazy = lazyEventsMs === undefined ? {} : { lazyEvents: lazyEventsMs };
  const memory = new EngineMemory();
  const { observer } = fleet;
  const workers = fleet.workers.map((spec, index) => {
    const heard = fleet.log === undefined ? sink : fleet.log.sink(index, sink);
    const parts = {
      index,
      config: spec.config,
      branches,
      timer: spec.createTimer(),
      links: pools[spec.node] ?? null,
      sink: observer === undefined ? heard : observer.sink(index, heard),
      ...lazy,
      ...(observer === undefined ? {} : { observer }),
    };
    const worker = spec.stepMode === 'reference' ? createReferenceWorker(parts) : createJumpWorker(parts, memory);
    fleet.log?.listen(worker);
    return worker;
  });
  return { workers, pools };
}
