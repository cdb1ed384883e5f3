import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { kvcast } from './command-line.fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'kvcast-only-rep-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('--only-rep runs the replication named, with the hash it has among all, and explain finds it again', async () => {
  const hashes = async (...flags: string[]): Promise<string[]> => {
    const { code, stdout } = await kvcast([
      'run',
      'quickstart',
      '--arm',
      'dynamo-kv+lru',
      '--json',
      '-q',
      '--force',
      '--out',
      join(dir, 'r'),
      ...flags,
    ]);
    expect(code).toBe(0);
    return JSON.parse(stdout).arms[0].runHashes;
  };
  const [first, second] = await hashes('--reps', '2');
  expect(await hashes('--only-rep', '1')).toEqual([second]);
  expect(first).not.toBe(second);
  expect(JSON.parse(readFileSync(join(dir, 'r', 'result.json'), 'utf8')).arms[0].runHashes).toEqual([second]);
  const explained = await kvcast(['explain', join(dir, 'r'), '--json', '-q']);
  expect(explained).toMatchObject({ code: 0 });
}, 120_000);
