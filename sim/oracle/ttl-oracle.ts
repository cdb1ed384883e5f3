/**
 * O4, clairvoyant deadlines: idle gaps, each with what keeping the content would save and the rent it would cost (size x time). Sorted
 * by saving per rent, every prefix is the best that its rent can buy: the frontier of all deadlines that know the future.
 *
 * Exact where storage is rented and gaps do not compete for a fixed room; under a fixed room it is an upper bound at the rent that the
 * room can hold on average. Source: retention specification 11, O4.
 */

/** A point of the frontier. */
export interface FrontierPoint {
  readonly saved: number;
  readonly rent: number;
  /** Saving per rent of the last gap bought: the price of space at which one would stop here. Infinity at the origin. */
  readonly price: number;
}

export class TtlOracle {
  readonly #saved: Float64Array;
  readonly #rent: Float64Array;
  readonly #price: Float64Array;

  /** `value` and `rent` by gap, both >= 0; a gap without rent costs nothing and comes first. Cost O(n log n). */
  constructor(value: ArrayLike<number>, rent: ArrayLike<number>) {
    const order = Int32Array.from({ length: value.length }, (_, i) => i);
    const price = (i: number): number => (rent[i]! === 0 ? Number.POSITIVE_INFINITY : value[i]! / rent[i]!);
    order.sort((a, b) => {
      const [pa, pb] = [price(a), price(b)];
      return pa === pb ? a - b : pb - pa;
    });
    this.#saved = new Float64Array(value.length);
    this.#rent = new Float64Array(value.length);
    this.#price = new Float64Array(value.length);
    let saved = 0;
    let paid = 0;
    order.forEach((i, k) => {
      this.#saved[k] = saved += value[i]!;
      this.#rent[k] = paid += rent[i]!;
      this.#price[k] = price(i);
    });
  }

  /** Number of points beside the origin. */
  get size(): number {
    return this.#saved.length;
  }

  /** Point k of the frontier, 0 = nothing kept. */
  point(k: number): FrontierPoint {
    if (k === 0) return { saved: 0, rent: 0, price: Number.POSITIVE_INFINITY };
    return { saved: this.#saved[k - 1]!, rent: this.#rent[k - 1]!, price: this.#price[k - 1]! };
  }

  /** The most that `rent` buys; a gap that does not fit is bought in part, so that it is a bound for every choice of gaps. */
  atRent(rent: number): FrontierPoint {
    const bought = countWhere(this.#rent, (paid) => paid <= rent);
    return bought === this.size ? this.point(bought) : this.#between(bought, rent);
  }

  /** The first point that saves at least `saved`, whole gaps only; the end of the frontier if it saves less. */
  atSaved(saved: number): FrontierPoint {
    if (saved <= 0) return this.point(0);
    return this.point(Math.min(this.size, countWhere(this.#saved, (sum) => sum < saved) + 1));
  }

  /** Between points k and k + 1, at a rent. */
  #between(k: number, rent: number): FrontierPoint {
    const before = this.point(k);
    const after = this.point(k + 1);
    const share = (rent - before.rent) / (after.rent - before.rent);
    return { saved: before.saved + share * (after.saved - before.saved), rent, price: after.price };
  }
}

/** Length of the leading part of a growing column for which the test holds. */
function countWhere(column: Float64Array, test: (x: number) => boolean): number {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (test(column[mid]!)) low = mid + 1;
    else high = mid;
  }
  return low;
}
