import { describe, expect, it } from 'vitest';
import { createStepBatch, type StepBatch } from '../engine/step-timer.ts';
import { PhaseTimer } from './phase-timer.ts';
import { AISIMULATE_TIMES, PolynomialTimer } from './polynomial-timer.ts';

const POOL = 16_384 * 512;

function batch(decodes: readonly number[], chunks: readonly (readonly [number, number])[], tails: readonly number[] = []): StepBatch {
  const b = createStepBatch();
  const ones = [...decodes, ...tails];
  b.decodeSeqs = ones.length;
  b.decodeKvTokens = ones.reduce((sum, kv) => sum + kv, 0);
  b.maxDecodeKvTokens = Math.max(0, ...ones);
  b.promptTails = tails.length;
  b.promptTailKvTokens = tails.reduce((sum, kv) => sum + kv, 0);
  b.chunkCount = chunks.length;
  for (const [i, [tokens, resident]] of chunks.entries()) {
    b.chunkTokens[i] = tokens;
    b.chunkResident[i] = resident;
  }
  return b;
}

describe('a timer with one constant per phase', () => {
  const timer = new PhaseTimer({ prefillMs: 100, decodeMs: 10 });

  it('adds the phases that a step has', () => {
    expect(timer.stepMs(batch([], [[8192, 0]]))).toBe(100);
    expect(timer.stepMs(batch([5, 9], []))).toBe(10);
    expect(timer.stepMs(batch([5], [[20, 0]]))).toBe(110);
  });

  it('counts the last token of a prompt as prefill, though it looks like a decode', () => {
    expect(timer.stepMs(batch([], [], [8192]))).toBe(100);
    expect(timer.stepMs(batch([5], [], [8192]))).toBe(110);
  });

  it('refuses times that are none', () => {
    expect(() => new PhaseTimer({ prefillMs: Number.NaN, decodeMs: 1 })).toThrow('prefill time');
    expect(() => new PhaseTimer({ prefillMs: 1, decodeMs: -1 })).toThrow('step time');
  });
});

describe("AISimulate's polynomials", () => {
  const timer = new PolynomialTimer(AISIMULATE_TIMES, POOL);

  it('give the step times it recorded (first steps of mc200_w1_rr_poly)', () => {
    expect(
      timer.stepMs(
        batch(
          [],
          [
            [6758, 0],
            [1434, 512],
          ],
        ),
      ),
    ).toBeCloseTo(169.136918, 5);
    expect(
      timer.stepMs(
        batch(
          [6759, 7322],
          [
            [3910, 3326],
            [1778, 512],
            [2502, 512],
          ],
        ),
      ),
    ).toBeCloseTo(518.936536 - 344.013177, 5);
  });

  it('count prompt tokens that come one at a time as prefill', () => {
    expect(timer.stepMs(batch([], [[99, 0]], [512]))).toBe(timer.stepMs(batch([], [[100, 0]])));
  });

  it('refuse what is no time', () => {
    expect(() => new PolynomialTimer({ ...AISIMULATE_TIMES, floorMs: 0 }, POOL)).toThrow('floor');
    expect(() => new PolynomialTimer({ ...AISIMULATE_TIMES, decode: [0, Infinity, 1] }, POOL)).toThrow('coefficient');
    expect(() => new PolynomialTimer(AISIMULATE_TIMES, 0)).toThrow('pool');
  });
});
