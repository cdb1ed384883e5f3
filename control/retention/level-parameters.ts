/** Parameters of levels: priorities 0..100 of block ranges with a duration (retention specification 7, hardness none). */
import type { Millis, OnExpiry, Tokens } from '../ports.ts';
import { type PresetLike, presetNumber, presetProblem } from './preset-values.ts';

/** A level for part of every prompt. */
export interface LevelRange {
  readonly startTokens: Tokens;
  /** null = to the end of the prompt. */
  readonly endTokens: Tokens | null;
  readonly priority: number;
  /** null = without end. */
  readonly durationMs: Millis | null;
}

export interface LevelParameters {
  /** Level of blocks without a mark at the engine; 0 elsewhere, 35 in TensorRT-LLM. */
  readonly defaultPriority: number;
  /** How a new level meets an old one at the worker. */
  readonly merge: 'max' | 'replace';
  /** `onHit`: a hit moves the deadline to hit time + duration. */
  readonly refresh: 'never' | 'onHit';
  readonly onExpiry: OnExpiry;
  readonly reclaim: 'keep' | 'clear';
  /** A duration of 0 has no end (sglang#27970), instead of protecting nothing. */
  readonly zeroIsPermanent: boolean;
  /** `honour`: directives of the request (`kv.retain`) set levels. */
  readonly hints: 'ignore' | 'honour';
  /** Levels above it that hints ask for are clipped (retention specification 14.2). */
  readonly tenantMaxPriority: number;
  /** Victims of a lower level are dropped instead of offloaded to the host; a setting of the engine. */
  readonly offloadMinPriority: number;
  /** For every request, without hints. */
  readonly ranges: readonly LevelRange[];
}

/** The part of a preset document that {@link levelParameters} reads. */
export interface LevelPresetLike extends PresetLike {
  readonly levels: Omit<LevelParameters, 'ranges'>;
}

/**
 * Parameters with the values of the user in place: `priority` with `ttl` for the whole prompt, `head` for its first tokens, which wins there.
 * Throws UserError E_TYPE, E_RANGE or E_REQUIRED.
 */
export function levelParameters(preset: LevelPresetLike, given: Readonly<Record<string, unknown>>): LevelParameters {
  const { levels } = preset;
  const max = maximumOf(preset, 'priority');
  const ranges: LevelRange[] = [];
  const head = given['head'];
  if (given['priority'] !== undefined) {
    const priority = level(preset, given, 'priority', max);
    ranges.push({ startTokens: 0, endTokens: null, priority, durationMs: duration(preset, given, 'ttl') });
  } else if (given['ttl'] !== undefined) {
    throw presetProblem('E_REQUIRED', preset, 'priority', 'got a ttl without a priority', 'A duration is that of a priority');
  }
  if (head !== undefined) ranges.push(headRange(preset, head, max));
  return {
    ...levels,
    tenantMaxPriority: presetNumber(preset, given, 'tenantMaxPriority', levels.tenantMaxPriority, 0, 100),
    offloadMinPriority: presetNumber(preset, given, 'offloadMinPriority', levels.offloadMinPriority, 0, 100),
    ranges,
  };
}

function headRange(preset: LevelPresetLike, value: unknown, max: number): LevelRange {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw presetProblem('E_TYPE', preset, 'head', 'expected tokens, priority and ttl of the first tokens');
  }
  const head = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(head)) {
    if (key !== 'tokens' && key !== 'priority' && key !== 'ttl')
      throw presetProblem('E_UNKNOWN_KEY', preset, `head.${key}`, 'unknown key', 'Known: tokens, priority, ttl');
  }
  for (const key of ['tokens', 'priority']) {
    if (head[key] === undefined) throw presetProblem('E_REQUIRED', preset, `head.${key}`, 'got nothing, expected a value');
  }
  return {
    startTokens: 0,
    endTokens: presetNumber(preset, head, 'tokens', 0, 1, Number.MAX_SAFE_INTEGER, 'head.tokens'),
    priority: level(preset, head, 'priority', max, 'head.priority'),
    durationMs: duration(preset, head, 'ttl', 'head.ttl'),
  };
}

function level(preset: PresetLike, given: Readonly<Record<string, unknown>>, key: string, max: number, path = key): number {
  const value = presetNumber(preset, given, key, 0, 0, max, path);
  if (!Number.isInteger(value)) throw presetProblem('E_TYPE', preset, path, `got ${value}, expected an integer 0..${max}`);
  return value;
}

function duration(preset: PresetLike, given: Readonly<Record<string, unknown>>, key: string, path = key): Millis | null {
  return given[key] === undefined ? null : presetNumber(preset, given, key, 0, 0, maximumOf(preset, 'ttl'), path);
}

function maximumOf(preset: PresetLike, key: string): number {
  const schema = preset.params.properties[key] as { readonly maximum?: number } | undefined;
  return schema?.maximum ?? Number.MAX_SAFE_INTEGER;
}
