/** From the recorded service of all (arm, replication) to the document of `kvcast bound`. Replications are reduced in index order. */
import type { Trace } from '../../traces/columns.ts';
import type { BoundArm, BoundResult, BoundRow, DeadlineRow, Estimate, OracleName, SavedSeconds } from '../experiment/bound-result.ts';
import type { Conducted } from '../experiment/conduct.ts';
import type { JobResult } from '../experiment/job-result.ts';
import { type MetricRow, RESULT_FORMAT, type Result } from '../experiment/result.ts';
import type { RunPlan } from '../experiment/run-plan.ts';
import { boundMetric } from '../measure/metric-expression.ts';
import { meanInterval } from '../measure/statistics.ts';
import { type Headroom, headroomOf } from './headroom.ts';
import { TraceDeadlines } from './trace-deadlines.ts';

/** Fixed deadlines of the closed form, ms. */
const DEADLINES_MS = [10_000, 60_000, 300_000, 3_600_000] as const;

/** Printed with every oracle number: retention specification 11. */
export const CAVEATS = [
  'Oracles see the future: clairvoyant, not deployable, never ranked with the arms.',
  'They hold for the order in which each arm was served; better retention changes when requests run, and no oracle is simulated again.',
  'Most hits need not mean least latency.',
  'Objectives for single requests (SLO) need bounds of their own.',
] as const;

/** What else the document says. */
export interface BoundContext {
  readonly trace: Trace;
  /** The same arms served anew with memory that never fills; null = not simulated. */
  readonly unlimited: Result | null;
  readonly oracles: readonly OracleName[];
  readonly onlyArm: string | undefined;
}

/** Builds the document. Throws if an arm beats a row that bounds it. */
export function reduceBound(
  plan: RunPlan,
  conducted: Conducted,
  result: Result,
  { trace, unlimited, oracles, onlyArm }: BoundContext,
): BoundResult {
  const arms = plan.arms.map((arm, a): BoundArm => {
    const faults = arm.faults.some((f) => f.kind !== 'slow');
    const runs = conducted.results[a]!.map((job) => headroomOf(serviceOf(job), { oracles, fromMs: plan.warmupMs, faults }));
    const identity = result.arms[a]!;
    return {
      name: arm.name,
      router: identity.router,
      retention: identity.retention,
      deployable: identity.deployable,
      primary: primaryOf(result, arm.name),
      rows: [...rowsOf(runs), ...(unlimited === null ? [] : [servedAnew(result, unlimited, arm.name)])],
      ttlCutMs: estimate(runs.map((run) => run.ttlCutMs)).mean,
      seconds: secondsOf(runs),
    };
  });
  const { formatVersion: _, kvcastVersion, scenario, inert, incomplete, truncated, workload, fleet, trust, reproduce, exit } = result;
  return {
    formatVersion: RESULT_FORMAT,
    kvcastVersion,
    command: 'bound',
    scenario,
    oracles,
    higherIsBetter: boundMetric(plan.primary).metric.better === 'higher',
    chosen: onlyArm ?? best(arms, plan.primary),
    arms,
    deadlines: oracles.includes('ttl') ? deadlinesOf(plan, trace) : [],
    caveats: CAVEATS,
    inert,
    incomplete,
    truncated,
    workload,
    fleet,
    trust,
    reproduce,
    exit,
  };
}

function serviceOf(job: JobResult): NonNullable<JobResult['service']> {
  if (job.service === undefined) throw new Error('bound: a run came back without its record of service');
  return job.service;
}

/** Name of the arm with the best mean of the primary metric; the first of equals. */
function best(arms: readonly BoundArm[], primary: string): string {
  const sign = boundMetric(primary).metric.better === 'higher' ? -1 : 1;
  const worth = (arm: BoundArm): number => (arm.primary.mean === null ? Number.POSITIVE_INFINITY : sign * arm.primary.mean);
  return arms.reduce((a, b) => (worth(b) < worth(a) ? b : a)).name;
}

