import { describe, expect, it } from 'vitest';
import { decimalsFor, fixed, plain, scaled, signed, thousands } from './numbers.ts';

describe('digits', () => {
  it('give the half-width two significant digits, at most three decimals', () => {
    // Half-widths of the design's transcript and the decimals they are printed with.
    for (const [half, decimals] of [
      [31, 0],
      [2.2, 1],
      [0.77, 2],
      [0.045, 3],
      [0.0045, 3],
      [9.96, 0],
      [0.996, 1],
      [1234, 0],
    ] as const)
      expect(decimalsFor(half, 100), String(half)).toBe(decimals);
  });
  it('without a half-width give the value three', () => {
    expect([0.139, 5.16, 97.1, 305, 12_031].map((v) => decimalsFor(null, v))).toEqual([3, 2, 1, 0, 0]);
    expect(decimalsFor(0, 5.16)).toBe(2);
    expect(decimalsFor(Number.NaN, 5.16)).toBe(2);
    expect(decimalsFor(null, 0)).toBe(0);
  });
  it('have no negative zero, an ASCII minus, and a sign only where there is one', () => {
    expect([fixed(-0.04, 1), fixed(-0.06, 1)]).toEqual(['0.0', '-0.1']);
    expect([signed(0.04, 1), signed(0.5, 1), signed(-0.5, 1), signed(-0.04, 1)]).toEqual(['0.0', '+0.5', '-0.5', '0.0']);
  });
  it('group thousands and scale large counts', () => {
    expect([thousands(12_031), thousands(999), thousands(1_000_000)]).toEqual(['12,031', '999', '1,000,000']);
    expect([scaled(432e6), scaled(53.4e6), scaled(1.128e9), scaled(950), scaled(0)]).toEqual(['432 M', '53.4 M', '1.13 G', '950', '0.00']);
    expect(plain(1 / 3)).toBe('0.333333');
  });
});
