import alea from 'seedrandom/lib/alea.js';
import { describe, expect, it } from 'vitest';
import {
  choice,
  exponential,
  gamma,
  type LognormalMixture,
  lognormal,
  mixture,
  normal,
  renewalGap,
  Stream,
  streamKey,
  type Uniform,
  uniformInteger,
  uniformReal,
} from './draw.ts';

/**
 * Vectors of the key 42/3/pause/s17/root: the generator was written again in Python from its publication (and gives the number
 * that the library's README prints), the recipes were evaluated there with an own inverse normal by Newton steps on erfc.
 */
const KEY = streamKey(42, 3, 'pause', 's17/root');
const stream = (): Stream => new Stream(KEY);
const take = (n: number, draw: (s: Stream) => number): number[] => {
  const s = stream();
  return Array.from({ length: n }, () => draw(s));
};
const near = (got: readonly number[], want: readonly number[]): void => {
  got.forEach((x, i) => {
    expect(Math.abs(x / want[i]! - 1), `${x} against ${want[i]}`).toBeLessThan(1e-12);
  });
};
const fixed = (...values: number[]): Uniform => ({ double: () => values.shift()! });

const PAUSE: LognormalMixture = {
  components: [
    { weight: 0.261, median: 0.78, sigma: 0.58 },
    { weight: 0.419, median: 2.89, sigma: 0.91 },
    { weight: 0.32, median: 50, sigma: 1.55 },
  ],
  pointMass: { p: 0.3205, value: 0.05 },
};

describe('streams', () => {
  it('have a key of seed, replication, purpose and entity', () => {
    expect(KEY).toBe('42/3/pause/s17/root');
  });

  it('repeat the vector of their key', () => {
    expect(take(6, (s) => s.double())).toEqual([
      0.6801236216848985, 0.7059929487509462, 0.01900568171065986, 0.19295240543432168, 0.4894542241880031, 0.19071977481796876,
    ]);
  });

  it("rest on the generator that gives its documentation's numbers", () => {
    const hello = alea('hello.');
    expect([hello(), hello.double()]).toEqual([0.4783254903741181, 0.8297006866124559]);
  });

  it('do not disturb each other', () => {
    const a = new Stream('1/0/x/a');
    const b = new Stream('1/0/x/b');
    const alone = new Stream('1/0/x/a');
    for (let i = 0; i < 100; i++) {
      b.double();
      expect(a.double()).toBe(alone.double());
    }
  });
});

describe('recipes', () => {
  it('uniform integer is inclusive at both ends', () => {
    expect(take(6, (s) => uniformInteger(s, 1, 6))).toEqual([5, 5, 1, 2, 3, 2]);
    expect(uniformInteger(fixed(0), 3, 9)).toBe(3);
    expect(uniformInteger(fixed(1 - 2 ** -53), 3, 9)).toBe(9);
    expect(uniformReal(fixed(0.25), 2, 4)).toBe(2.5);
  });

  it('choice takes the first index whose cumulative weight exceeds u', () => {
    expect(take(6, (s) => choice(s, [0.2, 0.3, 0.5]))).toEqual([2, 2, 0, 0, 1, 0]);
    expect(choice(fixed(0.25), [1, 3])).toBe(1);
    expect(choice(fixed(0.24), [1, 3])).toBe(0);
    expect(choice(fixed(0), [0, 5])).toBe(1);
  });

  it('exponential, normal and lognormal', () => {
    near(
      take(3, (s) => exponential(s, 10)),
      [11.398206755936043, 12.24151528090744, 0.1918861118753183],
    );
    near(take(3, normal), [0.4680445147085692, 0.5417160918197071, -2.074732177564199]);
    near(
      take(3, (s) => lognormal(s, 100, 0.5)),
      [126.36726179039313, 131.10889427361428, 35.438687733161125],
    );
    expect(Number.isFinite(normal(fixed(0)))).toBe(true);
  });

  it('a mixture takes three numbers whether used or not', () => {
    near(
      take(4, (s) => mixture(s, { ...PAUSE, max: 40000 })),
      [2.0060911560428507, 0.05, 1.223825469138982, 1.0969273298799553],
    );
    const s = stream();
    mixture(s, PAUSE);
    mixture(s, PAUSE);
    const reference = stream();
    for (let i = 0; i < 6; i++) reference.double();
    expect(s.double()).toBe(reference.double());
  });

  it('a rejected value is drawn again elsewhere, so later draws stay what they were', () => {
    near(
      take(4, (s) => mixture(s, { ...PAUSE, max: 2 })),
      [1.4088601985936808, 0.05, 1.223825469138982, 1.0969273298799553],
    );
  });

  it('a small value is raised to the minimum', () => {
    expect(take(2, (s) => mixture(s, { ...PAUSE, min: 2.5 }))).toEqual([2.5, 2.5]);
  });

  it('a bound below every value is our mistake', () => {
    expect(() => take(1, (s) => mixture(s, { ...PAUSE, max: 0.001 }))).toThrow('above the maximum');
  });

  it('gamma with a shape above and below one', () => {
    near(
      take(3, (s) => gamma(s, 2.5, 3)),
      [8.793633960570569, 0.9686083078727437, 6.38395306021733],
    );
    near(
      take(3, (s) => gamma(s, 1 / 1.44, 14.4)),
      [27.78313783560553, 6.152241522810079, 3.1821161656500387],
    );
    expect(() => gamma(stream(), 0, 1)).toThrow('gamma');
  });
});

describe('distributions', () => {
  const moments = (draw: (s: Stream) => number): { mean: number; cv: number } => {
    const s = stream();
    const n = 40_000;
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      const x = draw(s);
      sum += x;
      squares += x * x;
    }
    const mean = sum / n;
    return { mean, cv: Math.sqrt(squares / n - mean * mean) / mean };
  };

  it('a renewal gap has the asked rate and coefficient of variation', () => {
    for (const cv of [0.5, 1, 1.2, 4]) {
      const got = moments((s) => renewalGap(s, 0.1 / 1000, cv));
      // Four standard errors of the mean; the CV of a heavy gap converges slowly.
      expect(Math.abs(got.mean / 10_000 - 1)).toBeLessThan((4 * cv) / 200);
      expect(Math.abs(got.cv / cv - 1)).toBeLessThan(0.05);
    }
    expect(renewalGap(stream(), 0.001, 0)).toBe(1000);
  });

  it('gaps with coefficient of variation 1 cannot be told from exponential ones', () => {
    const s = stream();
    const n = 10_000;
    const gaps = Float64Array.from({ length: n }, () => renewalGap(s, 1, 1)).sort();
    let distance = 0;
    gaps.forEach((x, i) => {
      const cdf = 1 - Math.exp(-x);
      distance = Math.max(distance, Math.abs(cdf - i / n), Math.abs(cdf - (i + 1) / n));
    });
    // Kolmogorov-Smirnov, p = 0.01.
    expect(distance).toBeLessThan(1.628 / Math.sqrt(n));
  });
});