function primaryOf(result: Result, arm: string): BoundArm['primary'] {
  const row: MetricRow | undefined = result.metrics.find((m) => m.arm === arm && m.expr === result.scenario.primary);
  if (row === undefined) throw new Error(`bound: no primary metric of ${arm}`);
  return { n: row.n, mean: row.mean, lo: row.lo, hi: row.hi, expr: row.expr, unit: row.unit };
}

function rowsOf(runs: readonly Headroom[]): BoundRow[] {
  const share = (tokens: number, of: number): number | null => (of === 0 ? null : tokens / of);
  const own: BoundRow = {
    oracle: 'this arm',
    label: 'measured',
    deployable: 'see arm',
    hit: estimate(runs.map((r) => share(r.foundTokens, r.queryTokens))),
    recomputedTokens: estimate(runs.map((r) => r.floorTokens - r.foundTokens)),
  };
  const names = runs[0]?.rows ?? [];
  return [
    own,
    ...names.map(({ oracle, label }, k): BoundRow => {
      const hits = runs.map((r) => r.rows[k]!.hitTokens);
      const regrets = runs.map((r, i) => share(hits[i]! - r.foundTokens, hits[i]!));
      return {
        oracle,
        label,
        deployable: 'clairvoyant, not deployable',
        hit: estimate(runs.map((r, i) => share(hits[i]!, r.queryTokens))),
        recomputedTokens: estimate(runs.map((r, i) => r.floorTokens - hits[i]!)),
        regret: estimate(regrets),
        regrets,
      };
    }),
  ];
}

/** The arm with unlimited memory as it would really run: queues and order are its own, so that it is no bound of anything. */
function servedAnew(result: Result, unlimited: Result, arm: string): BoundRow {
  const values = (of: Result, expr: string): readonly (number | null)[] =>
    of.metrics.find((m) => m.arm === arm && m.expr === expr)?.values ?? [];
  const hits = values(unlimited, 'kv.hit.total');
  const own = values(result, 'kv.hit.total');
  const regrets = hits.map((hit, i) => (hit === null || hit === 0 || own[i] == null ? null : (hit - own[i]) / hit));
  return {
    oracle: 'infinite, served anew',
    label: 'heuristic',
    deployable: 'memory without limit, not deployable',
    hit: estimate(hits),
    recomputedTokens: estimate(values(unlimited, 'tokens.recomputed.total')),
    regret: estimate(regrets),
    primary: estimate(values(unlimited, result.scenario.primary)),
    regrets,
  };
}

function secondsOf(runs: readonly Headroom[]): SavedSeconds | null {
  const saved = runs.map((run) => run.savedMs).filter((s) => s !== null);
  if (saved.length < runs.length) return null;
  const regret = (found: number, most: number): number | null => (most === 0 ? null : (most - found) / most);
  return {
    arm: estimate(saved.map((s) => s.found / 1000)),
    costAware: estimate(saved.map((s) => s.costAware / 1000)),
    costAwareRegret: estimate(saved.map((s) => regret(s.found, s.costAware))),
    dual: estimate(saved.map((s) => s.dual / 1000)),
    dualRegret: estimate(saved.map((s) => regret(s.found, s.dual))),
  };
}

/** The closed form needs the previous turn of the same session, and pauses of the trace itself. */
function deadlinesOf(plan: RunPlan, trace: Trace): DeadlineRow[] {
  const { pauses } = plan.workload;
  if (trace.header.idScope !== 'session' || (pauses !== 'recorded' && pauses !== 'debiased')) return [];
  const deadlines = new TraceDeadlines(trace, pauses);
  return DEADLINES_MS.map((ttlMs) => deadlines.row(ttlMs));
}

function estimate(values: readonly (number | null)[]): Estimate {
  const { n, mean, lo, hi } = meanInterval(values.filter((v): v is number => v !== null));
  return { n, mean, lo, hi };
}
