/** Statistical-health findings of a result. Source: experiments specification 3.7. */
import type { Conducted } from './conduct.ts';
import type { ComparisonRow, HealthFinding } from './result.ts';
import type { RunPlan } from './run-plan.ts';

export function findings(_plan: RunPlan, _conducted: Conducted, _comparisons: readonly ComparisonRow[]): HealthFinding[] {
  return [];
}
