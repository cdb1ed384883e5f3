import { ContinuumCodeEstimator, ContinuumPaperEstimator } from './continuum-estimators.ts';
import { FixedEstimator, SkiEstimator, type TtlEstimator } from './gap-estimators.ts';
import { HazardEstimator } from './hazard-estimator.ts';
import type { EstimatorName } from './lease-parameters.ts';

/** Makes an estimator of retention specification 8.2 with its default parameters. */
export function createEstimator(name: EstimatorName): TtlEstimator {
  switch (name) {
    case 'fixed':
      return new FixedEstimator();
    case 'ski':
      return new SkiEstimator();
    case 'hazard':
      return new HazardEstimator();
    case 'continuum-paper':
      return new ContinuumPaperEstimator();
    case 'continuum-code':
      return new ContinuumCodeEstimator();
  }
}
