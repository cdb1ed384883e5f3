/** Softmax over costs, and the exponential it needs a few hundred times per decision. Source: router specification 4.7. */

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const INVERSE_LN2 = 1.4426950408889634;
const P1 = 0.16666666666666602;
const P2 = -0.0027777777777015593;
const P3 = 0.00006613756321437934;
const P4 = -0.0000016533902205465252;
const P5 = 4.1381367970572385e-8;
const SMALLEST_EXPONENT = 1074;
/** 2^-i for i = 0 … 1074, so that scaling is one exact product. */
const POWERS = powersOfHalf();

/**
 * e^x for x <= 0 with an error below 1 ulp where the result is normal. Only + - * / and tables, so bit-equal on every machine.
 * Source: argument reduction and rational approximation of FreeBSD msun e_exp.c (Sun Microsystems, freely distributable).
 */
export function expNonPositive(x: number): number {
  if (x < -745.2) return 0;
  const k = (0.5 - INVERSE_LN2 * x) | 0;
  const high = x + k * LN2_HIGH;
  const low = -k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  const c = r - t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * P5))));
  return (1 - (low - (r * c) / (2 - c) - high)) * POWERS[k]!;
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
    let cumulative = 0;
    let i = 0;
    for (; i < n - 1; i++) {
      cumulative += costs[i]! / total;
      if (u <= cumulative) break;
    }
    this.probability = costs[i]! / total;
    return i;
  }
}

function powersOfHalf(): Float64Array {
  const powers = new Float64Array(SMALLEST_EXPONENT + 2);
  powers[0] = 1;
  for (let i = 1; i <= SMALLEST_EXPONENT; i++) powers[i] = powers[i - 1]! / 2;
  return powers;
}
