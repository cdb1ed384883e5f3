/**
 * Step times from a performance cell: a dense table per token count plus attention terms, and the closed form of a run of equal
 * steps. Pure arithmetic (+ - * / and sqrt), no allocation per step or run.
 *
 * Layout: `lin[n]` and `lm[s]` are Float64Array tables indexed by tokens and logit rows, interpolated between the cell's knots
 * and shared by all timers of one cell; beyond the last knot the last slope continues.
 *
 *   T = phi (lin[D] + lm[S] + A_dec) + phiPrefill (max(0, lin[N] - lin[D]) + sum A_pre) + o0 + o1 D + (J > 0 ? delta layers : 0)
 *
 * Source: performance-model specification 2 (step), 3 (run), 8 (validity).
 */
import type { Regime, RunSegments, StepBatch, StepTimer } from '../engine/step-timer.ts';
import { type CellKnots, cellFile, type StepParameters, type TimingCell, validatedRange } from './cells.ts';
import { findModel } from './models.ts';

/** Interpolated tables of one cell. */
export interface StepTables {
  /** ms for n tokens; index 0 is 0. Shape [last knot + 1]. */
  readonly lin: Float64Array;
  /** ms for s logit rows; index 0 unused. Shape [last knot + 1]. */
  readonly lm: Float64Array;
  /** Slopes beyond the last knots, ms per token and row. */
  readonly linSlope: number;
  readonly lmSlope: number;
}

const tablesOf = new WeakMap<TimingCell, StepTables>();

/** Tables of a cell, built once per cell object. Cost O(last knot) on first use. */
export function stepTables(cell: TimingCell, knots: CellKnots = cellFile().knots): StepTables {
  let tables = tablesOf.get(cell);
  if (tables === undefined) {
    tables = {
      lin: interpolate(knots.linTokens, cell.lin),
      lm: interpolate(knots.lmRows, cell.lm),
      linSlope: lastSlope(knots.linTokens, cell.lin),
      lmSlope: lastSlope(knots.lmRows, cell.lm),
    };
    tablesOf.set(cell, tables);
  }
  return tables;
}

/** Prefix length above which cells with latent attention are not covered (re-expansion of a long resident prefix). */
const MLA_MAX_PREFIX = 16_384;

/**
 * The timer of one worker (it holds the state of the current run; tables are shared).
 * `stepsWithin` counts without an upper end: callers cap it by the horizon of the run.
 */
export class CellTimer implements StepTimer {
  readonly run: RunSegments = { u0: 0, v0: 0, split: 0, u1: 0, v1: 0 };
  readonly requestMs: number;
  regime: Regime = 'fit-only';

  readonly #lin: Float64Array;
  readonly #lm: Float64Array;
  readonly #linSlope: number;
  readonly #lmSlope: number;
  readonly #floor: number;
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;
  readonly #p0: number;
  readonly #p1: number;
  readonly #p2: number;
  readonly #phi: number;
  readonly #phiPrefill: number;
  readonly #o0: number;
  readonly #o1: number;
  readonly #chunkStepMs: number;
  readonly #alpha: number;
  /** Fitted bounds. */
  readonly #maxTokens: number;
  readonly #maxSeqs: number;
  readonly #maxContext: number;
  readonly #maxKv: number;
  readonly #maxPrefix: number;
  /** Bounds of the serving points; 0 = none. */
  readonly #okSeqs: number;
  readonly #okContext: number;

  constructor(cell: TimingCell, parameters: StepParameters, tables: StepTables = stepTables(cell)) {
    this.#lin = tables.lin;
    this.#lm = tables.lm;
    this.#linSlope = tables.linSlope;
    this.#lmSlope = tables.lmSlope;
    this.#floor = cell.dec.floor;
    this.#a = cell.dec.a;
    this.#b = cell.dec.b;
    this.#c = cell.dec.c;
    this.#p0 = cell.pre.p0;
    this.#p1 = cell.pre.p1;
    this.#p2 = cell.pre.p2;
    this.#phi = parameters.phi;
    this.#phiPrefill = parameters.phiPrefill;
    this.#o0 = parameters.o0Ms;
    this.#o1 = parameters.o1Ms;
    this.#chunkStepMs = parameters.deltaMsPerLayer * cell.layers;
    this.#alpha = parameters.skewAlpha;
    this.requestMs = parameters.oReqMs;
    const range = cell.fittedRange;
    this.#maxTokens = Math.min(range.maxStepTokens, tables.lin.length - 1);
    this.#maxSeqs = range.maxDecodeSeqs;
    this.#maxContext = range.maxContextTokens;
    this.#maxKv = range.maxDecodeKvTokens;
    this.#maxPrefix = findModel(cell.model)?.attention === 'mla' ? MLA_MAX_PREFIX : range.maxPrefixTokens;
    const validated = validatedRange(cell);
    this.#okSeqs = validated?.maxConcurrency ?? 0;
    this.#okContext = validated?.maxContextTokens ?? 0;
  }

