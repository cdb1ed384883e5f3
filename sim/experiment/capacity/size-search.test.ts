import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Feasible, mostEvaluations, smallestSize } from './size-search.ts';

const from =
  (least: number) =>
  async (size: number): Promise<Feasible> =>
    size >= least ? 'yes' : 'no';

/** Sizes in order of asking, probes left out. */
async function order(start: number, max: number, least: number): Promise<number[]> {
  const { tested } = await smallestSize(start, max, from(least));
  return tested.filter((t) => !t.isProbe).map((t) => t.size);
}

describe('the smallest size', () => {
  it.each([
    { start: 5, max: 256, least: 23, sizes: [5, 8, 12, 18, 27, 22, 24, 23] },
    { start: 5, max: 256, least: 6, sizes: [5, 8, 6] },
    { start: 13, max: 256, least: 16, sizes: [13, 20, 16, 14, 15] },
    { start: 8, max: 64, least: 65, sizes: [8, 12, 18, 27, 41, 62, 64] },
  ])('asks in the order of the specification: $sizes', async ({ start, max, least, sizes }) => {
    expect(await order(start, max, least)).toEqual(sizes);
  });

  it('is that of a scan from below, within the evaluations allowed, wherever feasibility is monotone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 300 }), async (start, least) => {
        const max = 256;
        const { smallest, tested, isNonMonotone } = await smallestSize(start, max, from(least));
        const scanned = Array.from({ length: max - start + 1 }, (_, i) => start + i).find((n) => n >= least) ?? null;
        expect(smallest).toBe(scanned);
        expect(isNonMonotone).toBe(false);
        expect(tested.length).toBeLessThanOrEqual(mostEvaluations(start, max));
        expect(new Set(tested.map((t) => t.size)).size).toBe(tested.length);
      }),
    );
  });

  it('looks one further, and where that fails takes the first of two in a row', async () => {
    const only =
      (sizes: readonly number[]) =>
      async (size: number): Promise<Feasible> =>
        sizes.includes(size) ? 'yes' : 'no';
    const found = await smallestSize(4, 64, only([4, 6, 7, 8]));
    expect(found).toMatchObject({ smallest: 6, isNonMonotone: true });
    expect(found.tested.map((t) => [t.size, t.isProbe])).toEqual([
      [4, false],
      [5, true],
      [6, true],
      [7, true],
    ]);
    expect(await smallestSize(4, 64, only([4, 6, 8, 10]))).toMatchObject({ smallest: null, isNonMonotone: true });
  });

  it('counts an open judgement as not feasible', async () => {
    const found = await smallestSize(2, 8, async (size) => (size < 3 ? 'unsure' : 'yes'));
    expect(found.smallest).toBe(3);
    expect(found.tested[0]).toEqual({ size: 2, verdict: 'unsure', isProbe: false });
  });

  it('has no probe at the largest size', async () => {
    expect(await smallestSize(3, 5, from(5))).toMatchObject({ smallest: 5, isNonMonotone: false });
  });

  it('starts at a likely size, and finds the same from any of them', async () => {
    const asked = async (likely: number): Promise<number[]> => {
      const { tested } = await smallestSize(1, 64, from(12), { likely, isProbed: false });
      return tested.map((t) => t.size);
    };
    expect(await asked(12)).toEqual([12, 11]);
    expect(await asked(11)).toEqual([11, 12]);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }), async (likely, least) => {
        expect((await smallestSize(1, 64, from(least), { likely })).smallest).toBe(least);
      }),
    );
  });
});
