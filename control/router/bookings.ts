/**
 * What this router has promised to each rank: requests in flight f, uncached prompt tokens P, blocks of active sequences D.
 *
 * D counts distinct blocks. Every chain covers the leading `limit` own blocks of each branch on its path, so per (rank, branch)
 * a short list of limits, largest first, with how many chains have each, is enough: the first limit is the number of distinct
 * blocks, and a removal needs no block to be visited.
 *
 *     lists: branch -> (rank, node + 1)        node: [ limit | chains | next node with a smaller limit ]
 *
 * Source: router specification 7, 5.2.1; data-structures specification 2.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../blocks.ts';
import { RankLists } from '../index/rank-lists.ts';
import type { AttemptId, Blocks, Millis, RankId, Tokens } from '../ports.ts';
import { widened } from '../widened.ts';
import { ModelledPrefill } from './modelled-prefill.ts';
import { OutputFractions } from './output-fractions.ts';

/** When a booking whose end never came is dropped: so long after booking (`age`) or after its last sign of life (`lease`). */
export interface BookingExpiry {
  readonly mode: 'age' | 'lease';
  readonly afterMs: Millis;
  /** Smallest distance of two checks of one rank. */
  readonly checkMs: Millis;
}

export interface BookingOptions {
  /** False: every prompt counts as private, nothing is shared. */
  readonly assumeKvReuse: boolean;
  /** False: P stays 0. */
  readonly trackPrefill: boolean;
  /** True: blocks of generated tokens are added by `progress`. */
  readonly trackOutput: boolean;
  /** True: P melts with time as the booked durations say; {@link Bookings.settle} brings it up to a time. Default false. */
  readonly modelPrefill?: boolean;
  readonly expiry: BookingExpiry;
}

/** Leading blocks of one chain that are active on each rank. */
export interface ActiveColumns {
  readonly overlap: Int32Array;
  readonly touched: Int32Array;
  touchedCount: number;
}

/** Zeroes what the last query wrote. Cost O(touched). */
export function clearActive(active: ActiveColumns): void {
  for (let i = 0; i < active.touchedCount; i++) active.overlap[active.touched[i]!] = 0;
  active.touchedCount = 0;
}

/** One request to book; reused by the caller. */
export interface BookingRequest {
  attempt: AttemptId;
  rank: RankId;
  branch: BranchId;
  depthBlocks: Blocks;
  /** Full blocks of the prompt; those beyond `depthBlocks` are nobody else's. */
  fullBlocks: Blocks;
  promptTokens: Tokens;
  /** Tokens the rank must prefill; 0 = none. */
  uncachedTokens: Tokens;
  /** Expected output tokens, 0 = unknown. */
  osl: Tokens;
  /** Modelled duration of the prefill; undefined = unknown. Read only with `modelPrefill`. */
  prefillMs?: Millis | undefined;
}

/** Exact active-sequence accounting. Loads are columns by rank, replaced when they grow. */
export class Bookings {
  /** P: booked uncached prompt tokens before their first token. Shape [ranks]. */
  prefillTokens = new Float64Array(16);
  /** D: distinct blocks of active sequences. Shape [ranks]. */
  activeBlocks = new Float64Array(16);
  /** f: requests in flight. Shape [ranks]. */
  inflight = new Float64Array(16);
  /** Requests ever booked. Shape [ranks]. */
  processed = new Float64Array(16);
  /** Uncached tokens booked since the last report. Shape [ranks]. */
  sinceScrapeTokens = new Float64Array(16);
  /** Bookings dropped because nothing was heard of them. */
  expired = 0;
  /** List entries read by {@link overlap}. */
  entriesWalked = 0;
  /** Block size of the pool; set before the first booking. */
  blockTokens: Tokens = 1;
  /** Called after the load of a rank changed. */
  onLoad: ((rank: RankId) => void) | null = null;
  /** branch -> (rank, node + 1); the node holds the largest active limit. */
  readonly lists = new RankLists();
  /** Limit of a node. */
  nodeLimit = new Int32Array(64);

