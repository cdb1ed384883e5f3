/**
 * The port of one simulated worker. Two implementations hold equal: the stepped reference (obviously right) and the jumping
 * engine (fast). Source: engine specification 1, 6.5.
 *
 * A worker is driven by the cluster: `submit`, `abort`, `claim` … at a time, then `advance` to (time, class). It commits every
 * own effect whose (time, class) is at or before that, in order, and reports through its {@link WorkerSink}. The next own effect
 * is always visible in `nextMs`/`nextClass`, so a calendar needs one slot per worker.
 *
 * Lateness of publication: an engine may generate effects inside a run lazily, but KV_REMOVED events (evictions, expiries) and
 * stored events of branches without BRANCH_PRIVATE are commitments to the router: `nextMs` is never later than the step end that
 * publishes the earliest of them. KV_STORED ranges of private branches (generated tokens; nobody can match them) may reach the
 * sink later, at the next `advance`, with their own `publishedMs`. Sink calls made by one `advance` come in time order.
 */
import type { BranchId, BranchTable } from '../../control/blocks.ts';
import type { ActionOutcome, KvAction, KvEventBatch } from '../../control/ports.ts';
import type { LinkPool } from './links.ts';
import type { Regime, StepTimer } from './step-timer.ts';

/** Engine settings after defaults; names and meaning as in engine specification 1.1. */
export interface EngineConfig {
  readonly blockTokens: number;
  /** N including the reserved null block; usable = N - 1. */
  readonly blocks: number;
  readonly maxBatchedTokens: number;
  readonly maxSeqs: number;
  readonly maxModelLen: number;
  readonly prefixCaching: boolean;
  readonly chunkedPrefill: boolean;
  readonly longPrefillThreshold: number;
  readonly longPrefillAdaptive: boolean;
  readonly reserveFullIsl: boolean;
  /** Fraction of N, admission only. */
  readonly watermark: number;
  readonly policy: 'fcfs' | 'priority';
  readonly asyncDepth: 1 | 2;
  /** Rule switches: 0.32 (default) or 0.27 (engine specification 2.11). */
  readonly rules: '0.32' | '0.27';
  readonly onboard: 'never' | 'always' | 'cheaper' | { readonly thresholdTokens: number };
  /** Host tier capacity in blocks; 0 = off. */
  readonly hostBlocks: number;
  /** Bytes one block moves per GPU of this worker. */
  readonly blockBytesPerGpu: number;
  /** GPUs of this worker = parallel copies of each transfer. */
  readonly gpus: number;
  /** Copy fragments per block and seconds-free submit cost per fragment, ms (engine specification 4.4). */
  readonly fragmentsPerBlock: number;
  readonly fragmentSubmitMs: number;
  readonly storeThreshold: number;
  readonly storePromptOnly: boolean;
  /** Prefill cost per token and per token pair, ms; used by onboard = cheaper. */
  readonly prefillMsPerToken: number;
  readonly prefillMsPerPair: number;
}

/** A dispatched attempt as the engine sees it. */
export interface EngineRequest {
  /** Attempt id, unique in the run. */
  readonly id: number;
  readonly session: number;
  /**
   * Leaf branch of the request's own chain: block i of the request is block i of this branch's path. Blocks that no later prompt
   * can repeat (tail, generated tokens) lie in a branch flagged BRANCH_PRIVATE, long enough for prompt + output.
   */
  readonly leaf: BranchId;
  readonly promptTokens: number;
  /** True output length; private to the engine. */
  readonly outputTokens: number;
  /** vLLM polarity: lower = earlier. */
  readonly priority: number;
  readonly arrivalMs: number;
  /** The end is a stop token that the scheduler cannot foresee (matters for asyncDepth 2). */
  readonly stopsEarly: boolean;
}

export type EndStatus = 'finished' | 'rejected' | 'failed' | 'aborted' | 'lost' | 'handback';

