import { expect, test } from 'vitest';
import { exp } from '../math.ts';
import { expNonPositive, SoftmaxPicker } from './softmax.ts';

test('the exponential agrees with the ported one to 2 ulp from 0 to underflow', () => {
  for (const x of [0, -0.0001, -0.3465, -0.3466, -1, -37.5, -700, -708]) {
    for (let i = 0; i < 2000; i++) {
      const y = x * (1 + i / 5000) - i * 1e-5;
      if (y < -708) continue;
      const expected = exp(y);
      expect(Math.abs(expNonPositive(y) - expected)).toBeLessThanOrEqual(2 * 2.22045e-16 * expected);
    }
  }
  expect([expNonPositive(0), expNonPositive(-746), expNonPositive(-1e300)]).toEqual([1, 0, 0]);
});

test('probabilities and cumulative choice of the three ranks of router:E2', () => {
  const costs = [700, 465, 370];
  const probabilities = (T: number): number[] =>
    [0, 0.2, 1].map((u, i) => {
      const picker = new SoftmaxPicker();
      const chosen = picker.choose(Float64Array.from(costs), 3, T, T === 1 ? [0, 0.3, 1][i]! : u);
      expect(chosen).toBe(i);
      return Math.round(picker.probability * 1e4) / 1e4;
    });
  expect(probabilities(0.5)).toEqual([0.0797, 0.3312, 0.5891]);
  expect(probabilities(1)).toEqual([0.1737, 0.3541, 0.4722]);
});

test('equal costs are uniform, and a draw equal to a cumulative value takes the earlier row', () => {
  const picker = new SoftmaxPicker();
  const choose = (u: number): number => picker.choose(Float64Array.from([5, 5, 5, 5]), 4, 0.5, u);
  expect([choose(0), choose(0.25), choose(0.26), choose(0.5), choose(0.99)]).toEqual([0, 0, 1, 1, 3]);
  expect(picker.probability).toBe(0.25);
});

test('weights, probability and choice are bit by bit those of a plain sum over rows', () => {
  const picker = new SoftmaxPicker();
  let state = 7;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let round = 0; round < 400; round++) {
    const n = 1 + Math.floor(next() * (round % 3 === 0 ? 3 : 600));
    const levels = round % 5 === 0 ? 3 : 1e6;
    const temperature = [0.0005, 1 / 11, 0.5, 0.0909, 20][round % 5]!;
    const costs = Float64Array.from({ length: n }, () => (Math.floor(next() * levels) / levels) * 10 ** (round % 7));
    const u = [0, 1, next(), next()][round % 4]!;
    const [least, most] = [Math.min(...costs), Math.max(...costs)];
    const width = (most - least) * temperature;
    const weights = costs.map((cost) => (width > 0 ? expNonPositive((least - cost) / width) : 1));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    let expected = 0;
    for (; expected < n - 1; expected++) if (u * total <= (sum += weights[expected]!)) break;
    expect(picker.choose(costs, n, temperature, u)).toBe(expected);
    expect(costs).toEqual(weights);
    expect(picker.probability).toBe(weights[expected]! / total);
  }
});
