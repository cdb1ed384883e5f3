import { describe, expect, it } from 'vitest';
import type { TraceSession } from '../../traces/format.ts';
import { AgentLoop, type PlayEnd } from './closed-loop.ts';
import { E2, fixtureRequest, fixtureTrace } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { ScriptedFleet } from './scripted-fleet.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const OPTIONS: WorkloadOptions = {
  ...{ ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e6, resample: 'none' },
  arrivals: { mode: 'open', process: 'fixed', ratePerMs: 1 / 100_000 },
};

/** Runs one session from 100 s on with the service times of its trace times `factor`; start times by turn name. */
function replay(session: TraceSession, factor: number, choices: Partial<WorkloadOptions> = {}) {
  const trace = fixtureTrace([session]);
  const workload = materialiseWorkload(trace, { ...OPTIONS, ...choices }, 1, 0);
  const fleet = new ScriptedFleet(workload, (turn) => trace.request.apiMs[workload.turns.request(turn)]! * factor);
  fleet.run();
  const starts = new Map(fleet.dispatchedMs.map((ms, turn) => [workload.turnName(turn), ms]));
  return { workload, fleet, starts };
}

describe('closed loop', () => {
  it('replays E2 as the specification works out: joins at 153.5 and 150.0 s, next root request at 160.5 s', () => {
    const { starts, fleet, workload } = replay(E2, 1);
    expect(starts.get('s0/root/0')).toBe(100_000);
    expect(starts.get('s0/A/0')).toBe(105_500);
    expect(starts.get('s0/B/0')).toBe(106_000);
    expect(starts.get('s0/root/1')).toBe(160_500);
    const endOf = (name: string) => fleet.completedMs[[...starts.keys()].indexOf(name)]!;
    expect([endOf('s0/A/2') + 3000, endOf('s0/B/0') + 4000]).toEqual([153_500, 150_000]);
    expect(workload.turns.pauseKind(1)).toBe(3);
  });

  it('replays E2 with services twice as long: the next root request moves to 202.0 s', () => {
    expect(replay(E2, 2).starts.get('s0/root/1')).toBe(202_000);
  });

  it('adds exactly the added service on the critical path: B becomes critical when it slows down alone', () => {
    const trace = fixtureTrace([E2]);
    const workload = materialiseWorkload(trace, OPTIONS, 1, 0);
    const slowB = new ScriptedFleet(
      workload,
      (t) => trace.request.apiMs[workload.turns.request(t)]! + (workload.turnName(t) === 's0/B/0' ? 10_000 : 0),
    );
    slowB.run();
    // B: 106 + 50 + 4 = 160.0 s against A at 153.5 s; pause 7 s.
    expect(slowB.dispatchedMs[1]).toBe(167_000);
  });

  it('reports what the fleet is responsible for: E2 spans 68.5 s, of which the critical path through A leaves 28.5 s', () => {
    const { fleet } = replay(E2, 1);
    // Path: r0 5 | spawn 0.5 | 4 | pause 21 | 5 | pause 8.5 | 6.5 | join 3 | pause 7 | r1 8. Services 5 + 4 + 5 + 6.5 + 8.
    expect(fleet.ends).toEqual([{ play: 0, tMs: 168_500, status: 'completed', activeMs: 28_500, unloadedMs: 5 }]);
  });

  it('starts tools while the answer streams: the pause is shorter by a share of the decode, and only that of a tool', () => {
    const requests = (['tool', 'turn', 'tool'] as const).map((stop, i) => fixtureRequest(i * 100_000, [[0, i]], { stop, pauseMs: 2000 }));
    const session: TraceSession = { id: 's', agents: [{ id: 'root', model: 'm', requests }] };
    const same = { scale: 1, shiftMs: 0, floorMs: 0, capMs: Number.POSITIVE_INFINITY };
    const toolTime = { tool: same, tools: [], overlap: 0.5, resample: 'none' } as const;
    const workload = materialiseWorkload(fixtureTrace([session]), { ...OPTIONS, toolTime }, 1, 0);
    const due: number[] = [];
    const loop = new AgentLoop(workload, { due: (_turn, tMs) => due.push(tMs), cancelled: () => undefined, playEnded: () => undefined });
    loop.start(0, 0);
    for (const [turn, decodeMs] of [
      [0, 1000],
      [1, 1000],
    ] as const) {
      loop.dispatched(turn, 10_000 * turn);
      loop.completed(turn, 10_000 * turn + 5000, 0, decodeMs);
    }
    expect(due).toEqual([0, 5000 + 2000 - 500, 15_000 + 2000]);
    const long = new AgentLoop(workload, { due: (_turn, tMs) => due.push(tMs), cancelled: () => undefined, playEnded: () => undefined });
    long.start(0, 0);
    long.dispatched(0, 0);
    long.completed(0, 9000, 0, 8000);
    expect(due.at(-1)).toBe(9000);
  });

  it('lets a background agent outlive its root', () => {
    const session: TraceSession = {
      id: 's',
      agents: [
        {
          id: 'root',
          model: 'm',
          requests: [fixtureRequest(0, [[1, 2]], { apiMs: 1000 }), fixtureRequest(2000, [[1, 3]], { apiMs: 1000, pauseMs: 500 })],
        },
        {
          ...{ id: 'bg', parent: 0, model: 'm', spawn: { after: 0, on: 'dispatch', delayMs: 200 } },
          requests: [fixtureRequest(200, [[5, 6]], { apiMs: 9000 })],
        },
      ],
    };
    const { fleet, starts } = replay(session, 1);
    expect(starts.get('s0/bg/0')).toBe(100_200);
    expect(starts.get('s0/root/1')).toBe(101_500);
    expect(fleet.ends).toEqual([{ play: 0, tMs: 109_200, status: 'completed', activeMs: 9000, unloadedMs: 1 }]);
  });

  it('ends a failed play once and cancels what is due or in flight', () => {
    const trace = fixtureTrace([E2]);
    const workload = materialiseWorkload(trace, OPTIONS, 1, 0);
    const log: string[] = [];
    const loop = new AgentLoop(workload, {
      due: (turn, tMs) => log.push(`due ${workload.turnName(turn)} ${tMs}`),
      cancelled: (turn, tMs) => log.push(`cancelled ${workload.turnName(turn)} ${tMs}`),
      playEnded: (play, tMs, status: PlayEnd, activeMs) => log.push(`ended ${play} ${tMs} ${status} ${activeMs}`),
    });
    loop.start(0, 0);
    loop.dispatched(0, 0);
    loop.completed(0, 5000);
    const [a, b] = [2, 5];
    loop.dispatched(a, 5500);
    expect(loop.isOpen(0)).toBe(true);
    loop.failed(a, 5800, 'rejected');
    expect(loop.isOpen(0)).toBe(false);
    expect(log).toEqual(['due s0/root/0 0', 'due s0/A/0 5500', 'due s0/B/0 6000', 'cancelled s0/B/0 5800', 'ended 0 5800 rejected 5300']);
    expect(() => loop.dispatched(b, 6000)).toThrow(/not due/);
  });

  it('refuses calls that do not follow from what it reported', () => {
    const workload = materialiseWorkload(fixtureTrace([E2]), OPTIONS, 1, 0);
    const loop = new AgentLoop(workload, { due() {}, cancelled() {}, playEnded() {} });
    loop.start(0, 0);
    expect(() => loop.start(0, 0)).toThrow(/started twice/);
    expect(() => loop.completed(0, 1)).toThrow(/not in flight/);
    expect(() => loop.dispatched(1, 1)).toThrow(/not due/);
  });
});
