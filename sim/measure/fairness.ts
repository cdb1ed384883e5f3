/** Evenness: over workers, and over the tenants of a run. */
import { itemFilter } from './item-values.ts';
import type { BoundExpression } from './metric-expression.ts';
import { type MetricResult, missing, sum } from './metric-result.ts';
import type { RunMeasures } from './run-measures.ts';
import { TURN_STATUS } from './turn-table.ts';

/** What an output token counts beside a prompt token. Source: Sheng et al., Fairness in Serving LLMs (OSDI 2024), w_p = 1, w_q = 2. */
const OUTPUT_WEIGHT = 2;

/** Jain's index (sum x)^2 / (n sum x^2), 1/n..1; NaN where all are 0. */
export function jainIndex(values: readonly number[]): number {
  const mean = sum(values, (x) => x) / values.length;
  return (values.length * mean * mean) / sum(values, (x) => x * x);
}

/**
 * Jain's index over tenants of the tokens served to them, prompt + 2 x output of turns that finished, per session with a turn in the
 * window: so a tenant that sends more sessions is not better served.
 */
export function tenantFairness(bound: BoundExpression, run: RunMeasures): MetricResult {
  const { turns, labels } = run;
  const filter = itemFilter(bound.tags, run);
  const tokens = labels.tenantNames.map(() => 0);
  const sessions = labels.tenantNames.map(() => new Set<number>());
  for (let turn = 0; turn < turns.count; turn++) {
    if (!filter.turn(turn)) continue;
    const session = labels.session[turn]!;
    const tenant = labels.tenant[session]!;
    sessions[tenant]!.add(session);
    if (turns.status[turn] === TURN_STATUS.finished)
      tokens[tenant]! += turns.promptTokens[turn]! + OUTPUT_WEIGHT * turns.outputTokens[turn]!;
  }
  const served = tokens.flatMap((of, tenant) => (sessions[tenant]!.size === 0 ? [] : [of / sessions[tenant]!.size]));
  if (served.length < 2) return missing('needs two tenants with a turn');
  const evenness = jainIndex(served);
  return Number.isNaN(evenness) ? missing('nothing was served') : { value: evenness, n: served.length };
}
