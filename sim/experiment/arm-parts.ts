/** The parts that an arm is made of, and arms mixed from the parts of two: what `kvcast explain --swap` runs. */
import { isDeepStrictEqual } from 'node:util';
import type { ArmPlan, PoolPlan } from './run-plan.ts';

/**
 * Parts that can be swapped on their own. `engine`: scheduling, batch and memory of HBM; `tiers`: everything below HBM and the links to
 * it; `workers`: their number, GPUs and step times.
 */
export const ARM_PARTS = ['router', 'retention', 'admission', 'prefetch', 'engine', 'tiers', 'workers', 'network', 'faults'] as const;
export type ArmPart = (typeof ARM_PARTS)[number];

type PoolPart = Extract<ArmPart, 'engine' | 'tiers' | 'workers'>;

/** Fields of a pool and of its engine configuration; the others are of the engine. */
const OF_TIERS = /^(host|disk|remote|tier|store|fragment|offload|onboard|prefetch)/;
const OF_WORKERS: ReadonlySet<string> = new Set([
  ...['gpu', 'workers', 'gpusPerWorker', 'gpusPerNode', 'cell', 'cellLevel', 'engine', 'skewAlpha', 'timer', 'blockBytes'],
  ...['usdPerGpuHour', 'tdpW', 'blockBytesPerGpu', 'gpus', 'prefillMsPerToken', 'prefillMsPerPair'],
]);

/** The parts in which two arms differ, in the order of {@link ARM_PARTS}. */
export function differingParts(a: ArmPlan, b: ArmPlan): ArmPart[] {
  const isAligned = samePools(a, b);
  return ARM_PARTS.filter((part) => !isDeepStrictEqual(partOf(a, part, isAligned), partOf(b, part, isAligned)));
}

/** The arm `from` with some of its parts as in `to`. */
export function mixedArm(from: ArmPlan, to: ArmPlan, changed: readonly ArmPart[], name: string): ArmPlan {
  const pick = (part: ArmPart): ArmPlan => (changed.includes(part) ? to : from);
  const { admission } = pick('admission');
  const { prefetch } = pick('prefetch');
  return {
    name,
    router: pick('router').router,
    retention: pick('retention').retention,
    ...(admission === undefined ? {} : { admission }),
    ...(prefetch === undefined ? {} : { prefetch }),
    pools: samePools(from, to) ? from.pools.map((pool, i) => mixedPool(pool, to.pools[i]!, changed)) : pick('workers').pools,
    network: pick('network').network,
    faults: pick('faults').faults,
  };
}

/** Pools that are called otherwise cannot be mixed: they are swapped as a whole, as `workers`. */
function samePools(a: ArmPlan, b: ArmPlan): boolean {
  return isDeepStrictEqual(
    a.pools.map((pool) => pool.name),
    b.pools.map((pool) => pool.name),
  );
}

function partOf(arm: ArmPlan, part: ArmPart, isAligned: boolean): unknown {
  if (part !== 'engine' && part !== 'tiers' && part !== 'workers') return arm[part];
  if (!isAligned) return part === 'workers' ? arm.pools : null;
  const ofPart = (fields: object): unknown => Object.fromEntries(Object.entries(fields).filter(([key]) => poolPart(key) === part));
  return arm.pools.map(({ config, ...pool }) => [ofPart(pool), ofPart(config)]);
}

function mixedPool(from: PoolPlan, to: PoolPlan, changed: readonly ArmPart[]): PoolPlan {
  return { ...mixed(from, to, changed), config: mixed(from.config, to.config, changed) };
}

/** Fields of `from`, those of changed parts as `to` has them or has them not. */
function mixed<T extends object>(from: T, to: T, changed: readonly ArmPart[]): T {
  const kept = Object.entries(from).filter(([key]) => !changed.includes(poolPart(key)));
  const taken = Object.entries(to).filter(([key]) => changed.includes(poolPart(key)));
  return Object.fromEntries([...kept, ...taken]) as T;
}

function poolPart(key: string): PoolPart {
  if (OF_WORKERS.has(key)) return 'workers';
  return OF_TIERS.test(key) ? 'tiers' : 'engine';
}
