/** The shipped scenarios against the real catalogue of policies. Source: experiments specification, AC-1.1, AC-1.5. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { admissionPresets } from '../control/admission/admission-presets.ts';
import { retentionPresets } from '../control/retention/retention-presets.ts';
import { routerPresets } from '../control/router/catalogue.ts';
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
const names = ['', 'acceptance/'].flatMap((dir) =>
  readdirSync(join(ROOT, 'scenarios', dir))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => `${dir}${file.replace('.yaml', '')}`),
);

/** Example C of the specification: a gate on top of the quick start. */
const EXAMPLE_C = `kvcast: 1
name: ci-router-gate
description: Gate for changes of router weights and retention settings.
extends: [scenarios/quickstart.yaml]
seed: 1001
workload:
  sessions: 32
matrix: null
arms:
  - {name: candidate, control: {router: {use: dynamo-kv@1, with: {c: 1.0}}, retention: {use: kvcast-soft@1, with: {ttl: 5m}}}}
baseline: candidate
run:
  replications: {min: 10, max: 20, batch: 5, until: 3%}
  horizon: 2h
  record: [sessions]
gate:
  baseline: baselines/ci-router-gate.kvbase.json
  level: 95%
  metrics:
    - {expr: turn.ttft.p(50), noise: 2%}
    - {expr: tokens.recomputed.total, noise: 3%}
  thresholds:
    - {expr: "turn.ttft{class:tool}.p(99) < 4s", level: error}
    - {expr: "goodput.sessions >= -2% vs baseline", level: error}
    - {expr: "load.imbalance < 1.6", level: warn}
report: {formats: [md, junit, github]}
`;

describe('shipped scenarios', () => {
  it.each(names)('%s is valid and has nothing without effect', (name) => {
    const scenario = loadScenarioSync({ file: name }, { policies });
    expect(scenario.arms.length).toBeGreaterThan(0);
    expect(scenario.inert({ unread: false })).toEqual([]);
    expect(scenario.settings.name).toBe(name.split('/').at(-1));
  });

  it('the quick start is example A', () => {
    const { settings, arms, baseline } = loadScenarioSync({ file: 'quickstart' }, { policies });
    expect(arms.map((arm) => arm.name)).toEqual(['round-robin+lru', 'round-robin+kvcast-soft', 'dynamo-kv+lru', 'dynamo-kv+kvcast-soft']);
    expect(baseline).toBe('round-robin+lru');
    expect(settings.run.replications).toMatchObject({ min: 10, max: 10 });
    expect(settings.workload).toMatchObject({ sessions: 48, overlong: 'truncate', arrivals: { mode: 'open', process: 'gamma' } });
  });

  it('example C inherits the objective and replaces the matrix', () => {
    const scenario = loadScenarioSync({ text: EXAMPLE_C, name: 'ci-router-gate.yaml' }, { policies, cwd: ROOT });
    expect(scenario.arms.map((arm) => arm.name)).toEqual(['candidate']);
    expect(scenario.settings.slo.map((slo) => slo.name)).toEqual(['first-token']);
    expect(scenario.settings).toMatchObject({
      seed: 1001,
      workload: { sessions: 32 },
      run: { horizonMs: 7_200_000, replications: { max: 20, until: 0.03 } },
    });
    expect(scenario.origin('fleet.contextLimit')).toMatchObject({ source: 'scenarios/quickstart.yaml', via: ['ci-router-gate.yaml'] });
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

  it('resolve to what was reviewed', async () => {
    const { stdout } = await runSchema({ resolved: 'quickstart' }, { policies });
    await expect(`${stdout.join('\n')}\n`).toMatchFileSnapshot('golden/quickstart.resolved.txt');
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
