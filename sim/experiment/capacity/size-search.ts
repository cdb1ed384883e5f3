/**
 * The smallest size that holds: bracket upwards by 1.5, bisect, then look one further. Pure but for the test it is given.
 * Source: experiments specification 6.3.
 */

/** Judgement of one size: `unsure` = the intervals stay open at the most replications; treated as not feasible. */
export type Feasible = 'yes' | 'no' | 'unsure';

/** Judges one size; asked at most once per size. */
export type SizeTest = (size: number) => Promise<Feasible>;

/** One size that was judged, in the order of asking. */
export interface TestedSize {
  readonly size: number;
  readonly verdict: Feasible;
  /** Asked to see whether more is worse: one beyond the smallest, or the scan that follows. */
  readonly isProbe: boolean;
}

/** What a search found. */
export interface SizeSearch {
  /** Null: none up to the largest holds, or none holds together with its successor. */
  readonly smallest: number | null;
  readonly tested: readonly TestedSize[];
  /** One size holds and the next does not. */
  readonly isNonMonotone: boolean;
}

/** What is known before. */
export interface SearchHints {
  /** A size that held for a like question; it and the one below are asked first. */
  readonly likely?: number;
  /** Look one beyond the smallest; default true. */
  readonly isProbed?: boolean;
}

/** Growth of the bracket. */
const STRIDE = 1.5;
/** Sizes beyond the smallest that are scanned when it turns out not to be monotone. */
const SCAN = 4;

/**
 * Searches `from..max` (whole numbers). Evaluations: at most ceil(log1.5(max / from)) + ceil(log2 max) + 6, probe included.
 * Feasibility is assumed to be monotone in size until the probe says otherwise; then the first of two sizes in a row that hold wins.
 */
export async function smallestSize(
  from: number,
  max: number,
  test: SizeTest,
  { likely, isProbed = true }: SearchHints = {},
): Promise<SizeSearch> {
  const tested: TestedSize[] = [];
  const verdicts = new Map<number, Feasible>();
  const holds = async (size: number, isProbe = false): Promise<boolean> => {
    let verdict = verdicts.get(size);
    if (verdict === undefined) {
      verdict = await test(size);
      verdicts.set(size, verdict);
      tested.push({ size, verdict, isProbe });
    }
    return verdict === 'yes';
  };
  const bracket = likely === undefined ? await bracketOf(from, max, holds) : await bracketAround(likely, from, max, holds);
  if (bracket === null) return { smallest: null, tested, isNonMonotone: false };
  const smallest = await bisect(bracket, holds);
  if (!isProbed || smallest === max || (await holds(smallest + 1, true))) return { smallest, tested, isNonMonotone: false };
  return { smallest: await firstPair(smallest + 2, Math.min(max, smallest + SCAN), holds), tested, isNonMonotone: true };
}

type Holds = (size: number, isProbe?: boolean) => Promise<boolean>;

/** The last size that does not hold (below `from`: none) and the first that does; null when the largest does not. */
async function bracketOf(from: number, max: number, holds: Holds): Promise<{ readonly low: number; readonly high: number } | null> {
  let low = from - 1;
  let size = from;
  while (!(await holds(size))) {
    if (size >= max) return null;
    low = size;
    size = Math.min(max, Math.ceil(STRIDE * size));
  }
  return { low, high: size };
}

/** The same from a guess: the guess and the size below it, then the whole range below, or upwards from the guess. */
async function bracketAround(
  likely: number,
  from: number,
  max: number,
  holds: Holds,
): Promise<{ readonly low: number; readonly high: number } | null> {
  const guess = Math.min(max, Math.max(from, likely));
  if (!(await holds(guess))) return guess === max ? null : bracketOf(guess + 1, max, holds);
  if (guess > from && (await holds(guess - 1))) return { low: from - 1, high: guess - 1 };
  return { low: guess - 1, high: guess };
}

/** Narrows a bracket until its ends are neighbours. */
async function bisect({ low, high }: { readonly low: number; readonly high: number }, holds: Holds): Promise<number> {
  let [no, yes] = [low, high];
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (await holds(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

/** First size of `from..to` that holds together with its successor. */
async function firstPair(from: number, to: number, holds: Holds): Promise<number | null> {
  for (let size = from; size < to; size++) if ((await holds(size, true)) && (await holds(size + 1, true))) return size;
  return null;
}

/** The largest evaluations that {@link smallestSize} may take. */
export function mostEvaluations(from: number, max: number): number {
  return Math.ceil(Math.log(max / from) / Math.log(STRIDE)) + Math.ceil(Math.log2(max)) + 6;
}
