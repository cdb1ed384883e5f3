/**
 * A compiled point as plain data: everything a thread needs to run any (arm, replication) of it. Durations ms, sizes bytes,
 * bandwidths bytes per ms. No functions, so that it can be sent to a thread or another machine.
 */
import type { PrefetchOptions } from '../../control/retention/prefetch-options.ts';
import type { LowerTierSpec, NetworkSpec } from '../cluster/fleet.ts';
import type { EngineConfig } from '../engine/worker.ts';
import type { PhaseTimes } from '../hardware/phase-timer.ts';
import type { PolynomialTimes } from '../hardware/polynomial-timer.ts';
import type { SyntheticOptions } from '../workload/synthetic/synthetic-session.ts';
import type { WorkloadOptions } from '../workload/workload-options.ts';

/** A step timer without cell. */
export type TimerPlan =
  | { readonly kind: 'fixed'; readonly stepMs: number }
  | ({ readonly kind: 'phases' } & PhaseTimes)
  | ({ readonly kind: 'polynomial' } & PolynomialTimes);

/** One pool of equal workers. */
export interface PoolPlan {
  readonly name: string;
  readonly gpu: string;
  readonly workers: number;
  readonly gpusPerWorker: number;
  readonly gpusPerNode: number;
  /** Id of the timing cell, or the kind of the timer: `fixed`, `phases`, `polynomial`. */
  readonly cell: string;
  readonly cellLevel: string;
  /** Engine name for the parameters of the cell. */
  readonly engine: string;
  readonly skewAlpha: number | null;
  /** Step times that no cell gives; null = those of the cell. */
  readonly timer: TimerPlan | null;
  /** Delay between dispatch and the scheduler seeing a request, ms. */
  readonly requestMs: number;
  readonly config: EngineConfig;
  readonly stepMode: 'jump' | 'reference';
  readonly hbmTokens: number;
  readonly hostTokens: number;
  readonly hbmFrom: string;
  readonly hostReadBytesPerMs: number;
  readonly hostWriteBytesPerMs: number;
  readonly hostDuplexBytesPerMs: number;
  /** Tiers below the host tier; absent = none. */
  readonly disk?: LowerTierSpec;
  readonly remote?: LowerTierSpec;
  readonly blockBytes: number;
  readonly usdPerGpuHour: number;
  readonly tdpW: number;
  /** Factor on every step time, for sensitivities; absent = 1. */
  readonly stepScale?: number;
}

/** Where sessions come from: a file, or a generator that draws them anew for every replication. */
export type SourcePlan =
  | { readonly file: string; readonly format: string | null }
  | { readonly sessions: number; readonly options: SyntheticOptions };

/** A preset with its parameters in base units. */
export interface PolicyPlan {
  readonly use: string;
  readonly with: Readonly<Record<string, unknown>>;
}

/** One thing that is compared. */
export interface ArmPlan {
  readonly name: string;
  readonly router: PolicyPlan;
  readonly retention: PolicyPlan;
  /** Absent: every session runs. */
  readonly admission?: PolicyPlan;
  /** Absent: nothing is brought up ahead of its use. */
  readonly prefetch?: PrefetchOptions;
  readonly pools: readonly PoolPlan[];
  readonly network: NetworkSpec;
  readonly faults: readonly {
    readonly atMs: number;
    readonly kind: 'crash' | 'drain' | 'slow';
    readonly pool: string;
    readonly worker: number;
    readonly forMs: number;
    readonly factor: number;
  }[];
}

/** An objective as compiled. */
export interface SloPlan {
  readonly name: string;
  readonly expr: string;
  readonly scope: 'turn' | 'session' | 'run';
  readonly level: 'error' | 'warn';
  /** Metric expression left of the operator, operator, bound in registry units. */
  readonly metric: string;
  readonly op: '<' | '<=' | '>' | '>=' | '==';
  readonly bound: number;
}

export interface RunPlan {
  /** Identity of the point; threads cache what they prepared under it. */
  readonly key: string;
  readonly name: string;
  readonly seed: number;
  /** Number of the first replication; above 0 where one was asked for alone. */
  readonly firstReplication: number;
  readonly trace: SourcePlan;
  /** Where fleet.contextLimit was written, for the error that only the trace can show. */
  readonly contextLimitPlace: { readonly file?: string; readonly line?: number; readonly column?: number };
  readonly workload: WorkloadOptions;
  readonly arms: readonly ArmPlan[];
  readonly baseline: string;
  readonly kind: 'terminating' | 'steady';
  /** Infinity is written as null so that the plan survives JSON. */
  readonly horizonMs: number | null;
  readonly warmupMs: number;
  readonly drain: boolean;
  readonly timeoutMs: number | null;
  /** null = as timeoutMs. */
  readonly firstTokenMs: number | null;
  /** null = nobody leaves. */
  readonly abandon: { readonly medianMs: number | null; readonly sigma: number };
  readonly retries: { readonly max: number; readonly baseMs: number; readonly capMs: number };
  readonly checks: 'cheap' | 'deep';
  readonly tieSeed: number;
  readonly noProgress: number;
  readonly timeLimitMs: number;
  readonly slos: readonly SloPlan[];
  /** `false`: misses are not judged, which saves a quarter of the time; metrics of causes are null. */
  readonly attribution?: false;
  /** Ascending times, ms: the primary metric is told for each interval between two of them as well. */
  readonly primaryEdgesMs?: readonly number[];
  /** Metric expressions to evaluate per replication. */
  readonly exprs: readonly string[];
  readonly primary: string;
  readonly record: readonly string[];
}
