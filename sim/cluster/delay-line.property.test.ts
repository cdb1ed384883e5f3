import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DelayLine } from './delay-line.ts';

it('yields every event in order of (time, entity), equal ones in order of their pushes', () => {
  const event = fc.record({ time: fc.integer({ min: 0, max: 20 }), entity: fc.integer({ min: 0, max: 4 }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), fc.infiniteStream(fc.boolean()), (events, pops) => {
      const line = new DelayLine(4);
      const model: { time: number; entity: number; payload: number }[] = [];
      const popBoth = (): void => {
        const first = model.shift()!;
        expect([line.nextMs, line.nextEntity]).toEqual([first.time, first.entity]);
        expect(line.pop()).toBe(first.payload);
      };
      events.forEach(({ time, entity }, payload) => {
        line.push(time, entity, payload);
        model.push({ time, entity, payload });
        model.sort((a, b) => a.time - b.time || a.entity - b.entity || a.payload - b.payload);
        if (pops.next().value) popBoth();
      });
      while (model.length > 0) popBoth();
      expect(line.nextMs).toBe(Number.POSITIVE_INFINITY);
      expect(line.count).toBe(0);
    }),
  );
});
