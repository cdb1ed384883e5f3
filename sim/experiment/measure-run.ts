/** From a finished cluster run to the values of one job: metrics, objectives, facts for warnings, recorded tables. */
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { sortedValues } from '../measure/item-values.ts';
import { boundMetric } from '../measure/metric-expression.ts';
import { metricValue } from '../measure/metric-value.ts';
import type { Objective, RunMeasures, WorkerMeasures } from '../measure/run-measures.ts';
import { objectiveShare } from '../measure/slo-outcome.ts';
import { SESSION_STATUS } from '../measure/turn-table.ts';
import { TURN_CLASSES } from '../workload/workload.ts';
import type { Job } from './executor.ts';
import type { JobFacts, JobResult } from './job-result.ts';
import { requestsCsv, sessionsCsv } from './recorded-tables.ts';
import type { RegimeShares } from './result.ts';
import type { ArmPlan, PoolPlan, RunPlan, SloPlan } from './run-plan.ts';

/** Measures a run. `wallMs` goes to stderr facts only. */
export function measureRun(
  plan: RunPlan,
  arm: ArmPlan,
  job: Job,
  run: ClusterRun,
  wallMs: number,
  incomplete: string | undefined,
): JobResult {
  const measures = measuresOf(plan, arm, run);
  const values: Record<string, number | null> = {};
  const samples: Record<string, number> = {};
  for (const expr of plan.exprs) {
    const bound = boundMetric(expr);
    values[expr] = metricValue(expr, measures);
    const sorted = bound.metric.kind === 'tally' && bound.metric.name !== 'turn.itl' ? sortedValues(bound, measures) : null;
    if (sorted !== null) samples[expr] = sorted.length;
  }
  return {
    arm: job.arm,
    replication: job.replication,
    values,
    samples,
    slo: Object.fromEntries(plan.slos.filter((s) => s.scope !== 'run').map((s) => [s.name, objectiveShare(s, measures)])),
    sources: run.sources,
    ...(plan.primaryEdgesMs === undefined ? {} : { primaryBetween: primaryBetween(plan.primaryEdgesMs, plan.primary, measures) }),
    runHash: run.runHash,
    workloadHash: run.workload.hash,
    facts: factsOf(plan, run, wallMs),
    ...(plan.record.includes('sessions') ? { sessionsCsv: sessionsCsv(job.replication, run) } : {}),
    ...(plan.record.includes('requests') ? { requestsCsv: requestsCsv(job.replication, run) } : {}),
    ...(incomplete === undefined ? {} : { incomplete }),
  };
}

/** A metric of turns in each interval between two edges; counters know the whole window only and give the same value in each. */
function primaryBetween(edgesMs: readonly number[], primary: string, measures: RunMeasures): (number | null)[] {
  return edgesMs.slice(1).map((toMs, i) => metricValue(primary, { ...measures, window: { fromMs: edgesMs[i]!, toMs } }));
}

/** The window and columns that the registry's formulas read. */
export function measuresOf(plan: RunPlan, arm: ArmPlan, run: ClusterRun): RunMeasures {
  const { workload, turns, plays } = run;
  const end = run.endMs;
  const horizon = plan.horizonMs ?? end;
  const tail = plan.kind === 'steady' ? horizon * 0.25 : 0;
  const toMs = plan.kind === 'steady' ? Math.min(end, horizon) : end;
  const arrivals = plays.startMs.subarray(0, plays.count).reduce((last, t) => (t > last ? t : last), 0);
  const workerPools = arm.pools.flatMap((pool) => Array.from({ length: pool.workers }, () => pool));
  const samples = Math.max(1, run.occupancy.samples);
  return {
    window: { fromMs: plan.warmupMs, toMs },
    sessionToMs: plan.kind === 'steady' ? Math.max(plan.warmupMs, horizon - tail) : toMs,
    rateWindowMs: plan.kind === 'terminating' && arrivals > 0 ? arrivals : Math.max(1, toMs - plan.warmupMs),
    turns,
    labels: {
      turnClass: Uint8Array.from(turns.turn, (turn) => workload.turns.turnClass(turn)),
      classNames: TURN_CLASSES,
      session: Int32Array.from(turns.turn, (turn) => workload.turns.play(turn)),
      tenant: workload.plays.tenant,
      tenantNames: workload.tenants,
    },
    sessions: { count: plays.count, startMs: plays.startMs, endMs: plays.endMs, activeMs: plays.activeMs, status: plays.status },
    tokenGaps: run.tokenGaps,
    workers: run.counters.map((counters, i) => workerMeasures(workerPools[i]!, counters, run.prefetches[i]!, toMs - plan.warmupMs)),
    sources: run.sources,
    causes: run.causes,
    occupancy: {
      hbm: run.occupancy.cached / samples,
      host: run.occupancy.host / samples,
      ...(arm.pools.some((p) => p.disk) ? { disk: run.occupancy.disk / samples } : {}),
      ...(arm.pools.some((p) => p.remote) ? { remote: run.occupancy.remote / samples } : {}),
      active: run.occupancy.referenced / samples,
      claimed: run.occupancy.claimed / samples,
    },
    hints: run.hints,
    router: { decisions: run.decisions, staleDecisions: run.staleDecisions },
    unloaded: unloadedOf(run),
    objectives: { turn: objectives(plan.slos, 'turn'), session: objectives(plan.slos, 'session') },
    cost: { hostUsdPerGiBHour: 0, powerPue: 1.2 },
  };
}

