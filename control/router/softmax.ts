/** Softmax over costs, and the exponential it needs a few hundred times per decision. Source: router specification 4.7. */
import { exp } from '../math.ts';

/** Steps per factor of two; the rest is below ln 2 / 128, where five terms of the series suffice. */
const STEPS = 64;
const STEP_BITS = 6;
/** ln 2 / 64 in two parts, the first with room for exact products. */
const STEP_HIGH = 0.6931471803691238 / STEPS;
const STEP_LOW = 1.9082149292705877e-10 / STEPS;
const STEPS_PER_UNIT = Math.LOG2E * STEPS;
const SMALLEST_EXPONENT = 1074;
/** 2^(-j/64) for j = 0 … 63, and 2^-k for k = 0 … 1075. */
const FRACTIONS = Float64Array.from({ length: STEPS }, (_, j) => exp((-j / STEPS) * Math.LN2));
const POWERS = powersOfHalf();
/** Above this, 2^(-j/64) 2^-k comes from one table of 1024 values. */
const LOWEST_NEAR = -11;
const NEAR_POWERS = Float64Array.from({ length: 1024 }, (_, n) => FRACTIONS[n & (STEPS - 1)]! * POWERS[n >> STEP_BITS]!);

/**
 * e^x for x <= 0, within 2 ulp where the result is normal. Only + - * and tables, so bit-equal on every machine and three times as
 * fast as the general one. Method: x = -(64 k + j) ln 2 / 64 + r, e^x = 2^-k 2^(-j/64) e^r (table-driven exponential, Tang 1989).
 */
export function expNonPositive(x: number): number {
  if (x < -745.2) return 0;
  const n = (0.5 - STEPS_PER_UNIT * x) | 0;
  const r = x + n * STEP_HIGH + n * STEP_LOW;
  const p = r * (1 + r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120)))));
  const fraction = FRACTIONS[n & (STEPS - 1)]!;
  return (fraction + fraction * p) * POWERS[n >> STEP_BITS]!;
}

/** Draws one of several costs; reused, so that a decision allocates nothing. */
export class SoftmaxPicker {
  /** Probability of the last choice. */
  probability = 1;
  /** Sums of the weights up to each row. */
  #sums = new Float64Array(64);

  /**
   * p_i proportional to exp(-(cost_i - min) / ((max - min) T)), all equal: uniform. Returns the first i with u <= cumulative p.
   * Overwrites `costs[0..n)` with the weights. Costs must be finite, n >= 1, T > 0. Cost: an exponential per row.
   */
  choose(costs: Float64Array, n: number, temperature: number, u: number): number {
    const total = this.#weigh(costs, n, temperature);
    // u <= cumulative / total, without a division per row. Weights are not negative, so the sums are in order.
    const wanted = u * total;
    const sums = this.#sums;
    let low = 0;
    let high = n - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (wanted <= sums[middle]!) high = middle;
      else low = middle + 1;
    }
    this.probability = costs[low]! / total;
    return low;
  }

  /** Overwrites `costs[0..n)` with their probabilities under {@link choose}. */
  probabilities(costs: Float64Array, n: number, temperature: number): void {
    const total = this.#weigh(costs, n, temperature);
    for (let i = 0; i < n; i++) costs[i] = costs[i]! / total;
  }

  /** Overwrites costs with weights and fills the sums; returns the last one. */
  #weigh(costs: Float64Array, n: number, temperature: number): number {
    if (this.#sums.length < n) this.#sums = new Float64Array(2 * n);
    let least = costs[0]!;
    let most = least;
    for (let i = 1; i < n; i++) {
      const cost = costs[i]!;
      if (cost < least) least = cost;
      else if (cost > most) most = cost;
    }
    const width = (most - least) * temperature;
    if (!(width > 0)) return equalWeights(costs, this.#sums, n);
    const fill = least - most >= LOWEST_NEAR * width ? nearExponentials : exponentials;
    return fill(costs, this.#sums, n, least, width);
  }
}

/** {@link expNonPositive} of (least - cost) / width. */
function exponentials(costs: Float64Array, sums: Float64Array, n: number, least: number, width: number): number {
  let total = 0;
  for (let i = 0; i < n; i++) {
    const weight = expNonPositive((least - costs[i]!) / width);
    costs[i] = weight;
    sums[i] = total += weight;
  }
  return total;
}

/**
 * The same where no exponent is below {@link LOWEST_NEAR}: 2^-k is a factor of the table, which is exact, and nothing can underflow.
 * The usual temperatures are here; written out it takes a third less.
 */
function nearExponentials(costs: Float64Array, sums: Float64Array, n: number, least: number, width: number): number {
  const powers = NEAR_POWERS;
  let total = 0;
  for (let i = 0; i < n; i++) {
    const x = (least - costs[i]!) / width;
    const k = (0.5 - STEPS_PER_UNIT * x) | 0;
    const r = x + k * STEP_HIGH + k * STEP_LOW;
    const p = r * (1 + r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120)))));
    const power = powers[k]!;
    const weight = power + power * p;
    costs[i] = weight;
    sums[i] = total += weight;
  }
  return total;
}

function equalWeights(costs: Float64Array, sums: Float64Array, n: number): number {
  for (let i = 0; i < n; i++) {
    costs[i] = 1;
    sums[i] = i + 1;
  }
  return n;
}

function powersOfHalf(): Float64Array {
  const powers = new Float64Array(SMALLEST_EXPONENT + 2);
  powers[0] = 1;
  for (let i = 1; i < powers.length; i++) powers[i] = powers[i - 1]! / 2;
  return powers;
}
