/**
 * Block ids of a prompt as inclusive runs, flat: `[first0, last0, first1, last1, …]`, prompt order, maximal (adjacent runs merged).
 * Because ids are prefix hashes, equal leading runs mean equal leading content. Source: trace specification 2.7.
 */

/** Appends the run first..last and merges it with the previous one where they touch. */
export function pushRun(runs: number[], first: number, last: number): void {
  const n = runs.length;
  if (n > 0 && runs[n - 1]! + 1 === first) runs[n - 1] = last;
  else runs.push(first, last);
}

/** Number of blocks. */
export function blocksOf(runs: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < runs.length; i += 2) sum += runs[i + 1]! - runs[i]! + 1;
  return sum;
}

/** Length of the longest common prefix in blocks. Both lists must be maximal. Cost O(runs). */
export function commonBlocks(a: readonly number[], b: readonly number[]): number {
  const n = Math.min(a.length, b.length);
  let sum = 0;
  for (let i = 0; i < n; i += 2) {
    const first = a[i]!;
    if (first !== b[i]!) return sum;
    const lastA = a[i + 1]!;
    const lastB = b[i + 1]!;
    sum += Math.min(lastA, lastB) - first + 1;
    if (lastA !== lastB) return sum;
  }
  return sum;
}

/** An id that occurs twice, or -1. Cost O(runs) for ascending lists, else O(runs log runs). */
export function repeatedId(runs: readonly number[]): number {
  let ascending = true;
  for (let i = 2; i < runs.length; i += 2) if (runs[i]! <= runs[i - 1]!) ascending = false;
  if (ascending) return -1;
  const order: number[] = [];
  for (let i = 0; i < runs.length; i += 2) order.push(i);
  order.sort((x, y) => runs[x]! - runs[y]!);
  for (let k = 1; k < order.length; k++) if (runs[order[k]!]! <= runs[order[k - 1]! + 1]!) return runs[order[k]!]!;
  return -1;
}

/** Common prefix in blocks of requests `p` and `r` of a trace's columns. Cost O(runs). */
export function commonBlocksOf(
  trace: { readonly request: { readonly runFrom: Int32Array }; readonly runFirst: Float64Array; readonly runLast: Float64Array },
  p: number,
  r: number,
): number {
  const { runFirst, runLast } = trace;
  const { runFrom } = trace.request;
  let i = runFrom[p]!;
  let j = runFrom[r]!;
  const endI = runFrom[p + 1]!;
  const endJ = runFrom[r + 1]!;
  let sum = 0;
  for (; i < endI && j < endJ; i++, j++) {
    const first = runFirst[i]!;
    if (first !== runFirst[j]!) return sum;
    const lastI = runLast[i]!;
    const lastJ = runLast[j]!;
    sum += Math.min(lastI, lastJ) - first + 1;
    if (lastI !== lastJ) return sum;
  }
  return sum;
}
