/** Causes of misses in whole runs: each mechanism produces its cause, and without it the cause is gone. Every run is checked in full. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { rollUpOf } from '../measure/causes.ts';
import { HAND_HEADER, handScenario, writeHandTrace } from './hand-run.fixture.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import { prepareTrace, startJob } from './simulate.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-causes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SCENARIO = { name: 'causes', contextLimit: '5k', maxBatchedTokens: 2048 };

interface TurnOf {
  readonly blocks: number;
  readonly out?: number;
  readonly pauseMs?: number;
  readonly stop?: string;
  /** First id of the prompt: another one is another content. */
  readonly first?: number;
}

function session(id: string, arrivalMs: number, turns: readonly TurnOf[]): object {
  const requests = turns.map((t, i) => ({
    startMs: i * 1000,
    in: t.blocks * 64 + 8,
    out: t.out ?? 4,
    runs: [[t.first ?? 1, (t.first ?? 1) + t.blocks - 1]],
    stop: t.stop ?? 'tool',
    ...(i === 0 ? {} : { pauseMs: t.pauseMs ?? 200 }),
    ...(i > 0 && (t.first ?? 1) !== (turns[i - 1]!.first ?? 1) ? { break: { keptTokens: 0 } } : {}),
  }));
  return { id, arrivalMs, agents: [{ id: 'root', model: 'm', requests }] };
}

function traceOf(name: string, sessions: readonly object[], header: object = HAND_HEADER): string {
  const file = join(folder, `${name}.kvtrace.jsonl`);
  writeHandTrace(file, sessions, header);
  return file;
}

/** Runs and checks the identity of every turn. */
async function simulate(file: string, sets: readonly string[] = []): Promise<ClusterRun> {
  const loaded = await loadScenario({ text: handScenario(file, SCENARIO), name: 'causes' }, { sets, policies: policyCatalogue() });
  const plan = planOf(loaded, { metrics: ['turn.e2e.mean'] });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(1000));
  const run = job.run();
  const { turns, causes, sources } = run;
  let missed = 0;
  for (let k = 0; k < turns.count; k++) {
    if (Number.isNaN(turns.admitMs[k]!)) continue;
    const runs = causes.runs(turns.rowOf(k));
    const sum = runs.reduce((total, r) => total + r.tokens, 0);
    expect(sum + turns.hitHbmTokens[k]! + turns.hitHostTokens[k]!).toBe(turns.promptTokens[k]!);
    const avoidable = runs.filter((r) => rollUpOf(r.cause) !== 'compulsory').reduce((total, r) => total + r.tokens, 0);
    expect(turns.avoidableTokens[k]).toBe(avoidable);
    missed += sum;
  }
  expect(sources.unknown).toBe(0);
  expect(sources.prompt - sources.delivered).toBe(missed);
  expect(sources.existed).toBeGreaterThanOrEqual(sources.captured);
  expect(sources.captured).toBeGreaterThanOrEqual(sources.delivered);
  return run;
}

const one = (key: string) => `fleet.pools.one.${key}`;
const avoidableOf = (run: ClusterRun): string[] => Object.keys(run.sources.causes).filter((c) => rollUpOf(c as 'cold') !== 'compulsory');

/** A long pause of one session, in which others push its 40 blocks out of a cache of 99. */
function pushedOut(name: string, pause: Partial<TurnOf>): string {
  const others = Array.from({ length: 4 }, (_, i) => session(`o${i}`, 300 + 200 * i, [{ blocks: 40 }]));
  return traceOf(name, [
    session('s', 0, [
      { blocks: 40, ...(pause.stop === undefined ? {} : { stop: pause.stop }) },
      { blocks: 42, pauseMs: 3000 },
    ]),
    ...others,
  ]);
}

