/** Running requests that are handled one by one, and what a step gives them. */
import { widened } from '../../../control/widened.ts';
import type { RequestSlots } from './request-slots.ts';
import { NONE } from './segment-columns.ts';

/** Items of one step in scheduled order: slot (NONE = aborted meanwhile), number of tokens, and tokens with KV before it. */
export class StepItems {
  slot: Int32Array<ArrayBuffer> = new Int32Array(16);
  tokens: Int32Array<ArrayBuffer> = new Int32Array(16);
  from: Int32Array<ArrayBuffer> = new Int32Array(16);
  count = 0;

  add(s: number, n: number, from: number): void {
    const at = this.count++;
    if (at === this.slot.length) {
      this.slot = widened(this.slot, 2 * this.slot.length);
      this.tokens = widened(this.tokens, 2 * this.tokens.length);
      this.from = widened(this.from, 2 * this.from.length);
    }
    this.slot[at] = s;
    this.tokens[at] = n;
    this.from[at] = from;
  }

  /** Takes the item of a slot out and returns its tokens. */
  remove(s: number): number {
    let at = 0;
    while (this.slot[at] !== s) at++;
    const n = this.tokens[at]!;
    this.slot.copyWithin(at, at + 1, this.count);
    this.tokens.copyWithin(at, at + 1, this.count);
    this.from.copyWithin(at, at + 1, this.count);
    this.count--;
    return n;
  }

  /** The tokens of this slot are lost. */
  forget(s: number): void {
    for (let i = 0; i < this.count; i++) if (this.slot[i] === s) this.slot[i] = NONE;
  }
}

/** Slots outside the decode set, in running order. */
export class LooseSlots {
  slot: Int32Array<ArrayBuffer> = new Int32Array(16);
  count = 0;
  private readonly slots: RequestSlots;

  constructor(slots: RequestSlots) {
    this.slots = slots;
  }

  add(s: number): void {
    if (this.count === this.slot.length) this.slot = widened(this.slot, 2 * this.slot.length);
    const list = this.slot;
    const { order } = this.slots;
    let at = this.count++;
    while (at > 0 && order[list[at - 1]!]! > order[s]!) {
      list[at] = list[at - 1]!;
      at--;
    }
    list[at] = s;
  }

  remove(s: number): void {
    const list = this.slot;
    let at = 0;
    while (list[at] !== s) at++;
    list.copyWithin(at, at + 1, this.count);
    this.count--;
  }
}
