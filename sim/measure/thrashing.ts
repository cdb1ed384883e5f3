/**
 * Watches one worker for thrashing: more than 10 % of prefilled tokens of a minute were computed again, or the KV pool stayed at
 * least 98 % used behind a non-empty queue for a minute. Source: performance-model specification 8.
 */

/** Window of both conditions, ms. */
const WINDOW_MS = 60_000;
const RECOMPUTED_SHARE = 0.1;
const FULL_SHARE = 0.98;

/** Fed with samples in time order; sums the busy time spent thrashing. Allocates only while the window grows. */
export class ThrashingMonitor {
  /** Busy time of intervals judged as thrashing, ms. */
  thrashingMs = 0;
  /** Busy time of all intervals, ms. */
  busyMs = 0;
  /** Cumulative [time, prefill, recomputed, busy] of the samples inside the window, oldest first. */
  readonly #samples: [tMs: number, prefill: number, recomputed: number, busy: number][] = [[0, 0, 0, 0]];
  /** Since when the pool has been full behind a queue; NaN = it is not. */
  #fullSinceMs = NaN;

  /**
   * One sample. `prefillTokens`, `recomputedTokens` and `busyMs` are totals since the start; `kvShare` is referenced / usable
   * blocks now, `waiting` the queue length now.
   */
  sample(tMs: number, prefillTokens: number, recomputedTokens: number, busyMs: number, kvShare: number, waiting: number): void {
    const samples = this.#samples;
    const last = samples[samples.length - 1]!;
    const isFull = kvShare >= FULL_SHARE && waiting > 0;
    if (!isFull) this.#fullSinceMs = NaN;
    else if (Number.isNaN(this.#fullSinceMs)) this.#fullSinceMs = tMs;
    samples.push([tMs, prefillTokens, recomputedTokens, busyMs]);
    while (samples.length > 2 && samples[1]![0] <= tMs - WINDOW_MS) samples.shift();
    const [, prefillBefore, recomputedBefore] = samples[0]!;
    const isRecomputing = recomputedTokens - recomputedBefore > RECOMPUTED_SHARE * (prefillTokens - prefillBefore);
    const busy = busyMs - last[3];
    this.busyMs += busy;
    if (isRecomputing || tMs - this.#fullSinceMs >= WINDOW_MS) this.thrashingMs += busy;
  }

  /** Share of busy time spent thrashing, 0..1. */
  get share(): number {
    return this.busyMs > 0 ? this.thrashingMs / this.busyMs : 0;
  }
}
