import type { Millis } from '../ports.ts';

/** What can stand in a {@link WaitingLine}; the line writes all three. */
export interface Waiting<T> {
  /** Since when it waits; NaN while it does not. */
  sinceMs: Millis;
  before: T | undefined;
  after: T | undefined;
}

/**
 * Who waits, longest first, linked through the members themselves: the first is found at once however many left before it, which the
 * insertion order of a Map does not give. Cost O(1) each.
 */
export class WaitingLine<T extends Waiting<T>> {
  #first: T | undefined;
  #last: T | undefined;

  /** Who waits for longest. */
  get first(): T | undefined {
    return this.#first;
  }

  /** Joins at the end. One that waits already must leave first. */
  enter(one: T, nowMs: Millis): void {
    one.sinceMs = nowMs;
    one.before = this.#last;
    if (this.#last === undefined) this.#first = one;
    else this.#last.after = one;
    this.#last = one;
  }

  /** Leaves, if it waits. */
  leave(one: T): void {
    if (Number.isNaN(one.sinceMs)) return;
    const { before, after } = one;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    one.sinceMs = Number.NaN;
    one.before = undefined;
    one.after = undefined;
  }
}
