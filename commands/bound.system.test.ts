/** `kvcast bound` as a user meets it: the table, the document, mistakes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BoundResult } from '../sim/experiment/bound-result.ts';
import { emptyFolder, kvcast } from './command-line.fixture.ts';

const SMALL = ['quickstart', '--reps', '2', '--set', 'workload.sessions=6', '--set', 'fleet.pools.main.tiers.host.size=0B'];

describe('bound', () => {
  it('prints the headroom of the best arm and the regret of every arm, in 100 columns', async () => {
    const cwd = emptyFolder();
    const { code, stdout } = await kvcast(['bound', ...SMALL], { cwd });
    expect(code).toBe(0);
    for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
    expect(stdout).toMatch(/^\S+: KV hit [\d.]+ %, regret [\d.]+ % against perfect eviction, /);
    for (const row of [
      /ttl \(.* bound$/m,
      /belady \(.* exact$/m,
      /router \(.* heuristic$/m,
      /belady \+ router .* bound$/m,
      /infinite \+ router .* exact$/m,
    ])
      expect(stdout).toMatch(row);
    for (const arm of ['round-robin+lru', 'dynamo-kv+kvcast-soft']) expect(stdout).toContain(`\n  ${arm} `);
    expect(stdout).toContain('clairvoyant, not deployable, never ranked');
  });
  it('writes the same document as --json prints, with regrets by replication that agree with the shares', async () => {
    const cwd = emptyFolder();
    const { code, stdout } = await kvcast(
      ['bound', ...SMALL, '--arm', 'round-robin+lru', '--oracle', 'belady,infinite', '--json', '--out', 'o'],
      { cwd },
    );
    expect(code).toBe(0);
    expect(readFileSync(join(cwd, 'o/result.json'), 'utf8')).toBe(stdout);
    const document = JSON.parse(stdout) as BoundResult;
    expect([document.command, document.oracles, document.chosen]).toEqual(['bound', ['infinite', 'belady'], 'round-robin+lru']);
    const [own, ...oracles] = document.arms[0]!.rows;
    expect(oracles.map((r) => [r.oracle, r.label, r.deployable])).toEqual([
      ['belady', 'exact', 'clairvoyant, not deployable'],
      ['infinite', 'exact', 'clairvoyant, not deployable'],
      ['infinite, served anew', 'heuristic', 'memory without limit, not deployable'],
    ]);
    expect(oracles.map((r) => r.primary !== undefined)).toEqual([false, false, true]);
    for (const row of oracles.slice(0, 2)) {
      expect(row.hit.mean!).toBeGreaterThanOrEqual(own!.hit.mean!);
      expect(row.regrets!.every((x) => x !== null && x >= 0)).toBe(true);
      expect(row.regret!.n).toBe(2);
    }
    expect(document.reproduce).toMatch(/^kvcast bound quickstart --oracle infinite,belady /);
  });
  it('the measured share is that of `run`', async () => {
    const hit = async (command: string) => JSON.parse((await kvcast([command, ...SMALL, '--json'], { cwd: emptyFolder() })).stdout);
    const [bound, run] = [await hit('bound'), await hit('run')];
    for (const arm of bound.arms)
      expect(arm.rows[0].hit.mean).toBeCloseTo(
        run.metrics.find((m: { arm: string; expr: string }) => m.arm === arm.name && m.expr === 'kv.hit.total').mean,
        10,
      );
  });
  it('an unknown oracle, and an unknown arm', async () => {
    const oracle = await kvcast(['bound', 'quickstart', '--oracle', 'beladi']);
    expect([oracle.code, oracle.stdout]).toEqual([2, '']);
    expect(oracle.stderr).toMatch(
      /^error E_USAGE --oracle: got beladi, expected a list of infinite, belady, ttl, router\. Did you mean "belady"\?$/m,
    );
    const arm = await kvcast(['bound', 'quickstart', '--arm', 'nobody', '--out', 'o'], { cwd: emptyFolder() });
    expect([arm.code, arm.stdout]).toEqual([2, '']);
    expect(arm.stderr).toMatch(/^error E_BASELINE_UNKNOWN .*got arm nobody, expected one of round-robin\+lru/m);
  });
});
