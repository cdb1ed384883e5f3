/**
 * Consistent-hash ring over ranks. A rank owns `replicas` points, point i at fmix32(FNV-1a("<workerKey>#<i>")); a key belongs to
 * the first point clockwise from fmix32(FNV-1a(key)). Upstream projects use xxh64; the choice of hash only permutes owners.
 * Source: router specification 5.1 (`session-ring`).
 */
import type { RankId } from '../ports.ts';
import { fmix32, fnv1a32 } from './keyed-draw.ts';
import { RANK_ABSENT, RANK_LOST, type RankTable } from './rank-table.ts';

/** Points of every rank that exists (ready or not), so that a short outage moves only the lost rank's keys. */
export class HashRing {
  readonly #replicas: number;
  #version = -1;
  #points = new Uint32Array(0);
  #owners = new Int32Array(0);
  /** Row of a rank in the current decision, by rank, valid when its stamp is current. */
  #row = new Int32Array(16);
  #stamp = new Int32Array(16);
  #serial = 0;

  constructor(replicas = 150) {
    this.#replicas = replicas;
  }

  /** Writes 1 for the first of `rows` clockwise from the key, 0 for the others. */
  fillOwner(key: string, table: RankTable, rows: Int32Array, n: number, out: Float64Array): void {
    out.fill(0, 0, n);
    this.#walk(key, table, rows, n, (row) => {
      out[row] = 1;
      return false;
    });
  }

  /** Writes the clockwise position of each of `rows` from the key, 0 = owner. */
  fillRank(key: string, table: RankTable, rows: Int32Array, n: number, out: Float64Array): void {
    this.#walk(key, table, rows, n, (row, position) => {
      out[row] = position;
      return true;
    });
  }

  /** Calls `visit` once per row in ring order until it returns false. */
  #walk(key: string, table: RankTable, rows: Int32Array, n: number, visit: (row: number, position: number) => boolean): void {
    if (n === 0) return;
    if (this.#version !== table.version) this.#build(table);
    const serial = ++this.#serial;
    const row = this.#row;
    const stamp = this.#stamp;
    for (let i = 0; i < n; i++) {
      row[rows[i]!] = i;
      stamp[rows[i]!] = serial;
    }
    const points = this.#points.length;
    let at = this.#first(fmix32(fnv1a32(key)));
    for (let seen = 0, position = 0; seen < points && position < n; seen++) {
      const owner = this.#owners[at]!;
      at = at + 1 === points ? 0 : at + 1;
      if (stamp[owner] !== serial) continue;
      stamp[owner] = 0;
      if (!visit(row[owner]!, position)) return;
      position++;
    }
  }

  /** Index of the first point at or after `hash`, 0 beyond the last. */
  #first(hash: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#points[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }

  #build(table: RankTable): void {
    const ranks: RankId[] = [];
    for (let rank = 0; rank < table.count; rank++) {
      if (table.state[rank] !== RANK_ABSENT && table.state[rank] !== RANK_LOST) ranks.push(rank);
    }
    ranks.sort((a, b) => (table.keys[a]! < table.keys[b]! ? -1 : 1));
    const points: [number, number][] = [];
    ranks.forEach((rank, order) => {
      const key = fnv1a32(`${table.keys[rank]}#`);
      for (let i = 0; i < this.#replicas; i++) points.push([fmix32(fnv1a32(String(i), key)), order]);
    });
    points.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    this.#points = Uint32Array.from(points, (point) => point[0]);
    this.#owners = Int32Array.from(points, (point) => ranks[point[1]]!);
    if (this.#row.length < table.count) {
      this.#row = new Int32Array(2 * table.count);
      this.#stamp = new Int32Array(2 * table.count);
      this.#serial = 0;
    }
    this.#version = table.version;
  }
}
