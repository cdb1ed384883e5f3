/**
 * Booked prefill that melts as a model of the engine says it should: without it a rank looks as busy in the last millisecond of a
 * long prefill as in the first. One queue per rank, oldest first; only time since the anchor counts.
 *
 *     all durations known:   P = max(0, sum - floor(tokens0 * elapsed / duration0))
 *     some unknown:          P = sum - min(tokens0, floor(tokens0 * elapsed / duration0)), or sum if the oldest's is unknown
 *
 * Times are whole nanoseconds inside, so that what lies on a boundary does not depend on how 0.1 ms is written in binary.
 *
 * Source: router specification 5.2.1 (Booking), recorded from Dynamo 1.6.1.
 */
import type { AttemptId, Millis, RankId, Tokens } from '../ports.ts';

interface Prefill {
  readonly tokens: Tokens;
  /** Modelled duration in ns, 0 = at once; undefined = unknown. */
  readonly durationNs: number | undefined;
}

interface PrefillQueue {
  /** In order of booking. */
  readonly prefills: Map<AttemptId, Prefill>;
  sum: Tokens;
  unknown: number;
  /** From when the oldest prefill is taken to run, ns. */
  anchorNs: number;
}

const nanos = (ms: Millis): number => Math.round(ms * 1e6);

/** The prefill queue of every rank. */
export class ModelledPrefill {
  readonly #queues: (PrefillQueue | undefined)[] = [];

  /** Ranks that ever had a prefill: an upper limit for loops. */
  get ranks(): number {
    return this.#queues.length;
  }

  /** Whether time alone changes what is pending on a rank. */
  melts(rank: RankId): boolean {
    return (this.#queues[rank]?.prefills.size ?? 0) > 0;
  }

  /** Books a prefill of `tokens` > 0; `durationMs` undefined = unknown. */
  add(attempt: AttemptId, rank: RankId, tokens: Tokens, durationMs: Millis | undefined, nowMs: Millis): void {
    const nowNs = nanos(nowMs);
    this.#queues[rank] ??= { prefills: new Map(), sum: 0, unknown: 0, anchorNs: nowNs };
    const queue = this.#queues[rank];
    if (queue.prefills.size === 0) queue.anchorNs = nowNs;
    queue.prefills.set(attempt, { tokens, durationNs: durationMs === undefined ? undefined : nanos(durationMs) });
    queue.sum += tokens;
    if (durationMs === undefined) queue.unknown++;
  }

  /** A prefill ended, or its request did. The next oldest runs from now; one behind the oldest moves the anchor by its duration. */
  finish(attempt: AttemptId, rank: RankId, nowMs: Millis): void {
    const queue = this.#queues[rank];
    const prefill = queue?.prefills.get(attempt);
    if (queue === undefined || prefill === undefined) return;
    const nowNs = nanos(nowMs);
    if (oldest(queue) === prefill) queue.anchorNs = nowNs;
    else if (prefill.durationNs !== undefined) queue.anchorNs = Math.min(nowNs, queue.anchorNs + prefill.durationNs);
    queue.prefills.delete(attempt);
    queue.sum -= prefill.tokens;
    if (prefill.durationNs === undefined) queue.unknown--;
  }

  /** Tokens still to be prefilled on a rank at a time. Cost O(1). */
  pending(rank: RankId, nowMs: Millis): Tokens {
    const queue = this.#queues[rank];
    if (queue === undefined || queue.prefills.size === 0) return 0;
    const { tokens, durationNs } = oldest(queue)!;
    if (durationNs === undefined) return queue.sum;
    const elapsedNs = Math.max(0, nanos(nowMs) - queue.anchorNs);
    const melted = durationNs > 0 ? Math.floor((tokens * elapsedNs) / durationNs) : tokens;
    return queue.unknown === 0 ? Math.max(0, queue.sum - melted) : queue.sum - Math.min(tokens, melted);
  }
}

function oldest(queue: PrefillQueue): Prefill | undefined {
  return queue.prefills.values().next().value;
}
