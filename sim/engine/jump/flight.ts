/**
 * A step between its schedule() and its end, for asynchronous scheduling: one executes while the next one is decided already.
 *
 *     batch = members of the decode set, uncounted one by one + items + tokens of requests that ended since (`wasted`)
 *
 * Source: engine specification 2.8.
 */
import { widened } from '../../../control/widened.ts';
import type { Regime } from '../step-timer.ts';
import type { RequestSlots } from './request-slots.ts';
import { NONE } from './segment-columns.ts';
import { StepItems } from './step-items.ts';

/** Marks of an item: it samples a token; its request was preempted since. */
export const SAMPLES = 1;
export const STALE = 2;

/** Items in running order of the time they were scheduled. */
export class FlightItems extends StepItems {
  marks: Int32Array<ArrayBuffer> = new Int32Array(16);
  private readonly slots: RequestSlots;

  constructor(slots: RequestSlots) {
    super();
    this.slots = slots;
  }

  override add(s: number, n: number, from: number): void {
    super.add(s, n, from);
    if (this.marks.length < this.slot.length) this.marks = widened(this.marks, 2 * this.marks.length);
    this.marks[this.count - 1] = 0;
  }

  /** Puts in one token of a request at its place in the running order. */
  insert(s: number, from: number, marks: number): void {
    this.add(s, 1, from);
    const { slot, tokens } = this;
    const { order } = this.slots;
    let at = this.count - 1;
    for (; at > 0 && order[slot[at - 1]!]! > order[s]!; at--) {
      slot[at] = slot[at - 1]!;
      tokens[at] = tokens[at - 1]!;
      this.from[at] = this.from[at - 1]!;
      this.marks[at] = this.marks[at - 1]!;
    }
    slot[at] = s;
    tokens[at] = 1;
    this.from[at] = from;
    this.marks[at] = marks;
  }

  /** Index of the item of a slot, or NONE. */
  indexOf(s: number): number {
    for (let i = 0; i < this.count; i++) if (this.slot[i] === s) return i;
    return NONE;
  }

  override remove(s: number): number {
    const at = this.indexOf(s);
    this.marks.copyWithin(at, at + 1, this.count);
    return super.remove(s);
  }
}

export class Flight {
  readonly items: FlightItems;
  /** Members of the decode set in this step; each is in every step in flight. */
  members = 0;
  /** Tokens computed for requests that have ended. */
  wasted = 0;
  /** Flush of preempted stores, ms, which delays the step. */
  flushMs = 0;
  /** Duration without flush and slow-down, ms, and its validity. */
  stepMs = 0;
  regime: Regime = 'calibrated';

  constructor(slots: RequestSlots) {
    this.items = new FlightItems(slots);
  }

  clear(): void {
    this.items.count = 0;
    this.members = 0;
    this.wasted = 0;
    this.flushMs = 0;
  }

  /** Nothing was scheduled. */
  get isEmpty(): boolean {
    return this.members + this.items.count === 0;
  }

  /** The step gives a token to each member of the decode set and does nothing else. */
  get isPlain(): boolean {
    return this.items.count === 0 && this.wasted === 0 && this.flushMs === 0;
  }

  /** Tokens of a request that has ended are lost. */
  forget(s: number): void {
    if (this.items.count > 0 && this.items.indexOf(s) !== NONE) this.wasted += this.items.remove(s);
  }

  /** A member has ended. */
  loseMember(): void {
    this.members--;
    this.wasted++;
  }
}
