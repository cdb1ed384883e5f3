/**
 * KV capacity of one worker: tokens and blocks in HBM, tokens in the host tier, bytes a block moves per GPU.
 * Source: performance-model specification 10, engine specification 4.1 and 4.2.
 */
import { UserError } from '../../control/user-error.ts';
import type { ProblemPlace } from './cells.ts';
import { type GpuSpec, HOST_LINK, MEMORY_DEFAULTS } from './gpus.ts';
import { type KvDtype, type ModelSpec, type WeightDtype, weightBytes } from './models.ts';

/** What decides the capacity of a worker. */
export interface CapacityInput {
  readonly model: ModelSpec;
  readonly weights: WeightDtype;
  readonly gpu: GpuSpec;
  readonly tensorParallel: number;
  /** 0.3..0.99. */
  readonly memoryUtilization: number;
  readonly kvDtype: KvDtype;
  readonly blockTokens: number;
  /** Sequences whose fixed state is set aside (windows, recurrent state). */
  readonly maxSeqs: number;
  /** Longest request, tokens. */
  readonly maxModelLen: number;
  /** Host tier, bytes per worker; 0 = off. */
  readonly hostBytes: number;
  /** Pinned block count from an engine log, N including the null block. */
  readonly kvBlocks?: number;
  /** Measured bytes of the KV cache per GPU. */
  readonly kvCacheBytes?: number;
  /** Checkpoint size, if known better than parameters x bytes. */
  readonly weightBytes?: number;
  readonly overheadBytesPerGpu?: number;
  /** Measured cell of this model for the hint of E_MODEL_TOO_LARGE, e.g. `tp8/ep8`. */
  readonly measuredCell?: string;
}

/** Capacity of one worker. */
export interface KvCapacity {
  /** Bytes of one token in one full replica. */
  readonly bytesPerToken: number;
  /** GPUs over which one copy of the KV is spread. */
  readonly shard: number;
  /** Bytes one block occupies, and moves, per GPU. */
  readonly blockBytesPerGpu: number;
  /** N including the reserved null block. */
  readonly blocks: number;
  /** N x block size. */
  readonly tokens: number;
  readonly hostBlocks: number;
  readonly hostTokens: number;
  /** Copies per block with the default fragment size. */
  readonly fragmentsPerBlock: number;
  /** Which of the three sources decided. */
  readonly source: 'kvBlocks' | 'kvCacheBytes' | 'formula';
  /** False when a request of maximal length fits N but not N - 1 blocks: it could never be admitted. */
  readonly admitsLongest: boolean;
}

/** Bytes of one token's KV in one full replica. */
export function kvBytesPerToken(model: ModelSpec, kvDtype: KvDtype): number {
  return kvDtype === 'fp8' ? model.kvBytesPerTokenFp8 : model.kvBytesPerTokenBf16;
}

/** GPUs over which one copy of the KV is spread: heads beyond the model's are replicated, latent attention is never split. */
export function kvShard(model: ModelSpec, tensorParallel: number): number {
  return model.kvReplicatedPerTpRank ? 1 : Math.min(tensorParallel, model.kvHeads);
}

/** The memory formula before block rounding, from plain numbers. Bytes in, tokens out; may be negative. */
export function usableKvTokens(options: {
  readonly memoryBytes: number;
  readonly memoryUtilization: number;
  readonly weightBytes: number;
  readonly tensorParallel: number;
  readonly overheadBytesPerGpu: number;
  readonly shard: number;
  readonly bytesPerToken: number;
  /** Set aside per GPU before tokens are counted. */
  readonly reservedBytesPerGpu?: number;
}): number {
  const free =
    options.memoryBytes * options.memoryUtilization -
    options.weightBytes / options.tensorParallel -
    options.overheadBytesPerGpu -
    (options.reservedBytesPerGpu ?? 0);
  return Math.floor((free * options.shard) / options.bytesPerToken);
}

/**
 * Capacity of a worker.
 * Throws UserError E_MODEL_TOO_LARGE when the weights leave no room, E_KV_TOO_SMALL when one request of maxModelLen does not fit.
 */
export function kvCapacity(input: CapacityInput, place: ProblemPlace = {}): KvCapacity {
  const bytesPerToken = kvBytesPerToken(input.model, input.kvDtype);
  const shard = kvShard(input.model, input.tensorParallel);
  const blockBytesPerGpu = (bytesPerToken * input.blockTokens) / shard;
  const { blocks, source } = hbmBlocks(input, blockBytesPerGpu, place);
  const tokens = blocks * input.blockTokens;
  if (tokens < input.maxModelLen) throw kvTooSmall(input, tokens, place);
  const hostBlocks = Math.floor(input.hostBytes / (blockBytesPerGpu * input.tensorParallel));
  return {
    bytesPerToken,
    shard,
    blockBytesPerGpu,
    blocks,
    tokens,
    hostBlocks,
    hostTokens: hostBlocks * input.blockTokens,
    fragmentsPerBlock: Math.max(1, Math.ceil(blockBytesPerGpu / HOST_LINK.fragmentBytes)),
    source,
    admitsLongest: blocks - 1 >= Math.ceil(input.maxModelLen / input.blockTokens),
  };
}

