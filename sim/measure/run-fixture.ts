/** A hand-made run for tests of metrics: four turns of three sessions on four workers, one minute. */
import type { WorkerCounters } from '../engine/worker.ts';
import { zeroCounters } from '../engine/zero-counters.ts';
import { causeCode } from './causes.ts';
import type { RunMeasures, WorkerMeasures } from './run-measures.ts';
import { DDSketch } from './sketch.ts';
import { emptySources } from './token-sources.ts';
import { TurnCauses } from './turn-causes.ts';
import { SESSION_STATUS, TURN_STATUS, TurnTable } from './turn-table.ts';

/** Counters that are zero but for the given ones. */
export function fixtureCounters(given: Partial<WorkerCounters> = {}): WorkerCounters {
  return { ...zeroCounters(), ...given };
}

/** A worker of eight H100 for one minute. */
export function fixtureWorker(pool: string, given: Partial<WorkerCounters> = {}, rest: Partial<WorkerMeasures> = {}): WorkerMeasures {
  return {
    pool,
    gpus: 8,
    requestMs: 5,
    provisionedMs: 60_000,
    counters: fixtureCounters(given),
    blockBytes: 1000,
    hostBytes: 2 ** 30,
    h2dBytesPerMs: 50,
    d2hBytesPerMs: 50,
    usdPerGpuHour: 2.5,
    tdpW: 700,
    ...rest,
  };
}

/**
 * The run; rows are turns. Turn 0 (session 0, class first): finished. Turn 1 (session 0, class tool): finished after a restore. Turn 2 (session 1):
 * rejected. Turn 3 (session 2): admitted, then cut by the end.
 */
export function fixtureRun(changes: Partial<RunMeasures> = {}): RunMeasures {
  const turns = new TurnTable((turn) => [12_000, 4000, 9000, 4000][turn]!);
  turns.arrived(0, 0);
  turns.dispatched(0, 0, 0);
  turns.admitted(0, 10, 8000, 2000);
  turns.firstToken(0, 1000);
  turns.finished(0, 3000, 101);
  turns.arrived(1, 10_000);
  turns.dispatched(1, 10_000, 1);
  turns.restoring(1, 10_020, 1000, 500);
  turns.admitted(1, 10_100, 0, 3000);
  turns.firstToken(1, 10_500);
  turns.finished(1, 12_500, 11);
  turns.arrived(2, 20_000);
  turns.ended(2, TURN_STATUS.rejected);
  turns.arrived(3, 30_000);
  turns.dispatched(3, 30_000, 2);
  turns.admitted(3, 30_005, 1000, 0);
  turns.censorOpen();
  const causes = new TurnCauses();
  // Of 6000 missed tokens 2000 are avoidable, and 60 of those lay in a tier of the chosen worker.
  for (const [turn, avoidable, held, fresh] of [
    [0, 1000, 0, 1000],
    [1, 440, 60, 500],
    [3, 500, 0, 2500],
  ] as const) {
    turns.judged(turn, avoidable + held);
    causes.open(turn);
    causes.add(causeCode('tier_too_slow.onboard_declined'), held, 0, 1);
    causes.add(causeCode('routed_elsewhere'), avoidable, 0, 0);
    causes.add(causeCode('fresh'), fresh, 0, 0);
  }
  const tokenGaps = new DDSketch();
  tokenGaps.addRange(20, 0, 100, 1);
  tokenGaps.addRange(200, 0, 10, 1);
  const busy = [120, 80, 100, 140];
  return {
    window: { fromMs: 0, toMs: 60_000 },
    sessionToMs: 60_000,
    rateWindowMs: 60_000,
    turns,
    labels: {
      turnClass: Uint8Array.of(0, 1, 0, 0),
      classNames: ['first', 'tool'],
      session: Int32Array.of(0, 0, 1, 2),
      tenant: Int32Array.of(0, 1, 1),
      tenantNames: ['red', 'blue'],
    },
    sessions: {
      count: 3,
      startMs: Float64Array.of(0, 20_000, 30_000),
      endMs: Float64Array.of(12_500, NaN, NaN),
      activeMs: Float64Array.of(5500, NaN, NaN),
      status: Uint8Array.of(SESSION_STATUS.completed, SESSION_STATUS.failed, SESSION_STATUS.censored),
    },
    tokenGaps,
    workers: busy.map((busyMs, i) =>
      fixtureWorker(
        i < 2 ? 'left' : 'right',
        {
          busyMs,
          preemptions: i,
          recomputedTokens: 100,
          hbmEvictedBlocks: 10,
          hbmExpiredBlocks: 2,
          hostReadBytes: 300_000,
          hostWriteBytes: 600_000,
          diskReadBytes: 1000,
          diskWriteBytes: 2000,
          remoteReadBytes: 300,
          remoteWriteBytes: 400,
        },
        i > 0 ? {} : { prefetch: { movedBlocks: 10, usedBlocks: 6, wastedBlocks: 3, usedPrefetches: 2, lateMs: 250 } },
      ),
    ),
    sources: {
      ...emptySources(),
      prompt: 20_000,
      hbm: 9000,
      host: 5000,
      compulsory: 4000,
      inflight: 90,
      tier: 60,
      routing: 1000,
      fault: 15,
      preempted: 10,
      dropped: 5,
      claim: 20,
      ttl: 300,
      capacity: 500,
      existed: 16_000,
      captured: 14_060,
      delivered: 14_000,
    },
    causes,
    occupancy: { hbm: 0.8, host: 0.4, active: 0.32, claimed: 0.24 },
    hints: { dropped: 7, refused: 3, clipped: 2 },
    router: { decisions: 4, staleDecisions: 1 },
    unloaded: { turnMs: Float64Array.of(2000, 1000, 1000, 1000), sessionMs: Float64Array.of(3000, 1000, 1000) },
    objectives: { turn: [{ metric: 'turn.ttft', op: '<', bound: 0.8 }], session: [] },
    cost: { hostUsdPerGiBHour: 0.1, powerPue: 1.2 },
    ...changes,
  };
}
