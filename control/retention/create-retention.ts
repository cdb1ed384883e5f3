import type { Millis, RetentionPolicy } from '../ports.ts';
import { UserError } from '../user-error.ts';
import { ComposedRetention, type RetentionPart } from './composed-retention.ts';
import { createEstimator } from './create-estimator.ts';
import { INFERCEPT_RULES, Infercept, type InferceptParameters } from './infercept.ts';
import { leaseParameters } from './lease-parameters.ts';
import { LeaseRetention } from './lease-retention.ts';
import { levelParameters } from './level-parameters.ts';
import { LevelRetention } from './level-retention.ts';
import { ITERATION_COST } from './min-waste.ts';
import { checkKnown, presetChoice, presetNumber } from './preset-values.ts';
import type { RetentionEnv } from './retention-env.ts';
import { type RetentionPreset, retentionPresets } from './retention-presets.ts';
import { SessionReference } from './session-reference.ts';

/** What an engine must be set to for a preset to work as meant: the level of unmarked blocks, and the level from which victims are offloaded. */
export interface EngineLevels {
  readonly defaultPriority: number;
  readonly offloadMinPriority: number;
}

/** Engine settings of a preset reference with its parameters; zeros where it sets no levels. Throws as {@link createRetention}. */
export function engineLevels(reference: string, params: Readonly<Record<string, unknown>>): EngineLevels {
  const preset = findPreset(reference);
  if (preset.levels === undefined) return { defaultPriority: 0, offloadMinPriority: 0 };
  const { defaultPriority, offloadMinPriority } = levelParameters({ ...preset, levels: preset.levels }, params);
  return { defaultPriority, offloadMinPriority };
}

/**
 * Makes a retention policy from a preset reference such as `kvcast-soft@1` and its parameters in ms, bytes and shares.
 * Throws UserError: E_PRESET_VERSION, E_PRESET for references, E_REQUIRED, E_UNKNOWN_KEY, E_TYPE, E_ENUM, E_RANGE for parameters.
 */
export function createRetention(reference: string, params: Readonly<Record<string, unknown>>, env: RetentionEnv): RetentionPolicy {
  const preset = findPreset(reference);
  const name = `${preset.name}@${preset.version}`;
  checkKnown(preset, params);
  const parts: RetentionPart[] = [];
  const session = preset.session === undefined ? undefined : sessionPart(preset, preset.session.idleCloseMs, params, env);
  if (preset.infercept !== undefined) {
    const parameters = inferceptParameters(preset, preset.infercept.rule, params);
    parts.push({ policy: new Infercept(name, preset.deployable, parameters, env), owns: () => true });
  }
  if (preset.lease !== null) {
    const lease = leaseParameters({ ...preset, lease: preset.lease }, params);
    const estimator = typeof lease.ttl === 'string' ? createEstimator(lease.ttl) : undefined;
    const policy = new LeaseRetention(name, preset.deployable, lease, env, estimator, session?.frontiers);
    parts.push({
      policy,
      owns: ({ verb, hardness, toTier }) => (verb === 'pin' ? hardness !== 'reference' : verb === 'demote' && typeof toTier === 'number'),
    });
  }
  if (preset.levels !== undefined) {
    const levels = levelParameters({ ...preset, levels: preset.levels }, params);
    parts.push({ policy: new LevelRetention(name, preset.deployable, levels, env), owns: (action) => action.verb === 'retain' });
  }
  if (session !== undefined) {
    parts.push({
      policy: session,
      owns: ({ verb, hardness, toTier }) => (verb === 'pin' ? hardness === 'reference' : verb === 'demote' && typeof toTier !== 'number'),
    });
  }
  if (parts.length === 1) return parts[0]!.policy;
  return new ComposedRetention(name, preset.deployable, parts);
}

function inferceptParameters(preset: RetentionPreset, rule: string, params: Readonly<Record<string, unknown>>): InferceptParameters {
  return {
    rule: presetChoice(preset, params, 'rule', rule, INFERCEPT_RULES),
    cost: {
      saturationTokens: presetNumber(preset, params, 'saturationTokens', ITERATION_COST.saturationTokens, 1, 1e6),
      aS: presetNumber(preset, params, 'tokenMs', ITERATION_COST.aS * 1000, 0, 1e6) / 1000,
      c0S: presetNumber(preset, params, 'baseMs', ITERATION_COST.c0S * 1000, 0, 1e6) / 1000,
    },
    periodMs: presetNumber(preset, params, 'period', 1000, 100, Number.MAX_SAFE_INTEGER),
  };
}

function sessionPart(
  preset: RetentionPreset,
  defaultMs: Millis,
  params: Readonly<Record<string, unknown>>,
  env: RetentionEnv,
): SessionReference {
  const idleCloseMs = presetNumber(preset, params, 'idleClose', defaultMs, 1000, Number.MAX_SAFE_INTEGER);
  return new SessionReference(`${preset.name}@${preset.version}`, preset.deployable, idleCloseMs, env);
}

function findPreset(reference: string): RetentionPreset {
  const [name, version] = reference.split('@');
  const named = retentionPresets().filter((p) => p.name === name);
  const found = named.find((p) => String(p.version) === version);
  if (found !== undefined) return found;
  if (named.length === 0) {
    const all = retentionPresets().map((p) => `${p.name}@${p.version}`);
    throw new UserError({
      severity: 'error',
      code: 'E_PRESET',
      message: `got retention preset ${reference}, expected one of ${all.join(', ')}`,
    });
  }
  throw new UserError({
    severity: 'error',
    code: 'E_PRESET_VERSION',
    message: `got ${reference}, expected a version`,
    hint: `Write ${name}@${named.at(-1)!.version}`,
  });
}
