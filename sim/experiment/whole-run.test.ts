/** Whole runs small enough to check by hand: one worker, constant step time, a trace written on the spot. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { replayLog } from '../../control/decision-log.ts';
import { fnv1a32 } from '../../control/router/keyed-draw.ts';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { handScenario, writeHandTrace } from './hand-run.fixture.ts';
import { planOf } from './plan-of.ts';
import { buildPlane } from './policies.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import { clusterSpec, prepareTrace, startJob } from './simulate.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-whole-'));
afterAll(() => rmSync(folder, { recursive: true }));

function traceFile(name: string, sessions: readonly object[]): string {
  const file = join(folder, name);
  writeHandTrace(file, sessions);
  return file;
}

function turn(startMs: number, tokens: number, blocks: number, out: number, more: object = {}) {
  return { startMs, in: tokens, out, runs: [[1, blocks]], stop: 'tool', ...more };
}

const SCENARIO = { name: 'by-hand', contextLimit: '200k', maxBatchedTokens: 1024 };

async function simulate(file: string, sets: readonly string[] = []) {
  const loaded = await loadScenario({ text: handScenario(file, SCENARIO), name: 'by-hand' }, { sets, policies: policyCatalogue() });
  const plan = planOf(loaded, {
    metrics: ['turn.e2e.mean', 'turn.itl.mean', 'turn.queue.mean', 'session.completion.mean', 'engine.preemptions'],
  });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(1000));
  return { result: job.result(), run: job.run(), plan };
}

describe('two turns of one session', () => {
  // Prompt 1000 (15 blocks, one step of 1000 tokens), 3 tokens; pause 100 ms; prompt 1200 of which 15 blocks are cached.
  const file = traceFile('two.kvtrace.jsonl', [
    {
      id: 's',
      arrivalMs: 0,
      agents: [{ id: 'root', model: 'm', requests: [turn(0, 1000, 15, 3), turn(500, 1200, 18, 2, { pauseMs: 100 })] }],
    },
  ]);

  it('times follow from delays, steps and the pause', async () => {
    const { run } = await simulate(file);
    const t = run.turns;
    // 0 arrives, 5 at the scheduler, steps end at 15, 25, 35; the client has the end at 36 and pauses until 136.
    expect([t.arrivalMs[0], t.admitMs[0], t.firstTokenMs[0], t.lastTokenMs[0]]).toEqual([0, 5, 15, 35]);
    expect([t.arrivalMs[1], t.admitMs[1], t.firstTokenMs[1], t.lastTokenMs[1]]).toEqual([136, 141, 151, 161]);
    expect(run.plays.endMs[0]).toBe(162);
    expect(run.plays.activeMs[0]).toBe(62);
  });

  it('hits are whole blocks of the first prompt, and every token has a source', async () => {
    const { result, run } = await simulate(file);
    expect(Array.from(run.turns.hitHbmTokens.subarray(0, 2))).toEqual([0, 960]);
    expect(result.sources).toMatchObject({
      prompt: 2200,
      hbm: 960,
      host: 0,
      compulsory: 1240,
      existed: 960,
      captured: 960,
      delivered: 960,
    });
    // 1000 = 15 blocks + 40; 1200 = 18 blocks + 48, and the block with the end of the first prompt and its answer is another one now.
    expect(result.sources.causes).toEqual({ uncacheable: 88, cold: 960, fresh: 192 });
    expect(result.values['kv.hit.total']).toBeCloseTo(960 / 2200, 12);
    expect(result.values['turn.itl.mean']).toBeCloseTo(0.01, 4);
    expect(result.values['turn.e2e.mean']).toBeCloseTo((0.035 + 0.025) / 2, 12);
    expect(result.values['session.completion.mean']).toBeCloseTo(0.162, 12); // to the delivery of the last token
  });

  it('drop at the deadline: a pause of exactly the TTL still hits, one microsecond less does not', async () => {
    // The claim is set 1 ms after delivery of the end (36 + 1), its clock starts at 36; the next prompt reaches the worker at 141.
    const kept = await simulate(file, ['control.retention={use: ttl-drop@1, with: {ttl: 105ms}}']);
    const lost = await simulate(file, ['control.retention={use: ttl-drop@1, with: {ttl: 104.999ms}}']);
    expect(kept.run.turns.hitHbmTokens[1]).toBe(960);
    expect(lost.run.turns.hitHbmTokens[1]).toBe(0);
    expect(lost.result.sources).toMatchObject({ ttl: 960 });
  });
});

describe('whole runs under stress', () => {
  const many = Array.from({ length: 12 }, (_, s) => ({
    id: `s${s}`,
    arrivalMs: s * 7,
    agents: [
      {
        id: 'root',
        model: 'm',
        requests: [1, 2, 3, 4].map((k) => turn(k * 100, 1500 * k, Math.floor((1500 * k) / 64), 20 + s, k === 1 ? {} : { pauseMs: 30 * s })),
      },
    ],
  }));
  const file = traceFile('many.kvtrace.jsonl', many);

  for (const router of ['random@1', 'least-requests@1', 'dynamo-kv@1', 'session-hash@1']) {
    it(`${router}: everything ends once, tokens are conserved, jump equals reference`, async () => {
      const sets = [
        'fleet.pools.one.workers=3',
        'fleet.pools.one.engine.with.kvBlocks=3200',
        `control.router=${router}`,
        'control.retention={use: kvcast-soft@1, with: {ttl: 1s}}',
      ];
      const jump = await simulate(file, sets);
      const reference = await simulate(file, [...sets, 'fleet.pools.one.engine.with.stepMode=reference']);
      expect(jump.result.facts).toMatchObject({
        turns: 48,
        sessionsOffered: 12,
        sessionsCompleted: 12,
        sessionsFailed: 0,
        sessionsCensored: 0,
      });
      const s = jump.result.sources;
      expect(s.prompt).toBe(12 * 1500 * (1 + 2 + 3 + 4));
      expect(s.unknown).toBe(0);
      expect(jump.result.sources).toEqual(reference.result.sources);
      expect(jump.result.runHash).toBe(reference.result.runHash);
    });
  }

  it.each([
    ['kvBlocks=3200', 'asyncDepth=2'],
    ['kvBlocks=320', 'asyncDepth=2', 'longPrefillThreshold=256'],
    ['kvBlocks=320', 'asyncDepth=2', 'policy=priority'],
  ])('scheduling a step ahead jumps by default, and equals reference with %s', async (...settings) => {
    const sets = ['fleet.contextLimit=20k', ...settings.map((setting) => `fleet.pools.one.engine.with.${setting}`)];
    const jump = await simulate(file, sets);
    const reference = await simulate(file, [...sets, 'fleet.pools.one.engine.with.stepMode=reference']);
    expect(jump.result.facts).toMatchObject({ turns: 48, sessionsCompleted: 12 });
    expect(jump.result.runHash).toBe(reference.result.runHash);
    const synchronous = await simulate(
      file,
      sets.filter((set) => !set.endsWith('asyncDepth=2')),
    );
    expect(jump.result.runHash).not.toBe(synchronous.result.runHash);
    const total = (counts: typeof jump.run.counters) => counts.reduce((sum, c) => sum + c.events, 0);
    expect(total(jump.run.counters)).toBeLessThan(total(reference.run.counters));
  });

  it.each([
    ['retention=session-reference@1'],
    ['retention=kvcast-auto@2'],
    ['retention=infercept@1'],
    ['retention={use: trtllm@2, with: {priority: 20}}'],
    ['retention={use: trtllm@2, with: {priority: 80, ttl: 5s}}'],
    ['admission=thunder-agent@1'],
    ['admission=concur-aimd@1'],
  ])('policies act alike on both engines under pressure: %s', async (setting) => {
    const sets = ['fleet.contextLimit=20k', 'fleet.pools.one.engine.with.kvBlocks=320', `control.${setting}`];
    const jump = await simulate(file, sets);
    const reference = await simulate(file, [...sets, 'fleet.pools.one.engine.with.stepMode=reference']);
    expect(jump.result.facts).toMatchObject({ turns: 48, sessionsCompleted: 12 });
    expect(jump.result.runHash).toBe(reference.result.runHash);
    if (setting.startsWith('retention')) expect(jump.result.facts.actionsSent).toBeGreaterThan(0);
    const { workers } = clusterSpec(jump.plan, jump.plan.arms[0]!, jump.run.workload, 0, null).fleet;
    expect(workers.map((w) => w.config.defaultPriority)).toEqual([setting.includes('trtllm') ? 35 : undefined]);
  });

  it('a request that takes longer than the timeout is cancelled, tried again, and given up after the last retry', async () => {
    const slow = traceFile('slow.kvtrace.jsonl', [
      { id: 's', arrivalMs: 0, agents: [{ id: 'root', model: 'm', requests: [turn(0, 1000, 15, 300)] }] },
    ]);
    const { result, run } = await simulate(slow, ['workload.timeout.request=1s']);
    expect(run.turns.attempts[0]).toBe(3);
    expect(result.facts).toMatchObject({ sessionsFailed: 1, sessionsCompleted: 0 });
  });

  it('the recorded decision log replays to the same effects, and tells when the policy is another', async () => {
    const sets = [
      'fleet.pools.one.workers=3',
      'run.record=[decisions]',
      'control.router=dynamo-kv@1',
      'control.retention={use: kvcast-soft@1, with: {ttl: 1s}}',
    ];
    const { result } = await simulate(file, sets);
    const lines = result.decisionsLog!.trimEnd().split('\n');
    const seed = fnv1a32('42/0/router');
    const retention = { use: 'kvcast-soft@1', with: { ttl: 1000 } };
    const same = replayLog(lines, (effects, branches) =>
      buildPlane({ router: { use: 'dynamo-kv@1', with: {} }, retention }, seed, 'compact', branches, effects),
    );
    expect(same.firstDifference).toBeUndefined();
    expect(same.calls).toBeGreaterThan(100);
    const other = replayLog(lines, (effects, branches) =>
      buildPlane({ router: { use: 'random@1', with: {} }, retention }, seed, 'compact', branches, effects),
    );
    expect(other.firstDifference).toBeDefined();
  });

  it('a horizon without drain censors what is open', async () => {
    const { result } = await simulate(file, ['run.horizon=300ms', 'run.drain=false']);
    expect(result.facts.sessionsCensored).toBeGreaterThan(0);
    expect(result.facts.sessionsCompleted + result.facts.sessionsCensored + result.facts.sessionsFailed).toBe(result.facts.sessionsOffered);
  });
});
