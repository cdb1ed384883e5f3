/**
 * The fast path for cost policies that take the least of `s * adjPrefillBlocks + w * decodeBlocks + a * inflight`: the same ranks,
 * the same tie sets and the same winners as the scoring engine over all rows, without visiting all rows.
 *
 * A rank named by a sparse list on the prompt's path (of any tier, or of active sequences) is scored exactly. All other ranks know
 * at most the dense lists, the hot prefixes, so their cost is at least
 *
 *     base(rank) + s * (L / bs - credit of the whole hot prefix) + w * (Q - active hot blocks),   base = s * P / bs + w * D + a * f
 *
 * and a tree of minima over `base` yields only those that could still win; each is scored exactly by reading the dense lists.
 *
 *     tree      [ -, root, 2, 3, 4 … | leaf per ready rank in canonical order, +Infinity beyond ]
 *     heads     per tier and path position: > 0 dense list, < 0 sparse list (negated), 0 none
 *
 * Source: data-structures specification 3. Equality with the engine is held by a property test.
 */
import { MAX_PATH } from '../blocks.ts';
import { BranchIndex } from '../index/branch-index.ts';
import { clearMatch } from '../index/match-columns.ts';
import type { RankLists } from '../index/rank-lists.ts';
import type { RankId, RouteRequest } from '../ports.ts';
import { clearActive } from './bookings.ts';
import type { FeatureInput } from './features.ts';
import { draw, mixTie, requestHash } from './keyed-draw.ts';
import type { Policy } from './policy.ts';
import { SoftmaxPicker } from './softmax.ts';

const TIERS = 4;
/** Room for the rounding of the bound against the exact cost, relative. */
const SLACK = 1e-9;

interface CostWeights {
  readonly prefill: number;
  readonly decode: number;
  readonly inflight: number;
  /** 0 = the least cost wins. */
  readonly temperature: number;
}

/** Weights if a policy is one plain cost rule that this scan can decide, else null. */
export function scannableCost(policy: Policy): CostWeights | null {
  const { rules, ties, constants, load, index } = policy;
  const rule = rules[0]!;
  const picks = rule.pick.kind === 'arg' ? ties.mode === 'hash' : rule.pick.kind === 'softmax';
  const fits = rules.length === 1 && rule.gate.kind === 'always' && rule.filters.length === 0 && rule.tieBreak.length === 0 && picks;
  if (!fits || rule.combine.kind !== 'cost' || constants.decay > 0 || !load.trackPrefill || !load.trackActive || index.mode !== 'events')
    return null;
  if (index.predictedTtlMs > 0) return null;
  const names = rule.combine.terms.map((term) => policy.features[term.column]!.name);
  const weights = rule.combine.terms.map((term) => term.weight);
  if (names.join() !== 'adjPrefillBlocks,decodeBlocks,inflight' || weights.some((weight) => weight < 0)) return null;
  return { prefill: weights[0]!, decode: weights[1]!, inflight: weights[2]!, temperature: rule.pick.temperature };
}

/** Least-cost choice over the state that `input` points to. Writes the match and overlap of every rank it scores into `input`. */
export class CostScan {
  /** Ranks in the tie set of the last choice. */
  tieSize = 0;
  /** Ranks scored, all choices. */
  ranksScored = 0;
  /** List entries read, all choices. */
  entriesWalked = 0;
  readonly #input: FeatureInput;
  readonly #weights: CostWeights;
  readonly #eps: number;
  readonly #index: BranchIndex;
  #tree = new Float64Array(2);
  /** Leaves of the tree, a power of two. */
  #size = 1;
  /** Leaf of a rank, -1 if it is not ready. */
  #leafOf = new Int32Array(0);
  #version = -1;
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limits = new Int32Array(MAX_PATH);
  readonly #starts = new Int32Array(MAX_PATH + 1);
  readonly #heads = [0, 1, 2, 3].map(() => new Int32Array(MAX_PATH));
  readonly #activeHeads = new Int32Array(MAX_PATH);
  #n = 0;
  /** Scored ranks of this choice in order, with their costs; `mark` tells membership. */
  #scored = new Int32Array(0);
  #costs = new Float64Array(0);
  #mark = new Int32Array(0);
  /** Scratch of the softmax: HBM match and active overlap by row. */
  #matchedRow = new Int32Array(0);
  #activeRow = new Int32Array(0);
  #serial = 0;
  readonly #stack = new Int32Array(64);
  readonly #picker = new SoftmaxPicker();

