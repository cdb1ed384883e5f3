/**
 * The compiled plan as a file of the result directory, so that `kvcast explain` can repeat a run without its scenario. Infinities and
 * maps, which JSON has not, are written as tagged objects. Source: docs/adr (explain repeats runs).
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../../control/user-error.ts';
import type { Result } from './result.ts';
import type { RunPlan } from './run-plan.ts';
import { readStoredResult } from './store.ts';

/** Name of the file inside a result directory. */
export const PLAN_FILE = 'plan.json';

/** A result with the plan that made it. */
export interface StoredRun {
  /** Directory as the user wrote it. */
  readonly folder: string;
  readonly result: Result;
  readonly plan: RunPlan;
}

/** The bytes of plan.json; the trace is named by its absolute path. */
export function planText(plan: RunPlan): string {
  const trace = 'file' in plan.trace ? { ...plan.trace, file: resolve(plan.trace.file) } : plan.trace;
  return `${JSON.stringify({ ...plan, trace }, tagged)}\n`;
}

/** The inverse of {@link planText}. */
export function planFromText(text: string): RunPlan {
  return JSON.parse(text, untagged) as RunPlan;
}

/** Reads a directory, or the result.json in it, written by run or compare. Throws UserError E_FILE, E_EXPLAIN_PLAN. */
export function readStoredRun(path: string): StoredRun {
  const folder = path.endsWith('.json') ? dirname(path) : path;
  const result = readStoredResult(path) as Result;
  const file = join(folder, PLAN_FILE);
  if (!existsSync(file) || !Array.isArray(result.arms))
    throw new UserError({
      severity: 'error',
      code: 'E_EXPLAIN_PLAN',
      file: path,
      message: `got a result without ${PLAN_FILE}, expected a directory written by kvcast run or compare`,
      hint: `Repeat it: ${result.reproduce ?? 'kvcast compare SCENARIO'}`,
    });
  return { folder, result, plan: planFromText(readFileSync(file, 'utf8')) };
}

/** JSON.stringify replacer for what JSON has not: infinities and maps. */
export function tagged(_key: string, value: unknown): unknown {
  if (value instanceof Map) return { $map: [...value] };
  return typeof value === 'number' && !Number.isFinite(value) ? { $number: String(value) } : value;
}

/** The inverse of {@link tagged}, for JSON.parse. */
export function untagged(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$map' in value) return new Map(value.$map as [string, number][]);
  return '$number' in value ? Number(value.$number) : value;
}
