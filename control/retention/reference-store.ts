/**
 * A worker's cache that executes every mark of ADR 9 and is obviously right: one object per block, sorted on every eviction. The model
 * for tests of policies and for cases that need no engine; not for speed. Source: retention specification 4 (I4-I6), 4.1 (victim order), 7.
 */
import type { BranchId, BranchTable } from '../blocks.ts';
import type { ActionOutcome, Blocks, KvAction, Millis, OnExpiry, ReleaseReason, SessionId } from '../ports.ts';

/** A claim, a reference or a level until a time. */
interface Mark {
  untilMs: Millis;
  readonly refreshMs: Millis | undefined;
  readonly onExpiry: OnExpiry;
  readonly lease: boolean;
  readonly level: number;
  /** A hit takes the deadline away. */
  readonly clears: boolean;
}

interface StoredBlock {
  readonly key: string;
  readonly depth: number;
  readonly seq: number;
  queueMs: Millis;
  referenced: boolean;
  /** Set while the block is garbage. */
  garbage: ReleaseReason | undefined;
  /** One claim per session: the strongest live one protects. */
  readonly claims: Map<SessionId, Mark>;
  reference: Mark | undefined;
  level: Mark | undefined;
}

export interface StoreOptions {
  /** Default unlimited. */
  readonly capacityBlocks?: Blocks;
  /** Where a block whose claims expired stands unless the claim says otherwise; default where it was. */
  readonly onExpiry?: 'trueLastAccess' | 'back' | 'front';
  /** Level of blocks without one. Default 0. */
  readonly defaultPriority?: number;
  /** Slots of a host tier; default 0 = none. Evicted blocks go there, oldest out. */
  readonly hostBlocks?: Blocks;
  /** Victims of a lower level are dropped instead of offloaded. Default 0. */
  readonly offloadMinPriority?: number;
}

/** Class of a block in the victim order. */
export type VictimClass = 0 | 1 | 2 | 3 | 4;

/** One tier of one worker, and slots below it. Times never decrease. */
export class ReferenceStore {
  readonly #branches: BranchTable;
  readonly #options: Required<StoreOptions>;
  readonly #blocks = new Map<string, StoredBlock>();
  readonly #host = new Set<string>();
  #seq = 0;
  /** Claims broken because an allocation had nothing else to take. */
  brokenClaims = 0;
  expiredClaims = 0;
  /** Garbage evicted, by cause. */
  readonly evictedGarbage: Partial<Record<ReleaseReason, number>> = {};

