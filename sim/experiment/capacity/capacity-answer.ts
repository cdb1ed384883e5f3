/** What a capacity plan says about its end, and which of its rows are worth a look. */
import { pairedDifference } from '../../measure/statistics.ts';
import type { CapacityDocument } from './capacity-result.ts';

/** 14 without a feasible configuration, 130 when interrupted, 5 when time was up. */
export function exitOfPlan({ answer, maxLoad, stopped, closest }: Omit<CapacityDocument, 'exit'>): CapacityDocument['exit'] {
  if (stopped === 'interrupted') return { code: 130, reasons: ['interrupted: the search is not complete'] };
  if (stopped === 'time') return { code: 5, reasons: ['time is up: the search is not complete'] };
  if (answer !== null || (maxLoad !== null && maxLoad.load > 0)) return { code: 0, reasons: [] };
  return { code: 14, reasons: [closest === null ? 'no configuration is feasible' : `closest: ${closest.config} x ${closest.size}`] };
}

/** A row of a Pareto set: what it costs, and its primary metric by replication. */
export interface ParetoPoint {
  readonly objective: number;
  readonly primary: readonly number[];
}

/**
 * Marks points that no other dominates: at most as dear and at most as slow, better in one, and the paired interval of the primary
 * metric excludes 0 or lies inside the noise band. Source: experiments specification 6.3, 7.
 */
export function paretoOf(
  points: readonly (ParetoPoint | null)[],
  rule: { readonly scale: 'ratio' | 'proportion' | 'count'; readonly better: 'lower' | 'higher' | 'none'; readonly noise: number },
): boolean[] {
  return points.map(
    (point) => point !== null && !points.some((other) => other !== null && other !== point && dominates(other, point, rule)),
  );
}

function dominates(a: ParetoPoint, b: ParetoPoint, rule: Parameters<typeof paretoOf>[1]): boolean {
  if (a.objective > b.objective) return false;
  const n = Math.min(a.primary.length, b.primary.length);
  if (n === 0) return false;
  const difference = pairedDifference(b.primary.slice(0, n), a.primary.slice(0, n), { ...rule, level: 0.95 });
  if (difference.verdict === 'improved') return true;
  return difference.verdict === 'within noise' && a.objective < b.objective;
}
