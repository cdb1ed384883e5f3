import fc from 'fast-check';
import { expect, it } from 'vitest';
import { returnWindow } from './return-window.ts';
import { kaplanMeier } from './survival-curve.ts';

const NONE = new Float64Array(0);
const window = (gaps: readonly number[], breakEven: number) => returnWindow(kaplanMeier(Float64Array.from(gaps).sort(), NONE), breakEven);

it('begins just before the returns of a timer, where the hazard rises', () => {
  // A cron tool, 600 +- 5 s: a reload of 30 s of rent pays for all of them, one of 1.5 s only for the last.
  const cron = Array.from({ length: 101 }, (_, i) => 595_000 + 100 * i);
  expect(window(cron, 30_000)).toEqual({ fromMs: 595_000, toMs: 605_000 });
  const tight = window(cron, 1500)!;
  expect(tight.fromMs).toBeGreaterThan(603_000);
  expect(tight.toMs).toBe(605_000);
});

it('begins with the first return where the hazard falls: nothing can be gained by waiting', () => {
  expect(window([10, 20, 30, 40, 50_000], 100)).toEqual({ fromMs: 10, toMs: 40 });
});

it('takes all returns where space is free, none where a reload is, and none where nothing ended', () => {
  expect(window([5, 70, 900], Number.POSITIVE_INFINITY)).toEqual({ fromMs: 5, toMs: 900 });
  expect(window([5, 70, 900], 0)).toBeUndefined();
  expect(window([], 100)).toBeUndefined();
});

it('no other stretch between two returns gains more', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 400 }),
      (gaps, breakEven) => {
        const sorted = gaps.toSorted((a, b) => a - b);
        const n = sorted.length;
        // Gain of being in HBM from just before `from` to `to`: returns in it, times their worth, minus the mean time paid for.
        const gain = (from: number, to: number): number =>
          sorted.reduce((sum, g) => sum + (g >= from && g <= to ? breakEven : 0) - Math.max(0, Math.min(g, to) - from), 0) / n;
        const best = window(gaps, breakEven)!;
        const most = Math.max(...sorted.flatMap((from) => sorted.filter((to) => to >= from).map((to) => gain(from, to))));
        expect(gain(best.fromMs, best.toMs)).toBeCloseTo(most, 9);
      },
    ),
  );
});
