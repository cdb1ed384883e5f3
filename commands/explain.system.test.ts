/** `kvcast explain` on results that were written, moved, edited. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ExplainResult } from '../sim/experiment/explain-result.ts';
import { emptyFolder, kvcast } from './command-line.fixture.ts';

const folder = join(emptyFolder(), 'out');

beforeAll(async () => {
  const made = await kvcast(['compare', 'quickstart', '--reps', '2', '--set', 'workload.sessions=6', '--out', folder, '-q']);
  expect(made.code).toBe(0);
});

/** A copy of the result that may be damaged. */
function copy(): string {
  const to = join(emptyFolder(), 'copy');
  cpSync(folder, to, { recursive: true });
  return to;
}

describe('explain', () => {
  it('--json: the document alone on stdout; rows sum to the difference of the stored values', async () => {
    const { code, stdout } = await kvcast(['explain', folder, '--json']);
    expect(code).toBe(0);
    const explained = JSON.parse(stdout) as ExplainResult;
    const stored = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
    const meanOf = (arm: string) =>
      stored.metrics.find((m: { arm: string; expr: string }) => m.arm === arm && m.expr === 'turn.ttft.mean')?.mean;
    const { subject, reference, difference, components } = explained;
    expect(reference!.arm).toBe(stored.scenario.baseline);
    for (const side of [subject, reference!]) {
      const mean = meanOf(side.arm);
      if (mean !== undefined) expect(side.value).toBeCloseTo(mean, 9);
    }
    expect(components.reduce((sum, row) => sum + row.delta!, 0)).toBeCloseTo(difference!.delta, 9);
    expect(explained.replications).toEqual([0, 1]);
  });

  it('text: within 100 columns, from result.json too', async () => {
    const { code, stdout } = await kvcast([
      'explain',
      join(folder, 'result.json'),
      '--metric',
      'turn.e2e.p(90)',
      '--only-rep',
      '1',
      '--session',
      's0',
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('Turns of the session');
    expect(stdout).toMatch(/costliest in s\d, replication 1:\n {4}\S+ [\d.]+ s in s\d\/root\/\d+: (missed|hit)[\s\S]*? RULE:/);
    expect(stdout).toMatch(/\n {2}s0\/root\/0 .*\n {4}missed [\d,]+ cold.* tokens; to \S+, RULE:/);
    for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
  });

  it('--swap: shares sum to the difference with any number of threads; progress on stderr only', async () => {
    const one = await kvcast(['explain', folder, '--swap', '--jobs', '1', '--json']);
    expect(one.code).toBe(0);
    const two = await kvcast(['explain', folder, '--swap', '--jobs', '2', '--json']);
    expect(two.stdout).toBe(one.stdout);
    expect(two.stderr).toContain('mixing ');
    const { difference, swap, reference, subject } = JSON.parse(one.stdout) as ExplainResult;
    expect(swap!.mixtures[0]!.value).toBeCloseTo(reference!.value!, 9);
    expect(swap!.mixtures.at(-1)!.value).toBeCloseTo(subject.value!, 9);
    expect(swap!.parts.reduce((sum, { delta }) => sum + delta, 0)).toBeCloseTo(difference!.delta, 9);
    expect(swap!.parts.every(({ lo, hi, delta }) => lo! <= delta && delta <= hi!)).toBe(true);
  });

  it('refuses a result without plan, one that this program does not repeat, and what it cannot cut', async () => {
    const moved = copy();
    rmSync(join(moved, 'plan.json'));
    expect(await kvcast(['explain', moved])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('E_EXPLAIN_PLAN') });
    const edited = copy();
    const file = join(edited, 'result.json');
    const result = JSON.parse(readFileSync(file, 'utf8'));
    for (const arm of result.arms) arm.runHashes[0] = '0000000000000000';
    writeFileSync(file, JSON.stringify(result));
    const changed = await kvcast(['explain', edited]);
    expect(changed).toMatchObject({ code: 2, stdout: '' });
    expect(changed.stderr).toMatch(/E_EXPLAIN_CHANGED.*run hash[\s\S]*kvcast compare quickstart/);
    for (const [flag, value] of [
      ['--metric', 'session.slowdown.mean'],
      ['--arm', 'nobody'],
      ['--only-rep', '7'],
      ['--session', 'nobody'],
    ] as const) {
      const refused = await kvcast(['explain', folder, flag, value]);
      expect(refused, flag).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr, flag).toContain('E_USAGE');
    }
  });
});
