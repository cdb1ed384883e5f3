import { describe, expect, it } from 'vitest';
import { createStepBatch, type StepBatch } from '../engine/step-timer.ts';
import { CellTimer, prefillCost, stepTables } from './cell-timer.ts';
import { cellFile, findCell, type StepParameters, type TimingCell } from './cells.ts';

/** Expected values: performance-model specification 14, tolerance 1e-6 relative. */
const LLAMA = findCell({ gpu: 'h100-sxm', engine: 'vllm', model: 'llama-3.1-70b', tp: 4, ep: 1, gemm: 'fp8', moe: null });
const GPT_OSS = findCell({ gpu: 'h100-sxm', engine: 'vllm', model: 'gpt-oss-120b', tp: 2, ep: 1, gemm: 'bfloat16', moe: 'w4a16_mxfp4' });
const IDENTITY: StepParameters = { phi: 1, o0Ms: 0, o1Ms: 0, phiPrefill: 1, deltaMsPerLayer: 0, oReqMs: 0, skewAlpha: 0 };
const DENSE: StepParameters = { phi: 1, o0Ms: 0.2, o1Ms: 0, phiPrefill: 1, deltaMsPerLayer: 0.2, oReqMs: 5, skewAlpha: 0.02 };
const DENSE_EVEN: StepParameters = { ...DENSE, skewAlpha: 0 };
const MOE: StepParameters = { ...DENSE, phiPrefill: 1.4 };

type Chunk = readonly [tokens: number, resident: number];

function batch(seqs: number, kv: number, longest: number, chunks: readonly Chunk[] = []): StepBatch {
  const b = createStepBatch();
  b.decodeSeqs = seqs;
  b.decodeKvTokens = kv;
  b.maxDecodeKvTokens = longest;
  b.chunkCount = chunks.length;
  chunks.forEach(([n, p], j) => {
    b.chunkTokens[j] = n;
    b.chunkResident[j] = p;
  });
  return b;
}

function close(got: number, want: number, relative = 1e-6): void {
  expect(Math.abs(got / want - 1), `got ${got}, want ${want}`).toBeLessThan(relative);
}

describe('tables', () => {
  it('T1 interpolate the linear part and continue the last slope', () => {
    const { lin, linSlope } = stepTables(LLAMA);
    const want: [number, number][] = [
      [1, 9.6738],
      [16, 10.374],
      [64, 11.959],
      [100, 13.29325],
      [2048, 106.53],
      [3000, 152.10875],
    ];
    for (const [n, ms] of want) close(lin[n]!, ms);
    expect(lin[0]).toBe(0);
    expect(lin.length).toBe(16385);
    close(linSlope, (LLAMA.lin[28]! - LLAMA.lin[27]!) / 8192);
  });

  it('T2 interpolate the output layer over rows', () => {
    const { lm } = stepTables(LLAMA);
    for (const [rows, ms] of [
      [1, 0.17417],
      [16, 0.17478],
      [40, 0.17868],
      [64, 0.18258],
    ] as const)
      close(lm[rows]!, ms);
  });
});

describe('one step', () => {
  const rows: [string, StepParameters, StepBatch, number][] = [
    ['E1', IDENTITY, batch(1, 1000, 1000), 10.8309477],
    ['E2', IDENTITY, batch(16, 22112, 1382), 12.14467902],
    ['E3', IDENTITY, batch(64, 500000, 7813), 26.8503548],
    ['E4', IDENTITY, batch(0, 0, 0, [[922, 0]]), 50.92683026],
    ['E5', IDENTITY, batch(0, 0, 0, [[8192, 0]]), 402.2772063],
    ['E6', IDENTITY, batch(0, 0, 0, [[2048, 32768]]), 175.660228],
    ['E7', IDENTITY, batch(16, 22112, 1382, [[2048, 0]]), 112.9981821],
    [
      'E8',
      IDENTITY,
      batch(8, 8000, 1000, [
        [512, 1024],
        [100, 0],
      ]),
      36.87195932,
    ],
    ['E9', DENSE, batch(4, 165000, 150000), 15.9165077],
    ['E10', DENSE_EVEN, batch(16, 22112, 1382, [[2048, 0]]), 129.1981821],
  ];
  it.each(rows)('%s', (_name, parameters, step, want) => {
    close(new CellTimer(LLAMA, parameters).stepMs(step), want);
  });

  it('M1, M2 a mixture of experts with its own prefill scale', () => {
    const timer = new CellTimer(GPT_OSS, MOE);
    close(timer.stepMs(batch(64, 88448, 1382)), 14.20967442);
    close(timer.stepMs(batch(64, 88448, 1382, [[922, 0]])), 49.40701705);
  });

  it('refuses a step without tokens', () => {
    expect(() => new CellTimer(LLAMA, IDENTITY).stepMs(batch(0, 0, 0))).toThrow('step without tokens');
    expect(() => new CellTimer(LLAMA, IDENTITY).startRun(0, 0, 0)).toThrow('run without tokens');
  });

  it('P3, P4 a cold and a warm prompt, chunk by chunk', () => {
    const timer = new CellTimer(LLAMA, DENSE);
    let cold = 0;
    for (let done = 0; done < 100_000; ) {
      const n = Math.min(8192, 100_000 - done);
      cold += timer.stepMs(batch(0, 0, 0, [[n, done]]));
      done += n;
    }
    close(cold, 9590.236955);
    close(timer.stepMs(batch(0, 0, 0, [[1696, 98304]])), 271.0051267);
  });
});

