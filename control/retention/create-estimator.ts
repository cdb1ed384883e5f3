import { FixedEstimator, type TtlEstimator } from './gap-estimators.ts';
import type { EstimatorName } from './lease-parameters.ts';

/** Makes an estimator of retention specification 8.2 with its default parameters. */
export function createEstimator(name: EstimatorName): TtlEstimator {
  void name;
  return new FixedEstimator();
}