describe('a mechanism produces its cause, and only that', () => {
  it('too little memory: evicted by the state of the session; endless memory: nothing', async () => {
    const tool = await simulate(pushedOut('tool', {}), [one('engine.with.kvBlocks=100')]);
    expect(avoidableOf(tool)).toEqual(['evicted_tool_pause']);
    const human = await simulate(pushedOut('human', { stop: 'turn' }), [one('engine.with.kvBlocks=100')]);
    expect(avoidableOf(human)).toEqual(['evicted_human_pause']);
    expect(avoidableOf(await simulate(pushedOut('endless', {})))).toEqual([]);
  });

  it('a router that forgets where a session was: routed elsewhere; one worker: nothing', async () => {
    const file = traceOf('routed', [session('s', 0, [{ blocks: 20 }, { blocks: 22 }, { blocks: 24 }])]);
    const run = await simulate(file, [one('workers=2')]);
    expect(avoidableOf(run)).toEqual(['routed_elsewhere']);
    expect(run.sources).toMatchObject({ existed: run.sources.delivered + run.sources.routing, captured: run.sources.delivered });
    expect(avoidableOf(await simulate(file))).toEqual([]);
  });

  it('a deadline: ttl expired, dropped or only left unprotected; without: nothing', async () => {
    const file = pushedOut('ttl', {});
    const small = one('engine.with.kvBlocks=100');
    const dropped = await simulate(file, ['control.retention={use: ttl-drop@1, with: {ttl: 500ms}}']);
    expect(avoidableOf(dropped)).toEqual(['ttl_expired']);
    const soft = await simulate(file, [small, 'control.retention={use: kvcast-soft@1, with: {ttl: 100ms}}']);
    expect(avoidableOf(soft)).toEqual(['ttl_expired']);
    expect(avoidableOf(await simulate(file, ['control.retention={use: ttl-drop@1, with: {ttl: 1h}}']))).toEqual([]);
    expect((await simulate(file, [small])).sources.ttl).toBe(0);
  });

  it('a pin that had to give way: claim broken', async () => {
    // Three live sessions of 40 blocks in 99, each pinned in its pause.
    const live = Array.from({ length: 3 }, (_, i) => session(`s${i}`, 300 * i, [{ blocks: 40 }, { blocks: 41, pauseMs: 3000 }]));
    const file = traceOf('pin', live);
    const pinned = 'control.retention={use: kvcast-soft@1, with: {ttl: 1h}}';
    expect(avoidableOf(await simulate(file, [one('engine.with.kvBlocks=100'), pinned]))).toEqual(['claim_broken']);
    expect(avoidableOf(await simulate(file, [one('engine.with.kvBlocks=100')]))).toEqual(['evicted_tool_pause']);
    expect(avoidableOf(await simulate(file, [pinned]))).toEqual([]);
  });

  it('a crash: worker lost', async () => {
    const file = traceOf('crash', [session('s', 0, [{ blocks: 20 }, { blocks: 22, pauseMs: 5000 }])]);
    const run = await simulate(file, ['fleet.faults=[{kind: crash, at: 2s, pool: one, worker: 0, for: 1s}]']);
    expect(avoidableOf(run)).toEqual(['worker_lost']);
    expect(avoidableOf(await simulate(file))).toEqual([]);
  });

  it('a load that is declined: tier too slow; a link without limits and loads always: nothing', async () => {
    const host = [one('engine.with.kvBlocks=100'), one('tiers.host.size=64GiB')];
    const file = pushedOut('host', {});
    const declined = await simulate(file, [...host, one('engine.with.onboard=never')]);
    expect(avoidableOf(declined)).toEqual(['tier_too_slow.onboard_declined']);
    expect(declined.sources.captured - declined.sources.delivered).toBe(declined.sources.tier);
    const slow = await simulate(file, [...host, one('engine.with.onboard=cheaper'), one('tiers.host.read=1MB/s')]);
    expect(slow.sources.tier).toBeGreaterThan(0);
    const fast = await simulate(file, [...host, one('tiers.host.read=1000GB/s'), one('tiers.host.write=1000GB/s')]);
    expect(fast.sources.tier).toBe(0);
    expect(fast.sources.host).toBeGreaterThan(0);
  });

  it('a host tier that takes only what was asked for twice: demote declined', async () => {
    const host = [one('engine.with.kvBlocks=100'), one('tiers.host.size=64GiB'), one('engine.with.storeThreshold=3')];
    expect(avoidableOf(await simulate(pushedOut('choosy', {}), host))).toEqual(['demote_declined']);
  });

  it('siblings at once on two workers: in flight; one after the other: elsewhere', async () => {
    const file = { ...HAND_HEADER, idScope: 'file' };
    const prompt = [{ blocks: 200, out: 2 }];
    const atOnce = traceOf('siblings', [session('a', 0, prompt), session('b', 15, prompt)], file);
    const inFlight = await simulate(atOnce, [one('workers=2'), 'fleet.contextLimit=20k']);
    expect(Object.keys(inFlight.sources.causes).sort()).toEqual(['cold', 'in_flight', 'routed_elsewhere', 'uncacheable']);
    const later = traceOf('later', [session('a', 0, prompt), session('b', 1000, prompt)], file);
    expect(avoidableOf(await simulate(later, [one('workers=2'), 'fleet.contextLimit=20k']))).toEqual(['routed_elsewhere']);
    expect(avoidableOf(await simulate(later, ['fleet.contextLimit=20k']))).toEqual([]);
  });

  it('another session that needs what a session left: shared', async () => {
    const others = Array.from({ length: 4 }, (_, i) => session(`o${i}`, 300 + 200 * i, [{ blocks: 40, first: 1000 * (i + 1) }]));
    const twice = [session('a', 0, [{ blocks: 40 }]), ...others, session('b', 3000, [{ blocks: 40 }])];
    const run = await simulate(traceOf('shared', twice, { ...HAND_HEADER, idScope: 'file' }), [one('engine.with.kvBlocks=100')]);
    expect(avoidableOf(run)).toEqual(['evicted_shared']);
  });

  it("a rewritten prompt: its prefix is broken, and that is nobody else's fault", async () => {
    const file = traceOf('broken', [session('s', 0, [{ blocks: 30 }, { blocks: 32, first: 500 }, { blocks: 10, first: 900 }])]);
    const { causes } = (await simulate(file)).sources;
    expect(causes).toEqual({
      uncacheable: 24,
      cold: 30 * 64,
      'prefix_broken.rewrite': 30 * 64,
      fresh: 2 * 64,
      'prefix_broken.compaction': 10 * 64,
    });
  });
});

