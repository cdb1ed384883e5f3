/**
 * Active blocks with output tracked: blocks of a request that is nearly done count less. The fraction that is left of a request's
 * output sits on runs of blocks and stays there: at each growth it is set on all output blocks of the request and on its own run
 * of prompt blocks, upward as long as nobody else ends in it or hangs below it. A newcomer that shares a run splits it; both parts
 * keep what they had.
 *
 *     branch 3   [0 ...... 5) [5 .. 9)           run: [from, to) of one branch on one rank
 *                     |  └ ends: request 7       sharers = requests that end here + runs that hang below
 *                     └ parent of both branch 3 [5, 9) and branch 8 [0, 4)
 *
 * Used only where output is tracked; {@link Bookings} alone counts distinct blocks without visiting runs.
 * Source: router specification 5.2.1 (Booking).
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import type { AttemptId, Blocks, RankId } from '../ports.ts';

/** Own offsets per branch fit into 2^24. */
const OFFSETS = 0x100_0000;

interface Run {
  parent: Run | null;
  /** -1 = blocks that only one request can name. */
  readonly branch: BranchId;
  from: number;
  readonly to: number;
  /** Requests that end here plus runs that hang below. 0 = to be removed. */
  sharers: number;
  fraction: number;
}

interface Sequence {
  readonly rank: RankId;
  /** Last run of the prompt; null = no full block. */
  readonly tail: Run | null;
  outputBlocks: Blocks;
  fraction: number;
}

/** Runs of one rank: those of shared chains by (branch, first own offset), and private ones. */
interface RankRuns {
  readonly shared: Map<number, Run>;
  readonly private: Set<Run>;
  readonly sequences: Set<Sequence>;
}

/** The weighted active blocks of every rank. */
export class OutputFractions {
  readonly #branches: BranchTable;
  readonly #ranks: (RankRuns | undefined)[] = [];
  readonly #sequences = new Map<AttemptId, Sequence>();
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limits = new Int32Array(MAX_PATH);

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** A request with a chain (branch, depth) and further blocks that nobody else can name. Cost O(runs on the path). */
  add(attempt: AttemptId, rank: RankId, branch: BranchId, depth: Blocks, privateBlocks: Blocks): void {
    this.#ranks[rank] ??= { shared: new Map(), private: new Set(), sequences: new Set() };
    const runs = this.#ranks[rank];
    let tail = depth > 0 ? this.#walk(runs.shared, branch, depth) : null;
    if (privateBlocks > 0) {
      tail = hang(tail, -1, 0, privateBlocks);
      runs.private.add(tail);
    }
    if (tail !== null) tail.sharers++;
    const sequence: Sequence = { rank, tail, outputBlocks: 0, fraction: 1 };
    runs.sequences.add(sequence);
    this.#sequences.set(attempt, sequence);
  }

  /** Output blocks were appended; `fraction` 0..1 is what is left to generate, absent if the length is unknown. */
  grow(attempt: AttemptId, outputBlocks: Blocks, fraction?: number): void {
    const sequence = this.#sequences.get(attempt)!;
    sequence.outputBlocks = outputBlocks;
    if (fraction === undefined) return;
    sequence.fraction = fraction;
    for (let run = sequence.tail; run !== null && run.sharers === 1; run = run.parent) run.fraction = fraction;
  }

  /** The request ended; runs that nobody else needs go with it. */
  remove(attempt: AttemptId): void {
    const sequence = this.#sequences.get(attempt)!;
    this.#sequences.delete(attempt);
    const runs = this.#ranks[sequence.rank]!;
    runs.sequences.delete(sequence);
    let run = sequence.tail;
    while (run !== null && --run.sharers === 0) {
      if (run.branch < 0) runs.private.delete(run);
      else runs.shared.delete(run.branch * OFFSETS + run.from);
      run = run.parent;
    }
  }

  /**
   * Active blocks of a rank, each counted by its fraction, rounded half up. Blocks of one fraction are counted before they are
   * multiplied, so that the order of runs does not decide what lies on a half. Cost O(runs of the rank).
   */
  blocks(rank: RankId): number {
    const runs = this.#ranks[rank];
    if (runs === undefined) return 0;
    const counts = new Map<number, Blocks>();
    const count = (blocks: Blocks, fraction: number): unknown => counts.set(fraction, (counts.get(fraction) ?? 0) + blocks);
    for (const run of runs.shared.values()) count(run.to - run.from, run.fraction);
    for (const run of runs.private) count(run.to - run.from, run.fraction);
    for (const sequence of runs.sequences) count(sequence.outputBlocks, sequence.fraction);
    let sum = 0;
    for (const [fraction, blocks] of [...counts].sort((a, b) => a[0] - b[0])) sum += blocks * fraction;
    return Math.round(sum);
  }

  /** Last run of the chain, made or split so that it ends there. */
  #walk(runs: Map<number, Run>, branch: BranchId, depth: Blocks): Run | null {
    const n = this.#branches.path(branch, depth, this.#path, this.#limits);
    let parent: Run | null = null;
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      const limit = this.#limits[i]!;
      for (let at = 0; at < limit; ) {
        let run = runs.get(b * OFFSETS + at);
        if (run === undefined) {
          run = hang(parent, b, at, limit);
          runs.set(b * OFFSETS + at, run);
        } else if (run.to > limit) run = split(runs, run, limit);
        parent = run;
        at = run.to;
      }
    }
    return parent;
  }
}

function hang(parent: Run | null, branch: BranchId, from: number, to: number): Run {
  if (parent !== null) parent.sharers++;
  return { parent, branch, from, to, sharers: 0, fraction: 1 };
}

/** Cuts a run in two and returns the upper part. The object stays the lower part, which its sharers point to. */
function split(runs: Map<number, Run>, lower: Run, at: number): Run {
  const { parent, branch, from, fraction } = lower;
  const upper: Run = { parent, branch, from, to: at, sharers: 1, fraction };
  lower.parent = upper;
  lower.from = at;
  runs.set(branch * OFFSETS + from, upper);
  runs.set(branch * OFFSETS + at, lower);
  return upper;
}
