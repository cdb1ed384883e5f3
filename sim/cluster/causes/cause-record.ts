/**
 * Gathers the facts that misses are judged from as a run goes on, has each turn judged once, and keeps what came of it: the runs of every
 * turn and the sums. The cluster tells it what happens; it never changes the run.
 */
import { BRANCH_SESSION, type BranchId } from '../../../control/blocks.ts';
import { RankLists } from '../../../control/index/rank-lists.ts';
import { KV_STORED, type KvEventBatch, TIER, type Tier } from '../../../control/ports.ts';
import { SourceTally, type TokenSources } from '../../measure/token-sources.ts';
import { TurnCauses } from '../../measure/turn-causes.ts';
import { TURN_CLASSES, type Workload } from '../../workload/workload.ts';
import type { Attempts } from '../attempts.ts';
import type { ClusterSpec } from '../cluster-spec.ts';
import { AgentTurns, TurnMatch } from './agent-turns.ts';
import { Attribution, type Holder, type Match } from './attribution.ts';
import type { CauseWork } from './cause-work.ts';
import { ComputingBlocks } from './computing-blocks.ts';
import { KnownContent, SHARED } from './known-content.ts';
import { RemovalLedger } from './removal-ledger.ts';
import { SessionStates } from './session-states.ts';
import { UnsaltedContent } from './unsalted-content.ts';

export class CauseRecord {
  /** Runs of missed tokens by row of the turn table. */
  readonly causes = new TurnCauses();
  readonly #workload: Workload;
  readonly #known: KnownContent;
  readonly #unsalted: UnsaltedContent | undefined;
  readonly #computing: ComputingBlocks;
  readonly #removals = new RemovalLedger();
  readonly #states: SessionStates;
  readonly #attribution: Attribution;
  readonly #tally = new SourceTally(TURN_CLASSES);
  readonly #turns = new AgentTurns();
  /** Overwritten by every match. */
  readonly #match = new TurnMatch();
  /** Ranks whose host tier is choosy, and the own blocks of each branch that it ever took. */
  readonly #choosy: Uint8Array;
  readonly #taken = new RankLists();
  /** 1 = the turn was admitted; by row of the turn table. */
  #admitted = new Uint8Array(1024);
  /** Last time at which an agent of a play changed state, and 1 = it ended; by play. */
  #changedMs = new Float64Array(256);
  #over = new Uint8Array(256);

