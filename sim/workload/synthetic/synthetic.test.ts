import { describe, expect, it } from 'vitest';
import { inspectTrace } from '../../../traces/inspect.ts';
import { blocksOf, commonBlocks } from '../../../traces/run-list.ts';
import type { SessionDraft } from '../../../traces/session-draft.ts';
import { kvcastLines } from '../../../traces/writers/kvcast-writer.ts';
import { acceptanceOf, JUDGED_FROM } from './acceptance.ts';
import { breakProbability, CLIENTS, FIRST_EXTRA } from './generator-parameters.ts';
import { synthesizeTrace } from './synthesize.ts';
import { SYNTHETIC_DEFAULTS, type SyntheticOptions, syntheticSession } from './synthetic-session.ts';

const sessions = (n: number, options: Partial<SyntheticOptions> = {}): SessionDraft[] =>
  Array.from({ length: n }, (_, i) => syntheticSession(5, 0, i, { ...SYNTHETIC_DEFAULTS, ...options }));

describe('synthetic sessions (traces 7.8)', () => {
  it('reproduce the figures of the fitted sessions', () => {
    const rows = acceptanceOf(synthesizeTrace(1, 0, JUDGED_FROM, SYNTHETIC_DEFAULTS));
    expect(rows.filter((r) => !r.inside)).toEqual([]);
    expect(rows).toHaveLength(22);
  });

  it('are told apart by the acceptance when the pauses or breaks are others', () => {
    const recorded = acceptanceOf(synthesizeTrace(1, 0, 600, { ...SYNTHETIC_DEFAULTS, pauses: 'recorded' }));
    expect(recorded.find((r) => r.figure === 'hit at TTL 1 s')!.inside).toBe(false);
    const unbroken = acceptanceOf(synthesizeTrace(1, 0, 600, { ...SYNTHETIC_DEFAULTS, breaks: 0 }));
    expect(unbroken.find((r) => r.figure === 'breaks of transitions')!.inside).toBe(false);
  });

  it('are equal for equal keys, other for another replication, and only appended to by a larger count', () => {
    const text = (replication: number, n: number) => [...kvcastLines(synthesizeTrace(9, replication, n, SYNTHETIC_DEFAULTS))].slice(1);
    expect(text(0, 5)).toEqual(text(0, 5));
    expect(text(0, 8).slice(0, 5)).toEqual(text(0, 5));
    expect(text(1, 5)).not.toEqual(text(0, 5));
  });

  it('keep their other draws when one feature is switched on', () => {
    const [plain] = sessions(1);
    const [nested] = sessions(1, { subAgents: 1 });
    expect(nested!.agents[0]).toEqual(plain!.agents[0]);
    const outs = (s: SessionDraft) => s.agents[0]!.requests.map((r) => [r.outTokens, r.stop]);
    expect(outs(sessions(1, { breaks: 0 })[0]!)).toEqual(outs(plain!));
  });

  it('name exactly the full blocks of every prompt, never the same block twice, and never go past the context limit', () => {
    for (const session of sessions(40, { subAgents: 1 })) {
      for (const agent of session.agents) {
        expect(agent.requests.length).toBeGreaterThan(0);
        for (const request of agent.requests) {
          expect(blocksOf(request.runs)).toBe(Math.floor(request.inTokens / 64));
          expect(request.inTokens).toBeLessThanOrEqual(960_000);
          expect(request.outTokens).toBeGreaterThanOrEqual(1);
        }
      }
    }
  });

  it('end their human turns with stop turn, and start fresh when asked to', () => {
    const firsts = sessions(300, { freshOnly: true }).map((s) => s.agents[0]!);
    const longest = Math.max(...firsts.map((a) => a.requests[0]!.inTokens - a.toolTokens - a.systemTokens));
    // Without the third component (median 98.9 k) a first prompt of more than 60 k has a probability below 1e-9.
    expect(longest).toBeLessThan(60_000);
    expect(FIRST_EXTRA.fresh.components.reduce((sum, c) => sum + c.weight, 0)).toBeCloseTo(1, 12);
  });

  it('join nested agents before the next request of the root and share their prefix among siblings only', () => {
    const nested = sessions(20, { subAgents: 1 }).filter((s) => s.agents.length > 2);
    expect(nested.length).toBeGreaterThan(3);
    for (const { agents } of nested) {
      const [root, first, second] = agents;
      for (const child of agents.slice(1)) {
        expect(child.joinBefore).toBe(child.spawnAfter + 1);
        expect(child.joinBefore).toBeLessThan(root!.requests.length);
      }
      const prefix = Math.floor((first!.toolTokens + first!.systemTokens) / 64);
      expect(commonBlocks(first!.requests[0]!.runs, second!.requests[0]!.runs)).toBe(prefix);
      expect(commonBlocks(root!.requests[0]!.runs, first!.requests[0]!.runs)).toBe(0);
    }
  });

  it('draw clients by frequency and breaks by gap', () => {
    expect(CLIENTS.reduce((sum, c) => sum + c.sessions, 0)).toBeGreaterThan(500);
    expect(breakProbability(30)).toBeCloseTo(0.55 * 0.0054, 12);
    expect(breakProbability(30.5)).toBeCloseTo(0.55 * 0.0116, 12);
    expect(breakProbability(1e6)).toBeCloseTo(0.55 * 0.871, 12);
    const { shape } = inspectTrace(synthesizeTrace(3, 0, 400, SYNTHETIC_DEFAULTS));
    expect(shape.requestsPerSession!.p50).toBeGreaterThan(30);
  });
});
