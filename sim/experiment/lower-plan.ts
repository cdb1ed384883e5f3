/** Tiers below the host tier of a pool, with the defaults of the hardware data. Source: engine specification 4.2. */
import type { LowerTierSettings, PoolSettings } from '../../scenarios/settings.ts';
import type { LowerTierSpec } from '../cluster/fleet.ts';
import { LOWER_TIER_DEFAULTS } from '../hardware/gpus.ts';
import type { PoolPlan } from './run-plan.ts';

/** Disk and remote store of a pool; `blockBytes` = one block over all GPUs of a worker. Fields of a tier without size are not read. */
export function lowerPlan({ disk, remote }: PoolSettings['tiers'], blockBytes: number): Pick<PoolPlan, 'disk' | 'remote'> {
  const plan = (tier: 2 | 3, set: (LowerTierSettings & { totalBytesPerMs?: number }) | undefined): LowerTierSpec | undefined => {
    const blocks = Math.floor((set?.sizeBytes ?? 0) / blockBytes);
    if (set === undefined || blocks === 0) return undefined;
    const defaults = LOWER_TIER_DEFAULTS[tier === 2 ? 'disk' : 'remote'];
    return {
      tier,
      blocks,
      write: set.fill ?? 'writeBack',
      latencyMs: set.latencyMs ?? defaults.latencyMs,
      readBytesPerMs: set.readBytesPerMs ?? defaults.readBytesPerMs,
      writeBytesPerMs: set.writeBytesPerMs ?? defaults.writeBytesPerMs,
      totalBytesPerMs: set.totalBytesPerMs ?? Number.POSITIVE_INFINITY,
    };
  };
  const below = { disk: plan(2, disk), remote: plan(3, remote) };
  return {
    ...(below.disk === undefined ? {} : { disk: below.disk }),
    ...(below.remote === undefined ? {} : { remote: below.remote }),
  };
}
