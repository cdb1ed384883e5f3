/** Traces written by hand, for tests: sessions in the object form of the own format, as columns. */
import type { Trace } from '../../traces/columns.ts';
import type { TraceHeader, TraceRequest, TraceSession } from '../../traces/format.ts';
import { draftOf, TraceBuilder } from '../../traces/trace-builder.ts';
import type { Turns } from './workload.ts';

type HeaderChoices = Partial<Pick<TraceHeader, 'blockTokens' | 'idScope' | 'partialTail'>>;

/** Columns of hand-written sessions. Default: 64 tokens per block, session-local ids, full blocks only. */
export function fixtureTrace(sessions: readonly TraceSession[], choices: HeaderChoices = {}): Trace {
  const header: TraceHeader = {
    kvcast: 'trace',
    version: 1,
    blockTokens: 64,
    idScope: 'session',
    partialTail: 'none',
    source: { format: 'kvcast', digest: 'sha256:fixture' },
    interpretation: { pauseRule: 'weka-n-own-api', apiEstimate: 'weka-l1', subAgentRule: 'marker-is-end', chains: 'off', quantumMs: 1 },
    ...choices,
  };
  const builder = new TraceBuilder(header);
  for (const session of sessions) builder.append(draftOf(session));
  return builder.finish(header, []);
}

/** A request whose prompt is `runs` in blocks of 64 tokens and `tail` tokens more. */
export function fixtureRequest(
  startMs: number,
  runs: readonly (readonly [number, number])[],
  rest: Partial<TraceRequest> & { readonly tail?: number } = {},
): TraceRequest {
  const { tail = 0, ...fields } = rest;
  const blocks = runs.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return { startMs, in: Math.max(1, blocks * 64 + tail), out: 10, runs, stop: 'tool', ...fields };
}

/**
 * E1 of trace specification 8.1: five pauses, two breaks, T 130, Y 70. Pauses and estimates by rule 2.4 as printed there:
 * recorded 10 000, 0, 27 444, 3 000, 2 000; debiased 4 000, 0, 25 444, 1 000, 1 000; est(r2) 2 556 ms.
 */
export const E1: TraceSession = {
  id: 'e1',
  agents: [
    {
      id: 'root',
      model: 'm',
      toolTokens: 130,
      systemTokens: 70,
      requests: [
        { startMs: 0, in: 300, out: 50, runs: [[1, 4]], stop: 'tool', apiMs: 4000 },
        { startMs: 14_000, in: 430, out: 20, runs: [[1, 6]], stop: 'tool', apiMs: 6000, pauseMs: 10_000, debiasedMs: 4000 },
        { startMs: 20_000, in: 500, out: 100, runs: [[1, 7]], stop: 'unknown', apiEstMs: 2556, pauseMs: 0 },
        { startMs: 50_000, in: 520, out: 10, runs: [[1, 8]], stop: 'tool', apiMs: 2000, pauseMs: 27_444, debiasedMs: 25_444 },
        {
          ...{ startMs: 55_000, in: 260, out: 5, stop: 'turn', apiMs: 3000, pauseMs: 3000, debiasedMs: 1000 },
          runs: [
            [1, 3],
            [9, 9],
          ],
        },
        { startMs: 60_000, in: 530, out: 7, runs: [[1, 8]], stop: 'turn', apiMs: 1000, pauseMs: 2000, debiasedMs: 1000 },
      ],
    },
  ],
};

/** E2 of trace specification 2.6: two parallel agents joined by the second root request. Times count from the first root request (t 100 s). */
export const E2: TraceSession = {
  id: 'e2',
  agents: [
    {
      id: 'root',
      model: 'm',
      requests: [
        fixtureRequest(0, [[1, 10]], { apiMs: 5000 }),
        fixtureRequest(80_000, [[1, 12]], { apiMs: 8000, pauseMs: 15_000, debiasedMs: 7000, stop: 'turn' }),
      ],
    },
    {
      id: 'A',
      parent: 0,
      model: 'm',
      spawn: { after: 0, on: 'completion', delayMs: 500 },
      join: { before: 1, delayMs: 3000 },
      requests: [
        fixtureRequest(5500, [[20, 25]], { apiMs: 4000 }),
        fixtureRequest(35_500, [[20, 26]], { apiMs: 5000, pauseMs: 26_000, debiasedMs: 21_000 }),
        fixtureRequest(55_500, [[20, 27]], { apiMs: 6500, pauseMs: 15_000, debiasedMs: 8500 }),
      ],
    },
    {
      id: 'B',
      parent: 0,
      model: 'm',
      spawn: { after: 0, on: 'completion', delayMs: 1000 },
      join: { before: 1, delayMs: 4000 },
      requests: [fixtureRequest(6000, [[40, 44]], { apiMs: 40_000 })],
    },
  ],
};

/** One fact of the turns [0, count) of a workload, for tests that compare many. */
export function turnFacts<K extends Exclude<keyof Turns, 'count' | 'openLeaf'>>(
  turns: Turns,
  fact: K,
  count: number = turns.count,
): ReturnType<Turns[K]>[] {
  return Array.from({ length: count }, (_, turn) => turns[fact](turn) as ReturnType<Turns[K]>);
}
