import { describe, expect, it } from 'vitest';
import type { KvAction } from '../ports.ts';
import type { UserError } from '../user-error.ts';
import { createRetention } from './create-retention.ts';
import type { LeaseRetention } from './lease-retention.ts';
import { ReferenceStore } from './reference-store.ts';
import { RetentionHarness, WORKED_FACTS } from './retention-harness.ts';

const counters = (h: RetentionHarness): LeaseRetention['counters'] => (h.policy as LeaseRetention).counters;

describe('lease budget (retention specification 3.2)', () => {
  const pins = (params: object): RetentionHarness => new RetentionHarness('sglang-pin@1', { ttl: 600_000, ...params });

  it('accepts four pins of 2,000 blocks, clips the fifth to 1,375, rejects the sixth', () => {
    const h = pins({ budget: 0.6 });
    const granted = Array.from({ length: 6 }, (_, s) => h.finish(s, h.session(2000), s)[0]?.toBlocks);
    expect(granted).toEqual([2000, 2000, 2000, 2000, 1375, undefined]);
    expect(counters(h)).toMatchObject({ asked: 6, sent: 5, clippedHere: { budget: 1 }, rejectedHere: { budget: 1 } });
    expect((h.policy as LeaseRetention).claimed(0, 10)).toEqual({ claims: 5, blocks: 9375 });
  });

  it('rejects every lease as disabled with the default budget 0', () => {
    const h = pins({});
    expect(h.finish(0, h.session(2000), 0)).toEqual([]);
    expect(counters(h).rejectedHere).toEqual({ disabled: 1 });
  });

  it('rejects as unsupported without a host tier', () => {
    const h = new RetentionHarness(
      'sglang-pin@1',
      { ttl: 600_000, budget: 0.6 },
      { rankFacts: () => ({ ...WORKED_FACTS, hostBlocks: 0 }) },
    );
    expect(h.finish(0, h.session(2000), 0)).toEqual([]);
    expect(counters(h).rejectedHere).toEqual({ unsupported: 1 });
  });

  it('gives room back when leases expire, one tick after their deadline', () => {
    const h = pins({ budget: 0.6 });
    for (let s = 0; s < 5; s++) h.finish(s, h.session(2000), 0);
    expect(h.finish(9, h.session(2000), 600_000)).toEqual([]);
    expect(h.finish(9, h.session(2000), 600_001)[0]).toMatchObject({ toBlocks: 2000 });
  });

  it('charges a shared prefix once', () => {
    const h = pins({ budget: 0.6 });
    const system = h.session(9000);
    h.finish(0, system, 0);
    const leaf = h.branches.add(system, 9000, 375);
    expect(h.finish(1, leaf, 1)[0]).toMatchObject({ toBlocks: 9375 });
    const other = h.branches.add(system, 9000, 500);
    // The system prompt is leased already: only the root side that is covered is granted.
    expect(h.finish(2, other, 2)[0]).toMatchObject({ toBlocks: 9000 });
  });

  it('replaces the claim of a session’s earlier turn instead of charging both', () => {
    const h = pins({ budget: 0.6 });
    const branch = h.session(9375);
    for (let turn = 1; turn <= 5; turn++) expect(h.finish(0, branch, turn, { depthBlocks: 1875 * turn })[0]!.toBlocks).toBe(1875 * turn);
    expect((h.policy as LeaseRetention).claimed(0, 10)).toEqual({ claims: 1, blocks: 9375 });
  });

  it('keeps budgets per rank and forgets a lost rank', () => {
    const h = pins({ budget: 0.6 });
    expect(h.finish(0, h.session(9375), 0, { rank: 0 })).toHaveLength(1);
    expect(h.finish(0, h.session(9375), 0, { rank: 1 })).toHaveLength(1);
    expect(h.finish(1, h.session(100), 0, { rank: 0 })).toHaveLength(0);
    h.policy.on({ kind: 'lost', rank: 0, nowMs: 1 }, () => undefined);
    expect(h.finish(1, h.session(100), 2, { rank: 0 })).toHaveLength(1);
    expect((h.policy as LeaseRetention).claimed(1, 2).blocks).toBe(9375);
  });

  it('takes back what a worker could not apply', () => {
    const h = pins({ budget: 0.6 });
    const [clipped] = h.finish(0, h.session(5000), 0);
    h.policy.settled(
      { ...clipped!, id: 1 } as KvAction,
      { result: 'clipped', reason: 'notResident', appliedBlocks: 1000, requestedBlocks: 5000 },
      1,
    );
    expect((h.policy as LeaseRetention).claimed(0, 1)).toEqual({ claims: 1, blocks: 1000 });
    const [missing] = h.finish(1, h.session(5000), 2);
    h.policy.settled({ ...missing!, id: 2 } as KvAction, { result: 'missing', appliedBlocks: 0, requestedBlocks: 5000 }, 3);
    expect((h.policy as LeaseRetention).claimed(0, 3)).toEqual({ claims: 1, blocks: 1000 });
    expect(counters(h).settled).toMatchObject({ clipped: 1, missing: 1 });
  });

  it('keeps what a hit refreshes charged, also when the session’s own claim is refused', () => {
    const h = pins({ budget: 0.6 });
    const system = h.session(9375);
    h.finish(0, system, 0);
    h.dispatch(1, h.branches.add(system, 9375, 10), 500_000);
    // At the worker the lease now runs until 1,100,000 at most; before the hit it ended at 600,000.
    expect(h.finish(2, h.session(10), 700_000)).toEqual([]);
    expect((h.policy as LeaseRetention).claimed(0, 700_000).blocks).toBe(9375);
  });

  it('limits one tenant to its share and leaves others theirs', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, tenantShare: 0.25, jitter: 0 });
    expect(h.finish(0, h.session(2000), 0, { tenant: 1 })[0]!.toBlocks).toBe(2000);
    expect(h.finish(1, h.session(2000), 0, { tenant: 1 })[0]!.toBlocks).toBe(500);
    expect(h.finish(2, h.session(2000), 0, { tenant: 1 })).toEqual([]);
    expect(h.finish(3, h.session(2000), 0, { tenant: 2 })[0]!.toBlocks).toBe(2000);
    expect(counters(h)).toMatchObject({ clippedHere: { tenant: 1 }, rejectedHere: { tenant: 1 } });
    expect(h.finish(4, h.session(2000), 60_001, { tenant: 1 })[0]!.toBlocks).toBe(2000);
  });

  it('gives a tenant’s share back when its sessions grow, close or lose their rank', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, tenantShare: 0.25, jitter: 0 });
    const branch = h.session(2500);
    for (const depthBlocks of [1000, 2500]) expect(h.finish(0, branch, 0, { depthBlocks })[0]!.toBlocks).toBe(depthBlocks);
    expect(h.finish(1, h.session(2500), 1)).toEqual([]);
    h.close(0, 2);
    expect(h.finish(1, h.session(2500), 3)[0]!.toBlocks).toBe(2500);
    h.policy.on({ kind: 'lost', rank: 0, nowMs: 4 }, () => undefined);
    expect(h.finish(2, h.session(2500), 5)[0]!.toBlocks).toBe(2500);
  });
});

