/** The gate of retention specification 11: on random small forests the oracles equal the exhaustive search, in every case. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SERVED } from '../cluster/service-log.ts';
import { BeladyOracle } from './belady-oracle.ts';
import { InfiniteOracle } from './infinite-oracle.ts';
import { lruHits } from './lru-hits.ts';
import { naiveOptimum } from './naive-service.ts';
import { type ReuseIntervals, reuseIntervals } from './reuse-intervals.ts';
import { randomService } from './service-fixture.ts';
import { TtlOracle } from './ttl-oracle.ts';

const numRuns = Number(process.env['KVCAST_RUNS'] ?? 1500);

/** Streams of a run: each worker, and all as one. */
function streams(workers: number): (number | null)[] {
  return [...Array(workers).keys(), null];
}

/** The rented storage of a stream: room times the time until the next record. */
function budgetOf({ capAfter, tMs }: ReuseIntervals): number {
  let sum = 0;
  for (let m = 0; m + 1 < tMs.length; m++) sum += capAfter[m]! * (tMs[m + 1]! - tMs[m]!);
  return sum;
}

describe('leaf-MIN', () => {
  for (const [name, rules] of Object.entries({
    'any block, hits on prefixes, as in a hash': { closed: false, prefixHits: true },
    'any block, orphans usable': { closed: false, prefixHits: false },
  }))
    it(`is the optimum of exhaustive search: ${name}`, () => {
      fc.assert(
        fc.property(randomService, fc.nat(150), (records, fromMs) => {
          for (const worker of streams(records.usableBlocks.length)) {
            const intervals = reuseIntervals(records, worker, fromMs);
            expect(new BeladyOracle(intervals).hitBlocks).toBe(naiveOptimum(records, worker, rules, () => 1, fromMs));
          }
        }),
        { numRuns },
      );
    });
  it('is the optimum with leaves first, as in a radix tree, where every admission counts', () => {
    // An admission that does not count may use a parent that is not worth keeping for it; a tree must keep it for the child.
    let cases = 0;
    fc.assert(
      fc.property(randomService, (records) => {
        if (records.kind.includes(SERVED.again)) return;
        cases++;
        for (const worker of streams(records.usableBlocks.length)) {
          const optimum = naiveOptimum(records, worker, { closed: true, prefixHits: true });
          expect(new BeladyOracle(reuseIntervals(records, worker, 0)).hitBlocks).toBe(optimum);
        }
      }),
      { numRuns },
    );
    expect(cases).toBeGreaterThan(numRuns / 5);
  });
  it('lies below clairvoyant deadlines at the rent of the room, these below the unlimited cache; workers lie below the pooled fleet', () => {
    fc.assert(
      fc.property(randomService, (records) => {
        const workers = streams(records.usableBlocks.length).map((worker) => {
          const intervals = reuseIntervals(records, worker, 0);
          const { blocks, start, end, tMs } = intervals;
          const ttl = new TtlOracle(
            blocks,
            blocks.map((n, i) => n * (tMs[end[i]!]! - tMs[start[i]!]!)),
          );
          const belady = new BeladyOracle(intervals).hitBlocks;
          const deadlines = ttl.atRent(budgetOf(intervals)).saved + intervals.heldBlocks;
          const infinite = new InfiniteOracle(intervals).hitBlocks;
          expect(deadlines).toBeGreaterThanOrEqual(belady - 1e-9);
          expect(infinite).toBeGreaterThanOrEqual(deadlines);
          return { belady, infinite };
        });
        const pooled = workers.pop()!;
        for (const key of ['belady', 'infinite'] as const)
          expect(pooled[key]).toBeGreaterThanOrEqual(workers.reduce((sum, w) => sum + w[key], 0));
      }),
      { numRuns },
    );
  });
  it('hits at least what least recently used hits, and often more; room is scarce in these cases', () => {
    let scarce = 0;
    let better = 0;
    fc.assert(
      fc.property(randomService, (records) => {
        for (const worker of streams(records.usableBlocks.length)) {
          const intervals = reuseIntervals(records, worker, 0);
          const belady = new BeladyOracle(intervals).hitBlocks;
          const lru = lruHits(intervals);
          expect(belady).toBeGreaterThanOrEqual(lru);
          if (belady > lru) better++;
          if (belady < new InfiniteOracle(intervals).hitBlocks) scarce++;
        }
      }),
      { numRuns },
    );
    expect(scarce).toBeGreaterThan(numRuns / 10);
    expect(better).toBeGreaterThan(numRuns / 20);
  });
});
