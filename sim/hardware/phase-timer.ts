/** A step timer with one constant per phase: what a step does decides its duration, not how much of it. For cross-checks and tests. */
import type { StepBatch } from '../engine/step-timer.ts';
import { FixedTimer } from './fixed-timer.ts';

/** Durations of a step with prefill work and of one with decodes, ms >= 0. A step with both takes their sum. */
export interface PhaseTimes {
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** Every step with prompt tokens takes `prefillMs`, every step with decoding requests `decodeMs`, one with both their sum. */
export class PhaseTimer extends FixedTimer {
  readonly #times: PhaseTimes;

  /** Throws for a time that is not finite and >= 0. */
  constructor(times: PhaseTimes, requestMs = 0) {
    super(times.decodeMs, requestMs);
    if (!(times.prefillMs >= 0 && times.prefillMs < Infinity))
      throw new Error(`prefill time: got ${times.prefillMs}, expected a finite number >= 0`);
    this.#times = times;
  }

  override stepMs(batch: StepBatch): number {
    const { decodeSeqs, promptTails, chunkCount } = batch;
    if (decodeSeqs + chunkCount === 0) throw new Error('step without tokens');
    const { prefillMs, decodeMs } = this.#times;
    if (decodeSeqs === promptTails) return prefillMs;
    return chunkCount + promptTails === 0 ? decodeMs : prefillMs + decodeMs;
  }
}
