import { describe, expect, it } from 'vitest';
import { normal, Stream, uniformInteger } from '../kernel/draw.ts';
import { quantile } from './quantile.ts';
import { type SessionItems, sessionBootstrap } from './session-bootstrap.ts';

/** Sessions with a level of their own; arm B is 10 % slower, turn by turn. */
function arms(sessions: number, turns: number): [SessionItems, SessionItems] {
  const stream = new Stream('1/0/bootstrap/test');
  const values = new Float64Array(sessions * turns);
  for (let s = 0; s < sessions; s++) {
    const level = 10 + normal(stream);
    for (let t = 0; t < turns; t++) values[s * turns + t] = level + 0.1 * normal(stream);
  }
  const offsets = Int32Array.from({ length: sessions + 1 }, (_, s) => s * turns);
  return [
    { offsets, values },
    { offsets, values: values.map((x) => 1.1 * x) },
  ];
}

describe('the session bootstrap', () => {
  it('draws the same sessions for all arms, so that a constant factor has no spread', () => {
    const [a, b] = arms(40, 25);
    const stream = new Stream('1/0/bootstrap/index');
    const got = sessionBootstrap([a, b], { statistic: { kind: 'mean' }, scale: 'ratio', baseline: 0, stream, resamples: 500 });
    expect(got.differences[0]).toBeNull();
    for (const end of ['value', 'lo', 'hi'] as const) expect(got.differences[1]![end]).toBeCloseTo(10, 9);
    expect(got.label).toBe('conditional on this run');
  });

  it('is as wide as the sessions differ, not as the turns do', () => {
    const [a] = arms(40, 25);
    const stream = new Stream('1/0/bootstrap/index');
    const got = sessionBootstrap([a], { statistic: { kind: 'mean' }, scale: 'ratio', baseline: 0, stream }).arms[0]!;
    // Standard error of a mean of 40 session levels with spread 1: 0.158; of 1,000 independent turns it would be 0.03.
    const halfWidth = (got.hi! - got.lo!) / 2;
    expect(halfWidth).toBeGreaterThan(0.2);
    expect(halfWidth).toBeLessThan(0.42);
    expect(got.lo! < 10.2 && got.hi! > 9.8).toBe(true);
  });

  it('computes quantiles as if drawn sessions stood in the data as often as they were drawn', () => {
    const stream = new Stream('2/0/bootstrap/test');
    const values = Float64Array.from({ length: 30 }, () => uniformInteger(stream, 0, 1000));
    const items = { offsets: Int32Array.of(0, 4, 4, 13, 30), values };
    const resamples = 200;
    const got = sessionBootstrap([items], {
      statistic: { kind: 'quantile', q: 0.9 },
      scale: 'ratio',
      baseline: 0,
      stream: new Stream('2/0/bootstrap/index'),
      resamples,
    }).arms[0]!;
    const again = new Stream('2/0/bootstrap/index');
    const naive: number[] = [];
    for (let b = 0; b < resamples; b++) {
      const all: number[] = [];
      for (let i = 0; i < 4; i++) {
        const s = Math.floor(again.double() * 4);
        all.push(...values.slice(items.offsets[s], items.offsets[s + 1]));
      }
      const value = quantile(all, 0.9);
      if (value !== null) naive.push(value);
    }
    expect(got.value).toBe(quantile(values, 0.9));
    expect(got.lo).toBeCloseTo(quantile(naive, 0.025)!, 9);
    expect(got.hi).toBeCloseTo(quantile(naive, 0.975)!, 9);
  });

  it('refuses arms with different sessions', () => {
    const [a] = arms(4, 2);
    const [b] = arms(5, 2);
    const options = { statistic: { kind: 'sum' }, scale: 'count', baseline: 0, stream: new Stream('x') } as const;
    expect(() => sessionBootstrap([a, b], options)).toThrow('different sessions');
  });
});
