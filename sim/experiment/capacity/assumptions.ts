/** What a plan takes for granted, each with its source, so that a reader can disagree. */
import type { LoadedScenario } from '../../../scenarios/load-scenario.ts';
import type { RunPlan } from '../run-plan.ts';

/** One assumption. */
export interface Assumption {
  readonly what: string;
  readonly value: string;
  readonly source: string;
}

/** Prices, pauses, sharing and the origin of step times of the recommended fleet, or of the scenario as written. */
export function assumptionsOf(loaded: LoadedScenario, plan: RunPlan | null): Assumption[] {
  const list: Assumption[] = [];
  const pools = plan?.arms[0]?.pools ?? [];
  for (const pool of pools) {
    const settings = loaded.settings.fleet.pools.find((p) => p.name === pool.name);
    const isOwn = settings !== undefined && settings.gpu === pool.gpu;
    list.push({
      what: `price of ${pool.gpu}`,
      value: `${pool.usdPerGpuHour} USD per GPU-hour`,
      source:
        loaded.settings.cost.usdPerGpuHour === undefined ? `preset ${pool.gpu}${isOwn ? '' : ' (configuration)'}` : 'cost.usdPerGpuHour',
    });
    list.push({ what: `step times of ${pool.name}`, value: pool.cellLevel, source: pool.cell });
  }
  list.push({ what: 'host memory', value: '0 USD', source: 'cost.hostUsdPerGiBHour' });
  const { trace, synth } = loaded.settings.workload;
  const pauses = trace?.pauses ?? synth!.with.pauses;
  const sharing = trace?.sharing ?? synth!.with.sharing;
  list.push({ what: 'pauses', value: pauses, source: trace?.use ?? synth!.use });
  list.push({ what: 'prefix sharing between sessions', value: sharing, source: trace?.use ?? synth!.use });
  return list;
}
