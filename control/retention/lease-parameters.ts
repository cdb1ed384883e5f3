/**
 * Parameters of the lease class (retention specification 7). One class expresses all explicit retention; historical and current
 * semantics are presets, and two presets that agree in every parameter behave identically.
 */
import type { Millis, Tier } from '../ports.ts';
import { type PresetLike, presetChoice, presetNumber, presetProblem } from './preset-values.ts';

/** Names of the estimators that `ttl` may name. */
export const ESTIMATOR_NAMES = ['fixed', 'ski', 'hazard', 'continuum-paper', 'continuum-code'] as const;
export type EstimatorName = (typeof ESTIMATOR_NAMES)[number];

/** Time to keep per gap class, ms. */
export interface TtlByPause {
  readonly tool: Millis;
  readonly human: Millis;
  readonly join: Millis;
}

/** Where the time to keep comes from: one value for every gap class, one per class, or an estimator. */
export type TtlSource = Millis | TtlByPause | EstimatorName;

export interface LeaseParameters {
  /** `none` = an order bias only; the action port has two levels, so it is executed as `soft` (stated in the preset's limits). */
  readonly hardness: 'none' | 'soft' | 'lease';
  /** Where the clock starts. The control plane sees requests begin and end, so `release`, `lastAccess`, `firstReadable` start at the end. */
  readonly anchor: 'requestStart' | 'responseEnd' | 'release' | 'lastAccess' | 'firstReadable';
  readonly deadlineMode: 'max' | 'replace' | 'fixed';
  readonly refresh: 'never' | 'onHit';
  readonly refreshScope: 'path' | 'consumed' | 'node';
  readonly onExpiry: 'trueLastAccess' | 'back' | 'front' | 'drop';
  readonly reclaim: 'keep' | 'clear';
  readonly tierFloor: Tier;
  /** Lease budget as share of the tier named by tierFloor; Infinity = unbounded; 0 rejects every lease. Soft claims are not charged. */
  readonly budget: number;
  /** Share of the HBM of a rank that the claims of one tenant may cover; 1 = no limit (retention specification 14.2, static form). */
  readonly tenantShare: number;
  readonly minTtlMs: Millis;
  readonly maxTtlMs: Millis;
  /** The TTL is multiplied by 1 + jitter * u, u uniform in [-1, 1). */
  readonly jitter: number;
  /** Absent = only requests that carry `cache_control` are claimed. */
  readonly ttl?: TtlSource;
  /** `honour`: each breakpoint of the request claims its prefix for its own TTL. */
  readonly cacheControl: 'ignore' | 'honour';
  /** Priority that a claim needs to exceed the default level; below or at it nothing is claimed. */
  readonly priority?: number;
  readonly defaultPriority?: number;
  /** `rent`: the tier's pressure over its capacity; `fixed`: `price`, replica-seconds per byte and second (retention specification 5.1). */
  readonly priceMode?: 'rent' | 'fixed';
  readonly price?: number;
  /** Estimators decide per tier: HBM while a reload costs more than the space, then the host tier (retention specification 5.2). */
  readonly tiers?: 'one' | 'two';
  /** `share`: blocks that a tenant covers at a time; `blockTime`: blocks x time, an hour of its share at most (14.2). Default share. */
  readonly tenantBudget?: 'share' | 'blockTime';
  /** Release the exclusive part of a session's claims when it is closed. */
  readonly releaseOnClose: boolean;
}

const TIERS: Readonly<Record<string, Tier>> = { hbm: 0, host: 1, disk: 2, remote: 3 };

/**
 * Parameters of a preset with the values given by the user in place: durations in ms, shares as numbers.
 * Throws UserError E_TYPE, E_RANGE or E_ENUM for values that its schema would refuse.
 */
