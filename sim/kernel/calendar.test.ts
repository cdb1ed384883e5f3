import { describe, expect, it } from 'vitest';
import { Calendar, EVENT, NOTHING, SLOT } from './calendar.ts';
import { EVENT_CLASS } from './event-class.ts';

describe('the calendar', () => {
  it('is empty at first', () => {
    const calendar = new Calendar(3);
    expect(calendar.nextMs).toBe(Infinity);
    expect(calendar.next()).toBe(NOTHING);
  });

  it('orders one instant by class, then entity, then payload', () => {
    const calendar = new Calendar(2);
    calendar.push(10, EVENT_CLASS.expiry, 0, 1);
    calendar.push(10, EVENT_CLASS.arrival, 9, 5);
    calendar.push(10, EVENT_CLASS.arrival, 9, 4);
    calendar.push(10, EVENT_CLASS.arrival, 3, 6);
    calendar.setSlot(1, 10, EVENT_CLASS.stepEnd);
    calendar.setSlot(0, 10, EVENT_CLASS.schedule);
    const seen: string[] = [];
    for (let kind = calendar.next(); kind !== NOTHING; kind = calendar.next()) {
      seen.push(`${kind === SLOT ? 'slot' : 'event'} ${calendar.eventClass} ${calendar.entity} ${calendar.payload}`);
      if (kind === SLOT) calendar.setSlot(calendar.entity, Infinity, EVENT_CLASS.stepEnd);
    }
    expect(seen).toEqual(['slot 1 1 0', 'event 6 3 6', 'event 6 9 4', 'event 6 9 5', 'slot 8 0 0', 'event 9 0 1']);
  });

  it('lets an effect cause another of a lower class at the same time', () => {
    const calendar = new Calendar();
    calendar.push(5, EVENT_CLASS.submit, 0, 0);
    expect(calendar.next()).toBe(EVENT);
    calendar.push(5, EVENT_CLASS.stepEnd, 0, 0);
    expect(calendar.next()).toBe(EVENT);
    expect([calendar.nowMs, calendar.eventClass]).toEqual([5, EVENT_CLASS.stepEnd]);
  });

  it('refuses the past and nonsense', () => {
    const calendar = new Calendar(1);
    calendar.push(5, 1, 0, 0);
    calendar.next();
    expect(() => calendar.push(4, 1, 0, 0)).toThrow('lies before now');
    expect(() => calendar.push(Number.NaN, 1, 0, 0)).toThrow('lies before now');
    expect(() => calendar.setSlot(0, 4.999, 1)).toThrow('lies before now');
  });

  it('grows', () => {
    const calendar = new Calendar();
    for (let i = 0; i < 5000; i++) calendar.push((i * 7919) % 5000, 1, i, 0);
    for (let i = 0; i < 5000; i++) {
      calendar.next();
      expect(calendar.nowMs).toBe(i);
    }
    expect(calendar.size).toBe(0);
  });
});
