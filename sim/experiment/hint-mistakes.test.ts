/**
 * Mistakes with hints and times, as users and clients make them: each has a specified outcome that is counted, or an error that says where.
 * Source: retention specification 3.2, 3.4, 14.2, 14.3. Commands that show the same are in docs/retention.md.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { BranchTable } from '../../control/blocks.ts';
import { createPlane } from '../../control/plane.ts';
import type { KvAction, KvHint } from '../../control/ports.ts';
import { createRetention } from '../../control/retention/create-retention.ts';
import { UserError } from '../../control/user-error.ts';
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { jainIndex } from '../measure/fairness.ts';
import { meanInterval } from '../measure/statistics.ts';
import { AgentRuns, agentSessions, turnFates } from './agent-runs.fixture.ts';

const runs = new AgentRuns();
afterAll(() => runs.remove());

const TENANTS = ['a', 'b', 'c'];
const PRESSED = 'fleet.pools.one.engine.with.kvBlocks=450';
const retention = (use: string, params: string): string => `control.retention={use: ${use}, with: {${params}}}`;
const traceWith = (hints: object, seed = 1): string => runs.trace(agentSessions({ sessions: 40, tenants: TENANTS, seed, hints }));
const run = (file: string, sets: readonly string[]): Promise<ClusterRun> => runs.run(file, [PRESSED, ...sets]);
/** The problems of a run that must not start. */
const problems = async (sets: readonly string[]): Promise<string> => {
  try {
    await run(plain, sets);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'none';
};
const plain = runs.trace(agentSessions({ sessions: 40, tenants: TENANTS }));
const HONOUR = 'ttl: 0s, cacheControl: honour, jitter: 0';

describe('mistakes of clients', () => {
  it('a hint that is garbage equals no hint and is counted', async () => {
    const policy = retention('kvcast-soft@2', HONOUR);
    const clean = await run(plain, [policy]);
    const garbage = await run(traceWith({ ttlMs: 'soon', priority: 0.5, declaredPauseMs: -1, explode: {} }), [policy]);
    expect(garbage.runHash).toBe(clean.runHash);
    // Four fields per turn.
    expect([clean.hints.dropped, garbage.hints.dropped]).toEqual([0, 4 * garbage.turns.count]);
    expect(garbage.turns.count).toBe(clean.turns.count);
  });

  it('a TTL above the allowed maximum is clipped to it, and counted', async () => {
    const above = await run(traceWith({ ttlMs: 7_200_000 }), [retention('kvcast-soft@2', HONOUR)]);
    const equal = await run(traceWith({ ttlMs: 3_600_000 }), [retention('kvcast-soft@2', HONOUR)]);
    expect(turnFates(above)).toEqual(turnFates(equal));
    expect([above.hints.clipped, equal.hints.clipped]).toEqual([above.turns.count, 0]);
  });

  it('a budget of zero refuses every pin: the run without pins, and the pins counted', async () => {
    const hinted = traceWith({ ttlMs: 600_000 });
    const refused = await run(hinted, [retention('pin@2', `${HONOUR}, budget: 0`)]);
    expect(refused.runHash).toBe((await run(plain, [])).runHash);
    expect([refused.hints.refused, refused.actions.sent]).toEqual([refused.turns.count, 0]);
    const granted = await run(hinted, [retention('pin@2', `${HONOUR}, budget: 1`)]);
    expect(turnFates(granted)).not.toEqual(turnFates(refused));
  });

  it("an unauthorised pin: a tenant's directive about another's session is refused, counted, and moves nothing", () => {
    const branches = new BranchTable();
    const branch = branches.add(-1, 0, 8);
    const acts: KvAction[] = [];
    const nothing = (): void => {};
    const plane = createPlane({
      ...{ branches, router: { preset: 'random@1' }, seed: 1, recordLevel: 'off' },
      retention: (env) => createRetention('session-reference@1', {}, env),
      effects: { dispatch: nothing, refuse: nothing, act: (action) => acts.push(action), wakeAt: nothing, decided: nothing },
    });
    const facts = {
      blockTokens: 64,
      hbmBlocks: 100,
      hostBlocks: 0,
      maxBatchedTokens: 8192,
      blockBytes: 1,
      prefillMsPerToken: 1,
      prefillMsPerPair: 0,
    };
    plane.worker({ rank: 0, state: 'joined', epoch: 0, key: '0/0', facts }, 0);
    plane.worker({ rank: 0, state: 'ready', epoch: 0 }, 0);
    const asked = { attempt: 0, id: 's', attemptNumber: 0, session: 5, sessionKey: 's', tenant: 1, arrivalMs: 0 };
    plane.request({ ...asked, promptTokens: 520, branch, depthBlocks: 8 }, 0);
    plane.ended(0, { status: 'finished', stop: 'tool', outputTokens: 1 }, 100);
    const before = acts.length;
    const hints: KvHint[] = [
      { kind: 'retain', session: 5, untilMs: 1e6, tenant: 2 },
      { kind: 'release', session: 5, tenant: 2 },
      { kind: 'sessionClosed', session: 5, tenant: 2 },
    ];
    for (const hint of hints) plane.hint(hint, 200);
    expect([plane.hints.counters.rejected.unauthorised, acts.length - before]).toEqual([3, 0]);
    // Its owner may.
    plane.hint({ kind: 'sessionClosed', session: 5, tenant: 1 }, 300);
    expect([plane.hints.counters.accepted, acts.length - before > 0]).toEqual([1, true]);
  });
});

describe('mistakes of users are errors that say where', () => {
  it.each([
    [
      'a TTL above the allowed maximum',
      retention('kvcast-soft@2', 'ttl: 2h'),
      'control.retention.with.ttl: got 7200000 ms, expected 0 or 0..3600000 ms. Raise maxTtl',
    ],
    ['a TTL of one gap class above it', retention('kvcast-soft@2', 'ttl: {join: 2h}'), 'control.retention.with.ttl.join: got 7200000 ms'],
    ['a negative budget', retention('pin@2', 'ttl: 5m, budget: -1'), 'control.retention.with.budget: got -100%, expected 0%..100%'],
    ['a negative scale of tool times', 'workload.toolTime={scale: -1}', 'workload.toolTime.scale: got -1, expected a number 0..1000'],
  ])('%s', async (_mistake, set, message) => {
    const text = await problems([set]);
    expect(text).toContain(message);
    expect(text).toMatch(/^E_RANGE --set (control\.retention|workload\.toolTime)=/);
  });

  it('a negative tool time, and a negative pause, of a trace', async () => {
    const [session] = agentSessions({ sessions: 1, turns: 3, seed: 3 });
    const [agent] = session!.agents;
    const withTools = (rest: object): string =>
      runs.trace([{ ...session, agents: [{ ...agent, requests: agent.requests.map((r, i) => (i === 0 ? r : { ...r, ...rest })) }] }]);
    const refused = (file: string): Promise<string> =>
      runs.run(file).then(
        () => 'none',
        (error: UserError) => error.message,
      );
    expect(agent.requests.length).toBeGreaterThan(1);
    expect(await refused(withTools({ pauseMs: -3 }))).toMatch(
      /^E_TRACE_TIME \S+\.jsonl:2 agents\[0\]\.requests\[1\]\.pauseMs: got -3, expected/,
    );
    expect(await refused(withTools({ tools: [{ ms: -5 }] }))).toMatch(/^E_TRACE_VALUE \S+\.jsonl:2 agents\[0\]\.requests\[1\]\.tools: got/);
  });
});

describe('inflation of hints (14.2)', () => {
  const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
  /** Share of the prompt tokens that hit, and Jain's index over tenants of the share of their own. */
  const outcome = ({ turns, workload: { turns: of, plays } }: ClusterRun): { readonly hit: number; readonly jain: number } => {
    const hit = new Float64Array(TENANTS.length);
    const prompt = new Float64Array(TENANTS.length);
    for (let k = 0; k < turns.count; k++) {
      const tenant = plays.tenant[of.play(turns.turn[k]!)]!;
      hit[tenant]! += turns.hitHbmTokens[k]! + turns.hitHostTokens[k]!;
      prompt[tenant]! += turns.promptTokens[k]!;
    }
    const sum = (column: Float64Array): number => column.reduce((a, b) => a + b, 0);
    return { hit: sum(hit) / sum(prompt), jain: jainIndex(Array.from(hit, (tokens, i) => tokens / prompt[i]!)) };
  };

  it.each([
    ['shares', 'tenantShare: 25%'],
    ['block-time', 'tenantShare: 25%, tenantBudget: blockTime'],
  ])('all tenants claim the longest time, budgets by %s: nobody has less than without, and it stays fair', async (_budget, params) => {
    const policy = retention('kvcast-soft@2', `${HONOUR}, ${params}`);
    const differences: number[] = [];
    for (const seed of SEEDS) {
      const modest = outcome(await run(traceWith({}, seed), [policy]));
      const inflated = outcome(await run(traceWith({ ttlMs: 3_600_000 }, seed), [policy]));
      differences.push(inflated.hit - modest.hit);
      expect(inflated.jain).toBeGreaterThanOrEqual(0.9);
    }
    // Claims of all cancel out, but for the sessions that they keep whole: the difference is noise, or a gain.
    expect(meanInterval(differences).hi).toBeGreaterThan(0);
  });
});
