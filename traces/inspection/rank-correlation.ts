/** Spearman's rank correlation with mid-ranks for ties. NaN for fewer than two pairs or a constant side. Cost O(n log n). */
export function rankCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const a = midRanks(x);
  const b = midRanks(y);
  const n = a.length;
  const mean = (n + 1) / 2;
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let i = 0; i < n; i++) {
    const da = a[i]! - mean;
    const db = b[i]! - mean;
    xy += da * db;
    xx += da * da;
    yy += db * db;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Ranks from 1; equal values share the mean of theirs. */
function midRanks(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const order = Int32Array.from({ length: n }, (_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const ranks = new Float64Array(n);
  for (let i = 0; i < n; ) {
    let j = i;
    while (j < n && values[order[j]!] === values[order[i]!]) j++;
    for (let k = i; k < j; k++) ranks[order[k]!] = (i + j + 1) / 2;
    i = j;
  }
  return ranks;
}
