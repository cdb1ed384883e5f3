import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Trace } from '../../traces/columns.ts';
import type { TraceRequest, TraceSession } from '../../traces/format.ts';
import { fixtureTrace, turnFacts } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { naiveBlocks, naiveCommon } from './naive-blocks.ts';
import { randomSessions } from './random-sessions.ts';
import type { Workload } from './workload.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const RUNS = Number(process.env.KVCAST_RUNS ?? 100);
const OPEN = { mode: 'open', process: 'fixed', ratePerMs: 1 } as const;

const choices = fc.record({
  blockTokens: fc.constantFrom(16, 32, 64, 128, 256),
  modelIdentity: fc.constantFrom('separate' as const, 'ignore' as const),
  sharing: fc.constantFrom('none' as const, 'tools' as const, 'tools+system' as const, 'fleet' as const),
  fleetShare: fc.constantFrom(0, 0.5, 1),
  partialTail: fc.constantFrom('exact' as const, 'padded' as const),
});

/** The same prompts where the last id names a partial block. */
function labelled(sessions: readonly TraceSession[]): TraceSession[] {
  const cut = (r: TraceRequest): TraceRequest => {
    const blocks = r.runs.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    return { ...r, in: Math.max(1, blocks * 64 - (r.in % 64)) };
  };
  return sessions.map((s) => ({ ...s, agents: s.agents.map((a) => ({ ...a, requests: a.requests.map(cut) })) }));
}

/** Identities of every turn of a workload, by the naive reading. */
function naiveTurns(trace: Trace, workload: Workload, options: WorkloadOptions): string[][] {
  const turns: string[][] = [];
  for (let play = 0; play < workload.plays.count; play++) {
    // Whether a play drew the fleet prefix shows only in its blocks; with a share of 0 or 1 it is known.
    const blocks = naiveBlocks(trace, workload.plays.session[play]!, workload.playName(play), options.fleetShare === 1, options);
    for (let t = 0; t < workload.turns.count; t++) if (workload.turns.play(t) === play) turns[t] = blocks.get(workload.turns.request(t))!;
  }
  return turns;
}

describe('session trie', () => {
  it('shares as many blocks between any two prompts of any two plays as the naive reading does', () => {
    fc.assert(
      fc.property(
        randomSessions({ sessions: 2, agents: 3, scattered: true }),
        choices,
        fc.boolean(),
        fc.boolean(),
        (all, choice, file, partial) => {
          // Ids of different sessions overlap; file-wide they are made to mean the same only where chains agree, so one session it is.
          const sessions = file ? all.slice(0, 1) : all;
          const trace = fixtureTrace(partial ? labelled(sessions) : sessions, {
            idScope: file ? 'file' : 'session',
            partialTail: partial ? 'labelled' : 'none',
          });
          const options: WorkloadOptions = {
            ...{ ...WORKLOAD_DEFAULTS, ...choice, contextLimit: 1e9, sessions: 4, arrivals: OPEN },
            fleetShare: Math.round(choice.fleetShare),
          };
          const workload = materialiseWorkload(trace, options, 7, 0);
          const naive = naiveTurns(trace, workload, options);
          const branch = turnFacts(workload.turns, 'branch');
          const depthBlocks = turnFacts(workload.turns, 'depthBlocks');
          for (let x = 0; x < workload.turns.count; x++) {
            expect(depthBlocks[x]).toBe(naive[x]!.length);
            const row = (common: (y: number) => number) => Array.from({ length: x }, (_, y) => common(y));
            expect(row((y) => workload.branches.commonDepth(branch[x]!, depthBlocks[x]!, branch[y]!, depthBlocks[y]!))).toEqual(
              row((y) => naiveCommon(naive[x]!, naive[y]!)),
            );
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('counts as reusable what the naive reading finds in an earlier prompt of the same play', () => {
    fc.assert(
      fc.property(randomSessions({ sessions: 2, agents: 3 }), choices, (sessions, choice) => {
        const trace = fixtureTrace(sessions);
        const options: WorkloadOptions = {
          ...{ ...WORKLOAD_DEFAULTS, ...choice, contextLimit: 1e9, resample: 'none', arrivals: OPEN },
          fleetShare: Math.round(choice.fleetShare),
        };
        const workload = materialiseWorkload(trace, options, 7, 0);
        const naive = naiveTurns(trace, workload, options);
        const [play, request, reusableTokens] = (['play', 'request', 'reusableTokens'] as const).map((f) =>
          turnFacts(workload.turns, f),
        ) as [number[], number[], number[]];
        const started = (t: number) => trace.request.startMs[request[t]!]!;
        for (let x = 0; x < workload.turns.count; x++) {
          let best = 0;
          for (let y = 0; y < workload.turns.count; y++)
            if (play[y] === play[x] && (started(y) < started(x) || (started(y) === started(x) && y < x)))
              best = Math.max(best, naiveCommon(naive[x]!, naive[y]!));
          expect(reusableTokens[x]).toBe(best * options.blockTokens);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('gives every turn a private leaf that continues its own prompt and has room for prompt and output', () => {
    fc.assert(
      fc.property(
        randomSessions({ sessions: 2, agents: 3 }),
        choices,
        fc.constantFrom('off' as const, 'assume' as const),
        fc.constantFrom(0.5, 1, 1.7),
        (sessions, choice, outputReuse, scaleContext) => {
          const trace = fixtureTrace(sessions);
          const options: WorkloadOptions = {
            ...WORKLOAD_DEFAULTS,
            ...choice,
            outputReuse,
            scaleContext,
            contextLimit: 1e9,
            sessions: 3,
            arrivals: OPEN,
          };
          const { turns, branches } = materialiseWorkload(trace, options, 7, 0);
          for (let t = 0; t < turns.count; t++) {
            const leaf = turns.openLeaf(t);
            const tokens = turns.promptTokens(t) + turns.outputTokens(t);
            expect(branches.flags[leaf]).toBe(1);
            expect(branches.end(leaf)).toBeGreaterThanOrEqual(Math.ceil(tokens / options.blockTokens) + 1);
            expect(branches.length[leaf]).toBeGreaterThan(0);
            expect(branches.start[leaf]).toBeGreaterThanOrEqual(turns.depthBlocks(t));
            expect(branches.commonDepth(leaf, branches.end(leaf), turns.branch(t), turns.depthBlocks(t))).toBe(turns.depthBlocks(t));
            expect(turns.depthBlocks(t) * options.blockTokens).toBeLessThanOrEqual(turns.promptTokens(t));
            // A chain never runs past the end of a branch on its path.
            for (let b = turns.branch(t), end = turns.depthBlocks(t); b >= 0; end = branches.start[b]!, b = branches.parent[b]!)
              expect(end - branches.start[b]!).toBeLessThanOrEqual(branches.length[b]!);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });
});
