import type { Millis } from '../ports.ts';

/** The latest pauses of one class in a ring: how long they lasted, and whether that is only a lower bound. */
export class GapWindow {
  readonly #gaps: Float64Array<ArrayBuffer>;
  readonly #censored: Uint8Array<ArrayBuffer>;
  #next = 0;
  #seen = 0;
  #ends = 0;

  constructor(size = 1024) {
    this.#gaps = new Float64Array(size);
    this.#censored = new Uint8Array(size);
  }

  /** Pauses ever added. */
  get seen(): number {
    return this.#seen;
  }

  /** Pauses in the window whose end was seen. */
  get ends(): number {
    return this.#ends;
  }

  /** Adds a pause; the oldest leaves when the window is full. Cost O(1). */
  add(gapMs: Millis, censored: boolean): void {
    const at = this.#next;
    if (this.#seen >= this.#gaps.length && this.#censored[at] === 0) this.#ends--;
    this.#gaps[at] = gapMs;
    this.#censored[at] = censored ? 1 : 0;
    if (!censored) this.#ends++;
    this.#next = (at + 1) % this.#gaps.length;
    this.#seen++;
  }

  /** Gaps whose end was seen (`censored` false) or was not (true). */
  gaps(censored: boolean): Float64Array<ArrayBuffer> {
    const size = Math.min(this.#seen, this.#gaps.length);
    const flag = censored ? 1 : 0;
    return this.#gaps.slice(0, size).filter((_, i) => this.#censored[i] === flag);
  }

  /** Mean of the latest `count` gaps; undefined when there are none. Cost O(count). */
  recentMean(count: number): Millis | undefined {
    const n = Math.min(count, this.#seen, this.#gaps.length);
    if (n === 0) return undefined;
    let sum = 0;
    for (let k = 1; k <= n; k++) sum += this.#gaps[(this.#next - k + this.#gaps.length) % this.#gaps.length]!;
    return sum / n;
  }
}
