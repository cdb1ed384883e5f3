/** Families approx_ttl and approx_lru: indexes that hear no events and believe the router's own decisions. */
import { ChainInterner } from '../../../control/chain-interner.ts';
import { ApproximateIndex } from '../../../control/index/approximate-index.ts';
import { LruIndex, type LruStats } from '../../../control/index/lru-index.ts';
import { matchColumns } from '../../../control/index/match-columns.ts';
import { type CaseOutcome, firstDifference } from '../suite.ts';
import { RankNames } from './live-index.ts';

type Score = readonly [worker: number, rank: number, blocks: number];

/** One recorded scenario of the index with a time to live. */
export interface ApproxTtlCase {
  readonly id: string;
  readonly ttl_ms: number;
  readonly bucket_ms: number;
  readonly ops: readonly (
    | readonly ['d', number, number, number, readonly number[]]
    | readonly ['W', number, number]
    | readonly ['q', number, readonly number[], readonly Score[]]
  )[];
}

const RANK_ROOM = 64;

/** Decisions and queries through `ApproximateIndex`, without pruning by size. */
export function replayApproxTtl({ id, ttl_ms: ttlMs, bucket_ms: bucketMs, ops }: ApproxTtlCase): CaseOutcome {
  const interner = new ChainInterner();
  const index = new ApproximateIndex(interner.branches, { ttlMs, bucketMs, maxBlocks: Number.POSITIVE_INFINITY });
  const ranks = new RankNames();
  const match = matchColumns(RANK_ROOM);
  let fields = 0;
  for (const [i, op] of ops.entries()) {
    if (op[0] === 'd') index.placed(ranks.id(op[2], op[3]), interner.intern(op[4]), op[4].length, op[1]);
    else if (op[0] === 'W') for (const rank of ranks.of(op[2])) index.dropRank(rank);
    else {
      const [, nowMs, locals, scores] = op;
      const { branch, depthBlocks } = interner.find(locals);
      index.match(branch, depthBlocks, nowMs, match);
      const got = ranks.sorted().flatMap((rank) => (match.hbm[rank]! > 0 ? [[...ranks.names[rank]!, match.hbm[rank]!]] : []));
      fields += Math.max(1, 3 * scores.length);
      const difference = firstDifference(`op ${i} scores`, got, scores);
      if (difference !== undefined) return { id, fields, difference };
    }
  }
  return { id, fields: Math.max(1, fields) };
}

/** One recorded scenario of the index with a capacity per worker. */
export interface ApproxLruCase {
  readonly id: string;
  /** Blocks by worker; every worker has one rank. */
  readonly capacities: readonly number[];
  readonly ops: readonly (
    | readonly ['acquire', string, number, readonly number[], number]
    | readonly ['materialize', string, readonly number[], number]
    | readonly ['release', string]
    | readonly ['capacity', number, number]
    | readonly ['q', readonly number[], readonly Score[], LruStats]
  )[];
}

/** Attempts, capacities and queries through `LruIndex`; its statistics are summed over ranks. */
export function replayApproxLru({ id, capacities, ops }: ApproxLruCase): CaseOutcome {
  const interner = new ChainInterner();
  const index = new LruIndex(interner.branches);
  const match = matchColumns(Math.max(RANK_ROOM, capacities.length));
  const attempts = new Map<string, { readonly attempt: number; readonly chain: number[] }>();
  for (const [rank, blocks] of capacities.entries()) index.setCapacity(rank, blocks);
  let fields = 0;
  for (const [i, op] of ops.entries()) {
    if (op[0] === 'acquire') {
      const [, name, rank, locals, privateBlocks] = op;
      const started = { attempt: i, chain: [...locals] };
      attempts.set(name, started);
      index.acquire(started.attempt, rank, interner.intern(locals), locals.length, privateBlocks);
    } else if (op[0] === 'materialize') {
      const { attempt, chain } = attempts.get(op[1])!;
      chain.push(...op[2]);
      index.materialize(attempt, interner.intern(chain), chain.length, op[3]);
    } else if (op[0] === 'release') index.release(attempts.get(op[1])!.attempt);
    else if (op[0] === 'capacity') index.setCapacity(op[1], op[2]);
    else {
      const [, locals, scores, recorded] = op;
      const { branch, depthBlocks } = interner.find(locals);
      index.match(branch, depthBlocks, 0, match);
      const got = capacities.flatMap((_, rank) => (match.hbm[rank]! > 0 ? [[rank, 0, match.hbm[rank]!]] : []));
      const names = ['active', 'inactive', 'over', 'private', 'resident'] as const;
      const sums = names.map((name) => capacities.reduce((sum, _, rank) => sum + index.stats(rank)[name], 0));
      fields += Math.max(1, 3 * scores.length) + names.length;
      const expected = names.map((name) => recorded[name]);
      const difference = firstDifference(`op ${i} scores`, got, scores) ?? firstDifference(`op ${i} stats`, sums, expected);
      if (difference !== undefined) return { id, fields, difference };
    }
  }
  return { id, fields: Math.max(1, fields) };
}
