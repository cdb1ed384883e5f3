import { describe, expect, it } from 'vitest';
import { closedLoopStarts } from './closed-loop-starts.ts';
import { pauseOf, type Trace } from './columns.ts';
import { type AgentDraft, draftOf } from './session-draft.ts';
import { readText, sessionE1, sessionE2 } from './worked-examples.ts';
import { sessionOf } from './writers/kvcast-writer.ts';

/** Starts of the first session in seconds, responses as long as recorded times `factor`. */
function replay(trace: Trace, startMs: number, service: (agent: AgentDraft, i: number) => number): number[][] {
  const { agents } = draftOf(sessionOf(trace, 0));
  const starts = closedLoopStarts(agents, {
    startMs,
    serviceMs: (a, i) => service(agents[a]!, i),
    pauseMs: (a, i) => pauseOf(trace, trace.agent.requestFrom[a]! + i, 'debiased'),
  });
  return starts.map((list) => list.map((ms) => ms / 1000));
}

const recorded = (factor: number) => (agent: AgentDraft, i: number) => factor * agent.requests[i]!.apiMs;

describe('closed-loop starts of session E2', () => {
  it('join at 153.5 s and 150.0 s and go on at 160.5 s with recorded services', async () => {
    const trace = await readText(JSON.stringify(sessionE2()));
    const starts = replay(trace, 100_000, recorded(1));
    expect(starts[0]).toEqual([100, 160.5]);
    expect(starts[1]![2]! + 6.5 + 3).toBe(153.5);
    expect(starts[2]![0]! + 40 + 4).toBe(150);
  });
  it('go on at 202.0 s with services twice as long', async () => {
    const trace = await readText(JSON.stringify(sessionE2()));
    const starts = replay(trace, 100_000, recorded(2));
    expect(starts[0]).toEqual([100, 202]);
    expect(starts[1]![2]! + 13 + 3).toBe(174);
    expect(starts[2]![0]! + 80 + 4).toBe(195);
  });
});

it('a sequential session is delayed by exactly the service before each request', async () => {
  const trace = await readText(JSON.stringify(sessionE1()));
  const base = replay(trace, 0, () => 0)[0]!;
  for (const s of [1, 250, 7000])
    expect(replay(trace, 0, () => s)[0]!.map((t, i) => Math.round(1000 * (t - base[i]!)))).toEqual(base.map((_, i) => i * s));
});