  constructor(spec: ClusterSpec, workers: readonly Holder[]) {
    const { workload } = spec;
    this.#workload = workload;
    this.#known = new KnownContent(workload.branches);
    this.#unsalted = workload.unsalted === undefined ? undefined : new UnsaltedContent(workload.branches, workload.unsalted);
    this.#computing = new ComputingBlocks(workload.branches);
    const { agents, turns } = workload;
    this.#states = new SessionStates({
      parent: (agent) => agents.parent[agent]!,
      pauseKind: (turn) => turns.pauseKind(turn),
      following: (turn) => (turn + 1 < agents.turnTo[turns.agent(turn)]! ? turn + 1 : -1),
    });
    this.#choosy = Uint8Array.from(spec.fleet.workers, ({ config: c }) =>
      c.hostBlocks > 0 && (c.storeThreshold > 1 || c.storePromptOnly) ? 1 : 0,
    );
    this.#attribution = new Attribution({
      branches: workload.branches,
      blockTokens: workload.blockTokens,
      known: this.#known,
      computing: this.#computing,
      removals: this.#removals,
      states: this.#states,
      workers,
      ...(this.#unsalted === undefined ? {} : { twins: this.#unsalted }),
      ...lowerTiers(spec),
      declines: (rank, branch, offset) => this.#choosy[rank] === 1 && offset >= this.#taken.get(branch, rank),
    });
  }

  /** The warm-up is over: the sums start again; facts stay. */
  reset(): void {
    this.#tally.reset();
  }

  get sources(): TokenSources {
    return this.#tally.sources();
  }

  /** How much was done, for benchmarks and tests of the cost. */
  get work(): CauseWork {
    const { touched, count, bytes } = this.#removals;
    return { ...this.#attribution.work, rangesTouched: touched, ranges: count, bytes: bytes + this.causes.bytes };
  }

  // ---- what happens to turns ------------------------------------------------------------------------------------------------------

  /** A turn reached the gateway; not for the first time if it is a retry. */
  arrived(turn: number, isRetry: boolean, tMs: number): void {
    const { turns } = this.#workload;
    const agent = turns.agent(turn);
    if (isRetry) this.#states.reopened(agent);
    else this.#states.arrived(agent, turn, tMs);
    this.#changed(turn, tMs);
  }

  /** A request was matched before its first admission and takes blocks now. */
  matched(attempts: Attempts, id: number, tMs: number, hitBlocks: number): void {
    const row = attempts.row(id);
    const isJudged = row < this.#admitted.length && this.#admitted[row] !== 0;
    if (!isJudged) {
      this.causes.open(row);
      this.#attribution.judge(this.#matchOf(attempts, id, hitBlocks), tMs, this.causes);
    }
    this.#known.ran(attempts.leaf(id), attempts.rank(id), this.#workload.turns.play(attempts.turn(id)));
  }

  /** An admission of an attempt. Returns the avoidable tokens of its turn, or -1 if the turn was admitted before. */
  admitted(attempts: Attempts, id: number, tMs: number, hbmTokens: number, hostTokens: number, isFirst: boolean): number {
    const { turns, blockTokens } = this.#workload;
    const turn = attempts.turn(id);
    const row = attempts.row(id);
    const fromBlocks = Math.floor((hbmTokens + hostTokens) / blockTokens);
    this.#computing.begin(id, attempts.rank(id), turns.branch(turn), turns.depthBlocks(turn), fromBlocks);
    if (!isFirst) {
      this.#states.resumed(turns.agent(turn), tMs);
      this.#changed(turn, tMs);
    }
    if (row >= this.#admitted.length) this.#admitted = widenedBytes(this.#admitted, row + 1);
    if (this.#admitted[row] !== 0) return -1;
    this.#admitted[row] = 1;
    return this.#tally.add(turns.turnClass(turn), hbmTokens, hostTokens, row, this.causes);
  }

  firstToken(id: number): void {
    this.#computing.end(id);
  }

  preempted(attempts: Attempts, id: number, tMs: number): void {
    const turn = attempts.turn(id);
    this.#computing.end(id);
    this.#states.preempted(this.#workload.turns.agent(turn), tMs);
    this.#changed(turn, tMs);
  }

  /** An engine is done with an attempt. */
  ended(attempts: Attempts, id: number, tMs: number): void {
    const { turns } = this.#workload;
    const turn = attempts.turn(id);
    this.#computing.end(id);
    this.#states.ended(turns.agent(turn), tMs);
    this.#changed(turn, tMs);
  }

  /** Nobody will ask for the content of this play alone any more. Cost O(its branches). */
  playEnded(play: number): void {
    const { plays, agents, turns, branches } = this.#workload;
    if (play >= this.#over.length) this.#over = widenedBytes(this.#over, play + 1);
    this.#over[play] = 1;
    const seen = new Set<BranchId>();
    for (let a = plays.agentFrom[play]!; a < plays.agentTo[play]!; a++) {
      this.#states.forget(a);
      for (let t = agents.turnFrom[a]!; t < agents.turnTo[a]!; t++) {
        for (let b = turns.branch(t); b >= 0 && !seen.has(b) && (branches.flags[b]! & BRANCH_SESSION) !== 0; b = branches.parent[b]!) {
          seen.add(b);
          this.#removals.forget(b);
        }
      }
    }
  }

  // ---- what happens to blocks -----------------------------------------------------------------------------------------------------

  /** A worker published a batch. */
  stored(batch: KvEventBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.kind[i] !== KV_STORED) continue;
      const branch = batch.branch[i]!;
      const to = batch.to[i]!;
      this.#known.store(branch, to);
      this.#unsalted?.store(branch, to);
      if (batch.tier[i] === 0) {
        if (this.#computing.first(branch) > 0) this.#computing.stored(batch.rank, branch, to);
      } else if (this.#choosy[batch.rank] === 1 && this.#taken.get(branch, batch.rank) < to) this.#taken.set(branch, batch.rank, to);
    }
  }

  /**
   * Copies left a tier; see WorkerSink.removed. False if the window is too wide to tell the states of those who may ask for them: their
   * owner changed state since it began, or several own them.
   */
  removed(rank: number, tier: number, branch: BranchId, from: number, to: number, sinceMs: number, tMs: number, reason: number): boolean {
    const owner = this.#known.owner(branch);
    let changedMs = Number.POSITIVE_INFINITY;
    if (owner !== undefined && owner !== SHARED) {
      if (this.#over[owner] === 1 && (this.#workload.branches.flags[branch]! & BRANCH_SESSION) !== 0) return true;
      changedMs = this.#changedMs[owner]!;
    }
    if (sinceMs < tMs && sinceMs <= changedMs) return false;
    this.#removals.record(branch, from, to, sinceMs, tMs, reason, tier, rank, changedMs);
    return true;
  }

  #changed(turn: number, tMs: number): void {
    const play = this.#workload.turns.play(turn);
    if (play >= this.#changedMs.length) {
      const wide = new Float64Array(Math.max(play + 1, this.#changedMs.length * 2));
      wide.set(this.#changedMs);
      this.#changedMs = wide;
    }
    this.#changedMs[play] = tMs;
  }

  #matchOf(attempts: Attempts, id: number, hitBlocks: number): Match {
    const { turns, blockTokens } = this.#workload;
    const m = this.#match;
    const turn = attempts.turn(id);
    m.agent = turns.agent(turn);
    m.play = turns.play(turn);
    m.branch = turns.branch(turn);
    m.depthBlocks = turns.depthBlocks(turn);
    m.promptTokens = turns.promptTokens(turn);
    m.reusableBlocks = Math.floor(turns.reusableTokens(turn) / blockTokens);
    m.rank = attempts.rank(id);
    m.hitBlocks = hitBlocks;
    this.#turns.next(m, turn, attempts.leaf(id), m.promptTokens + turns.outputTokens(turn));
    return m;
  }
}

/** Tiers below HBM that some worker has: its own, and with those that it shares. */
function lowerTiers({ fleet }: ClusterSpec): { readonly ownBelow: readonly Tier[]; readonly below: readonly Tier[] } {
  const has = (tier: Tier): boolean => fleet.workers.some((w) => w.lower?.some((one) => one.tier === tier) === true);
  const ownBelow: readonly Tier[] = has(TIER.disk) ? [TIER.host, TIER.disk] : [TIER.host];
  return { ownBelow, below: has(TIER.remote) ? [...ownBelow, TIER.remote] : ownBelow };
}

function widenedBytes(column: Uint8Array<ArrayBuffer>, needed: number): Uint8Array<ArrayBuffer> {
  const wide = new Uint8Array(Math.max(needed, column.length * 2));
  wide.set(column);
  return wide;
}
