import { describe, expect, test } from 'vitest';
import { RouterFixture, routeRequest } from './router-fixture.ts';

/** The three ranks of router:E2: bs 64, L 8000, so R = Q = 125. */
function e2(params: Readonly<Record<string, unknown>> = {}): { fixture: RouterFixture; request: ReturnType<typeof routeRequest> } {
  const fixture = new RouterFixture('dynamo-kv@1', params, 3, 64);
  const chain = fixture.branches.add(-1, 0, 125);
  fixture.store(0, chain, 0, 100);
  fixture.store(1, chain, 0, 40);
  fixture.store(1, chain, 40, 100, 1);
  fixture.load(0, 400, 9600);
  fixture.load(1, 300, 0);
  fixture.load(2, 120, 0);
  return { fixture, request: routeRequest({ id: 'req-1', promptTokens: 8000, branch: chain, depthBlocks: 125 }) };
}

function rounded(values: readonly number[]): number[] {
  return values.map((value) => Math.round(value * 100) / 100);
}

describe('E2, the full pipeline', () => {
  test('every column of the table', () => {
    const { fixture, request } = e2();
    expect(fixture.scores(request)).toEqual([700, 465, 370]);
    const { engine, policy } = fixture.router;
    const column = (name: string): number[] => [...engine.raw(policy.features.findIndex((f) => f.name === name)).subarray(0, 3)];
    expect(column('adjPrefillBlocks')).toEqual([175, 40, 125]);
    expect(column('decodeBlocks')).toEqual([525, 425, 245]);
    expect(fixture.router.decide(request, 0)).toBe(2);
  });

  test('variants: prefill scale, credit, decay', () => {
    const variants: [Record<string, number>, number[], number][] = [
      [{ s: 4 }, [1225, 585, 745], 1],
      [{ decay: 1 }, [754.55, 465, 370], 2],
      [{ decay: 0.5 }, [737.5, 465, 370], 2],
      [{ c: 1.5 }, [650, 445, 370], 2],
    ];
    for (const [params, costs, winner] of variants) {
      const { fixture, request } = e2(params);
      expect(rounded(fixture.scores(request))).toEqual(costs);
      expect(fixture.router.decide(request, 0)).toBe(winner);
    }
  });

  test('softmax: draw 0 of req-1 under seed 42 falls into W2 at T = 0.5', () => {
    for (const [T, probability] of [
      [0.5, 0.5891],
      [1, 0.4722],
    ] as const) {
      const { fixture, request } = e2({ T });
      fixture.router.scoreAll = true;
      const rank = fixture.router.decide(request, 0);
      if (T === 0.5) expect(rank).toBe(2);
      if (rank === 2) expect(fixture.router.engine.probability).toBeCloseTo(probability, 4);
      expect(fixture.router.engine.draws[0]).toBe(0.4587233108468354);
    }
  });

  test('booked prefill is the uncached part: 1600, 2560, 8000 tokens', () => {
    for (const [rank, tokens] of [
      [0, 1600],
      [1, 2560],
      [2, 8000],
    ] as const) {
      const { fixture, request } = e2();
      fixture.router.decide(request, 0);
      const before = fixture.router.bookings.prefillTokens[rank]!;
      fixture.router.book(request, rank, 0);
      expect(fixture.router.bookings.prefillTokens[rank]! - before).toBe(tokens);
    }
  });
});

describe('E1b, a sibling burst', () => {
  /** Three ranks with 2, 5, 8 of 10 blocks cached and D = 10, 5, 9. */
  function world(params: Readonly<Record<string, unknown>>): { fixture: RouterFixture; chain: number } {
    const fixture = new RouterFixture('dynamo-kv@1', params, 3, 64);
    const chain = fixture.branches.add(-1, 0, 10);
    [2, 5, 8].forEach((blocks, rank) => {
      fixture.store(rank, chain, 0, blocks);
    });
    [10, 5, 9].forEach((blocks, rank) => {
      fixture.load(rank, blocks, 0);
    });
    return { fixture, chain };
  }

  function request(chain: number, attempt: number): ReturnType<typeof routeRequest> {
    return routeRequest({ attempt, promptTokens: 640, branch: chain, depthBlocks: 10 });
  }

  test('the twin of a placed request moves away before any KV event: 28 / 25 / 21', () => {
    const { fixture, chain } = world({});
    expect(fixture.scores(request(chain, 1))).toEqual([28, 20, 21]);
    expect(fixture.router.decide(request(chain, 1), 0)).toBe(1);
    fixture.router.book(request(chain, 1), 1, 0);
    expect(fixture.scores(request(chain, 2))).toEqual([28, 25, 21]);
    expect(fixture.router.decide(request(chain, 2), 0)).toBe(2);
  });

  test('with predict-on-route it stays: 28 / 20 / 21', () => {
    const { fixture, chain } = world({ predictedTtlSec: 5 });
    fixture.router.decide(request(chain, 1), 0);
    fixture.router.book(request(chain, 1), 1, 0);
    expect(fixture.scores(request(chain, 2))).toEqual([28, 20, 21]);
    expect(fixture.router.decide(request(chain, 2), 0)).toBe(1);
    expect(fixture.router.predictedBlocks(1)).toBe(5);
  });
});
