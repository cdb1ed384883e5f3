import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { ApproximateIndex } from './approximate-index.ts';
import { matchColumns } from './match-columns.ts';

function depth(index: ApproximateIndex, branch: number, blocks: number, nowMs: number, rank = 0): number {
  const match = matchColumns(8);
  index.match(branch, blocks, nowMs, match);
  return match.hbm[rank]!;
}

test('an entry is gone at its time to live, and an insert refreshes every block of its chain', () => {
  const branches = new BranchTable();
  const root = branches.add(-1, 0, 4);
  const leaf = branches.add(root, 4, 4);
  const index = new ApproximateIndex(branches, { ttlMs: 120_000 });
  index.placed(0, leaf, 8, 0);
  expect(depth(index, leaf, 8, 119_999)).toBe(8);
  expect(depth(index, leaf, 8, 120_000)).toBe(0);
  index.placed(0, leaf, 6, 60_000);
  expect(depth(index, leaf, 8, 119_999)).toBe(8);
  expect(depth(index, leaf, 8, 120_000)).toBe(6);
  expect(depth(index, leaf, 8, 180_000)).toBe(0);
});

test('pruning removes by earliest expiry, then deepest position (router:E6)', () => {
  const branches = new BranchTable();
  const [a, b, c] = [branches.add(-1, 0, 3), branches.add(-1, 0, 1), branches.add(-1, 0, 4)];
  // Expiries 9 (b), 10 (a), 12 (c); 8 entries over a room of 7 leave 5: b 0, a 2 and a 1 go.
  const index = new ApproximateIndex(branches, { ttlMs: 10, maxBlocks: 7 });
  index.placed(0, b, 1, -1);
  index.placed(0, a, 3, 0);
  index.placed(0, c, 4, 2);
  expect([depth(index, b, 1, 2), depth(index, a, 3, 2), depth(index, c, 4, 2)]).toEqual([0, 1, 4]);
  expect([index.blocks(0), index.prunedBlocks]).toEqual([5, 3]);
});

test('a failed placement is withdrawn together with what stands on it', () => {
  const branches = new BranchTable();
  const root = branches.add(-1, 0, 4);
  const leaf = branches.add(root, 4, 4);
  const index = new ApproximateIndex(branches, { ttlMs: 1000 });
  index.placed(1, leaf, 8, 5);
  index.unplaced(1, leaf, 8, 5);
  expect([depth(index, leaf, 8, 6, 1), index.blocks(1)]).toEqual([0, 0]);
});

test('lifetimes in buckets count from the first insert of the rank', () => {
  const branches = new BranchTable();
  const chain = branches.add(-1, 0, 1);
  const index = new ApproximateIndex(branches, { ttlMs: 1000, bucketMs: 100 });
  index.placed(0, chain, 1, 30);
  index.placed(0, chain, 1, 40);
  expect([depth(index, chain, 1, 1129), depth(index, chain, 1, 1130)]).toEqual([1, 0]);
});

/** Every (block, rank) by itself. */
class NaiveApproximate {
  readonly entries = new Map<string, { position: number; expiryMs: number; key: number; rank: number; at: number }>();
  readonly #branches: BranchTable;
  readonly #ttlMs: number;
  readonly #maxBlocks: number;

  constructor(branches: BranchTable, ttlMs: number, maxBlocks: number) {
    this.#branches = branches;
    this.#ttlMs = ttlMs;
    this.#maxBlocks = maxBlocks;
  }

  placed(rank: number, branch: number, blocks: number, nowMs: number): void {
    // Only what the insert touches is swept, as the index counts lazily; a full index is swept as a whole.
    for (let position = 0; position < blocks; position++) {
      const key = this.#branches.at(branch, position + 1);
      for (const [name, entry] of this.entries) {
        if (entry.key === key && entry.rank === rank && entry.expiryMs <= nowMs) this.entries.delete(name);
      }
      const at = position - this.#branches.start[key]!;
      this.entries.set(`${key}:${at}:${rank}`, { position, expiryMs: nowMs + this.#ttlMs, key, rank, at });
    }
    if (this.entries.size <= this.#maxBlocks) return;
    for (const [name, entry] of this.entries) if (entry.expiryMs <= nowMs) this.entries.delete(name);
    const order = [...this.entries].sort(
      ([, a], [, b]) => a.expiryMs - b.expiryMs || b.position - a.position || b.key - a.key || b.rank - a.rank,
    );
    for (const [name] of order.slice(0, Math.max(0, order.length - Math.floor(0.8 * this.#maxBlocks)))) this.entries.delete(name);
  }

  match(branch: number, blocks: number, nowMs: number, rank: number): number {
    for (let position = 0; position < blocks; position++) {
      const key = this.#branches.at(branch, position + 1);
      const entry = this.entries.get(`${key}:${position - this.#branches.start[key]!}:${rank}`);
      if (entry === undefined || entry.expiryMs <= nowMs) return position;
    }
    return blocks;
  }
}

test('the approximate index equals a map of blocks with expiries', () => {
  const step = fc.record({ rank: fc.nat(3), branch: fc.nat(7), cut: fc.nat(99), gap: fc.constantFrom(0, 0, 1, 3, 20) });
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }), fc.array(step, { maxLength: 80 }), (shape, steps) => {
      const branches = new BranchTable();
      shape.forEach((x, i) => {
        if (i < 2) branches.add(-1, 0, 1 + (x % 6));
        else branches.add(x % i, (x >> 3) % (branches.length[x % i]! + 1), 1 + (x % 5));
      });
      const index = new ApproximateIndex(branches, { ttlMs: 40, maxBlocks: 30 });
      const naive = new NaiveApproximate(branches, 40, 30);
      let nowMs = 0;
      for (const { rank, branch, cut, gap } of steps) {
        nowMs += gap;
        const blocks = (cut % branches.end(branch)) + 1;
        index.placed(rank, branch, blocks, nowMs);
        naive.placed(rank, branch, blocks, nowMs);
        for (let b = 0; b < 8; b++) {
          for (let r = 0; r < 4; r++) {
            expect(depth(index, b, branches.end(b), nowMs, r)).toBe(naive.match(b, branches.end(b), nowMs, r));
          }
        }
      }
      expect([0, 1, 2, 3].reduce((sum, rank) => sum + index.blocks(rank), 0)).toBe(naive.entries.size);
    }),
    { numRuns: Number(process.env.KVCAST_RUNS ?? 60) },
  );
});
