import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normaliseHints } from '../hints/normalise-hints.ts';
import type { AgentHints } from '../ports.ts';
import type { LeaseRetention } from './lease-retention.ts';
import { ReferenceStore } from './reference-store.ts';
import { RetentionHarness, type SentAction } from './retention-harness.ts';
import { type RetentionPreset, retentionPresets } from './retention-presets.ts';

/** Every built-in with parameters that make it act. */
const CASES = retentionPresets().map((preset): [string, RetentionPreset, Record<string, unknown>] => {
  const has = (key: string): boolean => Object.hasOwn(preset.params.properties, key);
  const params = {
    ...(has('ttl') && preset.name !== 'kvcast-auto' ? { ttl: 300_000 } : {}),
    ...(has('priority') ? { priority: 90 } : {}),
    ...(preset.name === 'sglang-pin' ? { budget: 0.6 } : {}),
  };
  return [`${preset.name}@${preset.version}`, preset, params];
});

/** A timeline of two sessions that share a system prompt; pressure takes blocks in between. */
interface Step {
  readonly session: number;
  readonly grow: number;
  readonly pauseMs: number;
  readonly pressure: number;
}
const timelines = fc.array(
  fc.record({
    session: fc.nat(2),
    grow: fc.integer({ min: 1, max: 6 }),
    pauseMs: fc.integer({ min: 0, max: 400_000 }),
    pressure: fc.nat(8),
  }),
  { minLength: 1, maxLength: 25 },
);

/** Plays a timeline and returns everything observable. */
function play(
  name: string,
  params: Record<string, unknown>,
  steps: readonly Step[],
  hints?: (step: number) => AgentHints | undefined,
  relabel = 0,
): unknown {
  const h = new RetentionHarness(name, params);
  const store = new ReferenceStore(h.branches);
  const system = h.session(4);
  const branch = [0, 1, 2].map(() => h.branches.add(system, 4, 1000));
  const depth = [4, 4, 4];
  const log: unknown[] = [];
  let now = 1;
  steps.forEach((step, i) => {
    now += step.pauseMs;
    const s = step.session;
    depth[s] = depth[s]! + step.grow;
    const options = { depthBlocks: depth[s]!, ...(hints?.(i) === undefined ? {} : { hints: hints(i)! }) };
    h.dispatch(s + relabel, branch[s]!, now, options);
    const hits = store.request(branch[s]!, depth[s]!, now);
    const sent = h.finish(s + relabel, branch[s]!, now, options);
    for (const action of sent) h.policy.settled({ ...action, id: i }, store.apply(action, now), now);
    const gone = store.evict(Math.min(step.pressure, store.size), now);
    log.push([hits, sent.map((a) => ({ ...a, session: a.session - relabel })), gone]);
  });
  return log;
}

/** Claims among actions: pins that are no references. */
const claims = (sent: readonly SentAction[]): SentAction[] => sent.filter((a) => a.verb === 'pin' && a.hardness !== 'reference');

