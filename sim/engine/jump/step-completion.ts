/**
 * What the end of a step does to requests: in scheduled order a token, the stop test, offers to the host tier, and the end. Of the
 * decode set only those members are visited that end, or that completed a block while there is a host tier.
 * Source: engine specification 2.1 step 6, 2.7, 4.5; worker port.
 */
import type { EndStatus, EngineConfig, WorkerCounters, WorkerSink } from '../worker.ts';
import { type HostTraffic, LOADING } from './host-traffic.ts';
import type { IntMap } from './int-map.ts';
import { ENDINGS, LINGERING, PREFILL_ONLY } from './request-slots.ts';
import type { Scheduler } from './scheduler.ts';
import { NONE } from './segment-columns.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** What completion works on. */
export interface CompletionParts {
  readonly config: EngineConfig;
  readonly counters: WorkerCounters;
  readonly sink: WorkerSink;
  readonly scheduler: Scheduler;
  readonly host: HostTraffic | null;
  /** Attempt id -> slot of requests that have not ended. */
  readonly ids: IntMap;
}

export class StepCompletion {
  /** Aborts, by attempt id, of requests in the step in flight. */
  readonly aborts: number[] = [];
  /** Some running request has blocks that found no room in the host tier: it offers them after every step. */
  owing = false;
  protected readonly config: EngineConfig;
  protected readonly counters: WorkerCounters;
  protected readonly sink: WorkerSink;
  protected readonly scheduler: Scheduler;
  protected readonly host: HostTraffic | null;
  protected readonly ids: IntMap;
  protected readonly oddGaps: number[] = [];
  /** Next member of the phase that completed a block. */
  private offering = NONE;
  protected previousMs = 0;
  protected inStep = 0;

  constructor(parts: CompletionParts) {
    this.config = parts.config;
    this.counters = parts.counters;
    this.sink = parts.sink;
    this.scheduler = parts.scheduler;
    this.host = parts.host;
    this.ids = parts.ids;
  }

  /** Whether members offer the blocks they complete. */
  get membersOffer(): boolean {
    return this.host !== null && !this.config.storePromptOnly;
  }

  /** A step ends that gave tokens to the scheduler's items and to every member of the decode set. */
  step(tMs: number): void {
    const { scheduler, counters, oddGaps } = this;
    if (this.aborts.length > 0) this.endAborted(tMs);
    this.previousMs = scheduler.lastEndMs;
    this.inStep = scheduler.decode.count;
    counters.decodeTokens += scheduler.decode.count;
    oddGaps.length = 0;
    if (this.owing) this.visitEach(tMs);
    else {
      this.beginOffers();
      for (let i = 0; i < scheduler.items.count; i++) {
        const s = scheduler.items.slot[i]!;
        if (s === NONE) {
          counters.wastedTokens += scheduler.items.tokens[i]!;
          continue;
        }
        this.visitMembers(scheduler.slots.order[s]!, tMs);
        this.item(s, scheduler.items.tokens[i]!, tMs);
      }
      this.visitMembers(NEVER, tMs);
    }
    if (this.inStep > 0) this.sink.tokenGaps(tMs - this.previousMs, 0, 1, this.inStep);
    for (const gapMs of oddGaps) this.sink.tokenGaps(gapMs, 0, 1, 1);
  }

  /** The last step of a run ends; its tokens are counted elsewhere. */
  runEnd(tMs: number): void {
    if (this.owing) {
      this.visitEach(tMs);
      return;
    }
    this.beginOffers();
    this.visitMembers(NEVER, tMs);
  }

  /** A step inside a run ends in which members may have completed blocks. */
  offerInRun(tMs: number): void {
    this.beginOffers();
    for (let s = this.offering; s !== NONE; s = this.scheduler.decode.next[s]!) this.offerMember(s, tMs);
  }

  protected beginOffers(): void {
    const { decode } = this.scheduler;
    this.offering = this.membersOffer && decode.count > 0 ? decode.phaseHead[decode.completing]! : NONE;
  }

  /** Members admitted before `order`: offers of completed blocks, and ends. */
  protected visitMembers(order: number, tMs: number): void {
    const { decode, slots } = this.scheduler;
    for (;;) {
      let s = decode.first;
      if (s !== NONE && decode.remaining(s) > 0) s = NONE;
      const o = this.offering;
      if (o !== NONE && (s === NONE || slots.order[o]! <= slots.order[s]!)) {
        if (slots.order[o]! >= order) return;
        this.offering = decode.next[o]!;
        this.offerMember(o, tMs);
        if (o !== s) continue;
      }
      if (s === NONE || slots.order[s]! >= order) return;
      this.memberDone(s, tMs);
    }
  }

