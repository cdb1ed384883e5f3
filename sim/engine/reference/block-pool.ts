/**
 * The HBM block pool with physical ids: free queue, hash -> physical copies, references, claims. One object per worker and epoch.
 * Source: engine specification 2.2, 2.3, 2.11 and 4.7; claims as in the port (worker.ts). Plain on purpose: the jumping engine is
 * held equal to this.
 */
import type { OnExpiry } from '../../../control/ports.ts';
import { type RankConfig, RankKeys } from '../rank-keys.ts';
import { REMOVAL } from '../removal.ts';
import type { WorkerCounters } from '../worker.ts';
import { FreeQueue } from './free-queue.ts';

/** Identity of a block's whole prefix; equality of keys = equality of content. */
export type BlockKey = number;

/** Victim classes of engine specification 4.7. */
export const VICTIM = { garbage: 0, ordinary: 1, reference: 2, soft: 3, lease: 4 } as const;

/** What a copy carries until a time; by itself the reference of a live session. */
export interface Mark {
  /** Holds up to and including this time. */
  readonly untilMs: number;
  readonly refreshMs: number | undefined;
  readonly onExpiry: OnExpiry;
}

/** Protection of one physical copy. */
export interface Claim extends Mark {
  readonly session: number;
  readonly victimClass: 3 | 4;
  /** A hit that did not refresh it came after its grant. */
  readonly worn: boolean;
  /** A readable copy in the host tier honours it as well. */
  readonly floorsBelow: boolean;
}

/** Place of a copy inside its class: lower levels go first. */
export interface Level extends Mark {
  readonly level: number;
  /** A hit takes the deadline away. */
  readonly clears: boolean;
}

/** Counters a pool keeps. */
export type PoolTotals = Pick<
  WorkerCounters,
  'hbmEvictedBlocks' | 'hbmExpiredBlocks' | 'claimsBroken' | 'claimsExpired' | 'duplicateBlocks'
>;

/** Size, variants and listeners of a pool. */
export interface BlockPoolOptions {
  /** N including the null block 0. */
  readonly blocks: number;
  /** vLLM <= 0.27 without prefix caching: freed blocks go to the tail of the queue instead of its head. */
  readonly appendHashless: boolean;
  /** Ranker and what it reads; absent = lru. */
  readonly ranking?: RankConfig;
  /** Level of copies without one; default 0. */
  readonly defaultPriority?: number;
  /** Whether the tier below has a readable copy; absent = never. */
  isBelow?(key: BlockKey): boolean;
  /** Whether victims worth a copy below are noted in `victims`; default no. */
  readonly notesVictims?: boolean;
  /** Blocks of a lower level are not worth one; default 0. */
  readonly keepFromPriority?: number;
  /** A copy entered the cache. `parent` = key of the block before it, -1 at the root. */
  stored(key: BlockKey, parent: BlockKey): void;
  /** A copy left the cache; `reason` = code of REMOVAL. */
  removed(key: BlockKey, reason: number): void;
  /** Totals this pool adds to. */
  readonly totals: PoolTotals;
  /** An allocation broke the claims of `blocks` copies in a row that belong to `session`. */
  claimsBroken(session: number, blocks: number): void;
}

const NO_KEY = -1;