export function leaseParameters(preset: LeasePresetLike, given: Readonly<Record<string, unknown>>): LeaseParameters {
  const base = preset.lease;
  const tierFloor = presetChoice(preset, given, 'tierFloor', base.tierFloor, ['hbm', 'host', 'disk', 'remote']);
  const budget = presetNumber(
    preset,
    given,
    'budget',
    base.budget === null ? Number.POSITIVE_INFINITY : base.budget,
    0,
    Number.POSITIVE_INFINITY,
  );
  const minTtlMs = presetNumber(preset, given, 'minTtl', base.minTtlMs, 0, Number.MAX_SAFE_INTEGER);
  const maxTtlMs = presetNumber(preset, given, 'maxTtl', base.maxTtlMs, 0, Number.MAX_SAFE_INTEGER);
  if (minTtlMs > maxTtlMs) throw presetProblem('E_RANGE', preset, 'minTtl', `got ${minTtlMs} ms, expected at most maxTtl = ${maxTtlMs} ms`);
  const ttl = ttlSource(preset, given['ttl'] ?? base.ttl);
  checkTtlRange(preset, given['ttl'], minTtlMs, maxTtlMs);
  const priority = given['priority'] ?? base.priority;
  return {
    ...base,
    refresh: presetChoice(preset, given, 'refresh', base.refresh, ['never', 'onHit']),
    anchor: presetChoice(preset, given, 'anchor', base.anchor, ['requestStart', 'responseEnd', 'release', 'lastAccess', 'firstReadable']),
    cacheControl: presetChoice(preset, given, 'cacheControl', base.cacheControl, ['ignore', 'honour']),
    tierFloor: TIERS[tierFloor]!,
    budget,
    tenantShare: presetNumber(preset, given, 'tenantShare', base.tenantShare, 0, 1),
    minTtlMs,
    maxTtlMs,
    jitter: presetNumber(preset, given, 'jitter', base.jitter, 0, 1),
    ...prices(preset, given),
    tiers: presetChoice(preset, given, 'tiers', base.tiers ?? 'one', ['one', 'two']),
    tenantBudget: presetChoice(preset, given, 'tenantBudget', base.tenantBudget ?? 'share', ['share', 'blockTime']),
    ...(ttl === undefined ? {} : { ttl }),
    ...(priority === undefined ? {} : { priority: presetNumber(preset, { priority }, 'priority', 0, 0, 100) }),
  } as LeaseParameters;
}

function prices(preset: LeasePresetLike, given: Readonly<Record<string, unknown>>): Pick<LeaseParameters, 'priceMode' | 'price'> {
  const priceMode = presetChoice(preset, given, 'priceMode', preset.lease.priceMode ?? 'rent', ['rent', 'fixed']);
  if (priceMode === 'fixed' && given['price'] === undefined)
    throw presetProblem('E_REQUIRED', preset, 'price', 'got priceMode fixed without a price');
  if (given['price'] === undefined) return { priceMode };
  if (priceMode !== 'fixed') throw presetProblem('E_ENUM', preset, 'priceMode', 'got a price, expected fixed');
  return { priceMode, price: presetNumber(preset, given, 'price', 0, 0, Number.MAX_VALUE) };
}

/** The part of a preset document that {@link leaseParameters} reads. */
export interface LeasePresetLike extends PresetLike {
  readonly lease: Omit<LeaseParameters, 'tierFloor' | 'budget' | 'ttl'> & {
    readonly tierFloor: string;
    readonly budget: number | null;
    readonly ttl?: unknown;
  };
}

/** A duration that the user wrote is never clamped behind his back; 0 always means: keep nothing. */
function checkTtlRange(preset: LeasePresetLike, value: unknown, minMs: Millis, maxMs: Millis): void {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [['', value] as const];
  for (const [key, ttl] of entries) {
    if (typeof ttl !== 'number' || ttl === 0 || (ttl >= minMs && ttl <= maxMs)) continue;
    const path = key === '' ? 'ttl' : `ttl.${key}`;
    const hint = ttl > maxMs && preset.params.properties['maxTtl'] !== undefined ? 'Raise maxTtl' : undefined;
    throw presetProblem('E_RANGE', preset, path, `got ${ttl} ms, expected 0 or ${minMs}..${maxMs} ms`, hint);
  }
}

function ttlSource(preset: LeasePresetLike, value: unknown): TtlSource | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return presetNumber(preset, { ttl: value }, 'ttl', 0, 0, Number.MAX_SAFE_INTEGER);
  if (typeof value === 'string') {
    if ((ESTIMATOR_NAMES as readonly string[]).includes(value)) return value as EstimatorName;
    throw presetProblem('E_ENUM', preset, 'ttl', `got ${value}, expected a duration or one of ${ESTIMATOR_NAMES.join(', ')}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw presetProblem('E_TYPE', preset, 'ttl', 'expected a duration, a duration per gap class or the name of an estimator');
  }
  const by = value as Record<string, unknown>;
  for (const key of Object.keys(by)) {
    if (!Object.hasOwn(FIXED_TTL, key))
      throw presetProblem('E_UNKNOWN_KEY', preset, `ttl.${key}`, 'unknown key', 'Gap classes: tool, human, join');
  }
  const each = (key: keyof TtlByPause): Millis => presetNumber(preset, by, key, FIXED_TTL[key], 0, Number.MAX_SAFE_INTEGER, `ttl.${key}`);
  return { tool: each('tool'), human: each('human'), join: each('join') };
}

/** Defaults of the estimator `fixed` and of gap classes that are not given (retention specification 8.2), ms. */
export const FIXED_TTL: TtlByPause = { tool: 300_000, human: 0, join: 600_000 };