  constructor(input: FeatureInput, weights: CostWeights, eps: number) {
    if (!(input.index instanceof BranchIndex)) throw new Error('the cost scan reads an event-fed index');
    this.#input = input;
    this.#weights = weights;
    this.#eps = eps;
    this.#index = input.index;
    input.bookings.onLoad = (rank) => this.#loadChanged(rank);
  }

  /** Rank with the least cost among all ready ranks, -1 without any. `input` holds the request already. */
  choose(request: RouteRequest, seed: number): RankId {
    const { table } = this.#input;
    if (this.#version !== table.version) this.#rebuild();
    if (table.readyCount === 0) return -1;
    this.#serial++;
    clearMatch(this.#input.match);
    clearActive(this.#input.active);
    this.#readPath(request);
    this.#touchHbm();
    for (let tier = 1; tier < TIERS; tier++) if (this.#index.tiers[tier]!.pairs > 0) this.#touchLower(tier);
    this.#touchActive();
    if (this.#weights.temperature > 0) return this.#drawOne(request, seed);
    const best = this.#searchTree(this.#scoreTouched());
    this.ranksScored += this.#input.match.touchedCount;
    return this.#settle(best, request, seed);
  }

  /** Path of the prompt and the list of each branch on it, per tier. */
  #readPath(request: RouteRequest): void {
    const { branches, bookings, assumeKvReuse, constants } = this.#input;
    const n = request.depthBlocks > 0 ? branches.path(request.branch, request.depthBlocks, this.#path, this.#limits) : 0;
    this.#n = n;
    let start = 0;
    for (let i = 0; i < n; i++) {
      this.#starts[i] = start;
      start += this.#limits[i]!;
    }
    this.#starts[n] = start;
    for (let tier = 0; tier < TIERS; tier++) {
      const lists = this.#index.tiers[tier]!;
      const heads = this.#heads[tier]!;
      const reads = constants.c !== 0 && lists.pairs > 0;
      for (let i = 0; i < n; i++) heads[i] = reads ? signedHead(lists, this.#path[i]!) : 0;
    }
    const reads = assumeKvReuse && bookings.lists.pairs > 0;
    for (let i = 0; i < n; i++) this.#activeHeads[i] = reads ? signedHead(bookings.lists, this.#path[i]!) : 0;
  }

  /** HBM: walks sparse lists root first; ranks already touched follow through dense ones. */
  #touchHbm(): void {
    const { hbm, touched } = this.#input.match;
    const heads = this.#heads[0]!;
    const { arena } = this.#index.tiers[0]!;
    let sparseSeen = false;
    for (let i = 0; i < this.#n; i++) {
      const head = heads[i]!;
      if (head === 0) return;
      const start = this.#starts[i]!;
      const limit = this.#limits[i]!;
      let complete = 0;
      if (head > 0) {
        for (let t = 0; t < this.#input.match.touchedCount; t++) {
          const rank = touched[t]!;
          if (hbm[rank] !== start) continue;
          const lead = this.#lead(arena[head + 2 + rank]!, 0, limit);
          hbm[rank] = start + lead;
          if (lead === limit) complete++;
        }
      } else {
        sparseSeen = true;
        const end = 2 - head + 2 * arena[-head]!;
        for (let at = 2 - head; at < end; at += 2) {
          const rank = arena[at]!;
          if (this.#mark[rank] !== this.#serial) this.#touch(rank, 0, i);
          if (hbm[rank] !== start) continue;
          const lead = this.#lead(arena[at + 1]!, 0, limit);
          hbm[rank] = start + lead;
          if (lead === limit) complete++;
        }
        this.entriesWalked += arena[-head]!;
      }
      if (sparseSeen && complete === 0) return;
    }
  }

  /** A lower tier continues where faster ones ended. */
  #touchLower(tier: number): void {
    const { match } = this.#input;
    const column = tier === 1 ? match.host : tier === 2 ? match.disk : match.remote;
    const heads = this.#heads[tier]!;
    const { arena } = this.#index.tiers[tier]!;
    for (let i = 0; i < this.#n; i++) {
      const head = heads[i]!;
      if (head === 0) continue;
      const limit = this.#limits[i]!;
      if (head > 0) {
        for (let t = 0; t < match.touchedCount; t++) {
          const rank = match.touched[t]!;
          const reached = this.#matched(rank) - this.#starts[i]!;
          if (reached >= 0 && reached < limit) column[rank]! += this.#lead(arena[head + 2 + rank]!, reached, limit);
        }
        continue;
      }
      const end = 2 - head + 2 * arena[-head]!;
      for (let at = 2 - head; at < end; at += 2) {
        const rank = arena[at]!;
        if (this.#mark[rank] !== this.#serial) this.#touch(rank, tier, i);
        const reached = this.#matched(rank) - this.#starts[i]!;
        if (reached >= 0 && reached < limit) column[rank]! += this.#lead(arena[at + 1]!, reached, limit);
      }
      this.entriesWalked += arena[-head]!;
    }
  }

  /** Active sequences: a rank in a deeper list is in all lists above it, so the deepest entry tells the overlap. */
  #touchActive(): void {
    const { overlap } = this.#input.active;
    const { nodeLimit, lists } = this.#input.bookings;
    const { arena } = lists;
    for (let i = 0; i < this.#n; i++) {
      const head = this.#activeHeads[i]!;
      if (head === 0) return;
      if (head > 0) continue;
      const end = 2 - head + 2 * arena[-head]!;
      for (let at = 2 - head; at < end; at += 2) {
        const rank = arena[at]!;
        if (this.#mark[rank] !== this.#serial) this.#touch(rank, TIERS, 0);
        overlap[rank] = this.#starts[i]! + Math.min(nodeLimit[arena[at + 1]! - 1]!, this.#limits[i]!);
      }
      this.entriesWalked += arena[-head]!;
    }
  }

  /** First sight of a rank: what dense lists alone give it in all tiers before `tier` and in `tier` before path position `until`. */
  #touch(rank: RankId, tier: number, until: number): void {
    const { match, active } = this.#input;
    this.#mark[rank] = this.#serial;
    match.touched[match.touchedCount++] = rank;
    active.touched[active.touchedCount++] = rank;
    match.hbm[rank] = this.#denseHbm(rank, tier === 0 ? until : this.#n);
    for (let lower = 1; lower <= tier && lower < TIERS; lower++) this.#denseLower(rank, lower, lower === tier ? until : this.#n);
  }

  #denseHbm(rank: RankId, until: number): number {
    const heads = this.#heads[0]!;
    const { arena } = this.#index.tiers[0]!;
    for (let i = 0; i < until; i++) {
      const head = heads[i]!;
      if (head <= 0) return this.#starts[i]!;
      const lead = this.#lead(arena[head + 2 + rank]!, 0, this.#limits[i]!);
      if (lead < this.#limits[i]!) return this.#starts[i]! + lead;
    }
    return this.#starts[until]!;
  }

  #denseLower(rank: RankId, tier: number, until: number): void {
    const { match } = this.#input;
    const column = tier === 1 ? match.host : tier === 2 ? match.disk : match.remote;
    const heads = this.#heads[tier]!;
    const { arena } = this.#index.tiers[tier]!;
    for (let i = 0; i < until; i++) {
      const head = heads[i]!;
      if (head <= 0) continue;
      const reached = this.#matched(rank) - this.#starts[i]!;
      if (reached < 0) return;
      const limit = this.#limits[i]!;
      if (reached < limit) column[rank]! += this.#lead(arena[head + 2 + rank]!, reached, limit);
    }
  }

  /** Overlap with active sequences from dense lists, at least what a sparse list told already. */
  #activeOverlap(rank: RankId): number {
    const told = this.#input.active.overlap[rank]!;
    const { nodeLimit, lists } = this.#input.bookings;
    for (let i = this.#n - 1; i >= 0; i--) {
      const head = this.#activeHeads[i]!;
      if (head <= 0) continue;
      const node = lists.arena[head + 2 + rank]! - 1;
      if (node >= 0) return Math.max(told, this.#starts[i]! + Math.min(nodeLimit[node]!, this.#limits[i]!));
    }
    return told;
  }

  #lead(value: number, reached: number, limit: number): number {
    const lead = value >= 0 ? value - reached : this.#index.leadFrom(value, reached);
    return lead <= 0 ? 0 : Math.min(lead, limit - reached);
  }

  #matched(rank: RankId): number {
    const { hbm, host, disk, remote } = this.#input.match;
    return hbm[rank]! + host[rank]! + disk[rank]! + remote[rank]!;
  }

  /** Cost in the evaluation order of the engine's columns. */
  #cost(rank: RankId): number {
    const { match, active, constants, bookings, promptTokens, blockTokens } = this.#input;
    const { c, h, k } = constants;
    const overlap = this.#activeOverlap(rank);
    active.overlap[rank] = overlap;
    let credit = 0;
    let prompt = promptTokens;
    if (c !== 0) {
      const hbm = match.hbm[rank]!;
      const host = h * match.host[rank]!;
      const below = k * (match.disk[rank]! + match.remote[rank]!);
      credit = c * hbm + host + below;
      prompt = Math.max(prompt, Math.round((hbm + host + below) * blockTokens));
    }
    const prefill = Math.max((bookings.prefillTokens[rank]! + prompt) / blockTokens - credit, 0);
    const decode = bookings.activeBlocks[rank]! + (this.#input.fullBlocks - overlap);
    const { prefill: s, decode: w, inflight: a } = this.#weights;
    return s * prefill + w * decode + a * bookings.inflight[rank]!;
  }

  /** Scores the touched ranks that are ready. Returns the least cost. */
  #scoreTouched(): number {
    const { touched, touchedCount } = this.#input.match;
    let best = Number.POSITIVE_INFINITY;
    for (let t = 0; t < touchedCount; t++) {
      const rank = touched[t]!;
      this.#scored[t] = rank;
      const cost = this.#leafOf[rank]! < 0 ? Number.POSITIVE_INFINITY : this.#cost(rank);
      this.#costs[t] = cost;
      if (cost < best) best = cost;
    }
    return best;
  }

  /** Scores every other rank whose bound does not exclude it from the tie set. Returns the least cost of all. */
  #searchTree(bestTouched: number): number {
    const { match } = this.#input;
    const tree = this.#tree;
    const stack = this.#stack;
    const size = this.#size;
    const above = this.#boundAboveBase();
    let best = bestTouched;
    let limit = this.#limitOf(best, above);
    let top = 0;
    stack[top++] = 1;
    while (top > 0) {
      const node = stack[--top]!;
      const key = tree[node]!;
      if (key === Number.POSITIVE_INFINITY || key > limit) continue;
      if (node < size) {
        // The smaller child is visited first: it lowers the limit soonest.
        const left = 2 * node;
        const leftFirst = tree[left]! <= tree[left + 1]!;
        stack[top++] = leftFirst ? left + 1 : left;
        stack[top++] = leftFirst ? left : left + 1;
        continue;
      }
      const rank = this.#input.table.ready[node - size]!;
      if (this.#mark[rank] === this.#serial) continue;
      this.#touch(rank, TIERS, 0);
      const cost = this.#cost(rank);
      this.#scored[match.touchedCount - 1] = rank;
      this.#costs[match.touchedCount - 1] = cost;
      if (cost < best) {
        best = cost;
        limit = this.#limitOf(best, above);
      }
    }
    return best;
  }

  /** Largest base with which a rank that knows only dense lists could still be in the tie set of `best`. */
  #limitOf(best: number, above: number): number {
    if (best === Number.POSITIVE_INFINITY) return best;
    const wide = Math.max(1, Math.abs(best), Math.abs(above));
    return best - above + this.#eps * Math.max(1, Math.abs(best)) + SLACK * wide;
  }

