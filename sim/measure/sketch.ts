/**
 * A mergeable quantile sketch of non-negative milliseconds with relative accuracy 0.5 %.
 *
 * Layout: one dense Float64Array of counts for consecutive keys, grown at either end; `#first` is the key of index 0.
 *   key = ceil(ln x / ln gamma), bucket (gamma^(key-1), gamma^key], shown as 2 gamma^key / (gamma + 1)
 * Keys are found in a shared table of the bounds gamma^key, starting at the bucket hit last: no logarithm on the way.
 * Values below 1 us fall into a zero bucket. Merging adds counts, so any partition of the data gives the same buckets.
 * Source: Masson, Rim, Lee, DDSketch (VLDB 2019); experiments specification 3.6.
 */
import { exp, log } from '../../control/math.ts';

const ACCURACY = 0.005;
const GAMMA = (1 + ACCURACY) / (1 - ACCURACY);
const LN_GAMMA = log(GAMMA);
/** ms; smaller values count as zero. */
const SMALLEST = 0.001;
/** The largest double below it, 0.001 - 2^-62: upper bound of the zero bucket. */
const BELOW_SMALLEST = 0.001 - 2.168404344971009e-19;
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

/** Keys of the first and last tabulated bound: below 1 us and above 10^11 ms. */
const FIRST_BOUND = -700;
const LAST_BOUND = 2560;
/** Upper bounds gamma^key of the buckets FIRST_BOUND..LAST_BOUND; they define the buckets. Made on first use. */
let bounds: Float64Array | undefined;

function boundTable(): Float64Array {
  bounds ??= Float64Array.from({ length: LAST_BOUND - FIRST_BOUND + 1 }, (_, i) => exp((FIRST_BOUND + i) * LN_GAMMA));
  return bounds;
}

/** Bucket key of a value; {@link ZERO} below 1 us. Values beyond the table share its last bucket. `hint` is a likely key. */
export function sketchKey(x: number, hint = 0): number {
  if (x < SMALLEST) return ZERO;
  const table = boundTable();
  const at = hint - FIRST_BOUND;
  if (at > 0 && at < table.length && x <= table[at]! && x > table[at - 1]!) return hint;
  let low = 0;
  let high = table.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x <= table[middle]!) high = middle;
    else low = middle + 1;
  }
  return low + FIRST_BOUND;
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
  /** Key of the bucket hit last. */
  #hint = 0;

  /** Adds one value `weight` times. Negative or non-finite values throw. Cost about 20 ns. */
  add(x: number, weight = 1): void {
    if (!(x >= 0 && x < Infinity)) throw new Error(`sketch: got ${x}, expected a finite number >= 0`);
    this.#put(sketchKey(x, this.#hint), weight);
    this.#total(x, x, weight, x * weight);
  }

  /**
   * Adds the progression first, first + increment, … of `count` values, each `weight` times: the gaps between the tokens of a
   * decode run. Equal to adding the values one by one. Cost O(buckets touched).
   */
  addRange(first: number, increment: number, count: number, weight: number): void {
    if (count <= 0 || weight <= 0) return;
    const isFalling = increment < 0;
    const last = first + increment * (count - 1);
    const low = isFalling ? last : first;
    const high = isFalling ? first : last;
    if (!(low >= 0 && high < Infinity)) throw new Error(`sketch: got ${first} + k ${increment}, expected finite numbers >= 0`);
    const step = Math.abs(increment);
    const table = boundTable();
    // m counts from the smallest value up; its value is computed as in the expansion, so that both round alike.
    let m = 0;
    while (m < count) {
      const x = first + increment * (isFalling ? count - 1 - m : m);
      const key = sketchKey(x, this.#hint);
      const bound = key === ZERO ? BELOW_SMALLEST : key >= LAST_BOUND ? Infinity : table[key - FIRST_BOUND]!;
      let end = count;
      if (high > bound) {
        end = Math.min(count - 1, Math.max(m + 1, Math.floor((bound - low) / step) + 1));
        while (first + increment * (isFalling ? count - end : end - 1) > bound) end--;
        while (first + increment * (isFalling ? count - 1 - end : end) <= bound) end++;
      }
      this.#put(key, (end - m) * weight);
      m = end;
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
    this.#hint = key;
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