function hbmBlocks(input: CapacityInput, blockBytesPerGpu: number, place: ProblemPlace): { blocks: number; source: KvCapacity['source'] } {
  if (input.kvBlocks !== undefined) return { blocks: input.kvBlocks, source: 'kvBlocks' };
  if (input.kvCacheBytes !== undefined) return { blocks: Math.floor(input.kvCacheBytes / blockBytesPerGpu), source: 'kvCacheBytes' };
  const tokens = formulaTokens(input, input.tensorParallel, input.memoryUtilization);
  if (tokens < input.blockTokens) throw modelTooLarge(input, place);
  return { blocks: Math.floor(tokens / input.blockTokens), source: 'formula' };
}

function formulaTokens(input: CapacityInput, tensorParallel: number, memoryUtilization: number): number {
  const shard = kvShard(input.model, tensorParallel);
  return usableKvTokens({
    memoryBytes: input.gpu.memoryBytes,
    memoryUtilization,
    weightBytes: input.weightBytes ?? weightBytes(input.model, input.weights),
    tensorParallel,
    overheadBytesPerGpu: input.overheadBytesPerGpu ?? MEMORY_DEFAULTS.overheadBytesPerGpu,
    shard,
    bytesPerToken: kvBytesPerToken(input.model, input.kvDtype),
    reservedBytesPerGpu: (input.maxSeqs * input.model.perSequenceBytes) / shard,
  });
}

/** Where the memory of one GPU goes, bytes. */
export interface GpuMemory {
  readonly memoryBytes: number;
  /** Share of it that the engine may use. */
  readonly usableBytes: number;
  readonly weightBytes: number;
  readonly overheadBytes: number;
  /** Fixed state of the most sequences. */
  readonly sequenceBytes: number;
  /** What is left for KV; negative = the model does not fit. */
  readonly kvBytes: number;
  /** Fewest GPUs, a power of two, on which it fits; above {@link MOST_GPUS} = on none. */
  readonly minimumGpus: number;
}

/** Largest tensor-parallel size that is looked at. */
export const MOST_GPUS = 64;

/** The memory of one GPU of a worker, and the fewest GPUs that the model needs. */
export function gpuMemory(input: CapacityInput): GpuMemory {
  const usableBytes = input.gpu.memoryBytes * input.memoryUtilization;
  const weights = (input.weightBytes ?? weightBytes(input.model, input.weights)) / input.tensorParallel;
  const overheadBytes = input.overheadBytesPerGpu ?? MEMORY_DEFAULTS.overheadBytesPerGpu;
  const sequenceBytes = (input.maxSeqs * input.model.perSequenceBytes) / kvShard(input.model, input.tensorParallel);
  let minimumGpus = 1;
  while (minimumGpus <= MOST_GPUS && formulaTokens(input, minimumGpus, input.memoryUtilization) < input.blockTokens) minimumGpus *= 2;
  return {
    memoryBytes: input.gpu.memoryBytes,
    usableBytes,
    weightBytes: weights,
    overheadBytes,
    sequenceBytes,
    kvBytes: usableBytes - weights - overheadBytes - sequenceBytes,
    minimumGpus,
  };
}

function modelTooLarge(input: CapacityInput, place: ProblemPlace): UserError {
  const memory = gpuMemory(input);
  const { weightBytes: weights, overheadBytes: overhead, sequenceBytes: reserved, usableBytes: usable, minimumGpus } = memory;
  const gb = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  const state = reserved > 0 ? ` + ${input.maxSeqs} sequence states ${gb(reserved)}` : '';
  const minimum = minimumGpus <= MOST_GPUS ? `Minimum GPUs per worker: ${minimumGpus}` : 'It does not fit 64 GPUs either';
  const measured = input.measuredCell === undefined ? '' : `; measured cell: ${input.measuredCell}`;
  return new UserError({
    severity: 'error',
    code: 'E_MODEL_TOO_LARGE',
    ...place,
    message:
      `model does not fit: weights ${gb(weights)} + overhead ${gb(overhead)}${state} = ${gb(weights + overhead + reserved)} > ` +
      `${gb(usable)} per GPU (${gb(input.gpu.memoryBytes)} x ${input.memoryUtilization})`,
    hint: `${minimum}${measured}.`,
  });
}

function kvTooSmall(input: CapacityInput, tokens: number, place: ProblemPlace): UserError {
  const ways = ['Lower fleet.contextLimit'];
  if (input.kvBlocks === undefined && input.kvCacheBytes === undefined) {
    const enough = (tp: number, utilization: number): boolean => {
      const free = formulaTokens(input, tp, utilization);
      return Math.floor(free / input.blockTokens) * input.blockTokens >= input.maxModelLen;
    };
    const first = Math.floor(input.memoryUtilization * 100 + 1e-9) + 1;
    for (let percent = first; percent <= 99; percent++) {
      if (!enough(input.tensorParallel, percent / 100)) continue;
      ways.push(`raise memoryUtilization ${input.memoryUtilization.toFixed(2)} -> ${(percent / 100).toFixed(2)}`);
      break;
    }
    for (let tp = input.tensorParallel * 2; tp <= 64; tp *= 2) {
      if (!enough(tp, input.memoryUtilization)) continue;
      ways.push(`${ways.length > 1 ? '' : 'raise '}tensorParallel ${input.tensorParallel} -> ${tp}`);
      break;
    }
  } else ways.push('raise the pinned block count');
  const last = ways.pop()!;
  const hint = ways.length === 0 ? last : `${ways.join(', ')}${ways.length > 1 ? ',' : ''} or ${last}`;
  return new UserError({
    severity: 'error',
    code: 'E_KV_TOO_SMALL',
    ...place,
    message: `got KV capacity ${group(tokens)} tokens, expected >= ${group(input.maxModelLen)} (one maximal request)`,
    hint: `${hint}.`,
  });
}

function group(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