  /** What is added to the base of a rank that knows only dense lists, at least. */
  #boundAboveBase(): number {
    const { promptTokens, blockTokens, fullBlocks, constants } = this.#input;
    let hotEnd = 0;
    let credit = constants.c;
    for (let i = 0; i < this.#n; i++) {
      let dense = this.#heads[0]![i]! > 0;
      for (let tier = 1; tier < TIERS; tier++) {
        if (this.#heads[tier]![i]! <= 0) continue;
        dense = true;
        credit = Math.max(credit, constants.h, constants.k);
      }
      if (!dense) break;
      hotEnd = this.#starts[i + 1]!;
    }
    let active = 0;
    for (let i = 0; i < this.#n; i++) if (this.#activeHeads[i]! > 0) active = this.#starts[i + 1]!;
    return this.#weights.prefill * (promptTokens / blockTokens - credit * hotEnd) + this.#weights.decode * (fullBlocks - active);
  }

  /** Softmax over all ready ranks in canonical order; every cost is needed. */
  #drawOne(request: RouteRequest, seed: number): RankId {
    const { ready, readyCount } = this.#input.table;
    this.#fillCosts(ready, readyCount);
    this.ranksScored += readyCount;
    this.tieSize = 1;
    const u = draw(seed, request.id, request.attemptNumber, 0);
    const winner = ready[this.#picker.choose(this.#costs, readyCount, this.#weights.temperature, u)]!;
    if (this.#mark[winner] !== this.#serial) {
      this.#touch(winner, TIERS, 0);
      this.#input.active.overlap[winner] = this.#activeOverlap(winner);
    }
    return winner;
  }

  /**
   * Costs of all ready ranks: touched ones exactly as {@link #cost}, the others by the same sums over the dense lists. One plain
   * loop per dense list and one for the sums are faster than one loop that does everything per rank.
   */
  #fillCosts(ready: Int32Array, readyCount: number): void {
    const costs = this.#costs;
    if (this.#readsLowerDense()) {
      for (let i = 0; i < readyCount; i++) {
        if (this.#mark[ready[i]!] !== this.#serial) this.#touch(ready[i]!, TIERS, 0);
        costs[i] = this.#cost(ready[i]!);
      }
      return;
    }
    const { constants, bookings, promptTokens, blockTokens, fullBlocks } = this.#input;
    const { prefillTokens, activeBlocks, inflight } = bookings;
    const { prefill: s, decode: w, inflight: a } = this.#weights;
    const { c } = constants;
    const matched = this.#matchedRow;
    const active = this.#activeRow;
    this.#fillHot(ready, readyCount);
    for (let i = 0; i < readyCount; i++) {
      const rank = ready[i]!;
      const hbm = matched[i]!;
      const cached = hbm * blockTokens;
      const prompt = c !== 0 && cached > promptTokens ? cached : promptTokens;
      const prefill = (prefillTokens[rank]! + prompt) / blockTokens - c * hbm;
      const decode = w * (activeBlocks[rank]! + (fullBlocks - active[i]!));
      costs[i] = (prefill > 0 ? s * prefill : 0) + decode + a * inflight[rank]!;
    }
    const { touched, touchedCount } = this.#input.match;
    for (let t = 0; t < touchedCount; t++) {
      const leaf = this.#leafOf[touched[t]!]!;
      if (leaf >= 0) costs[leaf] = this.#cost(touched[t]!);
    }
  }

  /** HBM match and active overlap of every ready rank as far as dense lists tell. */
  #fillHot(ready: Int32Array, readyCount: number): void {
    const matched = this.#matchedRow;
    const active = this.#activeRow;
    const starts = this.#starts;
    const { nodeLimit, lists } = this.#input.bookings;
    const { arena } = this.#index.tiers[0]!;
    const activeArena = lists.arena;
    let hot = 0;
    while (hot < this.#n && this.#heads[0]![hot]! > 0) hot++;
    matched.fill(starts[hot]!, 0, readyCount);
    active.fill(0, 0, readyCount);
    // Deepest first: a rank that stops earlier is written again.
    for (let j = hot - 1; j >= 0; j--) {
      const first = this.#heads[0]![j]! + 2;
      const start = starts[j]!;
      const limit = starts[j + 1]! - start;
      for (let i = 0; i < readyCount; i++) {
        const value = arena[first + ready[i]!]!;
        if (value >= limit) continue;
        const lead = value >= 0 ? value : this.#lead(value, 0, limit);
        if (lead < limit) matched[i] = start + lead;
      }
    }
    for (let j = 0; j < this.#n && this.#activeHeads[j]! > 0; j++) {
      const first = this.#activeHeads[j]! + 2;
      const start = starts[j]!;
      const end = starts[j + 1]!;
      for (let i = 0; i < readyCount; i++) {
        const node = activeArena[first + ready[i]!]! - 1;
        if (node < 0) continue;
        const reach = start + nodeLimit[node]!;
        active[i] = reach < end ? reach : end;
      }
    }
  }

  #readsLowerDense(): boolean {
    for (let tier = 1; tier < TIERS; tier++) {
      for (let i = 0; i < this.#n; i++) if (this.#heads[tier]![i]! > 0) return true;
    }
    return false;
  }

  #settle(best: number, request: RouteRequest, seed: number): RankId {
    const { table, match } = this.#input;
    const slack = this.#eps * Math.max(1, Math.abs(best));
    let winner = -1;
    let size = 0;
    let most = -1;
    let hash = -1;
    for (let t = 0; t < match.touchedCount; t++) {
      if (Math.abs(this.#costs[t]! - best) > slack) continue;
      const rank = this.#scored[t]!;
      size++;
      if (size === 1) {
        winner = rank;
        continue;
      }
      // Only now is a hash worth computing.
      if (hash < 0) {
        hash = requestHash(seed, request.id);
        most = mixTie(hash, table.hash[winner]!);
      }
      const key = mixTie(hash, table.hash[rank]!);
      if (key < most || (key === most && this.#leafOf[rank]! > this.#leafOf[winner]!)) continue;
      most = key;
      winner = rank;
    }
    this.tieSize = size;
    return winner;
  }

  #base(rank: RankId): number {
    const { bookings, blockTokens } = this.#input;
    const { prefill: s, decode: w, inflight: a } = this.#weights;
    return s * (bookings.prefillTokens[rank]! / blockTokens) + w * bookings.activeBlocks[rank]! + a * bookings.inflight[rank]!;
  }

  #loadChanged(rank: RankId): void {
    const leaf = rank < this.#leafOf.length ? this.#leafOf[rank]! : -1;
    if (leaf < 0) return;
    const tree = this.#tree;
    let node = this.#size + leaf;
    tree[node] = this.#base(rank);
    for (node >>= 1; node > 0; node >>= 1) {
      const left = tree[2 * node]!;
      const right = tree[2 * node + 1]!;
      const least = left < right ? left : right;
      if (tree[node] === least) return;
      tree[node] = least;
    }
  }

  /** The set of ready ranks changed. */
  #rebuild(): void {
    const { table, match } = this.#input;
    const room = match.hbm.length;
    // Dense lists are read by rank, also for ranks that no list has named yet.
    for (const lists of this.#index.tiers) lists.widenRanks(room);
    this.#input.bookings.lists.widenRanks(room);
    let size = 1;
    while (size < table.readyCount) size *= 2;
    this.#size = size;
    this.#tree = new Float64Array(2 * size).fill(Number.POSITIVE_INFINITY);
    this.#leafOf = new Int32Array(room).fill(-1);
    if (this.#mark.length < room) {
      this.#mark = new Int32Array(room);
      this.#matchedRow = new Int32Array(room);
      this.#activeRow = new Int32Array(room);
      this.#scored = new Int32Array(room);
      this.#costs = new Float64Array(room);
    }
    for (let leaf = 0; leaf < table.readyCount; leaf++) {
      this.#leafOf[table.ready[leaf]!] = leaf;
      this.#tree[size + leaf] = this.#base(table.ready[leaf]!);
    }
    for (let node = size - 1; node > 0; node--) this.#tree[node] = Math.min(this.#tree[2 * node]!, this.#tree[2 * node + 1]!);
    this.#version = table.version;
  }
}

/** Arena offset of a branch's list: positive dense, negative sparse, 0 none. */
function signedHead(lists: RankLists, branch: number): number {
  const head = branch < lists.head.length ? lists.head[branch]! : 0;
  if (head === 0) return 0;
  return lists.arena[head + 1]! < 0 ? head : -head;
}