  constructor(branches: BranchTable, options: StoreOptions = {}) {
    this.#branches = branches;
    const { capacityBlocks = Number.POSITIVE_INFINITY, onExpiry = 'trueLastAccess', defaultPriority = 0 } = options;
    this.#options = {
      capacityBlocks,
      onExpiry,
      defaultPriority,
      hostBlocks: options.hostBlocks ?? 0,
      offloadMinPriority: options.offloadMinPriority ?? 0,
    };
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
        if (this.#blocks.size >= this.#options.capacityBlocks) this.evict(1, nowMs, new Set(keys));
        block = newBlock(keys[i]!, i, this.#seq++, nowMs);
        this.#blocks.set(block.key, block);
      }
      block.queueMs = nowMs;
      block.garbage = undefined;
      if (hold) block.referenced = true;
      if (i < hits) for (const mark of marksOf(block)) touch(mark, nowMs);
    }
    return hits;
  }

  release(branch: BranchId, depth: Blocks): void {
    for (const key of this.#keys(branch, depth)) {
      const block = this.#blocks.get(key);
      if (block !== undefined) block.referenced = false;
    }
  }

  /** Executes an action on the blocks of its range that are resident. Knows no `share` and no `prefetch`, and one lower tier. */
  apply(action: KvAction | Omit<KvAction, 'id'>, nowMs: Millis): ActionOutcome {
    this.expire(nowMs);
    const requestedBlocks = action.toBlocks - action.fromBlocks;
    const { toTier = 'none' } = action;
    const known = action.verb === 'pin' || action.verb === 'retain' || action.verb === 'demote';
    if (!known || (toTier !== 'none' && (toTier > 1 || this.#options.hostBlocks === 0))) {
      return { result: 'rejected', reason: 'unsupported', appliedBlocks: 0, requestedBlocks };
    }
    let appliedBlocks = 0;
    for (const key of this.#keys(action.branch, action.toBlocks).slice(action.fromBlocks)) {
      const block = this.#blocks.get(key);
      if (block === undefined) continue;
      appliedBlocks++;
      if (action.verb === 'demote') this.#demote(block, action);
      else if (action.verb === 'retain') block.level = this.#level(block.level, action);
      else if (action.hardness === 'reference')
        block.reference = { ...markOf(action), untilMs: Math.max(block.reference?.untilMs ?? 0, action.untilMs) };
      else block.claims.set(action.session, merged(block.claims.get(action.session), action));
    }
    const result = appliedBlocks === requestedBlocks ? 'accepted' : appliedBlocks > 0 ? 'clipped' : 'missing';
    return { result, appliedBlocks, requestedBlocks, ...(result === 'clipped' ? { reason: 'notResident' } : {}) };
  }

  #demote(block: StoredBlock, action: Omit<KvAction, 'id'>): void {
    block.claims.clear();
    block.reference = undefined;
    block.level = undefined;
    block.garbage = action.why ?? 'explicit';
    if (action.toTier !== undefined && action.toTier !== 'none') this.#offload(block.key);
  }

  #level(old: Mark | undefined, action: Omit<KvAction, 'id'>): Mark | undefined {
    const mark = markOf(action);
    if (action.priorityMerge === 'max' && old !== undefined) {
      if (old.level > mark.level || (old.level === mark.level && old.untilMs > mark.untilMs)) return old;
    }
    return mark.level === this.#options.defaultPriority ? undefined : mark;
  }

  /** Ends marks whose deadline lies before `nowMs`; a block that one of them was to move moves with its last live claim or reference. */
  expire(nowMs: Millis): void {
    for (const block of this.#blocks.values()) {
      let moves: OnExpiry | undefined;
      for (const [session, claim] of block.claims) {
        if (claim.untilMs >= nowMs) continue;
        block.claims.delete(session);
        this.expiredClaims++;
        const onExpiry = claim.onExpiry === 'trueLastAccess' ? this.#options.onExpiry : claim.onExpiry;
        if (moves !== 'drop') moves = onExpiry;
      }
      for (const sort of ['reference', 'level'] as const) {
        const mark = block[sort];
        if (mark === undefined || mark.untilMs >= nowMs) continue;
        block[sort] = undefined;
        moves ??= mark.onExpiry;
      }
      if (moves === undefined || block.claims.size > 0 || block.reference !== undefined) continue;
      if (moves === 'drop' && !block.referenced) this.#blocks.delete(block.key);
      else if (moves === 'back') block.queueMs = nowMs;
      else if (moves === 'front') block.garbage = 'explicit';
    }
  }

  /** Frees `count` blocks in victim order and returns their keys. Marks never refuse: only references by requests do (throws). */
  evict(count: Blocks, nowMs: Millis, spared: ReadonlySet<string> = new Set()): readonly string[] {
    this.expire(nowMs);
    const victims = [...this.#blocks.values()]
      .filter((b) => !b.referenced && !spared.has(b.key))
      .sort(
        (a, b) =>
          classOf(a) - classOf(b) || this.#levelOf(a) - this.#levelOf(b) || a.queueMs - b.queueMs || b.depth - a.depth || a.seq - b.seq,
      )
      .slice(0, count);
    if (victims.length < count) throw new Error(`asked for ${count} blocks, only ${victims.length} are not referenced`);
    for (const block of victims) {
      if (block.claims.size > 0) this.brokenClaims++;
      if (block.garbage !== undefined) this.evictedGarbage[block.garbage] = (this.evictedGarbage[block.garbage] ?? 0) + 1;
      else if (this.#levelOf(block) >= this.#options.offloadMinPriority) this.#offload(block.key);
      this.#blocks.delete(block.key);
    }
    return victims.map((b) => b.key);
  }

  #offload(key: string): void {
    if (this.#options.hostBlocks === 0) return;
    this.#host.delete(key);
    this.#host.add(key);
    if (this.#host.size > this.#options.hostBlocks) this.#host.delete(this.#host.values().next().value!);
  }

  /** Class of block `index` of a chain; undefined when it is not resident. */
  victimClass(branch: BranchId, index: Blocks, nowMs: Millis): VictimClass | undefined {
    this.expire(nowMs);
    const block = this.#blocks.get(this.key(branch, index));
    return block === undefined ? undefined : classOf(block);
  }

  /** Level of block `index` of a chain; undefined when it is not resident. */
  priority(branch: BranchId, index: Blocks, nowMs: Millis): number | undefined {
    this.expire(nowMs);
    const block = this.#blocks.get(this.key(branch, index));
    return block === undefined ? undefined : this.#levelOf(block);
  }

  /** Resident leading blocks of a chain. */
  resident(branch: BranchId, depth: Blocks, nowMs: Millis): Blocks {
    this.expire(nowMs);
    const keys = this.#keys(branch, depth);
    let n = 0;
    while (n < depth && this.#blocks.has(keys[n]!)) n++;
    return n;
  }

  /** Blocks of a chain that lie in the host tier. */
  hostResident(branch: BranchId, depth: Blocks): Blocks {
    return this.#keys(branch, depth).filter((key) => this.#host.has(key)).length;
  }

  /** Name of block `index` of a chain: owning branch and own offset. */
  key(branch: BranchId, index: Blocks): string {
    const owner = this.#branches.at(branch, index + 1);
    return `${owner}:${index - this.#branches.start[owner]!}`;
  }

  #levelOf(block: StoredBlock): number {
    return block.level?.level ?? this.#options.defaultPriority;
  }

  #keys(branch: BranchId, depth: Blocks): string[] {
    return Array.from({ length: depth }, (_, i) => this.key(branch, i));
  }
}

function newBlock(key: string, depth: number, seq: number, nowMs: Millis): StoredBlock {
  return {
    key,
    depth,
    seq,
    queueMs: nowMs,
    referenced: false,
    garbage: undefined,
    claims: new Map(),
    reference: undefined,
    level: undefined,
  };
}

function* marksOf(block: StoredBlock): Generator<Mark> {
  yield* block.claims.values();
  if (block.reference !== undefined) yield block.reference;
  if (block.level !== undefined) yield block.level;
}

function touch(mark: Mark, nowMs: Millis): void {
  if (mark.clears) mark.untilMs = Number.POSITIVE_INFINITY;
  else if (mark.refreshMs !== undefined) mark.untilMs = Math.max(mark.untilMs, nowMs + mark.refreshMs);
}

function markOf(action: Omit<KvAction, 'id'>): Mark {
  return {
    untilMs: action.untilMs,
    refreshMs: action.refreshMs,
    onExpiry: action.onExpiry,
    lease: action.hardness === 'lease',
    level: action.priority ?? 0,
    clears: action.reclaim === 'clear',
  };
}

function merged(old: Mark | undefined, action: Omit<KvAction, 'id'>): Mark {
  const mark = markOf(action);
  if (old !== undefined && action.mode === 'max') mark.untilMs = Math.max(old.untilMs, mark.untilMs);
  if (old !== undefined && action.mode === 'fixed') mark.untilMs = old.untilMs;
  return mark;
}

function classOf(block: StoredBlock): VictimClass {
  let rank: VictimClass = block.garbage !== undefined ? 0 : block.reference !== undefined ? 2 : 1;
  for (const claim of block.claims.values()) {
    if (claim.lease) return 4;
    rank = 3;
  }
  return rank;
}
