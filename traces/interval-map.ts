/**
 * A map from block ids to one number, stored as sorted disjoint intervals of equal value.
 *
 * Layout: a list of chunks, each at most 256 intervals in three parallel arrays, ordered by id. Finding costs two binary searches,
 * changing touches one chunk, so a file with a million branches stays near-linear.
 *
 *     chunk 0  first [  1  90 200 ]   last [ 80 120 260 ]   value [ 7 3 7 ]
 *     chunk 1  first [300 …
 */

const CHUNK = 256;

interface Chunk {
  first: Float64Array;
  last: Float64Array;
  value: Float64Array;
  size: number;
}

export class IntervalMap {
  #chunks: Chunk[] = [];
  /** Pieces found by the last {@link overlaps}, clipped to the query, ascending. Valid until the next call. */
  foundFirst: number[] = [];
  foundLast: number[] = [];
  foundValue: number[] = [];

  /** Forgets everything; keeps the first chunk's memory. */
  clear(): void {
    if (this.#chunks.length > 1) this.#chunks.length = 1;
    if (this.#chunks.length === 1) this.#chunks[0]!.size = 0;
  }

  /** Collects the known pieces that touch first..last and returns how many. */
  overlaps(first: number, last: number): number {
    let found = 0;
    let c = this.#chunkOf(first);
    let i = c < this.#chunks.length ? lowerBound(this.#chunks[c]!, first) : 0;
    for (; c < this.#chunks.length; c++, i = 0) {
      const chunk = this.#chunks[c]!;
      for (; i < chunk.size; i++) {
        const from = chunk.first[i]!;
        if (from > last) return found;
        const to = chunk.last[i]!;
        this.foundFirst[found] = Math.max(from, first);
        this.foundLast[found] = Math.min(to, last);
        this.foundValue[found] = chunk.value[i]!;
        found++;
      }
    }
    return found;
  }

  /** Value of one id, or NaN. */
  get(id: number): number {
    return this.overlaps(id, id) === 0 ? Number.NaN : this.foundValue[0]!;
  }

  /** Sets first..last to `value`, replacing what was there; merges with equal neighbours inside the chunk. */
  assign(first: number, last: number, value: number): void {
    if (this.#chunks.length === 0) this.#chunks.push(newChunk());
    let c = Math.min(this.#chunkOf(first), this.#chunks.length - 1);
    this.#dropFollowing(c, last);
    let chunk = this.#chunks[c]!;
    if (chunk.size + 2 > CHUNK) {
      this.#split(c);
      if (this.#chunks[c]!.last[this.#chunks[c]!.size - 1]! < first) c++;
      chunk = this.#chunks[c]!;
      this.#dropFollowing(c, last);
    }
    replace(chunk, first, last, value);
  }

  /** Index of the first chunk that may hold `id` or something above it; the chunk count if all are below. */
  #chunkOf(id: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      const chunk = this.#chunks[mid]!;
      if (chunk.size > 0 && chunk.last[chunk.size - 1]! < id) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** Removes ids up to `last` from the chunks behind `c`, so that a write at its end stays inside one chunk. */
  #dropFollowing(c: number, last: number): void {
    let gone = 0;
    while (c + 1 + gone < this.#chunks.length) {
      const next = this.#chunks[c + 1 + gone]!;
      if (next.size > 0 && next.first[0]! > last) break;
      if (next.size > 0 && next.last[next.size - 1]! > last) {
        let k = 0;
        while (next.last[k]! <= last) k++;
        shift(next, k, -k);
        if (next.first[0]! <= last) next.first[0] = last + 1;
        break;
      }
      gone++;
    }
    if (gone > 0) this.#chunks.splice(c + 1, gone);
  }

  #split(c: number): void {
    const left = this.#chunks[c]!;
    const right = newChunk();
    const half = left.size >> 1;
    right.first.set(left.first.subarray(half, left.size));
    right.last.set(left.last.subarray(half, left.size));
    right.value.set(left.value.subarray(half, left.size));
    right.size = left.size - half;
    left.size = half;
    this.#chunks.splice(c + 1, 0, right);
  }
}

function newChunk(): Chunk {
  return { first: new Float64Array(CHUNK), last: new Float64Array(CHUNK), value: new Float64Array(CHUNK), size: 0 };
}

/** First interval whose end is not below `id`. */
function lowerBound(chunk: Chunk, id: number): number {
  let low = 0;
  let high = chunk.size;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (chunk.last[mid]! < id) low = mid + 1;
    else high = mid;
  }
  return low;
}

/** Moves the intervals from index `at` by `by` places. */
function shift(chunk: Chunk, at: number, by: number): void {
  chunk.first.copyWithin(at + by, at, chunk.size);
  chunk.last.copyWithin(at + by, at, chunk.size);
  chunk.value.copyWithin(at + by, at, chunk.size);
  chunk.size += by;
}

function replace(chunk: Chunk, first: number, last: number, value: number): void {
  let from = lowerBound(chunk, first);
  let to = from;
  while (to < chunk.size && chunk.first[to]! <= last) to++;
  // The parts of the outermost overlapped intervals that survive.
  const leftFirst = from < to && chunk.first[from]! < first ? chunk.first[from]! : Number.NaN;
  const rightLast = from < to && chunk.last[to - 1]! > last ? chunk.last[to - 1]! : Number.NaN;
  const leftValue = from < to ? chunk.value[from]! : 0;
  const rightValue = from < to ? chunk.value[to - 1]! : 0;
  let keepLeft = !Number.isNaN(leftFirst);
  let keepRight = !Number.isNaN(rightLast);
  if (keepLeft && leftValue === value) {
    first = leftFirst;
    keepLeft = false;
  } else if (!keepLeft && from > 0 && chunk.last[from - 1]! + 1 === first && chunk.value[from - 1]! === value) first = chunk.first[--from]!;
  if (keepRight && rightValue === value) {
    last = rightLast;
    keepRight = false;
  } else if (!keepRight && to < chunk.size && chunk.first[to]! === last + 1 && chunk.value[to]! === value) last = chunk.last[to++]!;
  const need = 1 + (keepLeft ? 1 : 0) + (keepRight ? 1 : 0);
  if (need !== to - from) shift(chunk, to, need - (to - from));
  let i = from;
  const put = (f: number, l: number, v: number): void => {
    chunk.first[i] = f;
    chunk.last[i] = l;
    chunk.value[i] = v;
    i++;
  };
  if (keepLeft) put(leftFirst, first - 1, leftValue);
  put(first, last, value);
  if (keepRight) put(last + 1, rightLast, rightValue);
}
