/**
 * Where a curve of gain over price bends: up to the knee a unit of price buys more than the average of the whole curve, beyond it less.
 * The point with the largest vertical distance above the chord, both axes scaled to 0..1 (the "kneedle" criterion; Satopaa et al.,
 * Finding a "Kneedle" in a Haystack, 2011). A curve that hardly bends has none.
 */
import { type Uniform, uniformInteger } from '../kernel/draw.ts';

/** Distance from the chord, as a share of the curve's height, below which there is no knee; ours. */
export const KNEE_FLOOR = 0.1;

/**
 * Index of the knee of points with prices `x` and gains `y`, in any order of the points; null where prices or gains are all equal, or
 * the curve stays within {@link KNEE_FLOOR} of its chord. Cost O(points).
 */
export function kneeOf(x: readonly number[], y: readonly number[]): number | null {
  const low = Math.min(...x);
  const high = Math.max(...x);
  const bottom = Math.min(...y);
  const top = Math.max(...y);
  if (!(high > low) || !(top > bottom)) return null;
  let best: number | null = null;
  let distance = KNEE_FLOOR;
  x.forEach((price, i) => {
    const above = (y[i]! - bottom) / (top - bottom) - (price - low) / (high - low);
    // The cheapest point has bought nothing yet, whatever noise puts above the others there.
    if (above <= distance || price === low) return;
    distance = above;
    best = i;
  });
  return best;
}

/** A knee with the points among which it lies. Indices of points; `found` = share of the resamples that have a knee. */
export interface KneeInterval {
  readonly at: number;
  readonly lo: number;
  readonly hi: number;
  readonly found: number;
}

/**
 * Knee of the mean curve, and the central `level` of the knees of curves whose replications were drawn with replacement; the points
 * must be in the order of the swept value. `x[r][i]`, `y[r][i]` = point i of replication r. Null without a knee of the mean curve.
 * Cost O(resamples x replications x points).
 */
export function kneeInterval(
  x: readonly (readonly number[])[],
  y: readonly (readonly number[])[],
  stream: Uniform,
  { resamples = 1000, level = 0.95 } = {},
): KneeInterval | null {
  const replications = x.length;
  const points = x[0]?.length ?? 0;
  const all = Array.from({ length: replications }, (_, r) => r);
  const at = kneeOf(meanOf(x, all, points), meanOf(y, all, points));
  if (at === null) return null;
  const knees: number[] = [];
  for (let b = 0; b < resamples; b++) {
    const drawn = all.map(() => uniformInteger(stream, 0, replications - 1));
    const knee = kneeOf(meanOf(x, drawn, points), meanOf(y, drawn, points));
    if (knee !== null) knees.push(knee);
  }
  knees.sort((a, b) => a - b);
  const tail = (1 - level) / 2;
  const pick = (q: number): number => knees[Math.min(knees.length - 1, Math.max(0, Math.round(q * (knees.length - 1))))] ?? at;
  return { at, lo: Math.min(at, pick(tail)), hi: Math.max(at, pick(1 - tail)), found: knees.length / resamples };
}

function meanOf(values: readonly (readonly number[])[], rows: readonly number[], points: number): number[] {
  return Array.from({ length: points }, (_, i) => rows.reduce((sum, r) => sum + values[r]![i]!, 0) / rows.length);
}
