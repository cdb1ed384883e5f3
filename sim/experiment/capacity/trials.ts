/**
 * Trials: one configuration at one size under one load, judged against the run-scope objectives on intervals over replications. The same
 * replications, and so the same agents, are used for every size and configuration. Outcomes are kept, so that searches share work.
 * Source: experiments specification 6.1.
 */
import type { LoadedScenario, Override } from '../../../scenarios/load-scenario.ts';
import { BUSIEST } from '../../cluster/fleet.ts';
import { meanInterval } from '../../measure/statistics.ts';
import { CancelledError, type Executor, JobBoard } from '../executor.ts';
import { findings } from '../findings.ts';
import type { JobResult } from '../job-result.ts';
import { planOf } from '../plan-of.ts';
import type { RunPlan, SloPlan } from '../run-plan.ts';
import { judge } from '../slo.ts';
import type { Candidate, FailureTest } from './question.ts';
import type { Feasible } from './size-search.ts';
import type { TrialJournal } from './trial-journal.ts';

/** A change of everything else, for sensitivities. */
export interface Change {
  readonly overrides?: readonly Override[];
  amend?(plan: RunPlan): RunPlan;
}

/** What is tried. */
export interface Trial {
  readonly candidate: Candidate;
  readonly size: number;
  /** Factor on the load of the scenario. */
  readonly load: number;
  /** Loses the busiest workers at a third of the window; judged from then on. */
  readonly failure?: FailureTest;
  /** Arm of the scenario; absent = its baseline. */
  readonly arm?: string;
  readonly change?: Change;
}

/** A metric over the replications, registry units. */
export interface Estimate {
  readonly mean: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly values: readonly (number | null)[];
}

/** One objective of a trial. */
export interface JudgedObjective {
  readonly name: string;
  readonly expr: string;
  readonly verdict: 'pass' | 'fail' | 'open';
  readonly estimate: Estimate;
  readonly bound: number;
  /** Estimate over bound (bound over estimate where more is better): above 1 = missed. Null without an estimate. */
  readonly use: number | null;
}

/** Outcome of a trial. */
export interface Outcome {
  readonly verdict: Feasible;
  readonly replications: number;
  /** Run-scope objectives of level error, as written. */
  readonly objectives: readonly JudgedObjective[];
  /** The load exceeds what is served. */
  readonly isSaturated: boolean;
  /** Metric expression -> estimate. */
  readonly metrics: Readonly<Record<string, Estimate>>;
  /** With a failure: when the workers are lost, ms, and the primary metric in each interval since. */
  readonly lostAtMs?: number;
  readonly since?: { readonly edgesMs: readonly number[]; readonly values: readonly (readonly (number | null)[])[] };
}

/** Metrics of growth curves and tables beside the primary and the objectives. */
export const PLAN_METRICS = [
  'goodput.sessions',
  'engine.utilization',
  'kv.hit.hbm',
  'kv.hit.host',
  'tokens.recomputed.total',
  'cost.usdPerHour',
  'cost.usdPerSession',
] as const;

/** A first look at a trial that is far from its limits: fewer replications, a stricter level; it can only say no. */
const SCREEN = { replications: 3, level: 0.99 } as const;
const LEVEL = 0.95;
/** Intervals in which the time since a loss is told. */
const INTERVALS = 12;

/** How trials are run. */
export interface TrialOptions {
  readonly executor: Executor;
  readonly signal: AbortSignal;
  readonly metrics: readonly string[];
  readonly journal: TrialJournal;
  /** Called when a trial starts that was not known. */
  onTrial(trial: Trial, facts: { readonly evaluations: number; readonly known: number }): void;
}

/** Runs trials one after another, the replications of one side by side. */
export class Trials {
  readonly #loaded: LoadedScenario;
  readonly #options: TrialOptions;
  readonly #outcomes = new Map<string, Outcome>();
  #evaluations = 0;
  #known = 0;

