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

  /**
   * p_i proportional to exp(-(cost_i - min) / ((max - min) T)), all equal: uniform. Returns the first i with u <= cumulative p.
   * Overwrites `costs[0..n)` with the weights. Costs must be finite, n >= 1, T > 0.
   */
  choose(costs: Float64Array, n: number, temperature: number, u: number): number {
    const total = this.#weigh(costs, n, temperature);
    // u <= cumulative / total, without a division per row.
    const wanted = u * total;
    let cumulative = 0;
    let i = 0;
    for (; i < n - 1; i++) {
      cumulative += costs[i]!;
      if (wanted <= cumulative) break;
    }
    this.probability = costs[i]! / total;
    return i;
  }

  /** Overwrites `costs[0..n)` with their probabilities under {@link choose}. */
  probabilities(costs: Float64Array, n: number, temperature: number): void {
    const total = this.#weigh(costs, n, temperature);
    for (let i = 0; i < n; i++) costs[i] = costs[i]! / total;
  }

  /** Overwrites costs with weights; returns their sum. */
  #weigh(costs: Float64Array, n: number, temperature: number): number {
    let least = costs[0]!;
    let most = least;
    for (let i = 1; i < n; i++) {
      const cost = costs[i]!;
      if (cost < least) least = cost;
      else if (cost > most) most = cost;
    }
    const width = (most - least) * temperature;
    let total = 0;
    for (let i = 0; i < n; i++) {
      const weight = width > 0 ? expNonPositive((least - costs[i]!) / width) : 1;
      costs[i] = weight;
      total += weight;
    }
    return total;
  }
}

function powersOfHalf(): Float64Array {
  const powers = new Float64Array(SMALLEST_EXPONENT + 2);
  powers[0] = 1;
  for (let i = 1; i < powers.length; i++) powers[i] = powers[i - 1]! / 2;
  return powers;
}