describe('deadlines', () => {
  it('anchor decides: TTL 300 s, generation 90 s, gap 240 s (retention specification 7)', () => {
    const alive = (anchor?: string): boolean => {
      const h = new RetentionHarness('provider@1', { ttl: 300_000, ...(anchor === undefined ? {} : { anchor }) });
      const store = new ReferenceStore(h.branches);
      const branch = h.session(10);
      store.request(branch, 10, 1000);
      for (const action of h.finish(0, branch, 91_000, { arrivalMs: 1000 })) store.apply(action, 91_000);
      return store.request(branch, 10, 331_000) === 10;
    };
    expect(alive('requestStart')).toBe(false);
    expect(alive()).toBe(false);
    expect(alive('responseEnd')).toBe(true);
  });

  it('clamps the TTL of hints for sglang-pin and counts it', () => {
    const h = new RetentionHarness('sglang-pin@1', { budget: 1 });
    const until = (ttlMs: number): number =>
      h.finish(0, h.session(10), 0, { hints: { cacheControl: [{ blockIndex: 9, ttlMs }] } })[0]!.untilMs;
    expect([600_000, 30_000, 7_200_000].map(until)).toEqual([600_000, 300_000, 3_600_000]);
    expect(counters(h).clippedHere).toEqual({ minTtl: 1, maxTtl: 1 });
    expect(h.finish(1, h.session(10), 0)).toEqual([]);
  });

  it('a shorter later TTL shortens the lease in mode replace', () => {
    const h = new RetentionHarness('sglang-pin@1', { budget: 1 });
    const branch = h.session(10);
    for (const ttlMs of [3_600_000, 300_000]) h.finish(0, branch, 0, { hints: { cacheControl: [{ blockIndex: 9, ttlMs }] } });
    expect((h.policy as LeaseRetention).claimed(0, 300_000).claims).toBe(1);
    expect((h.policy as LeaseRetention).claimed(0, 300_001).claims).toBe(0);
  });

  it('what lapsed during its own response is dropped by a deadline that is still ahead when it arrives', () => {
    const h = new RetentionHarness('provider@1', { ttl: 300_000 });
    expect(h.finish(0, h.session(10), 400_000, { arrivalMs: 0 })[0]).toMatchObject({ untilMs: 401_000, onExpiry: 'drop' });
  });

  it('pins the prefix of each breakpoint where cache_control is honoured, beside the own time', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, jitter: 0, cacheControl: 'honour' });
    const sent = h.finish(0, h.session(10), 0, {
      hints: {
        cacheControl: [
          { blockIndex: 3, ttlMs: 3_600_000 },
          { blockIndex: 99, ttlMs: 5000 },
        ],
      },
    });
    expect(sent.map((a) => [a.toBlocks, a.untilMs, a.mode])).toEqual([
      [10, 60_000, 'max'],
      [4, 3_600_000, 'max'],
      [10, 5000, 'max'],
    ]);
  });

  it('draws jitter per request: sessions that start together do not expire together (retention:S5)', () => {
    const deadlines = (jitter: number): number[] => {
      let n = 0;
      const h = new RetentionHarness('kvcast-soft@1', { ttl: 300_000, jitter }, { draw: () => (n++ * 0.6180339887498949) % 1 });
      return Array.from({ length: 500 }, (_, s) => h.finish(s, h.session(1), 0)[0]!.untilMs);
    };
    const burst = (times: readonly number[]): number =>
      Math.max(...times.map((t) => times.filter((u) => u >= t && u < t + 1000).length)) / times.length;
    expect(burst(deadlines(0))).toBeGreaterThanOrEqual(0.95);
    expect(burst(deadlines(0.1))).toBeLessThanOrEqual(0.05);
    for (const until of deadlines(0.1)) expect(Math.abs(until - 300_000)).toBeLessThanOrEqual(30_000);
  });

  it('keys the draw of jitter by policy and request', () => {
    const keys: string[] = [];
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 1000 }, { draw: (key) => keys.push(key) && 0.5 });
    h.finish(7, h.session(1), 0);
    expect(keys).toEqual(['kvcast-soft@1/s7/root/0#0']);
  });

  it('the refresh time is the jittered TTL, and absent without refresh', () => {
    const soft = (refresh: string): number | undefined => {
      const h = new RetentionHarness('kvcast-soft@1', { ttl: 100_000, refresh }, { draw: () => 0 });
      return h.finish(0, h.session(1), 0)[0]!.refreshMs;
    };
    expect([soft('onHit'), soft('never')]).toEqual([90_000, undefined]);
  });
});

