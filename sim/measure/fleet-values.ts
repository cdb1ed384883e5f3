/** Formulas over workers: load, links, cost and energy. */
import type { WorkerCounters } from '../engine/worker.ts';
import { energyKwh } from '../hardware/prices.ts';
import type { BoundExpression } from './metric-expression.ts';
import { type MetricResult, MS_PER_HOUR, missing, ratio, sum, value } from './metric-result.ts';
import type { RunMeasures, WorkerMeasures } from './run-measures.ts';
import { moments } from './statistics.ts';

/** The workers of the expression's pools. */
export function pooled(bound: BoundExpression, run: RunMeasures): readonly WorkerMeasures[] {
  const pools = bound.tags['pool'];
  return pools === undefined ? run.workers : run.workers.filter((w) => pools.includes(w.pool));
}

/** Sum over the workers of the expression's pools. */
export function counted(bound: BoundExpression, run: RunMeasures, of: (c: WorkerCounters, w: WorkerMeasures) => number): MetricResult {
  return value(sum(pooled(bound, run), (w) => of(w.counters, w)));
}

/** A formula over the busy times of the workers. */
export function busy(bound: BoundExpression, run: RunMeasures, formula: (times: number[], mean: number) => number): MetricResult {
  const times = pooled(bound, run).map((w) => w.counters.busyMs);
  const mean = sum(times, (x) => x) / times.length;
  return mean > 0 ? { value: formula(times, mean), n: times.length } : missing('no worker was busy');
}

/** Busy step time over the window, mean over workers. */
export function utilization(bound: BoundExpression, run: RunMeasures): MetricResult {
  const workers = pooled(bound, run);
  const windowMs = run.window.toMs - run.window.fromMs;
  return ratio(
    sum(workers, (w) => w.counters.busyMs),
    windowMs * workers.length,
    'the window is empty',
    workers.length,
  );
}

/** Bytes over one-way capacity of all host links in the window. */
export function linkShare(
  bound: BoundExpression,
  run: RunMeasures,
  bytesOf: (c: WorkerCounters) => number,
  rateOf: (w: WorkerMeasures) => number,
): MetricResult {
  const workers = pooled(bound, run).filter((w) => w.hostBytes > 0);
  const capacity = sum(workers, (w) => rateOf(w) * (run.window.toMs - run.window.fromMs));
  return ratio(
    sum(workers, (w) => bytesOf(w.counters)),
    capacity,
    'no worker has a host tier',
  );
}

/** GPU-hours provisioned. */
export function gpuHours(run: RunMeasures): number {
  return sum(run.workers, (w) => (w.gpus * w.provisionedMs) / MS_PER_HOUR);
}

/** Price of the fleet per hour, idle included. */
export function usdPerHour(run: RunMeasures): number {
  return sum(run.workers, (w) => w.gpus * w.usdPerGpuHour + (w.hostBytes / 2 ** 30) * run.cost.hostUsdPerGiBHour);
}

/** Cost over the denominator of rates. */
export function costUsd(run: RunMeasures): number {
  return (usdPerHour(run) * run.rateWindowMs) / MS_PER_HOUR;
}

/** Energy of the window, kWh; the idle share is an assumption. */
export function energy(run: RunMeasures): number {
  return sum(run.workers, (w) =>
    w.provisionedMs > 0
      ? energyKwh({
          gpuHours: (w.gpus * w.provisionedMs) / MS_PER_HOUR,
          tdpW: w.tdpW,
          utilization: w.counters.busyMs / w.provisionedMs,
          pue: run.cost.powerPue,
        })
      : 0,
  );
}

/** Standard deviation of all values, not of a sample. */
export function populationSd(values: readonly number[]): number {
  const { sd } = moments(values);
  return sd * Math.sqrt((values.length - 1) / values.length);
}
