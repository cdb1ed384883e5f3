import { describe, expect, it } from 'vitest';
import { quantile, quantileSorted, tailRule, timeWeightedMean, timeWeightedQuantile } from './quantile.ts';

describe('exact quantiles', () => {
  it('are R-7: the vectors of the specification', () => {
    expect(quantile([1, 2, 3, 4], 0.99)).toBeCloseTo(3.97, 12);
    expect(quantile([4, 2, 3, 1], 0.5)).toBe(2.5);
    expect(quantile([50, 40, 30, 20, 10], 0.9)).toBeCloseTo(46, 12);
    expect(quantile([7], 0.3)).toBe(7);
    const thousand = Float64Array.from({ length: 1000 }, (_, i) => i + 1);
    expect(quantileSorted(thousand, 0.99)).toBeCloseTo(990.01, 10);
    expect(quantileSorted(thousand, 0.999)).toBeCloseTo(999.001, 10);
  });

  it('reach the ends exactly and have nothing to say about nothing', () => {
    expect([quantile([3, 1, 2], 0), quantile([3, 1, 2], 1)]).toEqual([1, 3]);
    expect(quantile([], 0.5)).toBeNull();
  });

  it('equal a table made by an independent rank formula on 1,000 arrays', () => {
    let state = 1;
    const draw = (): number => (state = (Math.imul(state, 48271) >>> 0) % 2147483647);
    for (let round = 0; round < 1000; round++) {
      const n = 1 + (draw() % 40);
      const values = Array.from({ length: n }, () => draw() % 1000);
      const percent = draw() % 101;
      // Whole numbers only: (n - 1) * percent = 100 * i + rest.
      const at = (n - 1) * percent;
      const i = Math.floor(at / 100);
      const sorted = [...values].sort((a, b) => a - b);
      const want = (sorted[i]! * (100 - (at % 100)) + (sorted[Math.min(i + 1, n - 1)] ?? 0) * (at % 100)) / 100;
      expect(quantile(values, percent / 100)).toBeCloseTo(want, 8);
    }
  });
});

describe('the tail rule', () => {
  it('asks for five samples beyond the quantile, one for a dagger', () => {
    expect([tailRule(500, 0.99), tailRule(499, 0.99), tailRule(100, 0.99), tailRule(99, 0.99)]).toEqual([
      'plain',
      'dagger',
      'dagger',
      'none',
    ]);
    expect([tailRule(50, 0.9), tailRule(10, 0.5), tailRule(1000, 0.999)]).toEqual(['plain', 'plain', 'dagger']);
  });
});

describe('time-weighted values', () => {
  it('count by how long they held', () => {
    expect(timeWeightedMean([10, 20], [3, 1])).toBe(12.5);
    expect(timeWeightedMean([10], [0])).toBeNull();
  });

  it('have quantiles without interpolation', () => {
    const values = [30, 10, 20];
    const durations = [1, 5, 4];
    expect(timeWeightedQuantile(values, durations, 0.5)).toBe(10);
    expect(timeWeightedQuantile(values, durations, 0.51)).toBe(20);
    expect(timeWeightedQuantile(values, durations, 0.9)).toBe(20);
    expect(timeWeightedQuantile(values, durations, 0.91)).toBe(30);
    expect(timeWeightedQuantile(values, [0, 5, 4], 1)).toBe(20);
    expect(timeWeightedQuantile([], [], 0.5)).toBeNull();
  });
});
