/** Inert fields that only a run can show: the mechanism never fired. Source: experiments specification 1.6, detector 3. */
import type { LoadedScenario } from '../../scenarios/load-scenario.ts';
import type { Conducted } from './conduct.ts';
import { policyFacts } from './policies.ts';
import type { InertField } from './result.ts';
import type { RunPlan } from './run-plan.ts';

/** Explicit leaves whose mechanism never worked in any arm or replication. */
export function unexercised(loaded: LoadedScenario, plan: RunPlan, conducted: Conducted): InertField[] {
  const facts = conducted.results.flat().map((r) => r.facts);
  if (facts.length === 0) return [];
  const all = (pick: (f: (typeof facts)[number]) => number): number => facts.reduce((sum, f) => sum + pick(f), 0);
  const rules: readonly (readonly [RegExp, boolean, string])[] = [
    [
      /^fleet\.pools\.[^.]+\.tiers\.host\.size$/,
      plan.arms.some((a) => a.pools.some((p) => p.config.hostBlocks > 0)) && all((f) => f.hostStoredBlocks) === 0,
      'the host tier never received a block',
    ],
    [/^control\.signals\.metricsAge$/, !plan.arms.some((a) => policyFacts(a).feedsReports), 'no router reads scraped metrics'],
    [/^control\.signals\.indexAge$/, !plan.arms.some((a) => policyFacts(a).feedsIndex), 'no router reads KV events'],
    [
      /retention\.with\.(ttl|refresh)$/,
      plan.arms.some((a) => a.retention.with['ttl'] !== undefined) && all((f) => f.actionsSent) === 0,
      'no claim was ever made',
    ],
    [
      /^fleet\.pools\.[^.]+\.tiers\.disk\.size$/,
      plan.arms.some((a) => a.pools.some((p) => p.disk !== undefined)) && all((f) => f.diskWriteBytes) === 0,
      'no disk ever received a block',
    ],
    [
      /^fleet\.pools\.[^.]+\.tiers\.remote\.size$/,
      plan.arms.some((a) => a.pools.some((p) => p.remote !== undefined)) && all((f) => f.remoteWriteBytes) === 0,
      'the remote store never received a block',
    ],
    [/^control\.prefetch\./, plan.arms.some((a) => a.prefetch) && all((f) => f.prefetchedBlocks) === 0, 'nothing was ever brought up'],
  ];
  return loaded.explicitLeaves().flatMap((leaf) => {
    const rule = rules.find(([path, fires]) => fires && path.test(leaf.path));
    const place =
      leaf.origin.source === undefined ? leaf.origin.kind : `${leaf.origin.kind} ${leaf.origin.source}:${leaf.origin.line ?? 1}`;
    return rule === undefined ? [] : [{ path: leaf.path, value: leaf.value, origin: place, reason: rule[2] }];
  });
}
