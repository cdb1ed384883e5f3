/**
 * The contract between brain and body. A shell (sim/cluster, gateway) tells a {@link ControlPlane} what happened and when; the
 * plane answers through {@link Effects} within the same call. Nothing here reads a clock, awaits, or calls back later.
 * Change this file only with an ADR in docs/adr.
 */
import type { BranchId } from './blocks.ts';

/** Time since the start of the run, float64 milliseconds. */
export type Millis = number & { readonly unit?: 'ms' };
/** Token count, integer >= 0. */
export type Tokens = number & { readonly unit?: 'tokens' };
/** Block count of the pool's block size, integer >= 0. */
export type Blocks = number & { readonly unit?: 'blocks' };
/** Size in bytes. */
export type Bytes = number & { readonly unit?: 'bytes' };
/** Index of a rank = (worker, data-parallel rank), the routable unit; dense from 0, handed out by the shell. */
export type RankId = number & { readonly unit?: 'rank' };
/** Index of a session tree, dense from 0, handed out by the shell. */
export type SessionId = number & { readonly unit?: 'session' };
/** Index of one attempt to serve one request, dense from 0. */
export type AttemptId = number & { readonly unit?: 'attempt' };
/** Index of one KV action. */
export type ActionId = number & { readonly unit?: 'action' };

/** Memory tiers in the order of speed: HBM, host, disk, remote. */
export const TIER = { hbm: 0, host: 1, disk: 2, remote: 3 } as const;
export type Tier = 0 | 1 | 2 | 3;

/** Kind of the pause after a response, from its stop reason. */
export type PauseKind = 'tool' | 'human' | 'join' | 'none';
/** Why a response ended. */
export type StopReason = 'tool' | 'turn' | 'length' | 'other' | 'unknown';

/** One `cache_control` breakpoint in normal form. */
export interface CacheControl {
  /** Last full block covered, 0-based. */
  readonly blockIndex: number;
  readonly ttlMs: Millis;
}

/** One `kv.retain` directive in normal form: a level for blocks [fromBlocks, toBlocks) of the prompt. */
export interface RetainRange {
  readonly fromBlocks: Blocks;
  readonly toBlocks: Blocks;
  /** 0..100; the engine's default level releases. */
  readonly priority: number;
  /** null = without end. */
  readonly durationMs: Millis | null;
}

/** Hints in normal form (router specification 1.2). Absent fields were not given. */
export interface AgentHints {
  /** -2^31..2^31-1, higher = sooner. */
  readonly priority?: number;
  /** 0..2^32-1, higher tier first in the pending queue. */
  readonly strictPriority?: number;
  /** Expected output tokens, >= 1. */
  readonly osl?: Tokens;
  readonly speculativePrefill?: boolean;
  readonly cacheControl?: readonly CacheControl[];
  readonly retain?: readonly RetainRange[];
  /** The client declares how long its next pause will be. */
  readonly declaredPauseMs?: Millis;
}

/** A request as the router sees it: facts known at arrival, nothing else. */
export interface RouteRequest {
  readonly attempt: AttemptId;
  /** Stable name for ties and draws, `<session>/<agent>/<turn>` in simulation. */
  readonly id: string;
  readonly attemptNumber: number;
  readonly session: SessionId;
  /** Name of the session, for hashing policies. */
  readonly sessionKey: string;
  readonly tenant: number;
  readonly arrivalMs: Millis;
  /** Prompt length L, >= 1. */
  readonly promptTokens: Tokens;
  /** The prompt's identified full blocks: chain (branch, depthBlocks) of the shared branch table. */
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
  readonly hints?: AgentHints;
  readonly maxOutputTokens?: Tokens;
  /** Ranks that failed this request already. */
  readonly exclude?: readonly RankId[];
  /** Ids of the workers that may serve it, i.e. the parts of rank keys before the last `/`. Absent = all. */
  readonly allow?: readonly string[];
  /** The one rank that may serve it: no other is tried. */
  readonly pin?: RankId;
  /** The rank that serves it while that one may; while it may not, the request is routed as if it named none. */
  readonly affinity?: RankId;
  /** Name of the queue class it asks for, or of a family of classes; one that does not exist counts as none. */
  readonly queueClass?: string;
  /** Taints a worker must carry, all of them. */
  readonly requiredTaints?: readonly string[];
  /** Weight by taint, single precision: a cost is multiplied by exp(-tanh(sum of the weights a worker matches)). */
  readonly preferredTaints?: Readonly<Record<string, number>>;
  /** Blocks [from, to) of the prompt that a cache shared by the pool holds; disjoint, ascending. */
  readonly sharedRanges?: readonly (readonly [from: Blocks, to: Blocks])[];
  /** Cached blocks by rank, tiers weighted, as another index estimates them; used instead of the own index. */
  readonly estimatedBlocks?: ReadonlyMap<RankId, number>;
}

