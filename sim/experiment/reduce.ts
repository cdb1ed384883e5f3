/**
 * From the results of all (arm, replication) to the result document: means with intervals, paired differences with verdicts, causes,
 * objectives, health. Everything is reduced in index order. Source: experiments specification 3.3, 3.7.
 */
import { boundMetric } from '../measure/metric-expression.ts';
import { meanInterval, pairedDifference } from '../measure/statistics.ts';
import { primaryHalfWidth } from '../measure/stopping.ts';
import { causeRow } from './cause-row.ts';
import type { Conducted } from './conduct.ts';
import { exitState } from './exit-state.ts';
import { findings } from './findings.ts';
import type { JobResult } from './job-result.ts';
import type {
  ArmIdentity,
  ComparisonRow,
  FleetRow,
  IncompleteJob,
  InertField,
  MetricRow,
  RegimeShares,
  Result,
  SloRow,
  WorkloadRow,
} from './result.ts';
import { RESULT_FORMAT } from './result.ts';
import type { PoolPlan, RunPlan } from './run-plan.ts';
import { judge } from './slo.ts';

/** What a result says about its origin. */
export interface ResultContext {
  readonly command: Result['command'];
  readonly kvcastVersion: string;
  readonly description: string;
  readonly arms: readonly { readonly name: string; readonly policyHash: string; readonly deployable: string }[];
  readonly traceName: string;
  readonly traceDigest: string;
  readonly gapCap: string;
  readonly inert: readonly InertField[];
  readonly incomplete: readonly IncompleteJob[];
  readonly reproduce: string;
  readonly level: number;
}

/** Half-width of the primary quantity over the first `replications`, for the stopping rule. */
export function primaryWidth(plan: RunPlan, results: readonly (readonly JobResult[])[], replications: number): number | null {
  const values = results.map((arm) => arm.slice(0, replications).map((r) => r.values[plan.primary] ?? null));
  const baseline = plan.arms.findIndex((a) => a.name === plan.baseline);
  return primaryHalfWidth(values, baseline, boundMetric(plan.primary).metric.scale);
}

/** Builds the document. Pure. */
export function reduce(plan: RunPlan, conducted: Conducted, context: ResultContext): Result {
  const { results } = conducted;
  const metrics = plan.arms.flatMap((arm, a) => plan.exprs.map((expr) => metricRow(expr, arm.name, results[a]!, context.level)));
  const comparisons = plan.arms.length > 1 && context.command !== 'run' ? compareArms(plan, results, context.level) : [];
  const slo = plan.arms.flatMap((arm, a) => sloRows(plan, arm.name, results[a]!, metrics));
  const health = findings(plan, conducted);
  return {
    formatVersion: RESULT_FORMAT,
    kvcastVersion: context.kvcastVersion,
    command: context.command,
    scenario: {
      name: plan.name,
      hash: plan.key,
      seed: plan.seed,
      baseline: plan.baseline,
      description: context.description,
      primary: plan.primary,
      sessions: results[0]?.[0]?.facts.sessionsOffered ?? 0,
    },
    arms: plan.arms.map((arm, a): ArmIdentity => {
      const info = context.arms[a]!;
      return {
        name: arm.name,
        router: arm.router.use,
        retention: arm.retention.use,
        policyHash: info.policyHash,
        deployable: info.deployable,
        runHashes: results[a]!.map((r) => r.runHash),
      };
    }),
    metrics,
    comparisons,
    causes: plan.arms.map((arm, a) => causeRow(arm.name, results[a]!)),
    slo,
    health,
    inert: context.inert,
    incomplete: context.incomplete,
    truncated: conducted.truncated,
    workload: workloadRow(plan, results, context),
    fleet: plan.arms[0]!.pools.map(fleetRow),
    trust: {
      invariants: { level: plan.checks, violations: 0 },
      stopped: conducted.stopped,
      replications: conducted.replications,
      planned: conducted.planned,
      looks: conducted.looks,
      warmupMs: plan.warmupMs,
      horizonMs: plan.horizonMs,
      notModelled: [
        'gateway CPU time',
        'multimodal input',
        'LoRA',
        'speculative decoding',
        'attention data parallelism',
        'disaggregated prefill',
      ],
    },
    reproduce: context.reproduce,
    exit: exitState({ ...conducted, incomplete: context.incomplete }),
  };
}

function metricRow(expr: string, arm: string, results: readonly JobResult[], level: number): MetricRow {
  const { metric } = boundMetric(expr);
  const values = results.map((r) => r.values[expr] ?? null);
  const numbers = values.filter((v): v is number => v !== null);
  const interval = meanInterval(numbers, level);
  const samples = results.map((r) => r.samples[expr]).filter((s): s is number => s !== undefined);
  return {
    expr,
    arm,
    unit: metric.unit,
    n: numbers.length,
    mean: interval.mean,
    lo: interval.lo,
    hi: interval.hi,
    level,
    values,
    ...(samples.length === 0 ? {} : { samples: Math.min(...samples) }),
    regime: regimeOf(results),
  };
}

