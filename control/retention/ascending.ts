/**
 * A bag of numbers, kept ascending: who joins and leaves is noted, and merged when the values are read. Reading costs O(values) and
 * a sort of the changes, so that a window of a thousand that moves by a few need not be sorted again.
 */
export class Ascending {
  #values = new Float64Array();
  readonly #joining: number[] = [];
  readonly #leaving: number[] = [];

  joins(value: number): void {
    this.#joining.push(value);
  }

  /** Takes out one that was there when the values were last read. */
  leaves(value: number): void {
    this.#leaving.push(value);
  }

  /** All values; a new array after every change, so that one that was handed out stays as it is. */
  get values(): Float64Array<ArrayBuffer> {
    const { length } = this.#joining;
    if (length + this.#leaving.length === 0) return this.#values;
    const before = this.#values;
    const joining = Float64Array.from(this.#joining).sort();
    const leaving = Float64Array.from(this.#leaving).sort();
    const out = new Float64Array(before.length - leaving.length + length);
    let j = 0;
    let l = 0;
    let n = 0;
    for (let i = 0; i < before.length; i++) {
      const value = before[i]!;
      if (l < leaving.length && leaving[l] === value) {
        l++;
        continue;
      }
      while (j < length && joining[j]! < value) out[n++] = joining[j++]!;
      out[n++] = value;
    }
    while (j < length) out[n++] = joining[j++]!;
    this.#values = out;
    this.#joining.length = 0;
    this.#leaving.length = 0;
    return out;
  }
}

/** Two ascending lists as one. Cost O(both). */
export function merged(a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> {
  const out = new Float64Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let n = 0; n < out.length; n++) out[n] = j >= b.length || (i < a.length && a[i]! <= b[j]!) ? a[i++]! : b[j++]!;
  return out;
}
