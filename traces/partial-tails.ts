/**
 * Ids of partial last blocks, to find those that are full or filled differently elsewhere. An id contradicts itself at most once in
 * the count; the full ids are kept as runs.
 */
export class PartialTails {
  #filled = new Map<number, number>();
  #full: number[] = [];
  #twice = new Set<number>();
  #closed = 0;
  #compactAt = 1 << 16;

  add(runs: readonly number[], tail: number): void {
    for (let i = 0; i < runs.length; i += 2) {
      const last = runs[i + 1]! - (i + 2 === runs.length && tail > 0 ? 1 : 0);
      if (last >= runs[i]!) this.#full.push(runs[i]!, last);
    }
    if (this.#full.length > this.#compactAt) {
      this.#compact();
      this.#compactAt = Math.max(1 << 16, 2 * this.#full.length);
    }
    if (tail === 0 || runs.length === 0) return;
    const id = runs[runs.length - 1]!;
    const known = this.#filled.get(id);
    if (known === undefined) this.#filled.set(id, tail);
    else if (known !== tail) this.#twice.add(id);
  }

  closeScope(): void {
    if (this.#full.length > 0 || this.#filled.size > 0) this.#closed += this.#count();
    this.#filled.clear();
    this.#twice.clear();
    this.#full = [];
  }

  conflicts(): number {
    return this.#closed + this.#count();
  }

  #count(): number {
    this.#compact();
    const bad = new Set(this.#twice);
    const full = this.#full;
    for (const id of this.#filled.keys()) {
      let low = 0;
      let high = full.length >> 1;
      while (low < high) {
        const mid = (low + high) >> 1;
        if (full[2 * mid + 1]! < id) low = mid + 1;
        else high = mid;
      }
      if (low < full.length >> 1 && full[2 * low]! <= id) bad.add(id);
    }
    return bad.size;
  }

  /** Sorts and unites the full runs. */
  #compact(): void {
    const runs: [number, number][] = [];
    for (let i = 0; i < this.#full.length; i += 2) runs.push([this.#full[i]!, this.#full[i + 1]!]);
    runs.sort((x, y) => x[0] - y[0]);
    const united: number[] = [];
    for (const [first, last] of runs) {
      const n = united.length;
      if (n > 0 && first <= united[n - 1]! + 1) united[n - 1] = Math.max(united[n - 1]!, last);
      else united.push(first, last);
    }
    this.#full = united;
  }
}
