/** The work behind `kvcast plan`: search, robustness, growth, sensitivities and memory of the recommended fleet, as one document. */
import { UserError } from '../../../control/user-error.ts';
import type { LoadedScenario } from '../../../scenarios/load-scenario.ts';
import { boundMetric } from '../../measure/metric-expression.ts';
import { CancelledError, type Executor } from '../executor.ts';
import { assumptionsOf } from './assumptions.ts';
import { exitOfPlan, paretoOf } from './capacity-answer.ts';
import { CAPACITY_FORMAT, type CapacityDocument, type ConfigurationRow, type FailureReport, type FleetAnswer } from './capacity-result.ts';
import { type ContextRow, contextCosts } from './context-costs.ts';
import { recoveryOf } from './failure-recovery.ts';
import { type Growth, growthOf, headroomOf, type LargestLoad, largestLoad } from './load.ts';
import { type WorkerMemory, workerMemory } from './memory.ts';
import { type CapacityQuestion, questionOf } from './question.ts';
import { bestOf, roundLoad, type SearchedCandidate, searchCandidates } from './search.ts';
import { factorsOf, type Swing, tornadoOf } from './tornado.ts';
import type { TrialJournal } from './trial-journal.ts';
import { bindingObjective, type Trial, Trials } from './trials.ts';

/** How a plan is made. */
export interface CapacityOptions {
  readonly kvcastVersion: string;
  readonly executor: Executor;
  readonly signal: AbortSignal;
  /** Why the signal was given. */
  stoppedBy(): 'interrupted' | 'time';
  readonly journal: TrialJournal;
  /** Search every configuration whole. */
  readonly exhaustive: boolean;
  /** The inverse question: the largest load of the fleet as written. */
  readonly maxLoad: boolean;
  /** Context limits of the cost table, tokens; empty = no table. */
  readonly contexts: readonly number[];
  readonly reproduce: string;
  onTrial(trial: Trial, facts: { readonly evaluations: number; readonly known: number }): void;
  onSearched(searched: SearchedCandidate): void;
  onStage(name: string): void;
}

/** A document and what it cost. */
export interface PlannedCapacity {
  readonly document: CapacityDocument;
  readonly evaluations: number;
  readonly known: number;
}

/** Makes a plan. An interruption leaves a document that says so in `stopped`. Throws UserError as {@link questionOf} and the compiler. */
export async function planCapacity(loaded: LoadedScenario, options: CapacityOptions): Promise<PlannedCapacity> {
  const question = questionOf(loaded);
  checkHorizon(loaded, question);
  const trials = new Trials(loaded, {
    executor: options.executor,
    signal: options.signal,
    metrics: [question.minimize],
    journal: options.journal,
    onTrial: options.onTrial,
  });
  const draft = new Draft();
  try {
    if (options.maxLoad) await answerLoad(loaded, question, trials, draft, options);
    else await answerFleet(loaded, question, trials, draft, options);
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error;
    draft.stopped = options.stoppedBy();
  }
  return { document: documentOf(loaded, question, draft, options), ...trials.counts };
}

/** What is known so far. */
class Draft {
  readonly searched: SearchedCandidate[] = [];
  chosen: SearchedCandidate | null = null;
  headroom: LargestLoad | null = null;
  failure: FailureReport | null = null;
  growth: Growth | null = null;
  tornado: readonly Swing[] = [];
  memory: WorkerMemory | null = null;
  contexts: readonly ContextRow[] = [];
  maxLoad: LargestLoad | null = null;
  stopped: CapacityDocument['stopped'] = 'complete';
}

function checkHorizon(loaded: LoadedScenario, { failure }: CapacityQuestion): void {
  if (failure.workers === 0 || Number.isFinite(loaded.settings.run.horizonMs)) return;
  throw new UserError({
    severity: 'error',
    code: 'E_PLAN_SLO',
    ...loaded.locate('plan.failure'),
    path: 'plan.failure',
    message: 'got a failure test without run.horizon, expected an end: workers are lost a third into the window',
    hint: 'Set run.horizon, or plan.failure.workers: 0',
  });
}

