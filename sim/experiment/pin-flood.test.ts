import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
// @ts-expect-error a script without types
import { pinFloodLines } from '../../scripts/generate-pin-flood.mjs';
import type { JobResult } from './job-result.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import { prepareTrace, startJob } from './simulate.ts';

const P99 = 'turn.ttft{tenant:chat}.p(99)';
const arms = new Map<string, JobResult>();

beforeAll(async () => {
  const loaded = await loadScenario({ file: 'pin-flood' }, { policies: policyCatalogue(), packageRoot: findPackageRoot() });
  const plan = planOf(loaded, { metrics: [] });
  const trace = await prepareTrace(plan);
  plan.arms.forEach((arm, i) => {
    const job = startJob(plan, trace, { arm: i, replication: 0 });
    while (job.step(100_000));
    arms.set(arm.name, job.result());
  });
}, 120_000);

const ttft = (arm: string): number => arms.get(arm)!.values[P99]!;

it('hard pins of a tenant that never comes back starve the one that does (dynamo#7790, sglang#21884)', () => {
  expect(ttft('hard-pin') / ttft('lru')).toBeGreaterThan(3);
  expect(arms.get('hard-pin')!.values['kv.hit.total{tenant:chat}']).toBeLessThan(0.5);
});

it('soft claims within a share of the tenant do not', () => {
  expect(ttft('soft-budget') / ttft('lru')).toBeLessThanOrEqual(1.3);
  expect(arms.get('soft-budget')!.facts.actionsAccepted).toBeGreaterThan(0);
});

it('no pin stops progress: every session ends in every arm, and claims give way instead', () => {
  for (const { facts } of arms.values()) expect(facts.sessionsCompleted).toBe(facts.sessionsOffered);
  expect(arms.get('hard-pin')!.facts.claimsBroken).toBeGreaterThan(0);
});

it('the shipped trace is what its script writes', () => {
  const file = join(findPackageRoot(), 'scenarios/traces/pin-flood.jsonl.gz');
  expect(gunzipSync(readFileSync(file)).toString('utf8')).toBe(`${(pinFloodLines as () => string[])().join('\n')}\n`);
});
