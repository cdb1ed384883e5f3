import { expect, it } from 'vitest';
import { HashListScanner } from './hash-list-scanner.ts';

it('a scanner takes over from the line before only what both lines share', () => {
  const scanner = new HashListScanner();
  const lists = (text: string): unknown => {
    const bytes = Buffer.from(`{"hash_ids":[${text}]}`);
    const cut = scanner.cut(bytes, 0, bytes.length)?.lists[0] ?? null;
    bytes.fill(0);
    return cut;
  };
  expect(lists('1,2,3,10,11')).toEqual([1, 3, 10, 11]);
  expect(lists('1,2,3,10,12')).toEqual([1, 3, 10, 10, 12, 12]);
  expect(lists('1,2,3,10,12,13,20')).toEqual([1, 3, 10, 10, 12, 13, 20, 20]);
  expect(lists('1,2')).toEqual([1, 2]);
  expect(lists('1,25')).toEqual([1, 1, 25, 25]);
  expect(lists('x')).toBeNull();
  expect(lists('1,25,26')).toEqual([1, 1, 25, 26]);
  expect(lists('[7,9]')).toEqual([7, 9]);
  expect(lists('1,25,27')).toEqual([1, 1, 25, 25, 27, 27]);
  expect(lists('')).toEqual([]);
  expect(lists('5')).toEqual([5, 5]);
});
