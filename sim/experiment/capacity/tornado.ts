/**
 * What would change the answer: one thing at a time is made better or worse, and the recommended size is found again from the one at
 * hand. Source: experiments specification 6.4.
 */
import type { LoadedScenario } from '../../../scenarios/load-scenario.ts';
import type { PoolPlan, RunPlan } from '../run-plan.ts';
import type { CapacityQuestion, WrittenSwing } from './question.ts';
import { isRobust, pricedObjective, type SearchedCandidate } from './search.ts';
import type { Change, Trials } from './trials.ts';

/** A thing that is varied, with its two ends. */
export interface Factor {
  readonly name: string;
  readonly ends: readonly [FactorEnd, FactorEnd];
}

/** One end: a change of the run, of the load, or of the price alone. */
export interface FactorEnd {
  readonly label: string;
  readonly change?: Change;
  readonly load?: number;
  readonly price?: number;
}

/** One end after the search. */
export interface SwingEnd {
  readonly label: string;
  /** Recommended size under the change; null = none up to {@link FARTHEST} beyond. */
  readonly size: number | null;
  readonly objective: number | null;
}

/** A row of the tornado. */
export interface Swing {
  readonly name: string;
  readonly ends: readonly [SwingEnd, SwingEnd];
  /** Distance of the objectives of both ends and the recommendation. */
  readonly span: number;
  /** Either end recommends another size. */
  readonly flips: boolean;
}

/** Sizes up or down that the search for another recommendation goes, as a share of the size (at least 2). */
export const FARTHEST = 0.5;

/** The factors of a question. Factors that cannot act in this scenario are left out: no host tier, no trace with pauses of two readings. */
export function factorsOf(loaded: LoadedScenario, question: CapacityQuestion, plan: RunPlan): Factor[] {
  if (question.sensitivity === 'none') return [];
  if (question.sensitivity !== 'default') return question.sensitivity.map((swing) => writtenFactor(swing));
  const pools = (edit: (pool: PoolPlan) => PoolPlan) => (run: RunPlan) => ({
    ...run,
    arms: run.arms.map((arm) => ({ ...arm, pools: arm.pools.map(edit) })),
  });
  const scaled = (
    name: string,
    by: readonly [number, number],
    amend: (factor: number) => (run: RunPlan) => RunPlan,
    sign = '%',
  ): Factor => ({
    name,
    ends: by.map((factor) => ({
      label: sign === '%' ? percent(factor) : `x${factor}`,
      change: { amend: amend(factor) },
    })) as unknown as Factor['ends'],
  });
  const set = (name: string, path: string, low: unknown, high: unknown): Factor => writtenFactor({ path, low, high }, name);
  const source = loaded.settings.workload.trace === undefined ? 'workload.synth.with' : 'workload.trace';
  const pause = loaded.settings.workload.scale.pause;
  const hasHost = plan.arms[0]!.pools.some((p) => p.config.hostBlocks > 0);
  return [
    scaled('step time', [0.85, 1.15], (by) => pools((p) => ({ ...p, stepScale: by * (p.stepScale ?? 1) }))),
    scaled('KV capacity', [1.1, 0.9], (by) =>
      pools((p) => ({ ...p, hbmTokens: Math.round(by * p.hbmTokens), config: { ...p.config, blocks: Math.round(by * p.config.blocks) } })),
    ),
    ...(hasHost ? [scaled('host bandwidth', [1.5, 0.5], (by) => pools((p) => slowerHost(p, by)), 'x')] : []),
    {
      name: 'pauses',
      ends: [pauseEnd(0.5, pause), pauseEnd(2, pause)],
    },
    set('pause mode', `${source}.pauses`, 'debiased', 'recorded'),
    set('sharing', `${source}.sharing`, 'tools', 'none'),
    {
      name: 'signal age',
      ends: [signalEnd('0', '0s'), signalEnd('200 ms', '200ms')],
    },
    {
      name: 'load',
      ends: [
        { label: percent(0.9), load: 0.9 },
        { label: percent(1.1), load: 1.1 },
      ],
    },
    {
      name: 'price',
      ends: [
        { label: percent(0.8), price: 0.8 },
        { label: percent(1.2), price: 1.2 },
      ],
    },
  ];
}

