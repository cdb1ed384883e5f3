/** Types of the own trace format `kvcast.trace` version 1 (trace specification 1). Times are integer milliseconds. */

export interface TraceHeader {
  readonly kvcast: 'trace';
  readonly version: 1;
  /** Tokens per block id, 1..4096. */
  readonly blockTokens: number;
  /** Whether equal ids in two sessions mean equal content. */
  readonly idScope: 'session' | 'file';
  /** `none`: full blocks only; `labelled`: the last id names the partial block. */
  readonly partialTail: 'none' | 'labelled';
  readonly source: {
    readonly format: string;
    readonly name?: string;
    readonly version?: string;
    readonly digest: string;
    readonly licence?: string;
    readonly url?: string;
  };
  readonly interpretation: {
    readonly pauseRule: string;
    readonly apiEstimate: string;
    readonly subAgentRule: string;
    readonly chains: string;
    readonly quantumMs: number;
  };
  readonly counts?: { readonly sessions: number; readonly requests: number; readonly inTokens: number };
}

export type Stop = 'tool' | 'turn' | 'length' | 'other' | 'unknown';

/** A session in object form, as one line of the file; used by readers at the door and by the canonical writer. */
export interface TraceSession {
  readonly id: string;
  readonly tenant?: string;
  readonly priority?: number;
  readonly class?: string;
  readonly arrivalMs?: number;
  readonly hints?: Readonly<Record<string, unknown>>;
  readonly agents: readonly TraceAgent[];
}

export interface TraceAgent {
  readonly id: string;
  readonly parent?: number;
  readonly type?: string;
  readonly model: string;
  readonly toolTokens?: number;
  readonly systemTokens?: number;
  readonly spawn?: { readonly after: number; readonly on: 'dispatch' | 'completion'; readonly delayMs: number };
  readonly join?: { readonly before: number; readonly delayMs: number };
  readonly requests: readonly TraceRequest[];
}

export interface TraceRequest {
  readonly startMs: number;
  readonly in: number;
  readonly out: number;
  readonly runs: readonly (readonly [number, number])[];
  readonly stop: Stop;
  readonly apiMs?: number;
  readonly apiEstMs?: number;
  readonly ttftMs?: number;
  readonly pauseMs?: number;
  readonly debiasedMs?: number;
  readonly model?: string;
  readonly break?: { readonly keptTokens: number; readonly cause?: string };
  readonly tools?: readonly { readonly class?: string; readonly ms: number; readonly tokens?: number; readonly error?: boolean }[];
  readonly hints?: Readonly<Record<string, unknown>>;
}