/** Where a request goes. */
export interface Placement {
  readonly rank: RankId;
  /** Leading blocks the router believes cached on that rank in HBM, and below. */
  readonly hbmBlocks: Blocks;
  readonly lowerBlocks: Blocks;
}

export interface Refusal {
  /** HTTP status, 400..599. */
  readonly status: number;
  /** Reason code of router specification 8, e.g. NO_WORKERS. */
  readonly code: string;
  readonly retryAfterMs?: Millis;
}

export interface AttemptEnd {
  readonly status: 'finished' | 'failed' | 'cancelled' | 'lost' | 'rejected';
  readonly stop: StopReason;
  readonly outputTokens: Tokens;
  /** Names of the tools the response asked for. */
  readonly toolNames?: readonly string[];
  /** Prompt tokens served from cache as reported by the engine. */
  readonly cachedTokens?: Tokens;
  /** How long it waited in the engine before it was scheduled first, as reported by the engine. */
  readonly queueMs?: Millis;
  /** The client said that this session will send nothing more. */
  readonly sessionFinal?: boolean;
}

export interface WorkerChange {
  readonly rank: RankId;
  readonly state: 'joined' | 'ready' | 'draining' | 'lost' | 'restarted';
  readonly epoch: number;
  /** Canonical key `<workerId>/<dpRank>`; given with `joined`. */
  readonly key?: string;
  readonly facts?: RankFacts;
}

/** Static facts of a rank, declared when it joins. */
export interface RankFacts {
  readonly blockTokens: Tokens;
  readonly hbmBlocks: Blocks;
  readonly hostBlocks: Blocks;
  readonly maxBatchedTokens: Tokens;
  /** Bytes of one block per GPU; for cost models. */
  readonly blockBytes: Bytes;
  /** Prefill cost C_re(p, n) = a*n + b*n*(p + n/2) in ms per token and ms per token pair; retention specification 5. */
  readonly prefillMsPerToken: number;
  readonly prefillMsPerPair: number;
  /** Time to bring one block back from the host tier over an idle link; absent = not known or no host tier. */
  readonly reloadMsPerBlock?: Millis;
  /** Labels that requests may require or prefer; default none. */
  readonly taints?: readonly string[];
}

/** Kinds of KV events. Ranges of `stored` expand ascending, of `removed` descending (deep end first), `cleared` has no range. */
export const KV_STORED = 0;
export const KV_REMOVED = 1;
export const KV_CLEARED = 2;

/** KV events of one publication as ranges of own offsets [from, to) of a branch. Columns, so that a batch allocates once. */
export class KvEventBatch {
  rank: RankId = 0;
  epoch = 0;
  /** Publication number per rank, from 0. */
  seq = 0;
  /** Time of publication at the worker. */
  publishedMs: Millis = 0;
  count = 0;
  kind = new Uint8Array(8);
  tier = new Uint8Array(8);
  branch = new Int32Array(8);
  from = new Int32Array(8);
  to = new Int32Array(8);

  /** Appends one range. Cost O(1) amortised. */
  push(kind: number, tier: Tier, branch: BranchId, from: Blocks, to: Blocks): void {
    const n = this.count;
    if (n === this.kind.length) this.#grow();
    this.kind[n] = kind;
    this.tier[n] = tier;
    this.branch[n] = branch;
    this.from[n] = from;
    this.to[n] = to;
    this.count = n + 1;
  }

  /** Takes over everything from another batch; keeps its own columns. */
  copyFrom(other: KvEventBatch): void {
    this.rank = other.rank;
    this.epoch = other.epoch;
    this.seq = other.seq;
    this.publishedMs = other.publishedMs;
    this.count = 0;
    for (let i = 0; i < other.count; i++) this.push(other.kind[i]!, other.tier[i]! as Tier, other.branch[i]!, other.from[i]!, other.to[i]!);
  }

  #grow(): void {
    const size = this.kind.length * 2;
    const kind = new Uint8Array(size);
    kind.set(this.kind);
    this.kind = kind;
    const tier = new Uint8Array(size);
    tier.set(this.tier);
    this.tier = tier;
    for (const name of ['branch', 'from', 'to'] as const) {
      const column = new Int32Array(size);
      column.set(this[name]);
      this[name] = column;
    }
  }
}

