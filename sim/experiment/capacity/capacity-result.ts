/** The document of `kvcast plan`, version 1.0. Key order is part of the format. No wall time, host, path or thread count in here. */
import type { Assumption } from './assumptions.ts';
import type { ContextRow } from './context-costs.ts';
import type { Growth, LargestLoad } from './load.ts';
import type { Bounds } from './lower-bounds.ts';
import type { WorkerMemory } from './memory.ts';
import type { FailureTest } from './question.ts';
import type { CandidateStatus, RobustTest } from './search.ts';
import type { TestedSize } from './size-search.ts';
import type { Swing } from './tornado.ts';

/** Version of this document's form. */
export const CAPACITY_FORMAT = '1.0';

/** Names and values of the leaves that configurations differ in. */
export type Varied = readonly { readonly name: string; readonly value: string }[];

/** The recommended fleet. */
export interface FleetAnswer {
  readonly config: string;
  readonly varied: Varied;
  readonly workers: number;
  readonly gpusPerWorker: number;
  readonly gpus: number;
  /** In the unit of the minimised metric. */
  readonly objective: number;
  /** Live agents; null = the load is a rate. */
  readonly agents: number | null;
  readonly agentsPerWorker: number | null;
  /** The objective that is nearest to its limit; `use` 1 = at the limit. */
  readonly limitedBy: { readonly name: string; readonly expr: string; readonly use: number | null } | null;
  /** Largest load factor that still holds. */
  readonly headroom: number | null;
  /** Best of every other configuration name; nulls = none is feasible. */
  readonly alternatives: readonly {
    readonly config: string;
    readonly workers: number | null;
    readonly gpus: number | null;
    readonly objective: number | null;
  }[];
}

/** A configuration after the search. */
export interface ConfigurationRow {
  readonly config: string;
  readonly varied: Varied;
  readonly status: CandidateStatus;
  readonly reason: string | null;
  readonly bounds: Bounds | null;
  readonly smallest: number | null;
  readonly recommended: number | null;
  readonly gpus: number | null;
  readonly objective: number | null;
  readonly primary: { readonly mean: number | null; readonly lo: number | null; readonly hi: number | null } | null;
  readonly limitedBy: string | null;
  readonly use: number | null;
  readonly replications: number;
  readonly tested: readonly TestedSize[];
  readonly robust: readonly RobustTest[];
  readonly isNonMonotone: boolean;
  /** No other row is at most as dear and at most as slow, and better in one by more than noise. */
  readonly pareto: boolean;
}

/** What the loss of workers does at the recommended size. */
export interface FailureReport {
  readonly workers: number;
  readonly forMs: number;
  readonly lostAtMs: number;
  readonly verdict: 'yes' | 'no' | 'unsure';
  /** Tokens computed again beyond those of the same window without the loss, mean over replications. */
  readonly extraRecomputedTokens: number | null;
  /** Time until the primary metric is back within noise of the run without the loss; null = not before the end. */
  readonly recoveredAfterMs: number | null;
}

/** Everything that a plan found. */
export interface CapacityDocument {
  readonly formatVersion: string;
  readonly kvcastVersion: string;
  readonly command: 'plan';
  readonly scenario: {
    readonly name: string;
    readonly description: string;
    readonly hash: string;
    readonly seed: number;
    readonly primary: string;
    readonly agents: number | null;
    readonly objectives: readonly string[];
  };
  readonly question: {
    readonly asks: 'fleet' | 'max-load';
    readonly minimize: string;
    readonly headroom: number;
    readonly failure: FailureTest;
  };
  readonly answer: FleetAnswer | null;
  /** Without an answer: what came nearest. */
  readonly closest: {
    readonly config: string;
    readonly varied: Varied;
    readonly size: number;
    readonly objective: string;
    readonly mean: number | null;
    readonly use: number;
  } | null;
  readonly maxLoad: LargestLoad | null;
  readonly configurations: readonly ConfigurationRow[];
  readonly headroom: LargestLoad | null;
  readonly failure: FailureReport | null;
  readonly growth: Growth | null;
  readonly tornado: readonly Swing[];
  readonly memory: WorkerMemory | null;
  readonly contexts: readonly ContextRow[];
  readonly assumptions: readonly Assumption[];
  /** Whether the search went to its end. */
  readonly stopped: 'complete' | 'interrupted' | 'time';
  readonly reproduce: string;
  readonly exit: { readonly code: number; readonly reasons: readonly string[] };
}
