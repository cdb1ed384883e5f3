/**
 * Translates the block hashes of engines into chains of the branch table, one map per rank, so that the algorithm, seed and width of
 * an engine's hashes do not matter and two ranks may name one block differently.
 *
 * An entry outlives the removal of its block as a tombstone: a block stored under a parent that was evicted still finds its place.
 * Lower tiers may tell of a block before its parent is known; it waits until the parent appears. Events become ranges of a
 * {@link KvEventBatch}, which then goes through the event feed into the index. Source: router specification 2.3, 5.2.1.
 */
import type { BranchId } from '../blocks.ts';
import type { ChainInterner } from '../chain-interner.ts';
import { KV_CLEARED, KV_REMOVED, KV_STORED, type KvEventBatch, type RankId, TIER, type Tier } from '../ports.ts';

/** Name of a block prefix in one engine: u64, i64 or bytes as text. */
export type EngineHash = number | bigint | string;

/** `parent_not_found`: event dropped. `invalid_sequence`: a block stored under itself, event dropped. `block_not_found`: ignored. */
export type EngineEventResult = 'ok' | 'parent_not_found' | 'invalid_sequence' | 'block_not_found';

/** A stored event: `keys[i]` names the content of the block that the engine calls `hashes[i]`, each below the one before. */
export interface EngineStored {
  /** null = the first block of a prompt. */
  readonly parent: EngineHash | null;
  readonly hashes: readonly EngineHash[];
  /** Ids for the chain interner: kvh1 keys, or content hashes of single blocks. Same length as `hashes`. */
  readonly keys: ArrayLike<number>;
}

interface Entry {
  readonly branch: BranchId;
  /** Own offset of the block in its branch. */
  readonly offset: number;
  /** Bit t: the rank holds the block in tier t. */
  tiers: number;
}

interface Waiting {
  readonly parent: EngineHash;
  readonly key: number;
  tiers: number;
}

interface RankHashes {
  readonly live: Map<EngineHash, Entry>;
  /** Known blocks that are in no tier, least recently touched first. */
  readonly gone: Map<EngineHash, Entry>;
  /** Blocks of lower tiers whose parent is not known yet, oldest first. */
  readonly waiting: Map<EngineHash, Waiting>;
  /** Hashes that wait for a parent. */
  readonly waitingFor: Map<EngineHash, Set<EngineHash>>;
  maxEntries: number;
}

/** Entries per rank of unknown capacity. */
const DEFAULT_ENTRIES = 200_000;

/** Engine hashes of every rank. Memory about 100 bytes per entry; entries per rank are bounded by 2x its capacity. */
export class EngineHashMap {
  readonly #interner: ChainInterner;
  readonly #ranks: (RankHashes | undefined)[] = [];
  /** Dropped stored events whose parent was not known. */
  orphanStored = 0;
  /** Hashes in removed events that the rank did not hold. */
  unknownRemoved = 0;

  constructor(interner: ChainInterner) {
    this.#interner = interner;
  }

  /** Room for 2x so many blocks; tombstones beyond it are forgotten, least recently touched first. */
  setCapacity(rank: RankId, blocks: number): void {
    const hashes = this.#rank(rank);
    hashes.maxEntries = 2 * blocks;
    this.#bound(hashes);
  }

  /** Hashes known of a rank: of blocks it holds, and tombstones. */
  size(rank: RankId): { readonly live: number; readonly tombstones: number; readonly waiting: number } {
    const hashes = this.#rank(rank);
    return { live: hashes.live.size, tombstones: hashes.gone.size, waiting: hashes.waiting.size };
  }

