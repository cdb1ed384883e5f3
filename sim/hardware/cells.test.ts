import { describe, expect, it } from 'vitest';
import { UserError } from '../../control/user-error.ts';
import { type CellFile, type CellQuery, cellFile, checkCellFile, findCell, linDips, resolveParameters, validatedRange } from './cells.ts';

const QWEN: CellQuery = {
  gpu: 'h100-sxm@1',
  engine: 'vllm',
  model: 'qwen3-235b-a22b',
  tp: 8,
  ep: 8,
  gemm: 'fp8_block',
  moe: 'fp8_block',
};
const messageOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'nothing was thrown';
};

describe('the shipped cells', () => {
  it('are 14 of H100, 14 of H200 and 21 of B200, and pass the rules of the loader', () => {
    const count = (gpu: string): number => cellFile().cells.filter((c) => c.gpu === gpu).length;
    expect([count('h100_sxm'), count('h200_sxm'), count('b200_sxm')]).toEqual([14, 14, 21]);
  });

  it('keep the dips of the linear table, the largest 16 % on a B200 gpt-oss cell', () => {
    const dips = linDips(cellFile(), 0.005);
    expect(dips.length).toBe(15);
    expect(new Set(dips.map((d) => d.cell)).size).toBe(12);
    const worst = dips.reduce((a, b) => (b.drop > a.drop ? b : a));
    expect(worst.cell).toContain('b200_sxm/vllm/gpt-oss-120b');
    expect([worst.fromTokens, worst.toTokens]).toEqual([512, 768]);
    expect(worst.drop).toBeCloseTo(0.16, 2);
  });

  it('have serving points behind exactly the validated ones', () => {
    for (const cell of cellFile().cells) expect(validatedRange(cell) !== undefined, cell.id).toBe(cell.confidence === 'validated');
    expect(cellFile().cells.filter((c) => c.confidence === 'validated').length).toBe(11);
  });
});

describe('the loader', () => {
  const broken = (change: (file: { schemaVersion: number; cells: Record<string, unknown>[] }) => void): string => {
    const copy = structuredClone(cellFile()) as unknown as { schemaVersion: number; cells: Record<string, unknown>[] };
    change(copy);
    return messageOf(() => checkCellFile(copy, 'cells.json'));
  };

  it('rejects an unknown schema version', () => {
    expect(broken((f) => (f.schemaVersion = 2))).toBe('E_CELL_FILE cells.json schemaVersion: got 2, expected 1');
  });

  it('rejects tables of another length, bad numbers, deep dips, zero coefficients and duplicate ids, all at once', () => {
    const message = broken((f) => {
      (f.cells[0]!['lin'] as number[]).pop();
      (f.cells[1]!['lm'] as number[])[0] = -1;
      (f.cells[2]!['lin'] as number[])[5] = 1e-3;
      (f.cells[3]!['dec'] as { c: number }).c = 0;
      (f.cells[4]!['pre'] as { p2: number }).p2 = 0;
      f.cells[6] = structuredClone(f.cells[5]!);
    });
    for (const part of ['got 28 values, expected 29', 'non-finite', 'expected at most 25 %', 'floor, a, c > 0', '.pre.p2', 'second cell'])
      expect(message).toContain(part);
    expect(message.split('\n').length).toBe(6);
  });
});

