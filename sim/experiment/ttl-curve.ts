/**
 * What a time to live buys and costs: a sweep over one duration of a retention policy, read as a curve. Never a single best number: the
 * knee comes with its interval, and only where the curve bends. Source: issue "TTL answers"; retention specification 12 (storage ratio).
 */
import { parseScalar } from '../../scenarios/scalars.ts';
import { Stream } from '../kernel/draw.ts';
import { type KneeInterval, kneeInterval } from '../measure/knee.ts';
import type { Result } from './result.ts';

/** Metrics of a curve in the order of its columns. */
export const TTL_METRICS = [
  'kv.hit.total',
  'kv.claimedPerActive',
  'kv.idlePerActive',
  'turn.ttft.p(50)',
  'turn.ttft.p(99)',
  'cost.usdPerSession',
] as const;
const GAIN = 'kv.hit.total';

/** One TTL of a curve. Means with 95 % intervals, by metric of {@link TTL_METRICS}; null = not available. */
export interface TtlPoint {
  /** As written, and in ms. */
  readonly ttl: string;
  readonly ttlMs: number;
  readonly metrics: Readonly<Record<string, { readonly mean: number | null; readonly lo: number | null; readonly hi: number | null }>>;
}

/** The curve of one arm, by ascending TTL. */
export interface TtlCurve {
  readonly axis: string;
  readonly arm: string;
  readonly points: readonly TtlPoint[];
  /** What is paid for the hits: KV under claims, or all idle KV where the policy claims none, per active KV. */
  readonly price: 'kv.claimedPerActive' | 'kv.idlePerActive';
  /** Where the curve bends; null if it does not, or where a value is missing. */
  readonly knee: { readonly ttl: string; readonly lo: string; readonly hi: string; readonly level: number; readonly found: number } | null;
}

/** Whether a sweep over this path asks about a TTL. */
export function isTtlAxis(path: string): boolean {
  return /(^|\.)ttl(\.(tool|human|join))?$/.test(path);
}

/** Curves of the arms that a sweep over one TTL changes; points without a finite TTL are left out. Empty below three points. */
export function ttlCurves(
  axis: string,
  points: readonly { readonly values: Readonly<Record<string, string>>; readonly result: Result }[],
  seed: number,
): TtlCurve[] {
  const timed = points.flatMap((point) => {
    const ttlMs = parseScalar('duration', point.values[axis], false);
    return typeof ttlMs === 'number' ? [{ ttl: point.values[axis]!, ttlMs, result: point.result }] : [];
  });
  if (timed.length < 3) return [];
  timed.sort((a, b) => a.ttlMs - b.ttlMs);
  // An arm whose policy has no such TTL runs the same at every point.
  const hashes = (t: Timed, arm: string): string => t.result.arms.find((a) => a.name === arm)!.runHashes.join();
  const changing = timed[0]!.result.arms.filter(({ name }) => new Set(timed.map((t) => hashes(t, name))).size > 1);
  return changing.map(({ name }) => curveOf(axis, name, timed, seed));
}

type Timed = { readonly ttl: string; readonly ttlMs: number; readonly result: Result };

function curveOf(axis: string, arm: string, timed: readonly Timed[], seed: number): TtlCurve {
  const rowOf = (t: Timed, expr: string) => t.result.metrics.find((m) => m.arm === arm && m.expr === expr);
  const points = timed.map((t): TtlPoint => {
    const metrics = TTL_METRICS.map((expr) => {
      const row = rowOf(t, expr);
      return [expr, { mean: row?.mean ?? null, lo: row?.lo ?? null, hi: row?.hi ?? null }] as const;
    });
    return { ttl: t.ttl, ttlMs: t.ttlMs, metrics: Object.fromEntries(metrics) };
  });
  const isClaimed = points.some((p) => (p.metrics['kv.claimedPerActive']!.mean ?? 0) > 0);
  const price = isClaimed ? 'kv.claimedPerActive' : 'kv.idlePerActive';
  const byReplication = (expr: string) => transposed(timed.map((t) => rowOf(t, expr)?.values ?? []));
  const x = byReplication(price);
  const y = byReplication(GAIN);
  const knee = x === null || y === null ? null : kneeInterval(x, y, new Stream(`${seed}/knee/${arm}`));
  return { axis, arm, points, price, knee: knee === null ? null : named(knee, timed) };
}

function named({ at, lo, hi, found }: KneeInterval, timed: readonly Timed[]): TtlCurve['knee'] {
  return { ttl: timed[at]!.ttl, lo: timed[lo]!.ttl, hi: timed[hi]!.ttl, level: 0.95, found };
}

/** Values by replication and point; null if one is missing. */
function transposed(values: readonly (readonly (number | null)[])[]): number[][] | null {
  const replications = Math.min(...values.map((v) => v.length));
  const rows = Array.from({ length: replications }, (_, r) => values.map((v) => v[r]!));
  return replications === 0 || rows.some((row) => row.some((v) => v === null)) ? null : (rows as number[][]);
}
