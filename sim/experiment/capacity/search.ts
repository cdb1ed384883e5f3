/**
 * Searches every configuration for its smallest size and for the size that is recommended, cheapest lower bound first, and skips what
 * cannot beat the best so far. Source: experiments specification 6.3, 6.4.
 */
import { UserError } from '../../../control/user-error.ts';
import type { RunPlan } from '../run-plan.ts';
import { prepareTrace } from '../simulate.ts';
import { type Bounds, lowerBounds } from './lower-bounds.ts';
import type { Candidate, CapacityQuestion } from './question.ts';
import { type Feasible, smallestSize, type TestedSize } from './size-search.ts';
import { bindingObjective, type Change, type Outcome, type Trials } from './trials.ts';

/** How the search of a configuration ended. */
export type CandidateStatus =
  | 'chosen'
  | 'feasible'
  /** Some size holds at the planned load, none with headroom and a failure. */
  | 'fragile'
  | 'infeasible'
  /** Cannot beat the best; never searched, or given up at the best one's price. */
  | 'dominated'
  /** The configuration cannot exist: memory, timing cell. */
  | 'impossible'
  /** Interrupted or out of time. */
  | 'open';

/** A size with its verdict under one load or failure. */
export interface RobustTest {
  readonly size: number;
  readonly kind: 'headroom' | 'failure';
  readonly verdict: Feasible;
}

/** One configuration after the search. */
export interface SearchedCandidate {
  readonly candidate: Candidate;
  readonly status: CandidateStatus;
  /** Why, where the status does not say it. */
  readonly reason: string | null;
  readonly bounds: Bounds | null;
  /** Smallest size at the planned load. */
  readonly smallest: number | null;
  /** First size from there that also holds with headroom and through the failure. */
  readonly recommended: number | null;
  /** Objective at the recommended size, else at the smallest; null = not known. */
  readonly objective: number | null;
  readonly tested: readonly TestedSize[];
  readonly robust: readonly RobustTest[];
  readonly isNonMonotone: boolean;
  /** At the planned load and the recommended (else smallest, else largest tested) size. */
  readonly outcome: Outcome | null;
  readonly plan: RunPlan | null;
}

/** Hears of every configuration that is done. */
export type OnSearched = (searched: SearchedCandidate) => void;

/** Objectives whose value follows from the size alone, so that a bound on the size bounds them. */
const PRICED = new Set(['cost.usdPerHour', 'fleet.gpuHours']);

/**
 * All candidates in written order. `exhaustive`: none is given up at the price of the best one. Throws what {@link Trials.judge} throws.
 */
export async function searchCandidates(
  question: CapacityQuestion,
  trials: Trials,
  { exhaustive, onSearched }: { readonly exhaustive: boolean; readonly onSearched: OnSearched },
): Promise<SearchedCandidate[]> {
  const prepared: Prepared[] = [];
  for (const candidate of question.candidates) prepared.push(await prepare(candidate, question, trials));
  const order = [...prepared].sort((a, b) => (a.floor ?? 0) - (b.floor ?? 0) || a.candidate.index - b.candidate.index);
  const done = new Map<number, SearchedCandidate>();
  for (const next of order) {
    const best = bestOf([...done.values()]);
    const searched = await searchOne(next, best, question, trials, exhaustive || !hasFeasible(done, next.candidate.config));
    done.set(next.candidate.index, searched);
    onSearched(searched);
  }
  const chosen = bestOf([...done.values()]);
  return question.candidates.map(({ index }) => {
    const searched = done.get(index)!;
    return searched === chosen ? { ...searched, status: 'chosen' } : searched;
  });
}

/** The recommendation: least objective, then the better primary metric, then the written order. Null = none is feasible. */
export function bestOf(searched: readonly SearchedCandidate[]): SearchedCandidate | null {
  const feasible = searched.filter((s) => s.recommended !== null && s.objective !== null);
  const primary = (s: SearchedCandidate): number => s.outcome?.metrics[s.plan!.primary]?.mean ?? Number.POSITIVE_INFINITY;
  feasible.sort((a, b) => a.objective! - b.objective! || primary(a) - primary(b) || a.candidate.index - b.candidate.index);
  return feasible[0] ?? null;
}

