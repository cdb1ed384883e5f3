/**
 * Metamorphic tests of retention specification 16.4 on whole runs: a change that must not matter, or matters in a known way. Each has a
 * twin that does change something, so that it can fail.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { KvAction, RetainRange, RouteRequest } from '../../control/ports.ts';
import { AgentRuns, agentSessions, evictedBlocks, passOn, type RunShim, tenantFates, turnFates } from './agent-runs.fixture.ts';
import type { PoolPlan } from './run-plan.ts';

const runs = new AgentRuns();
afterAll(() => runs.remove());

const one = (key: string): string => `fleet.pools.one.${key}`;
const engine = (key: string): string => one(`engine.with.${key}`);
const PRESSED = [engine('kvBlocks=450')];
const TWO = [one('workers=2'), engine('kvBlocks=320'), 'control.router=dynamo-kv@1'];
const soft = (ttl: string): string => `control.retention={use: kvcast-soft@2, with: {ttl: ${ttl}}}`;

describe('M3: all times twice as long and all rates half as high give the same decisions', () => {
  const scaled = (factor: number, ttl: string) => [
    ...TWO,
    soft(ttl),
    engine(`requestDelay=${5 * factor}ms`),
    `control.signals={netDelay: ${factor}ms, indexAge: ${2 * factor}ms, metricsAge: ${factor}s}`,
  ];
  const at = async (factor: number, ttl: string) =>
    runs.run(
      runs.trace(agentSessions({ sessions: 40, timeScale: factor })),
      scaled(factor, ttl),
      {},
      `{use: fixed@1, with: {stepMs: ${10 * factor}}}`,
    );

  it('with a time to keep that is scaled too', async () => {
    const [once, twice] = [await at(1, '400ms'), await at(2, '800ms')];
    expect(evictedBlocks(once)).toBeGreaterThan(1000);
    expect(turnFates(twice)).toEqual(turnFates(once).map((fate) => fate.map((value, i) => (i < 4 ? 2 * value : value))));
    expect(Array.from(twice.turns.worker)).toEqual(Array.from(once.turns.worker));
    expect(twice.sources).toEqual(once.sources);
  });

  it('and not with one that stays', async () => {
    expect((await at(2, '400ms')).sources).not.toEqual((await at(1, '400ms')).sources);
  });
});

describe('M4: blocks of twice the bytes in tiers of twice the size and speed give the same decisions', () => {
  const file = runs.trace(agentSessions({ sessions: 40 }));
  /** Room is counted in blocks: twice the bytes of both are as many. */
  const grown = (bytes: number, speed: number): RunShim => ({
    plan: (plan) => ({ ...plan, arms: plan.arms.map((arm) => ({ ...arm, pools: arm.pools.map((pool) => grow(pool, bytes, speed)) })) }),
  });
  const HOST = one('tiers.host={size: 8GiB, read: 2GB/s, write: 2GB/s, duplex: 3GB/s}');

  it.each(['session-reference@1', 'infercept@1', '{use: kvcast-soft@2, with: {ttl: 2s}}'])('under %s', async (preset) => {
    const at = (shim: RunShim) => runs.run(file, [...PRESSED, HOST, `control.retention=${preset}`], shim);
    const [once, twice] = [await at({}), await at(grown(2, 2))];
    expect(once.sources.host).toBeGreaterThan(0);
    expect(twice.runHash).toBe(once.runHash);
    expect(twice.counters[0]!.hostReadBytes).toBe(2 * once.counters[0]!.hostReadBytes);
    // Over links as slow as before they are not.
    expect((await at(grown(2, 1))).runHash).not.toBe(once.runHash);
  });
});

describe('M5: names do not matter', () => {
  const NAMED = { sessions: 40, tenants: ['a', 'b'], shared: 8, firstId: 1, name: 's' };
  const at = (renamed: Partial<typeof NAMED>) =>
    runs.run(runs.trace(agentSessions({ ...NAMED, ...renamed }), 'file'), [
      ...TWO,
      'control.retention={use: kvcast-soft@2, with: {ttl: 1s, jitter: 0, tenantShare: 30%}}',
    ]);

  it('of sessions, tenants and contents', async () => {
    const run = await at({});
    const renamed = await at({ name: 'another', tenants: ['zebra', 'ape'], firstId: 777_000_000 });
    expect(renamed.runHash).toBe(run.runHash);
    expect(renamed.sources).toEqual(run.sources);
    // Who is one tenant does.
    expect((await at({ tenants: ['a', 'a'] })).runHash).not.toBe(run.runHash);
  });
});

describe('M7: a tenant on a worker of its own changes nothing elsewhere', () => {
  const ours = agentSessions({ sessions: 25, tenants: ['ours'] });
  const theirs = agentSessions({ sessions: 25, tenants: ['theirs'], name: 'x', seed: 2 });
  /** Sends a tenant to the worker of its number; tenants are numbered in the order of the trace. */
  const apart: RunShim = {
    plane: (inner) => ({
      ...passOn(inner),
      request: (request, nowMs) => inner.request(withFields(request, { pin: request.tenant }), nowMs),
    }),
  };

  // Nodes of one worker, since host memory is shared; no policy that learns from pauses, since it learns from everybody's.
  it.each([soft('300ms'), 'control.retention=session-reference@1', 'control.retention=pin@2'])('under %s', async (retention) => {
    const sets = [...TWO, one('gpusPerNode=1'), one('tiers.host.size=8GiB'), retention];
    const alone = await runs.run(runs.trace(ours), sets, apart);
    const both = await runs.run(runs.trace([...ours, ...theirs]), sets, apart);
    expect(both.turns.count).toBeGreaterThan(alone.turns.count);
    expect(evictedBlocks(alone)).toBeGreaterThan(500);
    expect(tenantFates(both, 0)).toEqual(turnFates(alone));
    // On one worker they meet.
    const met = await runs.run(runs.trace([...ours, ...theirs]), [...sets, one('workers=1')]);
    expect(tenantFates(met, 0)).not.toEqual(turnFates(alone));
  });
});

