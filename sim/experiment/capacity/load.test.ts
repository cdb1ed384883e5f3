import { describe, expect, it } from 'vitest';
import { paretoOf } from './capacity-answer.ts';
import { type GrowthRow, kneeOfGrowth } from './load.ts';

/** A growth curve with intervals of half-width `half`. */
function curve(loads: readonly number[], y: (load: number) => number, half = 0): GrowthRow[] {
  return loads.map((load) => {
    const mean = y(load);
    const estimate = { mean, lo: mean - half, hi: mean + half, values: [mean] };
    return {
      load,
      arm: 'default',
      outcome: { verdict: 'yes', replications: 1, objectives: [], isSaturated: false, metrics: { y: estimate } },
    };
  });
}

const LOADS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95];

describe('the knee of a growth curve', () => {
  it('is where the wait of a single queue bends (vector of the specification)', () => {
    expect(
      kneeOfGrowth(
        curve(LOADS, (rho) => 1 / (1 - rho)),
        'y',
      ),
    ).toBe(0.8);
  });

  it('is absent on a straight line, on a curve that flattens, and on fewer than three points', () => {
    expect(
      kneeOfGrowth(
        curve(LOADS, (x) => 3 * x),
        'y',
      ),
    ).toBeNull();
    expect(
      kneeOfGrowth(
        curve(LOADS, (x) => Math.sqrt(x)),
        'y',
      ),
    ).toBeNull();
    expect(
      kneeOfGrowth(
        curve([0.5, 0.95], (x) => 1 / (1 - x)),
        'y',
      ),
    ).toBeNull();
  });

  it('needs a curve that is convex within its intervals', () => {
    const bump = (x: number): number => (x === 0.5 ? 9 : 1 / (1 - x));
    expect(kneeOfGrowth(curve(LOADS, bump), 'y')).toBeNull();
    expect(kneeOfGrowth(curve(LOADS, bump, 6), 'y')).not.toBeNull();
  });
});

describe('the Pareto set', () => {
  const rule = { scale: 'ratio', better: 'lower', noise: 1 } as const;
  it('drops what is dearer and slower, keeps what is dearer and faster, and what cannot be told apart', () => {
    const cheap = { objective: 10, primary: [2, 2.1, 1.9, 2] };
    const fast = { objective: 20, primary: [1, 1.05, 0.95, 1] };
    const slow = { objective: 30, primary: [2.5, 2.6, 2.4, 2.5] };
    const unsure = { objective: 30, primary: [0.5, 1.6, 0.7, 1.4] };
    expect(paretoOf([cheap, fast, slow, unsure, null], rule)).toEqual([true, true, false, true, false]);
  });
});