/** Receives what a worker does, in the order of (time, class, own sequence). All calls are synchronous and must not re-enter. */
export interface WorkerSink {
  /** A successful admission. `first` is false for a re-admission after preemption. Hits in tokens. */
  admitted(id: number, tMs: number, queryTokens: number, hitHbmTokens: number, hitHostTokens: number, first: boolean): void;
  /** A restore from a lower tier began (tMs) for a request that waits for it. */
  restoring(id: number, tMs: number, tokens: number): void;
  firstToken(id: number, tMs: number): void;
  /** `weight` sequences saw `count` gaps of firstMs, firstMs + incrementMs, … between consecutive tokens. */
  tokenGaps(firstMs: number, incrementMs: number, count: number, weight: number): void;
  ended(id: number, tMs: number, status: EndStatus, outputTokens: number, reason: string): void;
  preempted(id: number, tMs: number): void;
  /** Publication at the end of a step; the batch is reused after the call returns unless the receiver replaces it. */
  kvEvents(worker: number, batch: KvEventBatch, tMs: number): void;
  /** One outcome per claim or prefetch. */
  settled(action: KvAction, outcome: ActionOutcome, tMs: number): void;
  claimBroken(worker: number, session: number, blocks: number, tMs: number): void;
}

/** What an observer may read of a worker at a time. */
export interface LoadView {
  running: number;
  /** Waiting incl. restoring and preempted. */
  waiting: number;
  /** Blocks with a reference. */
  kvReferencedBlocks: number;
  /** Blocks that hold cached content (referenced or not). */
  kvCachedBlocks: number;
  /** Unreferenced cached blocks under a live claim. */
  kvClaimedBlocks: number;
  kvUsableBlocks: number;
  hostUsedBlocks: number;
  hostBlocks: number;
  stepEndsMs: number;
}

/** Totals since the start; engine specification 9.1. Tokens unless the name says otherwise. */
export interface WorkerCounters {
  steps: number;
  emptySteps: number;
  /** Calls into the full scheduler + runs; growth exponent of the engine. */
  events: number;
  segmentsTouched: number;
  prefillTokens: number;
  decodeTokens: number;
  recomputedTokens: number;
  wastedTokens: number;
  queryTokensFirst: number;
  hitHbmTokensFirst: number;
  hitHostTokensFirst: number;
  queryTokensAgain: number;
  hitHbmTokensAgain: number;
  hitHostTokensAgain: number;
  /** Blocks that were cached but recomputed because a fully cached prompt recomputes its last block. */
  lastBlockRecomputed: number;
  admissions: number;
  preemptions: number;
  blockedBySeqs: number;
  blockedByIslGate: number;
  blockedByGate: number;
  blockedByWatermark: number;
  blockedByReserved: number;
  hbmEvictedBlocks: number;
  hbmExpiredBlocks: number;
  hostEvictedBlocks: number;
  hostStoredBlocks: number;
  hostSkippedFullBlocks: number;
  hostSkippedPresentBlocks: number;
  hostReadBytes: number;
  hostWriteBytes: number;
  claimsBroken: number;
  claimsExpired: number;
  duplicateBlocks: number;
  busyMs: number;
  /** Queue non-empty and nothing executing. */
  waitingMs: number;
  regimeMs: Record<Regime, number>;
}

/** One worker. Times never decrease. */
export interface Worker {
  readonly index: number;
  readonly config: EngineConfig;
  readonly counters: WorkerCounters;
  /** Time and class of the next own effect; Infinity when it waits for the outside. */
  nextMs: number;
  nextClass: number;
  submit(request: EngineRequest, tMs: number): void;
  abort(id: number, tMs: number): void;
  /** Claim, prefetch or demote; reports one `settled` to the sink. */
  apply(action: KvAction, tMs: number): void;
  /** Commits every own effect at or before (tMs, eventClass). Idempotent. */
  advance(tMs: number, eventClass: number): void;
  loadView(tMs: number, view: LoadView): void;
  /** Leading blocks of the chain (branch, depthBlocks) resident in HBM, for measurement and tests. */
  residentBlocks(branch: BranchId, depthBlocks: number): number;
  /** Contiguous continuation in the host tier after `fromBlocks`. */
  hostBlocks(branch: BranchId, depthBlocks: number, fromBlocks: number): number;
  /** Stops taking work; queued requests finish or are handed back at the deadline. */
  drain(tMs: number, deadlineMs: number): void;
  crash(tMs: number): void;
  restart(tMs: number): void;
  /** Step time factor >= 1 from now on. */
  setSlowdown(factor: number, tMs: number): void;
  /** Throws with the invariant's id if conservation is broken. `deep` walks every structure. */
  check(deep: boolean): void;
}

/** What a worker is built from. */
export interface WorkerParts {
  readonly index: number;
  readonly config: EngineConfig;
  readonly branches: BranchTable;
  readonly timer: StepTimer;
  readonly links: LinkPool | null;
  readonly sink: WorkerSink;
}