describe('hints and actions in another shape', () => {
  const file = runs.trace(agentSessions({ sessions: 40 }));
  const RETAIN = 'control.retention={use: vllm-retain@2, with: {tenantMaxPriority: 100}}';
  /** Every second session asks to keep all of its prompts, in so many ranges one after the other. */
  const asking = (pieces: number): RunShim => ({
    plane: (inner) => ({
      ...passOn(inner),
      request(request, nowMs) {
        const at = (i: number): number => Math.floor((request.depthBlocks * i) / pieces);
        const retain = Array.from(
          { length: pieces },
          (_, i): RetainRange => ({ fromBlocks: at(i), toBlocks: at(i + 1), priority: 70, durationMs: 5000 }),
        );
        inner.request(request.session % 2 === 0 ? withFields(request, { hints: { retain } }) : request, nowMs);
      },
    }),
  });

  it('M8: a range in two or five adjacent ones leaves the same state', async () => {
    const whole = turnFates(await runs.run(file, [...PRESSED, RETAIN], asking(1)));
    for (const pieces of [2, 5]) expect(turnFates(await runs.run(file, [...PRESSED, RETAIN], asking(pieces)))).toEqual(whole);
    expect(turnFates(await runs.run(file, [...PRESSED, RETAIN]))).not.toEqual(whole);
  });

  /** Delivers what `chosen` names twice. */
  const twice = (chosen: (action: KvAction) => boolean): RunShim => ({
    effects: (outer) => ({
      dispatch: (...args) => outer.dispatch(...args),
      refuse: (...args) => outer.refuse(...args),
      wakeAt: (...args) => outer.wakeAt(...args),
      decided: (...args) => outer.decided(...args),
      act(action) {
        outer.act(action);
        if (chosen(action)) outer.act(action);
      },
    }),
  });

  it.each([
    soft('2s'),
    'control.retention={use: pin@2, with: {ttl: 2s}}',
    'control.retention=session-reference@1',
    'control.retention={use: trtllm@2, with: {priority: 80, ttl: 2s}}',
    'control.retention={use: sglang-soft@2, with: {priority: 50, ttl: 2s}}',
    'control.retention={use: vllm-retain@2, with: {priority: 60, ttl: 2s}}',
  ])('M9: an action that is delivered twice leaves the same state, under %s', async (retention) => {
    const once = await runs.run(file, [...PRESSED, retention]);
    const repeated = await runs.run(
      file,
      [...PRESSED, retention],
      twice(() => true),
    );
    expect(repeated.actions.sent).toBe(2 * once.actions.sent);
    expect(turnFates(repeated)).toEqual(turnFates(once));
  });

  it('M9: a close that is told twice is one close', async () => {
    const closing = (times: number): RunShim => ({
      plane: (inner) => ({
        ...passOn(inner),
        ended(attempt, end, nowMs) {
          inner.ended(attempt, end, nowMs);
          for (let i = 0; i < times && attempt % 3 === 0; i++)
            inner.hint(
              { kind: 'sessionClosed', session: attempt % 40, source: 'gateway', messageId: 'close', actionId: `${attempt}` },
              nowMs,
            );
        },
      }),
    });
    const sets = [...PRESSED, 'control.retention=session-reference@1'];
    const once = await runs.run(file, sets, closing(1));
    expect((await runs.run(file, sets, closing(2))).runHash).toBe(once.runHash);
    expect((await runs.run(file, sets, closing(0))).runHash).not.toBe(once.runHash);
  });
});

describe('M15: a claim that ends before the next block is needed changes nothing but counts', () => {
  /*
   * Steps of 10 ms, 1 ms to the client, 9 ms back to the scheduler, pauses and arrivals in tens: steps end, and blocks are allocated, at
   * 9 ms of every ten; a claim is told at 1 ms of them and a deadline of 2 ms after the response ends at 2 ms.
   */
  const file = runs.trace(agentSessions({ sessions: 40 }));
  const GRID = [...PRESSED, engine('requestDelay=9ms')];
  const claimed = (ttl: string): string => `control.retention={use: kvcast-soft@2, with: {ttl: ${ttl}, jitter: 0}}`;

  it('under trueLastAccess', async () => {
    const alone = await runs.run(file, GRID);
    const brief = await runs.run(file, [...GRID, claimed('2ms')]);
    expect(brief.actions.accepted).toBeGreaterThan(50);
    expect(turnFates(brief)).toEqual(turnFates(alone));
    expect(turnFates(await runs.run(file, [...GRID, claimed('2s')]))).not.toEqual(turnFates(alone));
  });
});

/** A request with other fields; its names are computed by the object that carries it. */
function withFields(request: RouteRequest, fields: Partial<RouteRequest>): RouteRequest {
  return { ...request, id: request.id, sessionKey: request.sessionKey, ...fields };
}

function grow(pool: PoolPlan, bytes: number, speed: number): PoolPlan {
  return {
    ...pool,
    blockBytes: pool.blockBytes * bytes,
    config: { ...pool.config, blockBytesPerGpu: pool.config.blockBytesPerGpu * bytes },
    hostReadBytesPerMs: pool.hostReadBytesPerMs * speed,
    hostWriteBytesPerMs: pool.hostWriteBytesPerMs * speed,
    hostDuplexBytesPerMs: pool.hostDuplexBytesPerMs * speed,
  };
}
