import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefillWorth } from './prefill-worth.ts';
import { clairvoyantCost, deadlineCost, randomisedCost, skiRentalDeadline } from './ski-rental.ts';

const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true });

describe('ski rental', () => {
  it('keeping until the rent equals the price costs at most twice what the future would have told, and the worst pause costs that', () => {
    fc.assert(
      fc.property(positive, positive, (pause, price) => {
        expect(deadlineCost(pause, skiRentalDeadline(price), price)).toBeLessThanOrEqual(2 * clairvoyantCost(pause, price));
      }),
    );
    expect(deadlineCost(10.001, skiRentalDeadline(10), 10)).toBe(2 * clairvoyantCost(10.001, 10));
  });
  it('no other deadline does better against its worst pause', () => {
    fc.assert(
      fc.property(positive, positive, (deadline, price) => {
        const worst = deadline * (1 + 1e-9);
        expect(deadlineCost(worst, deadline, price) / clairvoyantCost(worst, price)).toBeGreaterThanOrEqual(2 - 1e-6);
      }),
    );
  });
  it('the random deadline costs e / (e - 1) on average: the integral over its density', () => {
    const price = 7;
    for (const pause of [0.5, 3, 7, 40]) {
      const n = 200_000;
      let mean = 0;
      for (let k = 0; k < n; k++) {
        const x = ((k + 0.5) / n) * price;
        mean += ((Math.exp(x / price) / (price * (Math.E - 1))) * deadlineCost(pause, x, price) * price) / n;
      }
      expect(mean).toBeCloseTo(randomisedCost(pause, price), 3);
      expect(mean / clairvoyantCost(pause, price)).toBeCloseTo(Math.E / (Math.E - 1), 3);
    }
  });
});

describe('the worth of prefill', () => {
  it('is additive over a split: 60,000 and 40,000 tokens of 100,000', () => {
    // C_re of retention specification 5, worked: a = 5.3e-5 s, b = 9.7e-10 s.
    const worth = new PrefillWorth(1000, 0.053, 9.7e-7);
    expect(worth.of(0, 1) / 1000).toBeCloseTo(0.053485, 6);
    expect(worth.of(0, 12) / 1000).toBeCloseTo(0.70584, 5);
    expect(worth.of(0, 100) / 1000).toBeCloseTo(10.15, 9);
    expect(worth.of(100, 101) / 1000).toBeCloseTo(0.150485, 6);
    expect([worth.of(0, 60) / 1000, worth.of(60, 100) / 1000].map((s) => Number(s.toFixed(3)))).toEqual([4.926, 5.224]);
    let sum = 0;
    for (let d = 3; d < 9; d++) sum += worth.at(d);
    expect(worth.of(3, 9)).toBeCloseTo(sum, 9);
  });
});
