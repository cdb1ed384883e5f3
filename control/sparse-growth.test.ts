import { expect, it } from 'vitest';
import { grownSparse } from './sparse-growth.ts';

it('a grown column holds what the old one held, and zeros behind it', () => {
  const column = new Int32Array(5000);
  for (const at of [0, 1023, 1024, 3000, 4999]) column[at] = at + 1;
  const wide = grownSparse(column, 25_000);
  expect(wide.length).toBe(40_000);
  expect([...wide.subarray(0, 5000)]).toEqual([...column]);
  expect(wide.subarray(5000).some((value) => value !== 0)).toBe(false);
  expect(
    grownSparse(new Int32Array(64).fill(7), 65)
      .subarray(0, 64)
      .every((value) => value === 7),
  ).toBe(true);
});
