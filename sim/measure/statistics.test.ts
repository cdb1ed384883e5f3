import { describe, expect, it } from 'vitest';
import { bonferroniLevel, meanInterval, pairedDifference, replicationsFor, tQuantile, verdict, welchDifference } from './statistics.ts';

/** Worked example of experiments specification 3.3, seconds, ten replications. */
const A = [2.41, 2.66, 2.2, 2.95, 2.52, 2.38, 2.71, 2.49, 2.6, 2.33];
const B = [2.18, 2.39, 2.03, 2.62, 2.31, 2.12, 2.47, 2.25, 2.38, 2.14];

describe('Student t', () => {
  it('has the quantiles of the table', () => {
    const table: [number, number][] = [
      [1, 12.706205],
      [4, 2.776445],
      [9, 2.262157],
      [19, 2.093024],
      [49, 2.009575],
    ];
    for (const [df, t] of table) expect(tQuantile(0.975, df)).toBeCloseTo(t, 6);
    const level = bonferroniLevel(0.95, 3);
    expect(level).toBeCloseTo(0.9833333, 6);
    expect(tQuantile(1 - (1 - level) / 2, 9)).toBeCloseTo(2.933324, 6);
    expect(tQuantile(0.975, 1e7)).toBeCloseTo(1.959964, 6);
  });
});

describe('an interval', () => {
  it('needs two values for a width and one for a mean', () => {
    expect(meanInterval([])).toMatchObject({ n: 0, mean: null, lo: null });
    expect(meanInterval([5])).toMatchObject({ n: 1, mean: 5, halfWidth: null });
    const two = meanInterval([1, 3]);
    expect(two.mean).toBe(2);
    expect(two.halfWidth).toBeCloseTo(12.706205, 5);
  });
});

describe('a paired difference', () => {
  it('gives the worked example: -9.305 % [-10.153, -8.449], improved', () => {
    const got = pairedDifference(A, B, { scale: 'ratio', better: 'lower' });
    expect(meanInterval(A).mean).toBeCloseTo(2.525, 12);
    expect(meanInterval(B).mean).toBeCloseTo(2.289, 12);
    expect(got.delta).toBeCloseTo(-9.305, 3);
    expect(got.lo).toBeCloseTo(-10.153, 3);
    expect(got.hi).toBeCloseTo(-8.449, 3);
    expect(got).toMatchObject({ unit: '%', verdict: 'improved', needMore: null, n: 10, noise: 1 });
    const d = B.map((b, i) => Math.log(b) - Math.log(A[i]!));
    const logs = meanInterval(d);
    expect(logs.mean).toBeCloseTo(-0.0976639, 7);
    expect(logs.sd).toBeCloseTo(0.0131327, 7);
    expect(got.halfWidth).toBeCloseTo(0.00939, 5);
  });

  it('in absolute terms is -0.2360 s [-0.2680, -0.2040]', () => {
    const got = pairedDifference(A, B, { scale: 'count', better: 'lower' });
    expect(got.delta).toBeCloseTo(-0.236, 4);
    expect(got.lo).toBeCloseTo(-0.268, 4);
    expect(got.hi).toBeCloseTo(-0.204, 4);
    expect(got.unit).toBe('');
  });

  it('is far narrower than the unpaired one', () => {
    const welch = welchDifference(A, B);
    expect(welch.halfWidth).toBeCloseTo(0.187, 3);
    expect(welch.df).toBeCloseTo(17.456, 3);
    const paired = pairedDifference(A, B, { scale: 'count', better: 'lower' });
    expect(paired.halfWidth).toBeCloseTo(0.032, 3);
    expect(welch.halfWidth / paired.halfWidth!).toBeCloseTo(5.8, 1);
  });

  it('of shares is in percentage points', () => {
    const got = pairedDifference([0.8, 0.82, 0.81], [0.85, 0.87, 0.86], { scale: 'proportion', better: 'higher' });
    expect(got).toMatchObject({ unit: 'pp', noise: 0.5, verdict: 'improved' });
    expect(got.delta).toBeCloseTo(5, 10);
    expect(pairedDifference([0.85, 0.87], [0.8, 0.82], { scale: 'proportion', better: 'higher' }).verdict).toBe('regressed');
  });

  it('that is zero everywhere is identical', () => {
    const got = pairedDifference(A, A, { scale: 'ratio', better: 'lower' });
    expect(got).toMatchObject({ delta: 0, lo: 0, hi: 0, verdict: 'within noise', note: 'identical' });
  });

  it('judges at the adjusted level and shows both', () => {
    const a = [100, 100, 100, 100, 100];
    const b = [101.2, 103.3, 102.4, 101.6, 103.4];
    const one = pairedDifference(a, b, { scale: 'ratio', better: 'lower' });
    const many = pairedDifference(a, b, { scale: 'ratio', better: 'lower', comparisons: 63 });
    expect(one.verdict).toBe('regressed');
    expect(many.verdict).toBe('inconclusive');
    expect([many.lo, many.hi]).toEqual([one.lo, one.hi]);
    expect(many.adjusted.lo!).toBeLessThan(one.lo!);
  });

  it('falls back to absolute differences where logarithms do not exist, and says so', () => {
    const zeros = pairedDifference([4, 0, 2], [6, 2, 4], { scale: 'ratio', better: 'lower' });
    expect(zeros.note).toContain('non-positive');
    expect(zeros).toMatchObject({ unit: '%', delta: 100, verdict: 'regressed' });
    const base = pairedDifference([0, 0, 0], [5, 6, 7], { scale: 'ratio', better: 'lower' });
    expect(base).toMatchObject({ unit: '', delta: 6, noise: 0, verdict: 'regressed' });
  });

  it('has no verdict without a direction or a second pair', () => {
    expect(pairedDifference(A, B, { scale: 'ratio', better: 'none' }).verdict).toBeNull();
    expect(pairedDifference([1], [2], { scale: 'ratio', better: 'lower' })).toMatchObject({ verdict: null, lo: null, needMore: null });
    expect(pairedDifference([], [], { scale: 'ratio', better: 'lower' })).toMatchObject({ delta: null, verdict: null });
  });
});

