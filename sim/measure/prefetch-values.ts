/** Formulas over what was brought up ahead of its use. Source: retention specification 9.4. */
import { pooled } from './fleet-values.ts';
import type { BoundExpression } from './metric-expression.ts';
import { type MetricResult, missing, ratio, sum, value } from './metric-result.ts';
import type { PrefetchTotals, RunMeasures } from './run-measures.ts';

/** Bytes of the blocks that `of` counts, over the workers of the expression's pools. */
export function prefetched(bound: BoundExpression, run: RunMeasures, of: (p: PrefetchTotals) => number): MetricResult {
  if (run.workers.every((w) => w.prefetch === undefined)) return missing('prefetches were not watched');
  return value(bytes(bound, run, of));
}

/** Used bytes / prefetched bytes. */
export function prefetchPrecision(bound: BoundExpression, run: RunMeasures): MetricResult {
  const moved = bytes(bound, run, (p) => p.movedBlocks);
  return ratio(
    bytes(bound, run, (p) => p.usedBlocks),
    moved,
    'nothing was prefetched',
  );
}

/** Mean over prefetches that were used, s. */
export function prefetchLateness(bound: BoundExpression, run: RunMeasures): MetricResult {
  const workers = pooled(bound, run);
  const used = sum(workers, (w) => w.prefetch?.usedPrefetches ?? 0);
  return ratio(sum(workers, (w) => w.prefetch?.lateMs ?? 0) / 1000, used, 'no prefetch was used', used);
}

function bytes(bound: BoundExpression, run: RunMeasures, of: (p: PrefetchTotals) => number): number {
  return sum(pooled(bound, run), (w) => (w.prefetch === undefined ? 0 : of(w.prefetch) * w.blockBytes));
}
