import { expect, test } from 'vitest';
import { retryDelayMs } from './retry-delay.ts';

const retries = { max: 9, baseMs: 500, capMs: 8000 };

test('doubles from the base up to the cap, less at most a quarter', () => {
  for (const [number, full] of [
    [1, 500],
    [2, 1000],
    [3, 2000],
    [5, 8000],
    [9, 8000],
  ] as const) {
    const ms = retryDelayMs(retries, 42, 'session-1.3', number);
    expect(ms).toBeGreaterThanOrEqual(0.75 * full);
    expect(ms).toBeLessThan(full);
  }
});

test('is the same for the same turn, attempt and seed, and another for another', () => {
  const ms = retryDelayMs(retries, 42, 'a', 1);
  expect(retryDelayMs(retries, 42, 'a', 1)).toBe(ms);
  expect(retryDelayMs(retries, 42, 'b', 1)).not.toBe(ms);
  expect(retryDelayMs(retries, 43, 'a', 1)).not.toBe(ms);
});