  readonly #branches: BranchTable;
  readonly #options: BookingOptions;
  #nodeCount = new Int32Array(64);
  #nodeNext = new Int32Array(64);
  #nodeTop = 0;
  #nodeFree = -1;

  readonly #slotOf = new Map<AttemptId, number>();
  #slots = 0;
  #slotFree: number[] = [];
  #attempt = new Float64Array(64);
  #rank = new Int32Array(64);
  #branch = new Int32Array(64);
  #depth = new Int32Array(64);
  /** Full prompt blocks that no other chain can name. */
  #privateBlocks = new Int32Array(64);
  #prefill = new Float64Array(64);
  #prompt = new Float64Array(64);
  #osl = new Float64Array(64);
  #outputBlocks = new Int32Array(64);
  #heardMs = new Float64Array(64);
  #prev = new Int32Array(64);
  #next = new Int32Array(64);
  /** Per rank: oldest and youngest slot, and when it was checked for expiry. */
  #oldest = new Int32Array(16).fill(-1);
  #youngest = new Int32Array(16).fill(-1);
  #checkedMs = new Float64Array(16).fill(Number.NEGATIVE_INFINITY);
  /** Distinct prompt blocks, the integer part of D without output weights. */
  #distinct = new Float64Array(16);
  readonly #outputs: OutputFractions | null;
  readonly #model: ModelledPrefill | null;
  /** Latest time heard of. */
  #nowMs: Millis = 0;
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limits = new Int32Array(MAX_PATH);

  constructor(branches: BranchTable, options: BookingOptions) {
    this.#branches = branches;
    this.#options = options;
    this.#outputs = options.trackOutput ? new OutputFractions(branches) : null;
    this.#model = options.modelPrefill === true ? new ModelledPrefill() : null;
  }

  /** Live bookings. */
  get size(): number {
    return this.#slotOf.size;
  }

  /** Rank of a live booking, -1 without one. */
  rankOf(attempt: AttemptId): RankId {
    const slot = this.#slotOf.get(attempt);
    return slot === undefined ? -1 : this.#rank[slot]!;
  }

  /** Room for ranks below `ranks`. */
  widenRanks(ranks: number): void {
    const room = this.inflight.length;
    if (ranks <= room) return;
    let size = room;
    while (size < ranks) size *= 2;
    this.prefillTokens = widened(this.prefillTokens, size);
    this.activeBlocks = widened(this.activeBlocks, size);
    this.inflight = widened(this.inflight, size);
    this.processed = widened(this.processed, size);
    this.sinceScrapeTokens = widened(this.sinceScrapeTokens, size);
    this.#distinct = widened(this.#distinct, size);
    this.#checkedMs = widened(this.#checkedMs, size).fill(Number.NEGATIVE_INFINITY, room);
    this.#oldest = widened(this.#oldest, size).fill(-1, room);
    this.#youngest = widened(this.#youngest, size).fill(-1, room);
  }

