import type { Blocks, Millis, RankId } from '../ports.ts';

interface Bucket {
  /** Block ms left. */
  level: number;
  atMs: Millis;
}

/** A bucket holds what an hour brings. Source: retention specification 14.2. */
const BURST_MS: Millis = 3_600_000;

/**
 * Budgets of tenants in block-time, one bucket per tenant and rank: filled at share x capacity blocks, up to an hour of it. A claim is
 * paid when it is made (blocks x time) and the rest is given back when it ends before its deadline. Cost O(1).
 */
export class TenantBuckets {
  readonly #share: number;
  readonly #buckets = new Map<string, Bucket>();

  /** `share` of a rank's blocks that every tenant may hold all the time. */
  constructor(share: number) {
    this.#share = share;
  }

  /** Time for which the bucket pays `blocks`, at most `wantedMs`; it is taken out. 0 = the bucket is empty. */
  take(rank: RankId, tenant: number, capacityBlocks: Blocks, blocks: Blocks, wantedMs: Millis, nowMs: Millis): Millis {
    const bucket = this.#bucket(rank, tenant, capacityBlocks, nowMs);
    const grantedMs = blocks === 0 ? wantedMs : Math.max(0, Math.min(wantedMs, bucket.level / blocks));
    bucket.level -= grantedMs * blocks;
    return grantedMs;
  }

  /** Gives back what a claim no longer needs. */
  giveBack(rank: RankId, tenant: number, capacityBlocks: Blocks, blocks: Blocks, restMs: Millis, nowMs: Millis): void {
    const bucket = this.#bucket(rank, tenant, capacityBlocks, nowMs);
    bucket.level = Math.min(this.#share * capacityBlocks * BURST_MS, bucket.level + blocks * Math.max(0, restMs));
  }

  lost(rank: RankId): void {
    for (const key of this.#buckets.keys()) if (key.startsWith(`${rank}/`)) this.#buckets.delete(key);
  }

  #bucket(rank: RankId, tenant: number, capacityBlocks: Blocks, nowMs: Millis): Bucket {
    const key = `${rank}/${tenant}`;
    const rate = this.#share * capacityBlocks;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { level: rate * BURST_MS, atMs: nowMs };
      this.#buckets.set(key, bucket);
    }
    bucket.level = Math.min(rate * BURST_MS, bucket.level + rate * (nowMs - bucket.atMs));
    bucket.atMs = nowMs;
    return bucket;
  }
}
