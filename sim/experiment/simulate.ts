/** One job: materialise the workload of a replication, run the cluster of an arm on it, measure. */
import type { BranchTable } from '../../control/blocks.ts';
import { recordPlane } from '../../control/decision-log.ts';
import type { ControlPlane, Effects, RecordLevel } from '../../control/ports.ts';
import type { ClaimTally } from '../../control/retention/claim-tally.ts';
import { engineLevels } from '../../control/retention/create-retention.ts';
import { retentionPresets } from '../../control/retention/retention-presets.ts';
import { fnv1a32 } from '../../control/router/keyed-draw.ts';
import { UserError } from '../../control/user-error.ts';
import { readTraceCached } from '../../traces/cache.ts';
import type { Trace } from '../../traces/columns.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { ClusterRun, ClusterSpec } from '../cluster/cluster-spec.ts';
import { BUSIEST } from '../cluster/fleet.ts';
import { ServiceLog } from '../cluster/service-log.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { synthesizeTrace } from '../workload/synthetic/synthesize.ts';
import type { Job } from './executor.ts';
import { buildFleet } from './fleet-plan.ts';
import type { JobResult } from './job-result.ts';
import { measureRun } from './measure-run.ts';
import { buildPlane, policyFacts } from './policies.ts';
import type { ArmPlan, PoolPlan, RunPlan } from './run-plan.ts';

/** Entry of {@link RunPlan.record} that no scenario can write: what the workers served, for `kvcast bound`. */
const RECORD_SERVICE = 'service';

/** The plan with that record: what oracles read. */
export function recordingService(plan: RunPlan): RunPlan {
  return { ...plan, record: [...plan.record, RECORD_SERVICE] };
}

const traces = new Map<string, Promise<Trace>>();

let drawn: { readonly key: string; readonly trace: Trace } | undefined;

/**
 * The sessions of a replication: a trace, read once per process and file, or drawn by a generator. The last ones drawn are kept, since
 * the arms of a replication follow one another.
 */
export async function prepareTrace(plan: RunPlan, replication = 0): Promise<Trace> {
  if ('file' in plan.trace) return readOnce(plan.trace);
  const { sessions, options } = plan.trace;
  const key = JSON.stringify([plan.seed, replication, sessions, options]);
  if (drawn?.key !== key) drawn = { key, trace: synthesizeTrace(plan.seed, replication, sessions, options) };
  return drawn.trace;
}

function readOnce({ file, format }: { readonly file: string; readonly format: string | null }): Promise<Trace> {
  const key = `${file}|${format}`;
  let trace = traces.get(key);
  if (trace === undefined) {
    trace = readTraceCached(file, format === null ? {} : { format }).then((cached) => cached.trace);
    traces.set(key, trace);
  }
  return trace;
}

/** A job under way. */
export interface RunningJob {
  /** Handles up to `events` events; false when the run is over. */
  step(events: number): boolean;
  readonly progress: number;
  readonly events: number;
  result(): JobResult;
  /** The finished cluster run, for tests and benchmarks. */
  run(): ClusterRun;
}

/** Starts a job. The random draws of the workload depend on (seed, replication) only, those of the router on its role. */
export function startJob(plan: RunPlan, trace: Trace, job: Job): RunningJob {
  const started = performance.now();
  const arm = plan.arms[job.arm]!;
  const workload = workloadOf(plan, trace, job.replication);
  const decisions: string[] | null = plan.record.includes('decisions') ? [] : null;
  const log = plan.record.includes(RECORD_SERVICE) ? new ServiceLog() : undefined;
  const spec = clusterSpec(plan, arm, workload, job.replication, decisions);
  const cluster = new Cluster(log === undefined ? spec : { ...spec, fleet: { ...spec.fleet, log } });
  const deadline = started + plan.timeLimitMs;
  let incomplete: string | undefined;
  return {
    step(events) {
      const more = cluster.step(events);
      if (more && performance.now() > deadline) {
        incomplete = `time limit of ${plan.timeLimitMs} ms`;
        cluster.stop();
        return false;
      }
      return more;
    },
    get progress() {
      return cluster.progress;
    },
    get events() {
      return cluster.events;
    },
    result: () => {
      const measured = measureRun(plan, arm, job, cluster.result(), performance.now() - started, incomplete);
      const service = log === undefined ? {} : { service: log.records(workload.branches) };
      return decisions === null ? { ...measured, ...service } : { ...measured, ...service, decisionsLog: `${decisions.join('\n')}\n` };
    },
    run: () => cluster.result(),
  };
}

