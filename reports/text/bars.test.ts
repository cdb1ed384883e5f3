import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { axisFor, axisLabels, bar, columnOf, intervalMark, stackedBar } from './bars.ts';
import { width } from './table.ts';

describe('axis', () => {
  it('holds all values and zero on round ticks', () => {
    const axis = axisFor([-24.1, -26.2, -22], 26);
    expect(axis.lo).toBeLessThanOrEqual(-26.2);
    expect(axis.hi).toBeGreaterThanOrEqual(0);
    expect(axis.ticks).toContain(0);
    for (const tick of axis.ticks) expect(tick % 10).toBeCloseTo(0);
  });
  it('keeps every value inside, whatever the values (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 8 }), (values) => {
        const axis = axisFor(values, 20);
        for (const v of [...values, 0]) {
          expect(axis.lo).toBeLessThanOrEqual(v + 1e-8 * (axis.hi - axis.lo));
          expect(axis.hi).toBeGreaterThanOrEqual(v - 1e-8 * (axis.hi - axis.lo));
          expect(columnOf(axis, v)).toBeGreaterThanOrEqual(0);
          expect(columnOf(axis, v)).toBeLessThan(20);
        }
        expect(axis.ticks.length).toBeLessThan(12);
      }),
      { numRuns: 200 },
    );
  });
  it('labels do not touch', () => {
    const text = axisLabels(axisFor([-30, 0], 26), String);
    expect(text.trim().split(/\s+/).map(Number)).toEqual([-30, -20, -10, 0]);
  });
});

describe('interval', () => {
  const axis = { lo: -10, hi: 10, columns: 21, ticks: [-10, 0, 10] };
  it('marks ends and middle, zero where nothing else stands', () => {
    expect(intervalMark(axis, -8, -5, -2)).toBe('  ├──●──┤ │          ');
    expect(intervalMark(axis, -3, 0, 3)).toBe('       ├──●──┤       ');
    expect(intervalMark(axis, null, null, null)).toBe('          │          ');
  });
  it('shows a point as a point', () => {
    expect(intervalMark(axis, 5, 5, 5).trim().at(-1)).toBe('●');
  });
});

describe('bars', () => {
  it('fill in eighths', () => {
    expect([bar(1, 4), bar(0.5, 4), bar(0, 4), bar(1 / 32, 4), bar(2, 4), bar(-1, 4)]).toEqual(['████', '██', '', '▏', '████', '']);
  });
  it('stack to their full width: the largest remainders round up', () => {
    const shares = [0.85, 0.05, 0.042, 0.058].map((share, i) => ({ share, sign: '█▒·!'[i]! }));
    expect(stackedBar(shares, 16)).toBe('█████████████▒·!'.padEnd(16, '!'));
    expect(width(stackedBar(shares, 16))).toBe(16);
  });
  it('always fill their columns when the shares sum to one (property)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 2, maxLength: 6 }),
        fc.integer({ min: 1, max: 40 }),
        (weights, columns) => {
          const total = weights.reduce((a, b) => a + b, 0);
          fc.pre(total > 0);
          const text = stackedBar(
            weights.map((w, i) => ({ share: w / total, sign: String(i) })),
            columns,
          );
          expect(text).toHaveLength(columns);
          weights.forEach((w, i) => {
            const n = [...text].filter((c) => c === String(i)).length;
            expect(Math.abs(n - (w / total) * columns)).toBeLessThanOrEqual(1);
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});
