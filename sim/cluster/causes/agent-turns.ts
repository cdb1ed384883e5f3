import type { BranchId } from '../../../control/blocks.ts';
import type { Match } from './attribution.ts';

/** A match that is filled in again for every turn. */
export class TurnMatch implements Match {
  agent = 0;
  play = 0;
  branch: BranchId = -1;
  depthBlocks = 0;
  promptTokens = 0;
  reusableBlocks = 0;
  previousTokens = 0;
  previousTotal = 0;
  previousLeaf: BranchId = -1;
  rank = 0;
  hitBlocks = 0;
}

/** Words per agent: the turn matched last (+ 1), then prompt, prompt and answer, and leaf of it, and the same of the turn before. */
const WORDS = 7;

/** The last two turns of every agent. 28 B per agent. */
export class AgentTurns {
  #words = new Int32Array(WORDS * 64);

  /** A turn of an agent was matched: writes what came before it to the match. A turn that is matched again replaces itself. */
  next(match: TurnMatch, turn: number, leaf: BranchId, totalTokens: number): void {
    const at = match.agent * WORDS;
    if (at + WORDS > this.#words.length) this.#widen(at + WORDS);
    const words = this.#words;
    if (words[at] !== turn + 1) words.copyWithin(at + 4, at + 1, at + 4);
    words[at] = turn + 1;
    words[at + 1] = match.promptTokens;
    words[at + 2] = totalTokens;
    words[at + 3] = leaf;
    match.previousTokens = words[at + 4]!;
    match.previousTotal = words[at + 5]!;
    match.previousLeaf = words[at + 6]!;
  }

  #widen(needed: number): void {
    const wide = new Int32Array(Math.max(needed, this.#words.length * 2));
    wide.set(this.#words);
    this.#words = wide;
  }
}
