import { describe, expect, it } from 'vitest';
import { exp } from '../math.ts';
import { breakEvenMs, holdGain, recomputeMs, reloadMs, rentPerByte, rentPressure } from './cost-model.ts';
import { bestHold, type SurvivalCurve } from './survival-curve.ts';

/** Worked example of retention specification 5, in seconds: 70B FP8 on H100 TP4, 81,920 B per token. */
const A = 53e-6;
const B = 0.97e-9;
const cRe = (p: number, n: number): number => recomputeMs(p, n, A, B);

describe('cost of a miss', () => {
  it('gives the worked recompute times', () => {
    expect(cRe(0, 1000)).toBeCloseTo(0.053485, 9);
    expect(cRe(0, 12_000)).toBeCloseTo(0.70584, 9);
    expect(cRe(0, 100_000)).toBeCloseTo(10.15, 9);
    expect(cRe(100_000, 1000)).toBeCloseTo(0.150485, 9);
  });

  it('is additive over a split of the suffix', () => {
    expect(cRe(0, 60_000)).toBeCloseTo(4.926, 9);
    expect(cRe(60_000, 40_000)).toBeCloseTo(5.224, 9);
    expect(cRe(0, 60_000) + cRe(60_000, 40_000)).toBeCloseTo(10.15, 9);
  });

  it('gives the worked reload times', () => {
    const bytes = 100_000 * 81_920;
    expect([50e9, 14e9, 3e9].map((bandwidth) => Number(reloadMs(bytes, bandwidth).toFixed(4)))).toEqual([0.1638, 0.5851, 2.7307]);
    expect(reloadMs(bytes, 50e9, 0.25, 0.5)).toBeCloseTo(0.75 + 0.16384, 12);
  });
});

describe('price of space', () => {
  const tokens = 685_000;
  const capacity = tokens * 81_920;

  it('rises from nothing at 70 % use to the full rent at 95 %', () => {
    expect([0, 0.7, 0.825, 0.95, 1].map(rentPressure).map((x) => Number(x.toFixed(9)))).toEqual([0, 0, 0.5, 1, 1]);
  });

  it('gives the worked rents and break-even times', () => {
    expect(rentPerByte(capacity, 1)).toBeCloseTo(1.782e-11, 15);
    expect(rentPerByte(capacity, 1) * 81_920).toBeCloseTo(1.4599e-6, 10);
    expect(rentPerByte(capacity, 1) * 81_920 * 100_000).toBeCloseTo(0.14599, 5);
    expect(breakEvenMs(cRe(0, 100_000), 100_000, tokens, 1)).toBeCloseTo(69.53, 2);
    expect(breakEvenMs(reloadMs(100_000 * 81_920, 50e9), 100_000, tokens, 1)).toBeCloseTo(1.122, 3);
  });

  it('is no reason to let go without pressure', () => {
    expect(breakEvenMs(10, 100, 1000, 0.5)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('gain of keeping', () => {
  /** 90 % Exp mean 2 s, 10 % Exp mean 600 s: the worked mixture of retention specification 5.2. */
  const returned = (t: number): number => 1 - 0.9 * exp(-t / 2) - 0.1 * exp(-t / 600);
  const held = (t: number): number => 0.9 * 2 * (1 - exp(-t / 2)) + 0.1 * 600 * (1 - exp(-t / 600));
  /** The same law at every millisecond. */
  const curve = (until: number): SurvivalCurve => {
    const times = Float64Array.from({ length: until * 1000 }, (_, i) => (i + 1) / 1000);
    return { times, survival: times.map((t) => 1 - returned(t)), held: times.map(held) };
  };

  it('gives the worked values of J', () => {
    expect(holdGain(69, returned(69), held(69))).toBeCloseTo(54.532, 3);
    expect(holdGain(69, returned(300), held(300))).toBeCloseTo(39.407, 3);
    expect(holdGain(69, 1, 0.9 * 2 + 0.1 * 600)).toBeCloseTo(7.2, 9);
    expect(holdGain(700, 1, 61.8)).toBeCloseTo(638.2, 9);
  });

  it('finds the worked best time to keep', () => {
    const best = bestHold(curve(100), 69, 100);
    expect(best.hold).toBeCloseTo(11.701, 3);
    expect(best.gain).toBeCloseTo(59.101, 3);
    expect(returned(best.hold)).toBeCloseTo(0.8993, 4);
    expect(held(best.hold)).toBeCloseTo(2.954, 3);
    expect(bestHold(curve(100), 1.1, 100).hold).toBe(0);
    expect(bestHold(curve(100), 700, 100).hold).toBe(100);
  });

  it('is all or nothing for exponential pauses (retention:M11)', () => {
    const mean = 10;
    const times = Float64Array.from({ length: 1000 }, (_, i) => (i + 1) / 10);
    const law: SurvivalCurve = { times, survival: times.map((t) => exp(-t / mean)), held: times.map((t) => mean * (1 - exp(-t / mean))) };
    expect(bestHold(law, 9.9, 100).hold).toBe(0);
    expect(bestHold(law, 10.1, 100).hold).toBe(100);
  });
});
