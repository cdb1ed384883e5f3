/** A sweep: the points of one or more axes, each simulated like a `run`, and every row compared with the best on equal workloads. */
import { boundMetric } from '../measure/metric-expression.ts';
import { pairedDifference } from '../measure/statistics.ts';
import { strongestExit } from './exit-state.ts';
import type { Result, Verdict } from './result.ts';
import { RESULT_FORMAT } from './result.ts';
import { isTtlAxis, type TtlCurve, ttlCurves } from './ttl-curve.ts';

/** One row: a point and an arm of it. */
export interface SweepRow {
  readonly point: number;
  /** Axis label -> value as written. */
  readonly values: Readonly<Record<string, string>>;
  readonly arm: string;
  /** Paired with the best row; null for the best itself or where workloads differ. */
  readonly vsBest: {
    readonly delta: number;
    readonly lo: number;
    readonly hi: number;
    readonly unit: string;
    readonly verdict: Verdict | null;
  } | null;
  /** No other row is better or equal in both axes of the Pareto set and better in one. */
  readonly pareto: boolean;
}

/** Document of a sweep; points hold whole results. */
export interface SweepResult {
  readonly formatVersion: string;
  readonly kvcastVersion: string;
  readonly command: 'sweep';
  readonly axes: readonly { readonly label: string; readonly path: string; readonly values: readonly string[] }[];
  /** The best row, chosen after the fact. */
  readonly best: number | null;
  readonly primary: string;
  readonly paretoAxes: readonly [string, string];
  readonly rows: readonly SweepRow[];
  /** What a TTL buys, where the sweep has one axis and that is a TTL. */
  readonly ttl: readonly TtlCurve[];
  readonly points: readonly { readonly values: Readonly<Record<string, string>>; readonly result: Result }[];
  readonly exit: { readonly code: number; readonly reasons: readonly string[] };
}

/** Builds the document from the finished points. Pure. */
export function reduceSweep(
  axes: SweepResult['axes'],
  points: readonly { readonly values: Readonly<Record<string, string>>; readonly result: Result }[],
  paretoAxes: readonly [string, string],
  asked: { readonly points: number; readonly interrupted: boolean } = { points: points.length, interrupted: false },
): SweepResult {
  const primary = points[0]!.result.scenario.primary;
  const { metric } = boundMetric(primary);
  const flat = points.flatMap((p, i) => p.result.arms.map((arm) => ({ point: i, values: p.values, arm: arm.name, result: p.result })));
  const mean = (row: (typeof flat)[number], expr: string): number | null =>
    row.result.metrics.find((m) => m.arm === row.arm && m.expr === expr)?.mean ?? null;
  const sign = metric.better === 'higher' ? -1 : 1;
  let best: number | null = null;
  flat.forEach((row, i) => {
    const value = mean(row, primary);
    if (value !== null && (best === null || sign * value < sign * mean(flat[best]!, primary)!)) best = i;
  });
  const rows = flat.map(
    (row, i): SweepRow => ({
      point: row.point,
      values: row.values,
      arm: row.arm,
      vsBest: best === null || i === best ? null : against(flat[best]!, row, primary),
      pareto: isPareto(
        flat.map((r) => paretoAxes.map((axis) => oriented(axis, mean(r, axis)))),
        i,
      ),
    }),
  );
  return {
    formatVersion: RESULT_FORMAT,
    kvcastVersion: points[0]!.result.kvcastVersion,
    command: 'sweep',
    axes,
    best,
    primary,
    paretoAxes,
    rows,
    ttl: axes.length === 1 && isTtlAxis(axes[0]!.path) ? ttlCurves(axes[0]!.label, points, points[0]!.result.scenario.seed) : [],
    points,
    exit: sweepExit(points, asked),
  };
}

function sweepExit(points: SweepResult['points'], asked: { readonly points: number; readonly interrupted: boolean }): SweepResult['exit'] {
  const reasons = points.flatMap((point) =>
    point.result.exit.reasons.map(
      (r) =>
        `${Object.entries(point.values)
          .map(([axis, value]) => `${axis}=${value}`)
          .join(' ')}: ${r}`,
    ),
  );
  if (asked.interrupted) reasons.unshift(`interrupted: ${points.length} of ${asked.points} points`);
  return { code: strongestExit([asked.interrupted ? 130 : 0, ...points.map((point) => point.result.exit.code)]), reasons };
}

type Flat = { readonly arm: string; readonly result: Result };

function against(best: Flat, row: Flat, expr: string): SweepRow['vsBest'] {
  const same = JSON.stringify(best.result.workload.workloadHashes) === JSON.stringify(row.result.workload.workloadHashes);
  if (!same) return null;
  const { metric } = boundMetric(expr);
  const values = (r: Flat): readonly (number | null)[] => r.result.metrics.find((m) => m.arm === r.arm && m.expr === expr)?.values ?? [];
  const a = values(best);
  const b = values(row);
  const pairs = a.flatMap((x, i) => (x === null || b[i] == null ? [] : [[x, b[i]!] as const]));
  const d = pairedDifference(
    pairs.map((p) => p[0]),
    pairs.map((p) => p[1]),
    { scale: metric.scale, better: metric.better, noise: metric.noise },
  );
  if (d.delta === null || d.lo === null || d.hi === null) return null;
  return { delta: d.delta, lo: d.lo, hi: d.hi, unit: d.unit === '' ? metric.unit : d.unit, verdict: d.verdict };
}

/** Smaller is better. */
function oriented(expr: string, value: number | null): number {
  if (value === null) return Number.POSITIVE_INFINITY;
  return boundMetric(expr).metric.better === 'higher' ? -value : value;
}

function isPareto(points: readonly (readonly number[])[], i: number): boolean {
  const me = points[i]!;
  if (me.some((v) => !Number.isFinite(v))) return false;
  return !points.some((other, j) => j !== i && other.every((v, k) => v <= me[k]!) && other.some((v, k) => v < me[k]!));
}
