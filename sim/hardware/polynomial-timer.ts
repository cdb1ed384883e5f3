/**
 * A step timer of two polynomials of second degree: prefill by the prompt tokens of the step, decode by the share of the KV pool that
 * the decoding requests hold. Source: the default timing model of NVIDIA AISimulate (engine of ai-dynamo-runtime 1.6.1), as recorded
 * in bench/conformance/aisimulate/vectors/README.md.
 *
 *   prefill ms = max(0, a t^2 + b t + c)           t = prompt tokens of the step; 0 if it has none
 *   decode ms  = max(floorMs, a x^2 + b x + c)     x = (resident + new tokens of the decoding requests) / poolTokens; 0 if there are none
 *   step ms    = prefill ms + decode ms
 *
 * In a run x grows by a constant, so a step is a quadratic in its number and a sum of steps a cubic. The floor divides a run into at
 * most three pieces; each is summed from its own first step, by forward differences.
 */
import type { Regime, RunCurve, RunSegments, StepBatch, StepTimer } from '../engine/step-timer.ts';

/** a, b, c of a x^2 + b x + c, ms. */
export type Quadratic = readonly [number, number, number];

export interface PolynomialTimes {
  readonly prefill: Quadratic;
  readonly decode: Quadratic;
  /** A step with decodes takes at least this, ms > 0. */
  readonly floorMs: number;
}

/** The default timing model of AISimulate. Source: bench/conformance/aisimulate/vectors/README.md. */
export const AISIMULATE_TIMES: PolynomialTimes = {
  prefill: [4.209989e-7, 1.518344e-2, 16.50142],
  decode: [-25.74, 54.01, 5.74],
  floorMs: 1,
};

const PIECES = 3;

/** Holds the state of the current run: one timer per worker. */
export class PolynomialTimer implements StepTimer, RunCurve {
  readonly run: RunSegments = { u0: 0, v0: 0, split: Infinity, u1: 0, v1: 0 };
  readonly requestMs: number;
  /** Nothing of ours was ever compared with hardware through these times. */
  readonly regime: Regime = 'fit-only';
  readonly curve: RunCurve = this;
  readonly #times: PolynomialTimes;
  readonly #poolTokens: number;
  /** The run: sequences and KV tokens of its first step, pieces with their first step, time before it and Newton's coefficients. */
  #seqs = 0;
  #kvTokens = 0;
  #pieces = 0;
  readonly #from = new Float64Array(PIECES + 1);
  readonly #before = new Float64Array(PIECES);
  readonly #u = new Float64Array(PIECES);
  readonly #v = new Float64Array(PIECES);
  readonly #w = new Float64Array(PIECES);

  /** `poolTokens` > 0: tokens that fit in the worker's HBM. Throws for coefficients that are not finite. */
  constructor(times: PolynomialTimes, poolTokens: number, requestMs = 0) {
    const { prefill, decode, floorMs } = times;
    for (const c of [...prefill, ...decode]) if (!Number.isFinite(c)) throw new Error(`coefficient: got ${c}, expected a finite number`);
    if (!(floorMs > 0 && floorMs < Infinity)) throw new Error(`floor of decode steps: got ${floorMs}, expected a finite number > 0`);
    if (!(poolTokens > 0)) throw new Error(`pool: got ${poolTokens} tokens, expected more than 0`);
    this.#times = times;
    this.#poolTokens = poolTokens;
    this.requestMs = requestMs;
  }

