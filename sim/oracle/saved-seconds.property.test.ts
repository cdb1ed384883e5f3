/** Cost-aware eviction and the dual bound on random small forests, against block-by-block references. M10 of retention 16.4. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BeladyOracle } from './belady-oracle.ts';
import { CostAwareOracle } from './cost-aware-oracle.ts';
import { DualOracle } from './dual-oracle.ts';
import { naiveCostAware, naiveOptimum } from './naive-service.ts';
import { PrefillWorth } from './prefill-worth.ts';
import { reuseIntervals } from './reuse-intervals.ts';
import { BLOCK_TOKENS, randomService } from './service-fixture.ts';

const numRuns = Number(process.env['KVCAST_RUNS'] ?? 500);
const worth = new PrefillWorth(BLOCK_TOKENS, 1, 0.5);
const worthOf = (depth: number): number => worth.at(depth);

describe('cost-aware eviction', () => {
  it('works on runs of blocks as the plain rule works on blocks', () => {
    fc.assert(
      fc.property(randomService, (records) => {
        for (const worker of [...records.usableBlocks.keys(), null]) {
          const oracle = new CostAwareOracle(reuseIntervals(records, worker, 0), worth);
          expect(oracle.savedMs).toBeCloseTo(naiveCostAware(records, worker, worthOf), 9);
        }
      }),
      { numRuns },
    );
  });
  it('saves at most the optimum, and the dual at least that; both are near it', () => {
    let optimum = 0;
    let feasible = 0;
    let bound = 0;
    fc.assert(
      fc.property(randomService, (records) => {
        for (const worker of [...records.usableBlocks.keys(), null]) {
          const intervals = reuseIntervals(records, worker, 0);
          const costAware = new CostAwareOracle(intervals, worth).savedMs;
          const dual = new DualOracle(intervals, worth, costAware).savedMs;
          const best = naiveOptimum(records, worker, { closed: false, prefixHits: true }, worthOf);
          const loosest = naiveOptimum(records, worker, { closed: false, prefixHits: false }, worthOf);
          expect(costAware).toBeLessThanOrEqual(best + 1e-9);
          expect(dual).toBeGreaterThanOrEqual(loosest - 1e-9);
          optimum += best;
          feasible += costAware;
          bound += dual;
        }
      }),
      { numRuns },
    );
    expect(feasible / optimum).toBeGreaterThan(0.97);
    expect(bound / optimum).toBeLessThan(1.1);
  });
  it('with equal worth the dual lies between leaf-MIN and a little more', () => {
    const equal = new PrefillWorth(BLOCK_TOKENS, 1, 0);
    let exact = 0;
    let bound = 0;
    fc.assert(
      fc.property(randomService, (records) => {
        const intervals = reuseIntervals(records, 0, 0);
        const belady = new BeladyOracle(intervals).hitBlocks * BLOCK_TOKENS;
        const dual = new DualOracle(intervals, equal, belady).savedMs;
        expect(dual).toBeGreaterThanOrEqual(belady - 1e-9);
        exact += belady;
        bound += dual;
      }),
      { numRuns },
    );
    expect(bound / exact).toBeLessThan(1.05);
  });
});