describe('the price of an undecided result', () => {
  it('needs ten replications for a half-width of 1 % in the worked example', () => {
    expect(replicationsFor(0.0131327, 0.01, 0.95)).toBe(10);
    expect(replicationsFor(0.0131327, 0.0093, 0.95)).toBe(11);
  });

  it('is capped, and two where nothing varies', () => {
    expect(replicationsFor(1, 1e-9, 0.95)).toBe(10_000);
    expect(replicationsFor(1, 0, 0.95)).toBe(10_000);
    expect(replicationsFor(0, 0.5, 0.95)).toBe(2);
  });

  it('is the replications until the half-width is below the distance from centre to noise band', () => {
    // Differences -0.2, 0.8 in turn: centre 0.3, s = 0.5270; noise band 0.2, distance 0.1.
    const a = Array(10).fill(10);
    const b = a.map((x, i) => x - 0.2 + (i % 2));
    const got = pairedDifference(a, b, { scale: 'count', better: 'lower', noise: 0.2, comparisons: 2 });
    const level = 0.975;
    const s = Math.sqrt(2.5 / 9);
    let n = 2;
    while ((tQuantile(1 - (1 - level) / 2, n - 1) * s) / Math.sqrt(n) > 0.1) n++;
    expect(got).toMatchObject({ verdict: 'inconclusive', needMore: n - 10 });
  });
});

describe('verdicts', () => {
  it('follow the vectors of the specification, noise 1 %, lower is better', () => {
    const vectors: [number, number, number, string][] = [
      [-0.4, 0.7, 0.15, 'within noise'],
      [0.2, 0.9, 0.55, 'within noise'],
      [0.2, 3.0, 1.6, 'regressed'],
      [0.2, 1.5, 0.85, 'inconclusive'],
      [-3.0, -1.2, -2.1, 'improved'],
      [-2.0, 2.4, 0.2, 'inconclusive'],
      [1.0, 1.0, 1.0, 'within noise'],
    ];
    for (const [lo, hi, centre, want] of vectors)
      expect(verdict({ lo, hi, centre, noise: 1, better: 'lower' }), `[${lo}, ${hi}]`).toBe(want);
  });
});
