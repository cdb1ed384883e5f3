/** What estimators are fed in whole runs: names of tools, pauses for sub-agents, cached tokens and waits as engines report them. */
import { afterAll, describe, expect, it } from 'vitest';
import { pauseAfter } from '../../control/pause-after.ts';
import type { AttemptEnd, KvAction, RouteRequest } from '../../control/ports.ts';
import { AgentRuns, agentSessions, passOn, type RunShim } from './agent-runs.fixture.ts';

const runs = new AgentRuns();
afterAll(() => runs.remove());
const one = (key: string): string => `fleet.pools.one.${key}`;

/** Notes what the plane is told of ends, by the name of the turn. */
function endsHeard(): { readonly shim: RunShim; readonly ends: Map<string, AttemptEnd> } {
  const ends = new Map<string, AttemptEnd>();
  const names = new Map<number, string>();
  const shim: RunShim = {
    plane: (inner) => ({
      ...passOn(inner),
      request(request: RouteRequest, nowMs) {
        names.set(request.attempt, request.id);
        inner.request(request, nowMs);
      },
      ended(attempt, end, nowMs) {
        ends.set(names.get(attempt)!, end);
        inner.ended(attempt, end, nowMs);
      },
    }),
  };
  return { shim, ends };
}

const request = (blocks: number, rest: object = {}): object => ({
  startMs: 0,
  in: blocks * 64 + 8,
  out: 4,
  runs: [[1, blocks]],
  stop: 'tool',
  ...rest,
});
/** A root that reads a file, then waits for two sub-agents, then is read by its user. */
const FAMILY = {
  id: 'family',
  arrivalMs: 0,
  agents: [
    {
      ...{ id: 'root', model: 'm' },
      requests: [
        request(20, { tools: [{ class: 'Read', ms: 150 }, { ms: 10 }, { class: 'Grep', ms: 40 }] }),
        request(22, { startMs: 500, pauseMs: 200 }),
        request(24, { startMs: 6000, pauseMs: 100, stop: 'turn' }),
        request(26, { startMs: 9000, pauseMs: 1000, stop: 'unknown', tools: [{ class: 'Read', ms: 1 }] }),
      ],
    },
    ...['a', 'b'].map((id, i) => ({
      ...{ id, parent: 0, model: 'm', spawn: { after: 1, on: 'completion', delayMs: 10 }, join: { before: 2, delayMs: 10 } },
      requests: [{ startMs: 1000, in: 320 + 64 * i, out: 400, runs: [[1000 * (i + 1), 1000 * (i + 1) + 4 + i]], stop: 'turn' }],
    })),
  ],
};

describe('what a response asks for', () => {
  it('names of tools where the trace has them, sub-agents that the next turn waits for; the kind of the pause follows', async () => {
    const { shim, ends } = endsHeard();
    await runs.run(runs.trace([FAMILY]), [], shim);
    const heard = ['root/0', 'root/1', 'root/2', 'root/3', 'a/0'].map((turn) => ends.get(`s0/${turn}`)!);
    expect(heard.map(({ toolNames }) => toolNames)).toEqual([['Read', 'Grep'], ['Task'], undefined, ['Read'], undefined]);
    expect(heard.map(pauseAfter)).toEqual(['tool', 'join', 'human', 'human', 'human']);
  });

  it('a time to keep for sub-agents holds the parent while they run, and no other pause', async () => {
    const pins: KvAction[] = [];
    const shim: RunShim = {
      effects: (outer) => ({
        dispatch: (r, p) => outer.dispatch(r, p),
        refuse: (r, f) => outer.refuse(r, f),
        act(action) {
          if (action.verb === 'pin') pins.push(action);
          outer.act(action);
        },
        wakeAt: (t) => outer.wakeAt(t),
        decided: (d) => outer.decided(d),
      }),
    };
    const file = runs.trace([FAMILY]);
    await runs.run(file, ['control.retention={use: kvcast-soft@2, with: {ttl: {tool: 0s, human: 0s, join: 10m}, jitter: 0}}'], shim);
    expect(pins.filter(({ untilMs }) => untilMs > 500_000).map(({ toBlocks }) => toBlocks)).toEqual([22]);
  });
});

describe('what an engine reports', () => {
  const file = runs.trace(agentSessions({ sessions: 40, arrivalMs: 20, pauseMs: 200 }));

  it.each(['jump', 'reference'])('%s: cached tokens and the wait for the first admission, of every answer', async (stepMode) => {
    const { shim, ends } = endsHeard();
    const sets = [one('engine.with.kvBlocks=330'), one(`engine.with.stepMode=${stepMode}`)];
    const { turns, workload } = await runs.run(file, sets, shim);
    let waited = 0;
    for (let k = 0; k < turns.count; k++) {
      const end = ends.get(workload.turnName(turns.turn[k]!))!;
      expect(end.cachedTokens).toBe(turns.hitHbmTokens[k]! + turns.hitHostTokens[k]!);
      // The request travels for 5 ms.
      expect(end.queueMs).toBeCloseTo(turns.admitMs[k]! - turns.dispatchMs[k]! - 5, 9);
      expect(end.queueMs).toBeGreaterThanOrEqual(0);
      if (end.queueMs! > 100) waited++;
    }
    expect(waited).toBeGreaterThan(10);
  });

  it('a turn that was tried again reports neither: the first admission was another attempt', async () => {
    const { shim, ends } = endsHeard();
    const crash = 'fleet.faults=[{kind: crash, at: 500ms, pool: one, worker: 0, for: 1s}]';
    const { turns, workload } = await runs.run(file, [one('workers=2'), crash], shim);
    const again = [...turns.attempts.keys()].filter((k) => turns.attempts[k]! > 1);
    expect(again.length).toBeGreaterThan(0);
    for (const k of again) expect(ends.get(workload.turnName(turns.turn[k]!))).not.toHaveProperty('queueMs');
  });
});
