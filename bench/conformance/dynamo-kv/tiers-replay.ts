/** Family tiers: events of four tiers through engine-hash map, feed and index; the tier walk and what it is worth to the router. */
import type { Tier } from '../../../control/ports.ts';
import { cachedTokens, effectiveBlocks } from '../../../control/router/features.ts';
import { type CaseOutcome, type Difference, firstDifference } from '../suite.ts';
import { LiveIndex, type RecordedBlock } from './live-index.ts';

type Overlap = readonly [
  worker: number,
  rank: number,
  device: number,
  host: number,
  disk: number,
  external: number,
  effectiveBlocks: number,
  cachedTokens: number,
];

/** One recorded scenario. */
export interface TiersCase {
  readonly id: string;
  readonly block_size: number;
  readonly host_weight: number;
  readonly disk_weight: number;
  readonly ranks: readonly (readonly [number, number])[];
  readonly ops: readonly (
    | readonly ['s', Tier, number, number, number | null, readonly RecordedBlock[]]
    | readonly ['r', Tier, number, number, readonly number[]]
    | readonly ['c', Tier, number, number]
    | readonly ['q', readonly number[], readonly Overlap[]]
  )[];
}

/** Replays one scenario up to its first difference. */
export function replayTiers(recorded: TiersCase): CaseOutcome {
  const { id, block_size: blockTokens, host_weight: h, disk_weight: k, ranks, ops } = recorded;
  const index = new LiveIndex();
  let fields = 0;
  for (const [i, op] of ops.entries()) {
    if (op[0] === 's') index.stored(op[1], op[2], op[3], op[4], op[5]);
    else if (op[0] === 'r') index.removed(op[1], op[2], op[3], op[4]);
    else if (op[0] === 'c') index.cleared(op[2], op[3], op[1]);
    else {
      const input = { match: index.match(op[1]), constants: { c: 1, h, k }, estimatedBlocks: null, blockTokens };
      const { hbm, host, disk, remote } = input.match;
      const got = ranks.map(([worker, rank]): Overlap => {
        const at = index.ranks.id(worker, rank);
        const blocks = [hbm[at]!, host[at]!, disk[at]!, remote[at]!] as const;
        return [worker, rank, ...blocks, effectiveBlocks(input, at), cachedTokens(input, at)];
      });
      fields += 6 * op[2].length;
      const difference: Difference | undefined = firstDifference(`op ${i} overlap`, got, op[2]);
      if (difference !== undefined) return { id, fields, difference };
    }
  }
  return { id, fields: Math.max(1, fields) };
}
