/**
 * A worker's cache that executes claims and is obviously right: one object per block, sorted on every eviction. The model for tests
 * of policies and for cases that need no engine; not for speed. Source: retention specification 4 (I4-I6) and 4.1 (victim order).
 */
import type { BranchId, BranchTable } from '../blocks.ts';
import type { ActionOutcome, Blocks, KvAction, Millis, SessionId } from '../ports.ts';

interface StoredClaim {
  untilMs: Millis;
  readonly refreshMs: Millis | undefined;
  readonly lease: boolean;
  readonly drop: boolean;
}

interface StoredBlock {
  readonly key: string;
  readonly depth: number;
  readonly seq: number;
  queueMs: Millis;
  referenced: boolean;
  /** One claim per session: the strongest live one protects. */
  readonly claims: Map<SessionId, StoredClaim>;
}

export interface StoreOptions {
  /** Default unlimited. */
  readonly capacityBlocks?: Blocks;
  /** Where a block whose claims expired stands: where it was (default), behind all others, or in front of them. */
  readonly onExpiry?: 'trueLastAccess' | 'back' | 'front';
}

/** Class of a block in the victim order. */
export type VictimClass = 1 | 3 | 4;

/** One tier of one worker. Times never decrease. */
export class ReferenceStore {
  readonly #branches: BranchTable;
  readonly #capacity: Blocks;
  readonly #onExpiry: 'trueLastAccess' | 'back' | 'front';
  readonly #blocks = new Map<string, StoredBlock>();
  #seq = 0;
  /** Claims broken because an allocation had nothing else to take. */
  brokenClaims = 0;
  expiredClaims = 0;

  constructor(branches: BranchTable, options: StoreOptions = {}) {
    this.#branches = branches;
    this.#capacity = options.capacityBlocks ?? Number.POSITIVE_INFINITY;
    this.#onExpiry = options.onExpiry ?? 'trueLastAccess';
  }

  get size(): Blocks {
    return this.#blocks.size;
  }

