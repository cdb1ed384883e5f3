/** The calendar as one sorted look-up per effect: obviously right, O(pending). For tests. */
import { EVENT, NOTHING, SLOT, tieHash } from './calendar.ts';

interface Pending {
  readonly timeMs: number;
  readonly eventClass: number;
  readonly entity: number;
  readonly payload: number;
}

/** Same contract as {@link import('./calendar.ts').Calendar}. */
export class NaiveCalendar {
  nowMs = 0;
  eventClass = 0;
  entity = 0;
  payload = 0;
  readonly #tieSeed: number;
  readonly #slots = new Map<number, Pending>();
  #events: Pending[] = [];

  constructor(_slots = 0, tieSeed = 0) {
    this.#tieSeed = tieSeed;
  }

  setSlot(slot: number, timeMs: number, eventClass: number): void {
    if (timeMs === Infinity) this.#slots.delete(slot);
    else this.#slots.set(slot, { timeMs, eventClass, entity: slot, payload: -Infinity });
  }

  push(timeMs: number, eventClass: number, entity: number, payload: number): void {
    this.#events.push({ timeMs, eventClass, entity, payload });
  }

  /** Effects that are due at `nowMs`. */
  get dueNow(): number {
    return [...this.#slots.values(), ...this.#events].filter((p) => p.timeMs <= this.nowMs).length;
  }

  next(): number {
    const all = [...this.#slots.values(), ...this.#events].sort((a, b) => this.#compare(a, b));
    const first = all[0];
    if (first === undefined) return NOTHING;
    const isSlot = first.payload === -Infinity;
    this.nowMs = first.timeMs;
    this.eventClass = first.eventClass;
    this.entity = first.entity;
    this.payload = isSlot ? 0 : first.payload;
    if (isSlot) return SLOT;
    this.#events = this.#events.filter((e) => e !== first);
    return EVENT;
  }

  #compare(a: Pending, b: Pending): number {
    const order = (p: Pending): number => (this.#tieSeed === 0 ? p.entity : tieHash(p.entity, this.#tieSeed));
    return a.timeMs - b.timeMs || a.eventClass - b.eventClass || order(a) - order(b) || (a.payload < b.payload ? -1 : 1);
  }
}
