/**
 * Jumping engines that tell a StepObserver what they do, as subclasses: an engine that nobody observes has no line of this.
 * A run reports nothing while it goes on: its passes all decide the same, and who comes meanwhile is told the next one in advance.
 * Source: step-observer.ts.
 */
import { ObservedStep, type StepObserver, WAIT, type WaitReason } from '../step-observer.ts';
import type { EngineConfig, EngineRequest } from '../worker.ts';
import { AsyncJumpWorker } from './async-worker.ts';
import { BY_BUDGET, BY_SEQS, NOT_BLOCKED } from './blocked.ts';
import { type Flight, SAMPLES } from './flight.ts';
import { type HostTraffic, LOADED } from './host-traffic.ts';
import { JumpWorker } from './jump-worker.ts';
import { RUN, STEP } from './phases.ts';
import { RESTORING } from './request-slots.ts';
import type { Scheduler } from './scheduler.ts';
import { NONE } from './segment-columns.ts';

/** The synchronous engine under observation. */
export class ObservedJumpWorker extends JumpWorker {
  private readonly step = new ObservedStep();

  private get observer(): StepObserver {
    return this.parts.observer!;
  }

  override submit(request: EngineRequest, tMs: number): void {
    super.submit(request, tMs);
    if (this.ids.get(request.id) === NONE) return;
    this.observer.queued(this.index, request.id, tMs);
    if (this.phase === RUN)
      this.observer.foreseen(this.index, request.id, this.run.endMs(this.run.scheduled), reasonOf(this.scheduler, this.config));
  }

  override transferDone(transfer: number, tMs: number): void {
    super.transferDone(transfer, tMs);
    tellLoaded(this.observer, this.index, this.host, this.scheduler, tMs);
  }

  protected override schedule(tMs: number): void {
    super.schedule(tMs);
    this.observer.passed(this.index, tMs, reasonOf(this.scheduler, this.config));
  }

  protected override beginStep(tMs: number): void {
    const { scheduler, step } = this;
    clearWithDecodes(step, scheduler);
    const { slots, items } = scheduler;
    for (let i = 0; i < items.count; i++) {
      const s = items.slot[i]!;
      const samples = items.from[i]! + items.tokens[i]! === slots.prompt[s]! + slots.out[s]!;
      step.add(slots.id[s]!, items.tokens[i]!, items.from[i]!, slots.prompt[s]!, samples);
    }
    super.beginStep(tMs);
  }

  protected override cut(tMs: number): void {
    super.cut(tMs);
    // The step in flight is one of the run.
    this.step.clear();
    this.observer.recalled(this.index, tMs);
  }

  protected override complete(tMs: number): void {
    if (this.phase === STEP && this.step.id.length > 0) this.observer.stepped(this.index, this.step, this.startMs, tMs);
    super.complete(tMs);
  }
}

/** The asynchronous engine under observation: a step is written down when it is decided and told when it ends. */
export class ObservedAsyncWorker extends AsyncJumpWorker {
  private readonly steps = new Map<Flight, ObservedStep>();

  private get observer(): StepObserver {
    return this.parts.observer!;
  }

  override submit(request: EngineRequest, tMs: number): void {
    super.submit(request, tMs);
    if (this.ids.get(request.id) === NONE) return;
    this.observer.queued(this.index, request.id, tMs);
    if (this.phase === RUN)
      this.observer.foreseen(this.index, request.id, this.run.endMs(this.run.scheduled), reasonOf(this.scheduler, this.config));
  }

  override transferDone(transfer: number, tMs: number): void {
    super.transferDone(transfer, tMs);
    tellLoaded(this.observer, this.index, this.host, this.scheduler, tMs);
  }

  protected override schedule(tMs: number): void {
    super.schedule(tMs);
    this.observer.passed(this.index, tMs, reasonOf(this.scheduler, this.config));
  }

  protected override measure(flight: Flight): void {
    const { scheduler } = this;
    const { slots } = scheduler;
    const { items } = flight;
    let step = this.steps.get(flight);
    if (step === undefined) this.steps.set(flight, (step = new ObservedStep()));
    clearWithDecodes(step, scheduler);
    for (let i = 0; i < items.count; i++) {
      const s = items.slot[i]!;
      step.add(slots.id[s]!, items.tokens[i]!, items.from[i]!, slots.prompt[s]!, (items.marks[i]! & SAMPLES) !== 0);
    }
    super.measure(flight);
  }

  protected override beginRun(tMs: number): void {
    super.beginRun(tMs);
    for (const step of this.steps.values()) step.clear();
  }

  protected override cut(tMs: number): void {
    super.cut(tMs);
    this.observer.recalled(this.index, tMs);
  }

  protected override complete(tMs: number): void {
    const step = this.phase === STEP ? this.steps.get(this.scheduler.first!) : undefined;
    if (step !== undefined && step.id.length > 0) this.observer.stepped(this.index, step, this.startMs, tMs);
    super.complete(tMs);
  }
}

/** Members of the decode set, which have been counted for the step already. */
function clearWithDecodes(step: ObservedStep, { decode }: Scheduler): void {
  const seqs = decode.count;
  step.clear(seqs, decode.kvTokens - seqs, seqs > 0 ? decode.maxKvTokens - 1 : 0);
}

/** Why those in the queue were left there by the last pass. */
function reasonOf({ blocked, budgetLeft, disturbed }: Scheduler, { chunkedPrefill }: EngineConfig): WaitReason {
  if (blocked === BY_SEQS) return WAIT.slots;
  if (blocked === BY_BUDGET) return WAIT.budget;
  if (blocked !== NOT_BLOCKED || disturbed) return WAIT.blocks;
  return budgetLeft > 0 && chunkedPrefill ? WAIT.load : WAIT.budget;
}

function tellLoaded(observer: StepObserver, index: number, host: HostTraffic | null, { slots }: Scheduler, tMs: number): void {
  const s = host === null ? NONE : host.doneSlot;
  if (s !== NONE && slots.loaded[s] === LOADED && slots.state[s] === RESTORING) observer.loaded(index, slots.id[s]!, tMs);
}
