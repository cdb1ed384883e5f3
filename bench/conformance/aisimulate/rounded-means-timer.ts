/**
 * AISimulate's reading of its own prefill polynomial, used only to prove a difference: it takes the prompt tokens of a step as
 * `requests x (floor(mean length so far) - floor(mean tokens before the step))`, which is off by a few tokens when a step holds
 * chunks of several requests. Found by experiments with ai-dynamo-runtime 1.6.1 (lengths moved by one token at a time).
 */
import {
  createStepBatch,
  type Regime,
  type RunCurve,
  type RunSegments,
  type StepBatch,
  type StepTimer,
} from '../../../sim/engine/step-timer.ts';
import type { PolynomialTimer } from '../../../sim/hardware/polynomial-timer.ts';

/** Passes everything on, prompt tokens replaced by those of the rounded means. */
export class RoundedMeansTimer implements StepTimer {
  readonly run: RunSegments;
  readonly requestMs: number;
  readonly regime: Regime;
  readonly curve: RunCurve;
  readonly #inner: PolynomialTimer;
  readonly #batch = createStepBatch(1);

  constructor(inner: PolynomialTimer) {
    this.#inner = inner;
    this.run = inner.run;
    this.requestMs = inner.requestMs;
    this.regime = inner.regime;
    this.curve = inner;
  }

  stepMs(batch: StepBatch): number {
    const { chunkCount, promptTails, promptTailKvTokens } = batch;
    const prompts = chunkCount + promptTails;
    if (prompts === 0) return this.#inner.stepMs(batch);
    let before = promptTailKvTokens;
    let after = promptTailKvTokens + promptTails;
    for (let i = 0; i < chunkCount; i++) {
      before += batch.chunkResident[i]!;
      after += batch.chunkResident[i]! + batch.chunkTokens[i]!;
    }
    const own = this.#batch;
    own.decodeSeqs = batch.decodeSeqs - promptTails;
    own.decodeKvTokens = batch.decodeKvTokens - promptTailKvTokens;
    own.chunkCount = 1;
    own.chunkTokens[0] = prompts * (Math.floor(after / prompts) - Math.floor(before / prompts));
    return this.#inner.stepMs(own);
  }

  startRun(decodeSeqs: number, kvTokens: number, maxKvTokens: number): void {
    this.#inner.startRun(decodeSeqs, kvTokens, maxKvTokens);
  }

  runMs(steps: number): number {
    return this.#inner.runMs(steps);
  }

  stepsWithin(withinMs: number): number {
    return this.#inner.stepsWithin(withinMs);
  }
}
