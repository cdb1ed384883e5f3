/**
 * Verdicts of a gate on paired values: regressions at a level that holds over all metrics together, thresholds on intervals. Pure.
 * Source: experiments specification 3.3, 5.2, 5.3.
 */
import { meanInterval, type PairedDifference, pairedDifference } from '../../measure/statistics.ts';
import { judge } from '../slo.ts';
import type { CheckRow, GateVerdictRow } from './gate-result.ts';
import type { Familywise, GateRules, MetricRule, ThresholdRule } from './gate-rules.ts';

/** Values by replication in registry units; null = not available. */
export type Values = readonly (number | null)[];

/** Values of an expression on one side. */
export type ValuesOf = (expr: string) => Values;

interface Judged {
  readonly rule: MetricRule;
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
  readonly difference: PairedDifference;
}

/** One row per metric, in the order of the rules. */
export function judgeMetrics(
  rules: Pick<GateRules, 'metrics' | 'level' | 'familywise'>,
  baseline: ValuesOf,
  candidate: ValuesOf,
): GateVerdictRow[] {
  const sides = rules.metrics.map((rule) => ({ rule, ...pairs(baseline(rule.expr), candidate(rule.expr)) }));
  const counts = tests(sides, rules.level, rules.familywise);
  return sides.map((side, i) => verdictRow({ ...side, difference: differenceOf(side, rules.level, counts[i]!) }));
}

/**
 * Among how many tests each metric is judged: the level of its interval is 1 - (1 - level) / tests. Bonferroni: all of them. Holm: as
 * many as were not yet told from 0 when it was its turn; a metric that never was is judged among those that remain.
 */
function tests(sides: readonly Omit<Judged, 'difference'>[], level: number, familywise: Familywise): number[] {
  const m = sides.length;
  if (familywise !== 'holm') return sides.map(() => (familywise === 'none' ? 1 : m));
  const counts: (number | null)[] = sides.map(() => null);
  for (;;) {
    const remaining = counts.filter((count) => count === null).length;
    const told = sides.map((side, i) => counts[i] === null && isToldFromZero(differenceOf(side, level, remaining)));
    if (remaining === 0 || !told.includes(true)) return counts.map((count) => count ?? Math.max(1, remaining));
    for (const [i, isTold] of told.entries()) if (isTold) counts[i] = remaining;
  }
}

function isToldFromZero({ adjusted: { lo, hi } }: PairedDifference): boolean {
  return lo !== null && hi !== null && (lo > 0 || hi < 0);
}

function differenceOf({ rule, baseline, candidate }: Omit<Judged, 'difference'>, level: number, comparisons: number): PairedDifference {
  return pairedDifference(baseline, candidate, { scale: rule.scale, better: rule.metric.better, noise: rule.noise, level, comparisons });
}

function verdictRow({ rule, baseline, candidate, difference: d }: Judged): GateVerdictRow {
  const { metric } = rule;
  const own = meanInterval(baseline);
  return {
    expr: rule.expr,
    unit: d.unit === '' ? metric.unit : d.unit,
    delta: d.delta,
    lo: d.adjusted.lo,
    hi: d.adjusted.hi,
    level: d.adjusted.level,
    noise: d.noise,
    // Without an interval nothing can be told: that must not look like a pass.
    verdict: d.verdict ?? (metric.better === 'none' ? null : 'inconclusive'),
    severity: rule.level,
    scale: rule.scale,
    metricUnit: metric.unit,
    metricScale: metric.scale,
    baseline: own.mean,
    candidate: meanInterval(candidate).mean,
    halfWidth: own.halfWidth,
    pairs: d.n,
    needMore: d.needMore,
    ...(d.note === undefined ? {} : { note: d.note }),
    ...rule.place,
  };
}

/** Values that both sides have, by replication. */
function pairs(baseline: Values, candidate: Values): { readonly baseline: readonly number[]; readonly candidate: readonly number[] } {
  const both = baseline
    .slice(0, candidate.length)
    .map((value, r) => [value, candidate[r]!] as const)
    .filter((pair): pair is readonly [number, number] => pair[0] !== null && pair[1] !== null);
  return { baseline: both.map(([a]) => a), candidate: both.map(([, b]) => b) };
}

/** One row per threshold: pass if the unfavourable end of the interval satisfies the bound, fail if even the favourable one does not. */
export function judgeThresholds(
  rules: Pick<GateRules, 'thresholds' | 'level'>,
  baseline: ValuesOf,
  candidate: ValuesOf,
  arm: (name: string) => ValuesOf,
): CheckRow[] {
  return rules.thresholds.map((rule) => {
    const { value, lo, hi, unit } = quantityOf(
      rule,
      rules.level,
      candidate,
      rule.vs === null || rule.vs === 'baseline' ? baseline : arm(rule.vs),
    );
    // One replication, or none: the value alone passes or fails nothing.
    const verdict = lo === null || hi === null ? 'open' : judge(rule, lo, hi);
    return {
      expr: rule.expr,
      level: rule.level,
      lo,
      hi,
      verdict,
      value,
      unit,
      metric: rule.metricExpr,
      metricScale: rule.metric.scale,
      relative: rule.vs !== null,
      ...rule.place,
    };
  });
}

function quantityOf(rule: ThresholdRule, level: number, candidate: ValuesOf, reference: ValuesOf) {
  const own = candidate(rule.metricExpr);
  if (rule.vs === null) {
    const { mean, lo, hi } = meanInterval(
      own.filter((v): v is number => v !== null),
      level,
    );
    return { value: mean, lo, hi, unit: rule.metric.unit };
  }
  const both = pairs(reference(rule.metricExpr), own);
  const d = pairedDifference(both.baseline, both.candidate, { scale: rule.scale, better: 'none', level });
  return { value: d.delta, lo: d.lo, hi: d.hi, unit: d.unit === '' ? rule.metric.unit : d.unit };
}