async function answerFleet(
  loaded: LoadedScenario,
  question: CapacityQuestion,
  trials: Trials,
  draft: Draft,
  options: CapacityOptions,
): Promise<void> {
  options.onStage('search');
  const searched = await searchCandidates(question, trials, {
    exhaustive: options.exhaustive,
    onSearched: (one) => {
      draft.searched.push(one);
      options.onSearched(one);
    },
  });
  draft.searched.splice(0, draft.searched.length, ...searched);
  const chosen = bestOf(searched);
  if (chosen === null) return;
  draft.chosen = searched.find((s) => s.status === 'chosen')!;
  const sized = { candidate: chosen.candidate, size: chosen.recommended! };
  draft.memory = await workerMemory(derivedOf(loaded, chosen), chosen.plan!);
  options.onStage('headroom');
  draft.headroom = await headroomOf(sized, roundLoad(1 + question.headroom), trials);
  options.onStage('failure');
  draft.failure = await recoveryOf(sized, question, trials);
  options.onStage('growth');
  draft.growth = await growthOf(sized, question.growth, armsOf(loaded), chosen.plan!.primary, trials);
  options.onStage('sensitivity');
  draft.tornado = await tornadoOf(chosen, factorsOf(loaded, question, chosen.plan!), question, trials);
  if (options.contexts.length === 0) return;
  options.onStage('context');
  draft.contexts = await contextCosts(loaded, chosen, options.contexts, question, trials);
}

async function answerLoad(
  loaded: LoadedScenario,
  question: CapacityQuestion,
  trials: Trials,
  draft: Draft,
  options: CapacityOptions,
): Promise<void> {
  const [candidate] = question.candidates;
  const written = loaded.settings.fleet.pools.find((p) => candidate!.size.path === `fleet.pools.${p.name}.workers`);
  const size = written?.workers ?? candidate!.size.min;
  const as = { ...candidate!, overrides: [], varied: [] };
  options.onStage('load');
  draft.maxLoad = await largestLoad({ candidate: as, size }, trials);
  const plan = trials.planOf({ candidate: as, size, load: 1 });
  draft.memory = await workerMemory(loaded, plan);
  options.onStage('growth');
  draft.growth = await growthOf({ candidate: as, size }, question.growth, armsOf(loaded), plan.primary, trials);
}

function derivedOf(loaded: LoadedScenario, { candidate, recommended }: SearchedCandidate): LoadedScenario {
  return loaded.derive([...candidate.overrides, { path: candidate.size.path, value: recommended, flag: 'plan.size' }]);
}

function armsOf(loaded: LoadedScenario): string[] {
  return [loaded.baseline, ...loaded.arms.map((a) => a.name).filter((name) => name !== loaded.baseline)];
}

function documentOf(loaded: LoadedScenario, question: CapacityQuestion, draft: Draft, options: CapacityOptions): CapacityDocument {
  const { chosen } = draft;
  const { settings } = loaded;
  const answer = chosen === null ? null : fleetAnswer(chosen, loaded, draft);
  const rows = withPareto(draft.searched, settings.run.primary);
  const document: Omit<CapacityDocument, 'exit'> = {
    formatVersion: CAPACITY_FORMAT,
    kvcastVersion: options.kvcastVersion,
    command: 'plan',
    scenario: {
      name: settings.name,
      description: settings.description,
      hash: loaded.pointId,
      seed: settings.seed,
      primary: settings.run.primary,
      agents: settings.workload.arrivals.mode === 'closed' ? settings.workload.arrivals.concurrency! : null,
      objectives: settings.slo.filter((s) => s.scope === 'run' && s.level === 'error').map((s) => s.expr),
    },
    question: {
      asks: options.maxLoad ? 'max-load' : 'fleet',
      minimize: question.minimize,
      headroom: question.headroom,
      failure: question.failure,
    },
    answer,
    closest: answer !== null || options.maxLoad ? null : closestMiss(draft.searched),
    maxLoad: draft.maxLoad,
    configurations: rows,
    headroom: draft.headroom,
    failure: draft.failure,
    growth: draft.growth,
    tornado: draft.tornado,
    memory: draft.memory,
    contexts: draft.contexts,
    assumptions: assumptionsOf(loaded, chosen?.plan ?? null),
    stopped: draft.stopped,
    reproduce: options.reproduce,
  };
  return { ...document, exit: exitOfPlan(document) };
}

