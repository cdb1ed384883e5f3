/** Format of schedules recorded from vLLM's own scheduler: vectors/README.md. */

/** Settings of the recorded scheduler, in its own names. */
export interface RecordedConfig {
  readonly block_size: number;
  readonly num_blocks: number;
  readonly max_num_batched_tokens: number;
  readonly max_num_seqs: number;
  readonly max_num_active_seqs: number | null;
  readonly max_model_len: number;
  readonly long_prefill_token_threshold: number;
  readonly long_prefill_token_threshold_adaptive: boolean;
  readonly enable_prefix_caching: boolean;
  readonly enable_chunked_prefill: boolean;
  readonly policy: 'fcfs' | 'priority';
  readonly scheduler_reserve_full_isl: boolean;
  readonly watermark: number;
  readonly async_depth: 1 | 2;
  readonly arrival_time: 'sequence' | 'step';
}

/** One request; its id is its index. */
export interface RecordedRequest {
  /** [stream, start, length] segments. */
  readonly prompt: readonly (readonly [number, number, number])[];
  readonly out: number;
  readonly max_tokens: number;
  readonly priority?: number;
  readonly stop_at?: number;
}

/** One iteration of the engine loop; absent fields mean nothing happened. */
export interface RecordedStep {
  readonly t: number;
  readonly abort?: readonly number[];
  readonly reset?: boolean;
  readonly add?: readonly number[];
  readonly s?: readonly number[];
  readonly new?: readonly (readonly [number, number])[];
  readonly res?: readonly (readonly [number, number])[];
  readonly pre?: readonly number[];
  readonly b?: readonly (readonly [number, string])[];
  readonly run?: readonly number[];
  readonly wait?: readonly number[];
  readonly wait2?: readonly number[];
  readonly free?: number;
  readonly f2?: number;
  readonly fin?: readonly number[];
  readonly stale?: readonly number[];
  readonly waste?: readonly number[];
  readonly ne?: number;
  readonly ev?: readonly string[];
  readonly pc?: readonly number[];
  readonly u?: number;
}

/** One line of a recording. */
export interface RecordedScenario {
  readonly id: string;
  readonly config: RecordedConfig;
  readonly requests: readonly RecordedRequest[];
  readonly steps: readonly RecordedStep[];
  readonly final: {
    /** [id, first admission t, first hit, output tokens, reason, finish t, preemptions] */
    readonly requests: readonly (readonly [number, number, number, number, string, number, number])[];
    readonly free_queue: string;
    readonly hashed_blocks: number;
    readonly distinct_hashes: number;
  };
}
