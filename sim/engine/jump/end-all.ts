import type { EndStatus, WorkerSink } from '../worker.ts';
import type { IntMap } from './int-map.ts';
import { PREFILL_ONLY } from './request-slots.ts';
import type { Scheduler } from './scheduler.ts';

/** Ends every request in the order of ids and forgets them; `lag` as in Scheduler.leaveDecode. Queues and blocks stay as they are. */
export function endAll(
  ids: IntMap,
  scheduler: Scheduler,
  lag: number,
  tMs: number,
  status: EndStatus,
  reason: string,
  sink: WorkerSink,
): void {
  const { slots } = scheduler;
  const live: number[] = [];
  ids.forEach((_id, s) => {
    live.push(s);
  });
  live.sort((a, b) => slots.id[a]! - slots.id[b]!);
  for (const s of live) {
    if (scheduler.decode.has(s)) scheduler.leaveDecode(s, lag, 0);
    sink.ended(slots.id[s]!, tMs, status, slots.ending[s] === PREFILL_ONLY ? 0 : slots.out[s]!, reason);
  }
  ids.clear();
}
