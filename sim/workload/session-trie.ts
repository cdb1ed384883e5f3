/**
 * From block ids to branches. Ids are chained (equal id = equal prefix up to it), so of any prompt a leading part is known and the
 * rest is new: the border is found by bisection over its runs, and the rest becomes one new branch or lengthens the branch it ends at.
 *
 *     prompt 1  [1..8]          branch 0: ids 1..8
 *     prompt 2  [1..8][20..22]  branch 0 grows: ids 1..8, 20..22      (the known part ends where branch 0 ends)
 *     prompt 3  [1..5][30..31]  branch 1 at own offset 5 of branch 0  (it ends inside: a child)
 *
 * Cost O(log units * log runs) per prompt plus O(1) per block that was never seen before. Source: data-structures specification 2.
 */
import { BranchTable } from '../../control/blocks.ts';
import type { BlockRatio } from './block-size.ts';
import { ChainIds } from './chain-ids.ts';

/** Flag in {@link SessionTrie.table} of a branch that must not grow: its blocks stand for branches outside the trie. */
export const BRANCH_SHARED = 2;

/** The block ids of one prompt: inclusive ranges `first[i]..last[i]` for i in [from, to), in prompt order. */
export interface PromptRuns {
  readonly first: Float64Array;
  readonly last: Float64Array;
  from: number;
  to: number;
}

/** Trie over the prompts of one session (or of one file where ids are global), in engine blocks. Reusable by {@link clear}. */
export class SessionTrie {
  /** Branches in engine blocks; `start`, `attach`, `length` are multiples of the blocks per unit. */
  readonly table = new BranchTable();
  readonly ratio: BlockRatio;
  readonly #spaces = new Map<number, ChainIds>();
  /** Units before each run of the current prompt; scratch of {@link #measure}. Shape [runs + 1]. */
  #idsBefore = new Float64Array(64);
  #runs = 0;
  #prompt: PromptRuns = { first: new Float64Array(0), last: new Float64Array(0), from: 0, to: 0 };
  /** Branches whose length changed since {@link takeExtended}. */
  #extended: number[] = [];

  constructor(ratio: BlockRatio) {
    this.ratio = ratio;
  }

  /** Forgets every prompt. */
  clear(): void {
    this.table.count = 0;
    for (const space of this.#spaces.values()) space.clear();
    this.#extended.length = 0;
  }

  /**
   * Inserts a prompt of `units` units into a namespace and returns the branch that owns its last block, -1 if it has none.
   * The prompt is then the chain (returned branch, units * blocksPerUnit).
   */
  insert(space: number, prompt: PromptRuns, units: number): number {
    if (units === 0) return -1;
    const ids = this.#ids(space);
    this.#measure(prompt);
    const known = this.#known(ids, units);
    if (known === units) return ids.branch(this.#idAt(units - 1));
    const { table, ratio } = this;
    const perUnit = ratio.blocksPerUnit;
    const parent = known === 0 ? -1 : ids.branch(this.#idAt(known - 1));
    const attach = known === 0 ? 0 : (ids.offset(this.#idAt(known - 1)) + 1) * perUnit;
    const added = (units - known) * perUnit;
    let branch = parent;
    if (parent >= 0 && attach === table.length[parent] && table.flags[parent] === 0) {
      table.extend(parent, added);
      this.#extended.push(parent);
    } else {
      branch = table.add(parent, attach, added);
    }
    this.#register(ids, known, units, branch, branch === parent ? attach / perUnit : 0);
    return branch;
  }

  /** Leading units of the prompt whose ids are known at their position. Cost O(log units * log runs). */
  knownUnits(space: number, prompt: PromptRuns, units: number): number {
    this.#measure(prompt);
    return this.#known(this.#ids(space), units);
  }

  /**
   * Declares the ids of the units [from, to) of a prompt to be the blocks of `branch`, the first of them at own unit `offset`. Stops at
   * the first id that lies elsewhere already: an id has one place. Returns the unit at which it stopped.
   */
  alias(space: number, prompt: PromptRuns, from: number, to: number, branch: number, offset: number): number {
    const ids = this.#ids(space);
    this.#measure(prompt);
    for (let u = from; u < to; u++) {
      const id = this.#idAt(u);
      const known = ids.branch(id);
      if (known >= 0 && known !== branch) return u;
      if (known < 0) ids.set(id, branch, offset + u - from);
    }
    return to;
  }

  /** Branches that grew since the last call, with repetitions. */
  takeExtended(): number[] {
    const extended = this.#extended;
    this.#extended = [];
    return extended;
  }

  #ids(space: number): ChainIds {
    let ids = this.#spaces.get(space);
    if (ids === undefined) {
      ids = new ChainIds();
      this.#spaces.set(space, ids);
    }
    return ids;
  }

  #measure(prompt: PromptRuns): void {
    const runs = prompt.to - prompt.from;
    if (runs >= this.#idsBefore.length) this.#idsBefore = new Float64Array(runs * 2);
    let total = 0;
    for (let i = 0; i < runs; i++) {
      this.#idsBefore[i] = total;
      total += prompt.last[prompt.from + i]! - prompt.first[prompt.from + i]! + 1;
    }
    this.#idsBefore[runs] = total;
    this.#runs = runs;
    this.#prompt = prompt;
  }

  /** Identity of unit u: the last id of its group. */
  #idAt(u: number): number {
    const position = (u + 1) * this.ratio.idsPerUnit - 1;
    let low = 0;
    let high = this.#runs - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#idsBefore[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return this.#prompt.first[this.#prompt.from + low]! + position - this.#idsBefore[low]!;
  }

  /** Largest k <= units such that unit k - 1 is known at depth k. Chained ids make "known" a prefix property. */
  #known(ids: ChainIds, units: number): number {
    let low = 0;
    let high = units;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#isKnown(ids, middle - 1)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #isKnown(ids: ChainIds, u: number): boolean {
    const id = this.#idAt(u);
    const branch = ids.branch(id);
    return branch >= 0 && this.table.start[branch]! / this.ratio.blocksPerUnit + ids.offset(id) === u;
  }

  /** Notes the new units [from, to): own offsets count up from `offset`. */
  #register(ids: ChainIds, from: number, to: number, branch: number, offset: number): void {
    const perUnit = this.ratio.idsPerUnit;
    const { first, from: firstRun } = this.#prompt;
    let u = from;
    let own = offset;
    for (let run = 0; run < this.#runs && u < to; run++) {
      const end = this.#idsBefore[run + 1]!;
      const base = first[firstRun + run]! - this.#idsBefore[run]!;
      for (let position = (u + 1) * perUnit - 1; position < end && u < to; position += perUnit) {
        ids.set(base + position, branch, own++);
        u++;
      }
    }
    assert(u === to, 'a prompt has fewer ids than identified units');
  }
}

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`session trie: ${message}`);
}
