import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UserError } from '../control/user-error.ts';
import { runCheck } from './check-command.ts';
import { EXAMPLE_A } from './examples.fixture.ts';
import { runPresets } from './presets-command.ts';
import { problemLines } from './problem-place.ts';
import { runSchema } from './schema-command.ts';
import { testPolicies } from './test-policies.fixture.ts';

const policies = testPolicies();
const cwd = mkdtempSync(join(tmpdir(), 'kvcast-commands-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

describe('kvcast check', () => {
  it('prints one aligned line per file, errors on stderr, exit 2', async () => {
    const team = `kvcast: 1
name: team
kind: terminating
workload: {trace: {use: weka-dev@1}, arrivals: {mode: closed, concurrency: 4}}
fleet: {model: qwen3-235b-a22b-fp8@1, pools: [{name: main, gpu: h100-sxm@1, worker: 3, engine: vllm@1}]}
control: {retention: {use: kvcast-soft@1, with: {ttl: 300}}}
`;
    writeFileSync(join(cwd, 'team.yaml'), team);
    writeFileSync(join(cwd, 'example-a.yaml'), EXAMPLE_A);
    const output = await runCheck(['team.yaml', 'example-a.yaml'], {
      policies,
      cwd,
      describe: () => 'KV 940,672 + 178,480 host tokens per worker',
    });
    expect(output.stderr).toContain('error E_UNKNOWN_KEY team.yaml:5:77 fleet.pools[0].worker: unknown key. Did you mean "workers"?');
    expect(output.stderr).toContain(
      'error E_UNIT_MISSING team.yaml:6:55 control.retention.with.ttl: got 300, expected a duration. Write 300s or 5m.',
    );
    expect(output.stdout[0]).toBe('team.yaml       ✗ 2 errors');
    expect(output.stdout[1]).toBe('example-a.yaml  ✓ 4 arms, 31 explicit leaves, KV 940,672 + 178,480 host tokens per worker');
    expect(output.exitCode).toBe(2);
  });

  it('reports what only the simulation knows', async () => {
    const describe = () => {
      throw new UserError({ severity: 'error', code: 'E_KV_TOO_SMALL', message: 'too small' });
    };
    expect(await runCheck(['quickstart'], { policies, describe })).toEqual({
      stdout: ['quickstart  ✗ 1 error'],
      stderr: ['error E_KV_TOO_SMALL too small'],
      exitCode: 2,
    });
  });

  it('shows at most twenty problems and the total', () => {
    const problems = Array.from({ length: 23 }, () => ({ severity: 'error', code: 'E_X', message: 'm' }) as const);
    const lines = problemLines(problems, (p) => p.code);
    expect(lines).toHaveLength(21);
    expect(lines[20]).toBe('23 problems in total, the first 20 shown');
  });
});

describe('kvcast schema', () => {
  it('prints the JSON Schema', async () => {
    const { stdout } = await runSchema({ kind: 'scenario' });
    expect(JSON.parse(stdout.join('\n'))).toMatchObject({ title: 'Scenario', $schema: 'https://json-schema.org/draft/2020-12/schema' });
    expect((await runSchema({ kind: 'scenaro' })).stderr[0]).toContain('Did you mean "scenario"?');
  });

  it('resolves a scenario with the origin of every leaf, sorted by path', async () => {
    const { stdout, exitCode } = await runSchema({ resolved: 'acceptance/zero-latency-mooncake' }, { policies });
    expect(exitCode).toBe(0);
    const find = (path: string) => stdout.find((line) => line.startsWith(`${path} `))?.replace(/ {2,}/g, '  ');
    expect(find('fleet.pools.one.gpusPerNode')).toBe('fleet.pools.one.gpusPerNode  8  preset gpu/h100-sxm@1');
    expect(find('run.checks')).toBe('run.checks  cheap  default');
    expect(find('workload.trace.agents')).toMatch(/^workload.trace.agents {2}root {2}file zero-latency.yaml:\d+:\d+ {2}\(extends\)$/);
    expect(find('workload.trace.use')).toMatch(/^workload.trace.use +mooncake-conversation@1 +file zero-latency-mooncake.yaml:\d+:\d+$/);
    const paths = stdout.map((line) => line.split(' ')[0]!);
    expect(paths).toEqual([...paths].sort());
  });

  it('explains a field by its path or an unambiguous end of it', async () => {
    const field = async (path: string) => (await runSchema({ field: path })).stdout.join('\n');
    expect(await field('fleet.pools.main.workers')).toContain('fleet.pools[].workers: an integer 1..1024');
    expect(await field('host.read')).toContain('default 50GB/s');
    expect(await field('run.warmup')).toContain('default 0 (terminating), auto (steady)');
    expect((await runSchema({ field: 'wrokers' })).stderr[0]).toContain('Did you mean "workers"?');
  });
});

describe('kvcast presets', () => {
  it('lists a kind with parameters and confidence', () => {
    expect(runPresets('retention', undefined, { policies }).stdout).toEqual([
      'kvcast-soft@1  soft pin, refresh on hit  with: ttl (required), refresh, jitter  derived',
      "lru@1          the engine's own order    with: -                                measured",
      'ttl-drop@1     drop at expiry            with: ttl                              -',
    ]);
  });

  it('lists all kinds, one preset with its evidence, and refuses unknown names', () => {
    expect(runPresets(undefined, undefined, { policies }).stdout).toEqual(
      expect.arrayContaining(['gpu', 'model', 'engine', 'workload', 'router', 'retention', 'admission']),
    );
    expect(runPresets('gpu', 'h100-sxm').stdout.join('\n')).toContain(
      'memoryBytes         84943715696  measured   CUDA-visible total 79.11 GiB',
    );
    expect(runPresets('gpu', 'h100-smx')).toMatchObject({ exitCode: 2 });
    expect(runPresets('gpus').stderr[0]).toContain('Did you mean "gpu"?');
  });
});
