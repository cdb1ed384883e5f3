import { expect, it } from 'vitest';
import { compileSlo, judge } from './slo.ts';

const slo = (expr: string) => compileSlo({ name: 'x', expr, scope: 'run', level: 'error' });

it('a bound is read in registry units', () => {
  expect(slo('turn.ttft.p(99) < 800ms')).toMatchObject({ metric: 'turn.ttft.p(99)', op: '<', bound: 0.8 });
  expect(slo('goodput.turns >= 95%')).toMatchObject({ metric: 'goodput.turns', op: '>=', bound: 0.95 });
});

it('judges intervals in three values (experiments 5.2)', () => {
  const s = slo('turn.ttft.p(99) < 800ms');
  expect(judge(s, 0.72, 0.79)).toBe('pass');
  expect(judge(s, 0.72, 0.83)).toBe('open');
  expect(judge(s, 0.81, 0.85)).toBe('fail');
});
