import { describe, expect, it } from 'vitest';
import { COMPONENTS } from './turn-components.ts';
import { bandHalfWidth, type Item, RESIDUAL, rowsOf, UNPAIRED } from './waterfall.ts';

/** A turn of two components. */
function item(first: number, second: number): Item {
  const values = new Float64Array(COMPONENTS.length);
  values[0] = first;
  values[1] = second;
  return { ms: first + second, values };
}

const sum = (rows: Float64Array): number => rows.reduce((a, b) => a + b, 0);

describe('rows of a difference', () => {
  it('mean over the turns that both have; what only one served is a row of its own', () => {
    const a = new Map([
      ['x', item(10, 2)],
      ['y', item(20, 4)],
      ['only a', item(90, 0)],
    ]);
    const b = new Map([
      ['x', item(12, 2)],
      ['y', item(20, 10)],
    ]);
    const [here, there] = rowsOf(a, b, { kind: 'mean' })!;
    expect([here.totalMs, there!.totalMs]).toEqual([42, 22]);
    expect([here.rows[0], here.rows[1], here.rows[UNPAIRED]]).toEqual([15, 3, 24]);
    expect([there!.rows[0], there!.rows[1], there!.rows[UNPAIRED]]).toEqual([16, 6, 0]);
    expect(sum(here.rows)).toBe(42);
    expect(rowsOf(a, new Map([['z', item(1, 1)]]), { kind: 'mean' })).toBeNull();
    expect(rowsOf(a, new Map(), { kind: 'mean' })).toBeNull();
  });

  it('a quantile: the mean over its band of ranks, and the residual', () => {
    expect([bandHalfWidth(0.99), bandHalfWidth(0.5)].map((w) => Number(w.toFixed(6)))).toEqual([0.005, 0.025]);
    const items = new Map(Array.from({ length: 1001 }, (_, i) => [`t${i}`, item(i, 0)] as const));
    const [p99] = rowsOf(items, null, { kind: 'quantile', q: 0.99 })!;
    // Ranks 985 to 995.
    expect([p99.totalMs, p99.rows[0], p99.meanOf]).toEqual([990, 990, 11]);
    items.set('t1000', item(0, 1000));
    items.set('t993', item(993, 500));
    const [skewed] = rowsOf(items, null, { kind: 'quantile', q: 0.99 })!;
    expect(sum(skewed.rows)).toBeCloseTo(skewed.totalMs, 9);
    expect(skewed.rows[RESIDUAL]).not.toBe(0);
    const [few] = rowsOf(
      new Map([
        ['a', item(1, 0)],
        ['b', item(3, 0)],
      ]),
      null,
      { kind: 'quantile', q: 0.99 },
    )!;
    expect(few.meanOf).toBe(2);
    expect(few.totalMs).toBeCloseTo(2.98, 9);
    expect(sum(few.rows)).toBeCloseTo(2.98, 9);
  });
});