  /** Books a request. Throws on a live attempt id. Cost O(branches on the path). */
  book(request: BookingRequest, nowMs: Millis): void {
    const { attempt, rank } = request;
    this.#nowMs = nowMs;
    if (this.#slotOf.has(attempt)) throw new Error(`attempt ${attempt} is booked already`);
    this.widenRanks(rank + 1);
    this.#expireRank(rank, nowMs);
    const slot = this.#takeSlot();
    this.#slotOf.set(attempt, slot);
    const full = request.fullBlocks;
    const depth = this.#options.assumeKvReuse ? Math.min(request.depthBlocks, full) : 0;
    const prefill = this.#options.trackPrefill ? Math.max(request.uncachedTokens, 0) : 0;
    this.#attempt[slot] = attempt;
    this.#rank[slot] = rank;
    this.#branch[slot] = request.branch;
    this.#depth[slot] = depth;
    this.#privateBlocks[slot] = full - depth;
    this.#prefill[slot] = prefill;
    this.#prompt[slot] = request.promptTokens;
    this.#osl[slot] = request.osl;
    this.#outputBlocks[slot] = 0;
    this.#heardMs[slot] = nowMs;
    this.#link(slot, rank);
    this.inflight[rank]!++;
    this.processed[rank]!++;
    this.prefillTokens[rank]! += prefill;
    if (this.#model !== null && prefill > 0) this.#model.add(attempt, rank, prefill, request.prefillMs, nowMs);
    this.sinceScrapeTokens[rank]! += request.uncachedTokens;
    this.#distinct[rank]! += full - depth;
    this.#addChain(rank, request.branch, depth);
    this.#outputs?.add(attempt, rank, request.branch, depth, full - depth);
    this.#loadChanged(rank);
  }

  /** The first token left: its prefill is done. Returns whether one was pending; unknown ids do nothing. */
  firstToken(attempt: AttemptId, nowMs: Millis): boolean {
    const slot = this.#slotOf.get(attempt);
    if (slot === undefined) return false;
    this.#heard(slot, nowMs);
    const prefill = this.#prefill[slot]!;
    if (prefill === 0) return false;
    const rank = this.#rank[slot]!;
    this.#prefill[slot] = 0;
    this.prefillTokens[rank]! -= prefill;
    this.#model?.finish(attempt, rank, nowMs);
    this.#prefillChanged(rank);
    this.onLoad?.(rank);
    return true;
  }

  /** Output so far. Adds blocks whenever prompt + output crosses into a new one (only with `trackOutput`); returns how many. */
  progress(attempt: AttemptId, outputTokens: Tokens, nowMs: Millis): Blocks {
    const slot = this.#slotOf.get(attempt);
    if (slot === undefined) return 0;
    this.#heard(slot, nowMs);
    if (this.#outputs === null) return 0;
    const prompt = this.#prompt[slot]!;
    const bs = this.blockTokens;
    const blocks = Math.ceil((prompt + outputTokens) / bs) - Math.ceil(prompt / bs);
    const appended = blocks - this.#outputBlocks[slot]!;
    if (appended <= 0) return 0;
    const osl = this.#osl[slot]!;
    this.appendOutput(attempt, appended, osl > 0 ? Math.max(0, 1 - outputTokens / osl) : undefined);
    return appended;
  }

  /** As {@link progress} for a caller that counts blocks itself; `fraction` 0..1 is what is left to generate, absent if unknown. */
  appendOutput(attempt: AttemptId, blocks: Blocks, fraction?: number): void {
    const slot = this.#slotOf.get(attempt);
    if (slot === undefined || this.#outputs === null || blocks <= 0) return;
    this.#outputBlocks[slot]! += blocks;
    this.#outputs.grow(attempt, this.#outputBlocks[slot]!, fraction);
    this.#loadChanged(this.#rank[slot]!);
  }

  /** Brings P up to a time where prefill is modelled. Cost O(ranks), nothing without a model. */
  settle(nowMs: Millis): void {
    const model = this.#model;
    if (model === null) return;
    this.#nowMs = nowMs;
    for (let rank = 0; rank < model.ranks; rank++) {
      const before = this.prefillTokens[rank]!;
      if (!model.melts(rank)) continue;
      this.#prefillChanged(rank);
      if (this.prefillTokens[rank] !== before) this.onLoad?.(rank);
    }
  }

  /** Releases a booking and everything it holds. Returns whether there was one. Cost O(branches on the path). */
  free(attempt: AttemptId, nowMs: Millis = this.#nowMs): boolean {
    const slot = this.#slotOf.get(attempt);
    if (slot === undefined) return false;
    this.#nowMs = nowMs;
    this.#drop(slot);
    this.#loadChanged(this.#rank[slot]!);
    return true;
  }

  /** A worker is gone: all its bookings are. */
  dropRank(rank: RankId): void {
    if (rank >= this.#oldest.length) return;
    while (this.#oldest[rank]! >= 0) this.#drop(this.#oldest[rank]!);
    this.sinceScrapeTokens[rank] = 0;
    this.#loadChanged(rank);
  }

  /** Drops overdue bookings of every rank. */
  expire(nowMs: Millis): void {
    for (let rank = 0; rank < this.#oldest.length; rank++) this.#expireRank(rank, nowMs);
  }

  /** A report of the worker covers what was dispatched before it. */
  scraped(rank: RankId): void {
    if (rank < this.sinceScrapeTokens.length) this.sinceScrapeTokens[rank] = 0;
  }

  /** Fills, per rank, how many leading blocks of a chain are part of an active sequence there. Cost O(branches x ranks holding them). */
  overlap(branch: BranchId, depthBlocks: Blocks, active: ActiveColumns): void {
    clearActive(active);
    const { overlap, touched } = active;
    if (depthBlocks <= 0 || this.lists.pairs === 0) return;
    const n = this.#branches.path(branch, depthBlocks, this.#path, this.#limits);
    const lists = this.lists;
    const arena = lists.arena;
    const nodeLimit = this.nodeLimit;
    let start = 0;
    for (let i = 0; i < n; i++) {
      const limit = this.#limits[i]!;
      const b = this.#path[i]!;
      const head = b < lists.head.length ? lists.head[b]! : 0;
      // A chain active below this branch is active in it, so an empty list ends the walk.
      if (head === 0) return;
      const dense = arena[head + 1]! < 0;
      const step = dense ? 1 : 2;
      const end = head + 2 + (dense ? lists.rankRoom : 2 * arena[head]!);
      for (let at = head + 2; at < end; at += step) {
        const node = (dense ? arena[at]! : arena[at + 1]!) - 1;
        if (node < 0) continue;
        const rank = dense ? at - head - 2 : arena[at]!;
        const held = nodeLimit[node]!;
        if (start === 0) touched[active.touchedCount++] = rank;
        overlap[rank] = start + (held < limit ? held : limit);
      }
      this.entriesWalked += (end - head - 2) / step;
      start += limit;
    }
  }

  #loadChanged(rank: RankId): void {
    this.activeBlocks[rank] = this.#outputs === null ? this.#distinct[rank]! : this.#outputs.blocks(rank);
    this.#prefillChanged(rank);
    this.onLoad?.(rank);
  }

  #prefillChanged(rank: RankId): void {
    if (this.#model !== null) this.prefillTokens[rank] = this.#model.pending(rank, this.#nowMs);
  }

  #expireRank(rank: RankId, nowMs: Millis): void {
    const { afterMs, checkMs } = this.#options.expiry;
    this.#nowMs = nowMs;
    if (nowMs - this.#checkedMs[rank]! < checkMs) return;
    this.#checkedMs[rank] = nowMs;
    let dropped = 0;
    for (let slot = this.#oldest[rank]!; slot >= 0 && nowMs - this.#heardMs[slot]! > afterMs; slot = this.#oldest[rank]!) {
      this.#drop(slot);
      dropped++;
    }
    this.expired += dropped;
    if (dropped > 0) this.#loadChanged(rank);
  }

  #heard(slot: number, nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#options.expiry.mode === 'age') return;
    this.#heardMs[slot] = nowMs;
    const rank = this.#rank[slot]!;
    if (this.#youngest[rank] === slot) return;
    this.#unlink(slot, rank);
    this.#link(slot, rank);
  }

  #drop(slot: number): void {
    const rank = this.#rank[slot]!;
    const attempt = this.#attempt[slot]!;
    this.#slotOf.delete(attempt);
    this.#outputs?.remove(attempt);
    this.#model?.finish(attempt, rank, this.#nowMs);
    this.#unlink(slot, rank);
    this.inflight[rank]!--;
    this.prefillTokens[rank]! -= this.#prefill[slot]!;
    this.#distinct[rank]! -= this.#privateBlocks[slot]!;
    this.#removeChain(rank, this.#branch[slot]!, this.#depth[slot]!);
    this.#slotFree.push(slot);
  }

  #addChain(rank: RankId, branch: BranchId, depth: Blocks): void {
    if (depth <= 0) return;
    const n = this.#branches.path(branch, depth, this.#path, this.#limits);
    let grown = 0;
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      const limit = this.#limits[i]!;
      const first = this.lists.get(b, rank) - 1;
      const largest = first < 0 ? 0 : this.nodeLimit[first]!;
      if (limit > largest) {
        this.lists.set(b, rank, this.#node(limit, first) + 1);
        grown += limit - largest;
        continue;
      }
      let node = first;
      let next = first;
      while (next >= 0 && this.nodeLimit[next]! >= limit) {
        node = next;
        next = this.#nodeNext[next]!;
      }
      if (this.nodeLimit[node] === limit) this.#nodeCount[node]!++;
      else {
        // Made first: it may replace the column that is written to.
        const made = this.#node(limit, next);
        this.#nodeNext[node] = made;
      }
    }
    this.#distinct[rank]! += grown;
  }

  #removeChain(rank: RankId, branch: BranchId, depth: Blocks): void {
    if (depth <= 0) return;
    const n = this.#branches.path(branch, depth, this.#path, this.#limits);
    let shrunk = 0;
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      const limit = this.#limits[i]!;
      let before = -1;
      let node = this.lists.get(b, rank) - 1;
      while (this.nodeLimit[node]! > limit) {
        before = node;
        node = this.#nodeNext[node]!;
      }
      if (this.nodeLimit[node] !== limit) throw new Error(`branch ${b} of rank ${rank} holds no chain of ${limit} blocks`);
      if (--this.#nodeCount[node]! > 0) continue;
      const next = this.#nodeNext[node]!;
      this.#nodeNext[node] = this.#nodeFree;
      this.#nodeFree = node;
      if (before >= 0) this.#nodeNext[before] = next;
      else {
        this.lists.set(b, rank, next + 1);
        shrunk += limit - (next < 0 ? 0 : this.nodeLimit[next]!);
      }
    }
    this.#distinct[rank]! -= shrunk;
  }

  #node(limit: number, next: number): number {
    let node = this.#nodeFree;
    if (node >= 0) this.#nodeFree = this.#nodeNext[node]!;
    else {
      node = this.#nodeTop++;
      if (node === this.nodeLimit.length) {
        this.nodeLimit = widened(this.nodeLimit, node * 2);
        this.#nodeCount = widened(this.#nodeCount, node * 2);
        this.#nodeNext = widened(this.#nodeNext, node * 2);
      }
    }
    this.nodeLimit[node] = limit;
    this.#nodeCount[node] = 1;
    this.#nodeNext[node] = next;
    return node;
  }

  #link(slot: number, rank: RankId): void {
    const last = this.#youngest[rank]!;
    this.#prev[slot] = last;
    this.#next[slot] = -1;
    if (last >= 0) this.#next[last] = slot;
    else this.#oldest[rank] = slot;
    this.#youngest[rank] = slot;
  }

  #unlink(slot: number, rank: RankId): void {
    const prev = this.#prev[slot]!;
    const next = this.#next[slot]!;
    if (prev >= 0) this.#next[prev] = next;
    else this.#oldest[rank] = next;
    if (next >= 0) this.#prev[next] = prev;
    else this.#youngest[rank] = prev;
  }

  #takeSlot(): number {
    const free = this.#slotFree.pop();
    if (free !== undefined) return free;
    const slot = this.#slots++;
    const size = this.#rank.length * 2;
    if (slot < this.#rank.length) return slot;
    this.#attempt = widened(this.#attempt, size);
    this.#rank = widened(this.#rank, size);
    this.#branch = widened(this.#branch, size);
    this.#depth = widened(this.#depth, size);
    this.#privateBlocks = widened(this.#privateBlocks, size);
    this.#prefill = widened(this.#prefill, size);
    this.#prompt = widened(this.#prompt, size);
    this.#osl = widened(this.#osl, size);
    this.#outputBlocks = widened(this.#outputBlocks, size);
    this.#heardMs = widened(this.#heardMs, size);
    this.#prev = widened(this.#prev, size);
    this.#next = widened(this.#next, size);
    return slot;
  }
}
