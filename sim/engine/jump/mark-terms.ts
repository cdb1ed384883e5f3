/** What actions ask of the marks of blocks; constants of segment-columns.ts. Source: worker port (marks), ADR 9. */

/** What every mark says. */
export interface MarkTerms {
  readonly untilMs: number;
  /** 0 = a hit does not move the deadline. */
  readonly refreshMs: number;
  /** DROPS, BACK, FRONT, or 0 = blocks stay at their last access. */
  readonly rule: number;
}

/** What a claim asks for. */
export interface ClaimTerms extends MarkTerms {
  /** SOFT or LEASE. */
  readonly mark: number;
  readonly session: number;
  readonly mode: 'max' | 'replace' | 'fixed';
  /** A readable copy in the host tier honours it as well. */
  readonly floorsBelow: boolean;
}

/** What a retain asks for; a deadline of Infinity = without end. */
export interface LevelTerms extends MarkTerms {
  readonly level: number;
  readonly merge: 'max' | 'replace';
  /** A hit takes the deadline away. */
  readonly clears: boolean;
}
