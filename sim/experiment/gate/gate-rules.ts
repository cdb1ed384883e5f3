/**
 * The `gate` section of a scenario as rules that can be applied: metrics with noise bands, thresholds with compiled bounds, each with
 * its place in the file. Source: experiments specification 5.2, 5.3.
 */
import { type Problem, UserError } from '../../../control/user-error.ts';
import type { LoadedScenario } from '../../../scenarios/load-scenario.ts';
import { parseThresholdExpression, type ThresholdExpression } from '../../../scenarios/metric-expression.ts';
import { parseScalar } from '../../../scenarios/scalars.ts';
import { bindMetric } from '../../measure/metric-expression.ts';
import type { MetricDefinition, MetricScale } from '../../measure/registry.ts';
import { toRegistryUnit } from '../slo.ts';

export type Severity = 'error' | 'warn';
/** Correction of the level over the metrics of a gate. */
export type Familywise = 'none' | 'bonferroni' | 'holm';

/** Where a rule was written. */
export type RulePlace = Pick<Problem, 'file' | 'line' | 'column'>;

/** A metric that must not get worse. */
export interface MetricRule {
  readonly expr: string;
  readonly metric: MetricDefinition;
  /** How its difference is taken: that of the metric, or `count` where the band has the metric's own unit. */
  readonly scale: MetricScale;
  /** Half-width of the noise band in units of the difference: %, pp, or the metric's registry unit. */
  readonly noise: number;
  readonly level: Severity;
  readonly place: RulePlace;
}

/** A bound on the candidate's value, or on its difference from the baseline or another arm. */
export interface ThresholdRule {
  /** As written. */
  readonly expr: string;
  /** Left of the operator. */
  readonly metricExpr: string;
  readonly metric: MetricDefinition;
  readonly op: ThresholdExpression['op'];
  /** Absolute: registry units. Relative: %, pp, or registry units. */
  readonly bound: number;
  /** null = absolute; `baseline`; else the name of an arm. */
  readonly vs: string | null;
  /** How a relative difference is taken: by the unit of the bound. */
  readonly scale: MetricScale;
  readonly level: Severity;
  readonly place: RulePlace;
}

export interface GateRules {
  /** 0.8..0.999. */
  readonly level: number;
  readonly familywise: Familywise;
  readonly metrics: readonly MetricRule[];
  readonly thresholds: readonly ThresholdRule[];
}

/** Judged where a scenario names no metric. Source: experiments specification 5.3. */
const DEFAULT_METRICS = [
  'turn.ttft.p(50)',
  'turn.ttft.p(99)',
  'session.completion.mean',
  'goodput.sessions',
  'kv.hit.total',
  'tokens.recomputed.total',
  'cost.usdPerSession',
] as const;

