import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { LruIndex } from './lru-index.ts';
import { matchColumns } from './match-columns.ts';
import { NaiveLruIndex } from './naive-lru-index.ts';

function depth(index: LruIndex, branch: number, blocks: number, rank = 0): number {
  const match = matchColumns(8);
  index.match(branch, blocks, 0, match);
  return match.hbm[rank]!;
}

test('the oldest release goes first, from its deep end; blocks in use never', () => {
  const branches = new BranchTable();
  const [a, b, c] = [branches.add(-1, 0, 4), branches.add(-1, 0, 4), branches.add(-1, 0, 4)];
  const index = new LruIndex(branches);
  index.setCapacity(0, 9);
  index.acquire(1, 0, a, 4, 0);
  index.acquire(2, 0, b, 4, 1);
  expect(index.stats(0)).toEqual({ active: 9, inactive: 0, over: 0, private: 1, resident: 9 });
  index.release(1);
  index.acquire(3, 0, c, 3, 0);
  expect([depth(index, a, 4), depth(index, b, 4), depth(index, c, 4)]).toEqual([1, 4, 3]);
  index.acquire(4, 0, c, 4, 2);
  expect(index.stats(0)).toEqual({ active: 11, inactive: 0, over: 2, private: 3, resident: 11 });
  expect([depth(index, a, 4), index.evictedBlocks]).toEqual([0, 4]);
});

test('from the first miss on every block gets a copy of its own', () => {
  const branches = new BranchTable();
  const chain = branches.add(-1, 0, 3);
  const index = new LruIndex(branches);
  index.setCapacity(0, 5);
  index.acquire(1, 0, chain, 3, 0);
  index.release(1);
  index.acquire(2, 0, chain, 1, 0);
  index.setCapacity(0, 2);
  // Blocks 0 (in use) and 1 (idle) are left; the next attempt misses block 2.
  index.acquire(3, 0, chain, 3, 0);
  expect(index.stats(0)).toEqual({ active: 3, inactive: 0, over: 1, private: 0, resident: 3 });
  index.acquire(4, 0, chain, 3, 0);
  expect(index.stats(0).resident).toBe(3);
});

test('a failed attempt takes with it what was made for it alone', () => {
  const branches = new BranchTable();
  const chain = branches.add(-1, 0, 4);
  const index = new LruIndex(branches);
  index.acquire(1, 0, chain, 2, 0);
  index.acquire(2, 0, chain, 4, 1);
  index.release(2, true);
  expect([depth(index, chain, 4), index.blocks(0), index.stats(0).resident]).toEqual([2, 2, 2]);
  index.release(1);
  expect(index.stats(0)).toEqual({ active: 0, inactive: 2, over: 0, private: 0, resident: 2 });
});

test('a rank that is lost forgets blocks and attempts', () => {
  const branches = new BranchTable();
  const chain = branches.add(-1, 0, 4);
  const index = new LruIndex(branches);
  index.acquire(1, 2, chain, 4, 1);
  index.dropRank(2);
  index.release(1);
  index.materialize(1, chain, 4, 0);
  expect([depth(index, chain, 4, 2), index.stats(2).resident, index.blocks(2)]).toEqual([0, 0, 0]);
});

test('equals the naive index on arbitrary attempts and capacities', () => {
  // A trunk of 4 with two branches of 4 below it, one of them at 2.
  const branches = new BranchTable();
  const trunk = branches.add(-1, 0, 4);
  const leaves = [trunk, branches.add(trunk, 4, 4), branches.add(trunk, 2, 6), branches.add(-1, 0, 5)];
  const nat = (max: number) => fc.nat(max);
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant('acquire' as const), nat(1), nat(3), nat(8), nat(2)) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('release' as const), nat(20)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('grow' as const), nat(20), nat(3), nat(2)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('capacity' as const), nat(1), nat(25)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('lost' as const), nat(1)) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const fast = new LruIndex(branches);
      const naive = new NaiveLruIndex(branches);
      const attempts: { branch: number; depth: number }[] = [];
      for (const one of steps) {
        if (one[0] === 'acquire') {
          const [, rank, leaf, blocks, privateBlocks] = one;
          const branch = leaves[leaf]!;
          const deep = Math.min(blocks, branches.end(branch));
          for (const index of [fast, naive]) index.acquire(attempts.length, rank, branch, deep, privateBlocks);
          attempts.push({ branch, depth: deep });
        } else if (one[0] === 'release') for (const index of [fast, naive]) index.release(one[1]);
        else if (one[0] === 'grow' && attempts[one[1]] !== undefined) {
          const attempt = attempts[one[1]]!;
          attempt.depth = Math.min(attempt.depth + one[2], branches.end(attempt.branch));
          for (const index of [fast, naive]) index.materialize(one[1], attempt.branch, attempt.depth, one[3]);
        } else if (one[0] === 'capacity') for (const index of [fast, naive]) index.setCapacity(one[1], one[2]);
        else if (one[0] === 'lost') for (const index of [fast, naive]) index.dropRank(one[1]);
        for (const rank of [0, 1]) expect(fast.stats(rank)).toEqual(naive.stats(rank));
        for (const leaf of leaves) {
          const [a, b] = [matchColumns(2), matchColumns(2)];
          fast.match(leaf, branches.end(leaf), 0, a);
          naive.match(leaf, branches.end(leaf), b);
          expect([...a.hbm]).toEqual([...b.hbm]);
        }
      }
    }),
    { numRuns: 200 },
  );
});
