/** The policies of control/ as an experiment sees them: the catalogue for the loader, planes for the cluster. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { admissionPresets } from '../../control/admission/admission-presets.ts';
import type { BranchTable } from '../../control/blocks.ts';
import { createPlane, routerNeeds } from '../../control/plane.ts';
import type { ControlPlane, Effects, RecordLevel } from '../../control/ports.ts';
import { createRetention } from '../../control/retention/create-retention.ts';
import { retentionPresets } from '../../control/retention/retention-presets.ts';
import { routerPolicy, routerPresets } from '../../control/router/catalogue.ts';
import type { ParameterSchema, PolicyCatalogue, PolicyDescription } from '../../scenarios/presets.ts';
import type { PolicyPlan } from './run-plan.ts';

/** Every policy preset that a scenario may name. */
export function policyCatalogue(): PolicyCatalogue {
  const describe = (
    kind: PolicyDescription['kind'],
    list: readonly { name: string; version: number; title: string; params: unknown; confidence: string }[],
  ): PolicyDescription[] =>
    list.map((p) => ({
      kind,
      name: p.name,
      version: p.version,
      title: p.title,
      params: p.params as ParameterSchema,
      confidence: p.confidence as NonNullable<PolicyDescription['confidence']>,
    }));
  return [
    ...describe('router', routerPresets()),
    ...describe('retention', retentionPresets()),
    ...describe('admission', admissionPresets()),
  ];
}

/** What a router and a retention preset need delivered, and whether they can be deployed. */
export function policyFacts(
  router: PolicyPlan,
  retention: PolicyPlan,
): { feedsIndex: boolean; countsBlocks: boolean; feedsReports: boolean; dropsAtDeadline: boolean; deployable: string; hash: string } {
  const needs = routerNeeds(routerPolicy(router.use, router.with));
  const preset = retentionPresets().find((p) => `${p.name}@${p.version}` === retention.use);
  const words = [routerPresets().find((p) => `${p.name}@${p.version}` === router.use)?.deployable, preset?.deployable].filter(
    (w) => w !== undefined && w !== 'yes',
  );
  return {
    feedsIndex: needs.kvEvents,
    countsBlocks: needs.blockCounts,
    feedsReports: needs.reports,
    dropsAtDeadline: preset?.lease?.onExpiry === 'drop',
    deployable: words.length === 0 ? 'yes' : [...new Set(words)].join('; '),
    hash: createHash('sha256')
      .update(canonicalize({ router, retention }) as string)
      .digest('hex'),
  };
}

/** A plane for one run. `seed` is that of ties and draws. */
export function buildPlane(
  router: PolicyPlan,
  retention: PolicyPlan,
  seed: number,
  recordLevel: RecordLevel,
  branches: BranchTable,
  effects: Effects,
): ControlPlane {
  return createPlane({
    branches,
    router: { preset: router.use, params: router.with },
    retention: retention.use.startsWith('lru@') ? null : (env) => createRetention(retention.use, retention.with, env),
    seed,
    recordLevel,
    effects,
  });
}
