/**
 * Shared links of one node: host links of its GPUs in both directions and the DRAM cap, under max-min fair sharing.
 * Source: engine specification 4.4, performance-model specification 11.
 */

/** Direction of a transfer. */
export const H2D = 0;
export const D2H = 1;

/** One pool per node; an entity of the calendar with class 2 (transfer completion). Implemented in links.ts. */
export interface LinkPool {
  /** Time of the next completion; Infinity when idle. */
  nextMs: number;
  /**
   * Starts a transfer of `bytes` per GPU over the host links of `gpus` GPUs of `worker`, split in `fragments` with submit cost
   * `fragmentSubmitMs` each. `done` is told (id) at completion by {@link advance}. Returns a transfer id, increasing.
   */
  start(worker: number, direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number, gpus: number, tMs: number): number;
  cancel(transfer: number, tMs: number): void;
  /** Completes every transfer that ends at or before tMs, in order (time, id), calling `onDone(transfer, worker, tMs)`. */
  advance(tMs: number): void;
  /** Remaining time of a transfer at the present rates, ms. */
  remainingMs(transfer: number, tMs: number): number;
  /**
   * Estimate for a transfer that would start now, ms: work waiting on this worker's link in that direction plus its own, at the one-way
   * rate. For onboard = cheaper. Cost O(active transfers).
   */
  estimateMs(worker: number, direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number, tMs: number): number;
}
