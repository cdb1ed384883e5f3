/** Counters and token gaps of executed steps; those of a run are brought up to date when somebody looks. */
import type { Regime } from '../step-timer.ts';
import type { WorkerCounters, WorkerSink } from '../worker.ts';
import { BY_BUDGET, BY_GATE, BY_ISL_GATE, BY_SEQS, BY_WATERMARK, NOT_BLOCKED } from './blocked.ts';
import type { DecodeRun } from './decode-run.ts';

/** Books steps of one worker. */
export class StepLedger {
  private readonly counters: WorkerCounters;
  private readonly sink: WorkerSink;

  constructor(counters: WorkerCounters, sink: WorkerSink) {
    this.counters = counters;
    this.sink = sink;
  }

  /** One executed step. */
  step(ms: number, regime: Regime): void {
    const { counters } = this;
    counters.steps++;
    counters.busyMs += ms;
    counters.regimeMs[regime] += ms;
  }

  /** The steps of a run up to its first `ended` ones. */
  run(run: DecodeRun, ended: number): void {
    const { counters } = this;
    let k = run.counted;
    if (k >= ended) return;
    const { members } = run;
    const ms = run.endMs(ended) - run.endMs(k);
    counters.steps += ended - k;
    counters.decodeTokens += (ended - k) * members;
    counters.busyMs += ms;
    counters.regimeMs[run.regime] += ms;
    run.counted = ended;
    while (k < ended) {
      const segmentEnd = run.segmentEnd(k);
      const end = Math.min(ended, segmentEnd);
      this.sink.tokenGaps(run.stepMs(k), run.growthMs(k), end - k, members);
      k = end;
    }
  }

  /** The schedule() calls of a run that were decided for the same reason as its first. */
  blockedInRun(run: DecodeRun, blocked: number): void {
    this.blocked(blocked, run.scheduled - run.blockedCounted);
    run.blockedCounted = run.scheduled;
  }

  /** `calls` of schedule() whose waiting loop ended for this reason. */
  blocked(reason: number, calls: number): void {
    if (reason === NOT_BLOCKED || reason === BY_BUDGET) return;
    const { counters } = this;
    if (reason === BY_SEQS) counters.blockedBySeqs += calls;
    else if (reason === BY_ISL_GATE) counters.blockedByIslGate += calls;
    else if (reason === BY_GATE) counters.blockedByGate += calls;
    else if (reason === BY_WATERMARK) counters.blockedByWatermark += calls;
    else counters.blockedByReserved += calls;
  }
}
