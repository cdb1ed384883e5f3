import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLinkPool, type LinkPool, type LinkPoolOptions } from './links.ts';
import { createNaiveLinkPool } from './naive-links.ts';

const runs = Number(process.env.KVCAST_RUNS ?? 400);

/** What is done to a pool; `pick` names one of the transfers so far. */
const operations = fc.array(
  fc.record({
    kind: fc.constantFrom('start' as const, 'start' as const, 'cancel' as const, 'advance' as const),
    afterMs: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 0, max: 40 }).map((x) => x / 8),
      fc.double({ min: 0, max: 9, noNaN: true }),
    ),
    worker: fc.integer({ min: 0, max: 20 }),
    direction: fc.constantFrom(0 as const, 1 as const),
    bytes: fc.oneof(fc.constantFrom(0, 8, 64), fc.double({ min: 0, max: 500, noNaN: true })),
    fragments: fc.integer({ min: 0, max: 3 }),
    gpus: fc.integer({ min: 1, max: 4 }),
    pick: fc.nat(60),
  }),
  { minLength: 1, maxLength: 60 },
);

const rate = fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.constantFrom(4, 8, 16), fc.double({ min: 1, max: 50, noNaN: true }));
const capacities = fc.record({ h2dBytesPerMs: rate, d2hBytesPerMs: rate, duplexBytesPerMs: rate, dramBytesPerMs: rate });
/** Workers that take part: with few the links are shared, with many there are more of them than the first columns hold. */
const spread = fc.constantFrom(1, 2, 21);

type Operation = typeof operations extends fc.Arbitrary<infer T> ? (T extends readonly (infer O)[] ? O : never) : never;

/** Everything that can be seen of a pool, number by number. A completed transfer of a multiple of 8 bytes starts a follower. */
function transcript(
  create: (options: LinkPoolOptions) => LinkPool,
  options: Omit<LinkPoolOptions, 'onDone'>,
  list: readonly Operation[],
): number[] {
  const seen: number[] = [];
  let followers = 5;
  const pool = create({
    ...options,
    onDone: (transfer, worker, tMs) => {
      seen.push(transfer, worker, tMs);
      if (transfer % 3 === 0 && followers-- > 0) pool.start(worker, (transfer & 1) as 0 | 1, 24, 1, 0.5, 1, tMs);
    },
  });
  let nowMs = 0;
  let started = 0;
  for (const o of list) {
    nowMs += o.afterMs;
    pool.advance(nowMs);
    if (o.kind === 'start') started = pool.start(o.worker, o.direction, o.bytes, o.fragments, 0.25, o.gpus, nowMs);
    if (o.kind === 'cancel') pool.cancel(o.pick % (started + 1), nowMs);
    seen.push(pool.nextMs, pool.remainingMs(o.pick % (started + 1), nowMs));
    seen.push(pool.estimateMs(o.worker, o.direction, o.bytes, o.fragments, 0.25, nowMs));
  }
  pool.advance(1e9);
  seen.push(pool.nextMs);
  return seen;
}

it('the link pool is its naive reference to the last bit', () => {
  fc.assert(
    fc.property(operations, capacities, spread, (drawn, rates, workers) => {
      const list = drawn.map((o) => ({ ...o, worker: o.worker % workers }));
      const options = { gpus: 4, ...rates };
      const fast = transcript(createLinkPool, options, list);
      const naive = transcript(createNaiveLinkPool, options, list);
      expect(fast.length).toBe(naive.length);
      for (let i = 0; i < naive.length; i++) expect(Object.is(fast[i], naive[i]), `${i}: ${fast[i]} and ${naive[i]}`).toBe(true);
    }),
    { numRuns: runs },
  );
});

it('more busy links than the first columns hold', () => {
  const ends = (create: (options: LinkPoolOptions) => LinkPool): number[] => {
    const seen: number[] = [];
    const options = { gpus: 1, h2dBytesPerMs: 10, d2hBytesPerMs: 9, duplexBytesPerMs: 15, dramBytesPerMs: 300 };
    const pool = create({ ...options, onDone: (transfer, worker, tMs) => seen.push(transfer, worker, tMs) });
    for (let worker = 0; worker < 40; worker++)
      for (const direction of [0, 1] as const) pool.start(worker, direction, 100 + worker, 0, 0, 1, 0);
    pool.advance(1e6);
    return seen;
  };
  expect(ends(createLinkPool)).toEqual(ends(createNaiveLinkPool));
  expect(ends(createLinkPool)).toHaveLength(3 * 80);
});
