import { describe, expect, it } from 'vitest';
import { BranchTable } from '../../control/blocks.ts';
import { SERVED } from '../cluster/service-log.ts';
import { BeladyOracle } from './belady-oracle.ts';
import { InfiniteOracle } from './infinite-oracle.ts';
import { lruHits } from './lru-hits.ts';
import { reuseIntervals } from './reuse-intervals.ts';
import { BLOCK_TOKENS, fixtureRecords, serial } from './service-fixture.ts';
import { TtlOracle } from './ttl-oracle.ts';

/** A root block with three children of one block: r -> a, b, c. */
function star(): { table: BranchTable; children: number[] } {
  const table = new BranchTable();
  const root = table.add(-1, 0, 1);
  return { table, children: [0, 1, 2].map(() => table.add(root, 1, 1)) };
}

describe('the worked example of O1', () => {
  // a b c a b c a over r -> {a, b, c}, three blocks of cache beside the block of the request's own tail.
  const { table, children } = star();
  const requests = [0, 1, 2, 0, 1, 2, 0].map((i) => ({ branch: children[i]!, depth: 2 }));
  const intervals = reuseIntervals(fixtureRecords(table, requests, serial(7), [4]), 0, 0);

  it('hits 8 of 14 blocks where least recently used hits the root 6 times', () => {
    expect(intervals.queryTokens).toBe(7 * (2 * BLOCK_TOKENS + 1));
    expect(new BeladyOracle(intervals).hitBlocks).toBe(8);
    expect(lruHits(intervals)).toBe(6);
  });
  it('without limit hits all but the first uses', () => {
    expect(new InfiniteOracle(intervals).hitBlocks).toBe(14 - 4);
  });
  it('with room for the request alone hits only what fits: the root of each', () => {
    const tight = reuseIntervals(fixtureRecords(star().table, requests, serial(7), [3]), 0, 0);
    expect(new BeladyOracle(tight).hitBlocks).toBe(6);
  });
});

/** Two requests for the first branch of a star, on a worker with room for `blocks`. */
function twice({ table, children }: ReturnType<typeof star>, script: Parameters<typeof fixtureRecords>[2], blocks: number) {
  const request = { branch: children[0]!, depth: 2 };
  return reuseIntervals(fixtureRecords(table, [request, request], script, [blocks]), 0, 0);
}

describe('what counts as kept', () => {
  it('blocks of a running request are hits for everybody and need no room', () => {
    const script = [
      { kind: SERVED.admitted, request: 0, tMs: 0 },
      { kind: SERVED.admitted, request: 1, tMs: 1 },
      { kind: SERVED.finished, request: 0, tMs: 2 },
      { kind: SERVED.finished, request: 1, tMs: 3 },
    ];
    const intervals = twice(star(), script, 4);
    expect([intervals.heldBlocks, intervals.blocks.length]).toEqual([2, 0]);
    // Each holds one block from its admission; the first holds all its three at its end, of which the second holds one too.
    expect([...intervals.capAfter]).toEqual([3, 3, 3, 4]);
    expect([...intervals.capBefore]).toEqual([Infinity, Infinity, 1, 1]);
  });
  it('a crash takes everything', () => {
    const script = [
      { kind: SERVED.admitted, request: 0, tMs: 0 },
      { kind: SERVED.lost, request: 0, tMs: 1 },
      { kind: SERVED.admitted, request: 1, tMs: 2 },
      { kind: SERVED.finished, request: 1, tMs: 3 },
    ];
    const intervals = twice(star(), script, 9);
    expect(new BeladyOracle(intervals).hitBlocks).toBe(0);
    expect(new InfiniteOracle(intervals).hitBlocks).toBe(2);
  });
  it('hits of requests that were submitted before the window do not count, nor do those after a preemption', () => {
    const { table, children } = star();
    const requests = [0, 0, 0].map((i) => ({ branch: children[i]!, depth: 2 }));
    const script = [
      ...serial(2),
      { kind: SERVED.admitted, request: 2, tMs: 20 },
      { kind: SERVED.left, request: 2, tMs: 21 },
      { kind: SERVED.again, request: 2, tMs: 22, found: 2 },
      { kind: SERVED.finished, request: 2, tMs: 23 },
    ];
    const intervals = reuseIntervals(fixtureRecords(table, requests, script, [9]), 0, 15);
    expect(new InfiniteOracle(intervals).hitBlocks).toBe(2);
    expect(intervals.queryTokens).toBe(2 * BLOCK_TOKENS + 1);
  });
  it('referenced blocks leave less room on a worker without host tier', () => {
    const { table, children } = star();
    const script = [
      { kind: SERVED.admitted, request: 0, tMs: 0, referenced: 7 },
      { kind: SERVED.finished, request: 0, tMs: 1 },
    ];
    const records = fixtureRecords(table, [{ branch: children[0]!, depth: 2 }], script, [9]);
    expect([...reuseIntervals(records, 0, 0).capAfter]).toEqual([2, 9]);
    expect([...reuseIntervals({ ...records, hostBlocks: Int32Array.of(10) }, 0, 0).capAfter]).toEqual([18, 19]);
  });
});

describe('the worked example of O4', () => {
  const gaps = { a: [1000, 1000, 2], b: [5000, 5000, 60], c: [2000, 2000, 5], d: [8000, 8000, 900], e: [3000, 3000, 30] };
  const rows = Object.values(gaps);
  const oracle = new TtlOracle(
    rows.map(([value]) => value!),
    rows.map(([, size, gap]) => size! * gap!),
  );

  it('buys a, c, e, b, d', () => {
    expect([1, 2, 3, 4, 5].map((k) => [oracle.point(k).saved, oracle.point(k).rent])).toEqual([
      [1000, 2000],
      [3000, 12_000],
      [6000, 102_000],
      [11_000, 402_000],
      [19_000, 7_602_000],
    ]);
  });
  it('saves what fixed deadlines save for less: 12,000 instead of 92,000, 402,000 instead of 882,000', () => {
    const fixed = (ttl: number) => ({
      saved: rows.reduce((sum, [value, , gap]) => sum + (gap! <= ttl ? value! : 0), 0),
      rent: rows.reduce((sum, [, size, gap]) => sum + size! * Math.min(gap!, ttl), 0),
    });
    expect(fixed(5)).toEqual({ saved: 3000, rent: 92_000 });
    expect(fixed(60)).toEqual({ saved: 11_000, rent: 882_000 });
    expect(oracle.atSaved(3000)).toEqual({ saved: 3000, rent: 12_000, price: 2000 / 10_000 });
    expect(oracle.atSaved(11_000)).toMatchObject({ saved: 11_000, rent: 402_000 });
  });
  it('buys a gap in part where the rent does not suffice, and no more than there is', () => {
    expect(oracle.atRent(57_000)).toEqual({ saved: 4500, rent: 57_000, price: 3000 / 90_000 });
    expect(oracle.atRent(1e12).saved).toBe(19_000);
    expect(oracle.atSaved(1e12).rent).toBe(7_602_000);
    expect(oracle.atSaved(3001)).toMatchObject({ saved: 6000, rent: 102_000 });
    expect(oracle.atSaved(0).rent).toBe(0);
    expect(oracle.atRent(0).saved).toBe(0);
    expect(new TtlOracle([3, 4], [0, 0]).atRent(0).saved).toBe(7);
  });
});
