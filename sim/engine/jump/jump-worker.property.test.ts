import { describe, expect, it } from 'vitest';
import type { CaseFlavour } from '../worker.property.ts';
import type { Ranker } from '../worker.ts';
import { compareSeed } from './equality.property.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 200);
const FIRST = Number(process.env['KVCAST_SEED'] ?? 0);
const RANKERS: readonly Ranker[] = ['lfu', 'slru', 'fifo', 'mru', 'gdsf', 'tlru'];

describe.each([
  ['synchronous', false],
  ['a step ahead', true],
])('the jumping engine, %s, equals the stepped one', (_name, asyncDepth2) => {
  /** Reports seed and flavour, with which the case can be repeated. */
  function expectEqual(flavour: CaseFlavour): void {
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      const difference = compareSeed(seed, { asyncDepth2, ...flavour });
      expect(difference, `seed ${seed} of ${JSON.stringify({ asyncDepth2, ...flavour })}`).toBeNull();
    }
  }

  it('in times, hits, evictions, preemptions and events', () =>
    expectEqual({ host: false, claims: false, lifecycle: false, dyadic: false }));
  it('where steps take no time', () => expectEqual({ host: false, lifecycle: false, instant: true, dyadic: true }));
  it('with ties and exact times', () => expectEqual({ host: false, claims: false, lifecycle: false, dyadic: true }));
  it('under claims, demotions and their deadlines', () => expectEqual({ host: false, lifecycle: false }));
  it('under many marks of all sorts', () => expectEqual({ manyClaims: true, aborts: false }));
  it('with a host tier, restores, stores and prefetches', () => expectEqual({ lifecycle: false }));
  it('through crashes, drains and slow-downs', () => expectEqual({}));
  it('with disk and remote store below the host tier', () => expectEqual({ lower: true, lifecycle: false }));
  it('with them, marks of all sorts and crashes', () => expectEqual({ lower: true, manyClaims: true }));
});

describe.each(RANKERS)('victims by %s', (ranker) => {
  it.each([
    ['synchronous', false],
    ['a step ahead', true],
  ])('are the same in both engines, %s', (_name, asyncDepth2) => {
    for (const flavour of [{ host: false, claims: false, lifecycle: false }, { manyClaims: true, aborts: false }, {}]) {
      for (let seed = FIRST; seed < FIRST + RUNS / 4; seed++) {
        const facts = { ...flavour, asyncDepth2, ranker };
        expect(compareSeed(seed, facts), `seed ${seed} of ${JSON.stringify(facts)}`).toBeNull();
      }
    }
  });
});
