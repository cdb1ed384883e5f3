/** A fleet of caches for tests of judgements: what each rank holds is said, everything else comes from the real facts. */
import { BRANCH_PRIVATE, type BranchId, BranchTable } from '../../../control/blocks.ts';
import type { Tier } from '../../../control/ports.ts';
import { REMOVAL } from '../../engine/removal.ts';
import { type CauseRun, TurnCauses } from '../../measure/turn-causes.ts';
import { PAUSE_KINDS } from '../../workload/workload.ts';
import { Attribution, type Holder, type Match, type SaltTwins } from './attribution.ts';
import { ComputingBlocks } from './computing-blocks.ts';
import { KnownContent } from './known-content.ts';
import { RemovalLedger } from './removal-ledger.ts';
import { SessionStates } from './session-states.ts';

export const BLOCK = 64;
const HOUR = 3_600_000;

/** Own blocks [from, to) of a branch in a tier. */
export type Held = readonly [tier: Tier, branch: BranchId, from: number, to: number];

export class CacheFleet {
  readonly branches = new BranchTable();
  readonly known = new KnownContent(this.branches);
  readonly computing = new ComputingBlocks(this.branches);
  readonly removals = new RemovalLedger();
  readonly holds: Held[][] = [[], [], []];
  readonly causes = new TurnCauses();
  /** Ranks that were asked. */
  readonly asked: number[] = [];
  /** Agent 0 of play 0: turn 0 until `idleMs`, a pause of `pause`, turn 1 since 10 h. */
  readonly states: SessionStates;
  twins: SaltTwins | undefined;
  declines: ((rank: number, branch: BranchId, offset: number) => boolean) | undefined;

  constructor(pause: (typeof PAUSE_KINDS)[number] = 'tool') {
    this.states = new SessionStates({
      parent: () => -1,
      pauseKind: () => PAUSE_KINDS.indexOf(pause),
      following: () => -1,
    });
    this.states.arrived(0, 0, 0);
    this.states.ended(0, HOUR);
    this.states.arrived(0, 1, 10 * HOUR);
  }

  /** A branch of the root, stored by play 0 in full on a rank and gone from there again unless it is said to be held. */
  stored(blocks: number, rank = 0, play = 0): BranchId {
    const branch = this.branches.add(-1, 0, blocks);
    this.known.ran(this.branches.add(branch, blocks, 1, BRANCH_PRIVATE), rank, play);
    this.known.store(branch, blocks);
    return branch;
  }

  /** Copies of own blocks went at a time in hours. */
  removed(branch: BranchId, from: number, to: number, atHours: number, reason: number = REMOVAL.capacity, tier = 0, rank = 0): void {
    this.removals.record(branch, from, to, atHours * HOUR, atHours * HOUR, reason, tier, rank, Number.POSITIVE_INFINITY);
  }

  /** Judges a prompt of turn 1, agent 0, play 0, on rank 0 at 10 h. */
  judge(facts: Partial<Match> & Pick<Match, 'branch' | 'depthBlocks' | 'promptTokens'>, atHours = 10): CauseRun[] {
    const workers = this.holds.map(
      (held, rank): Holder => ({
        advance: () => {
          this.asked.push(rank);
        },
        markHeld: (tier, branch, from, to, out, at, value) => {
          for (const [t, b, low, high] of held)
            if (t === tier && b === branch && low < to && high > from)
              out.fill(value, at + Math.max(low, from) - from, at + Math.min(high, to) - from);
        },
      }),
    );
    const { branches, known, computing, removals, states, twins, declines } = this;
    const attribution = new Attribution({
      branches,
      blockTokens: BLOCK,
      known,
      computing,
      removals,
      states,
      workers,
      ownBelow: [1, 2],
      below: [1, 2, 3],
      ...(twins === undefined ? {} : { twins }),
      ...(declines === undefined ? {} : { declines }),
    });
    const match: Match = {
      agent: 0,
      play: 0,
      reusableBlocks: 0,
      previousTokens: 0,
      previousTotal: 0,
      previousLeaf: -1,
      rank: 0,
      hitBlocks: 0,
      ...facts,
    };
    this.causes.open(1);
    attribution.judge(match, atHours * HOUR, this.causes);
    return this.causes.runs(1);
  }
}

/** Tokens by cause. */
export function byCause(runs: readonly CauseRun[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const run of runs) sums[run.cause] = (sums[run.cause] ?? 0) + run.tokens;
  return sums;
}
