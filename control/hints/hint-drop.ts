/** A hint that was given and not used; counted by field and reason, listed in decision records (router specification 1.5). */
export interface HintDrop {
  readonly field: string;
  readonly reason: HintDropReason;
}

export type HintDropReason =
  /** Not of the field's type; booleans and fractions are no integers. */
  | 'wrong_type'
  | 'out_of_range'
  /** NaN or an infinity. */
  | 'not_finite'
  | 'unknown_value'
  /** The breakpoint covers less than one block. */
  | 'too_short'
  /** A claim needs a finite duration. */
  | 'no_duration'
  /** Understood, but nothing here can act on it. */
  | 'unsupported';

/** Whether a drop means that the client sent something wrong: in mode `reject` such a request gets 400 `invalid_hint`. */
export function isInvalidHint(drop: HintDrop): boolean {
  return drop.reason !== 'too_short' && drop.reason !== 'unsupported' && drop.reason !== 'no_duration';
}

/**
 * An integer in [min, max], or undefined with the reason pushed to `drops`. Booleans, fractions, NaN and infinities are refused:
 * one NaN deadline at the root of a heap would stop every other expiry.
 */
export function integerHint(value: unknown, min: number, max: number, field: string, drops: HintDrop[]): number | undefined {
  if (typeof value !== 'number') {
    drops.push({ field, reason: 'wrong_type' });
    return undefined;
  }
  if (!Number.isFinite(value)) {
    drops.push({ field, reason: 'not_finite' });
    return undefined;
  }
  if (!Number.isInteger(value)) {
    drops.push({ field, reason: 'wrong_type' });
    return undefined;
  }
  if (value < min || value > max) {
    drops.push({ field, reason: 'out_of_range' });
    return undefined;
  }
  return value;
}

/** Members of a plain object; undefined for anything else. */
export function members(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}
