import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { type BookingExpiry, type BookingOptions, Bookings } from './bookings.ts';

const LEASE: BookingExpiry = { mode: 'lease', afterMs: 3_600_000, checkMs: 30_000 };

function bookings(options: Partial<BookingOptions> = {}, blockTokens = 64): { bookings: Bookings; chain: number } {
  const branches = new BranchTable();
  const made = new Bookings(branches, { assumeKvReuse: true, trackPrefill: true, trackOutput: false, expiry: LEASE, ...options });
  made.blockTokens = blockTokens;
  return { bookings: made, chain: branches.add(-1, 0, 200) };
}

const base = { rank: 0, branch: -1, depthBlocks: 0, fullBlocks: 10, promptTokens: 640, uncachedTokens: 640, osl: 0 };

test('a block shared by several requests counts once; the partial block does not count', () => {
  const { bookings: b, chain } = bookings();
  for (let attempt = 0; attempt < 3; attempt++) b.book({ ...base, attempt, branch: chain, depthBlocks: 10, promptTokens: 650 }, 0);
  expect([b.activeBlocks[0], b.prefillTokens[0], b.inflight[0]]).toEqual([10, 1920, 3]);
});

test('output weights: 125 exclusive blocks under osl 256, reported token by token (router:E10, 5.2.1)', () => {
  const { bookings: b, chain } = bookings({ trackOutput: true });
  b.book({ ...base, attempt: 1, branch: chain, depthBlocks: 125, fullBlocks: 125, promptTokens: 8000, osl: 256 }, 0);
  // Unrounded 125.51, 94.75, 63.5, 31.75, 0: the weight moves only when a block is appended.
  const expected: [number, number][] = [
    [64, 126],
    [128, 95],
    [192, 64],
    [256, 32],
    [300, 0],
  ];
  let out = 0;
  for (const [until, blocks] of expected) {
    while (out < until) {
      b.progress(1, ++out, 0);
      expect(b.activeBlocks[0], `at ${out} tokens`).toBe(blocks);
    }
  }
});

test('output blocks open at out 29 and 93 for a prompt of 100 tokens in blocks of 64', () => {
  const { bookings: b } = bookings({ trackOutput: true });
  b.book({ ...base, attempt: 1, fullBlocks: 1, promptTokens: 100 }, 0);
  const opened: number[] = [];
  for (let out = 1; out <= 100; out++) {
    const before = b.activeBlocks[0];
    b.progress(1, out, 0);
    if (b.activeBlocks[0] !== before) opened.push(out);
  }
  expect(opened).toEqual([29, 93]);
});

test('a lease ends after silence, an age after booking; both are checked at most every 30 s', () => {
  for (const mode of ['lease', 'age'] as const) {
    const { bookings: b } = bookings({ expiry: { mode, afterMs: 300_000, checkMs: 30_000 } });
    b.book({ ...base, attempt: 1 }, 0);
    b.progress(1, 5, 200_000);
    b.book({ ...base, attempt: 2 }, 301_000);
    expect(b.inflight[0]).toBe(mode === 'lease' ? 2 : 1);
    expect(b.expired).toBe(mode === 'lease' ? 0 : 1);
    b.firstToken(1, 302_000);
    b.free(1);
    expect([b.inflight[0], b.prefillTokens[0]]).toEqual([1, 640]);
  }
});

test('a live id cannot be booked twice; unknown ids do nothing', () => {
  const { bookings: b } = bookings();
  b.book({ ...base, attempt: 1 }, 0);
  expect(() => b.book({ ...base, attempt: 1 }, 0)).toThrow('attempt 1 is booked already');
  b.free(7);
  b.firstToken(7, 0);
  b.progress(7, 1, 0);
  expect(b.inflight[0]).toBe(1);
});

test('more chain ends on one branch than the columns hold at first: every booking is released', () => {
  const { bookings: b, chain } = bookings();
  // Longest first, so that each later and shorter chain is linked behind an existing one while the columns grow.
  const ends = Array.from({ length: 150 }, (_, i) => 199 - i);
  ends.forEach((depthBlocks, attempt) => {
    b.book({ ...base, attempt, branch: chain, depthBlocks, fullBlocks: depthBlocks, promptTokens: 64 * depthBlocks }, 0);
  });
  expect([b.activeBlocks[0], b.inflight[0]]).toEqual([199, 150]);
  for (const attempt of ends.keys()) b.free(attempt);
  expect([b.activeBlocks[0], b.prefillTokens[0], b.inflight[0]]).toEqual([0, 0, 0]);
});
