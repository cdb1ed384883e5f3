/** Families approx_ttl and approx_lru: indexes that hear no events and believe the router's own decisions. */
import { ChainInterner } from '../../../control/chain-interner.ts';
import { ApproximateIndex } from '../../../control/index/approximate-index.ts';
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
