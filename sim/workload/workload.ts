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

/** Bits of {@link Turns.edges}. */
export const EDGE_SPAWNS_ON_DISPATCH = 1;
export const EDGE_SPAWNS_ON_COMPLETION = 2;
/** The turn waits for agents that join before it. */
export const EDGE_JOINS = 4;

/**
 * All turns of all instantiated plays; turn ids are 0..count-1. A play's agents and an agent's turns are consecutive.
 *
 * Facts are looked up through the play of a turn, a few ns each. They are what the session's template says, so no play has columns of
 * its own. Asking for a turn beyond `count` throws.
 */
export interface Turns {
  readonly count: number;
  agent(turn: number): number;
  play(turn: number): number;
  promptTokens(turn: number): number;
  outputTokens(turn: number): number;
  /** Client pause before this turn after all transforms, whole ms; 0 for the first turn of an agent. */
  pauseMs(turn: number): number;
  /** Code in PAUSE_KINDS. */
  pauseKind(turn: number): number;
  /** Code in TURN_CLASSES. */
  turnClass(turn: number): number;
  /** Stop reason of the response, code in STOPS of traces/columns.ts. */
  stop(turn: number): number;
  /** The prompt as the router sees it: identified full blocks (branch, depth). */
  branch(turn: number): BranchId;
  depthBlocks(turn: number): number;
  /** Makes the engine's chain of this turn: a new leaf branch long enough for prompt and output. Once per turn that is sent; retries share it. */
  openLeaf(turn: number): BranchId;
  /** Tokens of the longest prefix this prompt shares with any earlier prompt of the same play: what a perfect session cache holds. */
  reusableTokens(turn: number): number;
  /** Already done when the play enters mid-life. */
  skipped(turn: number): boolean;
  /** Bit set of EDGE_ flags: what the closed loop has to look up at this turn. */
  edges(turn: number): number;
  /** Request index in the trace: provenance, hints, tool spans. */
  request(turn: number): number;
  /** Row of its template, a small number: turns of one row differ in play, agent, branches and drawn pauses only. */
  row(turn: number): number;
}

/**
 * Agents of all plays. Turn ids are global; -1 = none.
 *
 * Plays are appended while a closed run goes on (`successor`), and a column that is full is REPLACED by a wider copy. Read columns
 * through this object (`agents.turnTo[a]`), or fetch them again after every call of `successor`; never keep one across it. The
 * same holds for {@link Plays} and the branch table. Entries at and beyond `count` are undefined.
 */
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
  /** First turn to run; differs from turnFrom only in a mid-life start; -1 = agent already done at entry. */
  readonly firstTurn: Int32Array;
  /**
   * Time after the play's start at which the first turn runs (0 for a root that starts cold). NaN = not known yet: the agent starts
   * by its spawn trigger. If the first turn still waits for joined agents: the earliest anchor of its pause, possibly negative.
   */
  readonly firstDelayMs: Float64Array;
  /** Agent index in the trace. */
  readonly source: Int32Array;
}

export interface Plays {
  count: number;
  /** Session index in the trace. */
  readonly session: Int32Array;
  readonly agentFrom: Int32Array;
  readonly agentTo: Int32Array;
  /** Index into {@link Workload.tenants}. */
  readonly tenant: Int32Array;
  readonly priority: Int32Array;
  /** Mode closed: the slot, and j = number of plays the slot held before this one; else -1 and the play's own number. */
  readonly slot: Int32Array;
  readonly ordinal: Int32Array;
  /** Start of the play for recorded and open arrivals and for the first plays of closed slots; NaN for successors. */
  readonly startMs: Float64Array;
  /** 1 = the client of this play sends hints, at the share given in the options. */
  readonly sendsHints: Uint8Array;
}

/** A second branch table, in which content of two salt domains is the same if it is equal. */
export interface UnsaltedBranches {
  readonly branches: BranchTable;
  /** The branch in it that owns the last block of a branch of the run; -1 = no other tenant could name that. */
  of(branch: BranchId): BranchId;
}

/** What one replication replays. */
export interface Workload {
  /** Block size of the chains, tokens; equals the engines' block size. */
  readonly blockTokens: number;
  readonly branches: BranchTable;
  /** What `branches` would be if all tenants had one salt; absent = they have. */
  readonly unsalted?: UnsaltedBranches | undefined;
  /** Names of the tenants: of a mix as written, of a trace in order of first use. */
  readonly tenants: readonly string[];
  readonly plays: Plays;
  readonly agents: Agents;
  readonly turns: Turns;
  readonly mode: 'recorded' | 'open' | 'closed';
  /** Live slots in mode closed. */
  readonly concurrency: number;
  readonly respawnMs: number;
  /** Share of the decode of an answer that the tool pause after it is shorter by, 0..1. */
  readonly toolOverlap: number;
  /** Ids of the plays that start by themselves, sorted by (startMs, play). */
  readonly initialPlays: Int32Array;
  /**
   * Mode closed: instantiates the pre-drawn j-th successor of a slot (j >= 1) and returns its play id; -1 = the slot retires because
   * the number of sessions was limited. Ids depend on the order of calls, content does not: it is keyed by (slot, j).
   * Replaces columns, see {@link Agents}. Cost O(agents and branches of the session).
   */
  successor(slot: number, j: number): number;
  /** Stable name of a turn for ties and draws: `<play>/<agent>/<turn>`, e.g. `s17/root/3`. */
  turnName(turn: number): string;
  /** Stable name of a play: `s<number>`, in mode closed `s<slot>` and `s<slot>.<j>`. */
  playName(play: number): string;
  /** Hints the trace carries for this turn (request over session), or undefined. The caller looks at `sendsHints`. */
  hints(turn: number): Readonly<Record<string, unknown>> | undefined;
  /** Names of the tools that the response of this turn asks for, or undefined: sub-agents that the next turn waits for, and what the trace names. */
  toolNames(turn: number): readonly string[] | undefined;
  /** Queue class that the play's tenant is given, or its session in the trace asks for; undefined: the class `default` of traces asks for none. */
  queueClass(play: number): string | undefined;
  /** Whether a play sends hints when only `share` (0..1) of them do: one keyed draw per play, so a larger share adds plays and drops none. */
  hinting(play: number, share: number): boolean;
  /** sha256 (hex) over every drawn quantity and what it was drawn from; the same for arms that differ in block size or share of hints. */
  readonly hash: string;
  /** Facts for reports. */
  readonly facts: WorkloadFacts;
}

export interface WorkloadFacts {
  readonly pauses: string;
  readonly sharing: string;
  /** Infinity = uncapped. */
  readonly gapCapMs: number;
  /** Plays that start by themselves. */
  readonly sessionsOffered: number;
  /** Sessions of the trace left out, and cut short, because a request exceeds the context limit. */
  readonly sessionsExcluded: number;
  /** Sessions of the trace, or drawn by the generator, before any are left out. */
  readonly sessionsInSource: number;
  readonly sessionsTruncated: number;
  /** Turns of the trace with 0 output tokens, replayed as 1. */
  readonly zeroOutputs: number;
  /** Sum over the turns of the initial plays. */
  readonly promptTokens: number;
}

/** Chain end of a turn; helper type for tests. */
export interface ChainEnd {
  readonly branch: BranchId;
  readonly depthBlocks: number;
}
