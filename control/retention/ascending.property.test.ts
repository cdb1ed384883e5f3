import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Ascending, merged } from './ascending.ts';
import { GapWindow } from './gap-window.ts';

const sorted = (values: readonly number[]): number[] => [...Float64Array.from(values).sort()];
const VALUES = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 20 });

it('has the values of a sorted list, however many join and leave between two reads', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ joins: VALUES, leaves: fc.nat(8) }), { maxLength: 8 }), (rounds) => {
      const bag = new Ascending();
      let list: number[] = [];
      let handedOut: readonly [Float64Array, number[]] | undefined;
      for (const { joins, leaves } of rounds) {
        for (const value of list.splice(0, leaves)) bag.leaves(value);
        for (const value of joins) bag.joins(value);
        list = [...list, ...joins];
        const { values } = bag;
        expect([...values]).toEqual(sorted(list));
        if (handedOut !== undefined) expect([...handedOut[0]]).toEqual(handedOut[1]);
        handedOut = [values, [...values]];
      }
    }),
  );
});

it('joins two ascending lists', () => {
  fc.assert(
    fc.property(VALUES, VALUES, (a, b) => {
      expect([...merged(Float64Array.from(sorted(a)), Float64Array.from(sorted(b)))]).toEqual(sorted([...a, ...b]));
    }),
  );
});

it('a window has its latest pauses in order, read often or seldom', () => {
  const step = fc.record({ gap: fc.integer({ min: 0, max: 9 }), censored: fc.boolean(), isRead: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const window = new GapWindow(7);
      steps.forEach(({ gap, censored, isRead }, i) => {
        window.add(gap, censored);
        const latest = steps.slice(Math.max(0, i - 6), i + 1);
        if (isRead) {
          for (const side of [false, true]) {
            expect([...window.gaps(side)]).toEqual(sorted(latest.filter((s) => s.censored === side).map((s) => s.gap)));
          }
        }
        expect(window.ends).toBe(latest.filter((s) => !s.censored).length);
      });
    }),
  );
});