  stepMs(batch: StepBatch): number {
    const seqs = batch.decodeSeqs;
    const chunks = batch.chunkCount;
    const rows = seqs + chunks;
    if (rows === 0) throw new Error('step without tokens');
    const linDecode = seqs === 0 ? 0 : this.#linMs(seqs);
    let own = linDecode + this.#lmMs(rows);
    if (seqs !== 0) own += this.#decodeMs(seqs, batch.decodeKvTokens, batch.maxDecodeKvTokens);
    if (chunks === 0) {
      this.regime = this.#tag(seqs, seqs, batch.decodeKvTokens, batch.maxDecodeKvTokens, 0, 0);
      return this.#phi * own + this.#o0 + this.#o1 * seqs;
    }
    const sizes = batch.chunkTokens;
    const residents = batch.chunkResident;
    let tokens = seqs;
    let attention = 0;
    let longest = 0;
    let end = 0;
    for (let j = 0; j < chunks; j++) {
      const n = sizes[j]!;
      const p = residents[j]!;
      tokens += n;
      attention += this.#chunkMs(n, p);
      if (p > longest) longest = p;
      if (p + n > end) end = p + n;
    }
    this.regime = this.#tag(tokens, seqs, batch.decodeKvTokens, batch.maxDecodeKvTokens, longest, end);
    const grown = this.#linMs(tokens) - linDecode;
    return this.#phi * own + this.#phiPrefill * (Math.max(grown, 0) + attention) + this.#o0 + this.#o1 * seqs + this.#chunkStepMs;
  }

  startRun(decodeSeqs: number, kvTokens: number, maxKvTokens: number): void {
    if (decodeSeqs <= 0) throw new Error('run without tokens');
    this.regime = this.#tag(decodeSeqs, decodeSeqs, kvTokens, maxKvTokens, 0, 0);
    const base = this.#linMs(decodeSeqs) + this.#lmMs(decodeSeqs);
    this.#segments(decodeSeqs, kvTokens, maxKvTokens, base, this.#o0 + this.#o1 * decodeSeqs, 0);
  }

  /**
   * Starts a run whose steps each carry one more chunk of `chunkTokens` of the same prompt, the first one on `residentTokens`,
   * beside `decodeSeqs` decodes (0 allowed; then the other two are ignored). A run has the validity of its first step.
   */
  startChunkRun(chunkTokens: number, residentTokens: number, decodeSeqs: number, kvTokens: number, maxKvTokens: number): void {
    const n = chunkTokens;
    const p = residentTokens;
    this.regime = this.#tag(decodeSeqs + n, decodeSeqs, kvTokens, maxKvTokens, p, p + n);
    const linDecode = decodeSeqs === 0 ? 0 : this.#linMs(decodeSeqs);
    const grown = this.#linMs(decodeSeqs + n) - linDecode;
    const base = linDecode + this.#lmMs(decodeSeqs + 1);
    const prefill = this.#phiPrefill * (Math.max(grown, 0) + this.#chunkMs(n, p));
    const over = this.#o0 + this.#o1 * decodeSeqs + this.#chunkStepMs + prefill;
    const growth = this.#phiPrefill * this.#p2 * n * n;
    if (decodeSeqs > 0) {
      this.#segments(decodeSeqs, kvTokens, maxKvTokens, base, over, growth);
      return;
    }
    const run = this.run;
    run.split = Infinity;
    run.u0 = run.u1 = this.#phi * base + over;
    run.v0 = run.v1 = growth;
  }

  runMs(steps: number): number {
    const run = this.run;
    const split = run.split;
    if (steps <= split) return steps * run.u0 + run.v0 * ((steps * (steps - 1)) / 2);
    const rest = steps - split;
    const first = split === 0 ? 0 : split * run.u0 + run.v0 * ((split * (split - 1)) / 2);
    return first + (rest * run.u1 + run.v1 * ((rest * (rest - 1)) / 2));
  }

