/**
 * The fast door for lines that are nearly all block ids: cuts every `"hash_ids": […]` out of a line's bytes, turns it straight into
 * runs, and leaves a small text for JSON.parse in which list k stands as the number k.
 *
 * Prompts repeat their predecessor, so each list is first compared with the one before it (memcmp and bisection, no parsing); only the
 * bytes behind the common part are scanned.
 *
 *     previous  [1,2,3, … 1523,1524]           byte of each run's start and its first id are remembered
 *     this one  [1,2,3, … 1523,1525,1526]      common part ends behind "1523,": runs up to there are taken over
 *
 * Anything unusual (escapes, floats, signs, nested values, ids wider than 2^53) makes {@link HashListScanner.cut} answer null, and the
 * caller takes the plain path, which yields the same or a located error. Source: data-structures specification 6.
 */

const KEY = Buffer.from('"hash_ids"');
const COMMA = 44;
const OPEN = 91;
const CLOSE = 93;
const COLON = 58;
const BACKSLASH = 92;

/** The lists of a line as flat maximal runs, in order of appearance, and the text without them. */
export interface CutLine {
  readonly text: string;
  readonly lists: readonly number[][];
  /** Whether lists held pairs (`ranges`) or single ids (`ids`); `none` if all were empty or absent, `mixed` if both occur. */
  readonly encoding: 'ranges' | 'ids' | 'none' | 'mixed';
}

export class HashListScanner {
  /** The list scanned last: where its content lies (in this line, or in the copy that outlives it), and for each run the byte of its start. */
  #bytes: Buffer = Buffer.alloc(0);
  #copy: Buffer = Buffer.alloc(0);
  #from = -1;
  #to = -1;
  #runs: number[] = [];
  #starts: number[] = [];
  #pairs = false;

  /** Cuts the lists out of bytes[from, to), or null where the plain path must decide. Cost O(bytes), mostly memcmp. */
  cut(bytes: Buffer, from: number, to: number): CutLine | null {
    const line = this.#cut(bytes, from, to);
    if (line === null) this.#from = -1;
    else this.#keep();
    return line;
  }

