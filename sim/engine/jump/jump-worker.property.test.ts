import { describe, expect, it } from 'vitest';
import type { CaseFlavour } from '../worker.property.ts';
import { compareSeed } from './equality.property.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 200);
const FIRST = Number(process.env['KVCAST_SEED'] ?? 0);

/** Reports seed and flavour, with which the case can be repeated. */
function expectEqual(flavour: CaseFlavour): void {
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    const difference = compareSeed(seed, { asyncDepth2: false, ...flavour });
    expect(difference, `seed ${seed} of ${JSON.stringify(flavour)}`).toBeNull();
  }
}

describe('the jumping engine equals the stepped one', () => {
  it('in times, hits, evictions, preemptions and events', () =>
    expectEqual({ host: false, claims: false, lifecycle: false, dyadic: false }));
  it('with ties and exact times', () => expectEqual({ host: false, claims: false, lifecycle: false, dyadic: true }));
  it('under claims, demotions and their deadlines', () => expectEqual({ host: false, lifecycle: false }));
  it('with a host tier, restores, stores and prefetches', () => expectEqual({ lifecycle: false }));
  it('through crashes, drains and slow-downs', () => expectEqual({}));
});
