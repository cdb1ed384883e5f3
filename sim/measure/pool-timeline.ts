/**
 * What happens in the memory of workers, as events of a timeline: an instant where copies of blocks leave a tier (evictions, expiries,
 * …), their number so far as a counter, and counters of what the tiers hold at the looks that occupancy metrics are averages of.
 * Source: experiments specification 7.4.
 */
import { REMOVAL } from '../engine/removal.ts';
import type { LoadView } from '../engine/worker.ts';
import type { TraceEvent } from './trace-event.ts';

/** What a removal is called. */
const NAMES: Readonly<Record<number, string>> = {
  [REMOVAL.capacity]: 'evicted',
  [REMOVAL.afterClaim]: 'evicted',
  [REMOVAL.claimBroken]: 'evicted',
  [REMOVAL.deadline]: 'expired',
  [REMOVAL.released]: 'released',
  [REMOVAL.superseded]: 'released',
  [REMOVAL.timeout]: 'released',
  [REMOVAL.lost]: 'lost',
  [REMOVAL.cleared]: 'cleared',
};
const TIERS = ['HBM', 'host'];
const REASONS = Object.fromEntries(Object.entries(REMOVAL).map(([name, code]) => [code, name]));

/** About 5 MB each, so that turns keep most of the 50 MB. */
const MOST_REMOVALS = 20_000;
const MOST_LOOKS = 20_000;

interface Removal {
  readonly worker: number;
  readonly tier: number;
  readonly reason: number;
  readonly tMs: number;
  blocks: number;
}

interface Look {
  readonly worker: number;
  readonly tMs: number;
  readonly cached: number;
  readonly referenced: number;
  readonly claimed: number;
  /** NaN = the worker has no host tier. */
  readonly host: number;
}

/** Collects removals and looks of all workers of one run. */
export class PoolTimeline {
  #removals: Removal[] = [];
  #looks: Look[] = [];
  /** Removals of one worker, tier and reason nearer than this are one. 0 = those of one moment. */
  #apartMs = 0;
  /** Every so manyeth look of a worker is kept. */
  #every = 1;
  readonly #last = new Map<string, Removal>();
  readonly #seen = new Map<number, number>();

  /** `blocks` copies left a tier (0 = HBM, 1 = host); `reason` is a code of REMOVAL. */
  removed(worker: number, tier: number, blocks: number, tMs: number, reason: number): void {
    this.#take({ worker, tier, blocks, tMs, reason });
    while (this.#removals.length > MOST_REMOVALS) {
      const all = this.#removals;
      this.#apartMs = Math.max(1, 2 * this.#apartMs);
      this.#removals = [];
      this.#last.clear();
      for (const removal of all) this.#take(removal);
    }
  }

  #take(removal: Removal): void {
    const key = `${removal.worker}/${removal.tier}/${removal.reason}`;
    const last = this.#last.get(key);
    if (last !== undefined && removal.tMs - last.tMs <= this.#apartMs) {
      last.blocks += removal.blocks;
      return;
    }
    const kept = { ...removal };
    this.#last.set(key, kept);
    this.#removals.push(kept);
  }

  /** A look at the memory of a worker. */
  looked(worker: number, tMs: number, view: Readonly<LoadView>): void {
    const look = this.#seen.get(worker) ?? 0;
    this.#seen.set(worker, look + 1);
    if (look % this.#every !== 0) return;
    const { kvCachedBlocks: cached, kvReferencedBlocks: referenced, kvClaimedBlocks: claimed } = view;
    this.#looks.push({ worker, tMs, cached, referenced, claimed, host: view.hostBlocks === 0 ? Number.NaN : view.hostUsedBlocks });
    if (this.#looks.length > MOST_LOOKS) {
      this.#every *= 2;
      const rank = new Map<number, number>();
      this.#looks = this.#looks.filter((kept) => {
        const nth = rank.get(kept.worker) ?? 0;
        rank.set(kept.worker, nth + 1);
        return nth % 2 === 0;
      });
    }
  }

  /** All of it, by worker process, in the order of recording. */
  events(): TraceEvent[] {
    const totals = new Map<number, Record<string, number>>();
    const removals = this.#removals.flatMap(({ worker, tier, reason, tMs, blocks }): TraceEvent[] => {
      const at = { ts: 1000 * tMs, pid: 1 + worker, tid: 0 };
      const name = NAMES[reason]!;
      const total = totals.get(worker) ?? { evicted: 0, expired: 0 };
      total[name] = (total[name] ?? 0) + blocks;
      totals.set(worker, total);
      return [
        { name, cat: 'memory', ph: 'i', s: 'p', ...at, args: { blocks, tier: TIERS[tier]!, reason: REASONS[reason]! } },
        { name: 'removed blocks', ph: 'C', ...at, args: { ...total } },
      ];
    });
    const looks = this.#looks.flatMap(({ worker, tMs, cached, referenced, claimed, host }): TraceEvent[] => {
      const at = { ph: 'C' as const, ts: 1000 * tMs, pid: 1 + worker, tid: 0 };
      const hbm: TraceEvent = { name: 'HBM blocks', ...at, args: { cached, referenced, claimed } };
      return Number.isNaN(host) ? [hbm] : [hbm, { name: 'host blocks', ...at, args: { used: host } }];
    });
    return [...removals, ...looks];
  }
}
