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
  /** By replication. */
  readonly regrets?: readonly (number | null)[];
}

export interface BoundArm {
  readonly name: string;
  readonly router: string;
  readonly retention: string;
  readonly deployable: string;
  /** Primary metric of the arm; oracles have none, because nobody was served under them. */
  readonly primary: Estimate & { readonly expr: string; readonly unit: string };
  readonly rows: readonly BoundRow[];
  /** Longest pause bridged by clairvoyant deadlines, ms, mean over the replications in which the room did not suffice for all; null = it did. */
  readonly ttlCutMs: number | null;
}

export interface BoundResult {
  readonly formatVersion: string;
  readonly kvcastVersion: string;
  readonly command: 'bound';
  readonly scenario: ScenarioIdentity;
  readonly oracles: readonly OracleName[];
  /** Name of the arm that the text looks at in detail: the one asked for, else the best by the primary metric. */
  readonly chosen: string;
  readonly arms: readonly BoundArm[];
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
