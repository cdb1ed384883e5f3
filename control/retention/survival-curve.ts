/** Survival of pauses from closed and still open ones, and how long keeping pays (retention specification 5.2, 8.2). */

/** Step curve: between two times nothing ends. Unit of times as given. */
export interface SurvivalCurve {
  /** Distinct times at which pauses ended, ascending. */
  readonly times: Float64Array;
  /** S just after each time, 1 - F. */
  readonly survival: Float64Array;
  /** Integral of S from 0 to each time = E[min(G, time)]. */
  readonly held: Float64Array;
}

/**
 * Kaplan-Meier estimate with right-censoring: at each time with d ends among n at risk S is multiplied by 1 - d / n; a pause
 * censored at that time still counts as at risk. Inputs ascend and are not changed. Cost O(n).
 * Source: Kaplan and Meier 1958.
 */
export function kaplanMeier(ends: Float64Array, open: Float64Array): SurvivalCurve {
  let distinct = 0;
  for (let i = 0; i < ends.length; i++) if (i === 0 || ends[i] !== ends[i - 1]) distinct++;
  const curve = { times: new Float64Array(distinct), survival: new Float64Array(distinct), held: new Float64Array(distinct) };
  let s = 1;
  let area = 0;
  let before = 0;
  let gone = 0;
  let at = 0;
  for (let i = 0; i < ends.length; at++) {
    const time = ends[i]!;
    while (gone < open.length && open[gone]! < time) gone++;
    const atRisk = ends.length - i + (open.length - gone);
    let count = 0;
    while (i < ends.length && ends[i] === time) {
      count++;
      i++;
    }
    area += s * (time - before);
    s *= 1 - count / atRisk;
    curve.times[at] = time;
    curve.survival[at] = s;
    curve.held[at] = area;
    before = time;
  }
  return curve;
}

/** Times that {@link bestHold} looks at together. */
const STRETCH = 16;

/**
 * The time to keep that gains most: argmax of J = breakEven F - E[min(G, tau)] over 0 and the times up to `cap`; the smallest on
 * ties. Without a price (breakEven Infinity) keeping is free: `cap`. `from`: the pause is kept so long anyway, only later times can
 * gain; the gain then counts from there. Cost O(times / 16) and a few stretches of 16 times.
 */
export function bestHold(curve: SurvivalCurve, breakEven: number, cap: number, from = 0): { readonly hold: number; readonly gain: number } {
  if (breakEven === Number.POSITIVE_INFINITY) return { hold: Math.max(cap, from), gain: breakEven };
  const { times, survival, held } = curve;
  const first = from > 0 ? firstAbove(times, from) : 0;
  const before = first === 0 ? { time: 0, s: 1, area: 0 } : { time: times[first - 1]!, s: survival[first - 1]!, area: held[first - 1]! };
  const base = breakEven * (1 - before.s) - (before.area + before.s * (from - before.time));
  const end = firstAbove(times, cap);
  const at = (s: number, area: number): number => breakEven * (1 - s) - area - base;
  // A first look at the end of every stretch says what can be gained at least.
  let sure = 0;
  for (let i = first + STRETCH - 1; i < end; i += STRETCH) sure = Math.max(sure, at(survival[i]!, held[i]!));
  let hold = from;
  let gain = 0;
  for (let i = first; i < end; i += STRETCH) {
    const last = Math.min(i + STRETCH, end) - 1;
    // F and what is held only grow: no time of the stretch gains more than this.
    if (at(survival[last]!, held[i]!) < sure) continue;
    for (let k = i; k <= last; k++) {
      const j = at(survival[k]!, held[k]!);
      if (j <= gain) continue;
      gain = j;
      hold = times[k]!;
    }
  }
  return { hold, gain };
}

/** Number of the first of some ascending values that exceeds a limit; how many there are if none does. Cost O(log n). */
export function firstAbove(ascending: Float64Array, limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
