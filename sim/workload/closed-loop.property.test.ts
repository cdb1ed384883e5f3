import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BranchTable } from '../../control/blocks.ts';
import { Stream } from '../kernel/draw.ts';
import { fixtureTrace } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { midlifeEntry, nominalTimes } from './midlife.ts';
import { apiMs } from './pauses.ts';
import { randomSessions } from './random-sessions.ts';
import { ScriptedFleet } from './scripted-fleet.ts';
import { planSessions } from './session-plan.ts';
import { SessionTemplates } from './session-template.ts';
import type { Workload } from './workload.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const RUNS = Number(process.env.KVCAST_RUNS ?? 100);
const OPTIONS: WorkloadOptions = {
  ...{ ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e9, resample: 'none' },
  arrivals: { mode: 'open', process: 'fixed', ratePerMs: 1 / 1000 },
};

/** Start times by the recursion of trace specification 7.1, evaluated turn by turn from the definition. */
function naiveStarts({ turns, agents, plays }: Workload, serviceMs: (turn: number) => number): number[] {
  const known: number[] = [];
  const end = (t: number): number => start(t) + serviceMs(t);
  const start = (t: number): number => {
    known[t] ??= startOf(t);
    return known[t]!;
  };
  const startOf = (t: number): number => {
    const a = turns.agent(t);
    if (t === agents.turnFrom[a]) {
      const after = agents.spawnAfter[a]!;
      if (after < 0) return plays.startMs[turns.play(t)]!;
      return (agents.spawnOn[a] === 1 ? end(after) : start(after)) + agents.spawnDelayMs[a]!;
    }
    let anchor = end(t - 1);
    for (let child = 0; child < agents.count; child++)
      if (agents.joinBefore[child] === t) anchor = Math.max(anchor, end(agents.turnTo[child]! - 1) + agents.joinDelayMs[child]!);
    return anchor + turns.pauseMs(t);
  };
  return Array.from({ length: turns.count }, (_, t) => start(t));
}

describe('closed loop', () => {
  it('starts every turn when the definition says, whatever the service times', () => {
    fc.assert(
      fc.property(
        randomSessions({ sessions: 3, agents: 5 }),
        fc.array(fc.nat(20_000), { minLength: 1, maxLength: 20 }),
        (sessions, times) => {
          const workload = materialiseWorkload(fixtureTrace(sessions), OPTIONS, 1, 0);
          const service = (t: number) => times[t % times.length]!;
          const fleet = new ScriptedFleet(workload, service);
          fleet.run();
          expect(fleet.dispatchedMs).toEqual(naiveStarts(workload, service));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('ends every play once, after its last turn, with an active time between its longest turn and its span', () => {
    fc.assert(
      fc.property(randomSessions({ sessions: 4, agents: 5 }), fc.nat(5000), (sessions, serviceMs) => {
        const workload = materialiseWorkload(fixtureTrace(sessions), OPTIONS, 1, 0);
        const fleet = new ScriptedFleet(workload, () => serviceMs);
        fleet.run();
        expect(fleet.completedMs.filter((ms) => ms !== undefined).length).toBe(workload.turns.count);
        expect(fleet.ends.map((end) => end.play).sort((a, b) => a - b)).toEqual([...sessions.keys()]);
        for (const { play, tMs, activeMs, unloadedMs } of fleet.ends) {
          const mine = fleet.completedMs.filter((_, t) => workload.turns.play(t) === play);
          expect(tMs).toBe(Math.max(...mine));
          // On the critical path the fleet does nothing but serve: active time = turns on it * service time, but for a child spawned on
          // dispatch, whose parent's service is not on its path.
          expect(activeMs).toBe(unloadedMs * serviceMs);
          expect(activeMs).toBeLessThanOrEqual(tMs - workload.plays.startMs[play]!);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('moves the i-th start of a lone agent by i times the added service time', () => {
    fc.assert(
      fc.property(randomSessions({ sessions: 2, agents: 1 }), fc.nat(5000), fc.nat(5000), (sessions, base, added) => {
        const workload = materialiseWorkload(fixtureTrace(sessions), OPTIONS, 1, 0);
        const [fast, slow] = [base, base + added].map((serviceMs) => new ScriptedFleet(workload, () => serviceMs));
        fast!.run();
        slow!.run();
        for (let t = 0; t < workload.turns.count; t++) {
          const index = t - workload.agents.turnFrom[workload.turns.agent(t)]!;
          expect(slow!.dispatchedMs[t]! - fast!.dispatchedMs[t]!).toBe(index * added);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('mid-life entry', () => {
  it('continues a session exactly as if it had run from its start, wherever it is entered', () => {
    fc.assert(
      fc.property(randomSessions({ sessions: 1, agents: 5 }), fc.nat(99), (sessions, percent) => {
        const trace = fixtureTrace(sessions);
        const plan = planSessions(trace, OPTIONS);
        const templates = new SessionTemplates(trace, OPTIONS, plan, new BranchTable(), (agent) => new Stream(agent));
        const template = templates.of(0, false);
        const times = nominalTimes(trace, templates, template);
        const at = Math.floor((times.span * percent) / 100);
        fc.pre(at < times.span);
        const entry = midlifeEntry(trace, templates, template, times, at);
        const workload = materialiseWorkload(trace, OPTIONS, 1, 0);
        expect([...times.start]).toEqual(naiveStarts(workload, (t) => apiMs(trace, t)).map((ms) => ms - 1000));
        (workload.agents.firstTurn as Int32Array).set(entry.firstTurn);
        (workload.agents.firstDelayMs as Float64Array).set(entry.firstDelayMs);
        // A turn that was under way is sent again at the entry; give it the time it still had.
        const fleet = new ScriptedFleet(workload, (t) => (times.start[t]! < at ? times.end[t]! - at : apiMs(trace, t)));
        fleet.run();
        for (let t = 0; t < workload.turns.count; t++) {
          const from = fleet.dispatchedMs[t];
          if (times.end[t]! <= at) expect(from).toBeUndefined();
          else expect(from).toBe(1000 + Math.max(0, times.start[t]! - at));
        }
        expect(fleet.ends.map((end) => end.tMs)).toEqual([1000 + times.span - at]);
      }),
      { numRuns: RUNS },
    );
  });
});
