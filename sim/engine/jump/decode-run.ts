/**
 * A run: consecutive steps in which nothing happens but one token for every member of the decode set. Step k (0-based) of the run
 * starts at endMs(k) and ends at endMs(k + 1); times come from the closed form of the timer's segments.
 *
 *     |--0--|--1--|--2--|--3--|--4--| … |--steps-1--|
 *                 ^ended      ^scheduled             the steps before `ended` are over, the one before `scheduled` is in flight
 *
 * Source: performance-model specification 3, engine specification 6.3.
 */
import type { Regime, RunCurve, StepTimer } from '../step-timer.ts';

export class DecodeRun {
  startMs = 0;
  /** Planned steps. */
  steps = 0;
  members = 0;
  /** Steps whose schedule-time effects are committed, whose end is committed, and that are in the counters. */
  scheduled = 0;
  ended = 0;
  counted = 0;
  blockedCounted = 0;
  regime: Regime = 'calibrated';
  private factor = 1;
  private u0 = 0;
  private v0 = 0;
  private split = 0;
  private u1 = 0;
  private v1 = 0;
  private curve: RunCurve | null = null;

  begin(timer: StepTimer, members: number, kvTokens: number, maxKvTokens: number, steps: number, startMs: number, factor: number): void {
    timer.startRun(members, kvTokens, maxKvTokens);
    const run = timer.run;
    this.u0 = run.u0;
    this.v0 = run.v0;
    this.split = run.split;
    this.u1 = run.u1;
    this.v1 = run.v1;
    this.curve = timer.curve ?? null;
    this.regime = timer.regime;
    this.startMs = startMs;
    this.members = members;
    this.steps = steps;
    this.factor = factor;
    this.scheduled = 1;
    this.ended = 0;
    this.counted = 0;
    this.blockedCounted = 0;
  }

  /** End of the first k steps. */
  endMs(k: number): number {
    const { split } = this;
    let ms: number;
    if (this.curve !== null) ms = this.curve.runMs(k);
    else if (k <= split) ms = k * this.u0 + this.v0 * ((k * (k - 1)) / 2);
    else {
      const rest = k - split;
      const first = split === 0 ? 0 : split * this.u0 + this.v0 * ((split * (split - 1)) / 2);
      ms = first + (rest * this.u1 + this.v1 * ((rest * (rest - 1)) / 2));
    }
    return this.factor === 1 ? this.startMs + ms : this.startMs + ms * this.factor;
  }

  /** Steps that end at or before tMs, at most `steps`; at least `ended`. */
  stepsBy(tMs: number): number {
    const k = this.ended;
    const { steps } = this;
    if (k >= steps || this.endMs(k + 1) > tMs) return k;
    if (this.endMs(steps) <= tMs) return steps;
    const within = (tMs - this.startMs) / this.factor;
    if (this.curve !== null) return this.corrected(this.curve.stepsWithin(within), tMs);
    const { split } = this;
    let before = 0;
    let done = 0;
    let u = this.u0;
    let v = this.v0;
    if (split !== Infinity) {
      const first = split === 0 ? 0 : split * this.u0 + this.v0 * ((split * (split - 1)) / 2);
      if (split === 0 || first <= within) {
        before = first;
        done = split;
        u = this.u1;
        v = this.v1;
      }
    }
    const tau = within - before;
    const h = u - v / 2;
    const root = Math.floor((2 * tau) / (h + Math.sqrt(h * h + 2 * v * tau)));
    return this.corrected(done + root, tMs);
  }

  /** A root that is exact up to rounding. */
  private corrected(root: number, tMs: number): number {
    const { steps } = this;
    let k = root < steps ? root : steps - 1;
    while (k > 0 && this.endMs(k) > tMs) k--;
    while (k < steps && this.endMs(k + 1) <= tMs) k++;
    return k;
  }

  /** Duration of step k, from the progression. */
  stepMs(k: number): number {
    if (this.curve !== null) return this.curve.runStepMs(k) * this.factor;
    return (k < this.split ? this.u0 + k * this.v0 : this.u1 + (k - this.split) * this.v1) * this.factor;
  }

  /** Increment from step k to k + 1 inside its segment, and the last step + 1 of that segment. */
  growthMs(k: number): number {
    if (this.curve !== null) {
      const last = this.segmentEnd(k) - 1;
      return last === k ? 0 : ((this.curve.runStepMs(last) - this.curve.runStepMs(k)) / (last - k)) * this.factor;
    }
    return (k < this.split ? this.v0 : this.v1) * this.factor;
  }

  segmentEnd(k: number): number {
    if (this.curve !== null) return Math.min(k + this.curve.straightSteps(k), this.steps);
    return k < this.split && this.split < this.steps ? this.split : this.steps;
  }
}
