/**
 * The StepTimer port: how long a step of a given composition takes. Pure; equal arguments give bit-equal results; uses only
 * `+ - * /` and sqrt. Implementations in sim/hardware: cells (cell-timer.ts), a constant (fixed-timer.ts), one constant per phase
 * (phase-timer.ts), polynomials (polynomial-timer.ts).
 * Source: engine specification 5, performance-model specification 2 and 3.
 */
import { widened } from '../../control/widened.ts';

/** Composition of one step, in one reused object. All counts are integers. */
export interface StepBatch {
  /** Items with exactly one new token, and the sum and maximum of their resident KV tokens at step start. */
  decodeSeqs: number;
  decodeKvTokens: number;
  maxDecodeKvTokens: number;
  /** Those of them whose one token belongs to the prompt (the rest of a chunked or cached prompt), and their resident tokens. */
  promptTails: number;
  promptTailKvTokens: number;
  /** Items with two or more new tokens: new tokens and resident tokens. Valid up to chunkCount. */
  chunkCount: number;
  chunkTokens: Int32Array;
  chunkResident: Int32Array;
}

/** Growable scratch for a batch. */
export function createStepBatch(capacity = 64): StepBatch {
  return {
    decodeSeqs: 0,
    decodeKvTokens: 0,
    maxDecodeKvTokens: 0,
    promptTails: 0,
    promptTailKvTokens: 0,
    chunkCount: 0,
    chunkTokens: new Int32Array(capacity),
    chunkResident: new Int32Array(capacity),
  };
}

/** Empties a batch. */
export function clearBatch(batch: StepBatch): void {
  batch.decodeSeqs = 0;
  batch.decodeKvTokens = 0;
  batch.maxDecodeKvTokens = 0;
  batch.promptTails = 0;
  batch.promptTailKvTokens = 0;
  batch.chunkCount = 0;
}

/** Adds an item with `tokens` >= 1 new tokens; `ofPrompt` = its first new token belongs to the prompt. */
export function addToBatch(batch: StepBatch, tokens: number, resident: number, ofPrompt: boolean): void {
  if (tokens === 1) {
    batch.decodeSeqs++;
    batch.decodeKvTokens += resident;
    if (ofPrompt) {
      batch.promptTails++;
      batch.promptTailKvTokens += resident;
    }
    if (resident > batch.maxDecodeKvTokens) batch.maxDecodeKvTokens = resident;
    return;
  }
  if (batch.chunkCount === batch.chunkTokens.length) {
    batch.chunkTokens = widened(batch.chunkTokens, 2 * batch.chunkCount);
    batch.chunkResident = widened(batch.chunkResident, 2 * batch.chunkCount);
  }
  batch.chunkTokens[batch.chunkCount] = tokens;
  batch.chunkResident[batch.chunkCount++] = resident;
}

export interface StepTimer {
  /** Duration of one step, ms >= 0. Throws for a step without tokens. */
  stepMs(batch: StepBatch): number;
  /**
   * Starts a run: `steps` equal decode steps with `decodeSeqs` sequences whose KV sum starts at `kvTokens` (grows by decodeSeqs a
   * step) and whose longest starts at `maxKvTokens`; none of them computes a prompt token. Later calls of runMs, stepsWithin, run and
   * curve refer to it.
   */
  startRun(decodeSeqs: number, kvTokens: number, maxKvTokens: number): void;
  /** Time of the first `steps` steps of the run, ms. Cost O(1). */
  runMs(steps: number): number;
  /** Largest number of whole steps that end at or before `withinMs`, without an upper end; Infinity if steps take no time. Cost O(1), of a curve O(log steps). */
  stepsWithin(withinMs: number): number;
  /** Duration of the first step of segment 0, its increment, and the steps after which the second segment (if any) begins. */
  readonly run: RunSegments;
  /** Present: step durations are no arithmetic progression, `run` says nothing, and times come from here. */
  readonly curve?: RunCurve;
  /** Milliseconds between sending a request and the scheduler seeing it (oReqMs). */
  readonly requestMs: number;
  /** Share of steps by validity tag is aggregated by the worker with this tag of the last stepMs or startRun call. */
  readonly regime: Regime;
}

/** Validity of a step, performance-model specification 8. */
export type Regime = 'calibrated' | 'fit-only' | 'extrapolated';

/** Step k (0-based) of segment i costs u[i] + k * v[i]; segment 0 has `split` steps (0 = unused, Infinity = no second one). */
export interface RunSegments {
  u0: number;
  v0: number;
  split: number;
  u1: number;
  v1: number;
}

/** Times of the current run of a timer whose step durations do not grow by a constant. */
export interface RunCurve {
  /** As {@link StepTimer.runMs}. */
  runMs(steps: number): number;
  /** As {@link StepTimer.stepsWithin}. */
  stepsWithin(withinMs: number): number;
  /** Duration of step k (0-based), ms; bit-equal to stepMs of a batch with the same sequences. */
  runStepMs(k: number): number;
  /** Number of steps from step k on, >= 1, whose durations lie on a straight line within 1e-6 of a step: what a token gap may be off by. */
  straightSteps(k: number): number;
}
