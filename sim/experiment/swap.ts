/**
 * The counterfactual swap: every mixture of the parts in which two arms differ is run, and each part gets its Shapley share of the
 * difference. Source: experiments specification 7.3, for any number of parts.
 */
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../control/user-error.ts';
import { shapleySplit } from '../measure/shapley.ts';
import { meanInterval } from '../measure/statistics.ts';
import { type ArmPart, differingParts, mixedArm } from './arm-parts.ts';
import { type ConductHooks, conduct } from './conduct.ts';
import type { Executor } from './executor.ts';
import type { Difference, ExplainSwap } from './explain-result.ts';
import type { RunPlan } from './run-plan.ts';
import { NothingCompleteError } from './simulate-point.ts';

/** Runs double with every part. */
const MOST_PARTS = 4;
const LEVEL = 0.95;

/** One arm of a plan. */
export interface SwapSide {
  /** Where the result lies, for errors. */
  readonly folder: string;
  readonly plan: RunPlan;
  readonly arm: number;
}

/** Arms of one plan that are all mixtures: arm `mask` has the parts of the mask (bit i = part i) as the subject has them. */
export interface SwapPlan {
  readonly parts: readonly ArmPart[];
  readonly plan: RunPlan;
}

/** What may differ between the plans of two results beside their arms: names, what is measured, how long one may wait for it. */
const FREE: readonly string[] = [
  ...['key', 'name', 'arms', 'baseline', 'slos', 'exprs', 'primary', 'record', 'contextLimitPlace', 'checks', 'noProgress', 'timeLimitMs'],
];

/**
 * The plan of all mixtures. Throws UserError E_EXPLAIN_SWAP if the arms differ in nothing, in more than four parts, or in more than
 * their parts.
 */
export function swapPlan(subject: SwapSide, reference: SwapSide, expr: string): SwapPlan {
  const here = subject.plan.arms[subject.arm]!;
  const there = reference.plan.arms[reference.arm]!;
  const pairs = Object.keys({ ...subject.plan, ...reference.plan }) as (keyof RunPlan)[];
  const foreign = pairs.filter((key) => !FREE.includes(key) && !isDeepStrictEqual(subject.plan[key], reference.plan[key]));
  if (foreign.length > 0)
    refuse(reference.folder, `got results that differ in ${foreign.join(', ')}, expected two arms on the same workload`, {
      hint: 'Write both as arms of one scenario, compare it and explain that result',
    });
  const parts = differingParts(there, here);
  if (parts.length === 0) refuse(subject.folder, `got ${here.name} and ${there.name}, which are the same arm`, {});
  if (parts.length > MOST_PARTS)
    refuse(subject.folder, `got arms that differ in ${parts.join(', ')}, expected at most ${MOST_PARTS} parts (2^parts runs each)`, {
      hint: 'Add an arm that has half of the changes, and explain each half against it',
    });
  const arms = Array.from({ length: 2 ** parts.length }, (_, mask) =>
    mixedArm(there, here, changedIn(parts, mask), changedIn(parts, mask).join('+') || 'none'),
  );
  return {
    parts,
    // As under observation, nothing is recorded and nothing stops a run but itself.
    plan: { ...subject.plan, arms, baseline: arms[0]!.name, slos: [], exprs: [expr], record: [], timeLimitMs: Number.MAX_SAFE_INTEGER },
  };
}

/** Hashes of the runs that explain has observed: the mixtures of none and of all parts must be the same runs. */
export interface ObservedHashes {
  readonly subject: readonly string[];
  readonly reference: readonly string[];
}

/**
 * Runs every mixture in the replications of the plan and splits the difference of their values (of the plan's expression, in its unit).
 * Shares of one replication sum to its difference, hence their means to the mean difference; intervals are paired over replications.
 * Cost: 2^parts runs per replication. Throws NothingCompleteError when interrupted.
 */
export async function runSwap(
  { parts, plan }: SwapPlan,
  observed: ObservedHashes,
  executor: Executor,
  hooks: Pick<ConductHooks, 'onProgress' | 'signal'>,
): Promise<ExplainSwap> {
  const count = observed.subject.length;
  const { results, truncated } = await conduct(plan, { min: count, max: count, batch: count, until: null }, executor, {
    ...hooks,
    onJob: () => undefined,
    halfWidth: () => null,
    deadlineMs: null,
  });
  if (truncated) throw new NothingCompleteError('nothing was swapped');
  const last = results.length - 1;
  for (const [arm, hashes] of [
    [0, observed.reference],
    [last, observed.subject],
  ] as const)
    hashes.forEach((hash, i) => {
      if (results[arm]![i]!.runHash !== hash)
        throw new Error(`mixture ${plan.arms[arm]!.name} has run hash ${results[arm]![i]!.runHash}, not ${hash}`);
    });
  const [expr] = plan.exprs;
  const byReplication = Array.from({ length: count }, (_, i) => results.map((arm) => arm[i]!.values[expr!] ?? Number.NaN));
  const complete = byReplication.filter((values) => !values.some(Number.isNaN));
  const splits = complete.map((values) => shapleySplit(values, parts.length));
  const over = (values: readonly number[]): Difference => {
    const { mean, lo, hi } = meanInterval(values, LEVEL);
    return { delta: mean ?? 0, lo, hi };
  };
  const mean = (values: readonly number[]): number => over(values).delta;
  return {
    replications: complete.length,
    parts: parts.map((part, k) => ({
      part,
      ...over(splits.map(({ shares }) => shares[k]!.share)),
      alone: mean(splits.map(({ shares }) => shares[k]!.alone)),
      last: mean(splits.map(({ shares }) => shares[k]!.last)),
    })),
    interaction: over(splits.map(({ interaction }) => interaction)),
    mixtures: plan.arms.map((_, mask) => ({ changed: changedIn(parts, mask), value: mean(complete.map((values) => values[mask]!)) })),
  };
}

function changedIn(parts: readonly ArmPart[], mask: number): ArmPart[] {
  return parts.filter((_, i) => (mask & (1 << i)) !== 0);
}

function refuse(file: string, message: string, more: { readonly hint?: string }): never {
  throw new UserError({ severity: 'error', code: 'E_EXPLAIN_SWAP', file, path: '--swap', message, ...more });
}