/** Scraped metrics of one rank. */
export interface WorkerReport {
  readonly rank: RankId;
  /** When the worker was read. */
  readonly asOfMs: Millis;
  readonly waiting: number;
  readonly running: number;
  /** 0..1. */
  readonly kvUsage: number;
  /** A monitor's verdict: the rank takes no new requests until a report without it. */
  readonly overloaded?: boolean;
}

/** A directive outside a request. */
export interface KvHint {
  readonly kind: 'sessionClosed' | 'sessionCompacted' | 'retain' | 'release';
  readonly session: SessionId;
  readonly keptTokens?: Tokens;
  readonly untilMs?: Millis;
  /** Who sends it: a tenant may act on its own sessions only; absent = the operator. */
  readonly tenant?: number;
  /** A hint with a message and an action id is executed once per (source, message, action); a repeat changes nothing. */
  readonly source?: string;
  readonly messageId?: string;
  readonly actionId?: string;
}

/**
 * How strongly a pin holds, by class of the victim order (retention specification 4.1): `reference` = 2, the path of a live session,
 * a mark of its own beside a claim; `soft` = 3 and `lease` = 4, the claims.
 */
export type Hardness = 'reference' | 'soft' | 'lease';

/**
 * Where blocks stand when the last of their marks ends by time: at their true last access, behind or in front of all others of class 1
 * (`front` = class 0), or nowhere (`drop`: they leave the cache).
 */
export type OnExpiry = 'trueLastAccess' | 'back' | 'front' | 'drop';

/** Why blocks become garbage; told apart by miss attribution (retention specification 13.3, 4c). */
export type ReleaseReason = 'closed' | 'superseded' | 'compacted' | 'timeout' | 'explicit';

/**
 * An action addressed to one rank. Ranges are blocks [fromBlocks, toBlocks) of the chain (branch, toBlocks). What an engine cannot
 * do it answers with `rejected`, reason `unsupported`, and changes nothing. Rules of the marks: docs/adr/0009.
 */
export interface KvAction {
  readonly id: ActionId;
  readonly verb: 'pin' | 'retain' | 'prefetch' | 'demote' | 'share';
  readonly rank: RankId;
  readonly session: SessionId;
  readonly branch: BranchId;
  readonly fromBlocks: Blocks;
  readonly toBlocks: Blocks;
  /**
   * Absolute deadline; a mark holds up to and including it. Finite for a pin; Infinity = without end, for a retain only. Of a demote
   * to a tier: how long the copy there is worth keeping.
   */
  readonly untilMs: Millis;
  /** Of a pin; other verbs ignore it. */
  readonly hardness: Hardness;
  /** How an existing deadline combines with this one. */
  readonly mode: 'max' | 'replace' | 'fixed';
  readonly onExpiry: OnExpiry;
  /** A later hit moves the deadline to hit time + refreshMs; absent = no refresh. */
  readonly refreshMs?: Millis;
  readonly tierFloor: Tier;
  /**
   * Of a retain: level 0..100 that orders blocks inside their class, lowest evicted first. Blocks without one have the default level
   * of the engine, 0 unless it was told another; a retain with the default level takes the mark away.
   */
  readonly priority?: number;
  /** Of a retain: how an existing level combines with this one; default `replace`. `max` keeps the higher, then the later deadline. */
  readonly priorityMerge?: 'max' | 'replace';
  /** Of a retain: what a later hit does to its deadline, `clear` takes it away (the level stays without end); default `keep`. */
  readonly reclaim?: 'keep' | 'clear';
  /**
   * Of a demote: the tier to copy to before the source is given up; `none` (default) = garbage at once, class 0. Of a share: 3, the store
   * that workers share; the source stays.
   */
  readonly toTier?: 1 | 2 | 3 | 'none';
  /** Of a demote: the cause; default `explicit`. */
  readonly why?: ReleaseReason;
}

export interface ActionOutcome {
  readonly result: 'accepted' | 'clipped' | 'deferred' | 'rejected' | 'missing';
  readonly reason?: string;
  readonly appliedBlocks: Blocks;
  readonly requestedBlocks: Blocks;
  /** Of a prefetch: blocks that were copied for it, the last ones of those applied; absent = none. */
  readonly movedBlocks?: Blocks;
}

