/** How much load a fleet of one size carries: headroom, growth with knee and limit, the largest load. Source: experiments specification 6.4. */
import { kneeOf } from '../../measure/knee.ts';
import type { Candidate } from './question.ts';
import type { Feasible } from './size-search.ts';
import type { Outcome, Trials } from './trials.ts';

/** A load factor with its verdict. */
export interface TestedLoad {
  readonly load: number;
  readonly verdict: Feasible;
}

/** The largest load factor that holds, to {@link LOAD_STEP}; `atEnd` = the search ended there without a failure. */
export interface LargestLoad {
  readonly load: number;
  readonly atEnd: boolean;
  readonly tested: readonly TestedLoad[];
}

/** Resolution of load factors found by bisection. */
export const LOAD_STEP = 0.02;
/** Largest load factor that headroom is searched up to. */
const MOST_HEADROOM = 2;
/** Largest and least factors of the search for the largest load. */
const MOST_LOAD = 64;
const LEAST_LOAD = 1 / 64;

/** One row of the growth curve. */
export interface GrowthRow {
  readonly load: number;
  readonly arm: string;
  readonly outcome: Outcome;
}

/** A growth curve with the two points that matter, of the first arm. */
export interface Growth {
  readonly rows: readonly GrowthRow[];
  /** Load factor at which the primary metric bends; null = it does not. */
  readonly knee: number | null;
  /** Last load factor, from the smallest on, at which all objectives hold; null = none. */
  readonly limit: number | null;
}

/** The size whose load is varied. */
export interface SizedCandidate {
  readonly candidate: Candidate;
  readonly size: number;
}

/** Largest load factor in [`known`, 2] that holds; `known` is one that does. */
export async function headroomOf({ candidate, size }: SizedCandidate, known: number, trials: Trials): Promise<LargestLoad> {
  const tested: TestedLoad[] = [];
  const holds = async (load: number): Promise<boolean> => {
    const { verdict } = await trials.judge({ candidate, size, load });
    tested.push({ load, verdict });
    return verdict === 'yes';
  };
  if (known >= MOST_HEADROOM || (await holds(MOST_HEADROOM))) return { load: Math.max(known, MOST_HEADROOM), atEnd: true, tested };
  return { load: await bisectLoad(known, MOST_HEADROOM, holds), atEnd: false, tested };
}

/** Largest load factor that a fleet carries: doubled or halved until it brackets, then bisected. 0 = not even 1/64. */
export async function largestLoad({ candidate, size }: SizedCandidate, trials: Trials): Promise<LargestLoad> {
  const tested: TestedLoad[] = [];
  const holds = async (load: number): Promise<boolean> => {
    const { verdict } = await trials.judge({ candidate, size, load });
    tested.push({ load, verdict });
    return verdict === 'yes';
  };
  let low = 1;
  let high = 1;
  if (await holds(1)) {
    do {
      low = high;
      high *= 2;
      if (low >= MOST_LOAD) return { load: low, atEnd: true, tested };
    } while (await holds(high));
  } else {
    do {
      high = low;
      low /= 2;
      if (low < LEAST_LOAD) return { load: 0, atEnd: true, tested };
    } while (!(await holds(low)));
  }
  return { load: await bisectLoad(low, high, holds), atEnd: false, tested };
}

/** Narrows [low, high] until it is below {@link LOAD_STEP} of its lower end; factors have two decimals or three digits. */
async function bisectLoad(low: number, high: number, holds: (load: number) => Promise<boolean>): Promise<number> {
  let [yes, no] = [low, high];
  while (no - yes > LOAD_STEP * Math.max(1, yes) + 1e-9) {
    const middle = Number(((yes + no) / 2).toPrecision(4));
    if (middle <= yes || middle >= no) break;
    if (await holds(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

/** Runs every arm at every load factor. */
export async function growthOf(
  { candidate, size }: SizedCandidate,
  loads: readonly number[],
  arms: readonly string[],
  primary: string,
  trials: Trials,
): Promise<Growth> {
  const rows: GrowthRow[] = [];
  for (const load of loads) for (const arm of arms) rows.push({ load, arm, outcome: await trials.judge({ candidate, size, load, arm }) });
  const first = rows.filter((row) => row.arm === arms[0]);
  let limit: number | null = null;
  for (const { load, outcome } of first) {
    if (outcome.verdict !== 'yes') break;
    limit = load;
  }
  return { rows, knee: kneeOfGrowth(first, primary), limit };
}

/**
 * Where a curve of cost over load bends upwards: the largest distance below the chord, both axes scaled to 0..1, where it is at least
 * 0.1 and the curve is convex within its intervals.
 */
export function kneeOfGrowth(rows: readonly GrowthRow[], primary: string): number | null {
  const known = rows.flatMap(({ load, outcome }) => {
    const estimate = outcome.metrics[primary];
    return estimate?.mean == null
      ? []
      : [{ load, mean: estimate.mean, lo: estimate.lo ?? estimate.mean, hi: estimate.hi ?? estimate.mean }];
  });
  if (known.length < 3 || !isConvex(known)) return null;
  // The price of load is the metric: turned upside down, the bend is the knee of a curve of gain.
  const at = kneeOf(
    known.map((k) => -k.load),
    known.map((k) => -k.mean),
  );
  return at === null ? null : known[at]!.load;
}

/** No point lies above the chord of its neighbours by more than the intervals allow. */
function isConvex(points: readonly { readonly load: number; readonly lo: number; readonly hi: number }[]): boolean {
  return points.slice(1, -1).every((point, i) => {
    const before = points[i]!;
    const after = points[i + 2]!;
    const share = (point.load - before.load) / (after.load - before.load);
    return point.lo <= before.hi + share * (after.hi - before.hi);
  });
}
