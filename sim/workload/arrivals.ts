/**
 * Which sessions are played, and when they start. Every number comes from a keyed stream, so a play's draws do not depend on how many
 * other plays there are. Source: trace specification 7.4-7.6; streams: experiments specification 3.1.
 */
import { UserError } from '../../control/user-error.ts';
import type { Trace } from '../../traces/columns.ts';
import { exponential, renewalGap, Stream, streamKey, uniformReal } from '../kernel/draw.ts';
import type { SessionPlan } from './session-plan.ts';
import type { Arrivals, WorkloadOptions } from './workload-options.ts';

/** Draws sessions: in order, permuted, or with replacement. */
export class SessionChoice {
  readonly #options: WorkloadOptions;
  readonly #seed: number;
  readonly #replication: number;
  /** Eligible sessions in the order of play for `none` and `jitter`. */
  readonly #order: Int32Array;
  /** Running sum of the weights of `eligible`, for `bootstrap`; undefined = equal weights. */
  readonly #cumulative: Float64Array | undefined;
  readonly #eligible: Int32Array;

  constructor(trace: Trace, plan: SessionPlan, options: WorkloadOptions, seed: number, replication: number) {
    this.#options = options;
    this.#seed = seed;
    this.#replication = replication;
    this.#eligible = plan.eligible;
    this.#order = options.resample === 'jitter' ? this.#permuted() : plan.eligible;
    this.#cumulative =
      options.weights === undefined ? undefined : cumulated(plan.eligible.length, (i) => sessionWeight(trace, options, plan.eligible[i]!));
  }

  /** Sessions that can be played without repeating one. */
  get available(): number {
    return this.#eligible.length;
  }

  /** Session of play number `n`, called `name`. */
  session(n: number, name: string): number {
    if (this.#options.resample !== 'bootstrap') return this.#order[n % this.#order.length]!;
    const stream = new Stream(streamKey(this.#seed, this.#replication, 'session', name));
    if (this.#cumulative === undefined) return this.#eligible[Math.floor(stream.double() * this.#eligible.length)]!;
    return this.#eligible[pick(stream.double(), this.#cumulative)]!;
  }

  #permuted(): Int32Array {
    const order = this.#eligible.slice();
    const stream = new Stream(streamKey(this.#seed, this.#replication, 'order', 'all'));
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(stream.double() * (i + 1));
      const swapped = order[i]!;
      order[i] = order[j]!;
      order[j] = swapped;
    }
    return order;
  }
}

/** Weight of a session in a bootstrap; 1 unless the options name it. */
export function sessionWeight(trace: Trace, options: WorkloadOptions, session: number): number {
  return options.weights?.get(trace.strings[trace.session.id[session]!]!) ?? 1;
}

/** Running sums of `weight(0..n-1)`. */
export function cumulated(n: number, weight: (i: number) => number): Float64Array {
  const sums = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum += weight(i);
    sums[i] = sum;
  }
  return sums;
}

/** First index whose running sum exceeds u * total. */
export function pick(u: number, cumulative: Float64Array): number {
  const target = u * cumulative[cumulative.length - 1]!;
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (target < cumulative[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * `n` start times of an open process, whole ms, non-decreasing; the first arrival is drawn like any gap. Rounding happens per arrival,
 * not per gap, so it does not accumulate.
 */
export function openStarts(
  n: number,
  arrivals: Extract<Arrivals, { mode: 'open' }>,
  scaleLoad: number,
  seed: number,
  replication: number,
): Float64Array {
  const stream = new Stream(streamKey(seed, replication, 'arrivals', 'sessions'));
  const rate = arrivals.ratePerMs * scaleLoad;
  const starts = new Float64Array(n);
  let at = 0;
  for (let i = 0; i < n; i++) {
    at += openGap(stream, arrivals, rate);
    starts[i] = Math.round(at);
  }
  return starts;
}

function openGap(stream: Stream, arrivals: Extract<Arrivals, { mode: 'open' }>, ratePerMs: number): number {
  if (arrivals.process === 'poisson') return exponential(stream, 1 / ratePerMs);
  return renewalGap(stream, ratePerMs, arrivals.process === 'fixed' ? 0 : (arrivals.cv ?? DEFAULT_CV));
}

/** Burstiness of session arrivals unless given: ServeGen medians 1.17-1.32 for requests; source: trace specification 7.6. */
export const DEFAULT_CV = 1.2;

/**
 * Start times of recorded arrivals for the sessions of `plays`, ms from the trace origin. `none` repeats them; otherwise each play
 * starts at a uniform time of the recorded span, which is what a Poisson process of the same mean rate does given its count.
 * Throws UserError E_TRACE_NO_ARRIVALS if a session carries no arrival.
 */
export function recordedStarts(
  trace: Trace,
  sessions: Int32Array,
  options: WorkloadOptions,
  seed: number,
  replication: number,
): Float64Array {
  const { arrivalMs } = trace.session;
  const starts = new Float64Array(sessions.length);
  const stream = new Stream(streamKey(seed, replication, 'arrivals', 'sessions'));
  let span = 0;
  const fromZero = options.arrivals.mode === 'recorded' && options.arrivals.withoutTimes === 'zero';
  const at = (s: number): number => (fromZero && Number.isNaN(arrivalMs[s]!) ? 0 : arrivalMs[s]!);
  for (let s = 0; s < trace.sessionCount; s++) span = Math.max(span, at(s));
  if (Number.isNaN(span)) throw noArrivals();
  const repeats = options.resample === 'none';
  const quantum = repeats && options.dequantise ? trace.header.interpretation.quantumMs : 0;
  for (let i = 0; i < sessions.length; i++) starts[i] = repeats ? at(sessions[i]!) : uniformReal(stream, 0, span);
  if (quantum > 0) spreadTies(starts, quantum, stream);
  return starts.map((start) => Math.round(start / options.scaleLoad));
}

/** Moves every group of equal times to sorted uniform times of [t, t + quantum), so that the order is kept. */
function spreadTies(starts: Float64Array, quantum: number, stream: Stream): void {
  for (let from = 0, to = 0; from < starts.length; from = to) {
    while (to < starts.length && starts[to] === starts[from]) to++;
    const offsets = Float64Array.from({ length: to - from }, () => uniformReal(stream, 0, quantum)).sort();
    for (let i = from; i < to; i++) starts[i]! += offsets[i - from]!;
  }
}

/** Cold starts of closed slots, uniform over [0, rampUpMs), whole ms. Slot k takes the k-th number, whatever the number of slots. */
export function rampStarts(slots: number, rampUpMs: number, seed: number, replication: number): Float64Array {
  const stream = new Stream(streamKey(seed, replication, 'arrivals', 'slots'));
  const starts = new Float64Array(slots);
  for (let k = 0; k < slots; k++) starts[k] = Math.floor(stream.double() * rampUpMs);
  return starts;
}

function noArrivals(): UserError {
  return new UserError({
    severity: 'error',
    code: 'E_TRACE_NO_ARRIVALS',
    path: 'workload.arrivals.mode',
    message: 'got recorded, but the trace has no arrival times',
    hint: 'Choose open (with a rate) or closed (with a concurrency)',
  });
}
