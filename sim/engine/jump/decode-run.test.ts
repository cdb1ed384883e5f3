import { describe, expect, it } from 'vitest';
import { PolynomialTimer } from '../../hardware/polynomial-timer.ts';
import { AffineTimer } from '../worker-fixtures.ts';
import { DecodeRun } from './decode-run.ts';
import { DecodeSet } from './decode-set.ts';
import { RequestSlots } from './request-slots.ts';

/** M14 of the engine specification: B = 8, f = 1, a = 0.5, c = 2^-10, D = 4, K0 = 256. */
function m14(steps: number): DecodeRun {
  const run = new DecodeRun();
  run.begin(new AffineTimer({ baseMs: 8.5, kvMs: 2 ** -10, floorMs: 9 }), 4, 256, 64, steps, 0, 1);
  return run;
}

describe('a decode run (M14)', () => {
  it('has the times of its closed form, to the bit', () => {
    const run = m14(200);
    expect([55, 64, 65, 66, 100].map((n) => run.endMs(n))).toEqual([495, 576, 585, 594.00390625, 902.4609375]);
  });

  it('finds the boundary that an arrival lands on', () => {
    const run = m14(200);
    expect([run.stepsBy(500), run.endMs(56)]).toEqual([55, 504]);
    expect([run.stepsBy(504), run.stepsBy(503.999)]).toEqual([56, 55]);
    expect([run.stepsBy(800), run.endMs(88), run.endMs(89)]).toEqual([88, 793.078125, 802.171875]);
  });

  it('never counts more steps than it plans, and agrees with its own times everywhere', () => {
    const run = m14(120);
    expect(run.stepsBy(1e9)).toBe(120);
    for (let n = 1; n <= 120; n++) {
      expect(run.stepsBy(run.endMs(n))).toBe(n);
      expect(run.stepsBy(run.endMs(n) - 1 / 1024)).toBe(n - 1);
    }
  });

  it('stretches with the slow-down factor', () => {
    const run = new DecodeRun();
    run.begin(new AffineTimer({ baseMs: 8.5, kvMs: 2 ** -10, floorMs: 9 }), 4, 256, 64, 200, 16, 2);
    expect([run.endMs(100), run.stepsBy(16 + 2 * 902.4609375)]).toEqual([16 + 2 * 902.4609375, 100]);
  });
});

describe('a decode run whose steps bend', () => {
  const timer = new PolynomialTimer({ prefill: [0, 0, 1], decode: [-30, 60, -5], floorMs: 7 }, 100_000);
  const curved = (steps: number): DecodeRun => {
    const run = new DecodeRun();
    run.begin(timer, 16, 10_000, 900, steps, 5, 2);
    return run;
  };

  it('agrees with its own times everywhere', () => {
    const run = curved(2000);
    expect(run.stepsBy(1e9)).toBe(2000);
    for (let n = 1; n <= 2000; n += 37) expect([run.stepsBy(run.endMs(n)), run.stepsBy(run.endMs(n) - 1e-6)]).toEqual([n, n - 1]);
  });

  it('has straight segments that cover every step once and add up to its time', () => {
    const run = curved(2000);
    let segments = 0;
    let ms = 0;
    for (let k = 0; k < 2000; segments++) {
      const n = run.segmentEnd(k) - k;
      ms += n * run.stepMs(k) + ((n * (n - 1)) / 2) * run.growthMs(k);
      k += n;
    }
    expect(segments).toBeLessThan(200);
    expect(Math.abs(ms / (run.endMs(2000) - 5) - 1)).toBeLessThan(1e-6);
  });
});

describe('a decode set', () => {
  const filled = (remaining: readonly number[]) => {
    const slots = new RequestSlots();
    const set = new DecodeSet(slots, 16);
    const ids = [100, 111, 112, 127].map((computed, i) => {
      const s = slots.alloc(0, 0);
      slots.order[s] = i;
      set.add(s, computed, remaining[i]!, false);
      return s;
    });
    return { set, ids: ids as [number, number, number, number] };
  };

  it('knows how long free blocks last (M14: block size 16, c = 100, 111, 112, 127)', () => {
    const { set } = filled([999, 999, 999, 999]);
    const needed = [1, 2, 12, 13, 16, 17, 20].map((n) => [0, 1, 2, 3, 4, 5, 6, 7].find((limit) => set.stepsWithNeed(limit, n) === n));
    expect(needed).toEqual([1, 3, 3, 4, 4, 5, 7]);
    expect([3, 4, 5].map((free) => set.stepsWithNeed(free, 999))).toEqual([12, 16, 17]);
  });

  it('ends a run with its shortest member or its blocks', () => {
    const { set } = filled([40, 25, 90, 60]);
    const horizon = set.remaining(set.first);
    expect([horizon, set.stepsWithNeed(5, horizon)]).toEqual([25, 17]);
  });

  it('keeps sums, maximum, order of ends and phases over joins and leaves', () => {
    const { set, ids } = filled([40, 25, 90, 60]);
    set.iter += 5;
    expect([set.kvTokens, set.maxKvTokens, set.computed(ids[0])]).toEqual([470, 132, 105]);
    set.remove(ids[3]);
    expect([set.count, set.kvTokens, set.maxKvTokens, set.first]).toEqual([3, 338, 117, ids[1]]);
    set.remove(ids[1]);
    expect([set.first, set.remaining(ids[0])]).toEqual([ids[0], 35]);
    // Slot 0 at 105 completes its block with the 7th token from here, slot 2 at 117 with the 11th.
    expect(set.stepsToCompletion(99)).toBe(7);
    expect(set.stepsWithNeed(0, 99)).toBe(7);
  });
});
