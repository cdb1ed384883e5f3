/** What the index families drive: the live path of control/, from engine hashes over the event feed to matches. */
import { ChainInterner } from '../../../control/chain-interner.ts';
import { BranchIndex } from '../../../control/index/branch-index.ts';
import { type EngineEventResult, EngineHashMap } from '../../../control/index/engine-hash-map.ts';
import { EventFeed } from '../../../control/index/event-feed.ts';
import { matchColumns } from '../../../control/index/match-columns.ts';
import { KvEventBatch, type MatchColumns, type Tier } from '../../../control/ports.ts';

/** `[local, ext]`: content of a block, and what the engine calls it with its prefix. */
export type RecordedBlock = readonly [local: number, ext: number];

/** Recorded ranks as the dense ids of the product. */
export class RankNames {
  readonly names: (readonly [worker: number, rank: number])[] = [];
  readonly #ids = new Map<string, number>();

  id(worker: number, rank: number): number {
    const name = `${worker}/${rank}`;
    let id = this.#ids.get(name);
    if (id === undefined) this.#ids.set(name, (id = this.names.push([worker, rank]) - 1));
    return id;
  }

  /** Ids of a worker's ranks. */
  of(worker: number): number[] {
    return this.names.flatMap(([w], id) => (w === worker ? [id] : []));
  }

  /** Ids in the order of the recordings. */
  sorted(): number[] {
    const { names } = this;
    return names.map((_, id) => id).sort((a, b) => names[a]![0] - names[b]![0] || names[a]![1] - names[b]![1]);
  }
}

const RANK_ROOM = 64;

/** Engine hashes, event feed and index of all ranks, told in the words of the recordings. */
export class LiveIndex {
  readonly ranks = new RankNames();
  readonly #interner = new ChainInterner();
  readonly #index = new BranchIndex(this.#interner.branches, { copies: 'presence' });
  readonly #hashes = new EngineHashMap(this.#interner);
  readonly #feed = new EventFeed({
    apply: (batch) => this.#index.apply(batch),
    clear: (rank) => this.#index.dropRank(rank),
    replay: () => false,
  });
  readonly #seq: number[] = [];
  #match: MatchColumns = matchColumns(RANK_ROOM);

  stored(tier: Tier, worker: number, rank: number, parent: number | null, blocks: readonly RecordedBlock[]): EngineEventResult {
    const event = { parent, hashes: blocks.map(([, ext]) => ext), keys: blocks.map(([local]) => local) };
    return this.#publish(worker, rank, (batch) => this.#hashes.stored(batch, tier, event));
  }

  removed(tier: Tier, worker: number, rank: number, hashes: readonly number[]): EngineEventResult {
    return this.#publish(worker, rank, (batch) => this.#hashes.removed(batch, tier, hashes));
  }

  cleared(worker: number, rank: number, tier?: Tier): void {
    this.#publish(worker, rank, (batch) => {
      this.#hashes.cleared(batch, tier);
      return 'ok';
    });
  }

  /** Ranks leave: their hashes, sequence and blocks are forgotten. */
  forget(ids: readonly number[]): void {
    for (const id of ids) {
      this.#hashes.forget(id);
      this.#feed.forget(id);
      this.#seq[id] = 0;
      this.#index.dropRank(id);
    }
  }

  match(locals: readonly number[]): MatchColumns {
    if (this.ranks.names.length > this.#match.hbm.length) this.#match = matchColumns(2 * this.ranks.names.length);
    const { branch, depthBlocks } = this.#interner.find(locals);
    this.#index.match(branch, depthBlocks, 0, this.#match);
    return this.#match;
  }

  #publish(worker: number, rank: number, write: (batch: KvEventBatch) => EngineEventResult): EngineEventResult {
    const batch = new KvEventBatch();
    batch.rank = this.ranks.id(worker, rank);
    const result = write(batch);
    batch.seq = this.#seq[batch.rank] ?? 0;
    this.#seq[batch.rank] = batch.seq + 1;
    this.#feed.deliver(batch, 0);
    return result;
  }
}
