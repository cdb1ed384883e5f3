import { describe, expect, it } from 'vitest';
import { compareSeed } from './equality.property.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 10_000);
const FIRST = Number(process.env['KVCAST_SEED'] ?? 1_000_000);

describe.each([
  ['synchronous', false],
  ['a step ahead', true],
])('the jumping engine, %s, equals the stepped one', (_depth, asyncDepth2) => {
  it.each([
    ['continuous times', false],
    ['ties and exact times', true],
  ])(`on ${RUNS} random workloads with %s`, (_name, dyadic) => {
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      expect(compareSeed(seed, { asyncDepth2, dyadic }), `seed ${seed}`).toBeNull();
    }
  });
});