  stepsWithin(withinMs: number): number {
    if (!(withinMs > 0)) return 0;
    if (withinMs === Infinity) return Infinity;
    const { u0, v0, u1, v1, split } = this.run;
    const inFirst = split === Infinity || (split > 0 && this.runMs(split) > withinMs);
    const before = inFirst || split === 0 ? 0 : this.runMs(split);
    const u = inFirst ? u0 : u1;
    const v = inFirst ? v0 : v1;
    const tau = withinMs - before;
    const h = u - v / 2;
    const done = inFirst ? 0 : split;
    let steps = done + Math.floor((2 * tau) / (h + Math.sqrt(h * h + 2 * v * tau)));
    // The root is exact up to rounding: at most one correction in practice.
    while (steps > done && this.runMs(steps) > withinMs) steps--;
    while (this.runMs(steps + 1) <= withinMs) steps++;
    return steps;
  }

  /** The two segments of a decode run: the attention floor holds until K_eff has outgrown it, once. */
  #segments(seqs: number, kvTokens: number, maxKvTokens: number, base: number, over: number, growth: number): void {
    const c = this.#c;
    const attention = this.#a + this.#b * seqs;
    const kv = kvTokens + this.#alpha * (seqs * maxKvTokens - kvTokens);
    const run = this.run;
    let split = 0;
    if (attention + c * kv < this.#floor) {
      split = Math.ceil(((this.#floor - attention) / c - kv) / seqs);
      run.u0 = this.#phi * (base + this.#floor) + over;
      run.v0 = growth;
    }
    run.split = split;
    run.u1 = this.#phi * (base + attention + c * (kv + split * seqs)) + over + split * growth;
    run.v1 = this.#phi * c * seqs + growth;
    if (split === 0) {
      run.u0 = run.u1;
      run.v0 = run.v1;
    }
  }

  #linMs(tokens: number): number {
    const lin = this.#lin;
    const last = lin.length - 1;
    return tokens <= last ? lin[tokens]! : lin[last]! + this.#linSlope * (tokens - last);
  }

  #lmMs(rows: number): number {
    const lm = this.#lm;
    const last = lm.length - 1;
    return rows <= last ? lm[rows]! : lm[last]! + this.#lmSlope * (rows - last);
  }

  #decodeMs(seqs: number, kvTokens: number, maxKvTokens: number): number {
    const kv = kvTokens + this.#alpha * (seqs * maxKvTokens - kvTokens);
    const ms = this.#a + this.#b * seqs + this.#c * kv;
    return Math.max(ms, this.#floor);
  }

  #chunkMs(n: number, p: number): number {
    return this.#p0 + this.#p1 * n + this.#p2 * (n * p + (n * n) / 2);
  }

  #tag(tokens: number, seqs: number, kvTokens: number, longestKv: number, longestPrefix: number, chunkEnd: number): Regime {
    if (
      tokens > this.#maxTokens ||
      seqs > this.#maxSeqs ||
      kvTokens > this.#maxKv ||
      longestKv > this.#maxContext ||
      longestPrefix > this.#maxPrefix
    )
      return 'extrapolated';
    return seqs <= this.#okSeqs && longestKv < this.#okContext && chunkEnd <= this.#okContext ? 'calibrated' : 'fit-only';
  }
}

/** Prefill cost for decisions: C_re(p, n) = a n + b n (p + n / 2), ms per token and per token pair. */
export interface PrefillCost {
  readonly msPerToken: number;
  readonly msPerPair: number;
}

/**
 * The two prefill coefficients of a cell at the chunk size in use: a = slope of the linear part from a full chunk, b = cost per
 * token pair. Source: retention specification 5.
 */
export function prefillCost(cell: TimingCell, parameters: StepParameters, chunkTokens: number): PrefillCost {
  const { lin, linSlope } = stepTables(cell);
  const last = lin.length - 1;
  const linMs = chunkTokens <= last ? lin[chunkTokens]! : lin[last]! + linSlope * (chunkTokens - last);
  return {
    msPerToken: parameters.phiPrefill * (linMs / chunkTokens + cell.pre.p1),
    msPerPair: parameters.phiPrefill * cell.pre.p2,
  };
}

function interpolate(knots: readonly number[], values: readonly number[]): Float64Array {
  const last = knots[knots.length - 1]!;
  const table = new Float64Array(last + 1);
  let k = 0;
  for (let n = knots[0]!; n <= last; n++) {
    while (knots[k + 1]! < n) k++;
    const x0 = knots[k]!;
    const y0 = values[k]!;
    const x1 = knots[k + 1]!;
    // At a knot the table holds the measured value itself, free of rounding.
    table[n] = n === x0 ? y0 : n === x1 ? values[k + 1]! : y0 + ((values[k + 1]! - y0) * (n - x0)) / (x1 - x0);
  }
  return table;
}

function lastSlope(knots: readonly number[], values: readonly number[]): number {
  const i = knots.length - 1;
  return (values[i]! - values[i - 1]!) / (knots[i]! - knots[i - 1]!);
}
