/**
 * A hash map from non-negative integers to non-negative integers, for branch ids and attempt ids.
 *
 *     table   [ 0 . | 8 5 | 0 . | 3 9 | 12 2 | … ]   key + 1 and value side by side; key + 1 = 0: empty
 *
 * Linear probing, at most two thirds full. Deletion shifts the followers back (Knuth, TAOCP 6.4 algorithm R), so that there are no tombstones and look-ups stay short.
 */
export class IntMap {
  /** Number of entries. */
  size = 0;
  private table: Int32Array;
  /** Last index of a key in the table. */
  private mask: number;
  private shift: number;

  constructor(bits = 6) {
    this.table = new Int32Array(2 << bits);
    this.mask = (2 << bits) - 2;
    this.shift = 32 - bits;
  }

  /** Value of a key, or -1. */
  get(key: number): number {
    const { table, mask } = this;
    const k = key + 1;
    let i = this.home(k);
    for (;;) {
      const found = table[i]!;
      if (found === k) return table[i + 1]!;
      if (found === 0) return -1;
      i = (i + 2) & mask;
    }
  }

  set(key: number, value: number): void {
    const { table, mask } = this;
    const k = key + 1;
    let i = this.home(k);
    while (table[i] !== 0) {
      if (table[i] === k) {
        table[i + 1] = value;
        return;
      }
      i = (i + 2) & mask;
    }
    table[i] = k;
    table[i + 1] = value;
    if (++this.size * 3 > mask) this.grow();
  }

  /** Removes a key if present. */
  delete(key: number): void {
    const { table, mask } = this;
    const k = key + 1;
    let i = this.home(k);
    while (table[i] !== k) {
      if (table[i] === 0) return;
      i = (i + 2) & mask;
    }
    this.size--;
    let hole = i;
    for (;;) {
      i = (i + 2) & mask;
      const next = table[i]!;
      if (next === 0) break;
      // Moves back unless the home lies cyclically inside (hole, i].
      if (((i - this.home(next)) & mask) >= ((i - hole) & mask)) {
        table[hole] = next;
        table[hole + 1] = table[i + 1]!;
        hole = i;
      }
    }
    table[hole] = 0;
  }

  clear(): void {
    this.table.fill(0);
    this.size = 0;
  }

  /** Calls `visit` for each entry, in table order; for checks only. */
  forEach(visit: (key: number, value: number) => void): void {
    const { table } = this;
    for (let i = 0; i < table.length; i += 2) if (table[i] !== 0) visit(table[i]! - 1, table[i + 1]!);
  }

  /** Bytes of the table. */
  get bytes(): number {
    return this.table.byteLength;
  }

  /** Where the search for key + 1 = k begins. */
  private home(k: number): number {
    return (Math.imul(k, 0x9e3779b1) >>> this.shift) << 1;
  }

  private grow(): void {
    const old = this.table;
    this.table = new Int32Array(old.length * 2);
    this.mask = this.table.length - 2;
    this.shift--;
    for (let from = 0; from < old.length; from += 2) {
      const k = old[from]!;
      if (k === 0) continue;
      let i = this.home(k);
      while (this.table[i] !== 0) i = (i + 2) & this.mask;
      this.table[i] = k;
      this.table[i + 1] = old[from + 1]!;
    }
  }
}