/** Physical blocks of one worker: who holds them, what they hold, who goes first. */
export class BlockPool {
  readonly blocks: number;
  readonly queue: FreeQueue;
  /** References per block. */
  readonly refs: Int32Array;
  /** Key per block; -1 = hash-less. */
  readonly keys: Float64Array;
  /** Physical copies per key, oldest first. */
  readonly copies = new Map<BlockKey, number[]>();
  /** Live claims per block. */
  readonly claims = new Map<number, Claim>();
  /** Live references of sessions per block. */
  readonly references = new Map<number, Mark>();
  /** Levels per block that differ from the default. */
  readonly levels = new Map<number, Level>();
  /** Copies released by `demote`: class 0, with the reason that their eviction will have. */
  readonly garbage = new Map<number, number>();
  /** Idle copies whose claim ended, granted or refreshed at or after their last access. */
  readonly afterClaim = new Set<number>();
  /** Referenced copies that lose their content when released. */
  readonly dropAtRelease = new Set<number>();
  /** Content of victims that should be copied below, in the order of eviction; the owner takes it out. */
  readonly victims: BlockKey[] = [];
  /** Distinct blocks with a reference. */
  referenced = 0;
  /** Blocks that hold content. */
  cached = 0;
  readonly #options: BlockPoolOptions;
  readonly #defaultPriority: number;
  readonly #ranker: NonNullable<RankConfig['ranker']>;
  readonly #ranks: RankKeys | null;
  /** Hits since it was stored, number of the store, and key at the last release, per block. */
  readonly #hits: Int32Array;
  readonly #storedAt: Float64Array;
  readonly #rank: Float64Array;
  #stores = 0;
  #earliestMs = Number.POSITIVE_INFINITY;
  #earliestKnown = true;

  constructor(options: BlockPoolOptions) {
    this.#options = options;
    this.#defaultPriority = options.defaultPriority ?? 0;
    this.#ranker = options.ranking?.ranker ?? 'lru';
    this.#ranks = options.ranking === undefined ? null : new RankKeys(options.ranking);
    this.#rank = new Float64Array(options.blocks);
    this.#hits = new Int32Array(options.blocks);
    this.#storedAt = new Float64Array(options.blocks);
    this.blocks = options.blocks;
    this.queue = new FreeQueue(options.blocks);
    this.refs = new Int32Array(options.blocks);
    this.keys = new Float64Array(options.blocks).fill(NO_KEY);
  }

  /** Length of the free queue: unreferenced blocks, cached and claimed ones included. */
  get free(): number {
    return this.queue.length;
  }

  get usable(): number {
    return this.blocks - 1;
  }

  /** Oldest copy of a key, or -1. */
  lookup(key: BlockKey): number {
    return this.copies.get(key)?.[0] ?? -1;
  }

  /** How many of these blocks sit in the free queue (E of engine specification 2.4). */
  unreferenced(blocks: readonly number[]): number {
    return blocks.filter((block) => this.refs[block] === 0).length;
  }

  /** Takes a reference on each block of a prefix hit; refreshes live claims. */
  touch(blocks: readonly number[], nowMs: number): void {
    for (const block of blocks) {
      if (this.refs[block] === 0) {
        this.queue.remove(block);
        this.referenced++;
      }
      this.refs[block]!++;
      this.garbage.delete(block);
      this.afterClaim.delete(block);
      this.#hits[block]!++;
      this.#hit(block, nowMs);
    }
  }

  /** One more holder of each block; no hit. */
  hold(blocks: readonly number[]): void {
    for (const block of blocks) {
      if (this.refs[block]!++ > 0) continue;
      this.queue.remove(block);
      this.referenced++;
    }
  }

