/**
 * Shares of several causes in one difference. Source: L. S. Shapley, A Value for n-Person Games (1953); experiments specification 7.3
 * for two parts.
 */
/** What one part of a difference did. All in the unit of the values. */
export interface ShapleyShare {
  /** Mean of what the part changes over every order in which the parts could have been changed. */
  readonly share: number;
  /** What it changes when it is changed first, with all others as they were. */
  readonly alone: number;
  /** What it changes when it is changed last. */
  readonly last: number;
}

/** Shares that sum to `values[all] - values[none]`, and what no part does alone. */
export interface ShapleySplit {
  readonly shares: readonly ShapleyShare[];
  /** The difference minus the sum of all `alone`: for two parts m11 - m10 - m01 + m00. */
  readonly interaction: number;
}

/**
 * Splits a difference among `parts` parts. `values[mask]` is what was measured with the parts of the mask changed (bit i = part i),
 * so there are 2^parts of them.
 * Throws Error on another number of values. Cost: O(parts 2^parts).
 */
export function shapleySplit(values: readonly number[], parts: number): ShapleySplit {
  if (values.length !== 2 ** parts) throw new Error(`Shapley shares of ${parts} parts need ${2 ** parts} values, got ${values.length}`);
  const all = values.length - 1;
  const weights = orderWeights(parts);
  const shares = Array.from({ length: parts }, (_, part): ShapleyShare => {
    const bit = 1 << part;
    let share = 0;
    for (let mask = 0; mask <= all; mask++) {
      if ((mask & bit) === 0) share += weights[bitsOf(mask)]! * (values[mask | bit]! - values[mask]!);
    }
    return { share, alone: values[bit]! - values[0]!, last: values[all]! - values[all & ~bit]! };
  });
  return { shares, interaction: shares.reduce((rest, { alone }) => rest - alone, values[all]! - values[0]!) };
}

/** Share of all orders in which exactly `before` of the other parts come first: before! (parts - 1 - before)! / parts!. */
function orderWeights(parts: number): number[] {
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  return Array.from({ length: parts }, (_, before) => (factorial(before) * factorial(parts - 1 - before)) / factorial(parts));
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits++;
  return bits;
}
