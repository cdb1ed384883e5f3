/**
 * A typed column that grows in fixed chunks: appending never copies, and the peak while finishing is one column, not three.
 *
 *     chunk 0 [16384 values] chunk 1 [16384 values] chunk 2 [… used …        ]
 */

/** Typed arrays a trace column may be made of. */
export type ColumnArray = Float64Array | Int32Array | Uint8Array | Int8Array;

const CHUNK_BITS = 14;
const CHUNK = 1 << CHUNK_BITS;

export class GrowableColumn<T extends ColumnArray> {
  readonly #make: new (
    length: number,
  ) => T;
  #chunks: T[] = [];
  #last: T;
  #used = CHUNK;
  /** Values appended so far. */
  length = 0;

  constructor(make: new (length: number) => T) {
    this.#make = make;
    this.#last = new make(0);
  }

  push(value: number): void {
    if (this.#used === CHUNK) {
      this.#last = new this.#make(CHUNK);
      this.#chunks.push(this.#last);
      this.#used = 0;
    }
    this.#last[this.#used++] = value;
    this.length++;
  }

  get(index: number): number {
    return this.#chunks[index >> CHUNK_BITS]![index & (CHUNK - 1)]!;
  }

  /** All values as one array, in the order of `order` if given. The column is empty afterwards. */
  finish(order?: Int32Array): T {
    const out = new this.#make(this.length);
    if (order === undefined) {
      for (let c = 0; c < this.#chunks.length; c++) {
        const from = c << CHUNK_BITS;
        const chunk = this.#chunks[c]!;
        out.set(from + CHUNK > this.length ? chunk.subarray(0, this.length - from) : chunk, from);
      }
    } else for (let i = 0; i < order.length; i++) out[i] = this.get(order[i]!);
    this.#chunks = [];
    this.#used = CHUNK;
    this.length = 0;
    return out;
  }
}
