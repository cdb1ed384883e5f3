import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, commonBlocks, pushRun, repeatedId } from './run-list.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 300);

function compressed(ids: readonly number[]): number[] {
  const list: number[] = [];
  for (const id of ids) pushRun(list, id, id);
  return list;
}

function expanded(list: readonly number[]): number[] {
  const ids: number[] = [];
  for (let i = 0; i < list.length; i += 2) for (let id = list[i]!; id <= list[i + 1]!; id++) ids.push(id);
  return ids;
}

function commonIds(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

/** A prompt and one that shares a prefix with it and continues with other ids, as chained ids do. */
const related = fc
  .record({
    ids: fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 40 }),
    cut: fc.nat(40),
    tail: fc.uniqueArray(fc.integer({ min: 61, max: 99 }), { maxLength: 20 }),
  })
  .map(({ ids, cut, tail }) => [ids, [...ids.slice(0, cut), ...tail]] as const);

describe('runs', () => {
  it('keep exactly the ids they were made of', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 })), (ids) => {
        const list = compressed(ids);
        expect(expanded(list)).toEqual(ids);
        expect(blocksOf(list)).toBe(ids.length);
      }),
      { numRuns: runs },
    );
  });
  it('have the common prefix of their ids', () => {
    fc.assert(
      fc.property(related, ([a, b]) => {
        expect(commonBlocks(compressed(a), compressed(b))).toBe(commonIds(a, b));
      }),
      { numRuns: runs },
    );
  });
  it('merge where they touch, so that [1,3][4,9] equals [1,9]', () => {
    const list: number[] = [];
    pushRun(list, 1, 3);
    pushRun(list, 4, 9);
    expect(list).toEqual([1, 9]);
    expect(commonBlocks(list, compressed([1, 2, 3, 4, 5]))).toBe(5);
  });
  it('show an id that occurs twice', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 15 }), (ids) => {
        expect(repeatedId(compressed(ids)) >= 0).toBe(new Set(ids).size < ids.length);
      }),
      { numRuns: runs },
    );
  });
});
