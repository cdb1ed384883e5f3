/**
 * The scheduler a step ahead of execution: it decides step k + 2 when step k ends, so the token that k + 1 samples is a placeholder.
 *
 *     end of k:   apply k │ k + 1 begins │ schedule k + 2
 *     a member of the decode set is in k + 1 and k + 2:   c = resident tokens after k + 2,  len = c - 1
 *
 * A member whose last step has been decided leaves the set (`isEnding`): it gets no more tokens and waits for its end. A request
 * whose end is a stop token takes part in one more step, which is wasted.
 * Source: engine specification 2.8.
 */
import { BRANCH_PRIVATE } from '../../../control/blocks.ts';
import { Flight, SAMPLES, STALE } from './flight.ts';
import { RUNNING } from './request-slots.ts';
import { Scheduler } from './scheduler.ts';
import { NONE } from './segment-columns.ts';

export class AsyncScheduler extends Scheduler {
  /** The step that executes and the one behind it; null = none. */
  first: Flight | null = null;
  second: Flight | null = null;
  /** The step whose output is being applied. */
  applying: Flight | null = null;
  /** What the last schedule() decided. */
  planned = new Flight(this.slots);
  private readonly flights: readonly [Flight, Flight] = [this.planned, new Flight(this.slots)];

  /** Decides the next step, as {@link Flight} `planned`. At most one step may be in flight. */
  override schedule(nowMs: number): void {
    const [a, b] = this.flights;
    const planned = this.first === a ? b : a;
    planned.clear();
    this.planned = planned;
    this.items = planned.items;
    super.schedule(nowMs);
    const { slots } = this;
    const { items } = planned;
    for (let i = 0; i < items.count; i++) {
      const s = items.slot[i]!;
      const c = slots.computed[s]! + items.tokens[i]!;
      slots.computed[s] = c;
      if (c !== slots.prompt[s]! + slots.out[s]! + slots.placeholders[s]!) continue;
      items.marks[i] = SAMPLES;
      slots.placeholders[s]!++;
    }
    planned.members = this.decode.count;
  }

  protected override wanted(s: number, c: number): number {
    const { slots } = this;
    const unknown = slots.placeholders[s]!;
    if (unknown > 0 && slots.unforeseen[s] === 0 && c + 2 - unknown >= slots.prompt[s]! + slots.limit[s]!) return 0;
    return this.capped(slots.prompt[s]! + slots.out[s]! + unknown - c);
  }

  /** `lag` = steps in flight, none of which has delivered its token; their items are the caller's business. */
  override leaveDecode(s: number, lag: number, ahead: number): void {
    const { slots, decode } = this;
    const c = decode.computed(s);
    slots.out[s] = slots.limit[s]! - lag - (decode.remaining(s) - slots.unforeseen[s]!);
    slots.computed[s] = c;
    slots.held[s] = Math.ceil((c + ahead) / this.bs);
    slots.entered[s] = this.caching ? Math.floor((c + ahead - 1) / this.bs) : 0;
    slots.setLastToken(s, this.lastEndMs);
    if (c - lag > slots.doneTo[s]!) slots.doneTo[s] = c - lag;
    decode.remove(s);
  }

  protected override preemptOutput(s: number, ahead: number): void {
    const { slots, first } = this;
    if (this.decode.has(s)) {
      this.memberToItem(s, ahead, SAMPLES | STALE);
    } else {
      if (slots.isEnding[s] === 1) slots.isEnding[s] = 0;
      else this.loose.remove(s);
      const at = first === null ? NONE : first.items.indexOf(s);
      if (at !== NONE) first!.items.marks[at]! |= STALE;
    }
    slots.placeholders[s] = 0;
  }

  protected override loosen(s: number): void {
    this.memberToItem(s, 0, SAMPLES);
    this.slots.placeholders[s] = 1;
    this.loose.add(s);
  }

  /** Dissolves the decode set while one step is in flight. */
  loosenAll(): void {
    while (this.decode.count > 0) this.loosen(this.decode.first);
  }

  /** A member that is in the one step in flight, and in no more, becomes an item of that step. */
  private memberToItem(s: number, ahead: number, marks: number): void {
    const first = this.first!;
    this.leaveDecode(s, 1, ahead);
    first.members--;
    first.items.insert(s, this.slots.computed[s]! - 1, marks);
  }

  /** The step in flight, after the one that is being applied, is the last one of a member. */
  endInFlight(s: number): void {
    this.memberToItem(s, 0, SAMPLES);
    this.slots.placeholders[s] = 1;
    this.slots.isEnding[s] = 1;
  }

  /** A loose request whose token was just applied and that is in the step in flight too: it joins the decode set, or ends there. */
  override joinDecode(s: number): void {
    const { slots, branches } = this;
    if (slots.placeholders[s] === 0) return;
    const steps = slots.limit[s]! - 1 - slots.out[s]! + slots.unforeseen[s]!;
    this.loose.remove(s);
    if (steps <= 0) {
      slots.isEnding[s] = 1;
      return;
    }
    const leaf = slots.leaf[s]!;
    const c = slots.computed[s]!;
    const isPrivate = (branches.flags[leaf]! & BRANCH_PRIVATE) !== 0 && Math.floor((c - 1) / this.bs) >= branches.start[leaf]!;
    slots.placeholders[s] = 0;
    this.first!.items.remove(s);
    this.first!.members++;
    this.decode.add(s, c, steps, this.caching && !isPrivate);
  }

  override detach(s: number, lag: number): void {
    const { slots } = this;
    if (slots.state[s] !== RUNNING) {
      super.detach(s, lag);
      return;
    }
    if (this.decode.has(s)) {
      this.leaveDecode(s, lag, 0);
      this.first!.loseMember();
      if (lag === 2) (this.second ?? this.applying)!.loseMember();
    } else if (slots.isEnding[s] === 0) this.loose.remove(s);
    this.running.remove(s);
  }

  /** Steps in flight lose the tokens of a request that has ended. */
  forget(s: number): void {
    this.first?.forget(s);
    this.second?.forget(s);
  }
}
