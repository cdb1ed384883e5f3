/**
 * The turns of all plays without a row for any of them: plays of a session share the rows of its template.
 *
 *     turn id      [0 … 40)[40 … 133)[133 … 173)…        plays in the order in which they were instantiated
 *     play             0        1          2
 *     template row  [7 … 47)[200 … 293)[7 … 47)…         row = turn + shift of the play
 *
 * A turn finds its play through the play at the begin of every 16 turns. The play that was asked for last is remembered, because a
 * caller that asks for one fact of a turn asks for more of them.
 */
import { BRANCH_PRIVATE, type BranchId, type BranchTable } from '../../control/blocks.ts';
import { globalCode, type PlayColumns, type TurnTemplates, widenedInt32 } from './columns.ts';
import type { SessionTemplate } from './session-template.ts';
import type { Agents, Turns } from './workload.ts';

const BUCKET_BITS = 4;
/** Ids of leaves are taken from ranges of this length, so that columns by branch that leave out private ones have empty pages. */
const LEAF_RANGE = 4096;

/** Memory 0.25 B per turn; 8 B more when pauses are drawn per play. */
export class PlayedTurns implements Turns {
  count = 0;
  readonly #plays: PlayColumns;
  readonly #agents: Agents;
  readonly #rows: TurnTemplates;
  readonly #branches: BranchTable;
  /** Play of the first turn of each bucket. */
  #playAt = new Int32Array(64);
  /** Pauses of turns that do not have the pause of their template; null = all have it. */
  #pauseMs: Float64Array<ArrayBuffer> | null = null;
  /** Next id for a leaf, and the end of its range. */
  #nextLeaf = 0;
  #leafEnd = 0;
  // The play asked for last: its turns, the distance to its template's rows, its first own branch.
  #from = 0;
  #to = 0;
  #play = -1;
  #shift = 0;
  #branchBase = 0;

  constructor(plays: PlayColumns, agents: Agents, rows: TurnTemplates, branches: BranchTable) {
    this.#plays = plays;
    this.#agents = agents;
    this.#rows = rows;
    this.#branches = branches;
  }

  /** Appends the turns of the newest play, whose own branches begin at `branchBase`. Returns the first turn. */
  append(play: number, template: SessionTemplate, branchBase: BranchId): number {
    const from = this.count;
    this.#plays.turnFrom[play] = from;
    this.#plays.templateFrom[play] = template.turnFrom;
    this.#plays.branchFrom[play] = branchBase;
    this.count = from + template.turnTo - template.turnFrom;
    const buckets = ((this.count - 1) >> BUCKET_BITS) + 1;
    if (buckets > this.#playAt.length) this.#playAt = widenedInt32(this.#playAt, Math.max(buckets, this.#playAt.length * 2));
    for (let bucket = ((from - 1) >> BUCKET_BITS) + 1; bucket < buckets; bucket++) this.#playAt[bucket] = play;
    return from;
  }

  /** Gives one turn a pause of its own, ms. */
  setPause(turn: number, pauseMs: number): void {
    if (this.#pauseMs === null || turn >= this.#pauseMs.length) this.#widenPauses();
    this.#pauseMs![turn] = pauseMs;
  }

  play(turn: number): number {
    this.#row(turn);
    return this.#play;
  }

  agent(turn: number): number {
    const row = this.#row(turn);
    return this.#plays.agentFrom[this.#play]! + this.#rows.agent[row]!;
  }

  promptTokens(turn: number): number {
    return this.#rows.promptTokens[this.#row(turn)]!;
  }

  outputTokens(turn: number): number {
    return this.#rows.outputTokens[this.#row(turn)]!;
  }

  pauseMs(turn: number): number {
    const own = this.#pauseMs === null ? Number.NaN : this.#pauseMs[turn]!;
    return Number.isNaN(own) ? this.#rows.pauseMs[this.#row(turn)]! : own;
  }

  pauseKind(turn: number): number {
    return this.#rows.pauseKind[this.#row(turn)]!;
  }

  turnClass(turn: number): number {
    return this.#rows.turnClass[this.#row(turn)]!;
  }

  stop(turn: number): number {
    return this.#rows.stop[this.#row(turn)]!;
  }

  branch(turn: number): BranchId {
    return resolvedBranch(this.#rows.branch[this.#row(turn)]!, this.#branchBase);
  }

  depthBlocks(turn: number): number {
    return this.#rows.depthBlocks[this.#row(turn)]!;
  }

  reusableTokens(turn: number): number {
    return this.#rows.reusableTokens[this.#row(turn)]!;
  }

  skipped(turn: number): boolean {
    const first = this.#agents.firstTurn[this.agent(turn)]!;
    return first < 0 || turn < first;
  }

  edges(turn: number): number {
    return this.#rows.edges[this.#row(turn)]!;
  }

  row(turn: number): number {
    return this.#row(turn);
  }

  request(turn: number): number {
    return this.#rows.request[this.#row(turn)]!;
  }

  openLeaf(turn: number): BranchId {
    const rows = this.#rows;
    const row = this.#row(turn);
    const parent = resolvedBranch(rows.leafParent[row]!, this.#branchBase);
    if (this.#nextLeaf === this.#leafEnd) {
      this.#nextLeaf = this.#branches.reserve(LEAF_RANGE);
      this.#leafEnd = this.#nextLeaf + LEAF_RANGE;
    }
    const leaf = this.#nextLeaf++;
    this.#branches.place(leaf, parent, rows.leafAttach[row]!, rows.leafLength[row]!, BRANCH_PRIVATE);
    return leaf;
  }

  #row(turn: number): number {
    if (turn < this.#from || turn >= this.#to) this.#seek(turn);
    return turn + this.#shift;
  }

  #seek(turn: number): void {
    if (!(turn >= 0 && turn < this.count)) throw new Error(`turn ${turn} is none of the ${this.count} turns of the workload`);
    const { turnFrom, templateFrom, branchFrom, count } = this.#plays;
    let play = this.#playAt[turn >> BUCKET_BITS]!;
    while (play + 1 < count && turnFrom[play + 1]! <= turn) play++;
    this.#play = play;
    this.#from = turnFrom[play]!;
    this.#to = play + 1 < count ? turnFrom[play + 1]! : this.count;
    this.#shift = templateFrom[play]! - this.#from;
    this.#branchBase = branchFrom[play]!;
  }

  #widenPauses(): void {
    const wide = new Float64Array(Math.max(this.count, (this.#pauseMs?.length ?? 0) * 2)).fill(Number.NaN);
    if (this.#pauseMs !== null) wide.set(this.#pauseMs);
    this.#pauseMs = wide;
  }
}

/** Branch id from a template's code. */
export function resolvedBranch(code: number, base: BranchId): BranchId {
  return code >= 0 ? base + code : code === -1 ? -1 : globalCode(code);
}
