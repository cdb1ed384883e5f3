/**
 * A trace in memory: columns, never objects per request. Readers fill it through {@link TraceBuilder}; the workload, the
 * inspector and the columnar cache read it. About 100 B per request plus 16 B per run of block ids.
 */
import type { TraceHeader } from './format.ts';

/** Stop reasons in the order of their codes. */
export const STOPS = ['tool', 'turn', 'length', 'other', 'unknown'] as const;
/** Break causes in the order of their codes; -1 = no break. */
export const BREAK_CAUSES = ['model', 'compaction', 'history', 'system', 'tools', 'unknown'] as const;

/** Sessions in the canonical order (arrivalMs, id); agents of a session are consecutive, agents[0] is its root; requests of an agent are consecutive. NaN = absent. */
export interface Trace {
  readonly header: TraceHeader;
  /** All names: session, agent, model, type, tenant, class. */
  readonly strings: readonly string[];
  readonly sessionCount: number;
  readonly session: {
    /** Index into strings. */
    readonly id: Int32Array;
    readonly tenant: Int32Array;
    readonly class: Int32Array;
    readonly priority: Int32Array;
    readonly arrivalMs: Float64Array;
    /** Agents of session s: agentFrom[s] .. agentFrom[s + 1]. Shape [sessions + 1]. */
    readonly agentFrom: Int32Array;
  };
  readonly agentCount: number;
  readonly agent: {
    readonly id: Int32Array;
    /** Global agent index of the parent; -1 for a root. */
    readonly parent: Int32Array;
    /** -1 = absent. */
    readonly type: Int32Array;
    readonly model: Int32Array;
    readonly toolTokens: Int32Array;
    readonly systemTokens: Int32Array;
    /** Global request index in the parent, -1 = none. */
    readonly spawnAfter: Int32Array;
    /** 0 = dispatch, 1 = completion. */
    readonly spawnOn: Uint8Array;
    readonly spawnDelayMs: Float64Array;
    readonly joinBefore: Int32Array;
    readonly joinDelayMs: Float64Array;
    /** Requests of agent a: requestFrom[a] .. requestFrom[a + 1]. Shape [agents + 1]. */
    readonly requestFrom: Int32Array;
  };
  readonly requestCount: number;
  readonly request: {
    readonly startMs: Float64Array;
    readonly inTokens: Int32Array;
    readonly outTokens: Int32Array;
    /** Index into STOPS. */
    readonly stop: Uint8Array;
    readonly apiMs: Float64Array;
    readonly apiEstMs: Float64Array;
    readonly ttftMs: Float64Array;
    readonly pauseMs: Float64Array;
    /** NaN = equal to pauseMs, see {@link pauseOf}. */
    readonly debiasedMs: Float64Array;
    /** Index into strings; the agent's model unless the request names another. */
    readonly model: Int32Array;
    /** -1 = no break. */
    readonly breakKeptTokens: Int32Array;
    readonly breakCause: Int8Array;
    /** WEKA capture type: 0 = n, 1 = s, 2 = other source; provenance for hygiene findings only. */
    readonly captureType: Uint8Array;
    /** Runs of request r: runFrom[r] .. runFrom[r + 1]. Shape [requests + 1]. */
    readonly runFrom: Int32Array;
  };
  /** Inclusive id ranges in prompt order; ids 0..2^53-1. */
  readonly runFirst: Float64Array;
  readonly runLast: Float64Array;
  /** Sparse extras by index: hints in normal form and tool spans. */
  readonly sessionHints: ReadonlyMap<number, Readonly<Record<string, unknown>>>;
  readonly requestHints: ReadonlyMap<number, Readonly<Record<string, unknown>>>;
  readonly requestTools: ReadonlyMap<number, readonly ToolSpan[]>;
  /** Findings of the reader: code, count, first position. */
  readonly notices: readonly TraceNotice[];
  /** The bytes this trace was read from; for a file of the own format they differ from `header.source`, which names the origin. */
  readonly input?: TraceInput;
  /** Labels of the source that the columns do not keep; absent where the source had none. */
  readonly facts?: SourceFacts;
}

/** What was read: format and digest (`sha256:…`) of the input itself, and its name without folder and extensions. */
export interface TraceInput {
  readonly format: string;
  readonly name: string;
  readonly digest: string;
}

/** Counts of raw labels over ROOT requests as the source spelled them, e.g. stops `{tool_use: 8011, '': 692}`. */
export interface SourceFacts {
  readonly types: Readonly<Record<string, number>>;
  readonly stops: Readonly<Record<string, number>>;
}

/** Code of {@link Trace.request.captureType} for sources without WEKA capture types. */
export const CAPTURE_NONE = 2;

/**
 * Client pause before request `r`, ms, whole; NaN for the first request of an agent. `debiased` falls back to the recorded pause
 * where no de-biased one is stored (absent = equal).
 */
export function pauseOf(trace: Trace, r: number, mode: 'recorded' | 'debiased'): number {
  const debiased = trace.request.debiasedMs[r]!;
  return mode === 'recorded' || Number.isNaN(debiased) ? trace.request.pauseMs[r]! : debiased;
}

export interface ToolSpan {
  readonly class?: string;
  readonly ms: number;
  readonly tokens?: number;
  readonly error?: boolean;
}

export interface TraceNotice {
  readonly code: string;
  readonly count: number;
  readonly message: string;
  readonly position?: string;
}
