/** What a run is built from and what comes out of it. */
import type { BranchTable } from '../../control/blocks.ts';
import type { ControlPlane, DecisionRecord, Effects } from '../../control/ports.ts';
import type { ClaimTally } from '../../control/retention/claim-tally.ts';
import type { WorkerCounters } from '../engine/worker.ts';
import type { PrefetchTotals } from '../measure/run-measures.ts';
import type { DDSketch } from '../measure/sketch.ts';
import type { TokenSources } from '../measure/token-sources.ts';
import type { TurnCauses } from '../measure/turn-causes.ts';
import type { TurnTable } from '../measure/turn-table.ts';
import type { Workload } from '../workload/workload.ts';
import type { CauseWork } from './causes/cause-work.ts';
import type { FaultSpec, FleetSpec, NetworkSpec } from './fleet.ts';

export interface ClusterSpec {
  readonly workload: Workload;
  readonly fleet: FleetSpec;
  readonly network: NetworkSpec;
  readonly faults: readonly FaultSpec[];
  /** Builds the plane under test around the effects of this run. */
  createPlane(branches: BranchTable, effects: Effects): ControlPlane;
  /** What the plane counts refused and clipped claims into; absent = not counted. */
  readonly claims?: ClaimTally;
  /** The router reads KV events; without it no batch is delivered. */
  readonly feedsIndex: boolean;
  /** The router reads how many blocks a rank holds; without it blocks that match no prompt are not reported. */
  readonly countsBlocks: boolean;
  /** The plane looks into its index only when a request comes, so that workers may report removals late. Absent: they may. */
  readonly lazyEvents?: boolean;
  /** The router reads scraped metrics; without it nothing is scraped. */
  readonly feedsReports: boolean;
  /** Simulated end; Infinity = until every play ended. */
  readonly horizonMs: number;
  /** With a finite horizon: let open plays run to their end, start no new ones. */
  readonly drain: boolean;
  /** Counters, sketches and causes start here; 0 = from the beginning. */
  readonly warmupMs: number;
  readonly timeoutMs: number;
  /** Wait for the first token of an attempt, ms; Infinity = as long as the whole may take. */
  readonly firstTokenMs: number;
  /** Patience of users after a human pause: median, ms, and spread of its logarithm; Infinity = nobody leaves. */
  readonly abandon: { readonly medianMs: number; readonly sigma: number };
  readonly retries: { readonly max: number; readonly baseMs: number; readonly capMs: number };
  readonly checks: 'cheap' | 'deep';
  /** Seed for retry jitter and scrape phases; uint32. */
  readonly seed: number;
  /** 0 = ties by entity id, else a seeded hash. */
  readonly tieSeed: number;
  /** Events without a token, admission or end before the run counts as stuck. */
  readonly noProgressEvents: number;
  /** Judge every miss; costs a look at the other workers per miss. */
  readonly attribution: boolean;
  readonly onDecision?: (record: DecisionRecord) => void;
}

/** Terminal states of a play, in the order of their codes. */
export const PLAY_STATUS = ['open', 'completed', 'failed', 'censored'] as const;

/** Facts of one finished (or cut) run. */
export interface ClusterRun {
  readonly workload: Workload;
  readonly turns: TurnTable;
  readonly plays: PlayTable;
  /** What a turn would have taken on an idle fleet with a perfect cache, arrival to last token. */
  unloadedMs(turn: number): number;
  /** All gaps between consecutive tokens, ms. */
  readonly tokenGaps: DDSketch;
  readonly counters: readonly WorkerCounters[];
  readonly occupancy: OccupancySums;
  readonly sources: TokenSources;
  /** Missed tokens of every judged turn, in runs of one cause. */
  readonly causes: TurnCauses;
  /** How much was done to judge misses; null = none were. */
  readonly causeWork: CauseWork | null;
  readonly runHash: string;
  readonly decisions: number;
  /** Decisions whose believed match was larger than what the worker held at admission. */
  readonly staleDecisions: number;
  readonly refusals: number;
  readonly timeouts: number;
  readonly actions: ActionCounts;
  /** Fields of requests' hints that could not be used, and claims that the plane refused or clipped, over the whole run. */
  readonly hints: HintTally;
  /** By worker. */
  readonly prefetches: readonly PrefetchTotals[];
  readonly events: number;
  /** Simulated time at the end. */
  readonly endMs: number;
}

/** Columns by play id. */
export interface PlayTable {
  startMs: Float64Array;
  endMs: Float64Array;
  /** Span minus client pauses on the critical path. */
  activeMs: Float64Array;
  /** Sum of unloaded turn times along the critical path. */
  unloadedMs: Float64Array;
  status: Uint8Array;
  count: number;
}

/** Sums over the 10 s samples of all workers; divide by `samples`. Shares of usable blocks. */
export interface OccupancySums {
  samples: number;
  referenced: number;
  cached: number;
  claimed: number;
  host: number;
  disk: number;
  remote: number;
  waiting: number;
  /** Samples at which no worker had evicted anything are not excluded. */
  livePlays: number;
}

/** What became of what clients and policies wanted, before any worker heard of it. */
export interface HintTally extends ClaimTally {
  readonly dropped: number;
}

export interface ActionCounts {
  sent: number;
  accepted: number;
  clipped: number;
  rejected: number;
  missing: number;
}
