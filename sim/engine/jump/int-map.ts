/**
 * A hash map from non-negative integers to non-negative integers, for branch ids and attempt ids.
 *
 *     keys    [ 0 | 8 | 0 | 3 | 12 | … ]   key + 1; 0 = empty, linear probing, at most two thirds full
 *     values  [ . | 5 | . | 9 |  2 | … ]
 *
 * Deletion shifts the followers back (Knuth, TAOCP 6.4 algorithm R), so that there are no tombstones and look-ups stay short.
 */
export class IntMap {
  /** Number of entries. */
  size = 0;
  private keys: Int32Array;
  private values: Int32Array;
  private mask: number;
  private shift: number;

  constructor(bits = 6) {
    this.keys = new Int32Array(1 << bits);
    this.values = new Int32Array(1 << bits);
    this.mask = (1 << bits) - 1;
    this.shift = 32 - bits;
  }

  /** Value of a key, or -1. */
  get(key: number): number {
    const keys = this.keys;
    const mask = this.mask;
    const k = key + 1;
    let i = Math.imul(k, 0x9e3779b1) >>> this.shift;
    for (;;) {
      const found = keys[i]!;
      if (found === k) return this.values[i]!;
      if (found === 0) return -1;
      i = (i + 1) & mask;
    }
  }

  set(key: number, value: number): void {
    const k = key + 1;
    let i = Math.imul(k, 0x9e3779b1) >>> this.shift;
    const keys = this.keys;
    const mask = this.mask;
    while (keys[i] !== 0) {
      if (keys[i] === k) {
        this.values[i] = value;
        return;
      }
      i = (i + 1) & mask;
    }
    keys[i] = k;
    this.values[i] = value;
    if (++this.size * 3 > mask * 2) this.grow();
  }

  /** Removes a key if present. */
  delete(key: number): void {
    const keys = this.keys;
    const values = this.values;
    const mask = this.mask;
    const k = key + 1;
    let i = Math.imul(k, 0x9e3779b1) >>> this.shift;
    while (keys[i] !== k) {
      if (keys[i] === 0) return;
      i = (i + 1) & mask;
    }
    this.size--;
    let hole = i;
    for (;;) {
      i = (i + 1) & mask;
      const next = keys[i]!;
      if (next === 0) break;
      const home = Math.imul(next, 0x9e3779b1) >>> this.shift;
      // Moves back unless the home lies cyclically inside (hole, i].
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        keys[hole] = next;
        values[hole] = values[i]!;
        hole = i;
      }
    }
    keys[hole] = 0;
  }

  clear(): void {
    this.keys.fill(0);
    this.size = 0;
  }

  /** Calls `visit` for each entry, in table order; for checks only. */
  forEach(visit: (key: number, value: number) => void): void {
    for (let i = 0; i < this.keys.length; i++) if (this.keys[i] !== 0) visit(this.keys[i]! - 1, this.values[i]!);
  }

  /** Bytes of the table. */
  get bytes(): number {
    return this.keys.length * 8;
  }

  private grow(): void {
    const oldKeys = this.keys;
    const oldValues = this.values;
    const size = oldKeys.length * 2;
    this.keys = new Int32Array(size);
    this.values = new Int32Array(size);
    this.mask = size - 1;
    this.shift--;
    for (let i = 0; i < oldKeys.length; i++) {
      const k = oldKeys[i]!;
      if (k === 0) continue;
      let j = Math.imul(k, 0x9e3779b1) >>> this.shift;
      while (this.keys[j] !== 0) j = (j + 1) & this.mask;
      this.keys[j] = k;
      this.values[j] = oldValues[i]!;
    }
  }
}
