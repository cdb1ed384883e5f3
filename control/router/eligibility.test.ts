import { describe, expect, it } from 'vitest';
import { exp, tanh } from '../math.ts';
import type { RouteRequest } from '../ports.ts';
import { recordDecision, reexecute } from './decision-record.ts';
import { RouterFixture, rankFacts, routeRequest } from './router-fixture.ts';

/** Workers a (ranks 0, 1; taint x), b (rank 2; taints x, y), c (rank 3; none). */
function fleet(preset = 'dynamo-kv@1'): RouterFixture {
  const fixture = new RouterFixture(preset, {}, 0, 16);
  const keys: [string, string[]][] = [
    ['a/0', ['x']],
    ['a/1', ['x']],
    ['b/0', ['x', 'y']],
    ['c/0', []],
  ];
  keys.forEach(([key, taints], rank) => {
    fixture.router.worker({ rank, key, state: 'joined', epoch: 0, facts: rankFacts(16, { taints }) });
    fixture.router.worker({ rank, state: 'ready', epoch: 0 });
  });
  return fixture;
}

function outcome(fixture: RouterFixture, request: Partial<RouteRequest>): number[] | string {
  fixture.router.scoreAll = true;
  const rank = fixture.router.decide(routeRequest({ promptTokens: 64, ...request }), 0);
  return rank < 0 ? fixture.router.refusal : [...fixture.router.rows.subarray(0, fixture.router.eligible)];
}

function overload(fixture: RouterFixture, rank: number, asOfMs: number, overloaded = true): void {
  fixture.router.report({ rank, asOfMs, waiting: 0, running: 0, kvUsage: 0, overloaded });
}

describe('eligibility', () => {
  it('allows workers by id, with all their ranks', () => {
    expect(outcome(fleet(), { allow: ['a', 'c'] })).toEqual([0, 1, 3]);
    expect(outcome(fleet(), { allow: ['nobody'] })).toBe('ALL_EXCLUDED');
  });

  it('asks for every required taint', () => {
    expect(outcome(fleet(), { requiredTaints: ['x'] })).toEqual([0, 1, 2]);
    expect(outcome(fleet(), { requiredTaints: ['x', 'y'] })).toEqual([2]);
    expect(outcome(fleet(), { requiredTaints: ['z'] })).toBe('TAINT_UNSATISFIED');
  });

  it('leaves out overloaded ranks until a report clears them', () => {
    const fixture = fleet();
    for (const rank of [0, 1, 2]) overload(fixture, rank, 1);
    expect(outcome(fixture, {})).toEqual([3]);
    expect(outcome(fixture, { requiredTaints: ['x'] })).toBe('ALL_BUSY');
    overload(fixture, 2, 2, false);
    expect(outcome(fixture, {})).toEqual([2, 3]);
    fixture.router.worker({ rank: 0, state: 'restarted', epoch: 1 });
    expect(outcome(fixture, {})).toEqual([0, 2, 3]);
  });

  it('leaves the rank of an affinity alone while it may serve, and takes no notice of it otherwise', () => {
    const fixture = fleet();
    expect(outcome(fixture, { affinity: 2 })).toEqual([2]);
    expect(outcome(fixture, { affinity: 2, allow: ['a', 'c'] })).toEqual([0, 1, 3]);
    expect(outcome(fixture, { affinity: 9 })).toEqual([0, 1, 2, 3]);
    expect(outcome(fixture, { affinity: 2, pin: 3 })).toEqual([3]);
    expect(outcome(fixture, { affinity: 2, requiredTaints: ['z'] })).toBe('TAINT_UNSATISFIED');
    overload(fixture, 2, 1);
    expect(outcome(fixture, { affinity: 2 })).toEqual([0, 1, 3]);
    fixture.router.scoreAll = false;
    expect(fixture.router.decide(routeRequest({ promptTokens: 64, affinity: 1 }), 0)).toBe(1);
  });

  it('tells an unknown fleet from an unhealthy one', () => {
    const fixture = new RouterFixture('dynamo-kv@1', {}, 0, 16);
    expect(outcome(fixture, {})).toBe('NO_WORKERS');
    fixture.router.worker({ rank: 0, key: 'a/0', state: 'joined', epoch: 0, facts: rankFacts(16) });
    expect(outcome(fixture, {})).toBe('ALL_UNHEALTHY');
  });
});

