/** What one replication of one arm leaves behind for its metrics: columns, counters and sketches of the measured window. */
import type { WorkerCounters } from '../engine/worker.ts';
import type { DDSketch } from './sketch.ts';
import type { TokenSources } from './token-sources.ts';
import type { TurnCauses } from './turn-causes.ts';
import type { TurnTable } from './turn-table.ts';

/** Everything the registry's formulas read. Counters and sketches hold the measured window only. */
export interface RunMeasures {
  /** Turns count if they ARRIVE in it, ends included. `toMs` is also the end of the run for censored items. */
  readonly window: { readonly fromMs: number; readonly toMs: number };
  /** Sessions count if they START in [window.fromMs, sessionToMs]. */
  readonly sessionToMs: number;
  /** Denominator of goodput.sessions and cost per session, ms: the arrival window in terminating runs, else the window. */
  readonly rateWindowMs: number;
  readonly turns: TurnTable;
  readonly labels: TurnLabels;
  readonly sessions: SessionColumns;
  /** Gaps between tokens of all turns, ms. */
  readonly tokenGaps: DDSketch;
  readonly workers: readonly WorkerMeasures[];
  /** Causes of prompt tokens at first admissions; absent when misses were not judged. */
  readonly sources?: TokenSources;
  /** The same by turn, over the whole run. */
  readonly causes?: TurnCauses;
  /** Time-weighted used / capacity by tier. */
  readonly occupancy?: Readonly<Partial<Record<'hbm' | 'host' | 'disk' | 'remote' | 'active' | 'claimed', number>>>;
  /** Hint fields that could not be used, and claims that the control plane refused or clipped, over the whole run. */
  readonly hints?: { readonly dropped: number; readonly refused: number; readonly clipped: number };
  readonly router: { readonly decisions: number; readonly staleDecisions: number };
  /** Duration of a turn, and of a session's critical path, alone on an idle fleet, ms; NaN = unknown. */
  readonly unloaded?: { readonly turnMs: Float64Array; readonly sessionMs: Float64Array };
  readonly objectives: { readonly turn: readonly Objective[]; readonly session: readonly Objective[] };
  readonly cost: { readonly hostUsdPerGiBHour: number; readonly powerPue: number };
}

/** Labels by turn id and by session. */
export interface TurnLabels {
  /** Code into `classNames`. */
  readonly turnClass: Uint8Array;
  readonly classNames: readonly string[];
  /** Session of a turn. */
  readonly session: Int32Array;
  /** Code into `tenantNames`, by session. */
  readonly tenant: Int32Array;
  readonly tenantNames: readonly string[];
}

/** Columns by session id; NaN = did not happen. */
export interface SessionColumns {
  readonly count: number;
  /** First arrival. */
  readonly startMs: Float64Array;
  /** Last token of the last turn of the tree. */
  readonly endMs: Float64Array;
  /** Span minus client pauses on the critical path. */
  readonly activeMs: Float64Array;
  /** Code of SESSION_STATUS. */
  readonly status: Uint8Array;
}

/** One worker in the window. */
export interface WorkerMeasures {
  readonly pool: string;
  readonly gpus: number;
  /** Delay between dispatch and its queue, ms. */
  readonly requestMs: number;
  /** Time it was paid for, ms. */
  readonly provisionedMs: number;
  readonly counters: WorkerCounters;
  /** Bytes of one block over all its GPUs. */
  readonly blockBytes: number;
  readonly hostBytes: number;
  /** One-way capacity of its host links, all GPUs, bytes per ms. */
  readonly h2dBytesPerMs: number;
  readonly d2hBytesPerMs: number;
  readonly usdPerGpuHour: number;
  readonly tdpW: number;
  /** Absent: nothing was watched. */
  readonly prefetch?: PrefetchTotals;
}

/** What was brought up to one worker ahead of its use, and what became of it. */
export interface PrefetchTotals {
  /** Copied; hit by a request; gone from HBM before one came. The others were still there at the end. */
  movedBlocks: number;
  usedBlocks: number;
  wastedBlocks: number;
  /** Prefetches of which a block was hit. */
  usedPrefetches: number;
  /** Sum over them: from the arrival at the worker of the request that hit first to the end of the copy, >= 0. */
  lateMs: number;
}

/** An objective on single turns or sessions. The bound is in registry units. */
export interface Objective {
  /** Metric expression without aggregate, e.g. `turn.ttft{class:tool}`. */
  readonly metric: string;
  readonly op: '<' | '<=' | '>' | '>=' | '==';
  readonly bound: number;
}

/** Counters of a window: those at its end minus those at its start. */
export function windowCounters(end: WorkerCounters, start: WorkerCounters): WorkerCounters {
  const counters = { ...end, regimeMs: { ...end.regimeMs } };
  for (const key of Object.keys(end) as (keyof WorkerCounters)[]) {
    if (key === 'regimeMs') continue;
    counters[key] = end[key] - start[key];
  }
  for (const key of Object.keys(end.regimeMs) as (keyof WorkerCounters['regimeMs'])[]) counters.regimeMs[key] -= start.regimeMs[key];
  return counters;
}
