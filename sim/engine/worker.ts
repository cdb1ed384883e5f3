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
 *
 * Semantics that both engines share, where the specification leaves room:
 *
 * - Inputs. Every input method first commits the own effects at or before (tMs, class of the input): drain, crash, restart,
 *   setSlowdown: lifecycle; transferDone: transfer; apply: control; abort: abort; submit: submit. `loadView` and `residentBlocks`
 *   read the state committed so far; an observer calls `advance(tMs, observe)` first.
 * - Own effects: step completion (class 1), drain deadline (3), schedule (8), claim expiry (9: every claim, also those that only
 *   fall back to class 1; a claim protects at (until, 8) and no longer at (until, 10)).
 * - When schedule() runs. After a step completion at t and, with no step in flight, after submit, abort of a known request,
 *   transferDone of an own transfer: once at (t, 8), if any request is queued, restoring or running. An empty step (no tokens) is
 *   counted in `emptySteps`; schedule() runs again at the same time if it preempted or failed somebody, else the worker sleeps.
 * - Aborts. Queued or preempted: at once. Restoring: ended at once, its blocks are freed when its transfer completes. Running: at
 *   the end of the step in flight, before its output is applied (`ended` carries that time); at once if no step is in flight.
 * - Step completion at t, in this order: pending aborts in order of their call; then the items in scheduled order (token, stop test,
 *   `firstToken`, then offers of newly full computed blocks to the host tier, then `ended` and frees); then tokenGaps; then one
 *   kvEvents batch if any event is queued.
 * - kvEvents. Events queue in order of occurrence and are published by the completion of the step in flight. With no step in flight
 *   (claim expiry, prefetch or store completed, an empty step) they are published at once, at the end of the effect that caused
 *   them. Only the order of groups is binding: inside consecutive entries of equal (kind, tier, branch) the order of offsets and
 *   their split into ranges are free. Every duplicate copy emits its own stored and removed entry. A new epoch starts at seq 0.
 * - tokenGaps at a completion at t: let p be the time of the worker's previous executed (non-empty) step completion in this epoch.
 *   All tokens of this step whose predecessor was emitted at p form one call (t - p, 0, 1, number); every other non-first token is
 *   one call (t - its predecessor's time, 0, 1, 1) in scheduled order. A run reports the same multiset as ranges. Undelivered
 *   tokens (outputTokens 0) make no gaps. Gaps may be reported at the end of a run, not before their time.
 * - Hits. `admitted` is called once per successful admission to the running list, after any restore: query = known tokens, HBM hit
 *   and host hit as found by the lookup (host hit 0 if onboard declined), `first` = not preempted before.
 * - Finished or aborted requests whose host stores are in flight keep all their blocks until the last of them completes (class 2).
 * - A preempted request whose known length needs more than usable blocks ends `failed` / `kv_exhausted` at that schedule.
 *   At submit: `rejected` / `empty_prompt`, `context_limit` (prompt >= maxModelLen), `kv_too_small` (prompt does not fit).
 *   End reasons of `finished`: `length`, `stop` (stopsEarly), `length_capped`, `prefill_only` (outputTokens 0). A drained worker ends a late submit `handback` /
 *   `draining`, a crashed one `lost` / `down`.
 * - Priority NaN counts as 0. PRIORITY order is (priority, arrivalMs, id) with ids compared as numbers.
 *
 * Marks (ADR 9; retention 4.1, 7; engine 4.7) are metadata on physical HBM copies; the host tier knows none. A copy carries at most one
 * claim, one reference of a live session and one level; an action meets only the mark of its own sort.
 * - `pin` and `retain` set them on every resident copy (duplicates too) of the range's blocks, contiguous or not; blocks that are not
 *   resident are not marked later. Rejected `invalid`: `until` < now or NaN, or not finite for a pin; a level that is no integer 0..100.
 *   Outcome: accepted (all distinct blocks of the range resident), clipped `notResident`, or missing (none resident).
 * - Claims (`pin` soft, lease): mode max = later deadline and higher class of the two, other fields from the new action; replace = the new
 *   one; fixed = a live one stays, else the new one. References: later deadline, other fields from the new action. Levels:
 *   priorityMerge max = the old one stays if its level is higher, or equal with a later deadline; else the new one, which is none if it
 *   is the default level (`defaultPriority`).
 * - A hit at a successful allocation by a request (not by a failed attempt) on a copy with a live mark that has refreshMs moves its
 *   deadline to max(until, hit time + refreshMs); on a level with reclaim `clear` it takes the deadline away. A hit never creates a mark.
 * - At (until, 9) a live mark ends; claims count in claimsExpired, in blocks. Unless another claim or reference of the copy lives, the
 *   onExpiry of the mark (of several at one time that of the claim, else of the reference) decides:
 *   drop: an unreferenced copy loses its content (removed event, hbmExpiredBlocks, block prepended to the queue as hash-less; copies of
 *   one instant in queue order) and its level; a referenced one does so when its last reference is released, unless a new claim or
 *   reference came before. trueLastAccess: the copy stays at its place in the queue, which no mark ever changes. back: an unreferenced
 *   copy goes to the tail of the queue (copies of one instant in queue order). front: all marks end, the copy is class 0.
 * - Victim order: class 0 (hash-less, then garbage), class 1, class 2 (referenced by a live session), class 3 (soft), class 4 (lease);
 *   class 0 by queue order, 1 and 2 by (level, queue order), 3 and 4 by (level, until, queue order). Claimed copies count in `free`;
 *   they are taken last, never refused. Taking one breaks its claim: `claimBroken` once per allocation and maximal run of equal session
 *   in victim order, called at the allocation. Not broken is a claim with tierFloor > 0 whose block is readable in the host tier; it ends
 *   with the copy, and nothing holds the block below but the host's own order. A mark ends without a count when its copy is dropped by a crash.
 * - `demote` ends all marks of the range's copies and makes them class 0; a hit makes a copy class 1 again, a pin takes it out as well,
 *   a retain passes it over. accepted | clipped | missing.
 * - `demote` to the host tier: the resident blocks in a row at the begin of the range. Those that the host lacks are copied, whatever
 *   storeThreshold says; `budget` if the host has no room, and nothing is changed. All marks of the copies end, the blocks are held
 *   (a reference, no hit) until the copy is readable, then released tail first as class 0, those that were hit meanwhile as class 1.
 *   accepted | clipped `notResident`, when its own copy is readable (at once if nothing is copied) | missing. A crash: rejected `down`.
 * - hostWrite `writeBack`: computed blocks are not offered to the host tier; victims of an allocation are, if they are no garbage and
 *   their level is at least `offloadMinPriority`. At the end of the schedule() or action that took them, in the order of eviction, each
 *   block that the host lacks takes a slot if one can be had (else it is dropped), the others are touched; one transfer copies them all.
 *   The blocks serve their new holder at once: the copy is ordered before its writes, as on a stream, and delays no step.
 * - hostWrite `selective`: as writeThrough, but an offered block is copied only at the second request that offers it while a copy of it
 *   is in HBM. hostAdmit `frequency`: of all modes, blocks of less than hostAdmitMin are not copied (write-filter.ts). A pass counts when
 *   the offer is not refused for want of room; where nothing is offered for store, it counts at the same moment.
 * - hostWrite `lazy`: as writeBack, but at the end of each schedule(), if fewer than 10 % of the usable blocks hold nothing, the next
 *   `horizonBlocks` of the victim order (hash-less ones and garbage counted, not copied) are copied, those that the host lacks, as
 *   long as slots of others can be had, and all of them are touched in their order. A block that goes before its turn is lost.
 * - `share` to tier 3: the blocks in a row at the begin of the range that are in HBM or host memory; those that the store lacks are copied,
 *   as long as there is room (`budget`: clipped, or rejected if there is none), settled with the transfer. accepted | clipped | missing.
 * - `share` elsewhere or without a store, `demote` to another tier or without host tier: rejected `unsupported`. Any action on a crashed worker: rejected `down`. An empty or impossible range:
 *   `invalid`.
 * - `prefetch`: the host continuation after the resident prefix, inside the range; missing if none; rejected `unsupported` without
 *   host tier, `progress` if free - dear - blocks < 10 % of usable, dear = unreferenced copies above class 1 or above the default level. It allocates like a request, holds its blocks hash-less and
 *   the resident prefix (no hit) during the transfer, then enters them in the cache, releases them and then the prefix (tail first) and settles accepted or clipped. A request that cannot
 *   allocate cancels all prefetches first (settled rejected `progress`).
 */
import type { BranchId, BranchTable } from '../../control/blocks.ts';
import type { ActionOutcome, KvAction, KvEventBatch, Tier } from '../../control/ports.ts';
import type { LinkPool } from './links.ts';
import type { LowerTierParts } from './lower-tiers.ts';
import type { StepObserver } from './step-observer.ts';
import type { Regime, StepTimer } from './step-timer.ts';

/**
 * Baseline rankers, retention specification 6 (R1, R3): what goes first inside a class and level is the copy with the smallest key, then the
 * one at the head of the free queue. lru: no key; lfu: hits; slru: 1 from 2 hits on, else 0; fifo: when it was stored; mru: the tail of the queue;
 * gdsf (R6): L + reads x recompute cost per token of the chain whose release made it idle, L = key of the last victim; tlru (R8): 0 behind
 * the tokens of its conversation that the next turn needs within the TTFT target, else 1. Keys by hits and chains are those of the release.
 */
export type Ranker = 'lru' | 'lfu' | 'slru' | 'fifo' | 'mru' | 'gdsf' | 'tlru';

/** Write policy of the edge from HBM to the host tier; retention specification 9.1. */
export type HostWrite = 'writeThrough' | 'selective' | 'writeBack' | 'lazy';

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
  /** Level 0..100 of blocks that no retain gave one; default 0. */
  readonly defaultPriority?: number;
  /** Order of unclaimed HBM blocks inside class and level; default lru. */
  readonly ranker?: Ranker;
  /** TTFT that tlru aims at, ms; default 2000. */
  readonly ttftTargetMs?: number;
  /** When blocks are copied to the host tier: when they are complete (default), at the second pass, when or before they are evicted. */
  readonly hostWrite?: HostWrite;
  /** Of writeBack and lazy: victims of a lower level are dropped; default 0. */
  readonly offloadMinPriority?: number;
  /** Which blocks may be copied to the host tier: all (default), or those of enough frequency (write-filter.ts); not with selective. */
  readonly hostAdmit?: 'always' | 'frequency';
  /** Least frequency, default 2, and period of a decay step, default 60 s. */
  readonly hostAdmitMin?: number;
  readonly hostAdmitDecayMs?: number;
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
  /**
   * A request that was not admitted before was matched against the tiers and will take blocks now: what it did not find it computes.
   * `admitted` follows, after a restore if `hostBlocks` > 0. The tiers are as the match saw them.
   */
  matched(id: number, tMs: number, hbmBlocks: number, hostBlocks: number): void;
  /** A successful admission. `first` is false for a re-admission after preemption. Hits in tokens. */
  admitted(id: number, tMs: number, queryTokens: number, hitHbmTokens: number, hitHostTokens: number, first: boolean): void;
  /** A restore from lower tiers began (tMs) for a request that waits for it; `tokens` in all, those of disk and remote store among them. */
  restoring(id: number, tMs: number, tokens: number, diskTokens: number, remoteTokens: number): void;
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
  /**
   * Copies of own blocks [from, to) of a branch that is not private left a tier, at the removal itself, not at its publication: between
   * `sinceMs` and `tMs`, which differ only where steps of a run are taken at once. Who needs to know better answers false and is told
   * again, block by block, each with its own time. `reason` is a code of REMOVAL. Calls of one worker come in the order of removal;
   * the split into ranges is free. A crash removes everything.
   */
  removed(worker: number, tier: Tier, branch: BranchId, from: number, to: number, sinceMs: number, tMs: number, reason: number): boolean;
}

