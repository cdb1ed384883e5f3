/** Metric expressions `metric{tag:value}.agg`, bound to the registry: what may be aggregated and narrowed, and how. */
import { type ExpressionProblem, parseMetricExpression } from '../../scenarios/metric-expression.ts';
import { findMetric, type MetricDefinition } from './registry.ts';

/** How the items of a tally become one number per replication. */
export type Aggregate =
  | { readonly kind: 'mean' | 'min' | 'max' | 'sum' }
  /** Quantile; q in 0..1. `med` is q = 0.5. */
  | { readonly kind: 'quantile'; readonly q: number };

/** A checked expression. */
export interface BoundExpression {
  /** As written. */
  readonly text: string;
  readonly metric: MetricDefinition;
  readonly tags: Readonly<Record<string, readonly string[]>>;
  /** `mean` when none was written. */
  readonly aggregate: Aggregate;
}

/** Parses and checks an expression; problems are data. */
export function bindMetric(text: string): BoundExpression | ExpressionProblem {
  const parsed = parseMetricExpression(text);
  if ('code' in parsed) return parsed;
  const metric = findMetric(parsed.metric);
  if (metric === undefined) throw new Error(`metric ${parsed.metric} is listed in scenarios/metric-names.ts but not in the registry`);
  const foreign = Object.keys(parsed.tags).find((tag) => !metric.tags.some((t) => t === tag));
  if (foreign !== undefined) {
    return { code: 'E_EXPRESSION', message: `got tag ${foreign} on ${metric.name}, expected ${metric.tags.join(', ')}` };
  }
  const aggregate = aggregateOf(parsed.agg, parsed.quantile);
  if (metric.kind !== 'tally' && aggregate.kind !== 'mean') {
    return {
      code: 'E_EXPRESSION',
      message: `got ${parsed.agg} of ${metric.name}, expected no aggregate`,
      hint: `${metric.name} has one value per run: write ${metric.name}`,
    };
  }
  return { text, metric, tags: parsed.tags, aggregate };
}

/** Like {@link bindMetric}, for expressions that were checked before: a problem is our mistake. */
export function boundMetric(text: string): BoundExpression {
  const bound = bindMetric(text);
  if ('code' in bound) throw new Error(`metric expression ${text}: ${bound.message}`);
  return bound;
}

function aggregateOf(agg: string | undefined, percent: number | undefined): Aggregate {
  if (percent !== undefined) return { kind: 'quantile', q: percent / 100 };
  if (agg === 'med') return { kind: 'quantile', q: 0.5 };
  return { kind: (agg ?? 'mean') as 'mean' | 'min' | 'max' | 'sum' };
}
