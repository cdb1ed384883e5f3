/** What a fault does to a worker, and what the plane is told at once (a draining worker says so; a lost one is noticed). */
import type { ControlPlane } from '../../control/ports.ts';
import { emptyLoadView } from '../engine/empty-load-view.ts';
import type { Worker } from '../engine/worker.ts';
import type { FaultSpec } from './fleet.ts';

/** Begins, or with `ends` takes back, a fault. `index` numbers the faults of a run: it is the epoch of a restarted worker. */
export function applyFault(fault: FaultSpec, ends: boolean, index: number, worker: Worker, plane: ControlPlane, nowMs: number): void {
  const rank = worker.index;
  const epoch = ends ? 1 : 0;
  if (fault.kind === 'slow') worker.setSlowdown(ends ? 1 : fault.factor, nowMs);
  else if (fault.kind === 'drain' && !ends) {
    worker.drain(nowMs, nowMs + fault.forMs);
    plane.worker({ rank, state: 'draining', epoch }, nowMs);
  } else if (fault.kind === 'crash' && ends) {
    worker.restart(nowMs);
    plane.worker({ rank, state: 'restarted', epoch: index }, nowMs);
  } else if (fault.kind === 'crash') {
    worker.crash(nowMs);
    plane.worker({ rank, state: 'lost', epoch }, nowMs);
  }
}

/** Rank of the worker that holds the most KV blocks in HBM, the lowest of equals; every one has been brought to `nowMs`. */
export function busiestWorker(workers: readonly Worker[], nowMs: number): number {
  const view = emptyLoadView();
  let busiest = 0;
  let most = -1;
  for (const worker of workers) {
    worker.loadView(nowMs, view);
    if (view.kvCachedBlocks <= most) continue;
    most = view.kvCachedBlocks;
    busiest = worker.index;
  }
  return busiest;
}
