/**
 * The StepObserver port: what a worker tells beyond its sink when somebody wants to know where the time of a request went. Absent in
 * normal runs, which therefore pay nothing. Both engines tell the same story: the stepped engine reports every step and pass, the
 * jumping one leaves out decode steps and the passes of a run, whose first request is told in advance (`foreseen`).
 * Source: experiments specification 7.1, engine specification 2.
 */
import type { WorkerSink } from './worker.ts';

/** Why a request waits after a scheduling pass. */
export const WAIT = {
  /** For the step in flight: no pass has looked at the queue since the request came. */
  step: 0,
  /** All sequence slots are taken. */
  slots: 1,
  /** Blocks: a gate failed, or somebody was preempted in the pass. */
  blocks: 2,
  /** The token budget of the step was used up. */
  budget: 3,
  /** For the load of another request that brings the same blocks. */
  load: 4,
} as const;
export type WaitReason = (typeof WAIT)[keyof typeof WAIT];

/** One executed step that computes more than the tokens of the decode set. Reused by the worker after the call. */
export class ObservedStep {
  /** Items with one new token beyond their prompt, and the sum and maximum of their resident tokens. */
  decodeSeqs = 0;
  decodeKvTokens = 0;
  maxDecodeKvTokens = 0;
  /** Items one by one: attempt id, new tokens, resident tokens, whether they are counted among the decodes, whether they sample. */
  readonly id: number[] = [];
  readonly tokens: number[] = [];
  readonly from: number[] = [];
  readonly isDecode: boolean[] = [];
  readonly samples: boolean[] = [];

  /** Starts again with a decode set that is not listed. */
  clear(decodeSeqs = 0, decodeKvTokens = 0, maxDecodeKvTokens = 0): void {
    this.decodeSeqs = decodeSeqs;
    this.decodeKvTokens = decodeKvTokens;
    this.maxDecodeKvTokens = maxDecodeKvTokens;
    for (const list of [this.id, this.tokens, this.from, this.isDecode, this.samples]) list.length = 0;
  }

  /** Adds an item of a request with a prompt of `promptTokens`. */
  add(id: number, tokens: number, from: number, promptTokens: number, samples: boolean): void {
    const isDecode = tokens === 1 && from >= promptTokens;
    this.id.push(id);
    this.tokens.push(tokens);
    this.from.push(from);
    this.isDecode.push(isDecode);
    this.samples.push(samples);
    if (!isDecode) return;
    this.decodeSeqs++;
    this.decodeKvTokens += from;
    if (from > this.maxDecodeKvTokens) this.maxDecodeKvTokens = from;
  }
}

/** Listens to the workers of one run. Times in ms; every call is synchronous and must not re-enter. */
export interface StepObserver {
  /** A sink for worker `index` that listens too and passes on. */
  sink(index: number, inner: WorkerSink): WorkerSink;
  /** A request entered the queue of a worker. */
  queued(worker: number, id: number, tMs: number): void;
  /** A run goes on: the first pass that sees this request will be at passMs and leave it waiting for `reason`. */
  foreseen(worker: number, id: number, passMs: number, reason: WaitReason): void;
  /** The run was cut at tMs: what was foreseen for later passes is void, since they will be reported. */
  recalled(worker: number, tMs: number): void;
  /** A scheduling pass is over; whoever waits without a load of its own waits for `reason` until the next. */
  passed(worker: number, tMs: number, reason: WaitReason): void;
  /** The load of a restored request is done; it waits for the next pass. */
  loaded(worker: number, id: number, tMs: number): void;
  /** A step ended; its outputs are told afterwards. */
  stepped(worker: number, step: ObservedStep, startMs: number, endMs: number): void;
}
