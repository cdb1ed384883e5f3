/**
 * The materialised workload: every random draw of a replication is made before (or keyed so that it is independent of) the run,
 * so that all arms see identical agents. Columns; plays are appended as they are instantiated.
 * Source: trace specification 7, experiments specification 3.1.
 */
import type { BranchId, BranchTable } from '../../control/blocks.ts';

/** Pause kinds of a turn in the order of their codes; the pause BEFORE the turn. `first` = first request of an agent. */
export const PAUSE_KINDS = ['first', 'tool', 'human', 'join', 'unknown'] as const;
/** Turn classes of the metrics registry in the order of their codes. */
export const TURN_CLASSES = ['first', 'subagent', 'join', 'human', 'tool'] as const;

/** All turns of all instantiated plays; index = turn id, dense. A play's agents and an agent's turns are consecutive. */
export interface Turns {
  count: number;
  readonly agent: Int32Array;
  readonly play: Int32Array;
  readonly promptTokens: Int32Array;
  readonly outputTokens: Int32Array;
  /** Client pause before this turn after all transforms, whole ms; 0 for the first turn of an agent. */
  readonly pauseMs: Float64Array;
  /** Code in PAUSE_KINDS. */
  readonly pauseKind: Uint8Array;
  /** Code in TURN_CLASSES. */
  readonly turnClass: Uint8Array;
  /** Stop reason of the response, code in STOPS of traces/columns.ts. */
  readonly stop: Uint8Array;
  /** The prompt as the router sees it: identified full blocks (branch, depth). */
  readonly branch: Int32Array;
  readonly depthBlocks: Int32Array;
  /** The engine's chain: leaf branch long enough for prompt and output. */
  readonly leaf: Int32Array;
  /** Tokens of the longest prefix this prompt shares with any earlier prompt of the same play: what a perfect session cache holds. */
  readonly reusableTokens: Int32Array;
  /** 1 = already done when the play enters mid-life. */
  readonly skipped: Uint8Array;
}

/** Agents of all plays. Turn ids are global; -1 = none. */
export interface Agents {
  count: number;
  readonly play: Int32Array;
  readonly parent: Int32Array;
  readonly turnFrom: Int32Array;
  readonly turnTo: Int32Array;
  /** Turn of the parent after which this agent starts; -1 for roots. */
  readonly spawnAfter: Int32Array;
  /** 0 = dispatch, 1 = completion of that turn. */
  readonly spawnOn: Uint8Array;
  readonly spawnDelayMs: Float64Array;
  /** Turn of the parent that waits for this agent; -1 = background. */
  readonly joinBefore: Int32Array;
  readonly joinDelayMs: Float64Array;
  /** First turn to run (mid-life start), and the time after the play's start at which it runs; -1 = agent already done. */
  readonly firstTurn: Int32Array;
  readonly firstDelayMs: Float64Array;
}

export interface Plays {
  count: number;
  /** Session index in the trace. */
  readonly session: Int32Array;
  readonly agentFrom: Int32Array;
  readonly agentTo: Int32Array;
  readonly tenant: Int32Array;
  readonly priority: Int32Array;
  /** Start of the play for recorded and open arrivals and for the first plays of closed slots; NaN for successors. */
  readonly startMs: Float64Array;
  readonly sendsHints: Uint8Array;
}

/** What one replication replays. */
export interface Workload {
  /** Block size of the chains, tokens; equals the engines' block size. */
  readonly blockTokens: number;
  readonly branches: BranchTable;
  readonly plays: Plays;
  readonly agents: Agents;
  readonly turns: Turns;
  readonly mode: 'recorded' | 'open' | 'closed';
  /** Live slots in mode closed. */
  readonly concurrency: number;
  readonly respawnMs: number;
  /** Ids of the plays that start by themselves, sorted by (startMs, play). */
  readonly initialPlays: Int32Array;
  /** Mode closed: instantiates the pre-drawn j-th successor of a slot (j >= 1) and returns its play id. */
  successor(slot: number, j: number): number;
  /** Stable name of a turn for ties and draws: `<play>/<agent>/<turn>`, e.g. `s17/root/3`. */
  turnName(turn: number): string;
  /** Stable name of a play, e.g. `s17`. */
  playName(play: number): string;
  /** sha256 over every drawn quantity. */
  readonly hash: string;
  /** Facts for reports. */
  readonly facts: WorkloadFacts;
}

export interface WorkloadFacts {
  readonly pauses: string;
  readonly sharing: string;
  readonly gapCapMs: number;
  readonly sessionsOffered: number;
  readonly sessionsExcluded: number;
  readonly sessionsTruncated: number;
  readonly zeroOutputs: number;
  readonly promptTokens: number;
}

/** Chain end of a turn; helper type for tests. */
export interface ChainEnd {
  readonly branch: BranchId;
  readonly depthBlocks: number;
}
