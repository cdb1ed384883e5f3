/**
 * Where the missed prompt tokens of every judged turn come from: runs of tokens with one cause each, in prompt order behind the hits.
 *
 *     hit tokens | run 0 | run 1 | …            their lengths sum to promptTokens - hits of the turn
 *
 * Runs of one turn are consecutive rows of three columns (6 B per run); a turn knows its first. A turn is named by its row of
 * the turn table (TurnTable.rowOf). Turns that were never admitted may have runs, of a match that came to nothing.
 */
import { CAUSE_FLAG, CAUSES, type Cause } from './causes.ts';

/** One run of missed tokens. */
export interface CauseRun {
  readonly cause: Cause;
  readonly tokens: number;
  /** Tier of the last copy, 0 = HBM, 1 = host; of a run that is held somewhere, the tier that holds it; 0 where there is none. */
  readonly tier: number;
  readonly alsoEvictedHere: boolean;
  readonly shadowed: boolean;
  readonly horizon: boolean;
}

const LAST = 128;
const TIER_SHIFT = 3;

/** Runs by turn. */
export class TurnCauses {
  /** Number of runs. */
  count = 0;
  /** Code of {@link CAUSES}, tokens, and flags with the tier, by run. */
  cause = new Uint8Array(256);
  tokens = new Int32Array(256);
  flags = new Uint8Array(256);
  /** First run of a row + 1; 0 = not judged. */
  #first = new Int32Array(256);
  #row = -1;

  /** The next runs are those of a turn; runs it had before are forgotten. */
  open(row: number): void {
    this.#row = row;
    if (row >= this.#first.length) this.#first = widened(this.#first, row + 1);
    this.#first[row] = 0;
  }

  /** Appends a run to the open turn; joins it with the one before if they are alike. Nothing happens for 0 tokens. */
  add(cause: number, tokens: number, flags: number, tier: number): void {
    if (tokens <= 0) return;
    const packed = flags | (tier << TIER_SHIFT);
    const i = this.count;
    if (this.#first[this.#row] === 0) this.#first[this.#row] = i + 1;
    else if (this.cause[i - 1] === cause && (this.flags[i - 1]! & ~LAST) === packed) {
      this.tokens[i - 1]! += tokens;
      return;
    } else this.flags[i - 1]! &= ~LAST;
    if (i === this.cause.length) this.#grow();
    this.cause[i] = cause;
    this.tokens[i] = tokens;
    this.flags[i] = packed | LAST;
    this.count = i + 1;
  }

  /** First run of a turn, or -1. Its runs go on up to the one that {@link isLast}. */
  first(row: number): number {
    return row < this.#first.length ? this.#first[row]! - 1 : -1;
  }

  isLast(run: number): boolean {
    return (this.flags[run]! & LAST) !== 0;
  }

  /** Whether the tokens of a run were in some tier of the chosen worker when it missed them. */
  isHeldHere(run: number): boolean {
    return (this.flags[run]! & CAUSE_FLAG.shadowed) !== 0 || (this.cause[run]! >= FIRST_TIER && this.cause[run]! <= LAST_TIER);
  }

  /** Missed tokens of a turn that {@link isHeldHere}. */
  heldTokens(row: number): number {
    let run = this.first(row);
    let held = 0;
    if (run < 0) return held;
    for (; ; run++) {
      if (this.isHeldHere(run)) held += this.tokens[run]!;
      if (this.isLast(run)) return held;
    }
  }

  /** The runs of a turn as objects, for reports and tests. */
  runs(row: number): CauseRun[] {
    const out: CauseRun[] = [];
    let run = this.first(row);
    if (run < 0) return out;
    for (; ; run++) {
      const bits = this.flags[run]!;
      out.push({
        cause: CAUSES[this.cause[run]!]!,
        tokens: this.tokens[run]!,
        tier: (bits & ~LAST) >> TIER_SHIFT,
        alsoEvictedHere: (bits & CAUSE_FLAG.alsoEvictedHere) !== 0,
        shadowed: (bits & CAUSE_FLAG.shadowed) !== 0,
        horizon: (bits & CAUSE_FLAG.horizon) !== 0,
      });
      if (this.isLast(run)) return out;
    }
  }

  /** Bytes of all columns. */
  get bytes(): number {
    return this.cause.length * 6 + this.#first.length * 4;
  }

  #grow(): void {
    const size = this.cause.length * 2;
    this.cause = widened(this.cause, size);
    this.tokens = widened(this.tokens, size);
    this.flags = widened(this.flags, size);
  }
}

const FIRST_TIER = CAUSES.indexOf('tier_too_slow.onboard_declined');
const LAST_TIER = CAUSES.indexOf('tier_too_slow.no_slot');

function widened<T extends Int32Array | Uint8Array>(column: T, needed: number): T {
  const wide = new (column.constructor as new (length: number) => T)(Math.max(needed, column.length * 2));
  wide.set(column);
  return wide;
}