function regimeOf(results: readonly JobResult[]): RegimeShares {
  const n = Math.max(1, results.length);
  const mean = (pick: (r: RegimeShares) => number): number => results.reduce((sum, r) => sum + pick(r.facts.regime), 0) / n;
  return { calibrated: mean((r) => r.calibrated), fitOnly: mean((r) => r.fitOnly), extrapolated: mean((r) => r.extrapolated) };
}

function compareArms(plan: RunPlan, results: readonly (readonly JobResult[])[], level: number): ComparisonRow[] {
  const base = plan.arms.findIndex((a) => a.name === plan.baseline);
  return plan.exprs.flatMap((expr) => {
    const { metric } = boundMetric(expr);
    return plan.arms.flatMap((arm, a): ComparisonRow[] => {
      if (a === base) return [];
      const pairs = results[base]!.map((r, i) => [r.values[expr] ?? null, results[a]![i]?.values[expr] ?? null] as const).filter(
        (p): p is readonly [number, number] => p[0] !== null && p[1] !== null,
      );
      const d = pairedDifference(
        pairs.map((p) => p[0]),
        pairs.map((p) => p[1]),
        { scale: metric.scale, better: metric.better, noise: metric.noise, level, comparisons: plan.arms.length - 1 },
      );
      const unit = d.unit === '' ? metric.unit : d.unit;
      return [
        {
          expr,
          arm: arm.name,
          vs: plan.baseline,
          scale: metric.scale,
          unit,
          delta: d.delta,
          lo: d.lo,
          hi: d.hi,
          level,
          adjusted: d.adjusted,
          noise: d.noise,
          verdict: d.verdict,
          needMore: d.needMore,
          ...(d.note === undefined ? {} : { note: d.note }),
        },
      ];
    });
  });
}

function sloRows(plan: RunPlan, arm: string, results: readonly JobResult[], metrics: readonly MetricRow[]): SloRow[] {
  return plan.slos.map((slo): SloRow => {
    const head = { name: slo.name, arm, expr: slo.expr, scope: slo.scope, level: slo.level };
    if (slo.scope === 'run') {
      const row = metrics.find((m) => m.arm === arm && m.expr === slo.metric);
      const known = row !== undefined && row.mean !== null;
      return { ...head, met: null, verdict: known ? judge(slo, row.lo ?? row.mean!, row.hi ?? row.mean!) : 'open' };
    }
    const met = results.reduce((sum, r) => sum + (r.slo[slo.name]?.met ?? 0), 0);
    const of = results.reduce((sum, r) => sum + (r.slo[slo.name]?.of ?? 0), 0);
    return { ...head, met: of === 0 ? null : met / of, verdict: null };
  });
}

/** Totals over the replications of the baseline arm, since all arms share the workload; terminal states over all arms would not add up. */
function workloadRow(plan: RunPlan, results: readonly (readonly JobResult[])[], context: ResultContext): WorkloadRow {
  const base = results[plan.arms.findIndex((a) => a.name === plan.baseline)]!;
  const sum = (pick: (r: JobResult) => number): number => base.reduce((total, r) => total + pick(r), 0);
  const first = base[0]?.facts;
  return {
    trace: context.traceName,
    traceDigest: context.traceDigest,
    pauses: plan.workload.pauses,
    sharing: plan.workload.sharing,
    gapCap: context.gapCap,
    sessionsOffered: sum((r) => r.facts.sessionsOffered),
    sessionsCompleted: sum((r) => r.facts.sessionsCompleted),
    sessionsCensored: sum((r) => r.facts.sessionsCensored),
    sessionsFailed: sum((r) => r.facts.sessionsFailed),
    sessionsAbandoned: sum((r) => r.facts.sessionsAbandoned),
    sessionsExcluded: first?.sessionsExcluded ?? 0,
    sessionsTruncated: first?.sessionsTruncated ?? 0,
    turns: sum((r) => r.facts.turns),
    promptTokens: sum((r) => r.facts.promptTokens),
    workloadHashes: base.map((r) => r.workloadHash),
  };
}

function fleetRow(pool: PoolPlan): FleetRow {
  return {
    pool: pool.name,
    gpu: pool.gpu,
    workers: pool.workers,
    gpusPerWorker: pool.gpusPerWorker,
    cell: pool.cell,
    cellLevel: pool.cellLevel,
    hbmTokens: pool.hbmTokens,
    hostTokens: pool.hostTokens,
    hbmFrom: pool.hbmFrom,
    usdPerGpuHour: pool.usdPerGpuHour,
  };
}
