import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { Bookings } from './bookings.ts';
import { ModelledPrefill } from './modelled-prefill.ts';
import { RouterFixture, rankFacts, routeRequest } from './router-fixture.ts';

/** Prefills [tokens, duration] booked at time 0 on rank 0 under ids 0, 1, … */
function queue(...prefills: [number, number | undefined][]): ModelledPrefill {
  const model = new ModelledPrefill();
  prefills.forEach(([tokens, durationMs], attempt) => {
    model.add(attempt, 0, tokens, durationMs, 0);
  });
  return model;
}

describe('modelled prefill', () => {
  it('melts at the rate of the oldest, rounded in disfavour of the rank, down to nothing', () => {
    const model = queue([100, 300], [50, 10]);
    expect([0, 2, 3, 150, 300, 420, 450, 9000].map((t) => model.pending(0, t))).toEqual([150, 150, 149, 100, 50, 10, 0, 0]);
  });

  it('melts a whole token at the moment it is due, however the duration is written in binary', () => {
    // 20 us a token; 0.02 ms is more than that in binary, and the products round either way.
    for (const tokens of [341, 683, 999, 1767]) {
      const model = queue([tokens, tokens * 0.02]);
      for (let ms = 1; ms <= tokens * 0.02; ms++) expect(model.pending(0, ms)).toBe(tokens - 50 * ms);
    }
  });

  it('stops at the oldest as long as any duration is unknown', () => {
    const model = queue([100, 300], [50, undefined]);
    expect([150, 300, 450].map((t) => model.pending(0, t))).toEqual([100, 50, 50]);
    expect(queue([100, undefined], [50, 10]).pending(0, 1e6)).toBe(150);
  });

  it('of no duration is over at once, alone', () => {
    expect(queue([100, 0], [50, 10]).pending(0, 0)).toBe(50);
  });

  it('starts the next from the moment the oldest ended, and moves the anchor for one that ended behind it', () => {
    const oldest = queue([100, 200], [50, 100]);
    oldest.finish(0, 0, 40);
    expect([40, 60].map((t) => oldest.pending(0, t))).toEqual([50, 40]);
    const behind = queue([100, 200], [50, 100]);
    behind.finish(1, 0, 160);
    // From 100 on, not from 0: 60 ms of 200.
    expect(behind.pending(0, 160)).toBe(70);
    const soon = queue([100, 200], [50, 100]);
    soon.finish(1, 0, 30);
    expect(soon.pending(0, 30)).toBe(100);
  });

  it('runs from its own booking after an empty queue; what is unknown changes nothing', () => {
    const model = queue([100, 100]);
    model.finish(0, 0, 500);
    model.finish(7, 0, 500);
    model.finish(0, 3, 500);
    model.add(1, 0, 40, 40, 600);
    expect([500, 600, 610].map((t) => model.pending(0, t))).toEqual([40, 40, 30]);
    expect([model.melts(0), model.melts(1), model.pending(5, 0)]).toEqual([true, false, 0]);
  });
});

describe('bookings with modelled prefill', () => {
  const request = { rank: 0, branch: -1, depthBlocks: 0, fullBlocks: 1, promptTokens: 100, uncachedTokens: 100, osl: 0 };

  it('tell P at the time they were settled at, and whose load moved', () => {
    const expiry = { mode: 'age', afterMs: 300_000, checkMs: 30_000 } as const;
    const bookings = new Bookings(new BranchTable(), {
      assumeKvReuse: true,
      trackPrefill: true,
      trackOutput: false,
      modelPrefill: true,
      expiry,
    });
    const moved: number[] = [];
    bookings.onLoad = (rank) => moved.push(rank);
    bookings.book({ ...request, attempt: 1, prefillMs: 200 }, 1000);
    bookings.book({ ...request, attempt: 2, rank: 2 }, 1000);
    moved.length = 0;
    bookings.settle(1100);
    expect([bookings.prefillTokens[0], bookings.prefillTokens[2], moved]).toEqual([50, 100, [0]]);
    expect(bookings.firstToken(1, 1100)).toBe(true);
    expect(bookings.firstToken(1, 1100)).toBe(false);
    expect([bookings.free(2, 1200), bookings.prefillTokens[0], bookings.prefillTokens[2]]).toEqual([true, 0, 0]);
  });

  it('a preset parameter turns it on; durations come from the declared prefill cost', () => {
    for (const [modelPrefill, later] of [
      [false, 100],
      [true, 60],
    ] as const) {
      const fixture = new RouterFixture('dynamo-kv@1', { modelPrefill }, 0, 10);
      const facts = rankFacts(10, { prefillMsPerToken: 1, prefillMsPerPair: 0.01 });
      fixture.router.worker({ rank: 0, key: 'a/0', state: 'joined', epoch: 0, facts });
      fixture.router.worker({ rank: 0, state: 'ready', epoch: 0 });
      const first = routeRequest({ attempt: 1, promptTokens: 100 });
      fixture.router.decide(first, 0);
      fixture.router.book(first, 0, 0);
      // 100 tokens at 1 ms, and 0.01 ms x 100 x 50 pairs: 150 ms.
      fixture.router.decide(routeRequest({ attempt: 2, promptTokens: 100 }), 60);
      expect(fixture.router.bookings.prefillTokens[0]).toBe(later);
    }
  });
});
