import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStepBatch, type StepTimer } from '../engine/step-timer.ts';
import { CellTimer } from './cell-timer.ts';
import { cellFile, resolveParameters } from './cells.ts';
import { FixedTimer } from './fixed-timer.ts';
import { PhaseTimer } from './phase-timer.ts';
import { PolynomialTimer } from './polynomial-timer.ts';

const cells = cellFile().cells;
const timers: [string, () => StepTimer][] = [
  ['cell', () => new CellTimer(cells[4]!, resolveParameters(cells[4]!, 'vllm').parameters)],
  ['cell with latent attention', () => new CellTimer(cells[41]!, resolveParameters(cells[41]!, 'vllm').parameters)],
  ['fixed', () => new FixedTimer(7.3, 5)],
  ['phases', () => new PhaseTimer({ prefillMs: 100.1, decodeMs: 10.3 }, 5)],
  ['polynomial', () => new PolynomialTimer({ prefill: [4e-7, 0.015, 16.5], decode: [-25.74, 54.01, 5.74], floorMs: 1 }, 1_000_000)],
  ['polynomial that leaves its floor and returns', () => polynomial([-30, 60, -5], 7)],
  ['polynomial with a valley', () => polynomial([8, -30, 20], 2.5)],
  ['polynomial below its floor', () => polynomial([-1, 1, 0], 1)],
  ['straight line', () => polynomial([0, 9, 0.5], 1)],
];

function polynomial(decode: readonly [number, number, number], floorMs: number): StepTimer {
  return new PolynomialTimer({ prefill: [0, 0.01, 1], decode, floorMs }, 2_000_000);
}

describe.each(timers)('step timer: %s', (_name, create) => {
  const batch = createStepBatch();
  const run = fc.record({
    seqs: fc.integer({ min: 1, max: 256 }),
    length: fc.integer({ min: 1, max: 50_000 }),
    steps: fc.integer({ min: 1, max: 300 }),
  });

  it('is pure: a step in between changes nothing of the run', () => {
    const timer = create();
    fc.assert(
      fc.property(run, ({ seqs, length, steps }) => {
        timer.startRun(seqs, seqs * length, length);
        const before = timer.runMs(steps);
        batch.decodeSeqs = 3;
        batch.decodeKvTokens = 30;
        batch.maxDecodeKvTokens = 10;
        batch.promptTails = 1;
        batch.promptTailKvTokens = 9;
        batch.chunkCount = 0;
        const one = timer.stepMs(batch);
        expect(timer.stepMs(batch)).toBe(one);
        expect(timer.runMs(steps)).toBe(before);
      }),
      { numRuns: 200 },
    );
  });

  it('describes its run by segments or steps that add up to the time', () => {
    const timer = create();
    fc.assert(
      fc.property(run, ({ seqs, length, steps }) => {
        timer.startRun(seqs, seqs * length, length);
        const { u0, v0, split, u1, v1 } = timer.run;
        const segmentMs = (k: number): number => (k < split ? u0 + k * v0 : u1 + (k - split) * v1);
        let sum = 0;
        for (let k = 0; k < steps; k++) sum += timer.curve === undefined ? segmentMs(k) : timer.curve.runStepMs(k);
        expect(Math.abs(sum - timer.runMs(steps))).toBeLessThanOrEqual(1e-11 * sum);
      }),
      { numRuns: 200 },
    );
  });

  it('makes the steps of a run as long as single ones', () => {
    const timer = create();
    fc.assert(
      fc.property(run, ({ seqs, length, steps }) => {
        timer.startRun(seqs, seqs * length, length);
        batch.chunkCount = 0;
        batch.promptTails = 0;
        batch.promptTailKvTokens = 0;
        batch.decodeSeqs = seqs;
        let sum = 0;
        for (let k = 0; k < steps; k++) {
          batch.decodeKvTokens = seqs * (length + k);
          batch.maxDecodeKvTokens = length + k;
          const ms = timer.stepMs(batch);
          if (timer.curve !== undefined) expect(timer.curve.runStepMs(k)).toBe(ms);
          sum += ms;
        }
        expect(Math.abs(sum - timer.runMs(steps))).toBeLessThanOrEqual(1e-11 * sum);
      }),
      { numRuns: 200 },
    );
  });

  it('lays the steps of a run on straight lines that hardly leave them', () => {
    const timer = create();
    fc.assert(
      fc.property(run, ({ seqs, length, steps }) => {
        timer.startRun(seqs, seqs * length, length);
        const { curve } = timer;
        if (curve === undefined) return;
        for (let k = 0; k < steps; ) {
          const end = Math.min(steps, k + curve.straightSteps(k));
          expect(end).toBeGreaterThan(k);
          const first = curve.runStepMs(k);
          const growth = end === k + 1 ? 0 : (curve.runStepMs(end - 1) - first) / (end - 1 - k);
          for (let j = k; j < end; j++) {
            const ms = curve.runStepMs(j);
            expect(Math.abs(first + (j - k) * growth - ms)).toBeLessThanOrEqual(1.001e-6 * first);
          }
          k = end;
        }
      }),
      { numRuns: 100 },
    );
  });

  it('inverts its run', () => {
    const timer = create();
    fc.assert(
      fc.property(run, fc.double({ min: 0, max: 20_000, noNaN: true }), ({ seqs, length }, within) => {
        timer.startRun(seqs, seqs * length, length);
        const steps = timer.stepsWithin(within);
        expect(Number.isInteger(steps)).toBe(true);
        expect(timer.runMs(steps)).toBeLessThanOrEqual(within);
        expect(timer.runMs(steps + 1)).toBeGreaterThan(within);
      }),
      { numRuns: 500 },
    );
  });

  it('starts with no time and refuses an empty step', () => {
    const timer = create();
    timer.startRun(1, 100, 100);
    expect(timer.runMs(0)).toBe(0);
    batch.decodeSeqs = 0;
    batch.chunkCount = 0;
    expect(() => timer.stepMs(batch)).toThrow('step without tokens');
  });
});

describe('a fixed timer of zero', () => {
  it('fits any number of steps into no time', () => {
    const timer = new FixedTimer(0);
    timer.startRun(4, 100, 50);
    expect(timer.runMs(1000)).toBe(0);
    expect(timer.stepsWithin(0)).toBe(Infinity);
    expect(timer.stepsWithin(-1)).toBe(0);
    expect(() => new FixedTimer(-1)).toThrow('step time');
  });
});