describe('whole runs under stress', () => {
  const many = Array.from({ length: 14 }, (_, s) =>
    session(
      `s${s}`,
      s * 37,
      [1, 2, 3, 4, 5].map((k) => ({ blocks: 8 * k + s, out: 20 + 3 * s, pauseMs: 40 * s, stop: s % 2 === 0 ? 'tool' : 'turn' })),
    ),
  );
  const file = traceOf('many', many);
  const contents = Array.from({ length: 14 }, (_, s) =>
    session(
      `s${s}`,
      s * 37,
      [1, 2, 3, 4, 5].map((k) => ({ blocks: 8 * k + s, first: 1 + 1000 * (s % 3), out: 20 + 3 * s, pauseMs: 40 * s })),
    ),
  );
  const shared = traceOf('many-shared', contents, { ...HAND_HEADER, idScope: 'file' });

  const settings: readonly (readonly [string, string, readonly string[]])[] = [
    ['little memory', file, [one('workers=3'), one('engine.with.kvBlocks=130')]],
    ['contents that sessions share', shared, [one('workers=3'), one('engine.with.kvBlocks=90'), 'control.router=random@1']],
    ['soft pins', file, [one('workers=2'), one('engine.with.kvBlocks=150'), 'control.retention={use: kvcast-soft@1, with: {ttl: 300ms}}']],
    ['drops', file, [one('workers=2'), one('engine.with.kvBlocks=200'), 'control.retention={use: ttl-drop@1, with: {ttl: 150ms}}']],
    [
      'a small host tier',
      file,
      [one('workers=2'), one('engine.with.kvBlocks=110'), one('tiers.host.size=8GiB'), one('engine.with.storeThreshold=2')],
    ],
    [
      'preemptions and asynchronous steps',
      file,
      [one('engine.with.kvBlocks=100'), one('engine.with.reserveFullIsl=false'), one('engine.with.asyncDepth=2')],
    ],
    [
      'a crash and retries',
      file,
      [one('workers=2'), one('engine.with.kvBlocks=160'), 'fleet.faults=[{kind: crash, at: 400ms, pool: one, worker: 1, for: 300ms}]'],
    ],
  ];
  it.each(settings)('%s: each token has one cause, none is unknown, and both engines give the same', async (_name, trace, sets) => {
    const jump = await simulate(trace, sets);
    const reference = await simulate(trace, [...sets, one('engine.with.stepMode=reference')]);
    expect(jump.sources).toEqual(reference.sources);
    expect(jump.runHash).toBe(reference.runHash);
    expect(avoidableOf(jump).length).toBeGreaterThan(0);
  });
});
