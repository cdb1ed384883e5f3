/**
 * Walks the blocks of a prompt as pieces of equal last use. The map holds, for every block id seen so far, the number of the request
 * that used it last.
 */
import type { Trace } from '../columns.ts';
import { IntervalMap } from '../interval-map.ts';

export class PathWalk {
  readonly #trace: Trace;
  readonly #lastUse = new IntervalMap();
  /** Leading blocks of the prompt seen before, as pieces in prompt order. Valid until the next {@link visit}. */
  pieceBlocks: number[] = [];
  pieceUse: number[] = [];
  pieces = 0;
  /** Blocks of the prompt, and those never seen before. */
  blocks = 0;
  fresh = 0;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  clear(): void {
    this.#lastUse.clear();
  }

  /** Splits prompt `r` into pieces, then marks all its blocks as used by `use`. Cost O(pieces · log). */
  visit(r: number, use: number): void {
    const { runFirst, runLast } = this.#trace;
    const { runFrom } = this.#trace.request;
    const map = this.#lastUse;
    this.pieces = 0;
    this.blocks = 0;
    this.fresh = 0;
    let open = true;
    for (let k = runFrom[r]!; k < runFrom[r + 1]!; k++) {
      const first = runFirst[k]!;
      const last = runLast[k]!;
      const found = map.overlaps(first, last);
      let next = first;
      for (let j = 0; j < found; j++) {
        const from = map.foundFirst[j]!;
        const to = map.foundLast[j]!;
        if (from > next) {
          this.fresh += from - next;
          open = false;
        }
        if (open) this.#piece(to - from + 1, map.foundValue[j]!);
        next = to + 1;
      }
      if (next <= last) {
        this.fresh += last - next + 1;
        open = false;
      }
      this.blocks += last - first + 1;
      map.assign(first, last, use);
    }
  }

  #piece(blocks: number, use: number): void {
    const n = this.pieces;
    if (n > 0 && this.pieceUse[n - 1] === use) {
      this.pieceBlocks[n - 1]! += blocks;
      return;
    }
    this.pieceBlocks[n] = blocks;
    this.pieceUse[n] = use;
    this.pieces = n + 1;
  }
}
