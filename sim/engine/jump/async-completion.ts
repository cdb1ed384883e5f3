/**
 * Completion when scheduling runs a step ahead: the output of step k is applied while step k + 1 executes, so a request may have been
 * preempted since (its token is appended all the same), may be in k + 1 for the last time, or may have ended.
 * Source: engine specification 2.8, 2.9, 2.11 (aborts first).
 */
import type { EndStatus } from '../worker.ts';
import type { AsyncScheduler } from './async-scheduler.ts';
import { SAMPLES, STALE } from './flight.ts';
import { NONE } from './segment-columns.ts';
import { StepCompletion } from './step-completion.ts';

const NEVER = Number.POSITIVE_INFINITY;

export class AsyncCompletion extends StepCompletion {
  declare protected readonly scheduler: AsyncScheduler;

  /** The step `applying` ends. */
  override step(tMs: number): void {
    const { scheduler, counters, oddGaps } = this;
    const flight = scheduler.applying!;
    if (this.aborts.length > 0) this.endAborted(tMs);
    this.previousMs = scheduler.lastEndMs;
    this.inStep = flight.members;
    counters.decodeTokens += flight.members;
    counters.wastedTokens += flight.wasted;
    oddGaps.length = 0;
    if (this.owing) this.visitEach(tMs);
    else {
      this.beginOffers();
      for (let i = 0; i < flight.items.count; i++) {
        this.visitMembers(scheduler.slots.order[flight.items.slot[i]!]!, tMs);
        this.output(i, tMs);
      }
      this.visitMembers(NEVER, tMs);
    }
    if (this.inStep > 0) this.sink.tokenGaps(tMs - this.previousMs, 0, 1, this.inStep);
    for (const gapMs of oddGaps) this.sink.tokenGaps(gapMs, 0, 1, 1);
  }

  /** Every running request and every item in the order in which the step was scheduled. */
  protected override visitEach(tMs: number): void {
    const { slots, decode, running, applying } = this.scheduler;
    const { items } = applying!;
    this.owing = false;
    let at = 0;
    for (let s = running.head; s !== NONE; ) {
      const next = slots.next[s]!;
      const wasMember = decode.has(s);
      while (at < items.count && slots.order[items.slot[at]!]! <= slots.order[s]!) this.output(at++, tMs);
      if (wasMember) {
        this.offerMember(s, tMs);
        if (decode.remaining(s) <= 0) this.memberDone(s, tMs);
      }
      s = next;
    }
    while (at < items.count) this.output(at++, tMs);
  }

  protected override memberDone(s: number, tMs: number): void {
    const { slots } = this.scheduler;
    if (slots.unforeseen[s] === 1) {
      this.finish(s, tMs);
      return;
    }
    this.scheduler.endInFlight(s);
    slots.setLastToken(s, tMs);
  }

  protected override finish(s: number, tMs: number): void {
    this.endRegularly(s, tMs, 1);
  }

  /** Applies item `at` of the step. */
  private output(at: number, tMs: number): void {
    const { scheduler } = this;
    const { slots } = scheduler;
    const { items } = scheduler.applying!;
    const s = items.slot[at]!;
    const end = items.from[at]! + items.tokens[at]!;
    const samples = (items.marks[at]! & SAMPLES) !== 0;
    const stale = (items.marks[at]! & STALE) !== 0;
    this.book(s, items.from[at]!, end);
    if (samples) {
      slots.out[s]!++;
      if (!stale) {
        slots.placeholders[s]!--;
        scheduler.enterFull(s, slots.computed[s]! - slots.placeholders[s]!);
      }
      this.deliver(s, tMs);
    }
    if (!stale && this.host !== null && !this.host.offer(s, end, tMs)) this.owing = true;
    if (!samples) return;
    if (slots.out[s]! >= slots.limit[s]!) this.finish(s, tMs);
    else if (!stale) scheduler.joinDecode(s);
    else if (scheduler.isHopeless(s)) this.end(s, tMs, 'failed', 'kv_exhausted', 0);
  }

  protected override endAborted(tMs: number): void {
    const { scheduler } = this;
    for (const id of this.aborts) {
      const s = this.ids.get(id);
      if (s === NONE) continue;
      scheduler.applying!.forget(s);
      this.end(s, tMs, 'aborted', 'abort', 2);
    }
    this.aborts.length = 0;
  }

  override endLoose(s: number, tMs: number, status: EndStatus, reason: string): void {
    this.scheduler.forget(s);
    super.endLoose(s, tMs, status, reason);
  }
}
