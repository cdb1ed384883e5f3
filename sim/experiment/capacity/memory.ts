/** Where the memory of a worker goes and how many agents its KV holds. Source: performance-model specification 10; issue: P99, not means. */
import type { LoadedScenario } from '../../../scenarios/load-scenario.ts';
import { type GpuMemory, gpuMemory } from '../../hardware/capacity.ts';
import { quantile } from '../../measure/quantile.ts';
import { materialiseWorkload } from '../../workload/materialise.ts';
import { capacityInput } from '../compile.ts';
import type { RunPlan } from '../run-plan.ts';
import { prepareTrace } from '../simulate.ts';

/** Memory of one worker of the searched pool. Bytes and tokens. */
export interface WorkerMemory {
  readonly pool: string;
  readonly gpusPerWorker: number;
  /** Fewest GPUs on which the weights leave room for KV. */
  readonly minimumGpus: number;
  /** Of one GPU. */
  readonly gpu: GpuMemory;
  readonly kvBytesPerToken: number;
  readonly hbmTokens: number;
  readonly hostTokens: number;
  /** Context of an agent (prompt and answer), over the turns of one replication. */
  readonly contextTokens: { readonly p50: number; readonly p99: number };
  /** Agents whose whole context fits at the P99 of contexts: in HBM, in HBM and host. */
  readonly agentsAtP99: { readonly hbm: number; readonly withHost: number };
}

/** Memory of a worker of the first pool of a plan that was derived from `loaded`. Cost O(turns). */
export async function workerMemory(loaded: LoadedScenario, plan: RunPlan): Promise<WorkerMemory> {
  const pool = plan.arms[0]!.pools[0]!;
  const settings = loaded.settings.fleet.pools.find((p) => p.name === pool.name)!;
  const input = capacityInput(loaded.settings, settings);
  const memory = gpuMemory(input);
  const workload = materialiseWorkload(await prepareTrace(plan), plan.workload, plan.seed, 0);
  const { turns } = workload;
  const contexts = Float64Array.from({ length: turns.count }, (_, t) => turns.promptTokens(t) + turns.outputTokens(t));
  const p50 = Math.round(quantile(contexts, 0.5) ?? 0);
  const p99 = Math.round(quantile(contexts, 0.99) ?? 0);
  const fit = (tokens: number): number => (p99 === 0 ? 0 : Math.floor(tokens / p99));
  return {
    pool: pool.name,
    gpusPerWorker: pool.gpusPerWorker,
    minimumGpus: memory.minimumGpus,
    gpu: memory,
    kvBytesPerToken: (pool.blockBytes * pool.gpusPerWorker) / pool.config.blockTokens,
    hbmTokens: pool.hbmTokens,
    hostTokens: pool.hostTokens,
    contextTokens: { p50, p99 },
    agentsAtP99: { hbm: fit(pool.hbmTokens), withHost: fit(pool.hbmTokens + pool.hostTokens) },
  };
}