describe('a pin', () => {
  it('wins without a comparison, whatever the load', () => {
    const fixture = fleet();
    fixture.load(1, 10_000, 100_000);
    expect(outcome(fixture, { pin: 1 })).toEqual([1]);
    expect(fixture.router.engine.rule).toBe(-1);
    expect(fixture.router.engine.tieSize).toBe(0);
  });

  it('fails as not allowed before not found before overloaded', () => {
    const fixture = fleet();
    overload(fixture, 0, 1);
    expect(outcome(fixture, { pin: 0, allow: ['b'] })).toBe('PIN_NOT_ALLOWED');
    expect(outcome(fixture, { pin: 1, exclude: [1] })).toBe('PIN_NOT_ALLOWED');
    expect(outcome(fixture, { pin: 0, requiredTaints: ['y'] })).toBe('PIN_NOT_FOUND');
    expect(outcome(fixture, { pin: 9 })).toBe('PIN_NOT_FOUND');
    expect(outcome(fixture, { pin: 0 })).toBe('PIN_OVERLOADED');
    fixture.router.worker({ rank: 1, state: 'draining', epoch: 0 });
    expect(outcome(fixture, { pin: 1 })).toBe('PIN_NOT_FOUND');
  });
});

describe('preferred taints', () => {
  it('scale costs by exp(-tanh(sum)) of single-precision weights, and a record repeats the choice', () => {
    const fixture = fleet();
    fixture.load(2, 5, 0);
    const request = routeRequest({ promptTokens: 64, preferredTaints: { x: 0.1, y: -0.3 } });
    const costs = fixture.scores(request);
    const factor = (sum: number): number => exp(-tanh(sum));
    const [x, y] = [Math.fround(0.1), Math.fround(-0.3)];
    expect(costs).toEqual([8 * factor(x), 8 * factor(x), 13 * factor(x + y), 8]);
    expect(x).not.toBe(0.1);
    const rank = fixture.router.decide(request, 0);
    const facts = { action: { kind: 'dispatch', rank }, reasons: [], waitMs: 0, bookSeq: 1 } as const;
    const record = recordDecision(fixture.router, request, 'full', facts, 0);
    expect(reexecute(record, fixture.router.policy, 42)).toBe(rank);
    expect(rank).toBeLessThan(2);
    expect(record.candidates.map((one) => one.features['taintFactor']!.raw)).toEqual([factor(x), factor(x), factor(x + y), 1]);
  });

  it('of which a worker carries none leave its cost alone', () => {
    expect(fleet().scores(routeRequest({ promptTokens: 64, preferredTaints: { z: 3 } }))).toEqual([8, 8, 8, 8]);
    expect(fleet().scores(routeRequest({ promptTokens: 64, preferredTaints: {} }))).toEqual([8, 8, 8, 8]);
  });
});

describe('what others know', () => {
  it('a shared cache counts from the rank’s own match on', () => {
    const fixture = new RouterFixture('dynamo-kv@1', { m: 0.5 }, 2, 16);
    const chain = fixture.branches.add(-1, 0, 10);
    fixture.store(0, chain, 0, 4);
    const request = routeRequest({
      promptTokens: 160,
      branch: chain,
      depthBlocks: 10,
      sharedRanges: [
        [0, 6],
        [8, 9],
      ],
    });
    // 20 blocks less 4 own and half of [4, 6) and [8, 9); 20 less half of 7.
    expect(fixture.scores(request)).toEqual([20 - 4 - 1.5, 20 - 3.5]);
    expect(fixture.scores(routeRequest({ ...request, sharedRanges: undefined } as never))).toEqual([16, 20]);
  });

  it('an outside estimate stands in for the own index, fractions and all', () => {
    const fixture = new RouterFixture('dynamo-kv@1', {}, 2, 16);
    const estimatedBlocks = new Map([[1, 2.5]]);
    expect(fixture.scores(routeRequest({ promptTokens: 160, estimatedBlocks }))).toEqual([20, 17.5]);
    expect(fixture.scores(routeRequest({ promptTokens: 160 }))).toEqual([20, 20]);
    // More than the prompt: raw prefill is what is cached, so the credit takes no more than the own prompt off.
    expect(fixture.scores(routeRequest({ promptTokens: 160, estimatedBlocks: new Map([[1, 15]]) }))).toEqual([20, 10]);
    fixture.load(1, 0, 32);
    expect(fixture.scores(routeRequest({ promptTokens: 160, estimatedBlocks: new Map([[1, 15]]) }))).toEqual([20, 12]);
  });

  it('a rank of unknown load costs the prompt alone', () => {
    const fixture = new RouterFixture('dynamo-kv@1', {}, 2, 16);
    fixture.router.input.unknownLoad = Uint8Array.of(0, 1);
    expect(fixture.scores(routeRequest({ promptTokens: 168 }))).toEqual([10.5 + 10, 10.5]);
  });
});

describe('load options', () => {
  it('without tracked active blocks a request adds none', () => {
    const fixture = new RouterFixture('dynamo-kv@1', { trackActiveBlocks: false }, 1, 16);
    const request = routeRequest({ promptTokens: 160 });
    expect(fixture.scores(request)).toEqual([10]);
    fixture.router.book(request, 0, 0);
    expect([fixture.router.bookings.activeBlocks[0], fixture.router.bookings.inflight[0]]).toEqual([0, 1]);
  });
});
