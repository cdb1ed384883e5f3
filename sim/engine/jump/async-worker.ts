/**
 * The jumping engine with asynchronous scheduling: while a step executes, the next one is decided already. Runs jump as in the
 * synchronous engine; step 0 of a run executes when it begins, and the schedule() at the end of its first k steps decides step k + 1.
 *
 *     phase STEP   first = step that executes until endMs, second = step decided behind it, `ahead` = schedule() due at scheduleMs
 *     phase RUN    both are plain: the decode set and nothing else
 *
 * Source: engine specification 2.8, 6; worker port.
 */
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import type { EndStatus } from '../worker.ts';
import { AsyncCompletion } from './async-completion.ts';
import { AsyncScheduler } from './async-scheduler.ts';
import { fillBatch } from './fill-batch.ts';
import type { Flight } from './flight.ts';
import { JumpWorker } from './jump-worker.ts';
import { IDLE, PENDING, RUN, STEP } from './phases.ts';
import { runHorizon } from './run-horizon.ts';
import type { SchedulerParts } from './scheduler.ts';
import type { StepCompletion } from './step-completion.ts';

/** State of the jumping engine at asyncDepth 2. */
export class AsyncJumpWorker extends JumpWorker {
  declare protected scheduler: AsyncScheduler;
  /** schedule() is due while a step executes. */
  private ahead = false;

  protected override createScheduler(parts: SchedulerParts): AsyncScheduler {
    return new AsyncScheduler(parts);
  }

  protected override newCompletion(): StepCompletion {
    const { config, counters, scheduler, host, ids } = this;
    return new AsyncCompletion({ config, counters, sink: this.parts.sink, scheduler, host, ids });
  }

  protected override get outstanding(): number {
    const { first, second } = this.scheduler;
    return first === null ? 0 : second === null ? 1 : 2;
  }

  protected override get inFlight(): boolean {
    return this.phase >= STEP;
  }

  protected override schedule(tMs: number): void {
    const { scheduler, counters, pool } = this;
    this.ahead = false;
    if (this.phase === PENDING) this.phase = IDLE;
    while (scheduler.requests > 0) {
      counters.events++;
      pool.expire(tMs, false);
      scheduler.schedule(tMs);
      const { planned, first } = scheduler;
      if (planned.isEmpty) {
        this.ledger.blocked(scheduler.blocked, 1);
        counters.emptySteps++;
        if (first !== null) break;
        this.outbox.publish(tMs);
        if (scheduler.disturbed) continue;
        break;
      }
      planned.flushMs = scheduler.flushMs;
      scheduler.flushMs = 0;
      if (first === null) {
        this.measure(planned);
        this.ledger.blocked(scheduler.blocked, 1);
        scheduler.first = planned;
        this.begin(planned, tMs);
        continue;
      }
      scheduler.second = planned;
      // An abort that came since the step began waits for its end.
      const isQuiet = this.completion.aborts.length === 0;
      if (isQuiet && first.isPlain && planned.isPlain && first.members === planned.members) this.beginRun(tMs);
      else {
        this.measure(planned);
        this.ledger.blocked(scheduler.blocked, 1);
      }
      break;
    }
    this.noteProgress();
  }

  /** Asks the timer about the step that the scheduler decided last. */
  protected measure(flight: Flight): void {
    fillBatch(this.batch, this.scheduler, flight.items);
    flight.stepMs = this.parts.timer.stepMs(this.batch);
    flight.regime = this.parts.timer.regime;
  }

  /** Starts to execute a step. */
  private begin(flight: Flight, tMs: number): void {
    this.phase = STEP;
    this.regime = flight.regime;
    this.startMs = tMs;
    this.endMs = tMs + flight.stepMs * this.factor + flight.flushMs;
  }

  protected override beginRun(tMs: number): void {
    const { scheduler, run } = this;
    const { decode } = scheduler;
    const n = decode.count;
    const steps = runHorizon(scheduler, this.completion, this.config);
    run.begin(this.parts.timer, n, decode.kvTokens - 2 * n, decode.maxKvTokens - 2, steps, tMs, this.factor);
    if (run.endMs(1) <= tMs) run.steps = 1;
    this.phase = RUN;
    this.eventStep = 1;
  }

  protected override cut(tMs: number): void {
    const { run, scheduler } = this;
    this.count();
    const { ended } = run;
    if (ended > 0) scheduler.lastEndMs = run.endMs(ended);
    this.phase = STEP;
    this.regime = run.regime;
    this.startMs = run.endMs(ended);
    this.endMs = run.endMs(ended + 1);
    if (run.scheduled > ended) this.measure(scheduler.second!);
    else {
      scheduler.second = null;
      this.ahead = true;
      this.scheduleMs = tMs;
    }
  }

  protected override complete(tMs: number): void {
    const { scheduler } = this;
    const isRun = this.phase === RUN;
    this.pool.expire(tMs, false);
    if (isRun) {
      this.count();
      this.measure(scheduler.second!);
    } else this.ledger.step(tMs - this.startMs, this.regime);
    const next = scheduler.second;
    // The schedule() after a step without duration was not yet: nobody is in a second step.
    if (next === null) scheduler.loosenAll();
    scheduler.applying = scheduler.first;
    scheduler.first = next;
    scheduler.second = null;
    this.phase = next === null ? IDLE : STEP;
    if (isRun) this.completion.runEnd(tMs);
    else this.completion.step(tMs);
    scheduler.applying = null;
    scheduler.lastEndMs = tMs;
    this.outbox.publish(tMs);
    if (next === null) {
      this.wake(tMs);
      return;
    }
    this.begin(next, tMs);
    this.ahead = true;
    this.scheduleMs = tMs;
  }

  protected override stop(tMs: number, status: EndStatus, reason: string): void {
    super.stop(tMs, status, reason);
    this.ahead = false;
  }

  protected override refresh(): void {
    super.refresh();
    if (!this.ahead || this.nextMs < this.scheduleMs || (this.nextMs === this.scheduleMs && this.nextClass < EVENT_CLASS.schedule)) return;
    this.nextMs = this.scheduleMs;
    this.nextClass = EVENT_CLASS.schedule;
  }
}