describe('runs', () => {
  it('R1 decode run, its inverse, and I1 the gaps between tokens', () => {
    const timer = new CellTimer(LLAMA, IDENTITY);
    timer.startRun(16, 22112, 1382);
    expect(timer.run.split).toBe(0);
    close(timer.run.u0, 12.14467902);
    close(timer.run.v0, 0.000434832);
    close(timer.runMs(200), 2437.588962);
    close(timer.runMs(100), 1216.620321);
    expect(timer.stepsWithin(1300)).toBe(106);
    expect(timer.stepsWithin(timer.runMs(100))).toBe(100);
    const gap = (k: number): number => timer.run.u0 + k * timer.run.v0;
    close(gap(0), 12.14467902);
    close((gap(99) + gap(100)) / 2, 12.18794481);
    close(gap(199), 12.23121059);
  });

  it('R2 with skew', () => {
    const timer = new CellTimer(LLAMA, DENSE);
    timer.startRun(4, 165000, 150000);
    close(timer.run.v1, 0.000108708);
    close(timer.runMs(500), 7971.815173);
    expect(timer.stepsWithin(5000)).toBe(313);
  });

  it('R3 a short context of a real cell starts above the floor', () => {
    const timer = new CellTimer(LLAMA, DENSE);
    timer.startRun(1, 100, 100);
    expect(timer.run.split).toBe(0);
    close(timer.run.u1, 11.0064884);
    close(timer.run.v1, 2.7177e-5);
    close(timer.runMs(500), 5506.634531);
  });

  it('R4 leaves the floor once, inside the run', () => {
    const raised: TimingCell = { ...LLAMA, dec: { ...LLAMA.dec, floor: 1.5 } };
    const timer = new CellTimer(raised, IDENTITY);
    timer.startRun(8, 10000, 1250);
    expect(timer.run.split).toBe(1169);
    close(timer.run.u0, 11.68574667);
    expect(timer.run.v0).toBe(0);
    close(timer.run.u1, 11.68575157);
    close(timer.run.v1, 0.000217416);
    close(timer.runMs(1000), 11685.74667);
    close(timer.runMs(4000), 47613.93969);
    expect(timer.stepsWithin(20000)).toBe(1708);
  });

  it('P1 a prompt in equal chunks beside decodes', () => {
    const timer = new CellTimer(LLAMA, DENSE_EVEN);
    timer.startChunkRun(8176, 0, 16, 22112, 1382);
    close(timer.run.u1, 419.9340178);
    close(timer.run.v1, 64.86005024);
    close(timer.runMs(12), 9319.971529);
    expect(timer.stepsWithin(5000)).toBe(7);
  });

  it('P2 a prompt in equal chunks alone', () => {
    const timer = new CellTimer(LLAMA, DENSE);
    timer.startChunkRun(2048, 4096, 0, 0, 0);
    close(timer.run.u1, 134.8857252);
    close(timer.run.v1, 4.069607342);
    close(timer.runMs(8), 1193.034807);
    expect(timer.stepsWithin(1193.0349)).toBe(8);
  });

  it('engine:M14 is bit-exact on dyadic numbers', () => {
    const cell: TimingCell = { ...LLAMA, model: 'none', dec: { floor: 1, a: 0.5, b: 0, c: 2 ** -10 } };
    const tables = { lin: new Float64Array(17).fill(8), lm: new Float64Array(17), linSlope: 0, lmSlope: 0 };
    const timer = new CellTimer(cell, IDENTITY, tables);
    timer.startRun(4, 256, 64);
    expect(timer.run.split).toBe(64);
    expect([55, 64, 65, 66, 100].map((n) => timer.runMs(n))).toEqual([495, 576, 585, 594.00390625, 902.4609375]);
    expect(timer.stepsWithin(500)).toBe(55);
    expect(timer.runMs(timer.stepsWithin(500) + 1)).toBe(504);
    expect(timer.stepsWithin(800)).toBe(88);
    expect([timer.runMs(88), timer.runMs(89)]).toEqual([793.078125, 802.171875]);
    expect(timer.stepsWithin(504)).toBe(56);
  });

  it('counts nothing before the first step ends and everything in unlimited time', () => {
    const timer = new CellTimer(LLAMA, IDENTITY);
    timer.startRun(16, 22112, 1382);
    expect(timer.stepsWithin(-1)).toBe(0);
    expect(timer.stepsWithin(0)).toBe(0);
    expect(timer.stepsWithin(12.1)).toBe(0);
    expect(timer.stepsWithin(Infinity)).toBe(Infinity);
  });
});

