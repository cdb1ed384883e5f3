/**
 * The figures by which synthetic sessions are accepted, measured by the inspector that measures recorded traces. A calibration check,
 * not a validation: the fit and the figures come from the same sessions. Source: trace specification 7.8, acceptance.
 */
import type { Trace } from '../../../traces/columns.ts';
import { inspectTrace } from '../../../traces/inspect.ts';

/** One figure with the range it must lie in, when enough sessions were drawn. */
export interface AcceptanceRow {
  readonly figure: string;
  readonly unit: string;
  /** Of the fitted sessions. */
  readonly fitted: number;
  readonly drawn: number;
  readonly from: number;
  readonly to: number;
  readonly inside: boolean;
}

/** Sessions from which on the ranges hold; they allow for the spread between seeds of that many. */
export const JUDGED_FROM = 4500;

/** TTL in s, hit share of the fitted sessions in %, tolerance in points. */
const TTL: readonly (readonly [number, number, number])[] = [
  [1, 42.0, 2.5],
  [5, 65.7, 2.5],
  [10, 72.3, 2.5],
  [30, 79.9, 2.5],
  [60, 83.7, 2.5],
  [120, 87.8, 1.5],
  [300, 92.0, 1.5],
  [600, 93.8, 1.5],
  [1800, 95.4, 1.5],
  [3600, 96.0, 1.5],
];
/** TTL in s, idle tokens per active one of the fitted sessions. */
const IDLE: readonly (readonly [number, number])[] = [
  [60, 1.26],
  [300, 3.45],
  [3600, 14.3],
];

/** Measures a synthetic trace. Cost of an inspection. */
export function acceptanceOf(trace: Trace): AcceptanceRow[] {
  const { shape, reuse, ttl } = inspectTrace(trace);
  const rows: AcceptanceRow[] = [];
  const add = (figure: string, unit: string, fitted: number, drawn: number, from: number, to: number): void => {
    rows.push({ figure, unit, fitted, drawn, from, to, inside: drawn >= from && drawn <= to });
  };
  const around = (figure: string, unit: string, fitted: number, drawn: number, share: number): void =>
    add(figure, unit, fitted, drawn, fitted * (1 - share), fitted * (1 + share));
  const { requestsPerSession, input, output } = shape;
  if (requestsPerSession === null || input === null || output === null) throw new Error('no requests to measure');
  add('requests per session P50', '', 44, requestsPerSession.p50, 40, 50);
  add('requests per session P90', '', 155, requestsPerSession.p90, 145, 180);
  add('requests per session mean', '', 68.5, requestsPerSession.mean, 65, 78);
  add('input per request P50', 'k', 104.6, input.p50 / 1000, 82, 110);
  around('output P50', '', 213, output.p50, 0.05);
  around('output P99', '', 3623, output.p99, 0.08);
  add('infinite reuse', '%', 96.4, 100 * reuse.infinite, 96.2, 97.1);
  add('reads per write', '', 26.8, reuse.readsPerWrite, 26, 32);
  add('breaks of transitions', '%', 1.9, (100 * reuse.breaks) / (input.n - requestsPerSession.n), 1.7, 2.4);
  const debiased = new Map(ttl.filter((t) => t.pauses === 'debiased').map((t) => [t.ttlMs / 1000, t]));
  for (const [s, fitted, points] of TTL)
    add(`hit at TTL ${s} s`, '%', fitted, 100 * (debiased.get(s)!.previousTurn ?? 0), fitted - points, fitted + points);
  for (const [s, fitted] of IDLE) around(`idle per active KV at TTL ${s} s`, '', fitted, debiased.get(s)!.idlePerActive ?? 0, 0.15);
  return rows;
}