  /** Appends a stored event of rank `batch.rank` to the batch. Cost O(blocks). */
  stored(batch: KvEventBatch, tier: Tier, event: EngineStored): EngineEventResult {
    const hashes = this.#rank(batch.rank);
    const { parent } = event;
    const above = parent === null ? null : (hashes.live.get(parent) ?? hashes.gone.get(parent));
    if (above === undefined) {
      if (tier === TIER.hbm) {
        this.orphanStored++;
        return 'parent_not_found';
      }
      this.#wait(hashes, tier, event);
      return 'ok';
    }
    if (parent !== null && event.hashes.includes(parent)) return 'invalid_sequence';
    if (parent !== null) touch(hashes.gone, parent);
    this.#place(batch, hashes, 1 << tier, above, event);
    this.#bound(hashes);
    return 'ok';
  }

  /** Appends a removed event; hashes that the rank does not hold in that tier are ignored and reported. Cost O(blocks). */
  removed(batch: KvEventBatch, tier: Tier, removed: readonly EngineHash[]): EngineEventResult {
    const hashes = this.#rank(batch.rank);
    let result: EngineEventResult = 'ok';
    for (const hash of removed) {
      const entry = hashes.live.get(hash);
      const waiting = hashes.waiting.get(hash);
      if (entry !== undefined && (entry.tiers & (1 << tier)) !== 0) this.#drop(batch, hashes, hash, entry, tier);
      else if (waiting !== undefined && (waiting.tiers & (1 << tier)) !== 0) {
        waiting.tiers &= ~(1 << tier);
        if (waiting.tiers === 0) stopWaiting(hashes, hash);
      } else {
        this.unknownRemoved++;
        result = 'block_not_found';
      }
    }
    this.#bound(hashes);
    return result;
  }

  /** Appends a cleared event: everything in all tiers or in one. What was known becomes a tombstone. Cost O(blocks of the rank). */
  cleared(batch: KvEventBatch, tier?: Tier): void {
    const hashes = this.#rank(batch.rank);
    if (tier !== undefined) {
      for (const [hash, entry] of [...hashes.live]) if ((entry.tiers & (1 << tier)) !== 0) this.#drop(batch, hashes, hash, entry, tier);
      for (const [hash, waiting] of [...hashes.waiting]) {
        waiting.tiers &= ~(1 << tier);
        if (waiting.tiers === 0) stopWaiting(hashes, hash);
      }
    } else {
      for (const [hash, entry] of hashes.live) {
        entry.tiers = 0;
        hashes.gone.set(hash, entry);
      }
      hashes.live.clear();
      hashes.waiting.clear();
      hashes.waitingFor.clear();
      batch.push(KV_CLEARED, TIER.hbm, -1, 0, 0);
    }
    this.#bound(hashes);
  }

  /** The rank is gone or restarted: its hashes mean nothing any more. */
  forget(rank: RankId): void {
    const known = this.#ranks[rank];
    if (known === undefined) return;
    const { maxEntries } = known;
    this.#ranks[rank] = undefined;
    this.#rank(rank).maxEntries = maxEntries;
  }

