import { describe, expect, it } from 'vitest';
import { BranchTable } from '../../control/blocks.ts';
import { ORACLE_NAMES } from '../experiment/bound-result.ts';
import { headroomOf } from './headroom.ts';
import { BLOCK_TOKENS, type FixtureRecord, fixtureRecords, serial } from './service-fixture.ts';

const ALL = { oracles: ORACLE_NAMES, fromMs: 0, faults: false };

/** a b c a b c a over r -> {a, b, c} on one worker; `found` blocks by request. */
function worked(found: readonly number[], usableBlocks = 4, hostBlocks = 0) {
  const table = new BranchTable();
  const root = table.add(-1, 0, 1);
  const children = [0, 1, 2].map(() => table.add(root, 1, 1));
  const script = serial(7).map((record): FixtureRecord => ({ ...record, found: found[record.request]! }));
  const requests = [0, 1, 2, 0, 1, 2, 0].map((i) => ({ branch: children[i]!, depth: 2 }));
  return fixtureRecords(table, requests, script, [usableBlocks], { hostBlocks: Int32Array.of(hostBlocks) });
}

const LRU = [0, 1, 1, 1, 1, 1, 1];

describe('headroom of the worked example', () => {
  it('regret 2 of 8 blocks against perfect eviction, none left for placement on one worker', () => {
    const { foundTokens, queryTokens, floorTokens, rows, ttlCutMs, savedMs } = headroomOf(worked(LRU), ALL);
    expect([foundTokens, queryTokens, floorTokens]).toEqual([6 * BLOCK_TOKENS, 7 * (2 * BLOCK_TOKENS + 1), 10 * BLOCK_TOKENS]);
    expect(Object.fromEntries(rows.map((r) => [r.oracle, [r.label, r.hitTokens / BLOCK_TOKENS]]))).toEqual({
      ttl: ['bound', 10],
      belady: ['exact', 8],
      router: ['heuristic', 6],
      'belady + router': ['bound', 8],
      infinite: ['exact', 10],
      'infinite + router': ['exact', 10],
    });
    expect(ttlCutMs).toBe(null);
    // Blocks are worth 3 ms at the root and 5 ms below it: 6 roots, and at most two returns besides.
    expect(savedMs!.found).toBe(6 * 3);
    expect(savedMs!.costAware).toBe(6 * 3 + 2 * 5);
    expect(savedMs!.dual).toBeGreaterThanOrEqual(6 * 3 + 2 * 5 - 1e-9);
    expect(savedMs!.dual).toBeLessThanOrEqual(6 * 3 + 4 * 5);
  });
  it('deadlines stop where the average room is used up', () => {
    // Six roots for 9 ms and four returns for 29 ms are 170 block-ms; three blocks between services are 162, none while one runs.
    const records = worked(LRU, 3);
    records.referenced.forEach((_, i) => {
      if (i % 2 === 0) records.referenced[i] = 3;
    });
    const { rows, ttlCutMs } = headroomOf(records, { ...ALL, oracles: ['ttl', 'belady'] });
    expect(ttlCutMs).toBeCloseTo(29, 9);
    expect(rows[0]!.hitTokens / BLOCK_TOKENS).toBeCloseTo(10 - 8 / 29, 9);
    expect(rows[1]!.hitTokens / BLOCK_TOKENS).toBe(6);
  });
  it('a host tier adds room and makes eviction a bound', () => {
    const rows = headroomOf(worked(LRU, 4, 6), { ...ALL, oracles: ['belady'] }).rows;
    expect(rows).toEqual([{ oracle: 'belady', label: 'bound', hitTokens: 10 * BLOCK_TOKENS }]);
  });
  it('a run that beats an exact row is a bug of ours', () => {
    expect(() => headroomOf(worked([0, 2, 2, 2, 2, 2, 2]), { ...ALL, oracles: ['belady'] })).toThrow(
      /the run found 24 tokens, more than the 16 of belady, which is exact/,
    );
  });
});