describe('looking up a cell', () => {
  it('accepts preset spelling and published model names', () => {
    expect(findCell(QWEN).id).toBe('h100_sxm/vllm/qwen3-235b-a22b/tp8ep8/fp8_block');
    expect(findCell({ ...QWEN, model: 'Qwen/Qwen3-235B-A22B-FP8' })).toBe(findCell(QWEN));
  });

  it('finds every shipped cell by its own key', () => {
    for (const c of cellFile().cells) {
      const { gpu, engine, model, tp, ep } = c;
      expect(findCell({ gpu, engine, model, tp, ep, gemm: c.dtype.gemm, moe: c.dtype.moe })).toBe(c);
    }
  });

  it('never falls back: a miss names the nearest three', () => {
    const place = { file: 'a.yaml', line: 16, column: 12, path: 'fleet.pools.main' };
    expect(messageOf(() => findCell({ ...QWEN, tp: 4, ep: 1, label: 'qwen3-235b-a22b-fp8@1' }, place))).toBe(
      'E_CELL_MISSING a.yaml:16:12 fleet.pools.main: no timing cell for h100-sxm x qwen3-235b-a22b-fp8 x tp4/ep1. ' +
        'Nearest: h100-sxm tp8/ep8, h200-sxm tp4/ep1, b200-sxm tp4/ep1.',
    );
  });

  it('names the model of a neighbour that differs, and a KV dtype that nothing was measured with', () => {
    const other = messageOf(() => findCell({ ...QWEN, model: 'glm-4.5', gemm: 'fp8_block', moe: 'fp8_block' }));
    expect(other).toContain('no timing cell for h100-sxm x glm-4.5-fp8_block+fp8_block x tp8/ep8');
    expect(other).toContain('Nearest: h100-sxm qwen3-235b-a22b-fp8 tp8/ep8');
    expect(messageOf(() => findCell({ ...QWEN, kv: 'fp8' }))).toContain('with fp8 KV');
  });

  it('gives SGLang and TensorRT-LLM the kernels of the vLLM cells, but no unknown engine', () => {
    expect(findCell({ ...QWEN, engine: 'trtllm' }).engine).toBe('vllm');
    expect(messageOf(() => findCell({ ...QWEN, engine: 'tgi' }))).toContain('E_CELL_MISSING');
  });
});

describe('parameters', () => {
  const validated = findCell({ gpu: 'h100-sxm', engine: 'vllm', model: 'llama-3.1-70b', tp: 4, ep: 1, gemm: 'fp8', moe: null });
  const moe = findCell(QWEN);

  it('come from the cell, then from the engine and the family', () => {
    const own = resolveParameters(validated, 'vllm');
    expect(own).toMatchObject({ source: 'cell calibration', level: 'validated' });
    expect(own.parameters).toEqual({
      phi: 1.005,
      o0Ms: 0.41,
      o1Ms: 0,
      phiPrefill: 1.075,
      deltaMsPerLayer: 0.035,
      oReqMs: 5,
      skewAlpha: 0.02,
    });
    const defaults = resolveParameters(moe, 'vllm');
    expect(defaults).toMatchObject({ source: 'engine defaults', level: 'derived' });
    expect(defaults.parameters).toMatchObject({ phi: 1, phiPrefill: 1.4, deltaMsPerLayer: 0.2 });
    const fused = resolveParameters(validated, 'trtllm');
    expect(fused).toMatchObject({ source: 'engine defaults', level: 'calibrated-experimental' });
    expect(fused.parameters).toMatchObject({ phi: 0.7, o1Ms: 0.014, phiPrefill: 0.7, deltaMsPerLayer: 0.1 });
  });

  it('an override beats a calibration file beats the cell', () => {
    const layers = { calibrationFile: { phi: 0.97, o0Ms: 0.3 }, override: { phi: 0.9 } };
    const got = resolveParameters(validated, 'vllm', layers);
    expect(got).toMatchObject({ source: 'override', level: 'calibrated-experimental' });
    expect(got.parameters).toMatchObject({ phi: 0.9, o0Ms: 0.3, phiPrefill: 1.075 });
    expect(resolveParameters(validated, 'vllm', { calibrationFile: { phi: 0.97 } }).source).toBe('calibration file');
  });

  it('the skew weight alone is a switch, not a calibration', () => {
    const got = resolveParameters(validated, 'vllm', { override: { skewAlpha: 0.05 } });
    expect(got).toMatchObject({ source: 'cell calibration', level: 'validated' });
    expect(got.parameters.skewAlpha).toBe(0.05);
  });

  it('an unknown engine is our mistake', () => {
    expect(() => resolveParameters(validated, 'tgi', {}, cellFile() as CellFile)).toThrow('no engine defaults');
  });
});