  /** Gives blocks their places below a known block and marks them held. */
  #place(batch: KvEventBatch, hashes: RankHashes, tiers: number, above: Entry | null, event: Omit<EngineStored, 'parent'>): void {
    const { branches } = this.#interner;
    const count = event.hashes.length;
    const top = above === null ? 0 : branches.start[above.branch]! + above.offset + 1;
    const leaf = this.#interner.internBelow(above === null ? -1 : above.branch, top, event.keys, count);
    for (let end = top + count; end > top; ) {
      const owner = branches.at(leaf, end);
      const start = branches.start[owner]!;
      const from = Math.max(start, top);
      for (let tier = 0; tier < 4; tier++) {
        if ((tiers & (1 << tier)) !== 0) batch.push(KV_STORED, tier as Tier, owner, from - start, end - start);
      }
      for (let depth = from; depth < end; depth++) {
        this.#hold(batch, hashes, event.hashes[depth - top]!, owner, depth - start, tiers);
      }
      end = from;
    }
    if (hashes.waitingFor.size > 0) for (const hash of event.hashes) this.#release(batch, hashes, hash);
  }

  #hold(batch: KvEventBatch, hashes: RankHashes, hash: EngineHash, branch: BranchId, offset: number, tiers: number): void {
    const known = hashes.live.get(hash) ?? hashes.gone.get(hash);
    hashes.gone.delete(hash);
    if (known !== undefined && known.branch === branch && known.offset === offset) {
      known.tiers |= tiers;
      hashes.live.set(hash, known);
      return;
    }
    // One hash names one block: what it named before is not held under this name any more.
    for (let tier = 0; known !== undefined && tier < 4; tier++) {
      if ((known.tiers & (1 << tier)) !== 0) batch.push(KV_REMOVED, tier as Tier, known.branch, known.offset, known.offset + 1);
    }
    hashes.live.set(hash, { branch, offset, tiers });
  }

  #drop(batch: KvEventBatch, hashes: RankHashes, hash: EngineHash, entry: Entry, tier: Tier): void {
    entry.tiers &= ~(1 << tier);
    pushRemoved(batch, tier, entry);
    if (entry.tiers !== 0) return;
    hashes.live.delete(hash);
    hashes.gone.set(hash, entry);
  }

  #wait(hashes: RankHashes, tier: Tier, event: EngineStored): void {
    let parent = event.parent!;
    for (const [i, hash] of event.hashes.entries()) {
      const known = hashes.waiting.get(hash);
      if (known !== undefined && known.parent === parent) known.tiers |= 1 << tier;
      else {
        if (known !== undefined) stopWaiting(hashes, hash);
        hashes.waiting.set(hash, { parent, key: event.keys[i]!, tiers: 1 << tier });
        let siblings = hashes.waitingFor.get(parent);
        if (siblings === undefined) hashes.waitingFor.set(parent, (siblings = new Set()));
        siblings.add(hash);
      }
      parent = hash;
    }
    while (hashes.waiting.size > hashes.maxEntries) stopWaiting(hashes, first(hashes.waiting));
  }

  /** A block has found its place: so do those that waited for it. */
  #release(batch: KvEventBatch, hashes: RankHashes, parent: EngineHash): void {
    const children = hashes.waitingFor.get(parent);
    if (children === undefined) return;
    for (const hash of [...children]) {
      const { key, tiers } = hashes.waiting.get(hash)!;
      stopWaiting(hashes, hash);
      this.#place(batch, hashes, tiers, hashes.live.get(parent) ?? hashes.gone.get(parent)!, { hashes: [hash], keys: [key] });
    }
  }

  #bound(hashes: RankHashes): void {
    while (hashes.gone.size > 0 && hashes.live.size + hashes.gone.size > hashes.maxEntries) hashes.gone.delete(first(hashes.gone));
  }

  #rank(rank: RankId): RankHashes {
    return (this.#ranks[rank] ??= {
      live: new Map(),
      gone: new Map(),
      waiting: new Map(),
      waitingFor: new Map(),
      maxEntries: DEFAULT_ENTRIES,
    });
  }
}

/** Deep-first removals of a chain join into one range. */
function pushRemoved(batch: KvEventBatch, tier: Tier, { branch, offset }: Entry): void {
  const last = batch.count - 1;
  const joins =
    last >= 0 &&
    batch.kind[last] === KV_REMOVED &&
    batch.tier[last] === tier &&
    batch.branch[last] === branch &&
    batch.from[last] === offset + 1;
  if (joins) batch.from[last] = offset;
  else batch.push(KV_REMOVED, tier, branch, offset, offset + 1);
}

function stopWaiting(hashes: RankHashes, hash: EngineHash): void {
  const { parent } = hashes.waiting.get(hash)!;
  hashes.waiting.delete(hash);
  const siblings = hashes.waitingFor.get(parent)!;
  siblings.delete(hash);
  if (siblings.size === 0) hashes.waitingFor.delete(parent);
}

function touch(entries: Map<EngineHash, Entry>, hash: EngineHash): void {
  const entry = entries.get(hash);
  if (entry === undefined) return;
  entries.delete(hash);
  entries.set(hash, entry);
}

function first<Value>(entries: Map<EngineHash, Value>): EngineHash {
  return entries.keys().next().value!;
}
