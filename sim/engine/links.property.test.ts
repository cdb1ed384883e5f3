import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLinkPool, type LinkPoolOptions } from './links.ts';

const runs = Number(process.env.KVCAST_RUNS ?? 300);

const transfers = fc.array(
  fc.record({
    startMs: fc.integer({ min: 0, max: 200 }).map((x) => x / 8),
    worker: fc.integer({ min: 0, max: 3 }),
    direction: fc.constantFrom(0 as const, 1 as const),
    bytes: fc.integer({ min: 0, max: 400 }),
    gpus: fc.constantFrom(1, 2),
    cancelAfterMs: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 5 }),
  }),
  { minLength: 1, maxLength: 14 },
);

const capacities = fc.record({
  h2dBytesPerMs: fc.integer({ min: 4, max: 40 }),
  d2hBytesPerMs: fc.integer({ min: 4, max: 40 }),
  duplexBytesPerMs: fc.integer({ min: 4, max: 80 }),
  dramBytesPerMs: fc.integer({ min: 4, max: 200 }),
});

type Plan = { startMs: number; worker: number; direction: 0 | 1; bytes: number; gpus: number };

/** Max-min rates by bisection on the common level, without progressive filling: the oracle. */
function oracleRates(active: readonly Plan[], options: Omit<LinkPoolOptions, 'onDone'>): number[] {
  const busy = (worker: number, direction: number) => active.filter((t) => t.worker === worker && t.direction === direction);
  const linkShare = active.map((t) => {
    const oneWay = t.direction === 0 ? options.h2dBytesPerMs : options.d2hBytesPerMs;
    const duplex = busy(t.worker, 1 - t.direction).length > 0;
    return (duplex ? Math.min(oneWay, options.duplexBytesPerMs / 2) : oneWay) / busy(t.worker, t.direction).length;
  });
  const used = (level: number) => active.reduce((sum, t, i) => sum + t.gpus * Math.min(level, linkShare[i]!), 0);
  let low = 0;
  let high = Math.max(...linkShare);
  if (used(high) <= options.dramBytesPerMs) return linkShare;
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (used(middle) <= options.dramBytesPerMs) low = middle;
    else high = middle;
  }
  return linkShare.map((share) => Math.min(share, low));
}

/** Steps from event to event with residuals of every transfer: the naive model. */
function oracleEnds(plans: readonly Plan[], options: Omit<LinkPoolOptions, 'onDone'>): number[] {
  const left = plans.map((plan) => plan.bytes);
  const ends = plans.map(() => Number.NaN);
  let nowMs = 0;
  for (;;) {
    const active = plans.map((_, i) => i).filter((i) => plans[i]!.startMs <= nowMs && Number.isNaN(ends[i]!));
    for (const i of active) if (left[i]! <= 1e-9) ends[i] = nowMs;
    const busy = active.filter((i) => Number.isNaN(ends[i]!));
    const starts = plans.map((plan) => plan.startMs).filter((ms) => ms > nowMs);
    if (busy.length === 0 && starts.length === 0) return ends;
    const rates = oracleRates(
      busy.map((i) => plans[i]!),
      options,
    );
    const untilMs = Math.min(...starts, ...busy.map((i, k) => nowMs + left[i]! / rates[k]!));
    busy.forEach((i, k) => {
      left[i]! -= rates[k]! * (untilMs - nowMs);
    });
    nowMs = untilMs;
  }
}

describe('link pool', () => {
  it('ends every transfer when the naive max-min model does', () => {
    fc.assert(
      fc.property(transfers, capacities, (list, options) => {
        const plans = list.map(({ cancelAfterMs: _, ...plan }) => plan).sort((a, b) => a.startMs - b.startMs);
        const ends = new Map<number, number>();
        const links = createLinkPool({ gpus: 2, ...options, onDone: (transfer, _worker, tMs) => ends.set(transfer, tMs) });
        const ids = plans.map((plan) => {
          links.advance(plan.startMs);
          return links.start(plan.worker, plan.direction, plan.bytes, 0, 0, plan.gpus, plan.startMs);
        });
        links.advance(1e9);
        const expected = oracleEnds(plans, { gpus: 2, ...options });
        ids.forEach((id, i) => {
          expect(Math.abs(ends.get(id)! - expected[i]!)).toBeLessThan(1e-6);
        });
        expect(ends.size).toBe(plans.length);
      }),
      { numRuns: runs },
    );
  });

  it('E10: ends or cancels every transfer once, in the order of (time, id), never faster than its link', () => {
    fc.assert(
      fc.property(transfers, capacities, (list, options) => {
        const ended: [number, number][] = [];
        const links = createLinkPool({ gpus: 2, ...options, onDone: (transfer, _worker, tMs) => ended.push([tMs, transfer]) });
        const entries = list.flatMap((plan, i) => [
          { tMs: plan.startMs, i, cancel: false },
          ...(plan.cancelAfterMs === undefined ? [] : [{ tMs: plan.startMs + plan.cancelAfterMs, i, cancel: true }]),
        ]);
        const ids = new Map<number, number>();
        const cancelled = new Set<number>();
        for (const { tMs, i, cancel } of entries.sort((a, b) => a.tMs - b.tMs || Number(a.cancel) - Number(b.cancel))) {
          links.advance(tMs);
          const plan = list[i]!;
          if (!cancel) ids.set(i, links.start(plan.worker, plan.direction, plan.bytes, 0, 0, plan.gpus, tMs));
          else if (!ended.some(([, id]) => id === ids.get(i))) {
            links.cancel(ids.get(i)!, tMs);
            cancelled.add(ids.get(i)!);
          }
        }
        links.advance(1e9);
        expect(ended.length + cancelled.size).toBe(list.length);
        expect(ended).toEqual(ended.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));
        list.forEach((plan, i) => {
          const end = ended.find(([, id]) => id === ids.get(i));
          const oneWay = plan.direction === 0 ? options.h2dBytesPerMs : options.d2hBytesPerMs;
          const capacity = Math.min(oneWay, options.dramBytesPerMs / plan.gpus);
          if (end !== undefined) expect((end[0] - plan.startMs) * capacity).toBeGreaterThanOrEqual(plan.bytes - 1e-6);
        });
      }),
      { numRuns: runs },
    );
  });

  it('ends equal transfers that start together at the very same time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 9 }),
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        fc.double({ min: 0.1, max: 1e8, noNaN: true }),
        (count, bytes, rate) => {
          const ends: number[] = [];
          const links = createLinkPool({
            gpus: 1,
            h2dBytesPerMs: rate,
            d2hBytesPerMs: rate,
            duplexBytesPerMs: rate,
            dramBytesPerMs: 3 * rate,
            onDone: (_transfer, _worker, tMs) => ends.push(tMs),
          });
          for (let i = 0; i < count; i++) links.start(0, 0, bytes, 0, 0, 1, 0);
          links.advance(Number.MAX_VALUE);
          expect(new Set(ends).size).toBe(1);
          expect(ends.length).toBe(count);
        },
      ),
      { numRuns: runs },
    );
  });
});