describe('validity of a step', () => {
  const timer = new CellTimer(LLAMA, DENSE);
  const tag = (b: StepBatch): string => {
    timer.stepMs(b);
    return timer.regime;
  };

  it('is calibrated inside the range of the serving points', () => {
    expect(tag(batch(64, 64 * 2000, 9000))).toBe('calibrated');
    expect(tag(batch(8, 8000, 1000, [[8192, 0]]))).toBe('calibrated');
  });

  it('is fit-only beyond them: long context, many sequences, long prefix', () => {
    expect(tag(batch(4, 165000, 150000 - 30000))).toBe('fit-only');
    expect(tag(batch(65, 65 * 1000, 1000))).toBe('fit-only');
    expect(tag(batch(1, 100, 100, [[2048, 32768]]))).toBe('fit-only');
  });

  it('is extrapolated outside each fitted bound', () => {
    expect(tag(batch(1, 131073, 131073))).toBe('extrapolated');
    expect(tag(batch(64, 719816, 20000))).toBe('extrapolated');
    expect(tag(batch(513, 513, 1))).toBe('extrapolated');
    expect(tag(batch(1, 100, 100, [[16384, 0]]))).toBe('extrapolated');
    expect(tag(batch(0, 0, 0, [[100, 114689]]))).toBe('extrapolated');
  });

  it('is fit-only for a cell without serving points, extrapolated for latent attention on a long prefix', () => {
    const cell = findCell({
      gpu: 'h200-sxm',
      engine: 'vllm',
      model: 'deepseek-v3',
      tp: 8,
      ep: 8,
      gemm: 'fp8_block',
      moe: 'fp8_block',
    });
    const mla = new CellTimer(cell, MOE);
    mla.stepMs(batch(8, 8000, 1000));
    expect(mla.regime).toBe('fit-only');
    mla.stepMs(batch(0, 0, 0, [[512, 16385]]));
    expect(mla.regime).toBe('extrapolated');
  });
});

describe('prefill cost for decisions', () => {
  it('is the slope of a full chunk and the pair cost, scaled', () => {
    const cost = prefillCost(LLAMA, MOE, 8192);
    close(cost.msPerToken, 1.4 * (LLAMA.lin[27]! / 8192 + LLAMA.pre.p1));
    close(cost.msPerPair, 1.4 * LLAMA.pre.p2);
  });
});

describe('sanity numbers for reviewers', () => {
  it('a mixture of experts rises four-fold from 1 to 64 tokens, a dense model hardly', () => {
    expect(cellFile().cells.length).toBe(49);
    for (const [cell, one, sixtyFour, many] of [
      [LLAMA, 9.67, 11.96, 106.5],
      [GPT_OSS, 3.25, 12.6, 45.0],
    ] as const) {
      const { lin } = stepTables(cell);
      close(lin[1]!, one, 2e-3);
      close(lin[64]!, sixtyFour, 2e-3);
      close(lin[2048]!, many, 2e-3);
    }
    expect(100_000 * LLAMA.dec.c).toBeCloseTo(2.7, 1);
  });
});
