import type { Millis } from '../ports.ts';
import { Ascending } from './ascending.ts';

/** The latest pauses of one class in a ring: how long they lasted, and whether that is only a lower bound. */
export class GapWindow {
  readonly #gaps: Float64Array<ArrayBuffer>;
  readonly #censored: Uint8Array<ArrayBuffer>;
  #next = 0;
  #seen = 0;
  #ends = 0;
  /** Gaps in order, those whose end was seen and the others; pauses from number `#orderedTo` on are not in them yet. */
  readonly #ended = new Ascending();
  readonly #open = new Ascending();
  #orderedTo = 0;

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
    const leaving = this.#seen - this.#gaps.length;
    if (leaving >= 0) {
      if (this.#censored[at] === 0) this.#ends--;
      if (leaving < this.#orderedTo) this.#side(at).leaves(this.#gaps[at]!);
    }
    this.#gaps[at] = gapMs;
    this.#censored[at] = censored ? 1 : 0;
    if (!censored) this.#ends++;
    this.#next = (at + 1) % this.#gaps.length;
    this.#seen++;
  }

  /**
   * Gaps whose end was seen (`censored` false) or was not (true), ascending; not to be changed. Cost O(window), O(n log n) in the
   * n pauses since the last call.
   */
  gaps(censored: boolean): Float64Array<ArrayBuffer> {
    const size = this.#gaps.length;
    for (let i = Math.max(this.#orderedTo, this.#seen - size); i < this.#seen; i++) this.#side(i % size).joins(this.#gaps[i % size]!);
    this.#orderedTo = this.#seen;
    // Both are read: what joined is there when it leaves.
    const ended = this.#ended.values;
    const open = this.#open.values;
    return censored ? open : ended;
  }

  /** Mean of the latest `count` gaps; undefined when there are none. Cost O(count). */
  recentMean(count: number): Millis | undefined {
    const n = Math.min(count, this.#seen, this.#gaps.length);
    if (n === 0) return undefined;
    let sum = 0;
    for (let k = 1; k <= n; k++) sum += this.#gaps[(this.#next - k + this.#gaps.length) % this.#gaps.length]!;
    return sum / n;
  }

  #side(at: number): Ascending {
    return this.#censored[at] === 1 ? this.#open : this.#ended;
  }
}