describe.each(CASES)('retention contract: %s', (name, preset, params) => {
  it('states what it is: deployable, confidence, sources, a schema with units', () => {
    expect(preset.deployable).toMatch(/^(yes|needs .+|simulation only.*)$/);
    expect(preset.sources.length).toBeGreaterThan(0);
    expect(preset.params.additionalProperties).toBe(false);
    for (const schema of Object.values(preset.params.properties)) expect(schema['description']).toBeTypeOf('string');
    const policy = new RetentionHarness(name, params).policy;
    expect([policy.name, policy.deployable]).toEqual([name, preset.deployable]);
  });

  it('is deterministic and blind to the numbers of sessions', () => {
    fc.assert(
      fc.property(timelines, (steps) => {
        const first = play(name, params, steps);
        expect(play(name, params, steps)).toEqual(first);
        expect(play(name, params, steps, undefined, 1000)).toEqual(first);
      }),
      { numRuns: 20 },
    );
  });

  it('garbage hints are no hints (retention:I7, N4)', () => {
    const garbage: unknown[] = [Number.NaN, Number.POSITIVE_INFINITY, -5, true, 1e300, 'soon?', null, {}, []];
    fc.assert(
      fc.property(timelines, (steps) => {
        const hints = (i: number): AgentHints | undefined =>
          normaliseHints(
            {
              nvext: { agent_hints: { priority: [true, 1.5, Number.NaN][i % 3], osl: garbage[i % 9], speculative_prefill: 'yes' } },
              cacheControl: [
                {
                  endTokens: 640,
                  control: { type: 'ephemeral', ttl: [Number.NaN, Number.POSITIVE_INFINITY, -5, true, 1e300, 0.5, null][i % 7] },
                },
              ],
              envelope: { protocol_version: 1, message_id: 'm', actions: Array(1000).fill({ action_type: 'kv.explode' }) },
            },
            { blockTokens: 64, promptTokens: 64_000 },
          ).hints;
        expect(play(name, params, steps, hints)).toEqual(play(name, params, steps));
      }),
      { numRuns: 20 },
    );
  });

  it('every claim has a finite deadline, starts at the root and stays within the prompt (retention:I14)', () => {
    fc.assert(
      fc.property(timelines, (steps) => {
        for (const [, sent] of play(name, params, steps) as [number, SentAction[]][]) {
          for (const action of sent) {
            expect(Number.isFinite(action.untilMs)).toBe(true);
            if (action.verb === 'pin') expect(action.fromBlocks).toBe(0);
            expect(action.toBlocks).toBeGreaterThan(0);
            expect(action.refreshMs === undefined || Number.isFinite(action.refreshMs)).toBe(true);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('an expired claim protects no better than none (retention:I6)', () => {
    if (preset.lease === null || preset.lease.onExpiry === 'drop') return;
    const h = new RetentionHarness(name, params);
    const store = new ReferenceStore(h.branches);
    const [old, fresh] = [h.session(10), h.session(10)];
    store.request(old, 10, 1000);
    let until = 0;
    for (const action of claims(h.finish(0, old, 1000))) {
      expect(store.apply(action, 1000).result).toBe('accepted');
      until = action.untilMs;
    }
    expect(until).toBeGreaterThan(2000);
    store.request(fresh, 10, 2000);
    expect(store.victimClass(old, 0, until)).toBe(preset.lease.hardness === 'lease' ? 4 : 3);
    expect(store.victimClass(old, 0, until + 1)).toBe(1);
    store.evict(10, until + 1);
    expect([store.resident(old, 10, until + 1), store.resident(fresh, 10, until + 1)]).toEqual([0, 10]);
  });

  it('a live claim is evicted last but never refused to an allocation (retention:I5)', () => {
    if (preset.lease === null) return;
    const h = new RetentionHarness(name, params);
    const store = new ReferenceStore(h.branches, { capacityBlocks: 20 });
    const [kept, other] = [h.session(10), h.session(10)];
    store.request(kept, 10, 1000);
    for (const action of claims(h.finish(0, kept, 1000))) store.apply(action, 1000);
    store.request(other, 10, 2000);
    store.evict(10, 3000);
    expect([store.resident(kept, 10, 3000), store.resident(other, 10, 3000)]).toEqual([10, 0]);
    const big = h.session(20);
    expect(store.request(big, 20, 4000)).toBe(0);
    expect(store.resident(big, 20, 4000)).toBe(20);
    expect(store.brokenClaims).toBe(10);
  });

  it('budgets hold whatever happens (retention:I4)', () => {
    if (preset.lease === null || preset.lease.hardness !== 'lease' || preset.lease.budget === null) return;
    const share = 0.001;
    fc.assert(
      fc.property(timelines, (steps) => {
        const h = new RetentionHarness(name, { ...params, budget: share });
        const policy = h.policy as LeaseRetention;
        const limit = Math.floor(share * (preset.lease!.tierFloor === 'hbm' ? 10_000 : 15_625));
        const branch = [0, 1, 2].map(() => h.session(1000));
        const depth = [0, 0, 0];
        let now = 0;
        for (const step of steps) {
          now += step.pauseMs;
          depth[step.session] = depth[step.session]! + step.grow;
          h.dispatch(step.session, branch[step.session]!, now, { depthBlocks: depth[step.session]! });
          h.finish(step.session, branch[step.session]!, now, { depthBlocks: depth[step.session]! });
          expect(policy.claimed(0, now).blocks).toBeLessThanOrEqual(limit);
        }
        const c = policy.counters;
        expect(c.asked).toBe(c.sent + Object.values(c.rejectedHere).reduce((a, b) => a + b, 0));
      }),
      { numRuns: 20 },
    );
  });

  it('TTL 0 is the engine alone (retention:N3)', () => {
    if (!Object.hasOwn(preset.params.properties, 'ttl') || preset.name === 'provider') return;
    const h = new RetentionHarness(name, { ...params, ttl: 0 });
    if (preset.levels?.zeroIsPermanent === true) return;
    const sent = h.finish(0, h.session(10), 1000).filter((a) => a.hardness !== 'reference');
    // Where expiry drops blocks, a TTL of 0 says that they are not kept beyond the instant.
    if (preset.lease?.onExpiry === 'drop') expect(sent).toMatchObject([{ untilMs: 1000 }]);
    else expect(sent).toEqual([]);
  });

  it('no hints, or hints that it ignores, change nothing (retention:N2)', () => {
    const h = new RetentionHarness(name, params);
    const g = new RetentionHarness(name, params);
    const plain = h.finish(0, h.session(10), 1000);
    const hinted = g.finish(0, g.session(10), 1000, { hints: { priority: 7, osl: 12, strictPriority: 3, speculativePrefill: true } });
    expect(hinted).toEqual(plain);
  });

  it('says nothing about requests that never ran', () => {
    const h = new RetentionHarness(name, params);
    for (const status of ['rejected', 'lost'] as const) expect(h.finish(0, h.session(10), 1, { end: { status } })).toEqual([]);
    expect(h.finish(0, h.session(0), 1)).toEqual([]);
  });
});

describe('order after expiry', () => {
  /** Y raised until t = 10, released at 0; Z1, Z2 released at 3 and 8; expiry seen at 12; W released at 13. */
  const order = (onExpiry: 'back' | 'trueLastAccess' | 'front'): string[] => {
    const h = new RetentionHarness('trtllm@1', { ttl: 10, priority: 80 });
    const store = new ReferenceStore(h.branches, { onExpiry });
    const names = new Map<string, string>();
    const block = (name: string, t: number): number => {
      const branch = h.session(1);
      store.request(branch, 1, t);
      names.set(store.key(branch, 0), name);
      return branch;
    };
    for (const action of h.finish(0, block('Y', 0), 0)) store.apply(action, 0);
    block('Z1', 3);
    block('Z2', 8);
    store.expire(12);
    block('W', 13);
    return store.evict(4, 14).map((key) => names.get(key)!);
  };

  it('is the worked one of retention specification 7 for each rule', () => {
    expect(order('back')).toEqual(['Z1', 'Z2', 'Y', 'W']);
    expect(order('trueLastAccess')).toEqual(['Y', 'Z1', 'Z2', 'W']);
    expect(order('front')).toEqual(['Y', 'Z1', 'Z2', 'W']);
  });
});

describe('timelines', () => {
  it('refresh on hit moves the deadline 60, 80, 130 s (experiments specification 10.1)', () => {
    const timeline = (refresh: string, reads: readonly number[]): ReferenceStore & { branch?: number } => {
      const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, jitter: 0, refresh });
      const store: ReferenceStore & { branch?: number } = new ReferenceStore(h.branches);
      store.branch = h.session(4);
      store.request(store.branch, 4, 0);
      for (const action of h.finish(0, store.branch, 0)) store.apply(action, 0);
      for (const s of reads) store.request(store.branch, 4, s * 1000);
      return store;
    };
    const refreshed = timeline('onHit', [20, 70]);
    expect(refreshed.victimClass(refreshed.branch!, 0, 129_000)).toBe(3);
    expect(refreshed.victimClass(refreshed.branch!, 0, 131_000)).toBe(1);
    refreshed.evict(4, 131_000);
    expect(refreshed.request(refreshed.branch!, 4, 132_000)).toBe(0);
    const never = timeline('never', [20]);
    expect(never.victimClass(never.branch!, 0, 60_000)).toBe(3);
    expect(never.victimClass(never.branch!, 0, 61_000)).toBe(1);
  });

  it('drop at expiry gives the block TTL hit of traces specification 8: refreshed on use, equal is a hit', () => {
    const gaps = fc.array(fc.record({ gap: fc.integer({ min: 0, max: 120 }), depth: fc.integer({ min: 1, max: 12 }) }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 60 }), (requests, ttl) => {
        const h = new RetentionHarness('ttl-drop@1', { ttl: ttl * 1000 });
        const store = new ReferenceStore(h.branches);
        const branch = h.session(12);
        const lastUse = new Array<number>(12).fill(Number.NEGATIVE_INFINITY);
        let clock = 0;
        for (const { gap, depth } of requests) {
          clock += gap;
          let expected = 0;
          while (expected < depth && clock - lastUse[expected]! <= ttl) expected++;
          h.dispatch(0, branch, clock * 1000, { depthBlocks: depth });
          expect(store.request(branch, depth, clock * 1000)).toBe(expected);
          for (const action of h.finish(0, branch, clock * 1000, { depthBlocks: depth })) store.apply(action, clock * 1000);
          lastUse.fill(clock, 0, depth);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('a pinned prefix survives a flood until its deadline and none of it after (retention:V8)', () => {
    const resident = (preset: string, params: object): number[] => {
      const h = new RetentionHarness(preset, { ...params });
      const store = new ReferenceStore(h.branches, { capacityBlocks: 300 });
      const prefix = h.session(169);
      store.request(prefix, 169, 0);
      for (const action of h.finish(0, prefix, 0)) store.apply(action, 0);
      const at: number[] = [];
      for (let i = 1; i <= 60; i++) {
        store.request(h.session(20), 20, i * 10_000);
        if (i === 30 || i === 60) at.push(store.resident(prefix, 169, i * 10_000));
      }
      return at;
    };
    expect(resident('lru@1', {})).toEqual([0, 0]);
    expect(resident('pin@1', { ttl: 300_000, refresh: 'never' })).toEqual([169, 0]);
    expect(resident('kvcast-soft@1', { ttl: 300_000, refresh: 'never', jitter: 0 })).toEqual([169, 0]);
  });
});
