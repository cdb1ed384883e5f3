import type { Millis } from '../ports.ts';
import type { HintDropReason } from './hint-drop.ts';

/**
 * How a `cache_control` TTL is read: `dynamo-1.0` clamps to 300..3600 s and takes 300 s for text it does not know, `anthropic`
 * knows only 5m and 1h, `raw` takes any whole second from 1 s on. Absent means 5 minutes in every mode.
 */
export type CacheTtlMode = 'dynamo-1.0' | 'anthropic' | 'raw';

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };
const DEFAULT_S = 300;
const MAX_S = 3600;

/**
 * TTL of a `cache_control` in ms, or why it is refused. Accepts integer seconds as number or text and `<n>s`, `<n>m`, `<n>h`.
 * Source: router specification 1.3.
 */
export function cacheTtl(value: unknown, mode: CacheTtlMode): Millis | HintDropReason {
  if (value === undefined) return DEFAULT_S * 1000;
  if (mode === 'anthropic') return value === '5m' ? 300_000 : value === '1h' ? 3_600_000 : 'unknown_value';
  if (typeof value === 'number') return numberTtl(value, mode);
  if (typeof value !== 'string') return 'wrong_type';
  const match = /^(\d+)([smh]?)$/.exec(value);
  if (match === null) return mode === 'dynamo-1.0' ? DEFAULT_S * 1000 : 'unknown_value';
  return clampedTtl(Number(match[1]) * SECONDS_PER_UNIT[match[2]!]!, mode);
}

function numberTtl(seconds: number, mode: CacheTtlMode): Millis | HintDropReason {
  if (!Number.isFinite(seconds)) return 'not_finite';
  if (!Number.isInteger(seconds)) return 'wrong_type';
  if (seconds < 0 || !Number.isSafeInteger(seconds * 1000)) return 'out_of_range';
  return clampedTtl(seconds, mode);
}

function clampedTtl(seconds: number, mode: CacheTtlMode): Millis | HintDropReason {
  if (mode === 'dynamo-1.0') return Math.min(MAX_S, Math.max(DEFAULT_S, seconds)) * 1000;
  return seconds >= 1 && Number.isSafeInteger(seconds * 1000) ? seconds * 1000 : 'out_of_range';
}
