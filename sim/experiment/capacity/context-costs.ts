/** What longer contexts cost: the same agents with their prompts scaled to a context limit, on the recommended configuration. */
import { UserError } from '../../../control/user-error.ts';
import type { LoadedScenario } from '../../../scenarios/load-scenario.ts';
import type { Candidate, CapacityQuestion } from './question.ts';
import { pricedObjective, type SearchedCandidate } from './search.ts';
import { smallestSize } from './size-search.ts';
import { bindingObjective, type Trials } from './trials.ts';

/** One context limit. */
export interface ContextRow {
  readonly contextTokens: number;
  /** Requests of that length that one worker holds in HBM. */
  readonly longestInHbm: number | null;
  /** Smallest number of workers that meets the objectives at the planned load; null = none up to the largest. */
  readonly workers: number | null;
  readonly objective: number | null;
  readonly limitedBy: string | null;
  /** Why there is no answer. */
  readonly reason: string | null;
}

/**
 * Rows in the order of `limits`. A limit beyond the model's own is asked of the model all the same only in its memory: the row says so.
 * The scale of prompts is the limit over the scenario's limit.
 */
export async function contextCosts(
  loaded: LoadedScenario,
  chosen: SearchedCandidate,
  limits: readonly number[],
  question: CapacityQuestion,
  trials: Trials,
): Promise<ContextRow[]> {
  const base = loaded.settings.fleet.contextLimitTokens;
  const scale = loaded.settings.workload.scale.context;
  const rows: ContextRow[] = [];
  for (const limit of limits) {
    const flag = `--contexts ${limit}`;
    const candidate: Candidate = {
      ...chosen.candidate,
      overrides: [
        ...chosen.candidate.overrides,
        { path: 'fleet.contextLimit', value: limit, flag },
        { path: 'workload.scale.context', value: (scale * limit) / base, flag },
        { path: 'workload.overlong', value: 'truncate', flag },
      ],
    };
    rows.push(await contextRow(candidate, limit, question, trials));
  }
  return rows;
}

async function contextRow(candidate: Candidate, limit: number, question: CapacityQuestion, trials: Trials): Promise<ContextRow> {
  const none = { contextTokens: limit, longestInHbm: null, workers: null, objective: null, limitedBy: null };
  try {
    const plan = trials.planOf({ candidate, size: candidate.size.min, load: 1 });
    const longestInHbm = Math.floor(plan.arms[0]!.pools[0]!.hbmTokens / limit);
    const { smallest } = await smallestSize(candidate.size.min, candidate.size.max, async (size) => {
      return (await trials.judge({ candidate, size, load: 1 })).verdict;
    });
    const outcome = await trials.judge({ candidate, size: smallest ?? candidate.size.max, load: 1 });
    return {
      contextTokens: limit,
      longestInHbm,
      workers: smallest,
      objective:
        smallest === null
          ? null
          : (pricedObjective(question, trials, candidate, smallest) ?? outcome.metrics[question.minimize]?.mean ?? null),
      limitedBy: bindingObjective(outcome)?.name ?? null,
      reason: smallest === null ? `none up to ${candidate.size.max} workers` : null,
    };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [first] = error.problems;
    return { ...none, reason: `${first!.code}: ${first!.message}` };
  }
}
