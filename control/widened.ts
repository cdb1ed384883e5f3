/** Growing a column. */

/** Columns that grow. */
export type Column = Int32Array | Uint8Array | Float64Array;

/** A copy of a column with `length` entries, not fewer than it has; what is new is 0. Cost O(length). */
export function widened<T extends Column>(column: T, length: number): T {
  const wide = new (column.constructor as new (length: number) => T)(length);
  wide.set(column);
  return wide;
}
