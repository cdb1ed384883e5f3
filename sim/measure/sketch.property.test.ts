import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DDSketch } from './sketch.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 500);
const range = fc.record({
  first: fc.double({ min: 0, max: 5000, noNaN: true }),
  increment: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3, noNaN: true })),
  count: fc.integer({ min: 1, max: 400 }),
  weight: fc.integer({ min: 1, max: 50 }),
  falling: fc.boolean(),
});

describe('the sketch', () => {
  it('sees a weighted range as its expansion, bucket for bucket', () => {
    fc.assert(
      fc.property(range, ({ first, increment, count, weight, falling }) => {
        const start = falling ? first + increment * (count - 1) : first;
        const step = falling ? -increment : increment;
        fc.pre(start + step * (count - 1) >= 0);
        const ranged = new DDSketch();
        ranged.addRange(start, step, count, weight);
        const single = new DDSketch();
        for (let i = 0; i < count; i++) single.add(start + step * i, weight);
        expect(ranged.buckets()).toEqual(single.buckets());
        expect(ranged.count).toBe(single.count);
        expect(Math.abs(ranged.sum - single.sum)).toBeLessThanOrEqual(1e-9 * single.sum);
      }),
      { numRuns: RUNS },
    );
  });

  it('merges any partition to the whole, bucket for bucket', () => {
    const value = fc.record({ x: fc.double({ min: 0, max: 1e7, noNaN: true }), part: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 200 }), (values) => {
        const whole = new DDSketch();
        const parts = [0, 1, 2, 3].map(() => new DDSketch());
        for (const { x, part } of values) {
          whole.add(x);
          parts[part]!.add(x);
        }
        const merged = new DDSketch();
        for (const part of [...parts].reverse()) merged.merge(part);
        expect(merged.buckets()).toEqual(whole.buckets());
        expect([merged.count, merged.min, merged.max]).toEqual([whole.count, whole.min, whole.max]);
      }),
      { numRuns: RUNS },
    );
  });
});