function hasFeasible(done: ReadonlyMap<number, SearchedCandidate>, config: string): boolean {
  return [...done.values()].some((s) => s.candidate.config === config && s.recommended !== null);
}

interface Prepared {
  readonly candidate: Candidate;
  readonly bounds: Bounds | null;
  /** Least objective that any size allows; null = not known before it is simulated. */
  readonly floor: number | null;
  readonly plan: RunPlan | null;
  readonly impossible: string | null;
}

async function prepare(candidate: Candidate, question: CapacityQuestion, trials: Trials): Promise<Prepared> {
  try {
    const plan = trials.planOf({ candidate, size: candidate.size.min, load: 1 });
    const bounds = lowerBounds(plan, await prepareTrace(plan), candidate.size.path);
    const size = Math.max(candidate.size.min, bounds.size);
    return { candidate, bounds, floor: pricedObjective(question, trials, candidate, size), plan, impossible: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const first = error.problems[0]!;
    return { candidate, bounds: null, floor: null, plan: null, impossible: `${first.code}: ${first.message}` };
  }
}

/** The objective where price and size decide it, else null. */
export function pricedObjective(
  question: Pick<CapacityQuestion, 'minimize'>,
  trials: Trials,
  candidate: Candidate,
  size: number,
): number | null {
  if (!PRICED.has(question.minimize)) return null;
  const plan = trials.planOf({ candidate, size, load: 1 });
  const gpus = plan.arms[0]!.pools.map((p) => ({ gpus: p.workers * p.gpusPerWorker, usd: p.usdPerGpuHour }));
  const usdPerHour = gpus.reduce((sum, pool) => sum + pool.gpus * pool.usd, 0);
  if (question.minimize === 'cost.usdPerHour') return usdPerHour;
  const hours = ((plan.horizonMs ?? 0) - plan.warmupMs) / 3_600_000;
  return gpus.reduce((sum, pool) => sum + pool.gpus, 0) * hours;
}

async function searchOne(
  { candidate, bounds, floor, plan, impossible }: Prepared,
  best: SearchedCandidate | null,
  question: CapacityQuestion,
  trials: Trials,
  isWhole: boolean,
): Promise<SearchedCandidate> {
  const blank = { candidate, reason: null, bounds, smallest: null, recommended: null, objective: null, tested: [], robust: [] };
  const empty = { ...blank, isNonMonotone: false, outcome: null, plan } as const;
  if (impossible !== null) return { ...empty, status: 'impossible', reason: impossible };
  if (bounds!.blocking !== null) return { ...empty, status: 'infeasible', reason: bounds!.blocking };
  const ceiling = best?.objective ?? null;
  if (ceiling !== null && floor !== null && floor >= ceiling && !isWhole)
    return { ...empty, status: 'dominated', objective: floor, reason: `bound ${shown(floor)} ≥ ${shown(ceiling)}` };
  const cap = isWhole || ceiling === null ? null : sizeAtPrice(question, trials, candidate, ceiling);
  if (cap !== null) {
    const given = await trials.judge({ candidate, size: cap, load: roundLoad(1 + question.headroom) });
    const limit = bindingObjective(given);
    if (given.verdict !== 'yes') {
      const robust: RobustTest[] = [{ size: cap, kind: 'headroom', verdict: given.verdict }];
      const reason = `${cap} at ${shown(ceiling!)} miss ${limit?.name ?? 'the objectives'}`;
      return { ...empty, status: 'dominated', objective: floor, reason, robust, outcome: given };
    }
  }
  return searchWhole({ candidate, bounds, plan: plan!, likely: best?.smallest ?? null }, question, trials);
}

async function searchWhole(
  { candidate, bounds, plan, likely }: Pick<Prepared, 'candidate' | 'bounds'> & { readonly plan: RunPlan; readonly likely: number | null },
  question: CapacityQuestion,
  trials: Trials,
): Promise<SearchedCandidate> {
  const { min, max } = candidate.size;
  const from = Math.min(max, Math.max(min, bounds?.size ?? min));
  const at = (size: number): Promise<Outcome> => trials.judge({ candidate, size, load: 1 });
  const { smallest, tested, isNonMonotone } = await smallestSize(
    from,
    max,
    async (size) => (await at(size)).verdict,
    likely === null ? {} : { likely },
  );
  const head = { candidate, bounds, smallest, tested, isNonMonotone, plan };
  if (smallest === null) {
    const outcome = await at(max);
    return { ...head, status: 'infeasible', reason: missed(outcome, max), recommended: null, objective: null, robust: [], outcome };
  }
  const { recommended, robust } = await recommendedSize(candidate, smallest, question, trials);
  const outcome = await at(recommended ?? smallest);
  const objective = outcome.metrics[question.minimize]?.mean ?? pricedObjective(question, trials, candidate, recommended ?? smallest);
  const status = recommended === null ? 'fragile' : 'feasible';
  return { ...head, status, reason: null, recommended, objective, robust, outcome };
}

/**
 * The first size from the smallest on that holds with headroom and through the failure, by bisection from the size that carries the
 * headroom if capacity grows with size: the answer of a scan in a third of its trials.
 */
async function recommendedSize(
  candidate: Candidate,
  smallest: number,
  question: CapacityQuestion,
  trials: Trials,
): Promise<{ readonly recommended: number | null; readonly robust: readonly RobustTest[] }> {
  const robust: RobustTest[] = [];
  const test = async (size: number): Promise<Feasible> => ((await isRobust(candidate, size, question, trials, robust)) ? 'yes' : 'no');
  const likely = Math.ceil(smallest * (1 + question.headroom));
  const { smallest: recommended } = await smallestSize(smallest, candidate.size.max, test, { likely, isProbed: false });
  return { recommended, robust };
}

/** Circumstances under which a size is judged. */
export interface Circumstances {
  readonly load: number;
  readonly change?: Change;
}

/** Holds with headroom, and where workers may be lost, through their loss. `log` hears each test. */
export async function isRobust(
  candidate: Candidate,
  size: number,
  { headroom, failure }: Pick<CapacityQuestion, 'headroom' | 'failure'>,
  trials: Trials,
  log: RobustTest[],
  circumstances: Circumstances = { load: 1 },
): Promise<boolean> {
  const { load, ...change } = circumstances;
  const reserve = await trials.judge({ candidate, size, load: roundLoad(load * (1 + headroom)), ...change });
  log.push({ size, kind: 'headroom', verdict: reserve.verdict });
  if (reserve.verdict !== 'yes') return false;
  if (failure.workers === 0) return true;
  const verdict = failure.workers >= size ? 'no' : (await trials.judge({ candidate, size, load, failure, ...change })).verdict;
  log.push({ size, kind: 'failure', verdict });
  return verdict === 'yes';
}

/** Load factors of twelve digits: 1.1 x 1.2 is 1.32. */
export function roundLoad(load: number): number {
  return Number(load.toPrecision(12));
}

/** Largest size whose objective stays at or below `ceiling`; null where price and size do not decide it. */
function sizeAtPrice(question: CapacityQuestion, trials: Trials, candidate: Candidate, ceiling: number): number | null {
  const { min, max } = candidate.size;
  const at = (size: number): number | null => pricedObjective(question, trials, candidate, size);
  if (at(min) === null) return null;
  let [low, high] = [min, max + 1];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (at(middle)! <= ceiling) low = middle;
    else high = middle;
  }
  return low;
}

/** `first-token 3.4 at 128`: what limits an outcome. */
function missed(outcome: Outcome, size: number): string {
  const limit = bindingObjective(outcome);
  return `${limit?.name ?? 'an objective'} at ${size}`;
}

function shown(objective: number): string {
  return String(Number(objective.toPrecision(6)));
}