function slowerHost(pool: PoolPlan, by: number): PoolPlan {
  return {
    ...pool,
    hostReadBytesPerMs: by * pool.hostReadBytesPerMs,
    hostWriteBytesPerMs: by * pool.hostWriteBytesPerMs,
    hostDuplexBytesPerMs: by * pool.hostDuplexBytesPerMs,
  };
}

function pauseEnd(by: number, written: number): FactorEnd {
  return { label: `x${by}`, change: { overrides: [{ path: 'workload.scale.pause', value: by * written, flag: `pauses x${by}` }] } };
}

function signalEnd(label: string, value: string): FactorEnd {
  const flag = `signal age ${label}`;
  return {
    label,
    change: {
      overrides: [
        { path: 'control.signals.indexAge', value, flag },
        // A scrape period of 0 would scrape for ever; the fresh end keeps the period as written.
        ...(value === '0s' ? [] : [{ path: 'control.signals.metricsAge', value, flag }]),
      ],
    },
  };
}

function writtenFactor({ path, low, high }: WrittenSwing, name = path): Factor {
  const end = (value: unknown): FactorEnd => ({
    label: String(value),
    change: { overrides: [{ path, value, flag: `${path}=${String(value)}` }] },
  });
  return { name, ends: [end(low), end(high)] };
}

function percent(factor: number): string {
  const points = Math.round((factor - 1) * 100);
  return `${points > 0 ? '+' : ''}${points} %`;
}

/** All factors around a recommendation, widest first. */
export async function tornadoOf(
  chosen: SearchedCandidate,
  factors: readonly Factor[],
  question: CapacityQuestion,
  trials: Trials,
): Promise<Swing[]> {
  const swings: Swing[] = [];
  const base = chosen.objective!;
  for (const factor of factors) {
    const ends: SwingEnd[] = [];
    for (const end of factor.ends) ends.push(await swingTo(end, chosen, question, trials));
    const objectives = [base, ...ends.map((e) => e.objective).filter((o): o is number => o !== null)];
    swings.push({
      name: factor.name,
      ends: ends as unknown as Swing['ends'],
      span: Math.max(...objectives) - Math.min(...objectives),
      flips: ends.some((end) => end.size !== chosen.recommended),
    });
  }
  return swings.sort(
    (a, b) => b.span - a.span || a.ends.filter((e) => e.size === null).length - b.ends.filter((e) => e.size === null).length,
  );
}

async function swingTo(end: FactorEnd, chosen: SearchedCandidate, question: CapacityQuestion, trials: Trials): Promise<SwingEnd> {
  const { candidate } = chosen;
  const from = chosen.recommended!;
  if (end.price !== undefined) return { label: end.label, size: from, objective: end.price * chosen.objective! };
  const holds = (size: number): Promise<boolean> =>
    isRobust(candidate, size, question, trials, [], { load: end.load ?? 1, ...(end.change === undefined ? {} : { change: end.change }) });
  const reach = Math.max(2, Math.ceil(FARTHEST * from));
  let size: number | null = from;
  if (await holds(from)) {
    while (size > Math.max(candidate.size.min, from - reach) && (await holds(size - 1))) size--;
  } else {
    do {
      size = size < Math.min(candidate.size.max, from + reach) ? size + 1 : null;
    } while (size !== null && !(await holds(size)));
  }
  return { label: end.label, size, objective: size === null ? null : pricedAt(size, chosen, question, trials) };
}

/** The objective of another size: by price where that decides it, else in proportion to the size. */
function pricedAt(size: number, chosen: SearchedCandidate, question: CapacityQuestion, trials: Trials): number {
  return pricedObjective(question, trials, chosen.candidate, size) ?? (chosen.objective! * size) / chosen.recommended!;
}
