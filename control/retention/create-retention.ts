import type { RetentionPolicy } from '../ports.ts';
import { UserError } from '../user-error.ts';
import { createEstimator } from './create-estimator.ts';
import { leaseParameters } from './lease-parameters.ts';
import { LeaseRetention } from './lease-retention.ts';
import type { RetentionEnv } from './retention-env.ts';
import { type RetentionPreset, retentionPresets } from './retention-presets.ts';

/**
 * Makes a retention policy from a preset reference such as `kvcast-soft@1` and its parameters in ms, bytes and shares.
 * Throws UserError: E_PRESET_VERSION, E_PRESET for references, E_REQUIRED, E_UNKNOWN_KEY, E_TYPE, E_ENUM, E_RANGE for parameters.
 */
export function createRetention(reference: string, params: Readonly<Record<string, unknown>>, env: RetentionEnv): RetentionPolicy {
  const preset = findPreset(reference);
  const name = `${preset.name}@${preset.version}`;
  if (preset.lease === null) {
    for (const key of Object.keys(params)) {
      throw new UserError({
        severity: 'error',
        code: 'E_UNKNOWN_KEY',
        path: `${name}.${key}`,
        message: 'unknown key',
        hint: 'It has no parameters',
      });
    }
    return { name, deployable: preset.deployable, on: () => undefined, settled: () => undefined };
  }
  const lease = leaseParameters({ ...preset, lease: preset.lease }, params);
  const estimator = typeof lease.ttl === 'string' ? createEstimator(lease.ttl) : undefined;
  return new LeaseRetention(name, preset.deployable, lease, env, estimator);
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
