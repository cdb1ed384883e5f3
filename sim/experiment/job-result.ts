/** What one (arm, replication) yields: plain data, small enough to travel between threads. */
import type { ServiceRecords } from '../cluster/service-log.ts';
import type { TokenSources } from '../measure/token-sources.ts';
import type { RegimeShares } from './result.ts';

export interface JobResult {
  readonly arm: number;
  readonly replication: number;
  /** Metric expression -> value in registry units; null = not available. */
  readonly values: Readonly<Record<string, number | null>>;
  /** Metric expression -> samples behind it (turns or sessions); absent where it does not apply. */
  readonly samples: Readonly<Record<string, number>>;
  /** SLO name -> items that met it and items judged (scope turn and session). */
  readonly slo: Readonly<Record<string, { readonly met: number; readonly of: number }>>;
  readonly sources: TokenSources;
  /** The primary metric between the edges of the plan; null = nothing arrived. */
  readonly primaryBetween?: readonly (number | null)[];
  readonly runHash: string;
  readonly workloadHash: string;
  readonly facts: JobFacts;
  /** CSV text of the recorded tables, when asked for. */
  readonly sessionsCsv?: string;
  readonly requestsCsv?: string;
  /** Every call and effect of the plane, one canonical JSON line each (control/decision-log.ts). */
  readonly decisionsLog?: string;
  /** What the workers served, when asked for; stays in memory. */
  readonly service?: ServiceRecords;
  /** Set when the run stopped at a limit. */
  readonly incomplete?: string;
}

/** Facts for health warnings, the trust block and inert detection. */
export interface JobFacts {
  readonly events: number;
  readonly wallMs: number;
  readonly simMs: number;
  readonly turns: number;
  readonly promptTokens: number;
  readonly sessionsOffered: number;
  readonly sessionsCompleted: number;
  readonly sessionsFailed: number;
  readonly sessionsCensored: number;
  readonly sessionsAbandoned: number;
  readonly sessionsExcluded: number;
  readonly sessionsInSource: number;
  readonly sessionsTruncated: number;
  readonly overlongRequests: number;
  readonly hbmEvictedBlocks: number;
  readonly hbmExpiredBlocks: number;
  readonly hostStoredBlocks: number;
  readonly hostReadBytes: number;
  readonly diskWriteBytes: number;
  readonly remoteWriteBytes: number;
  readonly actionsSent: number;
  readonly actionsAccepted: number;
  /** Brought up to HBM ahead of their use. */
  readonly prefetchedBlocks: number;
  readonly claimsBroken: number;
  readonly preemptions: number;
  readonly segmentsTouched: number;
  readonly engineEvents: number;
  readonly largestSessionTokenShare: number;
  readonly pausesAboveTtl: number;
  readonly pauses: number;
  readonly regime: RegimeShares;
  readonly lastBlockRecomputed: number;
  /** Block hits and lookups over all workers, first admissions. */
  readonly hitBlocks: number;
  readonly queryTokens: number;
  readonly hitTokens: number;
}
