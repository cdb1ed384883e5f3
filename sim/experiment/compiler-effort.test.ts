import { expect, it } from 'vitest';
import { effortFor } from './compiler-effort.ts';

it('small work gets little effort, unknown and large work the usual one', () => {
  expect([2600, 12_031, 40_000, 40_001, 250_000, Number.POSITIVE_INFINITY].map(effortFor)).toEqual([
    'little',
    'little',
    'little',
    'usual',
    'usual',
    'usual',
  ]);
});