  /** The line's bytes go away; rows of one session repeat each other, so the last list is copied. */
  #keep(): void {
    if (this.#from < 0 || this.#bytes === this.#copy) return;
    const length = this.#to - this.#from;
    if (length > this.#copy.length) this.#copy = Buffer.allocUnsafe(2 * length);
    this.#bytes.copy(this.#copy, 0, this.#from, this.#to);
    this.#bytes = this.#copy;
    this.#from = 0;
    this.#to = length;
  }

  #cut(bytes: Buffer, from: number, to: number): CutLine | null {
    const lists: number[][] = [];
    let text = '';
    let kept = from;
    let pairs = 0;
    let singles = 0;
    for (let at = bytes.indexOf(KEY, from); at >= 0 && at < to; at = bytes.indexOf(KEY, kept)) {
      let p = skipSpace(bytes, at + KEY.length, to);
      if (bytes[p] !== COLON || bytes[at - 1] === BACKSLASH) return null;
      p = skipSpace(bytes, p + 1, to);
      if (bytes[p] !== OPEN) return null;
      const end = this.#list(bytes, p + 1, to);
      if (end < 0) return null;
      if (this.#runs.length > 0) {
        if (this.#pairs) pairs++;
        else singles++;
      }
      text += bytes.toString('utf8', kept, p) + lists.length;
      lists.push(this.#runs.slice());
      kept = end;
    }
    text += bytes.toString('utf8', kept, to);
    if (text.includes('\\')) return null;
    return { text, lists, encoding: pairs > 0 ? (singles > 0 ? 'mixed' : 'ranges') : singles > 0 ? 'ids' : 'none' };
  }

  /** Scans the list whose content starts at `at`; returns the offset behind its bracket or -1. Leaves the runs in place. */
  #list(bytes: Buffer, at: number, to: number): number {
    const first = skipSpace(bytes, at, to);
    if (bytes[first] === OPEN) return this.#pairList(bytes, first, to);
    let next = at;
    if (this.#from >= 0 && !this.#pairs) next = this.#reuse(bytes, at, to);
    if (next === at) {
      this.#runs = [];
      this.#starts = [];
    }
    this.#pairs = false;
    const end = this.#ids(bytes, at, next, to);
    this.#bytes = bytes;
    this.#from = at;
    this.#to = end - 1;
    return end;
  }

  /** Takes over the runs of the common leading part and returns the offset where scanning goes on: `at` or just behind a comma. */
  #reuse(bytes: Buffer, at: number, to: number): number {
    const limit = Math.min(this.#to - this.#from, to - at);
    let common = 0;
    if (limit > 0 && this.#bytes.compare(bytes, at, at + limit, this.#from, this.#from + limit) === 0) common = limit;
    else {
      // Largest length with equal bytes: lengths below `high` are untested, `common` is proven.
      let high = limit;
      while (high - common > 1) {
        const mid = (common + high) >> 1;
        if (this.#bytes.compare(bytes, at + common, at + mid, this.#from + common, this.#from + mid) === 0) common = mid;
        else high = mid;
      }
    }
    while (common > 0 && bytes[at + common - 1] !== COMMA) common--;
    if (common === 0) return at;
    // The last id of the common part, read backwards from its comma.
    let p = at + common - 2;
    while (p >= at && bytes[p]! <= 32) p--;
    let id = 0;
    for (let power = 1; p >= at; p--, power *= 10) {
      const digit = bytes[p]! - 48;
      if (digit < 0 || digit > 9) break;
      id += digit * power;
    }
    let runs = this.#starts.length;
    while (runs > 0 && this.#starts[runs - 1]! >= common - 1) runs--;
    this.#runs.length = 2 * runs;
    this.#starts.length = runs;
    this.#runs[2 * runs - 1] = id;
    return at + common;
  }

  /** Scans plain ids from `next` on, appending to the runs. */
  #ids(bytes: Buffer, at: number, next: number, to: number): number {
    const runs = this.#runs;
    const starts = this.#starts;
    let p = skipSpace(bytes, next, to);
    if (bytes[p] === CLOSE) return next === at ? p + 1 : -1;
    let last = runs.length === 0 ? -2 : runs[runs.length - 1]!;
    for (;;) {
      const start = p;
      let id = 0;
      let digit = p < to ? bytes[p]! - 48 : -1;
      while (digit >= 0 && digit <= 9) {
        id = id * 10 + digit;
        digit = ++p < to ? bytes[p]! - 48 : -1;
      }
      // 15 digits stay below 2^53; a leading zero is not JSON.
      if (p === start || p - start > 15 || (bytes[start] === 48 && p - start > 1)) return -1;
      if (id !== last + 1) {
        if (runs.length > 0) runs[runs.length - 1] = last;
        runs.push(id, id);
        starts.push(start - at);
      }
      last = id;
      let c = p < to ? bytes[p]! : 0;
      if (c <= 32) {
        p = skipSpace(bytes, p, to);
        c = p < to ? bytes[p]! : 0;
      }
      if (c === COMMA) {
        p++;
        if (p < to && bytes[p]! <= 32) p = skipSpace(bytes, p, to);
        continue;
      }
      runs[runs.length - 1] = last;
      return c === CLOSE ? p + 1 : -1;
    }
  }

  #pairList(bytes: Buffer, at: number, to: number): number {
    const runs: number[] = [];
    this.#runs = runs;
    this.#starts = [];
    this.#from = -1;
    this.#pairs = true;
    let p = at;
    for (;;) {
      if (bytes[p] !== OPEN) return -1;
      const comma = number(bytes, skipSpace(bytes, p + 1, to), to);
      const first = scanned;
      if (comma < 0 || bytes[comma] !== COMMA) return -1;
      const close = number(bytes, skipSpace(bytes, comma + 1, to), to);
      if (close < 0 || bytes[close] !== CLOSE || scanned < first) return -1;
      const n = runs.length;
      if (n > 0 && runs[n - 1]! + 1 === first) runs[n - 1] = scanned;
      else runs.push(first, scanned);
      p = skipSpace(bytes, close + 1, to);
      if (bytes[p] === CLOSE) return p + 1;
      if (bytes[p] !== COMMA) return -1;
      p = skipSpace(bytes, p + 1, to);
    }
  }
}

/** Value read by the last successful {@link number}. */
let scanned = 0;

/** Reads digits at `p`; returns the offset of the next byte that is not space, or -1. */
function number(bytes: Buffer, p: number, to: number): number {
  const start = p;
  let value = 0;
  let digit = p < to ? bytes[p]! - 48 : -1;
  while (digit >= 0 && digit <= 9) {
    value = value * 10 + digit;
    digit = ++p < to ? bytes[p]! - 48 : -1;
  }
  if (p === start || p - start > 15 || (bytes[start] === 48 && p - start > 1)) return -1;
  scanned = value;
  return skipSpace(bytes, p, to);
}

function skipSpace(bytes: Buffer, p: number, to: number): number {
  while (p < to) {
    const c = bytes[p]!;
    if (c !== 32 && c !== 9 && c !== 13 && c !== 10) return p;
    p++;
  }
  return p;
}