/** One decision with everything needed to understand and repeat it (router specification 9). Made only when asked for. */
export interface DecisionRecord {
  readonly v: 1;
  readonly id: string;
  readonly attempt: AttemptId;
  readonly tMs: Millis;
  readonly policy: string;
  readonly rule: string;
  readonly action:
    | { readonly kind: 'dispatch'; readonly rank: RankId }
    | { readonly kind: 'queue'; readonly key: number; readonly strict: number }
    /** The turn of a waiting request came after its client had left: the rank it would have got, -1 = none. Nothing was booked. */
    | { readonly kind: 'abandon'; readonly rank: RankId }
    | { readonly kind: 'refuse'; readonly refusal: Refusal };
  readonly reasons: readonly string[];
  readonly request: { readonly promptTokens: Tokens; readonly fullBlocks: Blocks; readonly depthBlocks: Blocks };
  readonly candidates: readonly CandidateRecord[];
  readonly tie: { readonly size: number; readonly mode: string };
  readonly draws: readonly number[];
  readonly waitMs: Millis;
  readonly bookSeq: number;
}

export interface CandidateRecord {
  readonly rank: RankId;
  readonly key: string;
  readonly matchBlocks: { readonly hbm: Blocks; readonly host: Blocks; readonly disk: Blocks; readonly remote: Blocks };
  readonly cachedTokens: Tokens;
  /** Feature name to its raw value, weight and contribution to the score. */
  readonly features: Readonly<Record<string, { readonly raw: number; readonly weight: number; readonly contribution: number }>>;
  readonly score: number;
  readonly inTie: boolean;
}

/** Told by a shell. Synchronous; `nowMs` never decreases. */
export interface ControlPlane {
  request(request: RouteRequest, nowMs: Millis): void;
  firstToken(attempt: AttemptId, nowMs: Millis): void;
  progress(attempt: AttemptId, outputTokens: Tokens, nowMs: Millis): void;
  ended(attempt: AttemptId, end: AttemptEnd, nowMs: Millis): void;
  worker(change: WorkerChange, nowMs: Millis): void;
  kvEvents(batch: KvEventBatch, nowMs: Millis): void;
  report(report: WorkerReport, nowMs: Millis): void;
  hint(hint: KvHint, nowMs: Millis): void;
  settled(action: ActionId, outcome: ActionOutcome, nowMs: Millis): void;
  timer(nowMs: Millis): void;
}

/** Answered by the plane, within the call that caused it. */
export interface Effects {
  /** The request is booked before this is called. */
  dispatch(request: RouteRequest, placement: Placement): void;
  refuse(request: RouteRequest, refusal: Refusal): void;
  act(action: KvAction): void;
  /** Earliest next `timer()`; only the smallest counts. */
  wakeAt(tMs: Millis): void;
  decided(record: DecisionRecord): void;
}

/** Level of decision records asked for; `off` costs nothing. */
export type RecordLevel = 'off' | 'compact' | 'full';

/** Longest cached prefix per rank. Filled from KV events or from the router's own decisions, nothing else. */
export interface PrefixIndex {
  apply(batch: KvEventBatch, nowMs: Millis): void;
  /** Own decision: only approximate and predicting indexes use it. */
  placed(rank: RankId, branch: BranchId, depthBlocks: Blocks, nowMs: Millis): void;
  dropRank(rank: RankId): void;
  /** Fused scan: fills `match` for every rank < ranks; held semantics, tiers walked in order (router specification 2.4). */
  match(branch: BranchId, depthBlocks: Blocks, nowMs: Millis, match: MatchColumns): void;
  /** Cached blocks known for a rank, all tiers. */
  blocks(rank: RankId): Blocks;
}

/** Result columns of a match, indexed by rank; each tier counts blocks beyond the faster tiers. */
export interface MatchColumns {
  readonly hbm: Int32Array;
  readonly host: Int32Array;
  readonly disk: Int32Array;
  readonly remote: Int32Array;
  /** Ranks with any non-zero entry, so that a caller can reset or visit only those. Length `touchedCount`. */
  readonly touched: Int32Array;
  touchedCount: number;
}

/** Facts about eligible ranks, one row per candidate in canonical order. Columns indexed by row. */
export interface Candidates {
  readonly count: number;
  readonly rank: Int32Array;
  readonly match: MatchColumns;
  /** Raw feature value of a row by its name in router specification 4.4. Throws E_FEATURE for an unknown name. */
  feature(name: string, row: number): number;
}

/** A router that is more than scores: state machines and plug-ins. Returns the row chosen, or -1 to refuse. */
export interface Router {
  readonly name: string;
  choose(request: RouteRequest, candidates: Candidates, nowMs: Millis): number;
}

/** Order of waiting requests; larger key first (router specification 6.3). Pure. */
export interface QueueOrder {
  readonly name: string;
  key(request: RouteRequest, uncachedTokens: Tokens, nowMs: Millis): number;
}

