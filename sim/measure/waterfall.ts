/**
 * What a difference between two runs is made of: differences of mean components over turns that both served, a row for turns that only
 * one served, and for quantiles the mean over a band of ranks with a row for what the band is off. Rows always sum to the difference.
 * Source: experiments specification 7.3.
 */
import type { Aggregate } from './metric-expression.ts';
import { quantileSorted } from './quantile.ts';
import { COMPONENTS } from './turn-components.ts';

/** A turn: its value and what it consists of, ms; by {@link COMPONENTS}. */
export interface Item {
  readonly ms: number;
  readonly values: Float64Array;
}

/** Rows behind the components. */
export const UNPAIRED = COMPONENTS.length;
export const RESIDUAL = COMPONENTS.length + 1;
/** Names of all rows. */
export const ROWS = [...COMPONENTS, 'unpaired', 'residual'] as const;
export type RowName = (typeof ROWS)[number];

/** Rows of one run, ms; they sum to `totalMs`. */
export interface RunRows {
  readonly totalMs: number;
  readonly rows: Float64Array;
  /** Turns with a value, and those the components are means of. */
  readonly turns: number;
  readonly meanOf: number;
}

/** Rows of one run or of two runs of the same workload; [subject, reference]. Null = a run has no turn, or they share none. */
export function rowsOf(
  subject: ReadonlyMap<string, Item>,
  reference: ReadonlyMap<string, Item> | null,
  aggregate: Aggregate,
): readonly [RunRows, RunRows | null] | null {
  if (subject.size === 0 || reference?.size === 0) return null;
  if (aggregate.kind === 'quantile') {
    return [bandRows(subject, aggregate.q), reference === null ? null : bandRows(reference, aggregate.q)];
  }
  const shared = reference === null ? [...subject.keys()] : [...subject.keys()].filter((name) => reference.has(name));
  if (shared.length === 0) return null;
  return [meanRows(subject, shared), reference === null ? null : meanRows(reference, shared)];
}

function meanRows(items: ReadonlyMap<string, Item>, shared: readonly string[]): RunRows {
  const rows = meanOver(shared.map((name) => items.get(name)!));
  let sum = 0;
  for (const item of items.values()) sum += item.ms;
  const totalMs = sum / items.size;
  const sharedMs = shared.reduce((all, name) => all + items.get(name)!.ms, 0) / shared.length;
  if (shared.length < items.size) rows[UNPAIRED] = totalMs - sharedMs;
  return { totalMs, rows, turns: items.size, meanOf: shared.length };
}

/** Half the width of the band of ranks around a quantile: 0.5 % for p99, 2.5 % from p5 to p95. */
export function bandHalfWidth(q: number): number {
  return Math.min(0.025, (1 - q) / 2, q / 2);
}

function bandRows(items: ReadonlyMap<string, Item>, q: number): RunRows {
  const sorted = [...items.values()].sort((a, b) => a.ms - b.ms);
  const n = sorted.length;
  const w = bandHalfWidth(q);
  // Ranks are 0..1; the two that the quantile lies between are always in.
  const low = Math.min(Math.ceil((n - 1) * (q - w) - 1e-9), Math.floor((n - 1) * q));
  const high = Math.max(Math.floor((n - 1) * (q + w) + 1e-9), Math.ceil((n - 1) * q));
  const band = sorted.slice(Math.max(0, low), Math.min(n - 1, high) + 1);
  const rows = meanOver(band);
  const totalMs = quantileSorted(
    sorted.map((item) => item.ms),
    q,
  )!;
  rows[RESIDUAL] = totalMs - band.reduce((sum, item) => sum + item.ms, 0) / band.length;
  return { totalMs, rows, turns: n, meanOf: band.length };
}

function meanOver(items: readonly Item[]): Float64Array {
  const rows = new Float64Array(ROWS.length);
  for (const { values } of items) for (let k = 0; k < values.length; k++) rows[k]! += values[k]!;
  for (let k = 0; k < rows.length; k++) rows[k]! /= items.length;
  return rows;
}
