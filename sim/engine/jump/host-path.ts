/** What the scheduler asks of the tier below HBM. */
export interface HostPath {
  /** Admits what holds KV and waits; may set `blocked`. */
  admitHolding(): void;
  /** Gives up blocks of prefetches; true if any. */
  reclaim(): boolean;
  /** Completes the stores of a preempted request at once. */
  flush(s: number): void;
}