describe('gap classes', () => {
  it('a single duration holds for every class, but not for a session known to be over', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, jitter: 0 });
    const asked = (pause: 'tool' | 'human' | 'join' | 'none'): number => h.finish(0, h.session(1), 0, { pause }).length;
    expect((['tool', 'human', 'join', 'none'] as const).map(asked)).toEqual([1, 1, 1, 0]);
    expect(h.finish(0, h.session(1), 0, { end: { sessionFinal: true } })).toEqual([]);
  });

  it('a duration per class sets them apart; nothing is wasted on final turns (retention:S8)', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: { tool: 60_000 }, jitter: 0 });
    const until = (pause: 'tool' | 'human' | 'join'): number | undefined => h.finish(0, h.session(1), 0, { pause })[0]?.untilMs;
    expect([until('tool'), until('human'), until('join')]).toEqual([60_000, undefined, 600_000]);
  });

  it('an estimator is asked with the stakes of the context and learns from its gaps', () => {
    // 1,000 of 10,000 blocks at full pressure: a miss of 5.378 s pays for 53.78 s.
    const h = new RetentionHarness('kvcast-auto@1', { jitter: 0, tenantShare: 1 });
    const branch = h.session(1000);
    expect(h.finish(0, branch, 0)[0]!.untilMs).toBeCloseTo(((0.053 * 64_000 + (0.97e-6 * 64_000 ** 2) / 2) * 10_000) / 1000, 6);
    const free = new RetentionHarness('kvcast-auto@1', { jitter: 0 }, { kvUsage: () => 0.5 });
    expect(free.finish(0, free.session(1000), 0)[0]!.untilMs).toBe(300_000);
    expect(free.finish(0, free.session(1000), 0, { pause: 'human' })).toEqual([]);
    let now = 0;
    for (let turn = 0; turn < 30; turn++) {
      h.finish(1, branch, now, { tool: 'Bash' });
      now += 2000;
      h.dispatch(1, branch, now);
      now += 500;
    }
    expect(h.finish(1, branch, now, { tool: 'Bash' })[0]!.untilMs).toBe(now + 2000);
  });
});

