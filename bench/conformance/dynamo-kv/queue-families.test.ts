import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { replayFamily } from '../conformance.ts';
import { queueFamilies } from './queue-families.ts';

const VECTORS = fileURLToPath(new URL('./vectors', import.meta.url));

test('every recorded queue is equal', () => {
  const reports = queueFamilies(VECTORS).map((family) => replayFamily('dynamo-kv', family));
  expect(reports.map(({ family, cases, equal }) => [family, cases, equal])).toEqual([['policy_queue', 288, 288]]);
  expect(reports[0]!.fields).toBeGreaterThan(40_000);
});

test('a folder without recordings has no family', () => {
  expect(queueFamilies('/nowhere')).toEqual([]);
});
