/** How busy a trace is over time, where it states arrivals. Recorded times as they are, not a replay. Source: trace specification 6.5. */
import type { Trace } from '../columns.ts';
import { rounded } from './quantile.ts';
import { apiOf } from './session-zero-latency.ts';

export interface Load {
  readonly spanS: number;
  readonly sessionsPerS: number;
  readonly requestsPerS: number;
  /** Mean and peak of sessions between first start and last response; null where responses have no duration. */
  readonly openSessions: { readonly mean: number; readonly peak: number } | null;
  readonly requestsInFlight: { readonly mean: number; readonly peak: number } | null;
  /** Requests started per twentieth of the span. */
  readonly startsOverTime: readonly number[];
  /** Variance over mean of request starts per window of so many seconds; 1 = Poisson. Null with fewer than ten windows. */
  readonly dispersion: Readonly<Record<string, number | null>>;
}

const WINDOWS_S = [10, 30, 60];
const PARTS = 20;

/** Null if any session lacks an arrival. Cost O(requests log requests). */
export function loadOf(trace: Trace): Load | null {
  const starts = new Float64Array(trace.requestCount);
  const ends = new Float64Array(trace.requestCount);
  const opened = new Float64Array(trace.sessionCount);
  const closed = new Float64Array(trace.sessionCount);
  let durations = false;
  for (let s = 0; s < trace.sessionCount; s++) {
    const arrival = trace.session.arrivalMs[s]!;
    if (Number.isNaN(arrival)) return null;
    const from = trace.agent.requestFrom[trace.session.agentFrom[s]!]!;
    const to = trace.agent.requestFrom[trace.session.agentFrom[s + 1]!]!;
    opened[s] = arrival;
    for (let r = from; r < to; r++) {
      starts[r] = arrival + trace.request.startMs[r]!;
      const api = apiOf(trace, r);
      if (api > 0) durations = true;
      ends[r] = starts[r]! + api;
      closed[s] = Math.max(closed[s]!, ends[r]!);
    }
  }
  const first = starts.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const lastStart = starts.reduce((a, b) => Math.max(a, b), 0);
  const last = ends.reduce((a, b) => Math.max(a, b), 0);
  const spanMs = Math.max(1, last - first);
  const parts = new Array<number>(PARTS).fill(0);
  for (const t of starts) parts[Math.min(PARTS - 1, Math.floor(((t - first) / Math.max(1, lastStart - first)) * PARTS))]! += 1;
  return {
    spanS: rounded(spanMs / 1000, 3),
    sessionsPerS: rounded((1000 * trace.sessionCount) / spanMs, 5),
    requestsPerS: rounded((1000 * trace.requestCount) / spanMs, 5),
    openSessions: durations ? occupancy(opened, closed, spanMs) : null,
    requestsInFlight: durations ? occupancy(starts, ends, spanMs) : null,
    startsOverTime: parts,
    dispersion: Object.fromEntries(WINDOWS_S.map((w) => [String(w), dispersion(starts, first, lastStart, w * 1000)])),
  };
}

/** Time mean and peak of the intervals [from, to); an interval that ends as another starts does not overlap it. */
function occupancy(from: Float64Array, to: Float64Array, spanMs: number): { mean: number; peak: number } {
  const up = from.slice().sort();
  const down = to.slice().sort();
  let area = 0;
  for (let i = 0; i < from.length; i++) area += to[i]! - from[i]!;
  let peak = 0;
  for (let i = 0, j = 0; i < up.length; i++) {
    while (j < down.length && down[j]! <= up[i]!) j++;
    peak = Math.max(peak, i + 1 - j);
  }
  return { mean: rounded(area / spanMs, 3), peak };
}

function dispersion(starts: Float64Array, first: number, last: number, windowMs: number): number | null {
  const windows = Math.floor((last - first) / windowMs);
  if (windows < 10) return null;
  const counts = new Float64Array(windows);
  for (const t of starts) {
    const w = Math.floor((t - first) / windowMs);
    if (w < windows) counts[w]! += 1;
  }
  const mean = counts.reduce((a, b) => a + b, 0) / windows;
  const variance = counts.reduce((a, b) => a + (b - mean) ** 2, 0) / (windows - 1);
  return mean === 0 ? null : rounded(variance / mean, 3);
}