describe('end of a session', () => {
  it('releases what no other session claims, and nothing twice', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, jitter: 0 });
    const system = h.session(20);
    const [a, b] = [h.branches.add(system, 20, 5), h.branches.add(system, 20, 7)];
    h.finish(0, a, 0);
    h.finish(1, b, 0);
    expect(h.close(0, 1000)).toMatchObject([{ verb: 'pin', branch: a, fromBlocks: 20, toBlocks: 25, untilMs: 2000, mode: 'replace' }]);
    expect(h.close(0, 1001)).toEqual([]);
    expect(h.close(1, 1002)).toMatchObject([{ fromBlocks: 0, toBlocks: 27 }]);
  });

  it('has nothing to release after expiry', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000, jitter: 0 });
    h.finish(0, h.session(20), 0);
    expect(h.close(0, 60_001)).toEqual([]);
  });

  it('leaves no live claims when sessions vanish without closing (retention:S2)', () => {
    const h = new RetentionHarness('kvcast-soft@1', { ttl: 60_000 });
    for (let s = 0; s < 10_000; s++) h.finish(s, h.session(1 + (s % 7)), s);
    expect((h.policy as LeaseRetention).claimed(0, 10_000).claims).toBe(10_000);
    expect((h.policy as LeaseRetention).claimed(0, 10_000 + 66_001)).toEqual({ claims: 0, blocks: 0 });
  });
});

