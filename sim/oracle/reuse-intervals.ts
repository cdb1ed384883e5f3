/**
 * From what workers served to the problem that the oracles solve: for every block that an admission finds used before, how long it
 * would have had to be kept since its last holder left, and how many blocks could be kept at each moment in between.
 *
 *     records   0 admit A   1 first token   2 A ends   3 admit B   …          capAfter[m]: room right after record m
 *     interval            blocks 0..9 of A's path, not in use      [2, 3)       hit by B if kept over the rooms after 2 (and before 3)
 *
 * Uses are prefixes of paths, so inside a branch the blocks in use are a prefix [0, inUse) and behind it the time of the last release
 * falls with the depth: a staircase, pushed and popped at its shallow end. Cost O(branches on the path) per record, amortised.
 *
 * The room leaves out what running requests hold for sure: hits at the admission, the whole prompt at the first token, prompt and
 * output at the end, and on a worker without host tier the blocks that were referenced right after the admission. It never leaves
 * out more, so that what really happened is one of the choices an oracle has. Source: retention specification 11.
 */
import { BRANCH_PRIVATE, BranchTable, MAX_PATH } from '../../control/blocks.ts';
import { SERVED, type ServiceRecords } from '../cluster/service-log.ts';

/** Intervals and room of one stream of records: one worker, or all workers as one cache. */
export interface ReuseIntervals {
  /**
   * By interval, in the order of `end`, then of depth: record that released the blocks, record of the admission that uses them,
   * branch, depth of the first block on the path (blocks), number of blocks. Only blocks that count for the hit share.
   */
  readonly start: Int32Array;
  readonly end: Int32Array;
  readonly branch: Int32Array;
  readonly depth: Int32Array;
  readonly blocks: Int32Array;
  /** All idle blocks, whether anybody uses them again or not; what a cache without foresight has to choose from. */
  readonly idle: IdlePieces;
  /** By record: time, blocks that can be kept beside those in use, right after it and right before it (Infinity = no need to look). */
  readonly tMs: Float64Array;
  readonly capAfter: Float64Array;
  readonly capBefore: Float64Array;
  /** Hits on blocks that another running request held: every policy has them. */
  readonly heldBlocks: number;
  /** Depths of these hits: [from, to) pairs on paths. */
  readonly heldFrom: Int32Array;
  readonly heldTo: Int32Array;
  /** Prompt tokens of the counted admissions, and tokens they really found. */
  readonly queryTokens: number;
  readonly foundTokens: number;
  /** Blocks found by each counted admission. */
  readonly foundBlocks: Int32Array;
  readonly table: BranchTable;
  readonly blockTokens: number;
}

/**
 * Columns by piece, in the order of `start`, then from deep to shallow: record that released the blocks, record of the admission that
 * uses them next (number of records = none), blocks, and how many of them, from the shallow end, would count as hits there.
 */
export interface IdlePieces {
  readonly start: Int32Array;
  readonly end: Int32Array;
  readonly depth: Int32Array;
  readonly blocks: Int32Array;
  readonly counted: Int32Array;
}

/** State of one branch. */
interface BranchState {
  /** Own blocks [0, inUse) belong to a running request. */
  inUse: number;
  /** Own blocks that running requests hold for sure. */
  held: number;
  /** Running requests through this branch, and how many of its blocks are theirs, held or matchable. */
  readonly running: number[];
  readonly limit: number[];
  readonly share: number[];
  /** Staircase behind `inUse`, deep end first: last own block + 1 and the record that released it. */
  readonly to: number[];
  readonly released: number[];
}

/**
 * Intervals of one worker, or of the fleet as one pooled cache (`worker` = null). Admissions of requests submitted before `fromMs` are
 * served, but their hits do not count.
 */
export function reuseIntervals(records: ServiceRecords, worker: number | null, fromMs: number): ReuseIntervals {
  return new ReuseScan(records, worker, fromMs).intervals();
}

class ReuseScan {
  readonly #r: ServiceRecords;
  readonly #worker: number | null;
  readonly #fromMs: number;
  readonly #table: BranchTable;
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limits = new Int32Array(MAX_PATH);
  readonly #branches = new Map<number, BranchState>();
  /** Blocks of its chain that a running request holds for sure; absent = not running. */
  readonly #heldDepth = new Map<number, number>();
  readonly #capacity: number;
  readonly #hasHost: boolean;
  #held = 0;
  #records = 0;
  readonly #start: number[] = [];
  readonly #end: number[] = [];
  readonly #branch: number[] = [];
  readonly #depth: number[] = [];
  readonly #blocks: number[] = [];
  readonly #idle: IdlePiece[] = [];
  readonly #heldFrom: number[] = [];
  readonly #heldTo: number[] = [];
  readonly #found: number[] = [];
  #heldBlocks = 0;
  #queryTokens = 0;
  #foundTokens = 0;

