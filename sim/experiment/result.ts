/**
 * The result format, version 1.0: what `run` and `compare` print with --json and every report reads (design/cli.md section 4).
 * Key order is part of the format. Absent = not computed, null = not available. No wall time, host, path or thread count in here.
 */

import type { RollUp } from '../measure/causes.ts';

export { ROLL_UPS, type RollUp } from '../measure/causes.ts';

/** Version of this document's form. */
export const RESULT_FORMAT = '1.0';

export type Verdict = 'improved' | 'regressed' | 'within noise' | 'inconclusive';

/** Summary of one point: scenario, arms, metrics, comparisons, trust. */
export interface Result {
  readonly formatVersion: string;
  readonly kvcastVersion: string;
  readonly command: 'run' | 'compare' | 'demo' | 'sweep';
  readonly scenario: ScenarioIdentity;
  readonly arms: readonly ArmIdentity[];
  readonly metrics: readonly MetricRow[];
  readonly comparisons: readonly ComparisonRow[];
  readonly causes: readonly CauseRow[];
  readonly slo: readonly SloRow[];
  readonly health: readonly HealthFinding[];
  readonly inert: readonly InertField[];
  readonly incomplete: readonly IncompleteJob[];
  readonly truncated: boolean;
  readonly workload: WorkloadRow;
  readonly fleet: readonly FleetRow[];
  readonly trust: TrustBlock;
  /** The command that repeats this result. */
  readonly reproduce: string;
  /** Code and reasons that hold whatever the flags; flags such as --strict may change the code of the process. */
  readonly exit: { readonly code: number; readonly reasons: readonly string[] };
}

export interface ScenarioIdentity {
  readonly name: string;
  /** First 8 hex digits are printed. */
  readonly hash: string;
  readonly seed: number;
  readonly baseline: string;
  readonly description: string;
  readonly primary: string;
  readonly sessions: number;
}

export interface ArmIdentity {
  readonly name: string;
  readonly router: string;
  readonly retention: string;
  readonly policyHash: string;
  /** yes | needs <feature> | simulation only. */
  readonly deployable: string;
  /** By replication. */
  readonly runHashes: readonly string[];
}

/** One metric of one arm over the replications; values in the metric's display unit. */
export interface MetricRow {
  readonly expr: string;
  readonly arm: string;
  readonly unit: string;
  readonly n: number;
  readonly mean: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly level: number;
  /** By replication. */
  readonly values: readonly (number | null)[];
  /** Smallest number of samples behind a quantile; tail rule of experiments 3.6. */
  readonly samples?: number;
  /** Shares of GPU time. */
  readonly regime: RegimeShares;
}

export interface RegimeShares {
  readonly calibrated: number;
  readonly fitOnly: number;
  readonly extrapolated: number;
}

/** Paired difference of an arm from the baseline. */
export interface ComparisonRow {
  readonly expr: string;
  readonly arm: string;
  readonly vs: string;
  readonly scale: 'ratio' | 'proportion' | 'count';
  /** % | pp | the metric's own unit. */
  readonly unit: string;
  readonly delta: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly level: number;
  readonly adjusted: { readonly level: number; readonly lo: number | null; readonly hi: number | null };
  readonly noise: number;
  readonly verdict: Verdict | null;
  /** Further replications until an inconclusive row could be judged; null when judged. */
  readonly needMore: number | null;
  readonly note?: string;
}

/** Shares of the prompt tokens of first admissions: `hbm`, `host` and the roll-ups of causes sum to 1. */
export interface SourceShares extends Readonly<Record<RollUp, number>> {
  readonly hbm: number;
  readonly host: number;
  /** Content that was known; of it, what the chosen worker held; of it, what was served. */
  readonly existed: number;
  readonly captured: number;
  readonly delivered: number;
}

/** Where the prompt tokens came from. docs/attribution.md explains the words. */
export interface CauseRow extends SourceShares {
  readonly arm: string;
  /** Missed tokens by label, shares of all prompt tokens; labels that did not occur are absent. */
  readonly causes: Readonly<Record<string, number>>;
  /** Missed tokens with a flag, shares of all prompt tokens. */
  readonly flagged: Readonly<Record<string, number>>;
  /** By kind of turn: its share of all prompt tokens, and shares of its own. */
  readonly kinds: Readonly<Record<string, SourceShares & { readonly prompt: number }>>;
}

export interface SloRow {
  readonly name: string;
  readonly arm: string;
  readonly expr: string;
  readonly scope: 'turn' | 'session' | 'run';
  readonly level: 'error' | 'warn';
  /** Share of items that met it; null for scope run. */
  readonly met: number | null;
  /** Scope run only. */
  readonly verdict: 'pass' | 'fail' | 'open' | null;
}

export interface HealthFinding {
  readonly code: string;
  readonly value: number | null;
  readonly limit: number | null;
  readonly message: string;
  readonly remedy: string;
}

export interface InertField {
  readonly path: string;
  readonly value: unknown;
  readonly origin: string;
  readonly reason: string;
}

export interface IncompleteJob {
  readonly arm: string;
  readonly replication: number;
  readonly reason: string;
}

export interface WorkloadRow {
  readonly trace: string;
  readonly traceDigest: string;
  readonly pauses: string;
  readonly sharing: string;
  readonly gapCap: string;
  readonly sessionsOffered: number;
  readonly sessionsCompleted: number;
  readonly sessionsCensored: number;
  readonly sessionsFailed: number;
  /** Their user left. */
  readonly sessionsAbandoned: number;
  readonly sessionsExcluded: number;
  readonly sessionsTruncated: number;
  readonly turns: number;
  readonly promptTokens: number;
  readonly workloadHashes: readonly string[];
}

export interface FleetRow {
  readonly pool: string;
  readonly gpu: string;
  readonly workers: number;
  readonly gpusPerWorker: number;
  readonly cell: string;
  readonly cellLevel: string;
  readonly hbmTokens: number;
  readonly hostTokens: number;
  /** formula | pinned. */
  readonly hbmFrom: string;
  readonly usdPerGpuHour: number;
}

export interface TrustBlock {
  readonly invariants: { readonly level: string; readonly violations: number };
  readonly stopped: 'precision' | 'max' | 'time' | 'fixed' | 'interrupted';
  readonly replications: number;
  /** Most replications that were allowed; more than `replications` after an early stop. */
  readonly planned: number;
  readonly looks: number;
  readonly warmupMs: number;
  readonly horizonMs: number | null;
  readonly notModelled: readonly string[];
}