  /** What a hit does to the marks of a copy. */
  #hit(block: number, nowMs: number): void {
    const claim = this.claims.get(block);
    if (claim !== undefined) this.claims.set(block, { ...refreshed(claim, nowMs), worn: claim.worn || !claim.refreshMs });
    const reference = this.references.get(block);
    if (reference !== undefined) this.references.set(block, refreshed(reference, nowMs));
    const level = this.levels.get(block);
    if (level?.clears === true) this.levels.set(block, { ...level, untilMs: Number.POSITIVE_INFINITY });
    else if (level !== undefined) this.levels.set(block, refreshed(level, nowMs));
    this.#earliestKnown = false;
  }

  /** Takes `count` blocks out of the free queue in victim order, evicting what they hold. */
  take(count: number): number[] {
    if (count > this.free) throw new Error(`block pool: ${count} blocks wanted, ${this.free} free`);
    const taken: number[] = [];
    let session = -1;
    let brokenInRow = 0;
    for (let i = 0; i < count; i++) {
      const block = this.#victim();
      const claim = this.claims.get(block);
      if (claim !== undefined && !this.#isHonouredBelow(block)) {
        if (brokenInRow > 0 && claim.session !== session) {
          this.#options.claimsBroken(session, brokenInRow);
          brokenInRow = 0;
        }
        session = claim.session;
        brokenInRow++;
        this.#options.totals.claimsBroken++;
      }
      this.queue.remove(block);
      if (this.keys[block] !== NO_KEY) {
        if (this.#options.notesVictims === true && this.#isWorthKeeping(block)) this.victims.push(this.keys[block]!);
        if (!this.garbage.has(block)) this.#ranks?.evicted(this.#rank[block]!);
        this.#forget(block, this.#evictionReason(block));
        this.#options.totals.hbmEvictedBlocks++;
      }
      this.refs[block] = 1;
      this.referenced++;
      taken.push(block);
    }
    if (brokenInRow > 0) this.#options.claimsBroken(session, brokenInRow);
    return taken;
  }

  /** {@link release} of the block table of a request, tail first. */
  releaseOf(session: number, table: readonly number[]): void {
    const cached = table.filter((block) => this.keys[block] !== NO_KEY).length;
    if (cached > 0) this.#ranks?.startChain(session, cached);
    this.release(table.toReversed());
    this.#ranks?.endChain();
  }

  /**
   * Returns references. Blocks that reach 0 are split: hash-less ones go to the head of the queue, cached ones to its tail, both in
   * list order. The last of the list is the first of its chain.
   */
  release(blocks: readonly number[]): void {
    const hashless: number[] = [];
    for (const [i, block] of blocks.entries()) {
      if (this.refs[block]! <= 0) throw new Error(`block pool: block ${block} released without a reference`);
      this.refs[block]!--;
      if (this.refs[block]! > 0) continue;
      this.referenced--;
      if (this.dropAtRelease.has(block)) {
        this.#forget(block, REMOVAL.deadline);
        this.#options.totals.hbmExpiredBlocks++;
      }
      if (this.keys[block] === NO_KEY) hashless.push(block);
      else this.queue.append(block);
      if (this.#ranks !== null) this.#rank[block] = this.#ranks.key(this.#hits[block]!, blocks.length - 1 - i < this.#ranks.keepBlocks);
    }
    if (this.#options.appendHashless) for (const block of hashless) this.queue.append(block);
    else for (const block of hashless.reverse()) this.queue.prepend(block);
  }

  /** Gives a block its content. */
  enter(block: number, key: BlockKey, parent: BlockKey): void {
    if (this.keys[block] !== NO_KEY) throw new Error(`block pool: block ${block} holds content already`);
    this.keys[block] = key;
    this.#hits[block] = 0;
    this.#storedAt[block] = this.#stores++;
    this.cached++;
    const copies = this.copies.get(key);
    if (copies === undefined) this.copies.set(key, [block]);
    else {
      copies.push(block);
      this.#options.totals.duplicateBlocks++;
    }
    this.#options.stored(key, parent);
  }

  /** Empties the cache if nothing is referenced (vLLM reset_prefix_cache). Returns whether it did. */
  reset(): boolean {
    if (this.referenced > 0) return false;
    this.keys.fill(NO_KEY);
    this.copies.clear();
    this.claims.clear();
    this.references.clear();
    this.levels.clear();
    this.garbage.clear();
    this.afterClaim.clear();
    this.cached = 0;
    this.#earliestKnown = false;
    return true;
  }

  /** Sets or combines the claim of one copy. */
  claim(block: number, claim: Claim, mode: 'max' | 'replace' | 'fixed'): void {
    const old = this.claims.get(block);
    this.dropAtRelease.delete(block);
    this.garbage.delete(block);
    this.afterClaim.delete(block);
    this.#earliestKnown = false;
    if (old === undefined || mode === 'replace') this.claims.set(block, claim);
    else if (mode === 'max') {
      const victimClass = Math.max(old.victimClass, claim.victimClass) as 3 | 4;
      this.claims.set(block, { ...claim, victimClass, untilMs: Math.max(old.untilMs, claim.untilMs) });
    }
  }

  /** A live session refers to the copy; the later deadline counts. */
  refer(block: number, reference: Mark): void {
    this.dropAtRelease.delete(block);
    this.garbage.delete(block);
    this.#earliestKnown = false;
    const oldMs = this.references.get(block)?.untilMs ?? 0;
    this.references.set(block, { ...reference, untilMs: Math.max(reference.untilMs, oldMs) });
  }

  /** Gives a copy a level; garbage and what is about to be dropped have none. */
  retain(block: number, level: Level, merge: 'max' | 'replace'): void {
    if (this.garbage.has(block) || this.dropAtRelease.has(block)) return;
    const old = this.levels.get(block);
    if (merge === 'max' && old !== undefined) {
      if (old.level > level.level || (old.level === level.level && old.untilMs > level.untilMs)) return;
    }
    if (level.level === this.#defaultPriority) this.levels.delete(block);
    else this.levels.set(block, level);
    this.#earliestKnown = false;
  }

  /** Releases a copy to class 0. */
  demote(block: number, reason: number = REMOVAL.released): void {
    this.#endMarks(block);
    this.dropAtRelease.delete(block);
    this.afterClaim.delete(block);
    this.garbage.set(block, reason);
  }

  /** Earliest deadline of a live mark; Infinity if none. */
  nextExpiryMs(): number {
    if (!this.#earliestKnown) {
      let earliest = Number.POSITIVE_INFINITY;
      for (const marks of [this.claims, this.references, this.levels]) {
        for (const { untilMs } of marks.values()) if (untilMs < earliest) earliest = untilMs;
      }
      this.#earliestMs = earliest;
      this.#earliestKnown = true;
    }
    return this.#earliestMs;
  }

  /** Ends every mark whose deadline is at or before nowMs. */
  expire(nowMs: number): void {
    const moves = new Map<number, OnExpiry>();
    for (const marks of [this.claims, this.references, this.levels]) {
      for (const [block, mark] of marks) {
        if (mark.untilMs > nowMs) continue;
        marks.delete(block);
        if (!moves.has(block)) moves.set(block, mark.onExpiry);
        if (marks !== this.claims) continue;
        this.#options.totals.claimsExpired++;
        if (!(mark as Claim).worn && this.refs[block] === 0) this.afterClaim.add(block);
      }
    }
    this.#earliestKnown = false;
    // Another live mark holds the copy where it is.
    for (const block of moves.keys()) if (this.claims.has(block) || this.references.has(block)) moves.delete(block);
    for (const [block, move] of moves) {
      if (move === 'front') this.demote(block, this.afterClaim.has(block) ? REMOVAL.afterClaim : REMOVAL.capacity);
      else if (move === 'drop') this.levels.delete(block);
      if (move === 'drop' && this.refs[block]! > 0) this.dropAtRelease.add(block);
    }
    for (const block of this.queue.toArray()) {
      const move = moves.get(block);
      if (move !== 'back' && move !== 'drop') continue;
      this.queue.remove(block);
      if (move === 'back') this.queue.append(block);
      else {
        this.#forget(block, REMOVAL.deadline);
        this.#options.totals.hbmExpiredBlocks++;
        this.queue.prepend(block);
      }
    }
  }

  /** Unreferenced copies under a live claim. */
  claimedFree(): number {
    let count = 0;
    for (const block of this.claims.keys()) if (this.refs[block] === 0) count++;
    return count;
  }

  /** Unreferenced copies that an ordinary one must not displace: claimed, of a live session, or above the default level. */
  dearFree(): number {
    let count = 0;
    for (let block = 0; block < this.refs.length; block++) {
      if (this.refs[block]! > 0 || this.keys[block] === NO_KEY || this.garbage.has(block)) continue;
      const level = this.levels.get(block)?.level ?? this.#defaultPriority;
      if (this.victimClass(block) > VICTIM.ordinary || level > this.#defaultPriority) count++;
    }
    return count;
  }

  /** Victim class of an unreferenced block. */
  victimClass(block: number): number {
    if (this.keys[block] === NO_KEY || this.garbage.has(block)) return VICTIM.garbage;
    return this.claims.get(block)?.victimClass ?? (this.references.has(block) ? VICTIM.reference : VICTIM.ordinary);
  }

  /** First block in the order (class, level, deadline if claimed, key of the ranker, queue order). */
  #victim(): number {
    let best = this.queue.head();
    const marks = this.claims.size + this.references.size + this.levels.size + this.garbage.size;
    if (marks === 0 && this.#ranker === 'lru') return best;
    let bestRank = [Number.POSITIVE_INFINITY];
    let place = 0;
    for (let block = best; block !== 0; block = this.queue.after(block)) {
      if (this.victimClass(block) === VICTIM.garbage) return block;
      const rank = this.#order(block, place++);
      if (!isBefore(rank, bestRank)) continue;
      best = block;
      bestRank = rank;
    }
    return best;
  }

  /** Place of a block in the victim order; `place` = blocks before it in the queue. */
  #order(block: number, place: number): number[] {
    const victimClass = this.victimClass(block);
    if (victimClass === VICTIM.garbage) return [victimClass, 0, 0, 0, place];
    const level = this.levels.get(block)?.level ?? this.#defaultPriority;
    return [victimClass, level, this.claims.get(block)?.untilMs ?? 0, this.#key(block, place), place];
  }

  /** Key of the ranker; `place` = blocks before it in the queue. */
  #key(block: number, place: number): number {
    if (this.#ranker === 'fifo') return this.#storedAt[block]!;
    return this.#ranker === 'mru' ? -place : this.#rank[block]!;
  }

  /** Whether a victim should be copied below. */
  #isWorthKeeping(block: number): boolean {
    const { keepFromPriority = 0 } = this.#options;
    return !this.garbage.has(block) && (this.levels.get(block)?.level ?? this.#defaultPriority) >= keepFromPriority;
  }

  /** Free blocks without content. */
  hashless(): number {
    return this.queue.toArray().filter((block) => this.keys[block] === NO_KEY).length;
  }

  /** Content worth a copy below among the next `count` victims, in their order, each block once. */
  nextVictims(count: number): BlockKey[] {
    const ranked = this.queue.toArray().map((block, place) => ({ block, rank: this.#order(block, place) }));
    ranked.sort((a, b) => (isBefore(a.rank, b.rank) ? -1 : 1));
    const next = ranked.slice(0, count).map(({ block }) => block);
    const kept = next.filter((block) => this.keys[block] !== NO_KEY && this.#isWorthKeeping(block));
    return [...new Set(kept.map((block) => this.keys[block]!))];
  }

  /** Tells that all content is gone. */
  loseAll(reason: number): void {
    for (const key of this.keys) if (key !== NO_KEY) this.#options.removed(key, reason);
  }

  #isHonouredBelow(block: number): boolean {
    return this.claims.get(block)!.floorsBelow && this.#options.isBelow?.(this.keys[block]!) === true;
  }

  /** What an allocation that takes an idle copy is told as. */
  #evictionReason(block: number): number {
    if (this.claims.has(block)) return this.#isHonouredBelow(block) ? REMOVAL.capacity : REMOVAL.claimBroken;
    return this.garbage.get(block) ?? (this.afterClaim.has(block) ? REMOVAL.afterClaim : REMOVAL.capacity);
  }

  /** Takes the content of a block away. */
  #forget(block: number, reason: number): void {
    const key = this.keys[block]!;
    const copies = this.copies.get(key)!;
    copies.splice(copies.indexOf(block), 1);
    if (copies.length === 0) this.copies.delete(key);
    this.keys[block] = NO_KEY;
    this.cached--;
    this.garbage.delete(block);
    this.afterClaim.delete(block);
    this.dropAtRelease.delete(block);
    this.#endMarks(block);
    this.#options.removed(key, reason);
  }

  #endMarks(block: number): void {
    this.claims.delete(block);
    this.references.delete(block);
    this.levels.delete(block);
    this.#earliestKnown = false;
  }
}

function refreshed<M extends Mark>(mark: M, nowMs: number): M {
  return mark.refreshMs ? { ...mark, untilMs: Math.max(mark.untilMs, nowMs + mark.refreshMs) } : mark;
}

/** Whether a tuple of numbers comes before another of the same length. */
function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at >= 0 && a[at]! < b[at]!;
}
