import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Calendar, NOTHING, SLOT, tieHash } from './calendar.ts';
import { NaiveCalendar } from './naive-calendar.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 300);
const SLOTS = 5;

const command = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('push' as const), dt: fc.nat(4), cls: fc.integer({ min: 1, max: 10 }), entity: fc.nat(8) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('slot' as const),
      dt: fc.nat(5),
      cls: fc.integer({ min: 1, max: 10 }),
      entity: fc.nat(SLOTS - 1),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('next' as const), dt: fc.nat(4), cls: fc.constant(1), entity: fc.constant(0) }) },
);

describe('the calendar', () => {
  it('yields the same effects as the naive one under any sequence of commands', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), fc.constantFrom(0, 7, 123456789), (commands, tieSeed) => {
        const fast = new Calendar(SLOTS, tieSeed);
        const naive = new NaiveCalendar(SLOTS, tieSeed);
        let payload = 0;
        for (const { op, dt, cls, entity } of commands) {
          const at = fast.nowMs + dt;
          if (op === 'push') {
            payload++;
            fast.push(at, cls, entity, payload);
            naive.push(at, cls, entity, payload);
          } else if (op === 'slot') {
            const time = dt === 5 ? Infinity : at;
            fast.setSlot(entity, time, cls);
            naive.setSlot(entity, time, cls);
          } else {
            const kind = fast.next();
            expect(kind).toBe(naive.next());
            if (kind === NOTHING) continue;
            expect([fast.nowMs, fast.eventClass, fast.entity, fast.payload]).toEqual([
              naive.nowMs,
              naive.eventClass,
              naive.entity,
              naive.payload,
            ]);
            if (kind === SLOT) {
              expect(fast.isAlone(fast.entity)).toBe(naive.dueNow <= 1);
              const { nowMs, entity: slot } = fast;
              fast.setSlot(slot, nowMs + dt, cls);
              naive.setSlot(slot, nowMs + dt, cls);
            }
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('yields the same order whatever the order of insertion', () => {
    const event = fc.record({ time: fc.nat(3), cls: fc.integer({ min: 1, max: 10 }), entity: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.infiniteStream(fc.nat(1000)), (events, noise) => {
        const drain = (list: readonly { time: number; cls: number; entity: number; payload: number }[]): number[][] => {
          const calendar = new Calendar();
          for (const e of list) calendar.push(e.time, e.cls, e.entity, e.payload);
          const out: number[][] = [];
          while (calendar.next() !== NOTHING) out.push([calendar.nowMs, calendar.eventClass, calendar.entity, calendar.payload]);
          return out;
        };
        const numbered = events.map((e, payload) => ({ ...e, payload }));
        const shuffled = numbered.map((e) => ({ e, key: noise.next().value as number })).sort((a, b) => a.key - b.key);
        expect(drain(shuffled.map((s) => s.e))).toEqual(drain(numbered));
      }),
      { numRuns: RUNS },
    );
  });

  it('hashes entities one to one, so that a seeded tie order is still total', () => {
    const seen = new Set<number>();
    for (let entity = 0; entity < 100_000; entity++) seen.add(tieHash(entity, 42));
    expect(seen.size).toBe(100_000);
  });
});
