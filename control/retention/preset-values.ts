/** Values of a preset's `with:` block, checked: durations in ms, shares as numbers. Errors point at preset and parameter. */
import { UserError } from '../user-error.ts';

/** The part of a preset document that is read here. */
export interface PresetLike {
  readonly name: string;
  readonly version: number;
  readonly params: { readonly required?: readonly string[]; readonly properties: Readonly<Record<string, unknown>> };
}

/** Refuses parameters the preset does not have (E_UNKNOWN_KEY) and asks for those it needs (E_REQUIRED). */
export function checkKnown(preset: PresetLike, given: Readonly<Record<string, unknown>>): void {
  const known = preset.params.properties;
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(known, key)) continue;
    const names = Object.keys(known).join(', ');
    throw presetProblem('E_UNKNOWN_KEY', preset, key, 'unknown key', names === '' ? 'It has no parameters' : `Known: ${names}`);
  }
  for (const key of preset.params.required ?? []) {
    if (given[key] === undefined) throw presetProblem('E_REQUIRED', preset, key, 'got nothing, expected a value');
  }
}

/** A number of the user, or the preset's own. Throws E_TYPE or E_RANGE. */
export function presetNumber(
  preset: PresetLike,
  given: Readonly<Record<string, unknown>>,
  key: string,
  otherwise: number,
  min: number,
  max: number,
  path = key,
): number {
  const value = given[key];
  if (value === undefined) return otherwise;
  if (typeof value !== 'number' || Number.isNaN(value))
    throw presetProblem('E_TYPE', preset, path, `got ${String(value)}, expected a number`);
  if (value < min || value > max) throw presetProblem('E_RANGE', preset, path, `got ${value}, expected ${min}..${max}`);
  return value;
}

/** One of a few words. Throws E_ENUM. */
export function presetChoice<T extends string>(
  preset: PresetLike,
  given: Readonly<Record<string, unknown>>,
  key: string,
  otherwise: string,
  allowed: readonly T[],
): T {
  const value = given[key] ?? otherwise;
  if (!(allowed as readonly unknown[]).includes(value)) {
    throw presetProblem('E_ENUM', preset, key, `got ${String(value)}, expected ${allowed.join(' or ')}`);
  }
  return value as T;
}

/** An error that points at a parameter of a preset. */
export function presetProblem(code: string, preset: PresetLike, path: string, message: string, hint?: string): UserError {
  return new UserError({
    severity: 'error',
    code,
    path: `${preset.name}@${preset.version}.${path}`,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
