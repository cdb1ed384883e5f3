import type { Millis } from '../ports.ts';
import type { SurvivalCurve } from './survival-curve.ts';

/** Ages of a pause between which its context is worth its space in HBM. */
export interface ReturnWindow {
  readonly fromMs: Millis;
  readonly toMs: Millis;
}

/**
 * The stretch of ages [from, to] that gains most when the context is in HBM for it: argmax of J(to) - J(from) with
 * J = breakEven F - E[min(G, age)], the longest stretch with h w > lambda m under one peak. It starts just before a return; with a
 * falling hazard that is the first one. `breakEven` Infinity = space is free: all returns. undefined if no stretch gains. Cost O(n).
 * Source: retention specification 5.2 (two-tier rule), 9.4.
 */
export function returnWindow({ times, survival, held }: SurvivalCurve, breakEven: Millis): ReturnWindow | undefined {
  if (times.length === 0 || !(breakEven > 0)) return undefined;
  if (breakEven === Number.POSITIVE_INFINITY) return { fromMs: times[0]!, toMs: times[times.length - 1]! };
  let best: ReturnWindow | undefined;
  let gain = 0;
  let low = Number.POSITIVE_INFINITY;
  let fromMs = 0;
  for (let i = 0; i < times.length; i++) {
    const before = breakEven * (1 - (i === 0 ? 1 : survival[i - 1]!)) - held[i]!;
    if (before < low) {
      low = before;
      fromMs = times[i]!;
    }
    const after = breakEven * (1 - survival[i]!) - held[i]! - low;
    if (after <= gain) continue;
    gain = after;
    best = { fromMs, toMs: times[i]! };
  }
  return best;
}
