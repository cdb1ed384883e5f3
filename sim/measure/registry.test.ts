import { describe, expect, it } from 'vitest';
import { METRIC_NAMES } from '../../scenarios/metric-names.ts';
import { bindMetric } from './metric-expression.ts';
import { DEFAULT_NOISE, findMetric, METRICS } from './registry.ts';
import { pairedDifference } from './statistics.ts';

describe('the registry', () => {
  it('has exactly the names that scenarios may use', () => {
    expect(METRICS.map((m) => m.name).sort()).toEqual([...METRIC_NAMES].sort());
    expect(new Set(METRICS.map((m) => m.name)).size).toBe(METRICS.length);
  });

  it('defines every metric: unit, definition, default noise by scale', () => {
    for (const metric of METRICS) {
      expect(metric.definition.length, metric.name).toBeGreaterThan(5);
      expect(metric.unit, metric.name).not.toBe('');
      expect(metric.noise, metric.name).toBe(DEFAULT_NOISE[metric.scale]);
      expect(findMetric(metric.name)).toBe(metric);
    }
    expect(DEFAULT_NOISE).toEqual({ ratio: 1, proportion: 0.5, count: 0 });
  });

  it('shows gaps in milliseconds and shares in percent', () => {
    expect(findMetric('turn.itl')).toMatchObject({ unit: 's', display: { unit: 'ms', factor: 1000 } });
    expect(findMetric('kv.hit.total')).toMatchObject({ unit: '1', display: { unit: '%', factor: 100 } });
    expect(findMetric('turn.ttft')!.display).toEqual({ unit: 's', factor: 1 });
  });

  it('a scripted worse arm is judged `regressed` for every metric with a direction', () => {
    for (const { name, better, scale } of METRICS) {
      if (better === 'none') continue;
      const base = [0.5, 0.52, 0.51, 0.49, 0.5];
      const worse = base.map((x) => (better === 'lower' ? x * 1.5 : x / 1.5));
      expect(pairedDifference(base, worse, { scale, better }).verdict, name).toBe('regressed');
    }
  });
});

describe('expressions', () => {
  it('bind to a metric, tags and an aggregate', () => {
    expect(bindMetric('turn.ttft{class:tool}.p(99)')).toMatchObject({
      metric: findMetric('turn.ttft'),
      tags: { class: ['tool'] },
      aggregate: { kind: 'quantile', q: 0.99 },
    });
    expect(bindMetric('session.activeTime.mean')).toMatchObject({ aggregate: { kind: 'mean' } });
    expect(bindMetric('session.activeTime')).toMatchObject({ aggregate: { kind: 'mean' } });
    expect(bindMetric('turn.queue.med')).toMatchObject({ aggregate: { kind: 'quantile', q: 0.5 } });
  });

  it('report an unknown metric with what was meant', () => {
    expect(bindMetric('turn.tfft')).toEqual({
      code: 'E_SLO_METRIC',
      message: 'got metric turn.tfft, expected a registry name',
      hint: expect.stringContaining('Did you mean "turn.ttft"'),
    });
  });

  it('refuse an aggregate of a single value and a tag that does not apply', () => {
    expect(bindMetric('kv.hit.total.p(99)')).toMatchObject({ code: 'E_EXPRESSION', hint: expect.stringContaining('one value per run') });
    expect(bindMetric('kv.hit.total.mean')).toMatchObject({ aggregate: { kind: 'mean' } });
    expect(bindMetric('session.completion{pool:main}')).toMatchObject({ code: 'E_EXPRESSION' });
    expect(bindMetric('turn.ttft{colour:red}')).toMatchObject({ code: 'E_EXPRESSION' });
  });
});
