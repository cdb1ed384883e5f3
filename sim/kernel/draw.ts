/**
 * Random draws of the workload: keyed streams and the recipes that turn their numbers into quantities. A stream belongs to one
 * (purpose, entity), so adding an entity or a purpose never shifts another stream. Transcendentals come from control/math.ts.
 * Source: experiments specification 3.1.
 */
import normalQuantile from '@stdlib/stats-base-dists-normal-quantile';
import alea from 'seedrandom/lib/alea.js';
import { exp, log, pow } from '../../control/math.ts';

/** Anything that yields numbers in [0, 1). */
export interface Uniform {
  double(): number;
}

/** Key of a stream: `<seed>/<replication>/<purpose>/<entity>`, e.g. `42/3/pause/s17/root`. */
export function streamKey(seed: number, replication: number, purpose: string, entity: string): string {
  return `${seed}/${replication}/${purpose}/${entity}`;
}

/** A generator of its own per key: Baagøe's Alea, 53-bit numbers. Opening one costs some microseconds, a number about 20 ns. */
export class Stream implements Uniform {
  readonly key: string;
  readonly double: () => number;
  #redraw: Uniform | undefined;

  constructor(key: string) {
    this.key = key;
    this.double = alea(key).double;
  }

  /** The second generator, `<key>/redraw`, for values that were rejected: the main stream keeps its fixed count per turn. */
  get redraw(): Uniform {
    this.#redraw ??= new Stream(`${this.key}/redraw`);
    return this.#redraw;
  }
}

/** Integer in [low, high], one number. */
export function uniformInteger(stream: Uniform, low: number, high: number): number {
  return low + Math.floor(stream.double() * (high - low + 1));
}

/** Real in [low, high), one number. */
export function uniformReal(stream: Uniform, low: number, high: number): number {
  return low + stream.double() * (high - low);
}

/** Index by cumulative weight: the first with u < sum, u in [0, total). One number. Weights >= 0, total > 0. */
export function choice(stream: Uniform, weights: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i]!;
  const u = stream.double() * total;
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i]!;
    if (u < sum) return i;
  }
  return weights.length - 1;
}

/** Exponential with the given mean, one number. */
export function exponential(stream: Uniform, mean: number): number {
  return -log(1 - stream.double()) * mean;
}

/** 2^-54: half the smallest positive number a stream yields. */
const SMALLEST_U = 1 / 18014398509481984;

/** Standard normal by the inverse distribution of one number. */
export function normal(stream: Uniform): number {
  const u = stream.double();
  // u = 0 has probability 2^-53 and would be minus infinity.
  return normalQuantile(u === 0 ? SMALLEST_U : u, 0, 1);
}

/** Lognormal median * exp(sigma z), one number. */
export function lognormal(stream: Uniform, median: number, sigma: number): number {
  return median * exp(sigma * normal(stream));
}

/** Lognormal components with an optional point mass and bounds. Weights of the components sum to 1. */
export interface LognormalMixture {
  readonly components: readonly { readonly weight: number; readonly median: number; readonly sigma: number }[];
  readonly pointMass?: { readonly p: number; readonly value: number };
  /** Smaller draws are raised to it. */
  readonly min?: number;
  /** Larger draws are rejected and drawn again from the redraw generator. */
  readonly max?: number;
}

/** One draw of a mixture. Always takes three numbers from the stream (point mass, component, value), used or not. */
export function mixture(stream: Stream, spec: LognormalMixture): number {
  let value = mixtureOnce(stream, spec);
  const max = spec.max ?? Infinity;
  for (let tries = 0; value > max; tries++) {
    // A bound that rejects nearly everything is a mistake in the parameters, not a reason to spin.
    if (tries === 10_000) throw new Error(`mixture: 10000 draws above the maximum ${max} (stream ${stream.key})`);
    value = mixtureOnce(stream.redraw, spec);
  }
  return Math.max(value, spec.min ?? -Infinity);
}

function mixtureOnce(stream: Uniform, spec: LognormalMixture): number {
  const isPoint = stream.double() < (spec.pointMass?.p ?? 0);
  const pick = stream.double();
  const z = normal(stream);
  if (isPoint) return spec.pointMass!.value;
  const parts = spec.components;
  let i = 0;
  let sum = parts[0]!.weight;
  while (pick >= sum && i < parts.length - 1) sum += parts[++i]!.weight;
  const { median, sigma } = parts[i]!;
  return median * exp(sigma * z);
}

/**
 * Gamma with the given shape and scale; mean shape * scale. Takes a varying count of numbers: a stream of its own per use.
 * Source: Marsaglia and Tsang, A simple method for generating gamma variables (2000); shape < 1 by the boost u^(1/shape).
 */
export function gamma(stream: Uniform, shape: number, scale: number): number {
  if (!(shape > 0 && scale >= 0)) throw new Error(`gamma: got shape ${shape}, scale ${scale}`);
  if (shape < 1) {
    const larger = gamma(stream, shape + 1, scale);
    return larger * pow(1 - stream.double(), 1 / shape);
  }
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(stream);
    const root = 1 + c * x;
    const u = stream.double();
    if (root <= 0) continue;
    const v = root * root * root;
    const x2 = x * x;
    if (u < 1 - 0.0331 * x2 * x2 || log(u) < 0.5 * x2 + d * (1 - v + log(v))) return d * v * scale;
  }
}

/** Gap of a gamma renewal process with rate `ratePerMs` and coefficient of variation `cv`, ms; cv 0 = fixed, cv 1 = Poisson. */
export function renewalGap(stream: Uniform, ratePerMs: number, cv: number): number {
  if (cv === 0) return 1 / ratePerMs;
  const variance = cv * cv;
  return gamma(stream, 1 / variance, variance / ratePerMs);
}
