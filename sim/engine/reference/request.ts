/** State of one request inside the reference scheduler. */
import type { BlockKey } from './block-pool.ts';

/** Engine specification 1; `queued` and `preempted` wait without blocks. */
export type RequestState = 'queued' | 'restoring' | 'running' | 'preempted' | 'ended';

/** A load from the host tier that a request waits for. */
export interface Restore {
  readonly hitTokens: number;
  readonly hostTokens: number;
  done: boolean;
  promoted: boolean;
}

/** Tokens, blocks and place of one request. */
export class SchedulerRequest {
  readonly id: number;
  readonly session: number;
  readonly promptTokens: number;
  /** Foreseeable end: client's limit; Infinity if only a stop token ends it. */
  readonly maxTokens: number;
  /** 1-based output token that is an unforeseeable stop token; Infinity = none. */
  readonly stopAt: number;
  readonly priority: number;
  /** Tie-break of the priority policy. */
  readonly arrival: number;
  /** Key of block i of prompt + output. */
  readonly keyOf: (block: number) => BlockKey;
  state: RequestState = 'queued';
  /** Tokens produced. */
  out = 0;
  /** Tokens whose KV exists or is scheduled (c). */
  computed = 0;
  /** Block table: physical ids. */
  blocks: number[] = [];
  /** Leading blocks of the table that were entered in (or come from) the cache. */
  entered = 0;
  /** Sampled-but-unknown tokens (asynchronous scheduling). */
  placeholders = 0;
  preemptions = 0;
  /** Reported cached tokens: HBM hit of the first admission; -1 before. */
  firstHitTokens = -1;
  restore: Restore | null = null;

  constructor(facts: {
    id: number;
    session: number;
    promptTokens: number;
    maxTokens: number;
    stopAt: number;
    priority: number;
    arrival: number;
    keyOf: (block: number) => BlockKey;
  }) {
    this.id = facts.id;
    this.session = facts.session;
    this.promptTokens = facts.promptTokens;
    this.maxTokens = facts.maxTokens;
    this.stopAt = facts.stopAt;
    this.priority = Number.isNaN(facts.priority) ? 0 : facts.priority;
    this.arrival = facts.arrival;
    this.keyOf = facts.keyOf;
  }

  /** Known tokens. */
  get len(): number {
    return this.promptTokens + this.out;
  }
}

/** Order of the priority policy: (priority, arrival, id). */
export function comesBefore(a: SchedulerRequest, b: SchedulerRequest): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  if (a.arrival !== b.arrival) return a.arrival < b.arrival;
  return a.id < b.id;
}