/** The rules of a checked scenario. Throws UserError with every problem: E_EXPRESSION, E_THRESHOLD_DIRECTION, E_GATE_ARMS. */
export function gateRules(loaded: LoadedScenario): GateRules {
  const gate = loaded.scenario.gate ?? {};
  const problems: Problem[] = [];
  const collect = <T>(make: () => T): T[] => {
    try {
      return [make()];
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  };
  const written = gate.metrics ?? [];
  const metrics =
    written.length === 0
      ? DEFAULT_METRICS.map((expr) => metricRule({ expr }, loaded, ''))
      : written.flatMap((entry, i) => collect(() => metricRule(entry, loaded, `gate.metrics[${i}]`)));
  const thresholds = (gate.thresholds ?? []).flatMap((entry, i) => collect(() => thresholdRule(entry, loaded, `gate.thresholds[${i}]`)));
  if (problems.length > 0) throw new UserError(problems);
  const level = parseScalar('share', gate.level ?? '95%');
  return { level: level as number, familywise: gate.familywise ?? 'bonferroni', metrics, thresholds };
}

/** Expressions that a run has to measure for these rules, each once. */
export function measuredExprs(rules: GateRules): string[] {
  return [...new Set([...rules.metrics.map((m) => m.expr), ...rules.thresholds.map((t) => t.metricExpr)])];
}

type Written = { readonly expr: string; readonly noise?: number | string; readonly level?: Severity };

function metricRule(entry: Written, loaded: LoadedScenario, path: string): MetricRule {
  const place = path === '' ? {} : placeOf(loaded, `${path}.expr`);
  const bound = bindMetric(entry.expr);
  if ('code' in bound) throw new UserError({ severity: 'error', ...place, path: `${path}.expr`, ...bound });
  const { metric } = bound;
  const level = entry.level ?? 'error';
  if (entry.noise === undefined) return { expr: entry.expr, metric, scale: metric.scale, noise: metric.noise, level, place };
  const noise = /^(\d+(?:\.\d+)?)\s*(%|pp|ms|s|min|h|USD|tok\/s)?$/.exec(String(entry.noise).trim());
  const own = metric.scale === 'ratio' ? '%' : metric.scale === 'proportion' ? 'pp' : '';
  if (noise === null)
    throw new UserError({
      severity: 'error',
      code: 'E_EXPRESSION',
      ...placeOf(loaded, `${path}.noise`),
      path: `${path}.noise`,
      message: `got ${entry.noise}, expected a number of at least 0 with ${own === '' ? 'no unit' : own} or the unit of ${metric.name}`,
      hint: `Write for example ${own === '' ? '2' : `2${own}`}`,
    });
  const [, number, unit = own] = noise;
  if (unit === '%' && metric.scale === 'proportion')
    return { expr: entry.expr, metric, scale: 'ratio', noise: Number(number), level, place };
  if (unit === own) return { expr: entry.expr, metric, scale: metric.scale, noise: Number(number), level, place };
  return { expr: entry.expr, metric, scale: 'count', noise: toRegistryUnit(Number(number), unit), level, place };
}

function thresholdRule(entry: Written, loaded: LoadedScenario, path: string): ThresholdRule {
  const place = placeOf(loaded, `${path}.expr`);
  const problem = (code: string, message: string, hint?: string): never => {
    throw new UserError({ severity: 'error', code, ...place, path: `${path}.expr`, message, ...(hint === undefined ? {} : { hint }) });
  };
  const parsed = parseThresholdExpression(entry.expr);
  if ('code' in parsed) return problem(parsed.code, parsed.message, parsed.hint);
  const { op, unit } = parsed;
  const metricExpr = entry.expr.slice(0, entry.expr.indexOf(op)).trim();
  const bound = bindMetric(metricExpr);
  if ('code' in bound) return problem(bound.code, bound.message, bound.hint);
  const { metric } = bound;
  if (op === '==' && metric.scale !== 'count')
    problem('E_EXPRESSION', `got == on ${metric.name}, expected it on a count only`, 'Write <= or >=');
  const common = { expr: entry.expr, metricExpr, metric, op, level: entry.level ?? 'error', place } as const;
  if (parsed.vs === undefined) return { ...common, bound: toRegistryUnit(parsed.bound, unit), vs: null, scale: 'count' };
  const towards = op === '<' || op === '<=' ? 'lower' : 'higher';
  if (metric.better !== 'none' && op !== '==' && metric.better !== towards)
    problem(
      'E_THRESHOLD_DIRECTION',
      `got ${op}, expected ${metric.better === 'lower' ? '< or <=' : '> or >='}: ${metric.better} is better for ${metric.name}`,
      'Turn the operator around',
    );
  const vs = parsed.vs.replace(/^arm:/, '');
  if (parsed.vs !== 'baseline' && !loaded.arms.some((arm) => arm.name === vs))
    problem('E_GATE_ARMS', `got arm ${vs}, expected one of ${loaded.arms.map((arm) => arm.name).join(', ')}`);
  if (unit === '%') return { ...common, bound: parsed.bound, vs, scale: 'ratio' };
  if (unit === 'pp' && metric.scale !== 'proportion')
    problem('E_EXPRESSION', `got pp on ${metric.name}, which is no share`, 'Write a bound in %, or in the unit of the metric');
  if (unit === 'pp') return { ...common, bound: parsed.bound, vs, scale: 'proportion' };
  return { ...common, bound: toRegistryUnit(parsed.bound, unit), vs, scale: 'count' };
}

function placeOf(loaded: LoadedScenario, path: string): RulePlace {
  const { path: _, ...place } = loaded.locate(path);
  return place;
}
