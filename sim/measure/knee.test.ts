import { describe, expect, it } from 'vitest';
import { Stream } from '../kernel/draw.ts';
import { kneeInterval, kneeOf } from './knee.ts';

describe('knee of a curve', () => {
  it('is where gain per price falls below the average', () => {
    // Two unit steps at 40 gain each, then 1 gain per unit of price.
    expect(kneeOf([0, 1, 2, 12, 22], [0, 40, 80, 90, 100])).toBe(2);
    // Linear in the hit share after a TTL of 300 s of retention.md 16.1: hits and R of the dev sample, de-biased.
    const r = [0.061, 0.219, 0.363, 0.793, 1.297, 2.056, 3.485, 5.098, 8.978, 13.333];
    const hit = [41.25, 64.64, 71.21, 78.76, 82.85, 87.57, 91.67, 93.61, 95.48, 96.01];
    expect(kneeOf(r, hit)).toBe(5);
  });

  it('does not depend on the scale of the axes', () => {
    const x = [0, 1, 2, 12, 22];
    const y = [0, 40, 80, 90, 100];
    expect(
      kneeOf(
        x.map((v) => 7 + 3 * v),
        y.map((v) => 0.01 * v - 9),
      ),
    ).toBe(kneeOf(x, y));
  });

  it('is not named where the curve is straight, flat, or free', () => {
    expect(kneeOf([0, 1, 2, 3], [0, 1, 2, 3])).toBeNull();
    expect(kneeOf([0, 1, 2, 3], [5, 5, 5, 5])).toBeNull();
    expect(kneeOf([1, 1, 1, 1], [0, 1, 2, 3])).toBeNull();
    expect(kneeOf([0, 1, 2, 3], [0, 0.1, 0.5, 3])).toBeNull();
  });

  it('has an interval that holds the knees of its replications, of one point where all agree', () => {
    const x = [0, 1, 2, 12, 22];
    const early = [0, 80, 82, 90, 100];
    const late = [0, 20, 80, 90, 100];
    const same = kneeInterval([x, x, x], [early, early, early], new Stream('k'));
    expect(same).toEqual({ at: 1, lo: 1, hi: 1, found: 1 });
    const mixed = kneeInterval([x, x, x, x], [early, late, early, late], new Stream('k'))!;
    expect([mixed.lo, mixed.hi]).toEqual([1, 2]);
    expect(kneeInterval([x], [x], new Stream('k'))).toBeNull();
    expect(kneeInterval([x, x], [early, late], new Stream('a'))).toEqual(kneeInterval([x, x], [early, late], new Stream('a')));
  });
});
