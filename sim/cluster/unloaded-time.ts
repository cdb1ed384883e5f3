/**
 * What a turn would take alone on an idle worker with every previously computed prefix token in HBM: the denominator of slowdown.
 * Source: experiments specification 4 (turn.slowdown).
 */
import { createStepBatch, type StepTimer } from '../engine/step-timer.ts';

/** Computes unloaded times with a timer of its own. */
export class UnloadedTime {
  readonly #timer: StepTimer;
  readonly #chunkTokens: number;
  readonly #blockTokens: number;
  readonly #requestMs: number;
  readonly #batch = createStepBatch(1);

  constructor(timer: StepTimer, maxBatchedTokens: number, blockTokens: number, requestMs: number) {
    this.#timer = timer;
    this.#chunkTokens = maxBatchedTokens;
    this.#blockTokens = blockTokens;
    this.#requestMs = requestMs;
  }

  /** Arrival to last token, ms. Cost O(chunks of the uncached prompt). */
  e2eMs(promptTokens: number, reusableTokens: number, outputTokens: number): number {
    const b = this.#blockTokens;
    const cached = Math.min(Math.floor(reusableTokens / b), Math.floor((promptTokens - 1) / b)) * b;
    let ms = this.#requestMs;
    for (let at = cached; at < promptTokens; ) {
      const n = Math.min(this.#chunkTokens, promptTokens - at);
      ms += this.#stepMs(n, at);
      at += n;
    }
    if (outputTokens > 1) {
      this.#timer.startRun(1, promptTokens, promptTokens);
      ms += this.#timer.runMs(outputTokens - 1);
    }
    return ms;
  }

  #stepMs(tokens: number, resident: number): number {
    const batch = this.#batch;
    const isDecode = tokens === 1;
    batch.decodeSeqs = isDecode ? 1 : 0;
    batch.decodeKvTokens = isDecode ? resident : 0;
    batch.maxDecodeKvTokens = batch.decodeKvTokens;
    batch.promptTails = batch.decodeSeqs;
    batch.promptTailKvTokens = batch.decodeKvTokens;
    batch.chunkCount = isDecode ? 0 : 1;
    batch.chunkTokens[0] = tokens;
    batch.chunkResident[0] = resident;
    return this.#timer.stepMs(batch);
  }
}
