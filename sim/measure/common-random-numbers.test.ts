import { describe, expect, it } from 'vitest';
import { exponential, Stream, streamKey } from '../kernel/draw.ts';
import { quantile } from './quantile.ts';
import { meanInterval } from './statistics.ts';

const JOBS = 20_000;
const REPLICATIONS = 20;

/** p99 wait of a two-server queue at load 0.8; `bias` is work that server 1 must be ahead by to be chosen. */
function p99Wait(seed: number, replication: number, bias: number): number {
  const gaps = new Stream(streamKey(seed, replication, 'gap', 'queue'));
  const sizes = new Stream(streamKey(seed, replication, 'size', 'queue'));
  const waits = new Float64Array(JOBS);
  let first = 0;
  let second = 0;
  for (let i = 0; i < JOBS; i++) {
    const gap = exponential(gaps, 1 / 1.6);
    first = Math.max(0, first - gap);
    second = Math.max(0, second - gap);
    const size = exponential(sizes, 1);
    if (first <= second + bias) {
      waits[i] = first;
      first += size;
    } else {
      waits[i] = second;
      second += size;
    }
  }
  return quantile(waits, 0.99)!;
}

describe('common random numbers', () => {
  it('narrow the interval of a difference of two near-equal policies at least ten-fold', () => {
    const baseline = Array.from({ length: REPLICATIONS }, (_, r) => p99Wait(1, r, 0));
    const half = (seedOfB: number): number => {
      const differences = baseline.map((wait, r) => p99Wait(seedOfB, r, 0.01) - wait);
      return meanInterval(differences).halfWidth!;
    };
    expect(half(2) / half(1)).toBeGreaterThanOrEqual(10);
  });
});
