import { describe, expect, it } from 'vitest';
import type { RankFacts } from '../ports.ts';
import type { UserError } from '../user-error.ts';
import { breakEvenAt, recomputeMs } from './cost-model.ts';
import { SkiEstimator } from './gap-estimators.ts';
import { HazardEstimator } from './hazard-estimator.ts';
import type { LeaseRetention } from './lease-retention.ts';
import { ReferenceStore } from './reference-store.ts';
import { RetentionHarness, type SentAction } from './retention-harness.ts';
import { bestHold, kaplanMeier } from './survival-curve.ts';

/** The worked machine of retention specification 5: 685,000 tokens of 81,920 bytes in HBM, reload at 50 GB/s. */
const WORKED: RankFacts = {
  blockTokens: 100,
  hbmBlocks: 6850,
  hostBlocks: 68_500,
  maxBatchedTokens: 8192,
  blockBytes: 8_192_000,
  prefillMsPerToken: 0.053,
  prefillMsPerPair: 0.97e-6,
  reloadMsPerBlock: 8_192_000 / 50e6,
};

const auto = (params: Record<string, unknown>, usage = 1, facts: RankFacts = WORKED): RetentionHarness =>
  new RetentionHarness('kvcast-auto@2', { jitter: 0, tenantShare: 1, ...params }, { rankFacts: () => facts, kvUsage: () => usage });
const claims = (sent: readonly SentAction[]): SentAction[] => sent.filter((a) => a.verb === 'pin' && a.hardness === 'soft');
const demotions = (sent: readonly SentAction[]): SentAction[] => sent.filter((a) => a.verb === 'demote' && a.toTier === 1);

