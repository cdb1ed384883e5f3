/**
 * How many copies of each own block of a branch one rank holds, as runs. Only for the rare entries that are not simply "one copy
 * of the leading blocks": a hole, a tail without its head, or a second physical copy of a block.
 */

/** Runs of equal copy counts: run i covers [from[i], from[i + 1]) with `copies[i]`; the last run is open and has 0 copies. */
export class CopyRuns {
  from: number[] = [0];
  copies: number[] = [0];

  /** One copy of the leading `length` blocks. */
  static leading(length: number): CopyRuns {
    const runs = new CopyRuns();
    if (length > 0) {
      runs.from = [0, length];
      runs.copies = [1, 0];
    }
    return runs;
  }

  /** One more copy of [from, to); `single` caps at one copy. Returns how many blocks became present. */
  add(from: number, to: number, single: boolean): number {
    return this.#change(from, to, 1, single);
  }

  /** One copy less of [from, to), never below none. Returns how many blocks became absent. */
  remove(from: number, to: number): number {
    return -this.#change(from, to, -1, false);
  }

  /** Blocks without a copy in [from, to). */
  absent(from: number, to: number): number {
    let blocks = 0;
    for (let i = 0; i < this.from.length; i++) {
      if (this.copies[i] !== 0) continue;
      const start = Math.max(from, this.from[i]!);
      const end = Math.min(to, this.from[i + 1] ?? to);
      if (end > start) blocks += end - start;
    }
    return blocks;
  }

  /** Contiguous blocks with a copy from own offset `at` on. */
  leadFrom(at: number): number {
    let i = 0;
    while (i + 1 < this.from.length && this.from[i + 1]! <= at) i++;
    if (this.copies[i] === 0) return 0;
    while (this.copies[i + 1] !== 0) i++;
    return this.from[i + 1]! - at;
  }

  /** Blocks with at least one copy. */
  present(): number {
    let blocks = 0;
    for (let i = 0; i + 1 < this.from.length; i++) if (this.copies[i] !== 0) blocks += this.from[i + 1]! - this.from[i]!;
    return blocks;
  }

  /** Length n >= 0 if this is exactly one copy of the leading n blocks, else -1. */
  simpleLength(): number {
    if (this.from.length === 1) return 0;
    return this.from.length === 2 && this.copies[0] === 1 ? this.from[1]! : -1;
  }

  #change(from: number, to: number, delta: 1 | -1, single: boolean): number {
    const starts: number[] = [];
    const counts: number[] = [];
    let changed = 0;
    const push = (start: number, count: number): void => {
      if (counts.length === 0 || counts[counts.length - 1] !== count) {
        starts.push(start);
        counts.push(count);
      }
    };
    for (let i = 0; i < this.from.length; i++) {
      const start = this.from[i]!;
      const end = this.from[i + 1] ?? Number.POSITIVE_INFINITY;
      const count = this.copies[i]!;
      const a = Math.max(start, from);
      const b = Math.min(end, to);
      if (a >= b) {
        push(start, count);
        continue;
      }
      const next = delta > 0 ? (single && count > 0 ? count : count + 1) : count > 0 ? count - 1 : 0;
      if ((count === 0) !== (next === 0)) changed += next === 0 ? a - b : b - a;
      if (start < a) push(start, count);
      push(a, next);
      if (b < end) push(b, count);
    }
    this.from = starts;
    this.copies = counts;
    return changed;
  }
}
