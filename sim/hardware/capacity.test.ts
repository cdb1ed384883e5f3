import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../control/user-error.ts';
import { type CapacityInput, kvBytesPerToken, kvCapacity, kvShard, usableKvTokens } from './capacity.ts';
import { findGpu, GPUS, MEMORY_DEFAULTS } from './gpus.ts';
import { findModel, type KvDtype, MODELS, type WeightDtype, weightBytes } from './models.ts';
import { energyKwh, gpuPrice, priceIsStale } from './prices.ts';

const GIB = 2 ** 30;
const base: CapacityInput = {
  model: findModel('qwen3-235b-a22b')!,
  weights: 'fp8',
  gpu: findGpu('h100-sxm')!,
  tensorParallel: 8,
  memoryUtilization: 0.92,
  kvDtype: 'bf16',
  blockTokens: 16,
  maxSeqs: 1024,
  maxModelLen: 262_144,
  hostBytes: 0,
};
const messageOf = (input: CapacityInput, path = 'fleet.pools.main'): string => {
  try {
    kvCapacity(input, { file: 'a.yaml', line: 17, column: 23, path });
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'nothing was thrown';
};

describe('KV bytes per token', () => {
  it('are those of the specification', () => {
    const want: Record<string, number> = {
      'llama-3.1-8b': 131_072,
      'llama-3.1-70b': 327_680,
      'qwen3-32b': 262_144,
      'qwen3-30b-a3b': 98_304,
      'qwen3-235b-a22b': 192_512,
      'qwen3-coder-480b-a35b': 253_952,
      'minimax-m2.5': 253_952,
      'gpt-oss-120b': 36_864,
      'deepseek-v3': 70_272,
      'kimi-k2': 70_272,
      'glm-5': 89_856,
      'qwen3.5-397b-a17b': 30_720,
      'glm-4.5': 376_832,
    };
    for (const model of MODELS) {
      expect(kvBytesPerToken(model, 'bf16'), model.id).toBe(want[model.id]);
      expect(kvBytesPerToken(model, 'fp8'), model.id).toBe(want[model.id]! / 2);
    }
    expect(findModel('gpt-oss-120b')!.perSequenceBytes).toBe(4_718_592);
    expect(findModel('qwen3.5-397b-a17b')!.perSequenceBytes).toBe(192_061_440);
  });

  it('are spread over at most as many GPUs as there are heads, and not at all for latent attention', () => {
    expect(kvShard(findModel('llama-3.1-70b')!, 4)).toBe(4);
    expect(kvShard(findModel('qwen3-235b-a22b')!, 8)).toBe(4);
    expect(kvShard(findModel('deepseek-v3')!, 8)).toBe(1);
  });
});

describe('the memory formula', () => {
  const tokens = (model: string, gpu: string, weights: WeightDtype, tp: number, util: number, kv: KvDtype = 'bf16'): number => {
    const m = findModel(model)!;
    return usableKvTokens({
      memoryBytes: findGpu(gpu)!.memoryBytes,
      memoryUtilization: util,
      weightBytes: weightBytes(m, weights),
      tensorParallel: tp,
      overheadBytesPerGpu: MEMORY_DEFAULTS.overheadBytesPerGpu,
      shard: kvShard(m, tp),
      bytesPerToken: kvBytesPerToken(m, kv),
    });
  };

  it('gives the worked capacities before block rounding', () => {
    expect(tokens('llama-3.1-70b', 'h100-sxm', 'fp8', 4, 0.9)).toBe(675_040);
    expect(tokens('llama-3.1-70b', 'h200-sxm', 'fp8', 2, 0.9)).toBe(587_816);
    expect(tokens('deepseek-v3', 'h200-sxm', 'fp8', 8, 0.9)).toBe(679_258);
    expect(tokens('gpt-oss-120b', 'h100-sxm', 'mxfp4', 1, 0.9)).toBe(299_624);
  });

  it('gives the checks of the engine specification on 80 GiB', () => {
    const plain = { memoryBytes: 80 * GIB, overheadBytesPerGpu: 3.5e9 };
    const small = { ...plain, weightBytes: 16.06e9, tensorParallel: 1, shard: 1, bytesPerToken: 131_072 };
    expect(usableKvTokens({ ...small, memoryUtilization: 0.9 })).toBe(440_593);
    expect(Math.floor(usableKvTokens({ ...small, memoryUtilization: 0.9 }) / 16)).toBe(27_537);
    expect(Math.floor(usableKvTokens({ ...small, memoryUtilization: 0.92 }) / 16)).toBe(28_356);
    const large = { ...plain, memoryUtilization: 0.9, weightBytes: 70.6e9, tensorParallel: 4, shard: 4, bytesPerToken: 327_680 };
    expect(usableKvTokens(large)).toBe(685_539);
    expect(Math.floor(usableKvTokens(large) / 16)).toBe(42_846);
  });

  it('equals all 304 rows of the fixture', () => {
    const [, ...rows] = readFileSync(new URL('data/kv_capacity.csv', import.meta.url), 'utf8')
      .trim()
      .split('\n');
    expect(rows.length).toBe(304);
    for (const row of rows) {
      const [model, gpu, tp, weights, util, kv, kvTokens, blocks] = row.split(',') as [
        string,
        string,
        string,
        WeightDtype,
        string,
        KvDtype,
        string,
        string,
      ];
      const n = Math.floor(tokens(model, gpu, weights, Number(tp), Number(util), kv) / 16);
      expect([n * 16, n], row).toEqual([Number(kvTokens), Number(blocks)]);
    }
  });
});

describe('the capacity of a worker', () => {
  it('is that of example A: HBM, and a host tier that stores replicated heads twice', () => {
    const got = kvCapacity({ ...base, hostBytes: 64 * GIB });
    expect(got).toMatchObject({ tokens: 940_672, blocks: 58_792, hostTokens: 178_480, shard: 4, source: 'formula', admitsLongest: true });
    expect(got.blockBytesPerGpu).toBe((192_512 * 16) / 4);
    expect(got.fragmentsPerBlock).toBe(1);
  });

  it('moves 8192 tokens of Llama 70B on four GPUs as 671 MB per GPU in 512 fragments', () => {
    const got = kvCapacity({ ...base, model: findModel('llama-3.1-70b')!, tensorParallel: 4, maxModelLen: 131_072 });
    expect((8192 / 16) * got.blockBytesPerGpu).toBeCloseTo(671e6, -6);
    expect((8192 / 16) * got.fragmentsPerBlock).toBe(512);
  });

  it('takes a pinned block count before measured bytes before the formula', () => {
    const pinned = kvCapacity({ ...base, kvBlocks: 20_000, kvCacheBytes: 30e9 });
    expect(pinned).toMatchObject({ blocks: 20_000, tokens: 320_000, source: 'kvBlocks' });
    const measured = kvCapacity({ ...base, kvCacheBytes: 30e9 });
    expect(measured).toMatchObject({ blocks: Math.floor(30e9 / 770_048), source: 'kvCacheBytes' });
  });

  it('sets the fixed state of all sequences aside first', () => {
    const input: CapacityInput = { ...base, model: findModel('gpt-oss-120b')!, weights: 'mxfp4', tensorParallel: 2, maxModelLen: 131_072 };
    const without = kvCapacity({ ...input, maxSeqs: 0 });
    const many = kvCapacity({ ...input, maxSeqs: 1024 });
    expect(Math.abs(without.tokens - many.tokens - (1024 * 4_718_592) / 36_864)).toBeLessThanOrEqual(16);
  });

  it('says when the longest request fits N blocks but not the N - 1 usable ones', () => {
    expect(kvCapacity({ ...base, kvBlocks: 16_384 }).admitsLongest).toBe(false);
    expect(kvCapacity({ ...base, kvBlocks: 16_385 }).admitsLongest).toBe(true);
  });
});

describe('errors of capacity', () => {
  it('a model that does not fit', () => {
    expect(messageOf({ ...base, tensorParallel: 2, measuredCell: 'tp8/ep8' }, 'fleet.pools.main.tensorParallel')).toBe(
      'E_MODEL_TOO_LARGE a.yaml:17:23 fleet.pools.main.tensorParallel: model does not fit: weights 117.5 GB + overhead 3.5 GB = ' +
        '121.0 GB > 78.1 GB per GPU (84.9 GB x 0.92). Minimum GPUs per worker: 4; measured cell: tp8/ep8.',
    );
  });

  it('a cache smaller than one request', () => {
    expect(messageOf({ ...base, tensorParallel: 4, memoryUtilization: 0.85 })).toBe(
      'E_KV_TOO_SMALL a.yaml:17:23 fleet.pools.main: got KV capacity 206,784 tokens, expected >= 262,144 (one maximal request). ' +
        'Lower fleet.contextLimit, raise memoryUtilization 0.85 -> 0.89, or tensorParallel 4 -> 8.',
    );
  });

  it('a pinned block count smaller than one request', () => {
    expect(messageOf({ ...base, kvBlocks: 1000 })).toContain(
      'got KV capacity 16,000 tokens, expected >= 262,144 (one maximal request). Lower fleet.contextLimit or raise the pinned block count.',
    );
  });
});

describe('prices and power', () => {
  it('have the documented defaults, with their date', () => {
    const want: Record<string, number> = { h100_sxm: 2.5, h200_sxm: 3.5, b200_sxm: 5, a100_sxm: 1.3, gb200: 6 };
    for (const gpu of GPUS) expect(gpuPrice(gpu.id)?.usdPerGpuHour).toBe(want[gpu.id]);
    expect(gpuPrice('h100-sxm@1')?.asOf).toBe('2026-05');
    expect(gpuPrice('abacus')).toBeUndefined();
    expect([priceIsStale('2026-05', '2026-11'), priceIsStale('2026-05', '2026-12'), priceIsStale('2025-12', '2026-07')]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('give the worked energy: TDP 700 W, utilisation .62, idle .2', () => {
    const kwh = energyKwh({ gpuHours: 48, tdpW: 700, utilization: 0.62, pue: 1 });
    expect(kwh).toBeCloseTo(23.3856, 10);
    expect((kwh * 1000) / 96).toBeCloseTo(243.6, 10);
  });
});
