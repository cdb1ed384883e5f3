/** What retention costs: the event loop of the agent population under each policy of the retention table, against `lru`. */
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { fleetFigures, scenarioPlan } from './fleet-figures.ts';
import { median } from './median.ts';

/** The event loop under one policy. */
export interface PolicyCost {
  /** Name of the arm in the retention scenario. */
  readonly name: string;
  readonly loopMs: number;
  /** Actions that it sent to workers, per request. */
  readonly actionsPerRequest: number;
}

/**
 * Median time of the event loop of `agents-64` under `sets` for each arm of the retention scenario without admission control, `lru` first;
 * runs are taken in turn after one that is not counted.
 */
export async function retentionCosts(sets: readonly string[], runs: number): Promise<readonly PolicyCost[]> {
  const plan = await scenarioPlan('agents-64', sets);
  const { arms } = await scenarioPlan('retention/pressure', []);
  const trace = await prepareTrace(plan);
  const policies = arms
    .filter((arm) => arm.admission === undefined)
    .map(({ name, retention }) => ({ name, plan: { ...plan, arms: [{ ...plan.arms[0]!, retention }] }, ms: [] as number[], actions: 0 }));
  for (let run = 0; run <= runs; run++) {
    for (const policy of policies) {
      const { loopMs, actionsPerRequest } = fleetFigures(policy.plan, trace);
      policy.actions = actionsPerRequest;
      if (run > 0) policy.ms.push(loopMs);
    }
  }
  return policies.map(({ name, ms, actions }) => ({ name, loopMs: median(ms), actionsPerRequest: actions }));
}