  constructor(loaded: LoadedScenario, options: TrialOptions) {
    this.#loaded = loaded;
    this.#options = options;
  }

  /** Trials that were simulated, and those that were known already. */
  get counts(): { readonly evaluations: number; readonly known: number } {
    return { evaluations: this.#evaluations, known: this.#known };
  }

  /** The run plan of a trial. Throws UserError where the configuration cannot exist, E_MODEL_TOO_LARGE and its like. */
  planOf(trial: Trial): RunPlan {
    const { candidate, change } = trial;
    const load = this.#loaded.settings.workload.scale.load * trial.load;
    const derived = this.#loaded.derive([
      ...candidate.overrides,
      { path: candidate.size.path, value: trial.size, flag: `plan.size ${trial.size}` },
      ...(trial.load === 1 ? [] : [{ path: 'workload.scale.load', value: load, flag: `load x${trial.load}` }]),
      ...(change?.overrides ?? []),
    ]);
    const compiled = planOf(derived, {
      metrics: [...new Set([...PLAN_METRICS, ...this.#options.metrics])],
      onlyArm: trial.arm ?? derived.baseline,
      baseline: trial.arm ?? derived.baseline,
    });
    const lean: RunPlan = { ...compiled, record: [], attribution: false };
    const changed = change?.amend?.(lean) ?? lean;
    return trial.failure === undefined ? changed : withFailure(changed, trial.failure);
  }

  /** Judges a trial. Throws CancelledError after an abort, UserError as {@link planOf}. */
  async judge(trial: Trial): Promise<Outcome> {
    const plan = this.planOf(trial);
    const key = keyOf(plan, trial.failure?.slos ?? null);
    const known = this.#outcomes.get(key) ?? this.#options.journal.get(key);
    if (known !== undefined) {
      this.#known++;
      this.#outcomes.set(key, known);
      return known;
    }
    this.#options.onTrial(trial, this.counts);
    const outcome = await this.#simulate(plan, trial.failure?.slos ?? null);
    this.#evaluations++;
    this.#outcomes.set(key, outcome);
    this.#options.journal.add(key, outcome);
    return outcome;
  }

  /** Adds replications until every objective is decided or the most are reached. */
  async #simulate(plan: RunPlan, names: readonly string[] | null): Promise<Outcome> {
    const rule = this.#loaded.settings.run.replications;
    const max = Math.max(rule.min, rule.max);
    const board = JobBoard.create(max);
    const cancel = (): void => board.cancel();
    this.#options.signal.addEventListener('abort', cancel);
    if (this.#options.signal.aborted) cancel();
    const results: JobResult[] = [];
    try {
      for (const look of looksOf(rule.min, max, rule.batch)) {
        const jobs = Array.from({ length: look.replications - results.length }, (_, i) => ({ arm: 0, replication: results.length + i }));
        await this.#options.executor.run(plan, jobs, board, results.length, (job, result) => {
          results[job.replication] = result;
        });
        if (board.cancelled) throw new CancelledError('cancelled');
        const outcome = outcomeOf(plan, results, look.level, names);
        if (outcome.verdict === 'no' || (!look.isScreen && outcome.verdict === 'yes') || look.replications === max) return outcome;
      }
    } finally {
      this.#options.signal.removeEventListener('abort', cancel);
    }
    throw new Error('a trial ended without a last look');
  }
}

interface Look {
  readonly replications: number;
  readonly level: number;
  readonly isScreen: boolean;
}

/** Replication counts at which a trial is judged. */
function looksOf(min: number, max: number, batch: number): Look[] {
  const looks: Look[] = min >= 2 * SCREEN.replications ? [{ ...SCREEN, isScreen: true }] : [];
  for (let n = min; n < max; n += batch) looks.push({ replications: n, level: LEVEL, isScreen: false });
  return [...looks, { replications: max, level: LEVEL, isScreen: false }];
}

