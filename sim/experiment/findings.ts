/** Statistical-health findings of a result: gathers the facts, the judgements live in sim/measure/health. Source: experiments specification 3.7. */
import { FREQUENCY_DEFAULTS } from '../engine/write-filter.ts';
import { type HealthFacts, healthWarnings } from '../measure/health.ts';
import { boundMetric } from '../measure/metric-expression.ts';
import { meanInterval } from '../measure/statistics.ts';
import { primaryHalfWidth } from '../measure/stopping.ts';
import type { Conducted } from './conduct.ts';
import type { JobFacts, JobResult } from './job-result.ts';
import type { HealthFinding } from './result.ts';
import type { RunPlan } from './run-plan.ts';

/** Warnings over all arms and replications, in the order of the specification's table. */
export function findings(plan: RunPlan, conducted: Conducted): HealthFinding[] {
  const { results } = conducted;
  const jobs = results.flat();
  if (jobs.length === 0) return [];
  const facts = jobs.map((r) => r.facts);
  const sum = (pick: (f: JobFacts) => number): number => facts.reduce((total, f) => total + pick(f), 0);
  const ttls = plan.arms.map((a) => a.retention.with['ttl']).filter((t): t is number => typeof t === 'number' && Number.isFinite(t));
  const finite = plan.horizonMs !== null && !plan.drain;
  // A single recorded replay has nothing to repeat: its width and count say nothing about the user's choice.
  const repeats = !(plan.workload.resample === 'none' && plan.workload.arrivals.mode === 'recorded');
  return healthWarnings({
    ...(repeats ? { ...primaryFact(plan, results), replications: conducted.replications } : {}),
    ...(ttls.length === 0
      ? {}
      : {
          longestTtlMs: Math.max(...ttls),
          pauses: { count: sum((f) => f.pauses), aboveTtl: sum((f) => f.pausesAboveTtl), gapCapMs: plan.workload.gapCapMs },
        }),
    ...(plan.kind === 'steady' ? { steady: { warmupMs: plan.warmupMs, settledMs: null } } : {}),
    ...(finite ? { windowMs: plan.horizonMs! - plan.warmupMs } : {}),
    quantiles: plan.exprs.flatMap((expr) => {
      const { aggregate } = boundMetric(expr);
      const samples = jobs.map((r) => r.samples[expr]).filter((s): s is number => s !== undefined);
      return aggregate.kind === 'quantile' && samples.length > 0 ? [{ expr, q: aggregate.q, samples: Math.min(...samples) }] : [];
    }),
    sessions: {
      offered: sum((f) => f.sessionsOffered),
      censored: sum((f) => f.sessionsCensored),
      excluded: excludedSessions(plan, facts),
    },
    dominance: { largestSession: Math.max(...facts.map((f) => f.largestSessionTokenShare)), topPercent: 0 },
    regime: { extrapolated: sum((f) => f.regime.extrapolated) / facts.length, thrashing: 0 },
    ...hostWriteFacts(
      plan,
      sum((f) => f.hostStoredBlocks),
    ),
    lowerThrough: lowerThrough(plan),
    evictedBlocks: results.map((arm) => arm.reduce((total, r) => total + r.facts.hbmEvictedBlocks + r.facts.hbmExpiredBlocks, 0)),
  });
}

/** How the pools of all arms write to their host tiers. */
function hostWriteFacts(plan: RunPlan, storedBlocks: number): Pick<HealthFacts, 'writeThrough' | 'frequencyFilter'> {
  const configs = plan.arms.flatMap((a) => a.pools.map((p) => p.config)).filter((c) => c.hostBlocks > 0 && c.prefixCaching);
  const through = configs.filter(({ hostWrite = 'writeThrough' }) => hostWrite === 'writeThrough');
  const filtered = configs.find((c) => c.hostAdmit === 'frequency');
  const { least, decayMs } = FREQUENCY_DEFAULTS;
  return {
    writeThrough: through.map((c) => ({ hbmBlocks: c.blocks - 1, hostBlocks: c.hostBlocks })),
    ...(filtered === undefined
      ? {}
      : { frequencyFilter: { least: filtered.hostAdmitMin ?? least, decayMs: filtered.hostAdmitDecayMs ?? decayMs, storedBlocks } }),
  };
}

/** Tiers below the host tier that are filled from all that the tier above holds; a store stands below all workers of its pool. */
function lowerThrough(plan: RunPlan): NonNullable<HealthFacts['lowerThrough']> {
  return plan.arms.flatMap(({ pools }) =>
    pools.flatMap(({ config, disk, remote, workers }) => [
      ...(disk?.write === 'writeThrough' ? [{ tier: 'disk' as const, blocks: disk.blocks, aboveBlocks: config.hostBlocks }] : []),
      ...(remote?.write === 'writeThrough'
        ? [{ tier: 'remote' as const, blocks: remote.blocks, aboveBlocks: workers * (disk?.blocks ?? config.hostBlocks) }]
        : []),
    ]),
  );
}

/** Sessions left out for their length; a trace is drawn from again and again, so their number is scaled from the trace to the offered population. */
function excludedSessions(plan: RunPlan, facts: readonly JobFacts[]): number {
  if (plan.workload.overlong !== 'exclude') return 0;
  return facts.reduce((total, { sessionsOffered, sessionsExcluded, sessionsInSource }) => {
    const kept = sessionsInSource - sessionsExcluded;
    return total + (kept > 0 ? (sessionsOffered * sessionsExcluded) / kept : sessionsExcluded);
  }, 0);
}

function primaryFact(plan: RunPlan, results: readonly (readonly JobResult[])[]) {
  const { scale } = boundMetric(plan.primary).metric;
  const baseline = plan.arms.findIndex((a) => a.name === plan.baseline);
  const values = results.map((arm) => arm.map((r) => r.values[plan.primary] ?? null));
  const width = primaryHalfWidth(values, baseline, scale);
  if (width === null) return {};
  const interval = meanInterval(values[baseline]!.filter((v): v is number => v !== null));
  return { primary: { relativeHalfWidth: width, interval } };
}
