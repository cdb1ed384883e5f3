import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BRANCH_PRIVATE, BranchTable } from '../blocks.ts';
import { KV_CLEARED, KV_REMOVED, KV_STORED, KvEventBatch, type Tier } from '../ports.ts';
import { BranchIndex } from './branch-index.ts';
import { matchColumns } from './match-columns.ts';
import { NaiveIndex } from './naive-index.ts';

const RUNS = Number(process.env.KVCAST_RUNS ?? 8);
const OPERATIONS = 400;

/** A small generator of our own, so that one integer describes a case and 10^5 operations stay cheap to draw. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function randomBranches(next: (below: number) => number): BranchTable {
  const branches = new BranchTable();
  for (let i = 0; i < 14; i++) {
    const length = 1 + next(7);
    if (i < 2) branches.add(-1, 0, length);
    else {
      const parent = next(i);
      const open = (branches.flags[parent]! & BRANCH_PRIVATE) === 0 ? parent : 0;
      branches.add(open, next(branches.length[open]! + 1), length, next(6) === 0 ? BRANCH_PRIVATE : 0);
    }
  }
  return branches;
}

for (const copies of ['count', 'presence'] as const) {
  for (const walk of ['ordered', 'any'] as const) {
    test(`the branch index equals the naive one, ${copies}, ${walk}: ${RUNS} x ${OPERATIONS} operations`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.constantFrom(3, 24, 70), (seed, ranks) => {
          const next = numbers(seed);
          const branches = randomBranches(next);
          const fast = new BranchIndex(branches, { copies, walk });
          const naive = new NaiveIndex(branches, { copies, walk });
          const a = matchColumns(ranks);
          const b = matchColumns(ranks);
          // Few tiers and branches at a time make duplicates, holes and shared lists likely.
          const tiers = 1 + next(4);
          const privateHeld = new Set<number>();
          for (let i = 0; i < OPERATIONS; i++) {
            const batch = new KvEventBatch();
            batch.rank = next(ranks);
            const branch = next(4) === 0 ? 0 : next(branches.count);
            const from = next(3) === 0 ? next(branches.length[branch]!) : 0;
            const to = from + 1 + next(branches.length[branch]! - from);
            const dice = next(200);
            let kind = dice === 0 ? KV_CLEARED : dice < 80 ? KV_REMOVED : KV_STORED;
            let tier = next(tiers) as Tier;
            if (dice === 0 || dice === 199) for (let p = 0; p < 64; p++) privateHeld.delete(batch.rank * 64 + p);
            if ((branches.flags[branch]! & BRANCH_PRIVATE) !== 0 && kind !== KV_CLEARED) {
              // Private content is written by one request: one tier here, stored and removed as a whole, never twice.
              tier = 0;
              const held = privateHeld.has(batch.rank * 64 + branch);
              kind = held ? KV_REMOVED : KV_STORED;
              if (held) privateHeld.delete(batch.rank * 64 + branch);
              else privateHeld.add(batch.rank * 64 + branch);
              batch.push(kind, tier, branch, 0, branches.length[branch]!);
            } else batch.push(kind, tier, branch, from, to);
            // A lost worker that is forgotten and comes back must leave nothing behind.
            if (dice === 199) {
              fast.dropRank(batch.rank);
              naive.dropRank(batch.rank);
            }
            fast.apply(batch);
            naive.apply(batch);
            if (i % 5 !== 0) continue;
            const leaf = next(branches.count);
            const depth = next(branches.end(leaf) + 1);
            fast.match(leaf, depth, 0, a);
            naive.match(leaf, depth, 0, b);
            for (const column of ['hbm', 'host', 'disk', 'remote'] as const) expect(a[column]).toEqual(b[column]);
            expect([...a.touched.subarray(0, a.touchedCount)].sort()).toEqual([...b.touched.subarray(0, b.touchedCount)].sort());
          }
          let entries = 0;
          for (let rank = 0; rank < ranks; rank++) {
            expect(fast.blocks(rank)).toBe(naive.blocks(rank));
            fast.dropRank(rank);
          }
          for (const lists of fast.tiers) entries += lists.pairs;
          expect([entries, fast.irregularEntries]).toEqual([0, 0]);
        }),
        { numRuns: RUNS },
      );
    });
  }
}
