/** Null tests of retention specification 16.3 on whole runs: what must not matter does not, and the test could tell if it did. */
import { afterAll, describe, expect, it } from 'vitest';
import type { KvHint } from '../../control/ports.ts';
import { AgentRuns, agentSessions, evictedBlocks, passOn, type RunShim, turnFates } from './agent-runs.fixture.ts';

const runs = new AgentRuns();
afterAll(() => runs.remove());

const SESSIONS = agentSessions({ sessions: 40, tenants: ['a', 'b', 'c'] });
const file = runs.trace(SESSIONS);
/** So many live at once that admission has something to do. */
const dense = runs.trace(agentSessions({ sessions: 60, arrivalMs: 20, pauseMs: 3000 }));
const engine = (key: string): string => `fleet.pools.one.engine.with.${key}`;
const retention = (preset: string): string => `control.retention=${preset}`;
/** So little room that blocks are evicted which somebody needs again. */
const PRESSED = [engine('kvBlocks=450')];
const AMPLE_BLOCKS = 8000;
const AMPLE = [engine(`kvBlocks=${AMPLE_BLOCKS}`)];

const run = (sets: readonly string[], shim?: RunShim, trace = file) => runs.run(trace, sets, shim);
const baseline = await run(PRESSED);
const ample = await run(AMPLE);

describe('N1: with room for 1.5 times what lives, nothing that only orders victims changes a turn', () => {
  it('the room is ample, and pressure would be seen', () => {
    const blocks = SESSIONS.map(({ agents: [{ requests }] }) => Math.ceil((requests.at(-1)!.in + requests.at(-1)!.out) / 64));
    // What lives at a time is at most all that is ever written, but for the answers that the next prompt does not repeat.
    expect(AMPLE_BLOCKS).toBeGreaterThan(1.5 * (blocks.reduce((sum, n) => sum + n, 0) + 6 * SESSIONS.length));
    expect([evictedBlocks(ample), evictedBlocks(baseline) > 1000]).toEqual([0, true]);
    expect(turnFates(baseline)).not.toEqual(turnFates(ample));
  });

  it.each([
    'kvcast-auto@2',
    'session-reference@1',
    'pin@2',
    'infercept@1',
    'trtllm@2',
    'vllm-retain@2',
    'mooncake-soft@1',
    '{use: kvcast-soft@2, with: {ttl: 5m}}',
    '{use: kvcast-soft@2, with: {ttl: hazard}}',
    '{use: kvcast-soft@2, with: {ttl: ski}}',
    '{use: kvcast-soft@2, with: {ttl: continuum-paper}}',
    '{use: trtllm@2, with: {priority: 80, ttl: 2s}}',
    '{use: sglang-soft@2, with: {priority: 50, ttl: 1m}}',
    '{use: vllm-retain@2, with: {priority: 60, ttl: 1m}}',
  ])('%s', async (preset) => {
    expect(turnFates(await run([...AMPLE, retention(preset)]))).toEqual(turnFates(ample));
  });

  it.each(['lfu', 'slru', 'fifo', 'mru'])('ranker %s', async (ranker) => {
    const other = await run([...AMPLE, engine(`ranker=${ranker}`), engine('stepMode=reference')]);
    expect(other.runHash).toBe(ample.runHash);
  });
});

describe('N2: no hints, or only refused ones, are the engine alone', () => {
  it.each([
    '{use: pin@2, with: {ttl: 0s, cacheControl: honour}}',
    '{use: kvcast-soft@2, with: {ttl: 0s, cacheControl: honour}}',
    '{use: sglang-pin@1, with: {budget: 0.6}}',
    'vllm-retain@2',
  ])('%s without hints', async (preset) => {
    expect((await run([...PRESSED, retention(preset)])).runHash).toBe(baseline.runHash);
  });

  const hinted = runs.trace(agentSessions({ sessions: 40, tenants: ['a', 'b', 'c'], hints: { ttlMs: 600_000 } }));
  const HONOUR = '{use: pin@2, with: {ttl: 0s, cacheControl: honour, budget: BUDGET}}';

  it('pins without a budget are refused and change nothing; with one they do', async () => {
    const refused = await run([...PRESSED, retention(HONOUR.replace('BUDGET', '0'))], {}, hinted);
    expect(refused.runHash).toBe(baseline.runHash);
    const granted = await run([...PRESSED, retention(HONOUR.replace('BUDGET', '1'))], {}, hinted);
    expect(turnFates(granted)).not.toEqual(turnFates(baseline));
  });

  it('hints that nobody honours change nothing', async () => {
    const ignored = await run([...PRESSED, retention('{use: pin@2, with: {ttl: 0s}}')], {}, hinted);
    expect(ignored.runHash).toBe(baseline.runHash);
  });
});

describe('N3: a time to keep of 0 is the engine alone', () => {
  it.each(['kvcast-soft@1', 'kvcast-soft@2', 'pin@2', 'sglang-pin@1'])('%s', async (preset) => {
    const kept = await run([...PRESSED, retention(`{use: ${preset}, with: {ttl: 0s}}`)]);
    expect(kept.runHash).toBe(baseline.runHash);
  });
});