  /** Live claims over all blocks, each session once per block. */
  get liveClaims(): number {
    let n = 0;
    for (const block of this.#blocks.values()) n += block.claims.size;
    return n;
  }

  /**
   * Reads the leading blocks that are resident, stores the rest (evicting as needed), touches all. Returns the hit blocks.
   * With `hold` the blocks stay referenced until {@link release}. Throws when nothing unreferenced is left to evict.
   */
  request(branch: BranchId, depth: Blocks, nowMs: Millis, hold = false): Blocks {
    this.expire(nowMs);
    const keys = this.#keys(branch, depth);
    let hits = 0;
    while (hits < depth && this.#blocks.has(keys[hits]!)) hits++;
    for (let i = 0; i < depth; i++) {
      let block = this.#blocks.get(keys[i]!);
      if (block === undefined) {
        if (this.#blocks.size >= this.#capacity) this.evict(1, nowMs, new Set(keys));
        block = { key: keys[i]!, depth: i, seq: this.#seq++, queueMs: nowMs, referenced: false, claims: new Map() };
        this.#blocks.set(block.key, block);
      }
      block.queueMs = nowMs;
      if (hold) block.referenced = true;
      if (i >= hits) continue;
      for (const claim of block.claims.values()) {
        if (claim.refreshMs !== undefined) claim.untilMs = Math.max(claim.untilMs, nowMs + claim.refreshMs);
      }
    }
    return hits;
  }

  release(branch: BranchId, depth: Blocks): void {
    for (const key of this.#keys(branch, depth)) {
      const block = this.#blocks.get(key);
      if (block !== undefined) block.referenced = false;
    }
  }

  /** Executes a claim on the blocks of its range that are resident. */
  apply(action: KvAction | Omit<KvAction, 'id'>, nowMs: Millis): ActionOutcome {
    this.expire(nowMs);
    const requestedBlocks = action.toBlocks - action.fromBlocks;
    let appliedBlocks = 0;
    for (const key of this.#keys(action.branch, action.toBlocks).slice(action.fromBlocks)) {
      const block = this.#blocks.get(key);
      if (block === undefined) continue;
      appliedBlocks++;
      const old = block.claims.get(action.session);
      let untilMs = action.untilMs;
      if (old !== undefined && action.mode === 'max') untilMs = Math.max(old.untilMs, untilMs);
      if (old !== undefined && action.mode === 'fixed') untilMs = old.untilMs;
      block.claims.set(action.session, {
        untilMs,
        refreshMs: action.refreshMs,
        lease: action.hardness === 'lease',
        drop: action.onExpiry === 'drop',
      });
    }
    const result = appliedBlocks === requestedBlocks ? 'accepted' : appliedBlocks > 0 ? 'clipped' : 'missing';
    return { result, appliedBlocks, requestedBlocks, ...(result === 'clipped' ? { reason: 'notResident' } : {}) };
  }

  /** Ends claims whose deadline lies before `nowMs`; a block that one of them was to drop leaves with its last live claim. */
  expire(nowMs: Millis): void {
    for (const block of this.#blocks.values()) {
      let dropped = false;
      let ended = false;
      for (const [session, claim] of block.claims) {
        if (claim.untilMs >= nowMs) continue;
        block.claims.delete(session);
        this.expiredClaims++;
        ended = true;
        dropped ||= claim.drop;
      }
      if (!ended || block.claims.size > 0) continue;
      if (dropped && !block.referenced) this.#blocks.delete(block.key);
      else if (this.#onExpiry === 'back') block.queueMs = nowMs;
      else if (this.#onExpiry === 'front') block.queueMs = Number.NEGATIVE_INFINITY;
    }
  }

  /** Frees `count` blocks in victim order and returns their keys. Claims never refuse: only references do (throws). */
  evict(count: Blocks, nowMs: Millis, spared: ReadonlySet<string> = new Set()): readonly string[] {
    this.expire(nowMs);
    const victims = [...this.#blocks.values()]
      .filter((b) => !b.referenced && !spared.has(b.key))
      .sort((a, b) => classOf(a) - classOf(b) || a.queueMs - b.queueMs || b.depth - a.depth || a.seq - b.seq)
      .slice(0, count);
    if (victims.length < count) throw new Error(`asked for ${count} blocks, only ${victims.length} are not referenced`);
    for (const block of victims) {
      if (block.claims.size > 0) this.brokenClaims++;
      this.#blocks.delete(block.key);
    }
    return victims.map((b) => b.key);
  }

  /** Class of block `index` of a chain; undefined when it is not resident. */
  victimClass(branch: BranchId, index: Blocks, nowMs: Millis): VictimClass | undefined {
    this.expire(nowMs);
    const block = this.#blocks.get(this.key(branch, index));
    return block === undefined ? undefined : classOf(block);
  }

  /** Resident leading blocks of a chain. */
  resident(branch: BranchId, depth: Blocks, nowMs: Millis): Blocks {
    this.expire(nowMs);
    const keys = this.#keys(branch, depth);
    let n = 0;
    while (n < depth && this.#blocks.has(keys[n]!)) n++;
    return n;
  }

  /** Name of block `index` of a chain: owning branch and own offset. */
  key(branch: BranchId, index: Blocks): string {
    const owner = this.#branches.at(branch, index + 1);
    return `${owner}:${index - this.#branches.start[owner]!}`;
  }

  #keys(branch: BranchId, depth: Blocks): string[] {
    return Array.from({ length: depth }, (_, i) => this.key(branch, i));
  }
}

function classOf(block: StoredBlock): VictimClass {
  let rank: VictimClass = 1;
  for (const claim of block.claims.values()) {
    if (claim.lease) return 4;
    rank = 3;
  }
  return rank;
}
