/** What the router knows about each rank: identity, state, facts, the last report. Columns by rank. */
import type { Millis, RankFacts, RankId, WorkerChange, WorkerReport } from '../ports.ts';
import { workerHash } from './keyed-draw.ts';

/** States of a rank in the table. */
export const RANK_ABSENT = 0;
export const RANK_JOINED = 1;
export const RANK_READY = 2;
export const RANK_DRAINING = 3;
export const RANK_LOST = 4;

const NO_TAINTS: readonly string[] = [];

/** Ranks in canonical order = worker keys compared by code unit; every sum over workers runs in it (router specification 0). */
export class RankTable {
  /** Ranks ever seen = 1 + largest id. */
  count = 0;
  readonly keys: string[] = [];
  /** Worker id of each rank: its key before the last `/`. */
  readonly workers: string[] = [];
  readonly taints: (readonly string[])[] = [];
  /** 1 = the last report called the rank overloaded; `overloadedCount` ranks are. */
  overloaded = new Uint8Array(16);
  overloadedCount = 0;
  /** Mixed hash of the key, for ties. */
  hash = new Uint32Array(16);
  state = new Uint8Array(16);
  /** Prompt tokens that fit, Infinity if unknown. */
  capacityTokens = new Float64Array(16);
  hbmBlocks = new Float64Array(16);
  maxBatchedTokens = new Float64Array(16);
  /** Declared prefill cost per token and per token pair, 0 = unknown. */
  prefillMsPerToken = new Float64Array(16);
  prefillMsPerPair = new Float64Array(16);
  waiting = new Float64Array(16);
  running = new Float64Array(16);
  kvUsage = new Float64Array(16);
  /** When the worker was read; -Infinity = never. */
  asOfMs = new Float64Array(16).fill(Number.NEGATIVE_INFINITY);
  /** Block size of the pool, 0 until the first rank with facts joined. */
  blockTokens = 0;
  /** Ready ranks in canonical order, `readyCount` of them. */
  ready = new Int32Array(16);
  readyCount = 0;
  /** Smallest capacity of a ready rank. */
  minCapacityTokens = Number.POSITIVE_INFINITY;
  /** Grows with every change of the set of ready ranks or their keys. */
  version = 0;

  /** Applies a change of state. Throws if ranks of one pool differ in block size. */
  change(change: WorkerChange): void {
    const { rank, facts } = change;
    if (rank >= this.state.length) this.#widen(rank + 1);
    this.count = Math.max(this.count, rank + 1);
    for (let r = this.keys.length; r <= rank; r++) this.#name(r, `w${r}/0`);
    if (change.key !== undefined && change.key !== this.keys[rank]) this.#name(rank, change.key);
    if (facts !== undefined) this.#facts(rank, facts);
    if (change.state === 'joined') this.state[rank] = RANK_JOINED;
    else if (change.state === 'draining') this.state[rank] = RANK_DRAINING;
    else if (change.state === 'lost') this.state[rank] = RANK_LOST;
    else this.state[rank] = RANK_READY;
    if (change.state === 'lost' || change.state === 'restarted') {
      this.asOfMs[rank] = Number.NEGATIVE_INFINITY;
      this.#mark(rank, 0);
    }
    this.#order();
  }

  /** Takes over a report unless a newer one is known. Returns whether it did. */
  report(report: WorkerReport): boolean {
    const { rank } = report;
    if (rank >= this.count || report.asOfMs <= this.asOfMs[rank]!) return false;
    this.asOfMs[rank] = report.asOfMs;
    this.waiting[rank] = report.waiting;
    this.running[rank] = report.running;
    this.kvUsage[rank] = report.kvUsage;
    this.#mark(rank, report.overloaded === true ? 1 : 0);
    return true;
  }

  /** Whether every one of the first `n` ranks of `rows` was read within `maxAgeMs`. */
  allFresh(rows: Int32Array, n: number, nowMs: Millis, maxAgeMs: Millis): boolean {
    for (let i = 0; i < n; i++) if (nowMs - this.asOfMs[rows[i]!]! > maxAgeMs) return false;
    return true;
  }

  #mark(rank: RankId, overloaded: 0 | 1): void {
    this.overloadedCount += overloaded - this.overloaded[rank]!;
    this.overloaded[rank] = overloaded;
  }

  #name(rank: RankId, key: string): void {
    this.keys[rank] = key;
    this.workers[rank] = key.slice(0, Math.max(0, key.lastIndexOf('/')));
    this.hash[rank] = workerHash(key);
  }

  #facts(rank: RankId, facts: RankFacts): void {
    if (this.blockTokens !== 0 && this.blockTokens !== facts.blockTokens) {
      throw new Error(`rank ${rank} has blocks of ${facts.blockTokens} tokens, the pool has ${this.blockTokens}`);
    }
    this.blockTokens = facts.blockTokens;
    this.capacityTokens[rank] = facts.hbmBlocks > 0 ? facts.hbmBlocks * facts.blockTokens : Number.POSITIVE_INFINITY;
    this.hbmBlocks[rank] = facts.hbmBlocks;
    this.maxBatchedTokens[rank] = facts.maxBatchedTokens;
    this.prefillMsPerToken[rank] = facts.prefillMsPerToken;
    this.prefillMsPerPair[rank] = facts.prefillMsPerPair;
    this.taints[rank] = facts.taints ?? NO_TAINTS;
  }

  #order(): void {
    const ready: number[] = [];
    for (let rank = 0; rank < this.count; rank++) if (this.state[rank] === RANK_READY) ready.push(rank);
    const keys = this.keys;
    ready.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : a - b));
    this.ready.set(ready);
    this.readyCount = ready.length;
    this.minCapacityTokens = Number.POSITIVE_INFINITY;
    for (const rank of ready) this.minCapacityTokens = Math.min(this.minCapacityTokens, this.capacityTokens[rank]!);
    this.version++;
  }

  #widen(ranks: number): void {
    let size = this.state.length;
    while (size < ranks) size *= 2;
    const old = this.state.length;
    const wide = (column: Float64Array<ArrayBuffer>, fill: number): Float64Array<ArrayBuffer> => {
      const next = new Float64Array(size).fill(fill, old);
      next.set(column);
      return next;
    };
    const state = new Uint8Array(size);
    state.set(this.state);
    this.state = state;
    const overloaded = new Uint8Array(size);
    overloaded.set(this.overloaded);
    this.overloaded = overloaded;
    const hash = new Uint32Array(size);
    hash.set(this.hash);
    this.hash = hash;
    const ready = new Int32Array(size);
    ready.set(this.ready);
    this.ready = ready;
    this.capacityTokens = wide(this.capacityTokens, Number.POSITIVE_INFINITY);
    this.hbmBlocks = wide(this.hbmBlocks, 0);
    this.maxBatchedTokens = wide(this.maxBatchedTokens, 0);
    this.prefillMsPerToken = wide(this.prefillMsPerToken, 0);
    this.prefillMsPerPair = wide(this.prefillMsPerPair, 0);
    this.waiting = wide(this.waiting, 0);
    this.running = wide(this.running, 0);
    this.kvUsage = wide(this.kvUsage, 0);
    this.asOfMs = wide(this.asOfMs, Number.NEGATIVE_INFINITY);
  }
}
