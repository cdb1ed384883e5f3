import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TraceRequest, TraceSession } from '../../traces/format.ts';
import { E1, E2, fixtureRequest, fixtureTrace, turnFacts } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { randomSessions, runsOf } from './random-sessions.ts';
import type { Workload } from './workload.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const RUNS = Number(process.env.KVCAST_RUNS ?? 50);
const BASE: WorkloadOptions = {
  ...{ ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e9 },
  arrivals: { mode: 'open', process: 'gamma', cv: 1.2, ratePerMs: 1 / 60_000 },
};
const CLOSED = { mode: 'closed', concurrency: 3, rampUpMs: 1000, start: 'cold', respawnMs: 500 } as const;
const FIVE = Array.from(
  { length: 5 },
  (_, i): TraceSession => ({ ...E1, id: `s${i}`, agents: [{ ...E1.agents[0]!, requests: E1.agents[0]!.requests.slice(0, i + 1) }] }),
);

const common = ({ branches, turns }: Workload, x: number, y: number) =>
  branches.commonDepth(turns.branch(x), turns.depthBlocks(x), turns.branch(y), turns.depthBlocks(y));
/** What two workloads of the same draws agree in. A leaf is told by where it hangs: its id is the next one. */
const columns = ({ turns, branches }: Workload) => [
  ...(['promptTokens', 'pauseMs', 'pauseKind', 'turnClass', 'branch', 'depthBlocks', 'reusableTokens'] as const).map((name) =>
    turnFacts(turns, name),
  ),
  Array.from({ length: turns.count }, (_, turn) => {
    const leaf = turns.openLeaf(turn);
    return [branches.parent[leaf], branches.start[leaf], branches.length[leaf]];
  }),
];

describe('block sizes (worked examples of the trace specification)', () => {
  const oneAgent = (requests: TraceRequest[]): TraceSession[] => [{ id: 's', agents: [{ id: 'root', model: 'm', requests }] }];
  const pair = fixtureTrace(
    oneAgent([
      fixtureRequest(0, [[5, 7]], { in: 220 }),
      fixtureRequest(
        1,
        [
          [5, 6],
          [9, 9],
        ],
        { in: 192 },
      ),
    ]),
  );
  const at = (blockTokens: number) => materialiseWorkload(pair, { ...BASE, blockTokens, resample: 'none' }, 1, 0);

  it('64 to 16: 220 tokens are 13 full engine blocks, 12 of them with an identity, and 8 are shared with a prompt that differs in the third id', () => {
    const w = at(16);
    expect(w.turns.depthBlocks(0)).toBe(12);
    const leaf = w.turns.openLeaf(0);
    expect(w.branches.start[leaf]).toBe(12);
    expect(common(w, 0, 1)).toBe(8);
  });

  it('64 to 128: one full block; 64 to 96: an error that lists what works', () => {
    expect(at(128).turns.depthBlocks(0)).toBe(1);
    expect(() => at(96)).toThrow(/E_TRACE_BLOCK_SIZE .*got engine blocks of 96 .* 1, 2, 4, 8, 16, 32, 64, 128, 256, 512/);
  });

  it('512 labelled to 64: 700 tokens with two ids are 10 full blocks', () => {
    const trace = fixtureTrace(oneAgent([{ startMs: 0, in: 700, out: 1, runs: [[1, 2]], stop: 'turn' }]), {
      blockTokens: 512,
      partialTail: 'labelled',
    });
    expect(materialiseWorkload(trace, { ...BASE, resample: 'none' }, 1, 0).turns.depthBlocks(0)).toBe(10);
    const padded = materialiseWorkload(trace, { ...BASE, blockTokens: 512, partialTail: 'padded', resample: 'none' }, 1, 0);
    expect([padded.turns.depthBlocks(0), padded.turns.promptTokens(0)]).toEqual([2, 1024]);
  });
});

