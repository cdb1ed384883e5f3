import { describe, expect, it } from 'vitest';
import { DDSketch, sketchKey, sketchValue } from './sketch.ts';

describe('the sketch', () => {
  it('has the keys and values of the specification', () => {
    for (const [x, key, value] of [
      [100, 461, 99.98557],
      [813, 671, 816.513442],
      [60_000, 1101, 60_179.03],
    ] as const) {
      expect(sketchKey(x)).toBe(key);
      expect(Math.abs(sketchValue(key) / value - 1)).toBeLessThan(1e-7);
    }
  });

  it('has keys that agree with the logarithm everywhere but at a bound itself', () => {
    const lnGamma = Math.log(1.005 / 0.995);
    for (let x = 0.0011; x < 1e10; x *= 1.0037) {
      const exact = Math.log(x) / lnGamma;
      if (Math.abs(exact - Math.round(exact)) > 1e-9) expect(sketchKey(x)).toBe(Math.ceil(exact) + 0);
    }
    expect(sketchKey(1e300)).toBe(sketchKey(1e299));
  });

  it('answers quantiles within 0.5 % of an order statistic', () => {
    const sketch = new DDSketch();
    for (let i = 1; i <= 10_000; i++) sketch.add(i / 10);
    for (const q of [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = (1 + Math.floor(q * 9999)) / 10;
      expect(Math.abs(sketch.quantile(q)! / exact - 1)).toBeLessThanOrEqual(0.005 + 1e-9);
    }
    expect(sketch.mean()).toBeCloseTo(500.05, 8);
  });

  it('counts values below a microsecond as zero', () => {
    const sketch = new DDSketch();
    sketch.add(0, 3);
    sketch.add(0.0009);
    sketch.add(5);
    expect([sketch.quantile(0.5), sketch.count]).toEqual([0, 5]);
    expect(sketch.quantile(1)).toBeGreaterThan(4.9);
  });

  it('has no answer before the first value, and refuses what is no duration', () => {
    const sketch = new DDSketch();
    expect([sketch.quantile(0.5), sketch.mean()]).toEqual([null, null]);
    expect(() => sketch.add(-1)).toThrow('sketch');
    expect(() => sketch.add(Number.NaN)).toThrow('sketch');
    expect(() => sketch.addRange(1, -1, 3, 1)).toThrow('sketch');
  });

  it('takes the gaps of a decode run as one range: worked example I1', () => {
    const sketch = new DDSketch();
    sketch.addRange(12.14467902, 0.000434832, 200, 16);
    expect(sketch.count).toBe(3200);
    expect(sketch.mean()).toBeCloseTo(12.18794481, 7);
    expect(Math.abs(sketch.quantile(0.5)! / 12.18794481 - 1)).toBeLessThan(0.005);
    expect([sketch.min, sketch.max]).toEqual([12.14467902, 12.14467902 + 0.000434832 * 199]);
  });

  it('survives the way through plain data', () => {
    const sketch = new DDSketch();
    sketch.add(0);
    sketch.addRange(1, 0.5, 100, 2);
    const copy = DDSketch.fromData(JSON.parse(JSON.stringify(sketch.toData())));
    expect(copy.buckets()).toEqual(sketch.buckets());
    expect([copy.count, copy.sum, copy.quantile(0.9)]).toEqual([sketch.count, sketch.sum, sketch.quantile(0.9)]);
  });
});
