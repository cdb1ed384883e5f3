import { describe, expect, it } from 'vitest';
import type { Result } from '../../sim/experiment/result.ts';
import { reduceSweep } from '../../sim/experiment/sweep.ts';
import { isTtlAxis, TTL_METRICS, ttlCurves } from '../../sim/experiment/ttl-curve.ts';
import { noPaint } from './paint.ts';
import { metricRow, resultOf } from './result.fixture.ts';
import { sweepText } from './sweep.ts';
import { ttlCurveLines } from './ttl-curve.ts';

/** Hits and claimed KV per active of 5 TTLs: steep up to 1m, flat beyond. */
const POINTS = [
  ['10s', 0.4, 0.1],
  ['1m', 0.8, 0.5],
  ['5m', 0.84, 2],
  ['30m', 0.86, 5],
  ['1h', 0.87, 9],
] as const;

function result(i: number, claimed = true): Result {
  const [, hit, held] = POINTS[i]!;
  const values: Readonly<Record<string, number>> = {
    ...{ 'kv.hit.total': hit, 'kv.claimedPerActive': claimed ? held : 0, 'kv.idlePerActive': held },
    ...{ 'turn.ttft.p(50)': 0.3, 'turn.ttft.p(99)': 9, 'cost.usdPerSession': 1.4 },
  };
  const whole = resultOf(2);
  const arms = whole.arms.map((arm, a) => ({ ...arm, runHashes: a === 0 ? ['same'] : [`${i}`] }));
  const metrics = whole.arms.flatMap(({ name }) =>
    TTL_METRICS.map((expr) => metricRow(name, [expr, '1', values[expr]!, values[expr]! / 100])),
  );
  return { ...whole, arms, metrics };
}

const points = (claimed = true) => POINTS.map(([ttl], i) => ({ values: { ttl }, result: result(i, claimed) }));

describe('TTL curve', () => {
  it('is drawn for arms that the TTL changes, with the knee and its interval', () => {
    const curves = ttlCurves('ttl', [...points()].reverse(), 1);
    expect(curves).toHaveLength(1);
    const [curve] = curves;
    expect(curve!.points.map((p) => p.ttl)).toEqual(['10s', '1m', '5m', '30m', '1h']);
    expect(curve).toMatchObject({ price: 'kv.claimedPerActive', knee: { ttl: '1m', lo: '1m', hi: '1m', found: 1 } });
  });

  it('pays with idle KV where nothing is claimed', () => {
    expect(ttlCurves('ttl', points(false), 1)[0]!.price).toBe('kv.idlePerActive');
  });

  it('needs three TTLs that are durations, and a value of every metric for a knee', () => {
    expect(ttlCurves('ttl', points().slice(0, 2), 1)).toEqual([]);
    const named = points().map((p, i) => (i > 1 ? { ...p, values: { ttl: 'hazard' } } : p));
    expect(ttlCurves('ttl', named, 1)).toEqual([]);
    const gap = points().map((p) => ({
      ...p,
      result: { ...p.result, metrics: p.result.metrics.filter((m) => m.expr !== 'kv.hit.total') },
    }));
    expect(ttlCurves('ttl', gap, 1)[0]!.knee).toBeNull();
  });

  it('belongs to paths that end in a TTL', () => {
    expect(['control.retention.with.ttl', 'kvcast-soft.ttl', 'control.retention.with.ttl.tool'].map(isTtlAxis)).toEqual([true, true, true]);
    expect(['fleet.pools.main.workers', 'control.retention.with.maxTtl'].map(isTtlAxis)).toEqual([false, false]);
  });

  it('reads as a table within 100 columns, the knee marked and explained', () => {
    const [curve] = ttlCurves('ttl', points(), 1);
    const lines = ttlCurveLines(curve!, false, noPaint);
    expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(100);
    expect(lines.filter((l) => l.includes('knee'))[0]).toMatch(/^ *1m /);
    expect(lines.join(' ')).toContain('1m in every resample');
    expect(ttlCurveLines({ ...curve!, knee: null }, true, noPaint).join(' ')).toMatch(/^TTL curve of .*No knee/);
  });

  it('stands below the rows of a sweep', () => {
    const axis = { label: 'ttl', path: 'control.retention.with.ttl', values: POINTS.map(([ttl]) => ttl) };
    const sweep = reduceSweep([axis], points(), ['kv.hit.total', 'cost.usdPerSession']);
    expect(sweep.ttl).toHaveLength(1);
    expect(sweepText(sweep, noPaint)).toContain('TTL curve: what ttl buys and what it holds');
    expect(reduceSweep([{ ...axis, path: 'fleet.workers' }], points(), ['kv.hit.total', 'cost.usdPerSession']).ttl).toEqual([]);
  });
});
