/** Arbitrary chained sessions for property tests: prompts that extend, cut back, fork and return; agents that spawn and join. */
import fc from 'fast-check';
import type { TraceAgent, TraceRequest, TraceSession } from '../../traces/format.ts';
import { fixtureRequest } from './fixture-trace.ts';

/** One step of an agent: which earlier prompt it continues, how much of it it keeps, what it adds. */
interface Step {
  readonly back: number;
  readonly keep: number;
  readonly add: number;
  readonly tail: number;
  readonly out: number;
  readonly pauseMs: number;
  readonly apiMs: number;
  readonly stop: TraceRequest['stop'];
  readonly model: number;
}

interface AgentPlan {
  readonly steps: readonly Step[];
  readonly parent: number;
  readonly after: number;
  readonly on: 'dispatch' | 'completion';
  readonly delayMs: number;
  /** Requests between spawn and join; 0 = background. */
  readonly joinGap: number;
  readonly joinDelayMs: number;
  /** Starts its first prompt with ids of an agent before it. */
  readonly inherits: boolean;
  readonly toolTokens: number;
  readonly systemTokens: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  back: fc.nat(3),
  keep: fc.constantFrom(0, 0.3, 0.5, 0.7, 0.9, 1, 1, 1, 1),
  add: fc.nat(6),
  tail: fc.nat(63),
  out: fc.nat(200),
  pauseMs: fc.nat(20_000),
  apiMs: fc.nat(9000),
  stop: fc.constantFrom('tool' as const, 'tool' as const, 'turn' as const, 'unknown' as const),
  model: fc.nat(5),
});

const agent: fc.Arbitrary<AgentPlan> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 7 }),
  parent: fc.nat(3),
  after: fc.nat(7),
  on: fc.constantFrom('dispatch' as const, 'completion' as const),
  delayMs: fc.nat(3000),
  joinGap: fc.nat(2),
  joinDelayMs: fc.nat(2000),
  inherits: fc.boolean(),
  toolTokens: fc.nat(400),
  systemTokens: fc.nat(200),
});

/** Sessions of up to `agents` agents. With `scattered`, ids are not consecutive (and may be above 2^40). */
export function randomSessions(most: { sessions: number; agents: number; scattered?: boolean }): fc.Arbitrary<TraceSession[]> {
  const plans = fc.array(agent, { minLength: 1, maxLength: most.agents });
  return fc
    .tuple(fc.array(plans, { minLength: 1, maxLength: most.sessions }), fc.boolean())
    .map(([sessions, scatter]) => sessions.map((p, i) => sessionOf(i, p, (most.scattered ?? false) && scatter)));
}

function sessionOf(index: number, plans: readonly AgentPlan[], scattered: boolean): TraceSession {
  let nextId = 1;
  const fresh = (n: number) =>
    Array.from({ length: n }, () => (scattered ? ((nextId++ * 7_919) % 10_007) + (nextId % 3) * 2 ** 41 : nextId++));
  const prompts: number[][] = [];
  const agents: TraceAgent[] = [];
  for (const [i, plan] of plans.entries()) {
    const parent = i === 0 ? undefined : plan.parent % i;
    const inherited = plan.inherits && prompts.length > 0 ? prompts[0]! : [];
    const requests = requestsOf(plan, inherited, i * 1000, fresh, prompts);
    const base: TraceAgent = {
      id: `a${i}`,
      model: `m${plan.steps[0]!.model >> 2}`,
      toolTokens: plan.toolTokens,
      systemTokens: plan.systemTokens,
      requests,
    };
    agents.push(parent === undefined ? base : { ...base, parent, ...edges(plan, agents[parent]!.requests.length) });
  }
  return { id: `s${index}`, tenant: `t${index % 2}`, agents };
}

function edges(plan: AgentPlan, parentRequests: number): Pick<TraceAgent, 'spawn' | 'join'> {
  const after = plan.after % parentRequests;
  const spawn = { after, on: plan.on, delayMs: plan.delayMs };
  const before = after + plan.joinGap;
  return plan.joinGap > 0 && before < parentRequests ? { spawn, join: { before, delayMs: plan.joinDelayMs } } : { spawn };
}

function requestsOf(
  plan: AgentPlan,
  inherited: readonly number[],
  startMs: number,
  fresh: (n: number) => number[],
  prompts: number[][],
): TraceRequest[] {
  const mine: (readonly number[])[] = [inherited];
  const requests: TraceRequest[] = [];
  let at = startMs;
  for (const [i, s] of plan.steps.entries()) {
    const from = mine[Math.max(0, mine.length - 1 - s.back)]!;
    const ids = [...from.slice(0, Math.round(from.length * s.keep)), ...fresh(s.add)];
    mine.push(ids);
    prompts.push(ids);
    const pauses = i === 0 ? {} : { pauseMs: s.pauseMs, debiasedMs: Math.max(0, s.pauseMs - s.apiMs) };
    // Chained ids: a prompt of another model is another prompt, so only the name differs.
    requests.push(
      fixtureRequest(at, runsOf(ids), { tail: s.tail, out: s.out, stop: s.stop, apiMs: s.apiMs, model: `m${s.model >> 2}`, ...pauses }),
    );
    at += s.apiMs + s.pauseMs + 1;
  }
  return requests;
}

/** Maximal runs of consecutive ids. */
export function runsOf(ids: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const id of ids) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] + 1 === id) last[1] = id;
    else runs.push([id, id]);
  }
  return runs;
}