describe('N4: garbage hints are no hints', () => {
  const GARBAGE: readonly object[] = [
    { ttlMs: -1 },
    { ttlMs: 1e300 },
    { ttlMs: true },
    { ttlMs: 'soon' },
    { ttlMs: null, explode: [{}] },
    { priority: 0.5, osl: -7, declaredPauseMs: {}, speculativePrefill: 'yes' },
  ];
  const POLICIES = ['{use: kvcast-soft@2, with: {ttl: 1s, cacheControl: honour}}', 'session-reference@1', 'vllm-retain@2'];

  it.each(POLICIES)('in requests, under %s', async (preset) => {
    const clean = await run([...PRESSED, retention(preset)]);
    const dirty = runs.trace(SESSIONS.map((session, i) => ({ ...session, hints: GARBAGE[i % GARBAGE.length] })));
    expect((await run([...PRESSED, retention(preset)], {}, dirty)).runHash).toBe(clean.runHash);
  });

  /** Sends hints beside every request. */
  const sending = (hintsOf: (session: number, tenant: number) => readonly object[]): RunShim => ({
    plane: (inner) => ({
      ...passOn(inner),
      request(request, nowMs) {
        for (const hint of hintsOf(request.session, request.tenant)) inner.hint(hint as KvHint, nowMs);
        inner.request(request, nowMs);
      },
    }),
  });

  it.each(POLICIES)('outside of requests, under %s', async (preset) => {
    const clean = await run([...PRESSED, retention(preset)]);
    const garbage = sending((session, tenant) => [
      { kind: 'sessionCompacted', session, keptTokens: Number.NaN },
      { kind: 'retain', session, untilMs: Number.POSITIVE_INFINITY },
      { kind: 'explode', session },
      { kind: 'sessionClosed', session: -1 },
      // Well formed, but of a stranger.
      { kind: 'sessionClosed', session, tenant: tenant + 1 },
      { kind: 'release', session, tenant: tenant + 1 },
    ]);
    expect((await run([...PRESSED, retention(preset)], garbage)).runHash).toBe(clean.runHash);
  });

  it('a close by its owner is heard', async () => {
    const preset = 'session-reference@1';
    const closing = sending((session, tenant) => [{ kind: 'sessionClosed', session, tenant }]);
    const heard = await run([...PRESSED, retention(preset)], closing);
    expect(heard.runHash).not.toBe((await run([...PRESSED, retention(preset)])).runHash);
  });
});

describe('N5: session reference with sessions of one request is the engine alone', () => {
  it.each(['session', 'file'] as const)('ids of scope %s', async (scope) => {
    const once = runs.trace(agentSessions({ sessions: 80, turns: 1, arrivalMs: 60, shared: scope === 'file' ? 6 : 0 }), scope);
    const alone = await run(PRESSED, {}, once);
    expect(evictedBlocks(alone)).toBeGreaterThan(1000);
    const referenced = await run([...PRESSED, retention('session-reference@1')], {}, once);
    expect(turnFates(referenced)).toEqual(turnFates(alone));
    // With more requests it is another policy.
    expect(turnFates(await run([...PRESSED, retention('session-reference@1')]))).not.toEqual(turnFates(baseline));
  });
});

describe('N6 and N8: the price of space decides alone', () => {
  const priced = (ttl: string, price: string): string =>
    retention(`{use: kvcast-soft@2, with: {ttl: ${ttl}, priceMode: fixed, price: ${price}}}`);

  it('free space keeps everything to the cap (N6)', async () => {
    const kept = await run([...PRESSED, retention('{use: kvcast-soft@2, with: {ttl: {tool: 1h, human: 0s, join: 1h}}}')]);
    expect((await run([...PRESSED, priced('ski', '0')])).runHash).toBe(kept.runHash);
    expect(kept.runHash).not.toBe(baseline.runHash);
  });

  it('rent of a tier that is less than 70 % full is 0: nothing is lost (N6)', async () => {
    const rented = await run([...AMPLE, retention('{use: kvcast-soft@2, with: {ttl: hazard, priceMode: rent}}')]);
    expect(rented.sources).toEqual(ample.sources);
  });

  it.each(['hazard', 'ski'])('space beyond price keeps nothing: %s (N8)', async (ttl) => {
    expect((await run([...PRESSED, priced(ttl, '1e300')])).runHash).toBe(baseline.runHash);
  });
});

describe('N7: admission without a limit is none', () => {
  it.each([
    '{use: concur-aimd@1, with: {startSessions: 1000000, congestedAbove: 100%, fullAbove: 1000%}}',
    '{use: thunder-agent@1, with: {programTokens: 0}}',
  ])('%s', async (admission) => {
    const admitted = await run([...AMPLE, `control.admission=${admission}`]);
    expect(admitted.runHash).toBe(ample.runHash);
  });

  it.each(['concur-aimd@1', 'thunder-agent@1'])('%s does hold sessions back when there is little room', async (admission) => {
    const free = await run(PRESSED, {}, dense);
    expect((await run([...PRESSED, `control.admission=${admission}`], {}, dense)).runHash).not.toBe(free.runHash);
  });
});
