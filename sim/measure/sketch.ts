/**
 * A mergeable quantile sketch of non-negative milliseconds with relative accuracy 0.5 %.
 *
 * Layout: one dense Float64Array of counts for consecutive keys, grown at either end; `#first` is the key of index 0.
 *   key = ceil(ln x / ln gamma), bucket (gamma^(key-1), gamma^key], shown as 2 gamma^key / (gamma + 1)
 * Values below 1 us fall into a zero bucket. Merging adds counts, so any partition of the data gives the same buckets.
 * Source: Masson, Rim, Lee, DDSketch (VLDB 2019); experiments specification 3.6.
 */
import { exp, log } from '../../control/math.ts';

const ACCURACY = 0.005;
const GAMMA = (1 + ACCURACY) / (1 - ACCURACY);
const LN_GAMMA = log(GAMMA);
/** ms; smaller values count as zero. */
const SMALLEST = 0.001;
/** Key of the zero bucket. */
const ZERO = -2147483648;

/** A sketch as plain data, for threads and files. */
export interface SketchData {
  readonly zero: number;
  /** Key of counts[0]. */
  readonly first: number;
  readonly counts: readonly number[];
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/** Bucket key of a value; {@link ZERO} below 1 us. */
export function sketchKey(x: number): number {
  return x < SMALLEST ? ZERO : Math.ceil(log(x) / LN_GAMMA);
}

/** Value shown for a bucket. */
export function sketchValue(key: number): number {
  return key === ZERO ? 0 : (2 * exp(key * LN_GAMMA)) / (GAMMA + 1);
}

/** Counts of values by bucket. Weights are counts: whole numbers >= 0. */
export class DDSketch {
  /** Values seen, weights included. */
  count = 0;
  /** Exact sum, smallest and largest; NaN-free only when count > 0. */
  sum = 0;
  min = Infinity;
  max = -Infinity;
  #zero = 0;
  #first = 0;
  #counts = new Float64Array(0);

  /** Adds one value `weight` times. Negative or non-finite values throw. Cost about 50 ns. */
  add(x: number, weight = 1): void {
    if (!(x >= 0 && x < Infinity)) throw new Error(`sketch: got ${x}, expected a finite number >= 0`);
    this.#put(sketchKey(x), weight);
    this.#total(x, x, weight, x * weight);
  }

  /**
   * Adds the progression first, first + increment, … of `count` values, each `weight` times: the gaps between the tokens of a
   * decode run. Equal to adding the values one by one. Cost O(buckets touched x log count).
   */
  addRange(first: number, increment: number, count: number, weight: number): void {
    if (count <= 0 || weight <= 0) return;
    const last = first + increment * (count - 1);
    const low = Math.min(first, last);
    const high = Math.max(first, last);
    if (!(low >= 0 && high < Infinity)) throw new Error(`sketch: got ${first} + k ${increment}, expected finite numbers >= 0`);
    const lastKey = sketchKey(last);
    let i = 0;
    while (i < count) {
      const key = sketchKey(first + increment * i);
      if (key === lastKey) {
        this.#put(key, (count - i) * weight);
        break;
      }
      // Keys are monotone along the progression: bisect for the first index with another key.
      let inside = i;
      let outside = count - 1;
      while (outside - inside > 1) {
        const middle = (inside + outside) >> 1;
        if (sketchKey(first + increment * middle) === key) inside = middle;
        else outside = middle;
      }
      this.#put(key, (outside - i) * weight);
      i = outside;
    }
    this.#total(low, high, count * weight, (first * count + (increment * (count * (count - 1))) / 2) * weight);
  }

  /** Adds everything another sketch has seen. */
  merge(other: DDSketch): void {
    this.#zero += other.#zero;
    for (let i = 0; i < other.#counts.length; i++) {
      const n = other.#counts[i]!;
      if (n > 0) this.#put(other.#first + i, n);
    }
    this.count += other.count;
    this.sum += other.sum;
    if (other.min < this.min) this.min = other.min;
    if (other.max > this.max) this.max = other.max;
  }

  /** Quantile within 0.5 % of an order statistic at rank q (n - 1); null when empty. */
  quantile(q: number): number | null {
    if (this.count === 0) return null;
    const rank = q * (this.count - 1);
    let seen = this.#zero;
    if (seen > rank) return 0;
    for (let i = 0; i < this.#counts.length; i++) {
      seen += this.#counts[i]!;
      if (seen > rank) return sketchValue(this.#first + i);
    }
    return this.max;
  }

  /** Exact mean; null when empty. */
  mean(): number | null {
    return this.count === 0 ? null : this.sum / this.count;
  }

  /** Non-empty buckets in ascending order as [key, count]. */
  buckets(): [key: number, count: number][] {
    const list: [number, number][] = this.#zero > 0 ? [[ZERO, this.#zero]] : [];
    this.#counts.forEach((n, i) => {
      if (n > 0) list.push([this.#first + i, n]);
    });
    return list;
  }

  toData(): SketchData {
    const { sum, min, max } = this;
    return { zero: this.#zero, first: this.#first, counts: [...this.#counts], sum, min, max };
  }

  static fromData(data: SketchData): DDSketch {
    const sketch = new DDSketch();
    sketch.#zero = data.zero;
    sketch.#first = data.first;
    sketch.#counts = Float64Array.from(data.counts);
    sketch.count = sketch.#counts.reduce((a, b) => a + b, data.zero);
    sketch.sum = data.sum;
    sketch.min = data.min;
    sketch.max = data.max;
    return sketch;
  }

  #put(key: number, weight: number): void {
    if (key === ZERO) {
      this.#zero += weight;
      return;
    }
    const at = key - this.#first;
    if (at < 0 || at >= this.#counts.length) this.#reach(key);
    this.#counts[key - this.#first]! += weight;
  }

  #total(low: number, high: number, count: number, sum: number): void {
    this.count += count;
    this.sum += sum;
    if (low < this.min) this.min = low;
    if (high > this.max) this.max = high;
  }

  /** Makes room for a key, with 64 spare buckets on the side that grew. */
  #reach(key: number): void {
    const size = this.#counts.length;
    const from = size === 0 ? key - 64 : Math.min(this.#first, key - 64);
    const to = size === 0 ? key + 65 : Math.max(this.#first + size, key + 65);
    const counts = new Float64Array(to - from);
    if (size > 0) counts.set(this.#counts, this.#first - from);
    this.#counts = counts;
    this.#first = from;
  }
}