describe('parameters', () => {
  const code = (preset: string, params: Record<string, unknown>): string => {
    try {
      new RetentionHarness(preset, params);
    } catch (error) {
      const { code, path } = (error as UserError).problems[0]!;
      return `${code} ${path ?? ''}`.trim();
    }
    return 'fine';
  };

  it('are refused with a code and a path', () => {
    expect(code('kvcast-soft@1', {})).toBe('E_REQUIRED kvcast-soft@1.ttl');
    expect(code('kvcast-soft@1', { ttl: 1, tll: 2 })).toBe('E_UNKNOWN_KEY kvcast-soft@1.tll');
    expect(code('kvcast-soft@1', { ttl: 1, toString: 2 })).toBe('E_UNKNOWN_KEY kvcast-soft@1.toString');
    expect(code('kvcast-soft@1', { ttl: { tool: 1, robot: 2 } })).toBe('E_UNKNOWN_KEY kvcast-soft@1.ttl.robot');
    expect(code('kvcast-soft@1', { ttl: 'guess' })).toBe('E_ENUM kvcast-soft@1.ttl');
    expect(code('kvcast-soft@1', { ttl: true })).toBe('E_TYPE kvcast-soft@1.ttl');
    expect(code('kvcast-soft@1', { ttl: 1000, refresh: 'sometimes' })).toBe('E_ENUM kvcast-soft@1.refresh');
    expect(code('kvcast-soft@1', { ttl: 1000, jitter: 1.5 })).toBe('E_RANGE kvcast-soft@1.jitter');
    expect(code('pin@1', { budget: -1 })).toBe('E_RANGE pin@1.budget');
    for (const ttl of [-1, Number.POSITIVE_INFINITY]) expect(code('kvcast-soft@1', { ttl })).toBe('E_RANGE kvcast-soft@1.ttl');
    expect(code('kvcast-soft@1', { ttl: Number.NaN })).toBe('E_TYPE kvcast-soft@1.ttl');
    expect(code('lru@1', { ttl: 5 })).toBe('E_UNKNOWN_KEY lru@1.ttl');
    expect(code('kvcast-hard@1', {})).toBe('E_PRESET');
    expect(code('kvcast-soft', {})).toBe('E_PRESET_VERSION');
    expect(code('kvcast-soft@99', {})).toBe('E_PRESET_VERSION');
  });

  it('never shorten a duration the user wrote: beyond the longest it is refused', () => {
    expect(code('kvcast-soft@1', { ttl: 3_600_000 })).toBe('fine');
    expect(code('kvcast-soft@1', { ttl: 3_600_001 })).toBe('E_RANGE kvcast-soft@1.ttl');
    expect(code('kvcast-soft@1', { ttl: 3_600_001, maxTtl: 7_200_000 })).toBe('fine');
    expect(code('sglang-pin@1', { ttl: 60_000 })).toBe('E_RANGE sglang-pin@1.ttl');
    expect(code('kvcast-soft@1', { ttl: { join: 9e9 } })).toBe('E_RANGE kvcast-soft@1.ttl.join');
  });

  it('presets that agree in all parameters behave alike', () => {
    const env = { branches: new RetentionHarness('lru@1', {}).branches, rankFacts: () => WORKED_FACTS, draw: () => 0.25 };
    const branch = env.branches.add(-1, 0, 9);
    const sent = (name: string, params: Record<string, unknown>): unknown => {
      const policy = createRetention(name, params, env);
      const acts: unknown[] = [];
      const h = new RetentionHarness('lru@1', {});
      const request = h.request(0, branch, { depthBlocks: 9 }, 0);
      policy.on(
        {
          kind: 'finished',
          session: 0,
          rank: 0,
          request,
          end: { status: 'finished', stop: 'tool', outputTokens: 1 },
          pause: 'tool',
          nowMs: 5,
        },
        (a) => acts.push(a),
      );
      return acts;
    };
    // vllm-retain and trtllm differ only in anchor and reclaim, which the control plane can not tell apart.
    expect(sent('vllm-retain@1', { ttl: 60_000 })).toEqual(sent('trtllm@1', { ttl: 60_000, priority: 80 }));
    expect(sent('trtllm@1', { ttl: 60_000, priority: 35 })).toEqual([]);
  });
});