/** Durations on an idle fleet; those of turns are made when a metric asks for them. */
function unloadedOf(run: ClusterRun): NonNullable<RunMeasures['unloaded']> {
  let turnMs: Float64Array | undefined;
  return {
    get turnMs() {
      turnMs ??= Float64Array.from(run.turns.turn, (turn) => run.unloadedMs(turn));
      return turnMs;
    },
    sessionMs: run.plays.unloadedMs,
  };
}

function workerMeasures(
  pool: PoolPlan,
  counters: ClusterRun['counters'][number],
  prefetch: ClusterRun['prefetches'][number],
  provisionedMs: number,
): WorkerMeasures {
  return {
    pool: pool.name,
    gpus: pool.gpusPerWorker,
    requestMs: pool.requestMs,
    provisionedMs,
    counters,
    prefetch,
    blockBytes: pool.blockBytes * pool.gpusPerWorker,
    hostBytes: pool.config.hostBlocks * pool.blockBytes * pool.gpusPerWorker,
    h2dBytesPerMs: pool.hostReadBytesPerMs * pool.gpusPerWorker,
    d2hBytesPerMs: pool.hostWriteBytesPerMs * pool.gpusPerWorker,
    usdPerGpuHour: pool.usdPerGpuHour,
    tdpW: pool.tdpW,
  };
}

function objectives(slos: readonly SloPlan[], scope: 'turn' | 'session'): Objective[] {
  return slos.filter((s) => s.scope === scope).map((s) => ({ metric: s.metric, op: s.op, bound: s.bound }));
}

function factsOf(plan: RunPlan, run: ClusterRun, wallMs: number): JobFacts {
  const { plays, turns, workload } = run;
  const sum = (pick: (c: ClusterRun['counters'][number]) => number): number => run.counters.reduce((total, c) => total + pick(c), 0);
  const ofStatus = (code: number): number => plays.status.subarray(0, plays.count).reduce((n, s) => n + (s === code ? 1 : 0), 0);
  const queryTokens = sum((c) => c.queryTokensFirst);
  const hitTokens = sum((c) => c.hitHbmTokensFirst + c.hitHostTokensFirst);
  const promptTokens = turns.promptTokens.reduce((total, tokens) => total + tokens, 0);
  return {
    events: run.events,
    wallMs,
    simMs: run.endMs,
    turns: turns.count,
    promptTokens,
    sessionsOffered: plays.count,
    sessionsCompleted: ofStatus(1),
    sessionsFailed: ofStatus(2),
    sessionsCensored: ofStatus(3),
    sessionsAbandoned: ofStatus(SESSION_STATUS.abandoned),
    sessionsExcluded: workload.facts.sessionsExcluded,
    sessionsInSource: workload.facts.sessionsInSource,
    sessionsTruncated: workload.facts.sessionsTruncated,
    overlongRequests: 0,
    hbmEvictedBlocks: sum((c) => c.hbmEvictedBlocks),
    hbmExpiredBlocks: sum((c) => c.hbmExpiredBlocks),
    hostStoredBlocks: sum((c) => c.hostStoredBlocks),
    hostReadBytes: sum((c) => c.hostReadBytes),
    diskWriteBytes: sum((c) => c.diskWriteBytes),
    remoteWriteBytes: sum((c) => c.remoteWriteBytes),
    actionsSent: run.actions.sent,
    actionsAccepted: run.actions.accepted + run.actions.clipped,
    prefetchedBlocks: run.prefetches.reduce((total, p) => total + p.movedBlocks, 0),
    claimsBroken: sum((c) => c.claimsBroken),
    preemptions: sum((c) => c.preemptions),
    segmentsTouched: sum((c) => c.segmentsTouched),
    engineEvents: sum((c) => c.events),
    largestSessionTokenShare: largestShare(run, promptTokens),
    ...pausesOver(plan, run),
    regime: regimeShares(run),
    lastBlockRecomputed: sum((c) => c.lastBlockRecomputed),
    hitBlocks: Math.round(hitTokens / workload.blockTokens),
    queryTokens,
    hitTokens,
  };
}

function largestShare(run: ClusterRun, promptTokens: number): number {
  const perPlay = new Float64Array(run.plays.count);
  const { turn, promptTokens: prompts } = run.turns;
  for (let i = 0; i < turn.length; i++) perPlay[run.workload.turns.play(turn[i]!)]! += prompts[i]!;
  return promptTokens === 0 ? 0 : perPlay.reduce((a, b) => Math.max(a, b), 0) / promptTokens;
}

/** Pauses of served turns and those longer than the arm's longest finite TTL. */
function pausesOver(plan: RunPlan, run: ClusterRun): { pauses: number; pausesAboveTtl: number } {
  const ttls = plan.arms
    .flatMap((arm) => Object.values({ ttl: arm.retention.with['ttl'] }))
    .filter((v): v is number => typeof v === 'number');
  const ttl = Math.max(0, ...ttls);
  let pauses = 0;
  let pausesAboveTtl = 0;
  const { turns } = run.workload;
  for (const turn of run.turns.turn) {
    if (turns.pauseKind(turn) === 0) continue;
    pauses++;
    if (turns.pauseMs(turn) > ttl) pausesAboveTtl++;
  }
  return { pauses, pausesAboveTtl };
}

function regimeShares(run: ClusterRun): RegimeShares {
  const sum = (tag: 'calibrated' | 'fit-only' | 'extrapolated'): number => run.counters.reduce((total, c) => total + c.regimeMs[tag], 0);
  const [calibrated, fitOnly, extrapolated] = [sum('calibrated'), sum('fit-only'), sum('extrapolated')];
  const total = calibrated + fitOnly + extrapolated || 1;
  return { calibrated: calibrated / total, fitOnly: fitOnly / total, extrapolated: extrapolated / total };
}
