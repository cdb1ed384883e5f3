/** The shipped scenarios against the real catalogue of policies. Source: experiments specification, AC-1.1, AC-1.5. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { admissionPresets } from '../control/admission/admission-presets.ts';
import { retentionPresets } from '../control/retention/retention-presets.ts';
import { routerPresets } from '../control/router/catalogue.ts';
import { EXAMPLE_A, EXAMPLE_C } from './examples.fixture.ts';
import { loadScenarioSync } from './load-scenario.ts';
import { findPackageRoot, type ParameterSchema, type PolicyCatalogue, type PolicyKind } from './presets.ts';
import { runSchema } from './schema-command.ts';

const describePreset = (kind: PolicyKind, preset: { name: string; version: number; title: string; params: unknown }) => ({
  kind,
  name: preset.name,
  version: preset.version,
  title: preset.title,
  params: preset.params as ParameterSchema,
});
const policies: PolicyCatalogue = [
  ...routerPresets().map((preset) => describePreset('router', preset)),
  ...retentionPresets().map((preset) => describePreset('retention', preset)),
  ...admissionPresets().map((preset) => describePreset('admission', preset)),
];
const ROOT = findPackageRoot();
const names = ['', 'acceptance/', 'retention/'].flatMap((dir) =>
  readdirSync(join(ROOT, 'scenarios', dir))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => `${dir}${file.replace('.yaml', '')}`),
);

describe('shipped scenarios', () => {
  it.each(names)('%s is valid and has nothing without effect', (name) => {
    const scenario = loadScenarioSync({ file: name }, { policies });
    expect(scenario.arms.length).toBeGreaterThan(0);
    expect(scenario.inert({ unread: false })).toEqual([]);
    expect(scenario.settings.name).toBe(name.split('/').at(-1));
  });

  it('example A expands to its four arms', () => {
    const { settings, arms, baseline } = loadScenarioSync({ text: EXAMPLE_A, name: 'quickstart.yaml' }, { policies });
    expect(arms.map((arm) => arm.name)).toEqual(['round-robin+lru', 'round-robin+kvcast-soft', 'dynamo-kv+lru', 'dynamo-kv+kvcast-soft']);
    expect(baseline).toBe('round-robin+lru');
    expect(settings.run.replications).toMatchObject({ min: 10, max: 10 });
    expect(settings.workload).toMatchObject({ sessions: 48, overlong: 'truncate', arrivals: { mode: 'open', process: 'gamma' } });
  });

  it('example C inherits the objective and replaces the matrix', () => {
    const cwd = mkdtempSync(join(tmpdir(), 'kvcast-examples-'));
    try {
      writeFileSync(join(cwd, 'quickstart.yaml'), EXAMPLE_A);
      writeFileSync(join(cwd, 'ci-router-gate.yaml'), EXAMPLE_C);
      const scenario = loadScenarioSync({ file: 'ci-router-gate.yaml' }, { policies, cwd });
      expect(scenario.arms.map((arm) => arm.name)).toEqual(['candidate']);
      expect(scenario.settings.slo.map((slo) => slo.name)).toEqual(['first-token']);
      expect(scenario.settings).toMatchObject({
        seed: 1001,
        workload: { sessions: 32 },
        run: { horizonMs: 7_200_000, replications: { max: 20, until: 0.03 } },
      });
      expect(scenario.origin('fleet.contextLimit')).toMatchObject({ source: 'quickstart.yaml', via: ['ci-router-gate.yaml'] });
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  });

  it('the acceptance scenario takes the overrides of every row, and has no delay anywhere', () => {
    const sets = ['workload.trace.use=weka-dev@1', 'workload.trace.pauses=recorded', 'control.retention.with.ttl=60s'];
    const { settings } = loadScenarioSync({ file: 'scenarios/acceptance/zero-latency.yaml' }, { policies, sets });
    expect(settings.workload.trace).toMatchObject({ pauses: 'recorded', outputs: 'one', agents: 'root', modelIdentity: 'ignore' });
    expect(settings.control.retention.with['ttl']).toBe(60_000);
    expect(settings.control.signals).toEqual({ metricsAgeMs: 0, indexAgeMs: 0, netDelayMs: 0 });
    expect(settings.fleet.pools[0]).toMatchObject({
      workers: 1,
      timer: { use: 'fixed@1', with: { stepMs: 0 } },
      engine: { with: { requestDelayMs: 0, blockSizeTokens: 64 } },
    });
    const lru = loadScenarioSync(
      { file: 'acceptance/zero-latency-mooncake' },
      { policies, sets: ['control.retention=lru@1', 'fleet.pools.one.engine.with.kvBlocks=1001'] },
    );
    expect(lru.settings.control.retention.with).toEqual({});
  });

  it('example A resolves to what was reviewed', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'kvcast-examples-'));
    try {
      writeFileSync(join(cwd, 'quickstart.yaml'), EXAMPLE_A);
      const { stdout } = await runSchema({ resolved: 'quickstart.yaml' }, { policies, cwd });
      await expect(`${stdout.join('\n')}\n`).toMatchFileSnapshot('golden/example-a.resolved.txt');
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  });

  it('load within 80 ms once warm', () => {
    for (let i = 0; i < 3; i++) loadScenarioSync({ file: 'quickstart' }, { policies });
    const best = Math.min(
      ...Array.from({ length: 5 }, () => {
        const start = performance.now();
        loadScenarioSync({ file: 'quickstart' }, { policies });
        return performance.now() - start;
      }),
    );
    expect(best).toBeLessThan(80);
  });
});
