/**
 * How far one run was from what its oracles could have had on the same order of service: hits of every oracle alone and, with perfect
 * placement, together. Source: retention specification 11, experiments specification 2 (bound).
 */
import type { ServiceRecords } from '../cluster/service-log.ts';
import type { BoundLabel, OracleName } from '../experiment/bound-result.ts';
import { BeladyOracle } from './belady-oracle.ts';
import { CostAwareOracle } from './cost-aware-oracle.ts';
import { DualOracle } from './dual-oracle.ts';
import { InfiniteOracle } from './infinite-oracle.ts';
import { lruHits } from './lru-hits.ts';
import { PrefillWorth } from './prefill-worth.ts';
import { type ReuseIntervals, reuseIntervals } from './reuse-intervals.ts';
import { TtlOracle } from './ttl-oracle.ts';

/** What an oracle hits. Names joined by ` + ` act together. */
export interface OracleHits {
  readonly oracle: string;
  readonly label: BoundLabel;
  readonly hitTokens: number;
}

export interface Headroom {
  /** Prompt tokens of the admissions that count, and those that the run found in a cache. */
  readonly queryTokens: number;
  readonly foundTokens: number;
  /** Found by one unlimited cache for the whole fleet: all but the compulsory misses. */
  readonly floorTokens: number;
  readonly rows: readonly OracleHits[];
  /** Prefill time saved by the run, by cost-aware eviction, and at most, ms; null = no cost of prefill, or belady not asked for. */
  readonly savedMs: { readonly found: number; readonly costAware: number; readonly dual: number } | null;
  /** Longest pause that clairvoyant deadlines bridge at the rent of the room, ms; null = all of them, or not asked for. */
  readonly ttlCutMs: number | null;
}

export interface HeadroomOptions {
  readonly oracles: readonly OracleName[];
  /** Requests submitted before this time do not count. */
  readonly fromMs: number;
  /** Workers may lose their memory: what an oracle kept over a crash makes it a bound. */
  readonly faults: boolean;
}

/**
 * Evaluates the oracles on the records of one run. Throws if the run found more than a row that bounds it: a bug of ours.
 * Cost O(n log n) over n records.
 */
export function headroomOf(records: ServiceRecords, options: HeadroomOptions): Headroom {
  const workers = Array.from(records.usableBlocks, (_, worker) => reuseIntervals(records, worker, options.fromMs));
  const pooled = reuseIntervals(records, null, options.fromMs);
  const { blockTokens } = records;
  const asked = new Set(options.oracles);
  const sum = (of: (intervals: ReuseIntervals) => number): number => workers.reduce((total, w) => total + of(w), 0);
  const belady = (intervals: ReuseIntervals): number => new BeladyOracle(intervals).hitBlocks;
  const infinite = (intervals: ReuseIntervals): number => new InfiniteOracle(intervals).hitBlocks;
  const hasHost = records.hostBlocks.some((n) => n > 0);
  const rows: OracleHits[] = [];
  const add = (oracle: string, label: BoundLabel, blocks: number): void => {
    rows.push({ oracle, label, hitTokens: blocks * blockTokens });
  };
  const rented = rentedDeadlines(workers);
  if (asked.has('ttl')) add('ttl', 'bound', rented.blocks);
  if (asked.has('belady')) add('belady', hasHost || options.faults ? 'bound' : 'exact', sum(belady));
  if (asked.has('router')) add('router', 'heuristic', lruHits(pooled));
  if (asked.has('router') && asked.has('belady')) add('belady + router', 'bound', belady(pooled));
  if (asked.has('infinite')) add('infinite', options.faults ? 'bound' : 'exact', sum(infinite));
  if (asked.has('router') && asked.has('infinite')) add('infinite + router', options.faults ? 'bound' : 'exact', infinite(pooled));
  const { foundTokens } = pooled;
  for (const { oracle, label, hitTokens } of rows)
    if (label !== 'heuristic' && hitTokens < foundTokens - 1e-6 * (1 + foundTokens))
      throw new Error(`bound: the run found ${foundTokens} tokens, more than the ${hitTokens} of ${oracle}, which is ${label}`);
  return {
    queryTokens: pooled.queryTokens,
    foundTokens,
    floorTokens: infinite(pooled) * blockTokens,
    rows,
    savedMs: asked.has('belady') ? savedTime(records, workers) : null,
    ttlCutMs: asked.has('ttl') ? rented.gapMs : null,
  };
}

/** Prefill time saved on the recorded placement. Throws if the run saved more than the bound: a bug of ours. */
function savedTime(records: ServiceRecords, workers: readonly ReuseIntervals[]): Headroom['savedMs'] {
  if (records.msPerToken.some((ms) => ms === 0)) return null;
  let found = 0;
  let costAware = 0;
  let dual = 0;
  workers.forEach((intervals, worker) => {
    const worth = new PrefillWorth(records.blockTokens, records.msPerToken[worker]!, records.msPerPair[worker]!);
    const feasible = new CostAwareOracle(intervals, worth).savedMs;
    costAware += feasible;
    dual += new DualOracle(intervals, worth, feasible).savedMs;
    for (const blocks of intervals.foundBlocks) found += worth.of(0, blocks);
  });
  if (dual < found * (1 - 1e-9)) throw new Error(`bound: the run saved ${found} ms of prefill, more than the bound of ${dual} ms`);
  return { found, costAware, dual };
}

/**
 * Clairvoyant deadlines for the rent that the fleet's room can hold on average: the hard room of every moment is relaxed to its
 * integral over time, so that no way to fill it hits more.
 */
function rentedDeadlines(workers: readonly ReuseIntervals[]): { readonly blocks: number; readonly gapMs: number | null } {
  const value: number[] = [];
  const rent: number[] = [];
  let held = 0;
  let budget = 0;
  for (const { blocks, start, end, tMs, capAfter, heldBlocks } of workers) {
    held += heldBlocks;
    for (let i = 0; i < blocks.length; i++) {
      value.push(blocks[i]!);
      rent.push(blocks[i]! * (tMs[end[i]!]! - tMs[start[i]!]!));
    }
    for (let m = 0; m + 1 < tMs.length; m++) budget += capAfter[m]! * (tMs[m + 1]! - tMs[m]!);
  }
  const oracle = new TtlOracle(value, rent);
  const bought = oracle.atRent(budget);
  const isShort = bought.saved < oracle.point(oracle.size).saved;
  return { blocks: bought.saved + held, gapMs: isShort ? 1 / bought.price : null };
}
