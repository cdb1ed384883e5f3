/**
 * Growing a column by branch that is mostly zero. Private branches lie in ranges of ids of their own (see sim/workload/played-turns.ts)
 * and nobody keeps anything about them, so whole pages of such a column are never written; a copy must not write them either, or the
 * system would have to back them with memory.
 */

/** Entries looked at together: 4 KiB, a page of memory. */
const BLOCK = 1024;

/** A column of zeros and `column` in front, at least twice as long and with room for index `needed - 1`. Cost O(length). */
export function grownSparse(column: Int32Array<ArrayBuffer>, needed: number): Int32Array<ArrayBuffer> {
  let size = column.length * 2;
  while (size < needed) size *= 2;
  const wide = new Int32Array(size);
  for (let from = 0; from < column.length; from += BLOCK) {
    const block = column.subarray(from, from + BLOCK);
    if (!isZero(block)) wide.set(block, from);
  }
  return wide;
}

function isZero(block: Int32Array): boolean {
  for (let i = 0; i < block.length; i++) if (block[i] !== 0) return false;
  return true;
}