/** What a session admission is told. */
export type AdmissionEvent =
  /** A request asks; `admit` is called next. */
  | { readonly kind: 'requested'; readonly request: RouteRequest; readonly nowMs: Millis }
  /** It was placed. `bestBlocks`: most blocks of the prompt that any rank holds; absent where the router does not look. */
  | {
      readonly kind: 'dispatched';
      readonly request: RouteRequest;
      readonly rank: RankId;
      readonly bestBlocks?: Blocks;
      readonly nowMs: Millis;
    }
  | {
      readonly kind: 'ended';
      readonly request: RouteRequest;
      readonly rank: RankId;
      readonly end: AttemptEnd;
      readonly pause: PauseKind;
      readonly nowMs: Millis;
    }
  /** It will not be placed: its client left while it waited, or it was refused. */
  | { readonly kind: 'withdrawn'; readonly request: RouteRequest; readonly nowMs: Millis }
  | { readonly kind: 'closed'; readonly session: SessionId; readonly nowMs: Millis }
  /** KV room of a rank, 0 = it is gone. */
  | { readonly kind: 'capacity'; readonly rank: RankId; readonly tokens: Tokens; readonly blockTokens: Tokens; readonly nowMs: Millis }
  /** The session waited as long as anybody may: it runs now. */
  | { readonly kind: 'forced'; readonly session: SessionId; readonly nowMs: Millis }
  /** The time asked for by {@link SessionAdmission.wakeMs} has come. */
  | { readonly kind: 'tick'; readonly nowMs: Millis };

/** Whether a session may run now. A request of a session that may not waits in the plane and asks again after every event. */
export interface SessionAdmission {
  readonly name: string;
  /** When it wants a `tick`; Infinity or absent = never. */
  readonly wakeMs?: Millis;
  on?(event: AdmissionEvent): void;
  admit(session: SessionId, nowMs: Millis): 'run' | 'wait';
}

/** What a retention policy is told. `branch`/`depthBlocks` name the prompt's identified blocks. */
export type RetentionEvent =
  | {
      readonly kind: 'dispatched';
      readonly session: SessionId;
      readonly rank: RankId;
      readonly request: RouteRequest;
      /** Leading blocks that the rank is believed to hold in HBM, and behind them in lower tiers; absent where the router does not look. */
      readonly hbmBlocks?: Blocks;
      readonly lowerBlocks?: Blocks;
      readonly nowMs: Millis;
    }
  /** The first token of an attempt; told only to a policy that {@link RetentionPolicy.hearsFirstTokens}. */
  | {
      readonly kind: 'answering';
      readonly session: SessionId;
      readonly rank: RankId;
      readonly request: RouteRequest;
      readonly nowMs: Millis;
    }
  | {
      readonly kind: 'finished';
      readonly session: SessionId;
      readonly rank: RankId;
      readonly request: RouteRequest;
      readonly end: AttemptEnd;
      readonly pause: PauseKind;
      readonly nowMs: Millis;
    }
  | { readonly kind: 'closed'; readonly session: SessionId; readonly reason?: 'final' | 'explicit' | 'released'; readonly nowMs: Millis }
  /** The client rewrote its context: of the session's prompts only the first `keptTokens` will be sent again. */
  | { readonly kind: 'compacted'; readonly session: SessionId; readonly keptTokens: Tokens; readonly nowMs: Millis }
  /** The time a policy asked for by {@link RetentionPolicy.wakeMs} has come. */
  | { readonly kind: 'tick'; readonly nowMs: Millis }
  | { readonly kind: 'lost'; readonly rank: RankId; readonly nowMs: Millis };

/** Turns events into actions. Deterministic; sees past and present only. */
export interface RetentionPolicy {
  readonly name: string;
  /** yes | needs <engine feature> | simulation only; repeated in reports. */
  readonly deployable: string;
  /** When it wants a `tick`; Infinity or absent = never. Read after every event and outcome. */
  readonly wakeMs?: Millis;
  /** Whether it is told of first tokens; absent = no. */
  readonly hearsFirstTokens?: boolean;
  on(event: RetentionEvent, act: (action: Omit<KvAction, 'id'>) => void): void;
  settled(action: KvAction, outcome: ActionOutcome, nowMs: Millis): void;
}

/** How long a pause will last, learnt from closed gaps of the past. */
export interface GapEstimator {
  readonly name: string;
  /** Time to keep, ms; 0 = do not keep. */
  ttlMs(pause: PauseKind, toolName: string | undefined, nowMs: Millis): Millis;
}
