/** Objectives: from the expression of a scenario to numbers, and their judgement on intervals. Source: experiments specification 5.2. */
import { parseThresholdExpression } from '../../scenarios/metric-expression.ts';
import type { SloSettings } from '../../scenarios/settings.ts';
import { meetsBound } from '../measure/slo-outcome.ts';
import type { SloPlan } from './run-plan.ts';

/** Registry value = written value * [0] / [1]; a division keeps 95 % the nearest double to 0.95. */
const TO_REGISTRY: Readonly<Record<string, readonly [number, number]>> = {
  ms: [1, 1000],
  s: [1, 1],
  min: [60, 1],
  h: [3600, 1],
  '%': [1, 100],
  pp: [1, 100],
};

/** Compiles an objective; the loader has checked its grammar. */
export function compileSlo(slo: SloSettings): SloPlan {
  const parsed = parseThresholdExpression(slo.expr);
  if ('code' in parsed) throw new Error(`objective ${slo.name} passed the loader but does not parse: ${parsed.message}`);
  const { op } = parsed;
  const left = slo.expr.slice(0, slo.expr.indexOf(op)).trim();
  const bound = toRegistryUnit(parsed.bound, parsed.unit);
  return { name: slo.name, expr: slo.expr, scope: slo.scope, level: slo.level, metric: left, op, bound };
}

/** A written number in the unit of the registry: `ms` and `min` as s, `%` and `pp` as shares; other units are the registry's own. */
export function toRegistryUnit(written: number, unit: string): number {
  const [times, by] = TO_REGISTRY[unit] ?? [1, 1];
  return (written * times) / by;
}

/** Three-valued: pass if the unfavourable end satisfies the bound, fail if even the favourable one violates it, else open. */
export function judge(slo: Pick<SloPlan, 'op' | 'bound'>, lo: number, hi: number): 'pass' | 'fail' | 'open' {
  const low = meetsBound(slo, lo);
  const high = meetsBound(slo, hi);
  if (low && high) return 'pass';
  return !low && !high ? 'fail' : 'open';
}