/** What an observer may read of a worker at a time. */
export interface LoadView {
  running: number;
  /** Waiting incl. restoring and preempted. */
  waiting: number;
  /** Blocks with a reference (requests, pending stores, prefetches). */
  kvReferencedBlocks: number;
  /** Blocks that hold cached content (referenced or not). */
  kvCachedBlocks: number;
  /** Unreferenced cached blocks under a live claim. */
  kvClaimedBlocks: number;
  kvUsableBlocks: number;
  /** Host slots in use, readable or being written. */
  hostUsedBlocks: number;
  hostBlocks: number;
  /** The same of disk and remote store; the latter counts what others put there. */
  diskUsedBlocks: number;
  diskBlocks: number;
  remoteUsedBlocks: number;
  remoteBlocks: number;
  /** End of the step in flight; Infinity if none. */
  stepEndsMs: number;
}

/**
 * Totals since the start; engine specification 9.1. Tokens unless the name says otherwise. Both engines agree on all of them except
 * `events` and `segmentsTouched` (measures of their own work).
 */
export interface WorkerCounters {
  /** Executed steps with tokens, counted at completion, and schedule() calls that scheduled none. */
  steps: number;
  emptySteps: number;
  /** Calls into the full scheduler + runs; growth exponent of the engine. */
  events: number;
  segmentsTouched: number;
  /**
   * Every token of a completed step counts once: wasted if its request ended before the completion, recomputed if this position
   * was computed by an earlier completed step of the request, else prefill (position < promptTokens) or decode.
   */
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
  /** First admissions whose known tokens end on a block boundary and whose last block was resident in HBM though recomputed. */
  lastBlockRecomputed: number;
  /** Successful admissions to the running list, first and again. */
  admissions: number;
  preemptions: number;
  /** schedule() calls whose waiting loop ended for this reason with a candidate left. */
  blockedBySeqs: number;
  /** Gate 1 and gate 2 of engine specification 2.4; watermark / reserved = it would have passed without that term. */
  blockedByIslGate: number;
  blockedByGate: number;
  blockedByWatermark: number;
  blockedByReserved: number;
  /** Copies whose content was taken by an allocation, and copies dropped by onExpiry. */
  hbmEvictedBlocks: number;
  hbmExpiredBlocks: number;
  hostEvictedBlocks: number;
  /** Blocks that became readable in the host tier. */
  hostStoredBlocks: number;
  /** Offered blocks that found no slot (each time they are offered), or were present or in flight already. */
  hostSkippedFullBlocks: number;
  hostSkippedPresentBlocks: number;
  /** Bytes of completed transfers, all GPUs of the worker together. */
  hostReadBytes: number;
  hostWriteBytes: number;
  diskReadBytes: number;
  diskWriteBytes: number;
  remoteReadBytes: number;
  remoteWriteBytes: number;
  /** Readable copies that went for others, of disk and remote store. */
  diskEvictedBlocks: number;
  remoteEvictedBlocks: number;
  /** Blocks. */
  claimsBroken: number;
  claimsExpired: number;
  /** Blocks entered in the cache while another copy of the same content was there. */
  duplicateBlocks: number;
  /** Durations of completed steps. */
  busyMs: number;
  /** Queue (waiting or restoring) non-empty and no step in flight; up to the last committed time. */
  waitingMs: number;
  /** Durations of completed steps by StepTimer.regime. */
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
  /**
   * Branch whose removals this worker has not published though they are due, or -1: a lazy worker (see {@link WorkerParts.lazyEvents})
   * lets them wait until its next own effect or the next {@link advance}. Changes only where nextMs may.
   */
  readonly lateBranch: BranchId;
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
  /**
   * Marks which own blocks [from, to) of a branch a tier holds readable copies of: `out[at + x - from] = value`.
   * Cost O(segments of the branch).
   */
  markHeld(tier: Tier, branch: BranchId, from: number, to: number, out: Uint8Array, at: number, value: number): void;
  /** Stops taking work; requests finish, what is left at the deadline (class 3) ends `handback` / `drained` in id order. */
  drain(tMs: number, deadlineMs: number): void;
  /** Every request ends `lost` / `crash` in id order; both tiers, claims, queued events and own transfers vanish. */
  crash(tMs: number): void;
  /** Ready again at tMs, cold, at full speed, with the next epoch. */
  restart(tMs: number): void;
  /** Step time factor >= 1 from now on; the remaining part of a step in flight stretches by new/old. Links keep their speed. */
  setSlowdown(factor: number, tMs: number): void;
  /** The owner of the link pools passes on every completion of a transfer this worker started (class transfer); see lowerTransfer. */
  transferDone(transfer: number, tMs: number): void;
  /**
   * Why requests wait though no step, transfer or own effect is left that could let them go on: `restore-wedge` (restored requests hold
   * the blocks), `blocked` (a prompt above the budget without chunked prefill); else null. Engine specification 9.3.
   */
  readonly stuck: string | null;
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
  /** Tiers below host memory, fastest first; absent or empty = none. They need a host tier. */
  readonly lower?: readonly LowerTierParts[];
  readonly sink: WorkerSink;
  /**
   * Removed blocks of one branch may be published late, and those that are at least this old (ms) in one batch: for an owner who
   * advances a worker before anybody looks at its {@link Worker.lateBranch}; blocks of private branches are not reported at all.
   * Absent: everything, every batch in time, as the stepped engine does.
   */
  readonly lazyEvents?: number;
  /** Hears why requests wait and what steps compute; absent in normal runs. `sink` listens for it too. */
  readonly observer?: StepObserver;
}
