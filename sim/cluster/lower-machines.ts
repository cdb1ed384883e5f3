/** Disks of workers and remote stores of pools: block stores with links of their own. Source: engine specification 4.2, 4.6. */
import { BlockStore } from '../engine/block-store.ts';
import { createLinkPool, type LinkPool } from '../engine/links.ts';
import { type LowerTierParts, lowerTransfer } from '../engine/lower-tiers.ts';
import type { LowerTierSpec, WorkerSpec } from './fleet.ts';

/** What the workers of a pool share. */
interface Shared {
  readonly store: BlockStore;
  readonly links: LinkPool;
}

export class LowerMachines {
  readonly #pools: (LinkPool | null)[];
  readonly #onDone: (transfer: number, rank: number, tMs: number) => void;
  /** Remote stores by name of the pool. */
  readonly #stores = new Map<string, Shared>();

  /** Link pools are appended to `pools`. */
  constructor(pools: (LinkPool | null)[], onDone: (transfer: number, rank: number, tMs: number) => void) {
    this.#pools = pools;
    this.#onDone = onDone;
  }

  /** The tiers of a worker below its host tier. */
  of({ lower = [], pool, config }: WorkerSpec, rank: number): LowerTierParts[] {
    return lower.map((spec): LowerTierParts => {
      const { tier, write, latencyMs, readBytesPerMs } = spec;
      const isShared = tier === 3;
      const copies = isShared ? config.gpus : 1;
      const { store, links } = isShared ? this.#shared(pool, spec, copies) : this.#made(spec, copies);
      return { tier, store, links, link: rank, copies, write, latencyMs, readBytesPerMs: readBytesPerMs * copies };
    });
  }

  #shared(pool: string, spec: LowerTierSpec, copies: number): Shared {
    let shared = this.#stores.get(pool);
    if (shared === undefined) {
      shared = this.#made(spec, copies);
      this.#stores.set(pool, shared);
    }
    return shared;
  }

  #made({ tier, blocks, readBytesPerMs, writeBytesPerMs, totalBytesPerMs }: LowerTierSpec, copies: number): Shared {
    const links = createLinkPool({
      gpus: copies,
      h2dBytesPerMs: readBytesPerMs,
      d2hBytesPerMs: writeBytesPerMs,
      // Reads and writes do not slow each other but by what all share.
      duplexBytesPerMs: Number.POSITIVE_INFINITY,
      dramBytesPerMs: totalBytesPerMs,
      onDone: (transfer, rank, tMs) => this.#onDone(lowerTransfer(tier, transfer), rank, tMs),
    });
    this.#pools.push(links);
    return { store: new BlockStore(blocks), links };
  }
}
