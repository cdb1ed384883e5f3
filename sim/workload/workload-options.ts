/** How a trace becomes a workload; scenario keys `workload.*` after defaults (experiments specification 1.4, trace specification 7). */
import type { TenantShare } from './tenant-mix.ts';
import type { ToolTime } from './tool-time.ts';

/** Session starts. Times in ms, rate in sessions per ms. */
export type Arrivals =
  | {
      readonly mode: 'recorded';
      /** Sessions without an arrival time: refused (default) or started at 0. */
      readonly withoutTimes?: 'error' | 'zero';
    }
  | {
      readonly mode: 'open';
      readonly process: 'poisson' | 'gamma' | 'fixed';
      /** Sessions per ms, > 0. */
      readonly ratePerMs: number;
      /** Coefficient of variation of the gaps, process gamma only; 0 = fixed. */
      readonly cv?: number;
    }
  | {
      readonly mode: 'closed';
      /** Live session trees, >= 1. */
      readonly concurrency: number;
      /** Cold starts are spread uniformly over [0, rampUpMs). */
      readonly rampUpMs: number;
      readonly start: 'cold' | 'midlife';
      /** Pause before a slot starts its next session. */
      readonly respawnMs: number;
    };

/** All choices that decide what is replayed; nothing here may differ between arms. */
export interface WorkloadOptions {
  /** Block size of the engines, tokens; must divide the trace's block size or be a multiple of it. */
  readonly blockTokens: number;
  /** `synthetic`: tool and human pauses are drawn from the fit of recorded sessions, everything else is kept. */
  readonly pauses: 'recorded' | 'debiased' | 'synthetic';
  /** Counterfactual tool times; absent = as the trace has them. */
  readonly toolTime?: ToolTime;
  /** `root` ignores children and the anchors they cause (acceptance tables). */
  readonly agents: 'tree' | 'root';
  /** Spreads equal recorded arrivals, and pauses, over the quantum of the trace's clock. */
  readonly dequantise: boolean;
  /** Cap on pauses, ms; Infinity = none. */
  readonly gapCapMs: number;
  readonly sharing: 'none' | 'tools' | 'tools+system' | 'fleet';
  /** Share of plays with the fleet prefix; sharing fleet only, 0..1. */
  readonly fleetShare: number;
  readonly modelIdentity: 'separate' | 'ignore';
  readonly outputs: 'recorded' | 'one';
  readonly outputReuse: 'off' | 'assume';
  /** `padded`: a labelled partial last block counts as a full one and the prompt is rounded up to it (acceptance tables). */
  readonly partialTail: 'exact' | 'padded';
  readonly resample: 'none' | 'jitter' | 'bootstrap';
  /** Plays per replication; absent = all sessions of the trace (open, recorded) or unlimited (closed). */
  readonly sessions?: number;
  /** Relative weight of a session in a bootstrap, by session id; 1 if absent. */
  readonly weights?: ReadonlyMap<string, number>;
  /** Tokens; a request with prompt + output above it is overlong. */
  readonly contextLimit: number;
  readonly overlong: 'exclude' | 'truncate' | 'fail';
  readonly scaleLoad: number;
  readonly scaleContext: number;
  readonly scalePause: number;
  /** Tenants that plays are dealt to; absent = as the trace names them. */
  readonly tenants?: readonly TenantShare[];
  /** `shared`: equal content of two tenants is the same blocks. */
  readonly salt: 'perTenant' | 'shared';
  /** Fraction of plays whose client sends hints, 0..1. */
  readonly hintShare: number;
  readonly arrivals: Arrivals;
}

/** Defaults of the specification; block size, context limit and arrivals have none. */
export const WORKLOAD_DEFAULTS = {
  pauses: 'debiased',
  agents: 'tree',
  dequantise: false,
  gapCapMs: Number.POSITIVE_INFINITY,
  sharing: 'none',
  fleetShare: 0,
  modelIdentity: 'separate',
  outputs: 'recorded',
  outputReuse: 'off',
  partialTail: 'exact',
  resample: 'bootstrap',
  overlong: 'exclude',
  scaleLoad: 1,
  scaleContext: 1,
  scalePause: 1,
  salt: 'perTenant',
  hintShare: 1,
} as const satisfies Omit<WorkloadOptions, 'blockTokens' | 'contextLimit' | 'arrivals'>;
