import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { replayFamily } from '../conformance.ts';
import { type ApproxTtlCase, replayApproxTtl } from './approx-replay.ts';
import { type HashingCase, replayHashing } from './hashing-replay.ts';
import { indexFamilies } from './index-families.ts';
import { type IndexerCase, replayIndexer } from './indexer-replay.ts';

const families = indexFamilies(fileURLToPath(new URL('./vectors', import.meta.url)));

describe('replay of index decisions recorded from Dynamo 1.6.1', () => {
  it.each(families.map((family) => [family.name, family] as const))('%s: no difference without a proven rule', (_, family) => {
    const report = replayFamily('dynamo-kv', family);
    expect(report.firstDifference).toBeUndefined();
    expect(report.fields).toBeGreaterThanOrEqual(report.cases);
  });

  it('notices a wrong hash', () => {
    const forged: HashingCase = { id: 'x', kind: 'seed', lora: '', namespace: '', seed: '1336' };
    expect(replayHashing(forged).difference).toEqual({ field: 'seed', got: '1337', expected: '1336' });
  });

  it('excuses no score that the rule does not explain', () => {
    const ops = (score: number): IndexerCase['ops'] => [
      [
        's',
        0,
        0,
        null,
        [
          [5, 100],
          [6, 101],
          [7, 102],
        ],
        0,
      ],
      ['r', 0, 0, [101], 0],
      ['q', [5, 6, 7], [[0, 0, score]]],
    ];
    expect(replayIndexer({ id: 'x', ops: ops(1) })).toEqual({ id: 'x', fields: 5 });
    expect(replayIndexer({ id: 'x', ops: ops(2) }).rule).toBeUndefined();
    expect(replayIndexer({ id: 'x', ops: ops(2) }).difference).toEqual({ field: 'op 2 scores[0][2]', got: 1, expected: 2 });
  });

  it('notices an expiry that is a millisecond off', () => {
    const ops = (atMs: number): ApproxTtlCase['ops'] => [
      ['d', 30, 0, 0, [9]],
      ['q', atMs, [9], [[0, 0, 1]]],
    ];
    const replay = (atMs: number) => replayApproxTtl({ id: 'x', ttl_ms: 1000, bucket_ms: 100, ops: ops(atMs) });
    expect([replay(1029).difference, replay(1030).difference?.field]).toEqual([undefined, 'op 1 scores[0]']);
  });
});
