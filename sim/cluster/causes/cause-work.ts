/** Work of judging misses so far, for benchmarks and tests of the cost. */
export interface CauseWork {
  /** Turns judged, missed blocks of known content looked at, workers asked for them. */
  readonly judged: number;
  readonly blocks: number;
  readonly asked: number;
  /** Ranges of the ledger of removals that were visited, and those it holds now. */
  readonly rangesTouched: number;
  readonly ranges: number;
  /** Memory of the ledger and of the runs of causes. */
  readonly bytes: number;
}
