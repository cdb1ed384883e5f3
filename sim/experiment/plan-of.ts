/** From a loaded scenario to a plan, without a simulator: `check` compiles every arm and runs none. */
import { UserError } from '../../control/user-error.ts';
import type { LoadedScenario } from '../../scenarios/load-scenario.ts';
import { compilePlan } from './compile.ts';
import type { RunPlan } from './run-plan.ts';

export interface PlanOptions {
  /** Metric expressions beside those of the scenario. */
  readonly metrics: readonly string[];
  readonly onlyArm?: string;
  readonly baseline?: string;
}

/** The plan of a loaded scenario under the options of a command. Throws UserError: E_BASELINE_UNKNOWN, and what compilePlan throws. */
export function planOf(loaded: LoadedScenario, options: PlanOptions): RunPlan {
  const arms = options.onlyArm === undefined ? loaded.arms : loaded.arms.filter((a) => a.name === options.onlyArm);
  const known = loaded.arms.map((a) => a.name);
  for (const name of [options.onlyArm, options.baseline]) {
    if (name !== undefined && !known.includes(name))
      throw new UserError({
        severity: 'error',
        code: 'E_BASELINE_UNKNOWN',
        message: `got arm ${name}, expected one of ${known.join(', ')}`,
      });
  }
  const baseline = options.baseline ?? (arms.some((a) => a.name === loaded.baseline) ? loaded.baseline : arms[0]!.name);
  return compilePlan(
    {
      pointId: loaded.pointId,
      base: loaded.read,
      arms: arms.map((a) => ({ name: a.name, settings: a.read, place: (path) => a.locate(path) })),
      baseline,
      place: (path) => loaded.locate(path),
    },
    options.metrics,
  );
}
