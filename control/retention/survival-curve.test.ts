import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestHold, kaplanMeier } from './survival-curve.ts';

const close = (xs: ArrayLike<number>): number[] => Array.from(xs, (x) => Math.round(x * 1e9) / 1e9 + 0);

/** Worked example of retention specification 8.2. */
const ENDED = Float64Array.from([5, 0.5, 1, 20, 1, 2]).sort();
const CENSORED = Float64Array.from([60, 3, 8, 300]).sort();

describe('Kaplan-Meier', () => {
  it('gives the worked survival and its integral', () => {
    const curve = kaplanMeier(ENDED, CENSORED);
    expect([...curve.times]).toEqual([0.5, 1, 2, 5, 20]);
    expect(close(curve.survival)).toEqual([0.9, 0.7, 0.6, 0.48, 0.32]);
    expect(close(curve.held)).toEqual([0.5, 0.95, 1.65, 3.45, 10.65]);
    // Without the censored ones F(20) would be 1, with them taken for gaps 0.8; the estimate is 0.68.
    expect(kaplanMeier(ENDED, new Float64Array()).survival.at(-1)).toBe(0);
    expect(1 - curve.survival.at(-1)!).toBeCloseTo(0.68, 12);
  });

  it('counts a pause censored at the time of an end as still at risk', () => {
    expect(kaplanMeier(Float64Array.from([1]), Float64Array.from([1])).survival[0]).toBe(0.5);
  });

  it('is the empirical distribution when nothing is censored', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 30 }), (gaps) => {
        const curve = kaplanMeier(Float64Array.from(gaps).sort(), new Float64Array());
        curve.times.forEach((time, i) => {
          expect(curve.survival[i]).toBeCloseTo(gaps.filter((g) => g > time).length / gaps.length, 12);
          expect(curve.held[i]).toBeCloseTo(gaps.reduce((sum, g) => sum + Math.min(g, time), 0) / gaps.length, 9);
        });
      }),
    );
  });

  it('has no times when nothing ended', () => {
    expect(kaplanMeier(new Float64Array(), Float64Array.from([1, 2])).times).toHaveLength(0);
  });
});

describe('bestHold', () => {
  const curve = kaplanMeier(ENDED, CENSORED);

  it('gives the worked times to keep', () => {
    const j = (w: number): number[] => close(Array.from(curve.times, (_, i) => w * (1 - curve.survival[i]!) - curve.held[i]!));
    expect(j(5)).toEqual([0, 0.55, 0.35, -0.85, -7.25]);
    expect(j(12)).toEqual([0.7, 2.65, 3.15, 2.79, -2.49]);
    expect(j(40)).toEqual([3.5, 11.05, 14.35, 17.35, 16.55]);
    expect([5, 12, 40].map((w) => bestHold(curve, w, 300).hold)).toEqual([1, 2, 5]);
    expect(bestHold(curve, 40, 300).gain).toBeCloseTo(17.35, 9);
  });

  it('keeps nothing when a miss costs nothing, and to the cap when space costs nothing', () => {
    expect(bestHold(curve, 0, 300)).toEqual({ hold: 0, gain: 0 });
    expect(bestHold(curve, Number.POSITIVE_INFINITY, 300).hold).toBe(300);
  });

  it('never exceeds the cap and takes the smallest time on ties', () => {
    expect(bestHold(curve, 40, 4).hold).toBe(2);
    const tie = { times: Float64Array.from([1, 3]), survival: Float64Array.from([0.5, 0.25]), held: Float64Array.from([1, 2]) };
    expect(bestHold(tie, 4, 100)).toEqual({ hold: 1, gain: 1 });
  });

  it('keeps longer the more a miss costs and shorter the more space costs (retention:M12)', () => {
    const gaps = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(gaps, gaps, fc.double({ min: 0.001, max: 1e6, noNaN: true }), (ended, censored, w) => {
        const c = kaplanMeier(Float64Array.from(ended).sort(), Float64Array.from(censored).sort());
        expect(bestHold(c, 2 * w, 1e6).hold).toBeGreaterThanOrEqual(bestHold(c, w, 1e6).hold);
      }),
    );
  });
});