/** Identity of a trial: everything that decides its outcome. */
function keyOf(plan: RunPlan, names: readonly string[] | null): string {
  const arm = plan.arms[0]!;
  const scales = arm.pools.map((p) => [p.config.blocks, p.stepScale ?? 1, p.hostReadBytesPerMs, p.hostWriteBytesPerMs]);
  return JSON.stringify([plan.key, arm.name, plan.warmupMs, arm.faults, plan.primaryEdgesMs ?? [], scales, names]);
}

/** The plan with its busiest workers lost a third into the window, measured from then on. */
function withFailure(plan: RunPlan, { workers, forMs }: FailureTest): RunPlan {
  const endMs = plan.horizonMs;
  if (endMs === null) throw new Error('a failure test needs a horizon');
  const atMs = Math.round(plan.warmupMs + (endMs - plan.warmupMs) / 3);
  const [arm] = plan.arms;
  const fault = { atMs, kind: 'crash', pool: arm!.pools[0]!.name, worker: BUSIEST, forMs, factor: 1 } as const;
  // What a loss costs is told in tokens computed again, so misses are judged here.
  const { attribution: _, ...judged } = plan;
  return {
    ...judged,
    warmupMs: atMs,
    arms: [{ ...arm!, faults: [...arm!.faults, ...Array.from({ length: workers }, () => fault)] }],
    primaryEdgesMs: edgesBetween(atMs, endMs),
  };
}

function edgesBetween(fromMs: number, toMs: number): number[] {
  return Array.from({ length: INTERVALS + 1 }, (_, i) => Math.round(fromMs + ((toMs - fromMs) * i) / INTERVALS));
}

/** Judges results. `names`: objectives that count; null = all. */
export function outcomeOf(plan: RunPlan, results: readonly JobResult[], level: number, names: readonly string[] | null): Outcome {
  const estimates = Object.fromEntries(plan.exprs.map((expr) => [expr, estimateOf(results, expr, level)]));
  const objectives = plan.slos
    .filter((slo) => slo.scope === 'run' && slo.level === 'error' && (names === null || names.includes(slo.name)))
    .map((slo) => judged(slo, estimates[slo.metric]!));
  const isSaturated = findings(plan, {
    results: [results],
    replications: results.length,
    planned: results.length,
    looks: 1,
    stopped: 'fixed',
    truncated: false,
    wallMs: 0,
    events: 0,
  }).some((finding) => finding.code === 'W_SATURATED');
  const verdicts = objectives.map((o) => o.verdict);
  const verdict: Feasible = isSaturated || verdicts.includes('fail') ? 'no' : verdicts.every((v) => v === 'pass') ? 'yes' : 'unsure';
  const edgesMs = plan.primaryEdgesMs;
  return {
    verdict,
    replications: results.length,
    objectives,
    isSaturated,
    metrics: estimates,
    ...(edgesMs === undefined ? {} : { lostAtMs: plan.warmupMs, since: { edgesMs, values: results.map((r) => r.primaryBetween ?? []) } }),
  };
}

function estimateOf(results: readonly JobResult[], expr: string, level: number): Estimate {
  const values = results.map((r) => r.values[expr] ?? null);
  const { mean, lo, hi } = meanInterval(
    values.filter((v): v is number => v !== null),
    level,
  );
  return { mean, lo, hi, values };
}

function judged(slo: SloPlan, estimate: Estimate): JudgedObjective {
  const { mean, lo, hi } = estimate;
  const isUpper = slo.op === '<' || slo.op === '<=';
  const use = mean === null ? null : isUpper ? mean / slo.bound : slo.bound / mean;
  return {
    name: slo.name,
    expr: slo.expr,
    verdict: mean === null ? 'open' : judge(slo, lo ?? mean, hi ?? mean),
    estimate,
    bound: slo.bound,
    use,
  };
}

/** The objective that is used most, which limits a trial; null without estimates. */
export function bindingObjective(outcome: Outcome): JudgedObjective | null {
  return outcome.objectives.reduce<JudgedObjective | null>((most, o) => ((o.use ?? -1) > (most?.use ?? -1) ? o : most), null);
}
