/** Same question, same bytes: threads, executor, environment and folder change nothing (issue: identical sha256). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyFolder, kvcast, sha256 } from './command-line.fixture.ts';

const QUICK = ['compare', 'quickstart', '--reps', '2', '--set', 'workload.sessions=12'];

async function digests(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ stdout: string; result: string; text: string }> {
  const cwd = emptyFolder();
  const { code, stdout, stderr } = await kvcast([...args, '--out', 'out'], { cwd, env });
  expect(code, stderr).toBe(0);
  return { stdout: sha256(stdout), result: sha256(readFileSync(join(cwd, 'out/result.json'))), text: stdout };
}

describe('byte-identical output', () => {
  it('for one and two threads, either executor, another environment and folder', async () => {
    const first = await digests([...QUICK, '--jobs', '1']);
    const variants = [
      await digests([...QUICK, '--jobs', '2']),
      await digests([...QUICK, '--jobs', '1', '--executor', 'threads']),
      await digests([...QUICK, '--jobs', '2'], {
        TZ: 'Pacific/Apia',
        LANG: 'tr_TR.UTF-8',
        HOME: emptyFolder(),
        XDG_CACHE_HOME: emptyFolder(),
        ZZZ: '1',
        AAA: '2',
      }),
    ];
    for (const variant of variants)
      expect({ stdout: variant.stdout, result: variant.result }).toEqual({ stdout: first.stdout, result: first.result });
  });

  it('scheduling a step ahead (asyncDepth 2) runs in the default step mode, with the runs of the stepped engine', async () => {
    const hashes = async (...sets: string[]) => {
      const cwd = emptyFolder();
      const short = ['run', 'quickstart', '--reps', '2', '--set', 'workload.sessions=6', '--json', '--out', 'out'];
      const { code, stdout, stderr } = await kvcast([...short, ...sets.flatMap((set) => ['--set', set])], { cwd });
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout).arms.map((arm: { runHashes: string[] }) => arm.runHashes);
    };
    const ahead = 'fleet.pools.main.engine.with.asyncDepth=2';
    const jumped = await hashes(ahead);
    expect(jumped[0]).toHaveLength(2);
    expect(await hashes(ahead, 'fleet.pools.main.engine.with.stepMode=reference')).toEqual(jumped);
    expect(await hashes()).not.toEqual(jumped);
  });

  it('--json prints exactly result.json', async () => {
    const cwd = emptyFolder();
    const { stdout } = await kvcast([...QUICK, '--json', '--out', 'out'], { cwd });
    expect(stdout).toBe(readFileSync(join(cwd, 'out/result.json'), 'utf8'));
    expect(JSON.parse(stdout)).toMatchObject({ formatVersion: '1.0', command: 'compare', truncated: false });
  });

  it('another seed gives another result, so the digests can differ', async () => {
    const a = await digests(QUICK);
    const b = await digests([...QUICK, '--seed', '43']);
    expect(b.result).not.toBe(a.result);
  });

  it('stdout names no folder, time or host', async () => {
    const { text } = await digests(QUICK);
    expect(text).not.toMatch(/\/(tmp|root|work|home)\b|requests\/s|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d/);
    for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
  });

  it('--verify runs everything twice and agrees', async () => {
    const { code, stderr } = await kvcast([...QUICK, '--verify', '--jobs', '2', '--out', 'out']);
    expect(code, stderr).toBe(0);
  });
});
