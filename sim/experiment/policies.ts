/** The policies of control/ as a cluster sees them: what they need delivered, planes for one run. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { admissionMaxPauseMs, admissionPresets, createAdmission } from '../../control/admission/admission-presets.ts';
import type { BranchTable } from '../../control/blocks.ts';
import { createPlane, routerNeeds } from '../../control/plane.ts';
import type { ControlPlane, Effects, RecordLevel } from '../../control/ports.ts';
import { splitQueue } from '../../control/queue/queue-parameters.ts';
import type { ClaimTally } from '../../control/retention/claim-tally.ts';
import { withPrefetch } from '../../control/retention/create-prefetch.ts';
import { createRetention } from '../../control/retention/create-retention.ts';
import { PREFETCH_DEPLOYABLE } from '../../control/retention/prefetch-options.ts';
import { retentionPresets } from '../../control/retention/retention-presets.ts';
import { routerPolicy, routerPresets } from '../../control/router/catalogue.ts';
import type { ArmPlan } from './run-plan.ts';

/** The policies of an arm. */
export type PolicySet = Pick<ArmPlan, 'router' | 'retention' | 'admission' | 'prefetch'>;

/** What the policies of an arm need delivered, and whether they can be deployed. */
export function policyFacts({ router, retention, admission, prefetch }: PolicySet): {
  feedsIndex: boolean;
  countsBlocks: boolean;
  feedsReports: boolean;
  /** Requests may wait in the control plane. */
  queues: boolean;
  deployable: string;
  hash: string;
} {
  const split = splitQueue(router.with);
  const needs = routerNeeds(routerPolicy(router.use, split.router));
  const preset = retentionPresets().find((p) => `${p.name}@${p.version}` === retention.use);
  const presets = [
    routerPresets().find((p) => `${p.name}@${p.version}` === router.use),
    preset,
    admissionPresets().find((p) => `${p.name}@${p.version}` === admission?.use),
  ];
  const words = [...presets.map((p) => p?.deployable), prefetch && PREFETCH_DEPLOYABLE].filter((w) => w !== undefined && w !== 'yes');
  return {
    feedsIndex: needs.kvEvents,
    countsBlocks: needs.blockCounts,
    feedsReports: needs.reports,
    queues: split.queue !== null || admission !== undefined,
    deployable: words.length === 0 ? 'yes' : [...new Set(words)].join('; '),
    hash: createHash('sha256')
      .update(
        canonicalize({
          router,
          retention,
          ...(admission === undefined ? {} : { admission }),
          ...(prefetch === undefined ? {} : { prefetch }),
        }) as string,
      )
      .digest('hex'),
  };
}

/** A plane for one run. `seed` is that of ties and draws; `claims` is counted into. */
export function buildPlane(
  { router, retention, admission, prefetch }: PolicySet,
  seed: number,
  recordLevel: RecordLevel,
  branches: BranchTable,
  effects: Effects,
  claims?: ClaimTally,
): ControlPlane {
  const split = splitQueue(router.with);
  return createPlane({
    branches,
    router: { preset: router.use, params: split.router },
    queue: split.queue,
    retention: (plain) => {
      const env = claims === undefined ? plain : { ...plain, claims };
      const policy = retention.use.startsWith('lru@') ? null : createRetention(retention.use, retention.with, env);
      return withPrefetch(policy, prefetch, env);
    },
    ...(admission === undefined
      ? {}
      : {
          admission: createAdmission(admission.use, admission.with, branches),
          maxPauseMs: admissionMaxPauseMs(admission.use, admission.with),
        }),
    seed,
    recordLevel,
    effects,
  });
}
