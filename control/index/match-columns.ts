import type { MatchColumns } from '../ports.ts';

/** Columns for a match over `ranks` ranks, all zero. */
export function matchColumns(ranks: number): MatchColumns {
  return {
    hbm: new Int32Array(ranks),
    host: new Int32Array(ranks),
    disk: new Int32Array(ranks),
    remote: new Int32Array(ranks),
    touched: new Int32Array(ranks),
    touchedCount: 0,
  };
}

/** Zeroes what the last match wrote. Cost O(touched). */
export function clearMatch(match: MatchColumns): void {
  const { hbm, host, disk, remote, touched } = match;
  for (let i = 0; i < match.touchedCount; i++) {
    const rank = touched[i]!;
    hbm[rank] = 0;
    host[rank] = 0;
    disk[rank] = 0;
    remote[rank] = 0;
  }
  match.touchedCount = 0;
}