describe('two tiers (retention specification 5.1, 5.2)', () => {
  it('under full pressure a paused 100k context with a host copy leaves HBM after 1.122 s, without one after 69.53 s', () => {
    const until = (facts: RankFacts): number => {
      const h = auto({ ttl: 'ski' }, 1, facts);
      return claims(h.finish(0, h.session(1000), 0))[0]!.untilMs;
    };
    expect(until(WORKED)).toBeCloseTo(1122.3, 0);
    expect(until({ ...WORKED, hostBlocks: 0 })).toBeCloseTo(69_527.5, 0);
    const { reloadMsPerBlock: _, ...unknown } = WORKED;
    expect(until(unknown)).toBeCloseTo(69_527.5, 0);
    // A link slower than recomputing is no tier to go to.
    expect(until({ ...WORKED, reloadMsPerBlock: 11 })).toBeCloseTo(69_527.5, 0);
  });

  it('then it is demoted, and the copy is worth keeping until its own break-even, an hour at most', () => {
    const h = auto({ ttl: 'ski' });
    const branch = h.session(1000);
    h.dispatch(0, branch, 0);
    h.finish(0, branch, 0);
    expect(h.policy.wakeMs).toBeCloseTo(1123.3, 0);
    const tick = (nowMs: number): SentAction[] => {
      const from = h.sent.length;
      h.policy.on({ kind: 'tick', nowMs }, (action) => h.sent.push(action));
      return demotions(h.sent.slice(from));
    };
    expect(tick(1123)).toEqual([]);
    const saved = recomputeMs(0, 100_000, 0.053, 0.97e-6) - 163.84;
    expect(tick(h.policy.wakeMs!)).toMatchObject([
      { fromBlocks: 0, toBlocks: 1000, toTier: 1, untilMs: breakEvenAt(saved, 1000 / 68_500) },
    ]);
    expect(tick(1124)).toEqual([]);
  });

  it('a session that comes back in time is not demoted, nor is what another one still claims', () => {
    const h = auto({ ttl: 'ski' });
    const branch = h.session(1000);
    h.finish(0, branch, 0);
    h.dispatch(0, branch, 500);
    expect(h.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
    const g = auto({ ttl: 'ski' });
    const system = g.session(500);
    const [a, b] = [g.branches.add(system, 500, 500), g.branches.add(system, 500, 500)];
    g.finish(0, a, 0);
    g.finish(1, b, 1000);
    g.policy.on({ kind: 'tick', nowMs: 1500 }, (action) => g.sent.push(action));
    expect(demotions(g.sent)).toMatchObject([{ branch: a, fromBlocks: 500, toBlocks: 1000 }]);
    // The system prompt is on the path of session 1, though nobody claims it any more.
    const u = auto({ ttl: 'ski' });
    const root = u.session(500);
    u.finish(1, u.branches.add(root, 500, 500), 0, { pause: 'human' });
    u.finish(0, u.branches.add(root, 500, 500), 5000);
    const sent = u.sent.length;
    u.policy.on({ kind: 'tick', nowMs: 99_000 }, (action) => u.sent.push(action));
    expect(demotions(u.sent.slice(sent))).toMatchObject([{ fromBlocks: 500, toBlocks: 1000 }]);
    g.close(1, 1600);
    expect(g.policy.wakeMs).toBeGreaterThan(1600 + 3_000_000);
  });

  it('without pressure nothing is demoted: HBM is kept to the cap and then left alone (retention:N6)', () => {
    const h = auto({ ttl: 'ski' }, 0.5);
    expect(claims(h.finish(0, h.session(1000), 0))[0]!.untilMs).toBe(3_600_000);
    const learnt = auto({}, 0.5);
    expect(claims(learnt.finish(0, learnt.session(1000), 0))[0]!.untilMs).toBe(300_000);
    learnt.policy.on({ kind: 'tick', nowMs: 300_001 }, (action) => learnt.sent.push(action));
    expect(demotions(learnt.sent)).toEqual([]);
  });

  it('what a human leaves gets no HBM, but the host tier', () => {
    const h = auto({ ttl: 'ski' });
    const sent = h.finish(0, h.session(1000), 0, { pause: 'human' });
    expect(claims(sent)).toEqual([]);
    expect(demotions(sent)).toHaveLength(1);
    expect(h.finish(1, h.session(1000), 0, { pause: 'none' }).filter((a) => a.verb === 'demote')).toEqual([]);
  });

  it('a certain late return is demoted at once (retention:S17)', () => {
    const hazard = new HazardEstimator();
    for (let i = 0; i < 60; i++) {
      hazard.began(i, 'tool', 'cron', 0);
      hazard.ended(i, 595_000 + (i % 11) * 1000);
    }
    const hbm = { missMs: 164, breakEvenMs: 1122 };
    expect(hazard.ttlMs('tool', 'cron', 1e6, hbm)).toBe(0);
    const host = { missMs: 9986, breakEvenMs: 684_000, tier: 'host', fromMs: 0 } as const;
    expect(hazard.ttlMs('tool', 'cron', 1e6, host)).toBe(605_000);
    expect(hazard.ttlMs('tool', 'cron', 1e6, { ...host, breakEvenMs: 0 })).toBe(0);
    expect(new SkiEstimator().ttlMs('human', undefined, 0, host)).toBe(684_000);
  });

  it('after a time that is kept anyway only later gains count', () => {
    const curve = kaplanMeier(Float64Array.from([1, 1, 1, 1, 1, 10, 10, 10, 10, 10]), new Float64Array());
    // J(1) = 2.5 - 1 = 1.5 beats J(10) = 5 - 5.5; from 2 on the rest gains 0.5 x 5 - 0.5 x 8 < 0.
    expect(bestHold(curve, 5, 100)).toEqual({ hold: 1, gain: 1.5 });
    expect(bestHold(curve, 5, 100, 2)).toEqual({ hold: 2, gain: 0 });
    expect(bestHold(curve, 9, 100, 2)).toEqual({ hold: 10, gain: 0.5 * 9 - 0.5 * 8 });
    expect(bestHold(curve, Number.POSITIVE_INFINITY, 100, 200).hold).toBe(200);
  });
});

describe('prices (retention specification 5.1)', () => {
  it('fixed: the full rent of the worked machine as a number gives the same times', () => {
    const h = auto({ ttl: 'ski', tiers: 'one', priceMode: 'fixed', price: 1.782e-11 }, 0);
    expect(claims(h.finish(0, h.session(1000), 0))[0]!.untilMs / 1000).toBeCloseTo(69.53, 1);
    const free = auto({ ttl: 'ski', tiers: 'one', priceMode: 'fixed', price: 0 });
    expect(claims(free.finish(0, free.session(1000), 0))[0]!.untilMs).toBe(3_600_000);
  });

  it('parameters are refused with a code and a path', () => {
    const code = (params: Record<string, unknown>): string => {
      try {
        auto(params);
      } catch (error) {
        const { code: name, path } = (error as UserError).problems[0]!;
        return `${name} ${path}`;
      }
      return 'fine';
    };
    expect(code({ priceMode: 'fixed' })).toBe('E_REQUIRED kvcast-auto@2.price');
    expect(code({ price: 1 })).toBe('E_ENUM kvcast-auto@2.priceMode');
    expect(code({ priceMode: 'dual' })).toBe('E_ENUM kvcast-auto@2.priceMode');
    expect(code({ priceMode: 'fixed', price: -1 })).toBe('E_RANGE kvcast-auto@2.price');
    expect(code({ tiers: 'three' })).toBe('E_ENUM kvcast-auto@2.tiers');
    expect(code({ tenantBudget: 'euro' })).toBe('E_ENUM kvcast-auto@2.tenantBudget');
    expect(code({ idleClose: 1 })).toBe('E_RANGE kvcast-auto@2.idleClose');
  });
});

describe('block-time of tenants (retention specification 14.2)', () => {
  const soft = (): RetentionHarness =>
    new RetentionHarness('kvcast-soft@2', { ttl: 3_600_000, jitter: 0, tenantShare: 0.25, tenantBudget: 'blockTime' });

  it('an hour of its share is what a tenant may claim at once; then it gets what flows in', () => {
    const h = soft();
    const until = (session: number, nowMs: number, tenant = 1): number | undefined =>
      h.finish(session, h.session(2000), nowMs, { tenant })[0]?.untilMs;
    // A quarter of 10,000 blocks: 2,500 block hours per hour.
    expect(until(0, 0)).toBe(3_600_000);
    expect(until(1, 0)).toBe(900_000);
    expect(until(2, 0)).toBeUndefined();
    expect(until(2, 0, 2)).toBe(3_600_000);
    expect(until(2, 80_000)).toBe(80_000 + 100_000);
    expect((h.policy as LeaseRetention).counters).toMatchObject({ clippedHere: { tenant: 2 }, rejectedHere: { tenant: 1 } });
  });

  it('a claim that is renewed or released early pays only for its time', () => {
    const h = soft();
    const branch = h.session(2000);
    for (let turn = 0; turn < 20; turn++) h.finish(0, branch, turn * 1000, { tenant: 1 });
    h.close(0, 20_000);
    expect(h.finish(1, h.session(2500), 20_000, { tenant: 1 })[0]!.untilMs - 20_000).toBeGreaterThan(3_590_000);
    h.policy.on({ kind: 'lost', rank: 0, nowMs: 20_001 }, () => undefined);
    expect(h.finish(2, h.session(2500), 20_002, { tenant: 1 })[0]!.untilMs).toBe(20_002 + 3_600_000);
  });
});

it('kvcast-auto@2 at a worker: live sessions keep their place, closed ones go, without pressure nothing changes', () => {
  const h = auto({}, 1);
  const store = new ReferenceStore(h.branches, { hostBlocks: 100_000 });
  const [live, closed] = [h.session(10), h.session(10)];
  for (const branch of [live, closed]) store.request(branch, 10, 0);
  for (const action of [...h.finish(0, live, 0), ...h.finish(1, closed, 0)]) store.apply(action, 0);
  expect([live, closed].map((branch) => store.victimClass(branch, 0, 1))).toEqual([3, 3]);
  for (const action of h.close(1, 1)) store.apply(action, 1);
  expect([live, closed].map((branch) => store.victimClass(branch, 0, 2))).toEqual([3, 0]);
  const from = h.sent.length;
  h.policy.on({ kind: 'tick', nowMs: 600_000 }, (action) => h.sent.push(action));
  for (const action of h.sent.slice(from)) expect(store.apply(action, 600_000).result).toBe('accepted');
  expect([store.hostResident(live, 10), store.victimClass(live, 0, 600_001)]).toEqual([10, 0]);
  expect(h.policy.deployable).toMatch(/^needs /);
});
