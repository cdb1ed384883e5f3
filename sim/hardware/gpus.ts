/** GPU, node, link and tier constants. Every number stands in data/hardware.json with its source and status. */
import data from './data/hardware.json' with { type: 'json' };

/** One GPU type. Bandwidths in 1e9 bytes per second and direction. */
export interface GpuSpec {
  /** Id in data/hardware.json, e.g. `h100_sxm`. */
  readonly id: string;
  readonly name: string;
  /** What CUDA reports, not the vendor's figure. */
  readonly memoryBytes: number;
  readonly tdpW: number;
  readonly h2dGBps: number;
  readonly d2hGBps: number;
  /** Both directions together when both are busy. */
  readonly bidirTotalGBps: number;
  readonly hostLinkStatus: string;
  readonly nicGBps: number;
  readonly priceUsdPerGpuHour: { readonly default: number; readonly low: number; readonly high: number; readonly notes: string };
}

/** All known GPUs in file order. */
export const GPUS: readonly GpuSpec[] = Object.entries(data.gpus).map(([id, gpu]) => ({ id, ...gpu }) as GpuSpec);

/** GPU by id; `-` and `_` are the same, an `@version` is ignored. Undefined when unknown. */
export function findGpu(name: string): GpuSpec | undefined {
  const id = gpuId(name);
  return GPUS.find((g) => g.id === id);
}

/** Canonical id of a GPU name: `h100-sxm@1` becomes `h100_sxm`. */
export function gpuId(name: string): string {
  return name.replace(/@\d+$/, '').replaceAll('-', '_').toLowerCase();
}

/** Shared limits of one host. 275 GB/s bounds all host links of a node together (DRAM). */
export const NODE = {
  gpusPerNode: data.node.gpusPerNode,
  gb200GpusPerNode: data.node.gb200GpusPerNode,
  hostDramGBpsCap: data.node.hostDramGBpsCap,
} as const;

/** Copy costs of host links. */
export const HOST_LINK = {
  /** Submit cost per fragment, ms (2.5 us, an assumption; 0 with batched submission). */
  fragmentSubmitMs: data.links.perCopyOverheadUs / 1000,
  /** Bytes of one copy when the layout is unknown: 1.25 MiB. */
  fragmentBytes: data.links.hostFragmentBytesDefault,
} as const;

/** NVMe of the fourth generation, and a pool of memory over RDMA. */
export const LOWER_TIER_DEFAULTS = { disk: rates(data.tiers.nvmeGen4), remote: rates(data.tiers.remotePool) } as const;

function rates({ readGBps, writeGBps, latencyUs }: { readGBps: number; writeGBps: number; latencyUs: number }) {
  return { readBytesPerMs: readGBps * 1e6, writeBytesPerMs: writeGBps * 1e6, latencyMs: latencyUs / 1000 };
}

/** Memory defaults of the capacity formula. */
export const MEMORY_DEFAULTS = {
  /** Activations, graphs, NCCL per GPU; published estimates range from 1.7e9 to 8 GiB, hence the override. */
  overheadBytesPerGpu: data.memoryDefaults.overheadBytesPerGpu,
  utilizationBefore022: data.memoryDefaults.gpuMemoryUtilization.vllmUpTo0_19,
  utilizationFrom022: data.memoryDefaults.gpuMemoryUtilization.vllmFrom0_22,
} as const;

/** Month of the price list, `YYYY-MM`. */
export const PRICES_AS_OF: string = data.asOf;
