/** A step timer with one constant: every step takes the same time, also none at all. For acceptance tables and queueing oracles. */
import type { Regime, RunSegments, StepBatch, StepTimer } from '../engine/step-timer.ts';

/** Every step takes `stepTimeMs` >= 0; 0 gives a fleet without latency, in which only cache behaviour remains. */
export class FixedTimer implements StepTimer {
  readonly run: RunSegments;
  readonly requestMs: number;
  readonly regime: Regime = 'calibrated';
  readonly #stepMs: number;

  constructor(stepTimeMs: number, requestMs = 0) {
    if (!(stepTimeMs >= 0 && stepTimeMs < Infinity)) throw new Error(`step time: got ${stepTimeMs}, expected a finite number >= 0`);
    this.#stepMs = stepTimeMs;
    this.requestMs = requestMs;
    this.run = { u0: stepTimeMs, v0: 0, split: Infinity, u1: stepTimeMs, v1: 0 };
  }

  stepMs(batch: StepBatch): number {
    if (batch.decodeSeqs + batch.chunkCount === 0) throw new Error('step without tokens');
    return this.#stepMs;
  }

  startRun(_decodeSeqs: number, _kvTokens: number, _maxKvTokens: number): void {}

  runMs(steps: number): number {
    return steps * this.#stepMs;
  }

  stepsWithin(withinMs: number): number {
    const u = this.#stepMs;
    if (!(withinMs >= 0)) return 0;
    if (u === 0 || withinMs === Infinity) return Infinity;
    let steps = Math.floor(withinMs / u);
    while (steps > 0 && steps * u > withinMs) steps--;
    while ((steps + 1) * u <= withinMs) steps++;
    return steps;
  }
}
