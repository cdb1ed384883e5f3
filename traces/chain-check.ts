/**
 * Checks that block ids are prefix-chained: an id always has the same position and the same predecessor within its scope.
 * Everything built on runs (trie, common prefixes, sharing) relies on it, so it is checked, not assumed. Source: trace specification 1.4 V5.
 */
import { IntervalMap } from './interval-map.ts';

/**
 * Known ids as segments: consecutive ids at consecutive positions. A segment remembers position minus id, its first id and the id
 * before its first one (-1 at the start of a prompt).
 */
export class ChainCheck {
  readonly #segmentOf = new IntervalMap();
  #offset: number[] = [];
  #first: number[] = [];
  #before: number[] = [];
  /** Runs looked at and runs with a contradiction. */
  runs = 0;
  conflicts = 0;

  /** Starts a new scope: ids seen before mean nothing any more. */
  reset(): void {
    this.#segmentOf.clear();
    this.#offset = [];
    this.#first = [];
    this.#before = [];
  }

  /** Checks a prompt; the first `known` blocks equal those of a prompt checked before and are skipped. Returns the conflicting runs. */
  add(runs: readonly number[], known: number): number {
    let position = 0;
    let before = -1;
    let bad = 0;
    for (let i = 0; i < runs.length; i += 2) {
      const first = runs[i]!;
      const last = runs[i + 1]!;
      const end = position + last - first + 1;
      this.runs++;
      if (end > known) {
        const skip = Math.max(0, known - position);
        const from = first + skip;
        if (!this.#add(from, last, position + skip, skip > 0 ? from - 1 : before)) bad++;
      }
      position = end;
      before = last;
    }
    this.conflicts += bad;
    return bad;
  }

  #add(first: number, last: number, position: number, before: number): boolean {
    const map = this.#segmentOf;
    const found = map.overlaps(first, last);
    const offset = position - first;
    let good = true;
    for (let k = 0; k < found; k++) {
      const from = map.foundFirst[k]!;
      const segment = map.foundValue[k]!;
      const here = from === first ? before : from - 1;
      const known = from === this.#first[segment]! ? this.#before[segment]! : from - 1;
      if (this.#offset[segment] !== offset || here !== known) good = false;
    }
    if (found === 1 && map.foundFirst[0] === first && map.foundLast[0] === last) return good;
    this.#learn(first, last, offset, before, found);
    return good;
  }

  /** Adds the ids of first..last that no segment holds yet. */
  #learn(first: number, last: number, offset: number, before: number, found: number): void {
    const map = this.#segmentOf;
    const gaps: number[] = [];
    let next = first;
    for (let k = 0; k < found; k++) {
      if (map.foundFirst[k]! > next) gaps.push(next, map.foundFirst[k]! - 1);
      next = map.foundLast[k]! + 1;
    }
    if (next <= last) gaps.push(next, last);
    for (let g = 0; g < gaps.length; g += 2) {
      const from = gaps[g]!;
      const here = from === first ? before : from - 1;
      const left = here === from - 1 ? map.get(from - 1) : Number.NaN;
      let segment = left;
      // A prompt that continues where a segment ends lengthens it.
      if (Number.isNaN(left) || this.#offset[left] !== offset) {
        segment = this.#offset.length;
        this.#offset.push(offset);
        this.#first.push(from);
        this.#before.push(here);
      }
      map.assign(from, gaps[g + 1]!, segment);
    }
  }
}
