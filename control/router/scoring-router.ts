/**
 * A policy at work: it holds what the router knows (ranks, index, bookings), decides, and books in the same turn.
 * Source: router specification 4, 8.
 */
import type { BranchTable } from '../blocks.ts';
import { ApproximateIndex } from '../index/approximate-index.ts';
import { BranchIndex, type CopyMode } from '../index/branch-index.ts';
import { LruIndex } from '../index/lru-index.ts';
import { clearMatch, matchColumns } from '../index/match-columns.ts';
import { PredictingIndex } from '../index/predicting-index.ts';
import type { AttemptId, KvEventBatch, Millis, PrefixIndex, RankId, RouteRequest, WorkerChange, WorkerReport } from '../ports.ts';
import { type BookingRequest, Bookings } from './bookings.ts';
import { CostScan, scannableCost } from './cost-scan.ts';
import { Eligibility } from './eligibility.ts';
import { cachedTokens, FEATURES, type FeatureInput, fillShared, type Stage } from './features.ts';
import { HashRing } from './hash-ring.ts';
import type { FeatureRef, Policy } from './policy.ts';
import { RANK_LOST, RankTable } from './rank-table.ts';
import { type DecisionKeys, type FeatureSource, ScoringEngine } from './scoring-engine.ts';

/** What a router is built from. */
export interface RouterEnvironment {
  readonly branches: BranchTable;
  /** uint32 */
  readonly seed: number;
  /** Whether engines publish every physical copy of a block; default `count` (vLLM). */
  readonly copies?: CopyMode;
  /** Age from which a scraped value is stale. Default 1000. */
  readonly signalMaxAgeMs?: Millis;
  /** What the pool does; default aggregated. A decode pool reads no cache input, shares nothing and tracks no prefill (5.2.1). */
  readonly stage?: Stage;
  /** A decode pool that may also prefill reads its cache and keeps the policy's load options. Default false. */
  readonly conditionalDisaggregation?: boolean;
  /** Keep the policy's load options in a plain decode pool too. Default false. */
  readonly keepLoadOptions?: boolean;
}

const NO_REQUEST: RouteRequest = {
  attempt: 0,
  id: '',
  attemptNumber: 0,
  session: 0,
  sessionKey: '',
  tenant: 0,
  arrivalMs: 0,
  promptTokens: 1,
  branch: -1,
  depthBlocks: 0,
};