  stepMs(batch: StepBatch): number {
    const { decodeSeqs, promptTails, chunkCount, chunkTokens } = batch;
    if (decodeSeqs + chunkCount === 0) throw new Error('step without tokens');
    const seqs = decodeSeqs - promptTails;
    const decodeMs = seqs === 0 ? 0 : this.#decodeMs(batch.decodeKvTokens - batch.promptTailKvTokens + seqs);
    let prompt = promptTails;
    for (let i = 0; i < chunkCount; i++) prompt += chunkTokens[i]!;
    return prompt === 0 ? decodeMs : Math.max(0, valueAt(this.#times.prefill, prompt)) + decodeMs;
  }

  startRun(decodeSeqs: number, kvTokens: number, _maxKvTokens: number): void {
    if (decodeSeqs <= 0) throw new Error('run without tokens');
    this.#seqs = decodeSeqs;
    this.#kvTokens = kvTokens + decodeSeqs;
    const [first, second] = this.#crossings();
    this.#pieces = 0;
    this.#addPiece(0);
    if (first > 0 && first < Infinity) this.#addPiece(first);
    if (second > first && second < Infinity) this.#addPiece(second);
    this.#from[this.#pieces] = Infinity;
  }

  runMs(steps: number): number {
    let i = 0;
    while (steps > this.#from[i + 1]!) i++;
    return this.#before[i]! + this.#sum(i, steps - this.#from[i]!);
  }

  /** Cost O(log steps): bisection between the times of whole runs, from a bound by the floor. */
  stepsWithin(withinMs: number): number {
    if (!(withinMs > 0)) return 0;
    if (withinMs === Infinity) return Infinity;
    let low = 0;
    let high = 1;
    while (this.runMs(high) <= withinMs) {
      low = high;
      high *= 2;
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.runMs(middle) <= withinMs) low = middle;
      else high = middle;
    }
    return low;
  }

  runStepMs(k: number): number {
    return this.#decodeMs(this.#kvTokens + k * this.#seqs);
  }

  straightSteps(k: number): number {
    let i = 0;
    while (k >= this.#from[i + 1]!) i++;
    const left = this.#from[i + 1]! - k;
    // A chord over n steps is off by at most w n^2 / 8.
    const bend = Math.abs(this.#w[i]!);
    if (bend === 0) return left;
    return Math.max(1, Math.min(left, Math.floor(Math.sqrt((8e-6 * this.runStepMs(k)) / bend))));
  }

  #decodeMs(kvTokens: number): number {
    return Math.max(this.#times.floorMs, this.#quadraticMs(kvTokens));
  }

  #quadraticMs(kvTokens: number): number {
    return valueAt(this.#times.decode, kvTokens / this.#poolTokens);
  }

  /** First steps after which the quadratic has changed sides of the floor, ascending; 0 or Infinity = not in this run. */
  #crossings(): [number, number] {
    const [a, b, c] = this.#times.decode;
    const over = c - this.#times.floorMs;
    if (a === 0) return b === 0 ? [Infinity, Infinity] : [this.#stepAt(-over / b), Infinity];
    const discriminant = b * b - 4 * a * over;
    if (!(discriminant > 0)) return [Infinity, Infinity];
    // The larger root in magnitude first: no cancellation.
    const q = -(b + (b < 0 ? -1 : 1) * Math.sqrt(discriminant)) / 2;
    const x = q / a;
    const y = q === 0 ? 0 : over / q;
    return [this.#stepAt(Math.min(x, y)), this.#stepAt(Math.max(x, y))];
  }

  /** The first step whose pool share reaches x, up to rounding: a step on the crossing costs the floor either way. */
  #stepAt(x: number): number {
    return Math.max(0, Math.ceil((x * this.#poolTokens - this.#kvTokens) / this.#seqs));
  }

  /** A piece from step `from` on; the one before ends there. */
  #addPiece(from: number): void {
    const i = this.#pieces++;
    this.#from[i] = from;
    this.#before[i] = i === 0 ? 0 : this.#before[i - 1]! + this.#sum(i - 1, from - this.#from[i - 1]!);
    const kv = this.#kvTokens + from * this.#seqs;
    const ms = this.#quadraticMs(kv);
    const { decode, floorMs } = this.#times;
    const isFloor = (this.#isOnFloor(kv) ? this.#quadraticMs(kv + this.#seqs) : ms) < floorMs;
    const growth = this.#seqs / this.#poolTokens;
    const x = kv / this.#poolTokens;
    this.#u[i] = isFloor ? floorMs : ms;
    this.#v[i] = isFloor ? 0 : growth * (decode[0] * (2 * x + growth) + decode[1]);
    this.#w[i] = isFloor ? 0 : 2 * decode[0] * growth * growth;
  }

  /** The quadratic equals the floor up to rounding, so that its side of it is that of the next step. */
  #isOnFloor(kvTokens: number): boolean {
    const [a, b, c] = this.#times.decode;
    const x = kvTokens / this.#poolTokens;
    const scale = Math.abs(a * x * x) + Math.abs(b * x) + Math.abs(c) + this.#times.floorMs;
    return Math.abs(this.#quadraticMs(kvTokens) - this.#times.floorMs) <= 1e-12 * scale;
  }

  /** Time of the first n steps of piece i. */
  #sum(i: number, n: number): number {
    const pairs = (n * (n - 1)) / 2;
    return n * this.#u[i]! + pairs * this.#v[i]! + ((pairs * (n - 2)) / 3) * this.#w[i]!;
  }
}

function valueAt([a, b, c]: Quadratic, x: number): number {
  return a * (x * x) + b * x + c;
}
