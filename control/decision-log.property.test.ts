import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAdmission } from './admission/admission-presets.ts';
import { BranchTable } from './blocks.ts';
import { type PlaneFactory, recordPlane, replayLog } from './decision-log.ts';
import { createPlane } from './plane.ts';
import type { AttemptId, Effects, KvAction, RankFacts, RecordLevel, RouteRequest } from './ports.ts';
import { KV_STORED, KvEventBatch } from './ports.ts';
import { createRetention } from './retention/create-retention.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 40);

const FACTS: RankFacts = {
  blockTokens: 16,
  hbmBlocks: 200,
  hostBlocks: 400,
  maxBatchedTokens: 2048,
  blockBytes: 1000,
  prefillMsPerToken: 0.05,
  prefillMsPerPair: 1e-6,
};

const makeWith =
  (seed: number, ttl: unknown, recordLevel: RecordLevel): PlaneFactory =>
  (effects, branches) =>
    createPlane({
      branches,
      router: { preset: 'dynamo-kv@1' },
      retention: (env) => createRetention('kvcast-soft@1', { ttl }, env),
      seed,
      recordLevel,
      effects,
    });

/** Policies that ask for time, and sessions that wait. */
const makePatient =
  (seed: number, retention: string, admission: string): PlaneFactory =>
  (effects, branches) =>
    createPlane({
      branches,
      router: { preset: 'dynamo-kv@1' },
      retention: (env) => createRetention(retention, PATIENT[retention]!, env),
      admission: createAdmission(admission, admission === 'concur-aimd@1' ? { startSessions: 2 } : { programTokens: 900 }, branches),
      maxPauseMs: 20_000,
      seed,
      recordLevel: 'full',
      effects,
    });

const PATIENT: Readonly<Record<string, Record<string, unknown>>> = {
  'kvcast-auto@2': { idleClose: 15_000, tenantBudget: 'blockTime' },
  'session-reference@1': { idleClose: 9000 },
  'infercept@1': {},
  'sglang-soft@2': { priority: 5, ttl: 60_000, head: { tokens: 64, priority: 9 } },
};

const scripts = fc.array(
  fc.record({
    what: fc.nat(5),
    session: fc.nat(4),
    depth: fc.integer({ min: 1, max: 30 }),
    dt: fc.double({ min: 0, max: 5000, noNaN: true }),
  }),
  { minLength: 1, maxLength: 40 },
);

/** Drives a recorded plane like a shell would; returns its log. */
function drive(make: PlaneFactory, script: readonly { what: number; session: number; depth: number; dt: number }[]): string[] {
  const branches = new BranchTable();
  branches.add(-1, 0, 3);
  const system = branches.add(-1, 0, 6);
  const branch = Array.from({ length: 5 }, () => branches.add(system, 4, 40));
  const lines: string[] = [];
  const running: AttemptId[] = [];
  const actions: KvAction[] = [];
  let wakeMs = Number.POSITIVE_INFINITY;
  const effects: Effects = {
    dispatch: (request) => void running.push(request.attempt),
    refuse: () => undefined,
    act: (action) => void actions.push(action),
    wakeAt: (tMs) => void (wakeMs = Math.min(wakeMs, tMs)),
    decided: () => undefined,
  };
  const plane = recordPlane(make, effects, branches, (line) => void lines.push(line));
  for (let rank = 0; rank < 3; rank++) {
    plane.worker({ rank, state: 'joined', epoch: 0, key: `w${rank}/0`, facts: FACTS }, 0);
    plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
  }
  let now = 0;
  let attempt = 0;
  const seqs = [0, 0, 0];
  for (const { what, session, depth, dt } of script) {
    now += dt;
    while (wakeMs <= now) {
      const at = wakeMs;
      wakeMs = Number.POSITIVE_INFINITY;
      plane.timer(at);
    }
    const rank = session % 3;
    if (what <= 1) {
      const request: RouteRequest = {
        attempt,
        id: `s${session}/root/${attempt++}`,
        attemptNumber: 0,
        session,
        sessionKey: `s${session}`,
        tenant: 0,
        arrivalMs: now,
        promptTokens: depth * 16 + 3,
        branch: branch[session]!,
        depthBlocks: depth,
      };
      plane.request(request, now);
    } else if (what === 2 && running.length > 0) {
      const done = running.shift()!;
      plane.firstToken(done, now);
      plane.ended(done, { status: 'finished', stop: 'tool', outputTokens: depth, toolNames: ['Bash'] }, now);
    } else if (what === 3) {
      const batch = new KvEventBatch();
      batch.rank = rank;
      batch.seq = seqs[rank]!++;
      batch.publishedMs = now;
      batch.push(KV_STORED, 0, system, 0, 4);
      batch.push(KV_STORED, 0, branch[session]!, 0, depth);
      plane.kvEvents(batch, now);
    } else if (what === 4) {
      plane.report({ rank, asOfMs: now, waiting: depth, running: session, kvUsage: depth / 30 }, now);
      const action = actions.shift();
      if (action !== undefined) plane.settled(action.id, { result: 'clipped', appliedBlocks: 1, requestedBlocks: action.toBlocks }, now);
    } else plane.hint({ kind: 'sessionClosed', session }, now);
  }
  return lines;
}

describe('a recorded control plane', () => {
  it('replays to the same effects in a fresh plane, estimators and jitter included', () => {
    fc.assert(
      fc.property(scripts, fc.nat(), fc.constantFrom<unknown>(60_000, 'hazard', 'continuum-paper'), (script, seed, ttl) => {
        const make = makeWith(seed, ttl, 'full');
        const log = drive(make, script);
        const result = replayLog(log, make);
        expect(result.firstDifference).toBeUndefined();
        expect(result.effects).toBe(log.filter((l) => l.includes('"effect":')).length);
      }),
      { numRuns: RUNS },
    );
  });

  it('replays policies that are woken and sessions that wait', () => {
    const presets = fc.constantFrom(...Object.keys(PATIENT));
    const admissions = fc.constantFrom('concur-aimd@1', 'thunder-agent@1');
    fc.assert(
      fc.property(scripts, fc.nat(), presets, admissions, (script, seed, retention, admission) => {
        const make = makePatient(seed, retention, admission);
        const log = drive(make, script);
        expect(replayLog(log, make).firstDifference).toBeUndefined();
        // What happens later changes nothing before: no policy sees the future (retention:M6).
        const cut = drive(make, script.slice(0, Math.floor(script.length / 2)));
        expect(log.slice(0, cut.length)).toEqual(cut);
      }),
      { numRuns: RUNS },
    );
  });

  it('tells another policy apart where it first decides otherwise', () => {
    const steps = [0, 2, 0, 2].map((what) => ({ what, session: 1, depth: 10, dt: 100 }));
    const log = drive(makeWith(1, 60_000, 'off'), steps);
    const { firstDifference } = replayLog(log, makeWith(1, 30_000, 'off'));
    expect(firstDifference?.call).toContain('"call":"ended"');
    expect(firstDifference?.expected).toContain('"effect":"act"');
  });
});
