/** Shapley shares against the definition: the mean over every order of the parts. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shapleySplit } from './shapley.ts';

/** Every order of 0..n-1. */
function orders(n: number): number[][] {
  if (n === 0) return [[]];
  return orders(n - 1).flatMap((order) => Array.from({ length: n }, (_, at) => [...order.slice(0, at), n - 1, ...order.slice(at)]));
}

function naiveShares(values: readonly number[], parts: number): number[] {
  const all = orders(parts);
  return Array.from({ length: parts }, (_, part) => {
    const changes = all.map((order) => {
      const before = order.slice(0, order.indexOf(part)).reduce((mask, other) => mask | (1 << other), 0);
      return values[before | (1 << part)]! - values[before]!;
    });
    return changes.reduce((a, b) => a + b, 0) / all.length;
  });
}

describe('shapleySplit', () => {
  it('the vector of the experiments specification 7.3', () => {
    // AA 2.40, router changed 1.80, retention changed 2.25, both 1.50.
    const { shares, interaction } = shapleySplit([2.4, 1.8, 2.25, 1.5], 2);
    expect(shares[0]!.share).toBeCloseTo(-0.675, 12);
    expect(shares[1]!.share).toBeCloseTo(-0.225, 12);
    expect(shares[0]!.alone).toBeCloseTo(-0.6, 12);
    expect(shares[0]!.last).toBeCloseTo(-0.75, 12);
    expect(interaction).toBeCloseTo(-0.15, 12);
  });

  it('is the mean over all orders, sums to the difference, gives a part without effect nothing', () => {
    const cases = fc
      .integer({ min: 1, max: 4 })
      .chain((parts) =>
        fc.tuple(
          fc.constant(parts),
          fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 2 ** parts, maxLength: 2 ** parts }),
          fc.nat(parts - 1),
        ),
      );
    fc.assert(
      fc.property(cases, ([parts, values, idle]) => {
        const { shares } = shapleySplit(values, parts);
        for (const [part, share] of naiveShares(values, parts).entries()) expect(shares[part]!.share).toBeCloseTo(share, 9);
        expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(values.at(-1)! - values[0]!, 9);
        const without = values.map((_, mask) => values[mask & ~(1 << idle)]!);
        expect(shapleySplit(without, parts).shares[idle]).toEqual({ share: 0, alone: 0, last: 0 });
      }),
    );
  });
});