  constructor(records: ServiceRecords, worker: number | null, fromMs: number) {
    this.#r = records;
    this.#worker = worker;
    this.#fromMs = fromMs;
    this.#table = Object.assign(new BranchTable(), records.branches);
    const of = (blocks: Int32Array): number => (worker === null ? blocks.reduce((sum, n) => sum + n, 0) : blocks[worker]!);
    this.#capacity = of(records.usableBlocks) + of(records.hostBlocks);
    this.#hasHost = of(records.hostBlocks) > 0;
  }

  intervals(): ReuseIntervals {
    const order = this.#order();
    this.#records = order.length;
    const capAfter = new Float64Array(order.length);
    const capBefore = new Float64Array(order.length).fill(Number.POSITIVE_INFINITY);
    for (let m = 0; m < order.length; m++) {
      const i = order[m]!;
      const kind = this.#r.kind[i]!;
      const request = this.#r.request[i]!;
      if (kind <= SERVED.again) this.#admit(m, i, request, kind === SERVED.admitted);
      else if (this.#heldDepth.has(request)) {
        if (kind === SERVED.firstToken) this.#hold(request, this.#r.promptTokens[request]!);
        else {
          if (kind === SERVED.finished) {
            // The last token is sampled, its KV never computed.
            this.#hold(request, this.#r.promptTokens[request]! + Math.max(1, this.#r.value[i]!) - 1);
            capBefore[m] = this.#room();
          }
          this.#leave(m, request);
        }
      }
      capAfter[m] = this.#roomAfter(i, kind);
    }
    this.#unused();
    return {
      start: Int32Array.from(this.#start),
      end: Int32Array.from(this.#end),
      branch: Int32Array.from(this.#branch),
      depth: Int32Array.from(this.#depth),
      blocks: Int32Array.from(this.#blocks),
      idle: idleColumns(this.#idle),
      tMs: Float64Array.from(order, (i) => this.#r.tMs[i]!),
      capAfter,
      capBefore,
      heldBlocks: this.#heldBlocks,
      heldFrom: Int32Array.from(this.#heldFrom),
      heldTo: Int32Array.from(this.#heldTo),
      queryTokens: this.#queryTokens,
      foundTokens: this.#foundTokens,
      foundBlocks: Int32Array.from(this.#found),
      table: this.#table,
      blockTokens: this.#r.blockTokens,
    };
  }

  /** Records of the stream by time; those of one worker keep their order. */
  #order(): Int32Array {
    const { kind, worker, tMs } = this.#r;
    const all: number[] = [];
    for (let i = 0; i < kind.length; i++) if (this.#worker === null || worker[i] === this.#worker) all.push(i);
    return Int32Array.from(all).sort((a, b) => tMs[a]! - tMs[b]! || a - b);
  }

  #room(): number {
    return Math.max(0, this.#capacity - this.#held);
  }

  #roomAfter(i: number, kind: number): number {
    if (this.#worker === null) return this.#room();
    // A crash takes everything.
    if (kind === SERVED.lost) return 0;
    const referenced = this.#r.referenced[i]!;
    return referenced >= 0 && !this.#hasHost ? Math.min(this.#room(), this.#capacity - referenced) : this.#room();
  }

  #admit(m: number, i: number, request: number, first: boolean): void {
    const { promptTokens, submitMs, value, blockTokens } = this.#r;
    const prompt = promptTokens[request]!;
    const found = value[i]!;
    const counts = first && submitMs[request]! >= this.#fromMs;
    if (counts) {
      this.#queryTokens += prompt;
      this.#foundTokens += found;
      this.#found.push(found / blockTokens);
    }
    // A prompt that a host tier holds completely is restored completely; else its last token is computed.
    const most = counts ? Math.floor((this.#hasHost ? prompt : prompt - 1) / blockTokens) : 0;
    const n = this.#walk(request);
    const full = this.#fullDepth(request);
    for (let k = 0; k < n; k++) {
      const b = this.#path[k]!;
      const at = this.#table.start[b]!;
      const isPrivate = (this.#table.flags[b]! & BRANCH_PRIVATE) !== 0;
      const state = this.#stateOf(b);
      const share = isPrivate ? 0 : Math.max(0, Math.min(this.#limits[k]!, full - at));
      this.#use(m, b, state, share, Math.min(share, Math.max(0, most - at)));
      state.running.push(request);
      state.limit.push(this.#limits[k]!);
      state.share.push(share);
    }
    this.#heldDepth.set(request, 0);
    this.#hold(request, Math.min(found, prompt - 1) + 1);
  }

  /** Blocks [0, share) of a branch come into use; those before `hits` count as hits if they are still there. */
  #use(m: number, b: number, state: BranchState, share: number, hits: number): void {
    const at = this.#table.start[b]!;
    const held = Math.min(state.inUse, hits);
    if (held > 0) {
      this.#heldBlocks += held;
      this.#heldFrom.push(at);
      this.#heldTo.push(at + held);
    }
    while (state.inUse < share && state.to.length > 0) {
      const from = state.inUse;
      const top = state.to.length - 1;
      const to = Math.min(state.to[top]!, share);
      const counted = Math.max(0, Math.min(to, hits) - from);
      this.#idle.push({ start: state.released[top]!, end: m, depth: at + from, blocks: to - from, counted });
      if (counted > 0) {
        this.#start.push(state.released[top]!);
        this.#end.push(m);
        this.#branch.push(b);
        this.#depth.push(at + from);
        this.#blocks.push(counted);
      }
      state.inUse = to;
      if (to === state.to[top]) {
        state.to.pop();
        state.released.pop();
      }
    }
    if (state.inUse < share) state.inUse = share;
  }

  /** A running request holds the blocks of its first `tokens` tokens at least. */
  #hold(request: number, tokens: number): void {
    const depth = Math.ceil(tokens / this.#r.blockTokens);
    if (depth <= this.#heldDepth.get(request)!) return;
    this.#heldDepth.set(request, depth);
    const n = this.#walk(request);
    for (let k = 0; k < n; k++) {
      const b = this.#path[k]!;
      const state = this.#stateOf(b);
      const held = Math.min(this.#limits[k]!, depth - this.#table.start[b]!);
      if (held <= state.held) continue;
      this.#held += held - state.held;
      state.held = held;
    }
  }

  #leave(m: number, request: number): void {
    this.#heldDepth.delete(request);
    const n = this.#walk(request);
    for (let k = 0; k < n; k++) {
      const b = this.#path[k]!;
      const state = this.#stateOf(b);
      const at = this.#table.start[b]!;
      const j = state.running.indexOf(request);
      for (const list of [state.running, state.limit, state.share]) {
        list[j] = list[list.length - 1]!;
        list.pop();
      }
      let inUse = 0;
      let held = 0;
      for (let x = 0; x < state.running.length; x++) {
        inUse = Math.max(inUse, state.share[x]!);
        held = Math.max(held, Math.min(state.limit[x]!, this.#heldDepth.get(state.running[x]!)! - at));
      }
      if ((this.#table.flags[b]! & BRANCH_PRIVATE) !== 0) {
        const blocks = Math.min(this.#limits[k]!, this.#fullDepth(request) - at);
        if (blocks > 0) this.#idle.push({ start: m, end: this.#records, depth: at, blocks, counted: 0 });
      }
      if (inUse < state.inUse) {
        state.to.push(state.inUse);
        state.released.push(m);
        state.inUse = inUse;
      }
      this.#held += held - state.held;
      state.held = held;
      if (state.running.length === 0 && state.to.length === 0) this.#branches.delete(b);
    }
  }

  /** Pieces that nobody used again. */
  #unused(): void {
    for (const [b, { inUse, to, released }] of this.#branches)
      for (let top = to.length - 1, from = inUse; top >= 0; from = to[top]!, top--)
        this.#idle.push({
          start: released[top]!,
          end: this.#records,
          depth: this.#table.start[b]! + from,
          blocks: to[top]! - from,
          counted: 0,
        });
  }

  /** The path of a request's own chain, prompt and output, into the scratch arrays. */
  #walk(request: number): number {
    const { leaf, promptTokens, outputTokens, blockTokens } = this.#r;
    const depth = Math.ceil((promptTokens[request]! + outputTokens[request]!) / blockTokens);
    return this.#table.path(leaf[request]!, depth, this.#path, this.#limits);
  }

  /** Whole blocks of prompt and output. */
  #fullDepth(request: number): number {
    return Math.floor((this.#r.promptTokens[request]! + this.#r.outputTokens[request]!) / this.#r.blockTokens);
  }

  #stateOf(b: number): BranchState {
    let state = this.#branches.get(b);
    if (state === undefined) {
      state = { inUse: 0, held: 0, running: [], limit: [], share: [], to: [], released: [] };
      this.#branches.set(b, state);
    }
    return state;
  }
}

interface IdlePiece {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
  readonly blocks: number;
  readonly counted: number;
}

function idleColumns(pieces: IdlePiece[]): IdlePieces {
  pieces.sort((a, b) => a.start - b.start || b.depth - a.depth);
  const column = (pick: (piece: IdlePiece) => number): Int32Array => Int32Array.from(pieces, pick);
  return {
    start: column((p) => p.start),
    end: column((p) => p.end),
    depth: column((p) => p.depth),
    blocks: column((p) => p.blocks),
    counted: column((p) => p.counted),
  };
}
