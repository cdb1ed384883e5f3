/** Metric and threshold expressions. Grammar: experiments specification 5.2. */
import { METRIC_NAMES } from './metric-names.ts';
import { didYouMean } from './spelling.ts';

/** `metric{tag:value,...}.agg`. */
export interface MetricExpression {
  readonly metric: string;
  readonly tags: Readonly<Record<string, readonly string[]>>;
  /** mean, min, max, sum, med or p(q); undefined when not given. */
  readonly agg: string | undefined;
  /** Percent of p(q), 0..100. */
  readonly quantile: number | undefined;
}

/** `expr op bound`. */
export interface ThresholdExpression extends MetricExpression {
  readonly op: '<' | '<=' | '>' | '>=' | '==';
  readonly bound: number;
  readonly unit: string;
  /** Relative bounds: against the baseline or another arm. */
  readonly vs: string | undefined;
}

/** Why an expression was refused. */
export interface ExpressionProblem {
  readonly code: 'E_SLO_METRIC' | 'E_EXPRESSION';
  readonly message: string;
  readonly hint?: string;
}

const AGG = String.raw`mean|min|max|sum|med|p\(\d+(?:\.\d+)?\)`;
const METRIC = new RegExp(String.raw`^([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*?)(\{[^{}]*\})?(?:\.(${AGG}))?$`);
const BOUND = /^([+-]?)(\d+(?:\.\d+)?)\s*(ms|s|min|h|%|pp|USD|tok\/s)?(?:\s+vs\s+(baseline|arm:\S+))?$/;
const TAGS = new Set(['class', 'tenant', 'pool', 'arm']);

/** Parses a metric expression against the registry's names. */
export function parseMetricExpression(text: string): MetricExpression | ExpressionProblem {
  const match = METRIC.exec(text.trim());
  if (match === null) return badExpression(text, 'a metric expression', 'Write for example turn.ttft.p(95) or turn.ttft{class:tool}.mean');
  const [, metric, tagText, agg] = match;
  if (!METRIC_NAMES.includes(metric!)) {
    const hint = didYouMean(metric!, METRIC_NAMES);
    return { code: 'E_SLO_METRIC', message: `got metric ${metric}, expected a registry name`, ...(hint === undefined ? {} : { hint }) };
  }
  const tags = parseTags(tagText);
  if (tags === undefined) return badExpression(text, 'tags {tag:value,...} of class, tenant, pool or arm');
  const quantile = agg?.startsWith('p(') ? Number(agg.slice(2, -1)) : undefined;
  if (quantile !== undefined && quantile > 100) return badExpression(text, 'a percentile 0..100');
  return { metric: metric!, tags, agg, quantile };
}

/** Parses `turn.ttft.p(95) < 3s`, `goodput.sessions >= -2% vs baseline`. */
export function parseThresholdExpression(text: string): ThresholdExpression | ExpressionProblem {
  const match = /^(.*?)\s*(<=|>=|==|<|>)\s*(.*)$/.exec(text.trim());
  if (match === null) return badExpression(text, 'metric op bound', 'Write for example "turn.ttft.p(95) < 3s"');
  const metric = parseMetricExpression(match[1]!);
  if ('code' in metric) return metric;
  const bound = BOUND.exec(match[3]!);
  const example = 'Write a number with ms, s, min, h, %, pp, USD, tok/s or no unit, or +5% vs baseline';
  if (bound === null) return badExpression(match[3]!, 'a bound', example);
  const [, sign, number, unit, vs] = bound;
  if (vs !== undefined && sign === '') return badExpression(match[3]!, 'a signed relative bound', 'Write for example +5% vs baseline');
  return { ...metric, op: match[2] as ThresholdExpression['op'], bound: Number(`${sign}${number}`), unit: unit ?? '', vs };
}

function badExpression(got: string, expected: string, hint?: string): ExpressionProblem {
  return { code: 'E_EXPRESSION', message: `got ${got === '' ? '""' : got}, expected ${expected}`, ...(hint === undefined ? {} : { hint }) };
}

function parseTags(text: string | undefined): Record<string, string[]> | undefined {
  const tags: Record<string, string[]> = {};
  if (text === undefined) return tags;
  let current: string | undefined;
  for (const part of text.slice(1, -1).split(',')) {
    const [name, value] = part.includes(':') ? part.split(':', 2) : [current, part];
    current = name?.trim();
    if (current === undefined || !TAGS.has(current) || value === undefined || value.trim() === '') return undefined;
    (tags[current] ??= []).push(value.trim());
  }
  return tags;
}
