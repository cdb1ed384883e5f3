/**
 * What one global cache would reuse on a trace whose ids are global to the file: infinite, by TTL and by LRU capacity.
 * Source: trace specification 8, Mooncake.
 *
 * LRU without a list: the blocks a request used last are a suffix of its prompt (later requests retouch prefixes), so a block's stack
 * position is the number of blocks touched by later requests, a Fenwick sum, plus its distance from the start of that suffix.
 */
import type { Trace } from '../columns.ts';
import { PathWalk } from './path-walk.ts';
import { percent } from './quantile.ts';

const TTLS_S = [0, 3, 10, 30, 60, 120, 300, 600, 1800, 3600] as const;
const CAPACITIES = [1000, 5000, 10_000, 30_000, 50_000, 100_000] as const;

export interface GlobalZeroLatency {
  readonly requests: number;
  readonly blockSize: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly blockReferences: number;
  readonly blockHits: number;
  readonly uniqueBlocks: number;
  readonly blockHitPct: number;
  readonly tokenHitPctWithPartial: number;
  readonly tokenHitPctFullBlocks: number;
  readonly fullPromptHits: number;
  readonly distinctFirstBlocks: number;
  /** By TTL in seconds. */
  readonly ttlBlockHits: Readonly<Record<string, number>>;
  /** By capacity in blocks. */
  readonly lruBlockHits: Readonly<Record<string, number>>;
}

/** The table of a trace with file-wide ids, requests in order of their recorded time. Cost O(pieces · log requests). */
export function globalZeroLatency(trace: Trace): GlobalZeroLatency {
  const B = trace.header.blockTokens;
  const { inTokens, outTokens } = trace.request;
  const { order, times } = byTime(trace);
  const walk = new PathWalk(trace);
  const ttlHits = new Float64Array(TTLS_S.length + 1);
  const stack = new LruStack(order.length);
  const firstBlocks = new Set<number>();
  let references = 0;
  let hits = 0;
  let unique = 0;
  let input = 0;
  let output = 0;
  let tokensWithPartial = 0;
  let tokensFull = 0;
  let complete = 0;
  for (let i = 0; i < order.length; i++) {
    const r = order[i]!;
    walk.visit(r, i);
    let found = 0;
    let oldest = 0;
    for (let k = 0; k < walk.pieces; k++) {
      oldest = Math.max(oldest, times[r]! - times[order[walk.pieceUse[k]!]!]!);
      ttlHits[bucketOf(oldest)]! += walk.pieceBlocks[k]!;
      found += walk.pieceBlocks[k]!;
    }
    stack.use(walk, i);
    references += walk.blocks;
    unique += walk.fresh;
    hits += found;
    input += inTokens[r]!;
    output += outTokens[r]!;
    tokensWithPartial += Math.min(found * B, inTokens[r]!);
    tokensFull += Math.min(found, Math.floor(inTokens[r]! / B)) * B;
    if (walk.blocks > 0 && found === walk.blocks) complete++;
    if (walk.blocks > 0) firstBlocks.add(trace.runFirst[trace.request.runFrom[r]!]!);
  }
  let kept = 0;
  const capacities: number[] = [...CAPACITIES];
  for (let c = 150_000; capacities[capacities.length - 1]! < unique; c = c < 200_000 ? 200_000 : 2 * c) capacities.push(c);
  return {
    requests: trace.requestCount,
    blockSize: B,
    inputTokens: input,
    outputTokens: output,
    blockReferences: references,
    blockHits: hits,
    uniqueBlocks: unique,
    blockHitPct: percent(hits, references, 3),
    tokenHitPctWithPartial: percent(tokensWithPartial, input, 3),
    tokenHitPctFullBlocks: percent(tokensFull, input, 3),
    fullPromptHits: complete,
    distinctFirstBlocks: firstBlocks.size,
    ttlBlockHits: Object.fromEntries(TTLS_S.map((ttl, i) => [String(ttl), (kept += ttlHits[i]!)])),
    lruBlockHits: Object.fromEntries(capacities.map((c) => [String(c), stack.hits(c)])),
  };
}

/** Requests by recorded time (arrival of the session plus start), ties in trace order. */
function byTime(trace: Trace): { order: Int32Array; times: Float64Array } {
  const times = new Float64Array(trace.requestCount);
  for (let s = 0; s < trace.sessionCount; s++) {
    const arrival = trace.session.arrivalMs[s]!;
    const from = trace.agent.requestFrom[trace.session.agentFrom[s]!]!;
    const to = trace.agent.requestFrom[trace.session.agentFrom[s + 1]!]!;
    for (let r = from; r < to; r++) times[r] = (Number.isNaN(arrival) ? 0 : arrival) + trace.request.startMs[r]!;
  }
  const order = Int32Array.from({ length: trace.requestCount }, (_, i) => i);
  return { order: order.sort((a, b) => times[a]! - times[b]! || a - b), times };
}

function bucketOf(ms: number): number {
  let i = 0;
  while (i < TTLS_S.length && TTLS_S[i]! * 1000 < ms) i++;
  return i;
}

/** Stack distances of block uses under least-recently-used; a prompt's blocks count as touched from the deepest to the first. */
class LruStack {
  /** Fenwick tree over requests: blocks whose last use is that request. */
  readonly #tree: Float64Array;
  /** Hits by stack position, as differences of a step function: +1 from position on. */
  readonly #from = new Map<number, number>();
  #total = 0;

  constructor(requests: number) {
    this.#tree = new Float64Array(requests + 1);
  }

  /** Scores the pieces of a walk, then moves the prompt's blocks to the top. */
  use(walk: PathWalk, i: number): void {
    for (let k = 0; k < walk.pieces; k++) {
      const use = walk.pieceUse[k]!;
      const above = this.#total - this.#upTo(use);
      // Positions above+1 … above+blocks: the step function rises by one at each of them.
      this.#range(above + 1, walk.pieceBlocks[k]!);
    }
    let moved = 0;
    for (let k = 0; k < walk.pieces; k++) {
      this.#add(walk.pieceUse[k]!, -walk.pieceBlocks[k]!);
      moved += walk.pieceBlocks[k]!;
    }
    // Blocks behind the first unseen one that were seen before exist only where ids contradict the chain; they count as new here.
    this.#add(i, walk.blocks);
    this.#total += walk.blocks - moved;
  }

  /** Hits of a cache that holds `capacity` blocks. */
  hits(capacity: number): number {
    let sum = 0;
    for (const [key, count] of this.#from) {
      const length = key % LENGTH;
      const first = (key - length) / LENGTH;
      sum += count * Math.max(0, Math.min(length, capacity - first + 1));
    }
    return sum;
  }

  #range(first: number, length: number): void {
    const key = first * LENGTH + length;
    this.#from.set(key, (this.#from.get(key) ?? 0) + 1);
  }

  #add(request: number, blocks: number): void {
    for (let j = request + 1; j < this.#tree.length; j += j & -j) this.#tree[j]! += blocks;
  }

  /** Blocks last used by request 0..request. */
  #upTo(request: number): number {
    let sum = 0;
    for (let j = request + 1; j > 0; j -= j & -j) sum += this.#tree[j]!;
    return sum;
  }
}

/** Packs (position, length) into one key; prompts are shorter than this. */
const LENGTH = 2 ** 20;
