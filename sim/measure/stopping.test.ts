import { describe, expect, it } from 'vitest';
import { autoWarmupMs, isPrecise, looks, mser5, primaryHalfWidth, sequentialStop } from './stopping.ts';

const RULE = { min: 10, batch: 5, max: 24, until: 0.05 };

describe('sequential stopping', () => {
  it('looks at the minimum, after each batch, and at the maximum', () => {
    expect(looks(RULE)).toEqual([10, 15, 20, 24]);
    expect(looks({ ...RULE, max: 10 })).toEqual([10]);
  });

  it('needs two narrow looks in a row', () => {
    const widths = (...w: (number | null)[]) => {
      const asked: number[] = [];
      const stop = sequentialStop(RULE, (n) => {
        asked.push(n);
        return w[asked.length - 1]!;
      });
      return { ...stop, asked };
    };
    expect(widths(0.04, 0.05, 1, 1)).toMatchObject({ n: 15, looks: 2, stopped: 'precision', asked: [10, 15] });
    expect(widths(0.04, 0.06, 0.04, 0.04)).toMatchObject({ n: 24, looks: 4, stopped: 'precision' });
    expect(widths(0.04, 0.06, 0.04, 0.06)).toMatchObject({ n: 24, looks: 4, stopped: 'max' });
    expect(widths(null, null, null, null)).toMatchObject({ stopped: 'max' });
    expect([isPrecise([0.04], 0.05), isPrecise([0.06, 0.04, 0.05], 0.05), isPrecise([0.04, 0.06], 0.05)]).toEqual([false, true, false]);
  });

  it('watches the widest paired difference, or the relative width of the only arm', () => {
    const a = [10, 11, 12, 13];
    const close = a.map((x) => x * 1.1);
    const noisy = [12, 9, 15, 11];
    const narrow = primaryHalfWidth([a, close], 0, 'ratio')!;
    const wide = primaryHalfWidth([a, close, noisy], 0, 'ratio')!;
    expect(narrow).toBeLessThan(1e-12);
    expect(wide).toBeGreaterThan(0.1);
    expect(primaryHalfWidth([[10, 10, 10]], 0, 'ratio')).toBe(0);
    // t(1) s / sqrt(2) / mean = 12.7062 * 1.41421 / 1.41421 / 10.
    expect(primaryHalfWidth([[9, 11]], 0, 'ratio')).toBeCloseTo(1.27062, 4);
    expect(primaryHalfWidth([[9, 11]], 0, 'count')).toBeCloseTo(12.7062, 3);
    expect(primaryHalfWidth([[9, null]], 0, 'ratio')).toBeNull();
    expect(primaryHalfWidth([[9]], 0, 'ratio')).toBeNull();
  });
});

describe('MSER-5', () => {
  it('gives the vector of the specification: leave out 10 values, mean 20', () => {
    const series = '0 2 4 6 8 10 12 13 14 16 18 19 20 21 22 20 19 21 20 20 21 20 19 20 20 19 20 21 20 20 20 21 20 19 20 20 19 20 21 20';
    expect(mser5(series.split(' ').map(Number))).toEqual({ truncate: 10, mean: 20, atLimit: false });
  });

  it('says when it cannot tell', () => {
    const rising = Array.from({ length: 40 }, (_, i) => i);
    expect(mser5(rising)).toMatchObject({ truncate: 20, atLimit: true });
    expect(mser5([1, 2, 3, 4, 5, 6, 7, 8, 9])).toBeNull();
  });
});

describe('the warm-up of a steady run', () => {
  it('is the longest of its reasons, the TTL counting for an hour at most, and half the horizon at most', () => {
    const base = { settledMs: [60_000, 90_000], longestTtlMs: 300_000, fillMs: 0, horizonMs: 21_600_000 };
    expect(autoWarmupMs(base)).toBe(300_000);
    expect(autoWarmupMs({ ...base, longestTtlMs: 86_400_000 })).toBe(3_600_000);
    expect(autoWarmupMs({ ...base, fillMs: 5_000_000 })).toBe(5_000_000);
    expect(autoWarmupMs({ ...base, fillMs: 5e9 })).toBe(10_800_000);
  });
});