  /** The slow way: every running request in order. */
  protected visitEach(tMs: number): void {
    const { scheduler, counters } = this;
    const { slots, decode, running } = scheduler;
    this.owing = false;
    let at = 0;
    for (let s = running.head; s !== NONE; ) {
      const next = slots.next[s]!;
      while (at < scheduler.items.count && scheduler.items.slot[at] === NONE) counters.wastedTokens += scheduler.items.tokens[at++]!;
      if (at < scheduler.items.count && scheduler.items.slot[at] === s) this.item(s, scheduler.items.tokens[at++]!, tMs);
      else if (decode.has(s)) {
        this.offerMember(s, tMs);
        if (decode.remaining(s) <= 0) this.finish(s, tMs);
      }
      s = next;
    }
    while (at < scheduler.items.count) counters.wastedTokens += scheduler.items.tokens[at++]!;
  }

  protected offerMember(s: number, tMs: number): void {
    const { decode } = this.scheduler;
    if (this.host !== null && !this.host.offer(s, decode.computed(s) - decode.lag, tMs)) this.owing = true;
  }

  /** Output of n tokens of a loose request. */
  private item(s: number, n: number, tMs: number): void {
    const { scheduler } = this;
    const { slots } = scheduler;
    const from = slots.computed[s]!;
    const end = from + n;
    this.book(s, from, end);
    slots.computed[s] = end;
    const samples = end === slots.prompt[s]! + slots.out[s]!;
    if (samples) {
      slots.out[s]!++;
      this.deliver(s, tMs);
    }
    if (this.host !== null && !this.host.offer(s, slots.computed[s]!, tMs)) this.owing = true;
    if (!samples) return;
    if (slots.out[s]! >= slots.limit[s]!) this.finish(s, tMs);
    else scheduler.joinDecode(s);
  }

  /** Tells of the token that a loose request just got. */
  protected deliver(s: number, tMs: number): void {
    const { slots } = this.scheduler;
    if (slots.ending[s] === PREFILL_ONLY) return;
    if (slots.out[s] === 1) this.sink.firstToken(slots.id[s]!, tMs);
    else if (slots.lastTokenMs(s) === this.previousMs) this.inStep++;
    else this.oddGaps.push(tMs - slots.lastTokenMs(s));
    slots.setLastToken(s, tMs);
  }

  /** Counts tokens [from, end) of a loose request as computed. */
  protected book(s: number, from: number, end: number): void {
    const { counters } = this;
    const { slots } = this.scheduler;
    const done = slots.doneTo[s]!;
    const fresh = done > from ? Math.min(done, end) : from;
    const prompt = slots.prompt[s]!;
    const prefillEnd = prompt > fresh ? Math.min(prompt, end) : fresh;
    counters.recomputedTokens += fresh - from;
    counters.prefillTokens += prefillEnd - fresh;
    counters.decodeTokens += end - prefillEnd;
    if (end > done) slots.doneTo[s] = end;
  }

  /** Aborts that came while the step was in flight: its output for them is lost. */
  protected endAborted(tMs: number): void {
    const { scheduler, counters } = this;
    for (const id of this.aborts) {
      const s = this.ids.get(id);
      if (s === NONE) continue;
      if (scheduler.decode.has(s)) {
        counters.wastedTokens++;
        this.end(s, tMs, 'aborted', 'abort', 1);
        continue;
      }
      scheduler.items.forget(s);
      this.end(s, tMs, 'aborted', 'abort', 0);
    }
    this.aborts.length = 0;
  }

  /** A member has taken part in its last step. */
  protected memberDone(s: number, tMs: number): void {
    this.finish(s, tMs);
  }

  protected finish(s: number, tMs: number): void {
    this.endRegularly(s, tMs, 0);
  }

  /** `lag` as in {@link end}. */
  protected endRegularly(s: number, tMs: number, lag: number): void {
    this.end(s, tMs, 'finished', ENDINGS[this.scheduler.slots.ending[s]!]!, lag);
  }

  /** Terminal state of a request that is in a queue or running. `lag` = 1 if it loses the token of the step in flight. */
  end(s: number, tMs: number, status: EndStatus, reason: string, lag: number): void {
    this.scheduler.detach(s, lag);
    this.endLoose(s, tMs, status, reason);
  }

  /** Terminal state of a request that no queue holds. Its blocks stay while a transfer uses them. */
  endLoose(s: number, tMs: number, status: EndStatus, reason: string): void {
    const { scheduler } = this;
    const { slots } = scheduler;
    const id = slots.id[s]!;
    const out = slots.ending[s] === PREFILL_ONLY ? 0 : slots.out[s]!;
    this.ids.delete(id);
    if (slots.stores[s]! > 0 || slots.loaded[s] === LOADING) slots.state[s] = LINGERING;
    else {
      scheduler.releaseBlocks(s);
      slots.dispose(s);
    }
    this.sink.ended(id, tMs, status, out, reason);
  }

  /** A transfer of an ended request is over. Returns whether its blocks were freed. */
  releaseLingering(s: number): boolean {
    const { scheduler } = this;
    const { slots } = scheduler;
    if (slots.state[s] !== LINGERING || slots.stores[s]! > 0 || slots.loaded[s] === LOADING) return false;
    scheduler.releaseBlocks(s);
    slots.dispose(s);
    return true;
  }
}
