/** Growable columns of play results. */
import type { PlayTable } from './cluster-spec.ts';

/** Table with room for `capacity` plays, all open. */
export function createPlayTable(capacity: number): PlayTable {
  const size = Math.max(16, capacity);
  return {
    startMs: new Float64Array(size).fill(NaN),
    endMs: new Float64Array(size).fill(NaN),
    activeMs: new Float64Array(size).fill(NaN),
    unloadedMs: new Float64Array(size).fill(NaN),
    status: new Uint8Array(size),
    count: 0,
  };
}

/** Makes room for play `play` and counts it. */
export function ensurePlay(table: PlayTable, play: number): void {
  if (play >= table.startMs.length) {
    const size = Math.max(play + 1, table.startMs.length * 2);
    table.startMs = grown(table.startMs, size);
    table.endMs = grown(table.endMs, size);
    table.activeMs = grown(table.activeMs, size);
    table.unloadedMs = grown(table.unloadedMs, size);
    const status = new Uint8Array(size);
    status.set(table.status);
    table.status = status;
  }
  if (play >= table.count) table.count = play + 1;
}

function grown(column: Float64Array, size: number): Float64Array {
  const wide = new Float64Array(size).fill(NaN);
  wide.set(column);
  return wide;
}
