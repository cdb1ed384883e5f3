/**
 * Where the missed prompt tokens of every judged turn come from: runs of tokens with one cause each, in prompt order behind the hits.
 *
 *     hit tokens | run 0 | run 1 | …            their lengths sum to promptTokens - hits of the turn
 *
 * Runs of one turn are consecutive rows of three columns (6 B per run); a turn knows its first. A turn is named by its row of
 * the turn table (TurnTable.rowOf). Turns that were never admitted may have runs, of a match that came to nothing. Columns are lists of
 * pages, as in the turn table: nothing is copied when they grow.
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

/** Runs of a page, and turns of one; an Int32 page is 16 KiB. */
const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;

/** Runs by turn. */
export class TurnCauses {
  /** Number of runs. */
  count = 0;
  /** Code of {@link CAUSES}, tokens, and flags with the tier, by run. */
  readonly #cause: Uint8Array[] = [];
  readonly #tokens: Int32Array[] = [];
  readonly #flags: Uint8Array[] = [];
  /** First run of a row + 1; 0 = not judged. */
  readonly #first: Int32Array[] = [];
  #row = -1;

  /** The next runs are those of a turn; runs it had before are forgotten. */
  open(row: number): void {
    this.#row = row;
    while (row >> PAGE_BITS >= this.#first.length) this.#first.push(new Int32Array(PAGE));
    this.#first[row >> PAGE_BITS]![row & MASK] = 0;
  }

  /** Appends a run to the open turn; joins it with the one before if they are alike. Nothing happens for 0 tokens. */
  add(cause: number, tokens: number, flags: number, tier: number): void {
    if (tokens <= 0) return;
    const packed = flags | (tier << TIER_SHIFT);
    const run = this.count;
    const first = this.#first[this.#row >> PAGE_BITS]!;
    const row = this.#row & MASK;
    if (first[row] === 0) first[row] = run + 1;
    else {
      const page = (run - 1) >> PAGE_BITS;
      const i = (run - 1) & MASK;
      const before = this.#flags[page]![i]! & ~LAST;
      if (this.#cause[page]![i] === cause && before === packed) {
        this.#tokens[page]![i]! += tokens;
        return;
      }
      this.#flags[page]![i] = before;
    }
    if ((run & MASK) === 0) this.#addPage();
    this.#cause[run >> PAGE_BITS]![run & MASK] = cause;
    this.#tokens[run >> PAGE_BITS]![run & MASK] = tokens;
    this.#flags[run >> PAGE_BITS]![run & MASK] = packed | LAST;
    this.count = run + 1;
  }

  /** First run of a turn, or -1. Its runs go on up to the one that {@link isLast}. */
  first(row: number): number {
    const page = row >> PAGE_BITS;
    return page < this.#first.length ? this.#first[page]![row & MASK]! - 1 : -1;
  }

  isLast(run: number): boolean {
    return (this.flags(run) & LAST) !== 0;
  }

  /** Code of {@link CAUSES}. */
  cause(run: number): number {
    return this.#cause[run >> PAGE_BITS]![run & MASK]!;
  }

  tokens(run: number): number {
    return this.#tokens[run >> PAGE_BITS]![run & MASK]!;
  }

  /** Bits of {@link CAUSE_FLAG}, with the tier and others behind them. */
  flags(run: number): number {
    return this.#flags[run >> PAGE_BITS]![run & MASK]!;
  }

  /** Whether the tokens of a run were in some tier of the chosen worker when it missed them. */
  isHeldHere(run: number): boolean {
    const cause = this.cause(run);
    return (this.flags(run) & CAUSE_FLAG.shadowed) !== 0 || (cause >= FIRST_TIER && cause <= LAST_TIER);
  }

  /** Missed tokens of a turn that {@link isHeldHere}. */
  heldTokens(row: number): number {
    let run = this.first(row);
    let held = 0;
    if (run < 0) return held;
    for (; ; run++) {
      if (this.isHeldHere(run)) held += this.tokens(run);
      if (this.isLast(run)) return held;
    }
  }

  /** The runs of a turn as objects, for reports and tests. */
  runs(row: number): CauseRun[] {
    const out: CauseRun[] = [];
    let run = this.first(row);
    if (run < 0) return out;
    for (; ; run++) {
      const bits = this.flags(run);
      out.push({
        cause: CAUSES[this.cause(run)]!,
        tokens: this.tokens(run),
        tier: (bits & ~LAST) >> TIER_SHIFT,
        alsoEvictedHere: (bits & CAUSE_FLAG.alsoEvictedHere) !== 0,
        shadowed: (bits & CAUSE_FLAG.shadowed) !== 0,
        horizon: (bits & CAUSE_FLAG.horizon) !== 0,
      });
      if (this.isLast(run)) return out;
    }
  }

  /** Bytes of all pages. */
  get bytes(): number {
    return PAGE * (this.#cause.length * 6 + this.#first.length * 4);
  }

  #addPage(): void {
    this.#cause.push(new Uint8Array(PAGE));
    this.#tokens.push(new Int32Array(PAGE));
    this.#flags.push(new Uint8Array(PAGE));
  }
}

const FIRST_TIER = CAUSES.indexOf('tier_too_slow.onboard_declined');
const LAST_TIER = CAUSES.indexOf('tier_too_slow.no_slot');