/** What a cluster is built from: one arm of a plan on one workload. `decisions` receives the decision log; null = none is made. */
export function clusterSpec(
  plan: RunPlan,
  arm: ArmPlan,
  workload: ReturnType<typeof materialiseWorkload>,
  replication: number,
  decisions: string[] | null,
): ClusterSpec {
  const facts = policyFacts(arm);
  const offset = new Map<string, number>();
  const claims = { refused: 0, clipped: 0 };
  let rank = 0;
  for (const pool of arm.pools) {
    offset.set(pool.name, rank);
    rank += pool.workers;
  }
  return {
    workload,
    fleet: buildFleet(levelledPools(arm)),
    network: arm.network,
    faults: arm.faults.map((f) => ({
      atMs: f.atMs,
      kind: f.kind,
      worker: f.worker === BUSIEST ? BUSIEST : offset.get(f.pool)! + f.worker,
      forMs: f.forMs,
      factor: f.factor,
    })),
    createPlane: (branches, effects) =>
      decisions === null
        ? planeOf(plan, arm, replication, 'off', branches, effects, claims)
        : recordPlane(
            (inner, table) => planeOf(plan, arm, replication, 'compact', table, inner, claims),
            effects,
            branches,
            (line) => decisions.push(line),
          ),
    claims,
    feedsIndex: facts.feedsIndex,
    countsBlocks: facts.countsBlocks,
    feedsReports: facts.feedsReports,
    // A waiting request may be placed when any message arrives, so the index must be up to date then, not only at arrivals.
    ...(facts.queues ? { lazyEvents: false } : {}),
    horizonMs: plan.horizonMs ?? Number.POSITIVE_INFINITY,
    drain: plan.drain,
    warmupMs: plan.warmupMs,
    timeoutMs: plan.timeoutMs ?? Number.POSITIVE_INFINITY,
    firstTokenMs: plan.firstTokenMs ?? Number.POSITIVE_INFINITY,
    abandon: { medianMs: plan.abandon.medianMs ?? Number.POSITIVE_INFINITY, sigma: plan.abandon.sigma },
    retries: plan.retries,
    checks: plan.checks,
    seed: plan.seed,
    tieSeed: plan.tieSeed,
    noProgressEvents: plan.noProgress * 1000,
    attribution: plan.attribution !== false,
  };
}

/** The control plane of one arm in one replication; what it decides does not depend on the level of its records. */
export function planeOf(
  { seed }: RunPlan,
  arm: ArmPlan,
  replication: number,
  level: RecordLevel,
  branches: BranchTable,
  effects: Effects,
  claims?: ClaimTally,
): ControlPlane {
  return buildPlane(arm, fnv1a32(`${seed}/${replication}/router`), level, branches, effects, claims);
}

/** The pools of an arm with engines set as its retention preset needs them: level of unmarked blocks, level from which victims are kept. */
function levelledPools({ pools, retention }: ArmPlan): readonly PoolPlan[] {
  if (!retentionPresets().some((p) => p.levels !== undefined && `${p.name}@${p.version}` === retention.use)) return pools;
  const levels = engineLevels(retention.use, retention.with);
  return pools.map((pool) => ({ ...pool, config: { ...pool.config, ...levels } }));
}

/** Materialises; an overlong trace is reported at the limit that the user wrote. */
function workloadOf(plan: RunPlan, trace: Trace, replication: number) {
  try {
    return materialiseWorkload(trace, plan.workload, plan.seed, replication);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      error.problems.map((p) => (p.code === 'E_CONTEXT_EXCEEDED' ? { ...p, ...plan.contextLimitPlace, path: 'fleet.contextLimit' } : p)),
    );
  }
}
