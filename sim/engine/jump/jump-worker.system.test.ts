import { describe, expect, it } from 'vitest';
import { compareSeed } from './equality.property.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 10_000);

describe('the jumping engine equals the stepped one', () => {
  it(`on ${RUNS} random workloads`, () => {
    const first = Number(process.env['KVCAST_SEED'] ?? 1_000_000);
    for (let seed = first; seed < first + RUNS; seed++) {
      expect(compareSeed(seed, { asyncDepth2: false, host: false }), `seed ${seed}`).toBeNull();
    }
  });
});
