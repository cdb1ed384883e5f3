import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatScalar, parseScalar, type ScalarKind } from './scalars.ts';

const RUNS = { numRuns: Number(process.env['KVCAST_RUNS'] ?? 500) };

/** Values of a kind on the grid that its grammar can express. */
const GRIDS: Readonly<Record<ScalarKind, fc.Arbitrary<number>>> = {
  duration: fc.oneof(
    fc.integer({ min: 0, max: 1_000_000 }).map((us) => us / 1000),
    fc.integer({ min: 0, max: 40_000_000_000_000 }).map((us) => us / 1000),
    fc.constant(Number.POSITIVE_INFINITY),
  ),
  signedDuration: fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }).map((us) => us / 1000),
  size: fc.oneof(
    fc.integer({ min: 0, max: 1e12 }),
    fc.integer({ min: 0, max: 1000 }).map((n) => n * 2 ** 30),
  ),
  bandwidth: fc.integer({ min: 1, max: 10_000 }).map((n) => n * 1e4),
  rate: fc.integer({ min: 1, max: 100_000 }).map((n) => n / 3_600_000),
  tokens: fc.integer({ min: 0, max: 2 ** 40 }),
  share: fc.integer({ min: 0, max: 3000 }).map((n) => n / 1000),
  seed: fc.integer({ min: 0, max: 4294967295 }),
};

describe('scalars, there and back', () => {
  for (const [kind, grid] of Object.entries(GRIDS) as [ScalarKind, fc.Arbitrary<number>][]) {
    it(`${kind}: text of a value parses to the value`, () => {
      fc.assert(
        fc.property(grid, (value) => {
          const text = formatScalar(kind, value);
          const parsed = parseScalar(kind, kind === 'tokens' || kind === 'seed' ? Number(text) : text, true);
          expect(parsed).toBeCloseTo(value, 9);
          if (kind !== 'rate' && kind !== 'share') expect(parsed).toBe(value);
        }),
        RUNS,
      );
    });
  }

  it('a duration is the sum of its parts, whatever they are', () => {
    const part = (unit: string, factorUs: number) =>
      fc.integer({ min: 0, max: 999 }).map((n) => ({ text: `${n}${unit}`, us: n * factorUs }));
    const parts = fc.tuple(part('d', 8.64e10), part('h', 3.6e9), part('m', 6e7), part('s', 1e6), part('ms', 1e3), part('us', 1));
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 63 }), (all, mask) => {
        const chosen = all.filter((_, i) => mask & (1 << i));
        const sum = chosen.reduce((total, { us }) => total + us, 0);
        expect(parseScalar('duration', chosen.map(({ text }) => text).join(''))).toBe(sum / 1000);
      }),
      RUNS,
    );
  });
});