function fleetAnswer(chosen: SearchedCandidate, loaded: LoadedScenario, draft: Draft): FleetAnswer {
  const pools = chosen.plan!.arms[0]!.pools;
  const searched = pools.find((p) => chosen.candidate.size.path === `fleet.pools.${p.name}.workers`);
  const workers = chosen.recommended!;
  const gpus = pools.reduce((sum, p) => sum + (p === searched ? workers : p.workers) * p.gpusPerWorker, 0);
  const total = pools.reduce((sum, p) => sum + (p === searched ? workers : p.workers), 0);
  const { arrivals } = loaded.settings.workload;
  const agents = arrivals.mode === 'closed' ? arrivals.concurrency! * loaded.settings.workload.scale.load : null;
  const binding = bindingObjective(chosen.outcome!);
  const alternatives = [...new Set(draft.searched.map((s) => s.candidate.config))]
    .filter((config) => config !== chosen.candidate.config)
    .map((config) => ({ config, best: bestOf(draft.searched.filter((s) => s.candidate.config === config)) }));
  return {
    config: chosen.candidate.config,
    varied: chosen.candidate.varied,
    workers,
    gpusPerWorker: searched?.gpusPerWorker ?? pools[0]!.gpusPerWorker,
    gpus,
    objective: chosen.objective!,
    agents,
    agentsPerWorker: agents === null ? null : agents / total,
    limitedBy: binding === null ? null : { name: binding.name, expr: binding.expr, use: binding.use },
    headroom: draft.headroom?.load ?? null,
    alternatives: alternatives.map(({ config, best }) => ({
      config,
      workers: best?.recommended ?? null,
      gpus: best === null ? null : gpusAt(best),
      objective: best?.objective ?? null,
    })),
  };
}

function gpusAt({ plan, candidate, recommended }: SearchedCandidate): number {
  return plan!.arms[0]!.pools.reduce((sum, p) => {
    const isSearched = candidate.size.path === `fleet.pools.${p.name}.workers`;
    return sum + (isSearched ? recommended! : p.workers) * p.gpusPerWorker;
  }, 0);
}

function rowOf(s: SearchedCandidate): ConfigurationRow {
  const primary = s.plan === null ? undefined : s.outcome?.metrics[s.plan.primary];
  const binding = s.outcome === null ? null : bindingObjective(s.outcome);
  return {
    config: s.candidate.config,
    varied: s.candidate.varied,
    status: s.status,
    reason: s.reason,
    bounds: s.bounds,
    smallest: s.smallest,
    recommended: s.recommended,
    gpus: s.recommended === null ? null : gpusAt(s),
    objective: s.objective,
    primary: primary === undefined ? null : { mean: primary.mean, lo: primary.lo, hi: primary.hi },
    limitedBy: binding?.name ?? null,
    use: binding?.use ?? null,
    replications: s.outcome?.replications ?? 0,
    tested: s.tested,
    robust: s.robust,
    isNonMonotone: s.isNonMonotone,
    pareto: false,
  };
}

function withPareto(searched: readonly SearchedCandidate[], primary: string): ConfigurationRow[] {
  const points = searched.map(({ recommended, objective, outcome }) => {
    if (recommended === null || objective === null) return null;
    return { objective, primary: (outcome?.metrics[primary]?.values ?? []).filter((v): v is number => v !== null) };
  });
  const marks = paretoOf(points, boundMetric(primary).metric);
  return searched.map((s, i) => ({ ...rowOf(s), pareto: marks[i]! }));
}

/** Of the configurations that fail, the one whose worst objective is nearest to its limit. */
function closestMiss(searched: readonly SearchedCandidate[]): CapacityDocument['closest'] {
  let closest: CapacityDocument['closest'] = null;
  for (const { candidate, outcome, tested } of searched) {
    const limit = outcome === null ? null : bindingObjective(outcome);
    if (limit?.use == null || (closest !== null && closest.use <= limit.use)) continue;
    const size = tested.reduce((most, t) => Math.max(most, t.size), 0);
    closest = {
      config: candidate.config,
      varied: candidate.varied,
      size,
      objective: limit.expr,
      mean: limit.estimate.mean,
      use: limit.use,
    };
  }
  return closest;
}
