import { describe, expect, it } from 'vitest';
import { parseMetricExpression, parseThresholdExpression } from './metric-expression.ts';

describe('metric and threshold expressions', () => {
  it('split into metric, tags and aggregate', () => {
    expect(parseMetricExpression('turn.ttft{class:tool,human}.p(99)')).toEqual({
      metric: 'turn.ttft',
      tags: { class: ['tool', 'human'] },
      agg: 'p(99)',
      quantile: 99,
    });
    expect(parseMetricExpression('session.activeTime.mean')).toMatchObject({ metric: 'session.activeTime', agg: 'mean' });
    expect(parseMetricExpression('kv.hit.total')).toMatchObject({ metric: 'kv.hit.total', agg: undefined });
    expect(parseMetricExpression('tokens.recomputed.total.sum')).toMatchObject({ metric: 'tokens.recomputed.total', agg: 'sum' });
  });

  it('read absolute and relative bounds', () => {
    expect(parseThresholdExpression('turn.ttft.p(99) < 800ms')).toMatchObject({ op: '<', bound: 800, unit: 'ms', vs: undefined });
    expect(parseThresholdExpression('goodput.sessions >= -2% vs baseline')).toMatchObject({
      op: '>=',
      bound: -2,
      unit: '%',
      vs: 'baseline',
    });
    expect(parseThresholdExpression('load.imbalance < 1.6')).toMatchObject({ bound: 1.6, unit: '' });
    expect(parseThresholdExpression('kv.hit.total > +1pp vs arm:dynamo-kv+lru')).toMatchObject({
      bound: 1,
      unit: 'pp',
      vs: 'arm:dynamo-kv+lru',
    });
  });

  it.each([
    ['turn.tfft', 'E_SLO_METRIC'],
    ['turn.ttft.p(101)', 'E_EXPRESSION'],
    ['turn.ttft{colour:red}', 'E_EXPRESSION'],
    ['', 'E_EXPRESSION'],
    ['turn.ttft.max.min', 'E_SLO_METRIC'],
  ])('refuse %s', (text, code) => {
    expect(parseMetricExpression(text)).toMatchObject({ code });
  });

  it.each(['turn.ttft', 'turn.ttft < ', 'turn.ttft < 5 parsecs', 'turn.ttft < 5% vs baseline'])('refuse the threshold %s', (text) => {
    expect(parseThresholdExpression(text)).toMatchObject({ code: 'E_EXPRESSION' });
  });
});
