/**
 * The document of `kvcast bound`, version 1.0: how much better an arm could have been if somebody had known the future. Key order is
 * part of the format; the parts shared with `run` are those of result.ts.
 */
import type { FleetRow, IncompleteJob, InertField, ScenarioIdentity, TrustBlock, WorkloadRow } from './result.ts';

/** Oracles that can be asked for. */
export const ORACLE_NAMES = ['infinite', 'belady', 'ttl', 'router'] as const;
export type OracleName = (typeof ORACLE_NAMES)[number];

/** exact: the best of all ways to keep blocks. bound: none is better. heuristic: one way, others may be better. */
export type BoundLabel = 'measured' | 'exact' | 'bound' | 'heuristic';

/** Mean over the replications with its interval; null = too few values. */
export interface Estimate {
  readonly n: number;
  readonly mean: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
}

/** One arm, or one oracle on the order in which that arm was served. */
export interface BoundRow {
  /** `this arm`, or the oracles that act together. */
  readonly oracle: string;
  readonly label: BoundLabel;
  /** Of an oracle: `clairvoyant, not deployable`. */
  readonly deployable: string;
  /** Share of the prompt tokens of first admissions. */
  readonly hit: Estimate;
  /** Prompt tokens that were computed though some worker had computed them before; mean over the replications. */
  readonly recomputedTokens: Estimate;
  /** (tokens saved by the oracle - by the arm) / by the oracle; absent for the arm itself. */
  readonly regret?: Estimate;
  /** Primary metric where the arm was served anew with what the oracle grants. */
  readonly primary?: Estimate;
  /** By replication. */
  readonly regrets?: readonly (number | null)[];
}

/** A fixed deadline on the trace itself, with clairvoyant ones and online rules beside it; root requests, no simulator. */
export interface DeadlineRow {
  readonly ttlMs: number;
  /** Share of the input tokens found, and idle KV per active KV (R), rent after the last turn included. */
  readonly hit: number;
  readonly idlePerActive: number;
  /** Clairvoyant deadlines: hit at the same R, R at the same hit, tokens saved per token-second at that cut. */
  readonly clairvoyantHit: number;
  readonly clairvoyantIdlePerActive: number;
  readonly tokensPerTokenSecond: number;
  /** Rent and recomputation of ski rental and of a random deadline at that price, as multiples of a clairvoyant's; 2 and e/(e-1) at most. */
  readonly skiRentalCost: number;
  readonly randomisedCost: number;
}

/** Prefill time saved by hits, s over the whole fleet; null where the timer has no cost of prefill. */
export interface SavedSeconds {
  readonly arm: Estimate;
  /** An eviction that knows the future and the worth of blocks: heuristic, so that the best one saves at least this. */
  readonly costAware: Estimate;
  readonly costAwareRegret: Estimate;
  /** bound: no eviction on this order saves more. */
  readonly dual: Estimate;
  readonly dualRegret: Estimate;
}

export interface BoundArm {
  readonly name: string;
  readonly router: string;
  readonly retention: string;
  readonly deployable: string;
  /** Primary metric of the arm; oracles on the recorded order have none, because nobody was served under them. */
  readonly primary: Estimate & { readonly expr: string; readonly unit: string };
  readonly rows: readonly BoundRow[];
  /** Longest pause bridged by clairvoyant deadlines, ms, mean over the replications in which the room did not suffice for all; null = it did. */
  readonly ttlCutMs: number | null;
  /** With oracle belady. */
  readonly seconds: SavedSeconds | null;
}

export interface BoundResult {
  readonly formatVersion: string;
  readonly kvcastVersion: string;
  readonly command: 'bound';
  readonly scenario: ScenarioIdentity;
  readonly oracles: readonly OracleName[];
  /** Name of the arm that the text looks at in detail: the one asked for, else the best by the primary metric. */
  readonly chosen: string;
  /** Direction of the primary metric. */
  readonly higherIsBetter: boolean;
  readonly arms: readonly BoundArm[];
  /** With oracle ttl, where the ids of the trace are private to sessions. */
  readonly deadlines: readonly DeadlineRow[];
  readonly caveats: readonly string[];
  readonly inert: readonly InertField[];
  readonly incomplete: readonly IncompleteJob[];
  readonly truncated: boolean;
  readonly workload: WorkloadRow;
  readonly fleet: readonly FleetRow[];
  readonly trust: TrustBlock;
  readonly reproduce: string;
  readonly exit: { readonly code: number; readonly reasons: readonly string[] };
}