describe('materialised workload', () => {
  it('is the same for the same seed and replication, and another one otherwise', () => {
    const trace = fixtureTrace(FIVE);
    const one = materialiseWorkload(trace, BASE, 42, 3);
    const same = materialiseWorkload(fixtureTrace(FIVE), { ...BASE }, 42, 3);
    expect(same.hash).toBe(one.hash);
    expect(columns(same)).toEqual(columns(one));
    expect(materialiseWorkload(trace, BASE, 42, 4).hash).not.toBe(one.hash);
    expect(materialiseWorkload(trace, BASE, 43, 3).hash).not.toBe(one.hash);
    expect(materialiseWorkload(trace, { ...BASE, gapCapMs: 1e6 }, 42, 3).hash).not.toBe(one.hash);
  });

  it('does not depend on the order in which the sessions of a trace were read', () => {
    const forth = materialiseWorkload(fixtureTrace(FIVE), BASE, 42, 0);
    const back = materialiseWorkload(fixtureTrace([...FIVE].reverse()), BASE, 42, 0);
    expect(back.hash).toBe(forth.hash);
    expect(columns(back)).toEqual(columns(forth));
  });

  it('does not depend on the names of ids, agents and tenants: same branches, same reuse', () => {
    const renamed = (sessions: readonly TraceSession[]): TraceSession[] =>
      sessions.map((s) => ({
        ...s,
        tenant: `renamed ${s.tenant}`,
        agents: s.agents.map((a) => ({
          ...a,
          id: `renamed ${a.id}`,
          requests: a.requests.map((r) => ({
            ...r,
            // Injective, and no two ids stay neighbours.
            runs: runsOf(r.runs.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => 20_003 - 3 * (first + i)))),
          })),
        })),
      }));
    fc.assert(
      fc.property(
        randomSessions({ sessions: 3, agents: 3 }),
        fc.constantFrom('none' as const, 'tools+system' as const),
        (sessions, sharing) => {
          const plain = materialiseWorkload(fixtureTrace(sessions), { ...BASE, sharing }, 42, 0);
          const other = materialiseWorkload(fixtureTrace(renamed(sessions)), { ...BASE, sharing }, 42, 0);
          expect(columns(other)).toEqual(columns(plain));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('has one identity for arms that hear other hints or have other block sizes', () => {
    const trace = fixtureTrace(FIVE);
    const { hash } = materialiseWorkload(trace, BASE, 42, 0);
    expect(materialiseWorkload(trace, { ...BASE, blockTokens: 16, hintShare: 0.5, contextLimit: 1e6 }, 42, 0).hash).toBe(hash);
    expect(materialiseWorkload(trace, { ...BASE, contextLimit: 525 }, 42, 0).hash).not.toBe(hash);
  });

  it('lets a share of the plays use the fleet prefix, others the tools of their model', () => {
    const w = materialiseWorkload(fixtureTrace([E1]), { ...BASE, sharing: 'fleet', fleetShare: 0.5, sessions: 400 }, 42, 0);
    // T 130, Y 70: 2 tool blocks; the fleet prefix has 3.
    const like = (turn: number) => Array.from({ length: 400 }, (_, p) => common(w, turn, 6 * p));
    const [zero, two, three] = [0, 2, 3].map((depth) => like(0).filter((d) => d === depth).length);
    const mine = like(0).some((d) => d === 3) ? three! : two!;
    expect(zero! + mine + 1).toBe(400);
    expect(Math.abs(mine / 400 - 0.5)).toBeLessThan(0.1);
  });

  it('keeps the first plays when more are asked for', () => {
    const trace = fixtureTrace(FIVE);
    const few = materialiseWorkload(trace, { ...BASE, sessions: 10 }, 42, 0);
    const many = materialiseWorkload(trace, { ...BASE, sessions: 20 }, 42, 0);
    expect(many.plays.count).toBe(20);
    expect(many.plays.session.slice(0, 10)).toEqual(few.plays.session.slice(0, 10));
    expect(many.plays.startMs.slice(0, 10)).toEqual(few.plays.startMs.slice(0, 10));
  });

  it('plays each session once under jitter and none, and draws by weight under bootstrap', () => {
    const trace = fixtureTrace(FIVE);
    const sessions = (choices: Partial<WorkloadOptions>) => {
      const { plays } = materialiseWorkload(trace, { ...BASE, ...choices }, 42, 0);
      return [...plays.session.slice(0, plays.count)];
    };
    expect(sessions({ resample: 'none' })).toEqual([0, 1, 2, 3, 4]);
    expect(sessions({ resample: 'jitter' }).sort()).toEqual([0, 1, 2, 3, 4]);
    const drawn = sessions({
      sessions: 4000,
      weights: new Map([
        ['s0', 0],
        ['s4', 5],
      ]),
    });
    const share = (s: number) => drawn.filter((d) => d === s).length / drawn.length;
    expect(share(0)).toBe(0);
    // Weights 1, 1, 1, 5: the standard error of 5/8 on 4000 draws is 0.0077.
    expect(Math.abs(share(4) - 5 / 8)).toBeLessThan(0.03);
    expect(() => sessions({ resample: 'none', sessions: 6 })).toThrow(/E_RANGE workload.sessions/);
  });

  it('starts recorded sessions at their arrivals, in order of time, and refuses a trace without arrivals', () => {
    const recorded = { ...BASE, resample: 'none', arrivals: { mode: 'recorded' }, scaleLoad: 2 } as const;
    const arriving = FIVE.map((s, i) => ({ ...s, arrivalMs: (7 * (i + 2)) % 5 }));
    const { plays, initialPlays } = materialiseWorkload(fixtureTrace(arriving), recorded, 1, 0);
    expect([...initialPlays].map((p) => plays.startMs[p])).toEqual([0, 1, 1, 2, 2]);
    expect(() => materialiseWorkload(fixtureTrace(FIVE), recorded, 1, 0)).toThrow(/E_TRACE_NO_ARRIVALS/);
  });

  it('draws the successors of a slot by (slot, j), in whatever order they are asked for', () => {
    const trace = fixtureTrace(FIVE);
    const make = () => materialiseWorkload(trace, { ...BASE, arrivals: CLOSED }, 42, 0);
    const asked: [number, number][] = [
      [0, 1],
      [2, 1],
      [0, 2],
      [1, 1],
    ];
    const describeAll = (w: Workload, order: [number, number][]) =>
      new Map(
        order.map(([slot, j]) => {
          const play = w.successor(slot, j);
          return [w.playName(play), [w.plays.session[play], w.plays.slot[play], w.plays.ordinal[play]]];
        }),
      );
    const forth = describeAll(make(), asked);
    const back = describeAll(make(), [...asked].reverse());
    for (const [name, play] of forth) expect(back.get(name)).toEqual(play);
    expect([...forth.keys()]).toEqual(['s0.1', 's2.1', 's0.2', 's1.1']);
  });

  it('retires slots when the number of sessions is limited', () => {
    const w = materialiseWorkload(fixtureTrace(FIVE), { ...BASE, sessions: 4, arrivals: CLOSED }, 42, 0);
    expect(w.initialPlays.length).toBe(3);
    expect([w.successor(0, 1), w.successor(1, 1), w.successor(2, 1)]).toEqual([3, -1, -1]);
  });

  it('grows and leaves what was there', () => {
    const w = materialiseWorkload(fixtureTrace([E2]), { ...BASE, arrivals: CLOSED }, 42, 0);
    const before = columns(w);
    for (let j = 1; j < 500; j++) w.successor(0, j);
    expect(w.turns.count).toBe(6 * 502);
    expect(columns(w).map((c) => c.slice(0, 18))).toEqual(before);
    expect(w.turnName(6 * 400 + 3)).toBe('s0.398/A/1');
  });

  it('labels turns by class and pauses by kind', () => {
    const e1 = materialiseWorkload(fixtureTrace([E1]), { ...BASE, resample: 'none' }, 1, 0).turns;
    // Stops tool, tool, unknown, tool, turn before the turns 1 to 5.
    expect([...turnFacts(e1, 'pauseKind', 6)]).toEqual([0, 1, 1, 4, 1, 2]);
    expect([...turnFacts(e1, 'turnClass', 6)]).toEqual([0, 4, 4, 4, 4, 3]);
    const e2 = materialiseWorkload(fixtureTrace([E2]), { ...BASE, resample: 'none' }, 1, 0).turns;
    expect([...turnFacts(e2, 'turnClass', 6)]).toEqual([0, 2, 1, 1, 1, 1]);
  });

  it('applies mode, scale and cap to pauses, in this order', () => {
    const pauses = (choices: Partial<WorkloadOptions>) =>
      turnFacts(materialiseWorkload(fixtureTrace([E1]), { ...BASE, resample: 'none', ...choices }, 1, 0).turns, 'pauseMs', 6);
    expect(pauses({ pauses: 'recorded' })).toEqual([0, 10_000, 0, 27_444, 3000, 2000]);
    expect(pauses({})).toEqual([0, 4000, 0, 25_444, 1000, 1000]);
    expect(pauses({ scalePause: 0.5, gapCapMs: 10_000 })).toEqual([0, 2000, 0, 10_000, 500, 500]);
  });

  it('spreads equal arrivals and whole-second pauses over the quantum of the trace on request', () => {
    const session = (i: number): TraceSession => ({ ...E1, id: `s${i}`, arrivalMs: 3000 * (i >> 1) });
    const plain = fixtureTrace([0, 1, 2, 3].map(session));
    const trace = { ...plain, header: { ...plain.header, interpretation: { ...plain.header.interpretation, quantumMs: 1000 } } };
    const options = { ...BASE, resample: 'none', arrivals: { mode: 'recorded' } } as const;
    const exact = materialiseWorkload(trace, options, 1, 0);
    const spread = materialiseWorkload(trace, { ...options, dequantise: true }, 1, 0);
    expect([...spread.initialPlays]).toEqual([0, 1, 2, 3]);
    const moved = [0, 1, 2, 3].map((p) => spread.plays.startMs[p]! - exact.plays.startMs[p]!);
    for (const ms of moved) expect(ms > 0 && ms <= 1000).toBe(true);
    expect(new Set(moved).size).toBe(4);
    for (let t = 0; t < exact.turns.count; t++) {
      const by = spread.turns.pauseMs(t) - exact.turns.pauseMs(t);
      expect(Math.abs(by) <= 500 && spread.turns.pauseMs(t) >= 0).toBe(true);
      if (t % 6 === 0) expect(by).toBe(0);
    }
    expect(spread.turns.pauseMs(1)).not.toBe(spread.turns.pauseMs(7));
  });

  it('replays children ignored: the joining pause counts from the own response', () => {
    const root = (pauses: 'recorded' | 'debiased') =>
      materialiseWorkload(fixtureTrace([E2]), { ...BASE, agents: 'root', resample: 'none', pauses }, 1, 0);
    // t 180 - (100 + 5) = 75 s; minus the own service time of 8 s.
    expect([...turnFacts(root('recorded').turns, 'pauseMs', 2)]).toEqual([0, 75_000]);
    expect([...turnFacts(root('debiased').turns, 'pauseMs', 2)]).toEqual([0, 67_000]);
    expect([root('recorded').turns.count, root('recorded').turns.edges(1)]).toEqual([2, 0]);
  });

  it('cuts a session at its first overlong request, and with it the agents that would start later', () => {
    const later = { ...E2.agents[2]!, id: 'C', spawn: { after: 1, on: 'completion', delayMs: 0 } as const };
    const { join: _, ...background } = later;
    const session: TraceSession = {
      id: 's',
      agents: [
        { ...E2.agents[0]!, requests: [E2.agents[0]!.requests[0]!, { ...E2.agents[0]!.requests[1]!, in: 770 + 64 * 10, runs: [[1, 22]] }] },
        ...E2.agents.slice(1),
        background,
      ],
    };
    const w = materialiseWorkload(fixtureTrace([session]), { ...BASE, contextLimit: 1000, overlong: 'truncate', resample: 'none' }, 1, 0);
    expect(w.facts).toMatchObject({ sessionsTruncated: 1, sessionsExcluded: 0 });
    // Root keeps one request, A and B stay as background agents, C is gone.
    expect([w.agents.count, w.turns.count, ...w.agents.joinBefore.slice(0, 3)]).toEqual([3, 5, -1, -1, -1]);
  });

  it('replays zero outputs as one token, counts them, and replaces all by one on request', () => {
    const session: TraceSession = {
      id: 's',
      agents: [{ id: 'root', model: 'm', requests: [fixtureRequest(0, [[1, 2]], { out: 0 }), fixtureRequest(1, [[1, 3]], { out: 9 })] }],
    };
    const outputs = (o: 'recorded' | 'one') =>
      materialiseWorkload(fixtureTrace([session]), { ...BASE, outputs: o, resample: 'none' }, 1, 0);
    expect([...turnFacts(outputs('recorded').turns, 'outputTokens', 2), outputs('recorded').facts.zeroOutputs]).toEqual([1, 9, 1]);
    expect([...turnFacts(outputs('one').turns, 'outputTokens', 2)]).toEqual([1, 1]);
  });

  it('passes on the queue class that a session asks for', () => {
    const requests = [fixtureRequest(0, [[1, 2]])];
    const sessions = ['batch', undefined, 'default'].map(
      (name, i): TraceSession => ({
        id: `s${i}`,
        ...(name === undefined ? {} : { class: name }),
        agents: [{ id: 'root', model: 'm', requests }],
      }),
    );
    const w = materialiseWorkload(fixtureTrace(sessions), { ...BASE, resample: 'none' }, 1, 0);
    expect([0, 1, 2].map((play) => w.queueClass(play))).toEqual(['batch', undefined, undefined]);
  });

  it('passes hints through, request over session, and picks hinting clients by a keyed draw', () => {
    const session: TraceSession = {
      id: 's',
      hints: { priority: 3, osl: 100 },
      agents: [{ id: 'root', model: 'm', requests: [fixtureRequest(0, [[1, 2]]), fixtureRequest(1, [[1, 3]], { hints: { osl: 7 } })] }],
    };
    const w = materialiseWorkload(fixtureTrace([session]), { ...BASE, sessions: 400, hintShare: 0.25 }, 1, 0);
    expect([w.hints(0), w.hints(1)]).toEqual([
      { priority: 3, osl: 100 },
      { priority: 3, osl: 7 },
    ]);
    const plays = [...w.initialPlays];
    const count = plays.filter((p) => w.plays.sendsHints[p] === 1).length;
    expect(Math.abs(count / 400 - 0.25)).toBeLessThan(0.08);
    for (const p of plays) {
      expect(w.hinting(p, 0.25)).toBe(w.plays.sendsHints[p] === 1);
      if (w.hinting(p, 0.25)) expect(w.hinting(p, 0.5)).toBe(true);
    }
  });
});

describe('scale.context', () => {
  it('leaves tools and system alone and stretches what comes after', () => {
    const requests = [
      fixtureRequest(0, [[1, 6]], { tail: 10, out: 20 }),
      fixtureRequest(
        1,
        [
          [1, 4],
          [9, 9],
        ],
        { out: 5 },
      ),
    ];
    const session: TraceSession = { id: 's', agents: [{ id: 'root', model: 'm', toolTokens: 64, systemTokens: 64, requests }] };
    const w = materialiseWorkload(fixtureTrace([session]), { ...BASE, scaleContext: 2, resample: 'none' }, 1, 0);
    // 128 + 2 * (394 - 128) = 660; kept 4 blocks = 256 tokens -> 128 + 2 * 128 = 384 = 6 blocks.
    expect([...turnFacts(w.turns, 'promptTokens', 2)]).toEqual([660, 512]);
    expect([...turnFacts(w.turns, 'outputTokens', 2)]).toEqual([40, 10]);
    expect([...turnFacts(w.turns, 'depthBlocks', 2)]).toEqual([10, 8]);
    expect([common(w, 0, 1), w.turns.reusableTokens(1)]).toEqual([6, 384]);
  });

  it('stretches every common prefix of a lone agent like a prompt of that length', () => {
    fc.assert(
      fc.property(randomSessions({ sessions: 1, agents: 1 }), fc.constantFrom(0.4, 1.5, 3), (sessions, scaleContext) => {
        const trace = fixtureTrace(sessions);
        const choices = { ...BASE, modelIdentity: 'ignore', resample: 'none' } as const;
        const plain = materialiseWorkload(trace, choices, 1, 0);
        const scaled = materialiseWorkload(trace, { ...choices, scaleContext }, 1, 0);
        const prefix = trace.agent.toolTokens[0]! + trace.agent.systemTokens[0]!;
        const stretch = (blocks: number) => {
          const tokens = blocks * 64;
          return Math.floor((tokens <= prefix ? tokens : Math.round(prefix + scaleContext * (tokens - prefix))) / 64);
        };
        for (let x = 0; x < plain.turns.count; x++) {
          expect(scaled.turns.depthBlocks(x)).toBe(stretch(plain.turns.depthBlocks(x)));
          for (let y = 0; y < x; y++) expect(common(scaled, x, y)).toBe(stretch(common(plain, x, y)));
        }
      }),
      { numRuns: RUNS },
    );
  });
});