/** Router with one compiled policy. `decide` has no side effect; `book` is the only door for state of decisions. */
export class ScoringRouter implements FeatureSource {
  readonly policy: Policy;
  readonly table = new RankTable();
  readonly index: PrefixIndex;
  readonly bookings: Bookings;
  readonly engine: ScoringEngine;
  /** What features read; the request of the last decision. */
  readonly input: FeatureInput;
  /** Which ranks may serve the request of the last decision. */
  readonly eligibility: Eligibility;
  /** Why the last decision chose nobody. */
  refusal = '';
  /** Fast path of cost policies; null if the policy is of another kind. */
  readonly scan: CostScan | null;
  /** Score every row even where the fast path would do; needed for score tables. */
  scoreAll = false;
  readonly #keys: { id: string; attemptNumber: number; rows: Int32Array; hash: Uint32Array; factors: Float64Array | null };
  /** Scratch by rank. */
  #shared = new Float64Array(16);
  #estimated = new Float64Array(16);
  /** Running attempts that an index with a capacity holds blocks for. */
  readonly #held = new Map<AttemptId, RouteRequest>();
  readonly #booking: BookingRequest = {
    attempt: 0,
    rank: 0,
    branch: -1,
    depthBlocks: 0,
    fullBlocks: 0,
    promptTokens: 1,
    uncachedTokens: 0,
    osl: 0,
    prefillMs: undefined,
  };

  constructor(policy: Policy, environment: RouterEnvironment) {
    const { branches, stage = 'aggregated' } = environment;
    if (stage === 'decode' && environment.conditionalDisaggregation !== true) {
      const load = environment.keepLoadOptions === true ? policy.load : { ...policy.load, assumeKvReuse: false, trackPrefill: false };
      policy = { ...policy, constants: { ...policy.constants, c: 0 }, load };
    }
    this.policy = policy;
    this.index = createIndex(policy, environment);
    this.bookings = new Bookings(branches, policy.load);
    this.engine = new ScoringEngine(policy, environment.seed >>> 0);
    this.input = {
      branches,
      table: this.table,
      bookings: this.bookings,
      index: this.index,
      ring: new HashRing(),
      match: matchColumns(16),
      active: { overlap: new Int32Array(16), touched: new Int32Array(16), touchedCount: 0 },
      sharedBlocks: null,
      estimatedBlocks: null,
      unknownLoad: null,
      constants: policy.constants,
      trackPrefill: policy.load.trackPrefill,
      assumeKvReuse: policy.load.assumeKvReuse,
      trackActive: policy.load.trackActive,
      stage,
      signalMaxAgeMs: environment.signalMaxAgeMs ?? 1000,
      nowMs: 0,
      request: NO_REQUEST,
      promptTokens: 1,
      fullBlocks: 0,
      requiredBlocks: 1,
      blockTokens: 1,
      fellBack: false,
    };
    this.eligibility = new Eligibility(this.table);
    const weights = stage === 'aggregated' ? scannableCost(policy) : null;
    this.scan = weights === null ? null : new CostScan(this.input, weights, policy.ties.eps);
    this.#keys = { id: '', attemptNumber: 0, rows: this.rows, hash: this.table.hash, factors: null };
  }

  /** Applies a change of a worker's state; a lost or restarted one forgets its blocks and bookings in the same turn. */
  worker(change: WorkerChange): void {
    this.table.change(change);
    if (this.table.blockTokens > 0) this.bookings.blockTokens = this.table.blockTokens;
    this.#widen(this.table.count);
    const { facts } = change;
    if (facts !== undefined && facts.hbmBlocks > 0 && this.index instanceof LruIndex) {
      this.index.setCapacity(change.rank, facts.hbmBlocks + facts.hostBlocks);
    }
    if (change.state !== 'lost' && change.state !== 'restarted') return;
    this.index.dropRank(change.rank);
    this.bookings.dropRank(change.rank);
  }

  /** Whether KV events change what this router decides. */
  get readsEvents(): boolean {
    return this.policy.index.mode === 'events';
  }

  isLost(rank: RankId): boolean {
    return rank < this.table.count && this.table.state[rank] === RANK_LOST;
  }

  kvEvents(batch: KvEventBatch, nowMs: Millis): void {
    if (this.readsEvents) this.index.apply(batch, nowMs);
  }

  report(report: WorkerReport): void {
    if (this.table.report(report)) this.bookings.scraped(report.rank);
  }

  /** Eligible ranks of the last decision in canonical order, `eligible` of them. */
  get rows(): Int32Array {
    return this.eligibility.rows;
  }

  /** Factor of each row's cost in the last decision (preferred taints); null = 1. */
  get factors(): Float64Array | null {
    return this.#keys.factors;
  }

  get eligible(): number {
    return this.eligibility.count;
  }

  /** Chooses a rank, or -1 with the reason in `refusal`. Changes nothing that a later decision could notice. */
  decide(request: RouteRequest, nowMs: Millis): RankId {
    this.#read(request, nowMs);
    if (this.policy.load.modelPrefill) this.bookings.settle(nowMs);
    this.refusal = this.eligibility.check(request);
    if (this.refusal !== '') return -1;
    if (request.affinity !== undefined) this.eligibility.prefer(request.affinity);
    const { input, policy, scan } = this;
    if (scan !== null && !this.scoreAll && this.eligibility.rows === this.table.ready && this.#isPlain(request)) {
      return scan.choose(request, this.engine.seed);
    }
    if (policy.readsMatch && input.constants.c !== 0) this.readCache(request, nowMs);
    if (policy.readsActive && policy.load.assumeKvReuse) {
      this.bookings.overlap(request.branch, Math.min(request.depthBlocks, input.fullBlocks), input.active);
    }
    if (request.pin !== undefined) {
      this.engine.skip();
      return request.pin;
    }
    const keys = this.#keys;
    keys.id = request.id;
    keys.attemptNumber = request.attemptNumber;
    keys.rows = this.rows;
    keys.hash = this.table.hash;
    keys.factors = this.eligibility.taintFactors(request);
    const row = this.engine.decide(this, this.eligible, keys as DecisionKeys);
    if (row >= 0) return this.rows[row]!;
    this.refusal = 'NO_CANDIDATE';
    return -1;
  }

  /**
   * Fills `input` with what is cached where of the last request's prompt: own index or the request's estimate, and the shared
   * cache. A decision does it unless its policy reads no cache input; a report may ask after any.
   */
  readCache(request: RouteRequest, nowMs: Millis): void {
    const { input } = this;
    const { estimatedBlocks, sharedRanges } = request;
    if (estimatedBlocks === undefined) this.index.match(request.branch, request.depthBlocks, nowMs, input.match);
    else {
      clearMatch(input.match);
      this.#estimated.fill(0);
      for (const [rank, blocks] of estimatedBlocks) this.#estimated[rank] = blocks;
      input.estimatedBlocks = this.#estimated;
    }
    if (sharedRanges === undefined) return;
    fillShared(input, sharedRanges, this.rows, this.eligible, this.#shared);
    input.sharedBlocks = this.#shared;
  }

  /** Books the request of the last decision on `rank`. */
  book(request: RouteRequest, rank: RankId, nowMs: Millis): void {
    const booking = this.#booking;
    booking.attempt = request.attempt;
    booking.rank = rank;
    booking.branch = request.branch;
    booking.depthBlocks = request.depthBlocks;
    booking.fullBlocks = this.policy.load.trackActive ? this.input.fullBlocks : 0;
    booking.promptTokens = request.promptTokens;
    booking.uncachedTokens = this.policy.readsMatch
      ? Math.max(request.promptTokens - cachedTokens(this.input, rank), 0)
      : request.promptTokens;
    booking.osl = request.hints?.osl ?? 0;
    if (this.policy.load.modelPrefill) booking.prefillMs = this.#prefillMs(rank, request.promptTokens, booking.uncachedTokens);
    this.bookings.book(booking, nowMs);
    this.index.placed(rank, request.branch, request.depthBlocks, nowMs);
    this.#hold(request, rank);
    this.engine.booked();
  }

  /** Leading blocks of the last request that only the router's own prediction places on a rank. */
  predictedBlocks(rank: RankId): number {
    return this.index instanceof PredictingIndex ? this.index.predicted(rank) : 0;
  }

  fill(feature: FeatureRef, n: number, out: Float64Array, inner: Float64Array): void {
    FEATURES[feature.base]!.fill(this.input, this.rows, n, out, inner);
  }

  /** Returns whether prefill was pending until now. */
  firstToken(attempt: AttemptId, nowMs: Millis): boolean {
    return this.bookings.firstToken(attempt, nowMs);
  }

  progress(attempt: AttemptId, outputTokens: number, nowMs: Millis): void {
    this.bookings.progress(attempt, outputTokens, nowMs);
    const request = this.#held.get(attempt);
    if (request !== undefined && this.index instanceof LruIndex) {
      this.index.resize(attempt, this.#privateBlocks(request, request.promptTokens + outputTokens));
    }
  }

  ended(attempt: AttemptId, nowMs?: Millis): void {
    this.bookings.free(attempt, nowMs);
    if (this.index instanceof LruIndex) this.index.release(attempt);
    this.#held.delete(attempt);
  }

  /** A dispatch came to nothing: what was predicted of it is forgotten. Told before its end. */
  withdraw(request: RouteRequest, rank: RankId, dispatchedMs: Millis): void {
    if (this.index instanceof PredictingIndex || this.index instanceof ApproximateIndex) {
      this.index.unplaced(rank, request.branch, request.depthBlocks, dispatchedMs);
    } else if (this.index instanceof LruIndex) this.index.release(request.attempt, true);
  }

  /** An index with a capacity counts what a running attempt holds, its unidentified blocks too. */
  #hold(request: RouteRequest, rank: RankId): void {
    if (!(this.index instanceof LruIndex)) return;
    this.#held.set(request.attempt, request);
    const privateBlocks = this.#privateBlocks(request, request.promptTokens);
    this.index.acquire(request.attempt, rank, request.branch, request.depthBlocks, privateBlocks);
  }

  #privateBlocks(request: RouteRequest, tokens: number): number {
    return Math.max(0, Math.ceil(tokens / Math.max(1, this.table.blockTokens)) - request.depthBlocks);
  }

  #read(request: RouteRequest, nowMs: Millis): void {
    const { input } = this;
    const bs = Math.max(1, this.table.blockTokens);
    input.nowMs = nowMs;
    input.request = request;
    input.promptTokens = request.promptTokens;
    input.blockTokens = bs;
    input.fullBlocks = Math.floor(request.promptTokens / bs);
    input.requiredBlocks = Math.ceil(request.promptTokens / bs);
    input.fellBack = false;
    input.sharedBlocks = null;
    input.estimatedBlocks = null;
  }

  /** Nothing but the own index, known loads and the request itself decides. */
  #isPlain(request: RouteRequest): boolean {
    return (
      request.depthBlocks <= this.input.fullBlocks &&
      this.input.unknownLoad === null &&
      request.preferredTaints === undefined &&
      request.sharedRanges === undefined &&
      request.estimatedBlocks === undefined
    );
  }

  /** Declared duration of prefilling the last `uncached` tokens of a prompt: a n + b n (p + n / 2), p tokens cached; undefined if none is declared. */
  #prefillMs(rank: RankId, prompt: number, uncached: number): Millis | undefined {
    const perToken = this.table.prefillMsPerToken[rank]!;
    const perPair = this.table.prefillMsPerPair[rank]!;
    if (perToken === 0 && perPair === 0) return undefined;
    return uncached * (perToken + perPair * (prompt - uncached / 2));
  }

  #widen(ranks: number): void {
    this.bookings.widenRanks(ranks);
    let size = this.#shared.length;
    if (ranks <= size) return;
    while (size < ranks) size *= 2;
    this.#shared = new Float64Array(size);
    this.#estimated = new Float64Array(size);
    this.input.match = matchColumns(size);
    this.input.active = { overlap: new Int32Array(size), touched: new Int32Array(size), touchedCount: 0 };
  }
}

function createIndex(policy: Policy, environment: RouterEnvironment): PrefixIndex {
  const { branches, copies = 'count' } = environment;
  if (policy.index.mode === 'approximate') {
    const { ttlMs, maxBlocks, bucketMs } = policy.index;
    return new ApproximateIndex(branches, { ttlMs, maxBlocks, bucketMs });
  }
  if (policy.index.mode === 'lru') return new LruIndex(branches);
  const index = new BranchIndex(branches, { copies });
  return policy.index.predictedTtlMs > 0 ? new PredictingIndex(branches, index, policy.index.predictedTtlMs) : index;
}
