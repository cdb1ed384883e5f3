import type { BranchTable } from '../blocks.ts';
import type { KvAction, RankFacts, RankId } from '../ports.ts';
import type { ClaimTally } from './claim-tally.ts';

/** Sends an action to its worker. The object is given away with it: the plane writes its number into it. */
export type Act = (action: Omit<KvAction, 'id'>) => void;

/** What a retention policy is given besides events: shared chains, facts of ranks, and keyed draws. Never a clock. */
export interface RetentionEnv {
  readonly branches: BranchTable;
  /** Facts of a rank that joined; undefined for one that is not known (yet). */
  rankFacts(rank: RankId): RankFacts | undefined;
  /** Uniform in [0, 1), a function of the key alone, so that adding a policy never shifts another's draws. */
  draw(key: string): number;
  /** Share 0..1 of the rank's HBM in use by last report; absent = unknown, priced as full. */
  kvUsage?(rank: RankId): number;
  /** The same of its host tier; absent = unknown, priced as full. */
  hostUsage?(rank: RankId): number;
  /** Where refused and clipped claims are counted for reports; absent = nobody reads it. */
  readonly claims?: ClaimTally;
}
