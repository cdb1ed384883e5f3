import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { replayFamily } from '../conformance.ts';
import { queueFamilies } from './queue-families.ts';

const VECTORS = fileURLToPath(new URL('./vectors', import.meta.url));

test('every recorded queue and every recorded scheduler is equal', () => {
  const reports = queueFamilies(VECTORS).map((family) => replayFamily('dynamo-kv', family));
  expect(reports.map(({ family, cases, equal }) => [family, cases, equal])).toEqual([
    ['policy_queue', 288, 288],
    ['scheduler', 207, 207],
  ]);
  expect(reports[0]!.fields).toBeGreaterThan(40_000);
  expect(reports[1]!.fields).toBeGreaterThan(60_000);
});

/** First scheduler, changed. */
function forged(change: (recorded: { ops: Record<string, unknown>[] }) => void): string {
  const line = gunzipSync(readFileSync(join(VECTORS, 'scheduler.jsonl.gz')))
    .toString('utf8')
    .split('\n')[0]!;
  const recorded = JSON.parse(line);
  change(recorded);
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-scheduler-'));
  writeFileSync(join(folder, 'scheduler.jsonl'), JSON.stringify(recorded));
  return folder;
}

test.each([
  ['cost', 'op 0 arrive admitted[0] costs[1][2]', (op: { admitted: { costs: number[][] }[] }) => (op.admitted[0]!.costs[1]![2]! += 1e-9)],
  ['rank', 'op 0 arrive admitted[0] rank[0]', (op: { admitted: { rank: number[] }[] }) => (op.admitted[0]!.rank[0] = 3)],
  ['admission', 'op 0 arrive admitted[0] id', (op: { admitted?: unknown }) => delete op.admitted],
  ['failure', 'op 0 arrive failed[0]', (op: { failed?: unknown }) => (op.failed = [['r1', 'NoEndpoints']])],
  ['queue length', 'op 0 arrive pending', (op: { pending?: number }) => (op.pending = 1)],
  ['load', 'op 0 arrive loads[1][3]', (op: { loads: number[][] }) => op.loads[1]![3]!++],
])('a changed %s of a scheduler is a difference', (_what, field, change) => {
  const folder = forged(({ ops }) => void change(ops[0] as never));
  const [family] = queueFamilies(folder);
  const report = replayFamily('dynamo-kv', family!);
  rmSync(folder, { recursive: true });
  expect([report.different, report.firstDifference?.difference?.field]).toEqual([1, field]);
});

test('a folder without recordings has no family', () => {
  expect(queueFamilies('/nowhere')).toEqual([]);
});
