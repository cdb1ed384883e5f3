/**
 * Why prompt tokens were missed. Every turn is judged once, when it is matched before its first admission, from recorded facts only:
 * what was ever stored, what is held where, what is being computed, and the ledger of removals.
 *
 *     | hits | known, missed: one cause per block | not known: compulsory by position | tail: uncacheable |
 *     0      f                                    K                                    cap              prompt
 *
 * Content is known up to some block and no further, because a block names its whole prefix. Source: retention specification 13.
 */
import { type BranchId, type BranchTable, MAX_PATH } from '../../../control/blocks.ts';
import type { Tier } from '../../../control/ports.ts';
import { REMOVAL } from '../../engine/removal.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { ATTRIBUTION_HORIZON_MS, CAUSE_FLAG, type Cause, causeCode } from '../../measure/causes.ts';
import type { TurnCauses } from '../../measure/turn-causes.ts';
import type { ComputingBlocks } from './computing-blocks.ts';
import type { KnownContent } from './known-content.ts';
import { NO_RANGE, type RemovalLedger } from './removal-ledger.ts';
import type { SessionStates } from './session-states.ts';

/** What is asked of a worker: see Worker. */
export interface Holder {
  advance(tMs: number, eventClass: number): void;
  markHeld(tier: Tier, branch: BranchId, from: number, to: number, out: Uint8Array, at: number, value: number): void;
}

/** A request that is about to be admitted for the first time. Depths in blocks. */
export interface Match {
  readonly agent: number;
  readonly play: number;
  /** The identified prompt. */
  readonly branch: BranchId;
  readonly depthBlocks: number;
  readonly promptTokens: number;
  /** Leading blocks that an earlier prompt of the play held. */
  readonly reusableBlocks: number;
  /** Previous turn of the same agent: prompt, prompt and answer, their chain. Prompt 0 = this is its first turn. */
  readonly previousTokens: number;
  readonly previousTotal: number;
  readonly previousLeaf: BranchId;
  readonly rank: number;
  readonly hitBlocks: number;
}

/** Content under another tenant's salt; see {@link Attribution}. */
export interface SaltTwins {
  /** How many of the blocks [fromBlocks, toBlocks) of a chain, from the first, some other tenant stored with the same unsalted content. */
  known(branch: BranchId, depthBlocks: number, fromBlocks: number): number;
}

/** Facts that judgements read. */
export interface CauseFacts {
  readonly branches: BranchTable;
  readonly blockTokens: number;
  readonly known: KnownContent;
  readonly computing: ComputingBlocks;
  readonly removals: RemovalLedger;
  readonly states: SessionStates;
  readonly workers: readonly Holder[];
  /** Tiers below HBM, fastest first: those of a worker alone, and all that it can read. */
  readonly ownBelow: readonly Tier[];
  readonly below: readonly Tier[];
  /** The host tier of a rank refuses blocks of too little use. Absent = none does. */
  readonly declines?: (rank: number, branch: BranchId, offset: number) => boolean;
  /** Absent = prompts are not salted by tenant. */
  readonly twins?: SaltTwins;
}

const CODE = {
  uncacheable: causeCode('uncacheable'),
  isolation: causeCode('isolation'),
  compaction: causeCode('prefix_broken.compaction'),
  rewrite: causeCode('prefix_broken.rewrite'),
  cold: causeCode('cold'),
  fresh: causeCode('fresh'),
  inFlight: causeCode('in_flight'),
  declined: causeCode('tier_too_slow.onboard_declined'),
  routed: causeCode('routed_elsewhere'),
  demoteDeclined: causeCode('demote_declined'),
  shared: causeCode('evicted_shared'),
  unknown: causeCode('unknown'),
} as const;

/** Cause by reason of the last removal; absent: an eviction for space. */
const BY_REASON: Readonly<Partial<Record<number, Cause>>> = {
  [REMOVAL.lost]: 'worker_lost',
  [REMOVAL.cleared]: 'cleared',
  [REMOVAL.released]: 'released',
  [REMOVAL.superseded]: 'superseded',
  [REMOVAL.timeout]: 'closed_by_timeout',
  [REMOVAL.claimBroken]: 'claim_broken',
  [REMOVAL.deadline]: 'ttl_expired',
  [REMOVAL.afterClaim]: 'ttl_expired',
};
const CODE_BY_REASON = Array.from({ length: 16 }, (_, reason) => {
  const cause = BY_REASON[reason];
  return cause === undefined ? -1 : causeCode(cause);
});

/** Where a missed block is: nowhere, finished on another worker, being computed, here in a tier (HERE + tier, the fastest). */
const ELSEWHERE = 1;
const COMPUTING = 2;
const HERE = 3;

/** Judges matches. Owns no facts but scratch columns. */
export class Attribution {
  /** Judged turns, missed blocks looked at, workers asked: the work done so far. */
  readonly work = { judged: 0, blocks: 0, asked: 0 };
  readonly #facts: CauseFacts;
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limit = new Int32Array(MAX_PATH);
  #where = new Uint8Array(1024);
  #scratch = new Uint8Array(1024);
  /** Of the first missed block. */
  #firstCause = 0;

  constructor(facts: CauseFacts) {
    this.#facts = facts;
  }

  /**
   * Writes the causes of all missed tokens of a match to the open row of `out`. Cost O(branches on the path); and for known content that is missed
   * O(blocks missed + ranks that ran through its branches).
   */
  judge(match: Match, tMs: number, out: TurnCauses): void {
    const { blockTokens } = this.#facts;
    const { promptTokens, hitBlocks } = match;
    this.work.judged++;
    const full = Math.floor(promptTokens / blockTokens);
    // The engine computes at least one token, so the last block of an aligned prompt never hits in HBM.
    const cap = Math.floor((promptTokens - 1) / blockTokens);
    const known = Math.min(this.#knownBlocks(match), cap);
    if (hitBlocks < known) this.#avoidable(match, hitBlocks, known, tMs, out);
    const from = Math.max(hitBlocks, known);
    if (from < cap) this.#compulsory(match, from, cap, out);
    out.add(CODE.uncacheable, promptTokens - Math.max(Math.min(cap, full), hitBlocks) * blockTokens, 0, 0);
  }

  /**
   * Leading blocks of the prompt that were stored, or are being computed. Whoever stored or computes a block had all before it, so the
   * deepest branch with one decides. Cost O(branches of which nobody has anything).
   */
  #knownBlocks({ branch, depthBlocks }: Match): number {
    const { branches, known, computing } = this.#facts;
    const { start, parent } = branches;
    let end = depthBlocks;
    for (let b = branches.at(branch, depthBlocks); b >= 0; b = parent[b]!) {
      const first = start[b]!;
      if (end <= first) continue;
      let blocks = known.stored(b);
      for (let e = computing.first(b); e > 0; e = computing.next(e)) if (computing.to(e) > blocks) blocks = computing.to(e);
      if (blocks > 0) return Math.min(end, first + blocks);
      end = first;
    }
    return 0;
  }

  // ---- content that nobody ever stored ------------------------------------------------------------------------------------------

  #compulsory(match: Match, from: number, to: number, out: TurnCauses): void {
    const { branches, blockTokens, twins } = this.#facts;
    let at = from;
    const twin = twins === undefined ? 0 : Math.min(twins.known(match.branch, match.depthBlocks, from), to - from);
    out.add(CODE.isolation, twin * blockTokens, 0, 0);
    at += twin;
    if (match.previousTokens === 0) {
      out.add(CODE.cold, (to - at) * blockTokens, 0, 0);
      return;
    }
    const length = Math.floor(match.previousTotal / blockTokens);
    const common = branches.commonDepth(match.branch, match.depthBlocks, match.previousLeaf, length);
    const broken = match.promptTokens < match.previousTokens / 2 ? CODE.compaction : CODE.rewrite;
    const end = Math.min(to, length);
    if (common > at) {
      const fresh = Math.min(common, to);
      out.add(CODE.fresh, (fresh - at) * blockTokens, 0, 0);
      at = fresh;
    }
    if (end > at) {
      out.add(broken, (end - at) * blockTokens, 0, 0);
      at = end;
    }
    out.add(CODE.fresh, (to - at) * blockTokens, 0, 0);
  }

  // ---- content that was known -----------------------------------------------------------------------------------------------------

  #avoidable(match: Match, from: number, to: number, tMs: number, out: TurnCauses): void {
    const count = to - from;
    this.work.blocks += count;
    if (count > this.#where.length) {
      this.#where = new Uint8Array(2 * count);
      this.#scratch = new Uint8Array(2 * count);
    }
    this.#where.fill(0, 0, count);
    const { branches } = this.#facts;
    const n = branches.path(match.branch, to, this.#path, this.#limit);
    let end = to;
    let first = n;
    while (first > 0 && end > from) end -= this.#limit[--first]!;
    let start = end;
    for (let i = first; i < n; i++) {
      const low = Math.max(from - start, 0);
      this.#locate(this.#path[i]!, low, this.#limit[i]!, start + low - from, match.rank, tMs);
      start += this.#limit[i]!;
    }
    this.#firstCause = -1;
    start = end;
    for (let i = first; i < n; i++) {
      const low = Math.max(from - start, 0);
      this.#explain(match, this.#path[i]!, low, this.#limit[i]!, start, from, tMs, out);
      start += this.#limit[i]!;
    }
  }

  /** Finds out where own blocks [low, high) of a branch are; the first of them stands at `at` of the scratch column. */
  #locate(branch: BranchId, low: number, high: number, at: number, rank: number, tMs: number): void {
    const { known, computing, workers, below } = this.#facts;
    const where = this.#where;
    for (let e = computing.first(branch); e > 0; e = computing.next(e)) {
      const a = Math.max(low, computing.done(e));
      const b = Math.min(high, computing.to(e));
      if (a < b) where.fill(COMPUTING, at + a - low, at + b - low);
    }
    const { ranks } = known;
    const head = ranks.head[branch] ?? 0;
    if (head !== 0) {
      const isDense = ranks.isDense(branch);
      const length = isDense ? ranks.rankRoom : ranks.arena[head]!;
      for (let k = 0; k < length; k++) {
        const w = isDense ? k : ranks.arena[head + 2 + 2 * k]!;
        if (w === rank || (isDense && ranks.arena[head + 2 + k] === 0)) continue;
        this.#ask(w, branch, low, high, at, tMs);
      }
    }
    for (let i = below.length - 1; i >= 0; i--) workers[rank]!.markHeld(below[i]!, branch, low, high, where, at, HERE + below[i]!);
    workers[rank]!.markHeld(0, branch, low, high, where, at, HERE);
  }

  /** Marks what another worker holds and has finished. */
  #ask(rank: number, branch: BranchId, low: number, high: number, at: number, tMs: number): void {
    const { computing, workers, ownBelow } = this.#facts;
    const worker = workers[rank]!;
    this.work.asked++;
    // A worker that jumps shows the steps up to now only when it is advanced.
    worker.advance(tMs, EVENT_CLASS.stepEnd);
    if (computing.first(branch) === 0) {
      worker.markHeld(0, branch, low, high, this.#where, at, ELSEWHERE);
      for (const tier of ownBelow) worker.markHeld(tier, branch, low, high, this.#where, at, ELSEWHERE);
      return;
    }
    const held = this.#scratch;
    const count = high - low;
    held.fill(0, 0, count);
    worker.markHeld(0, branch, low, high, held, 0, ELSEWHERE);
    for (let e = computing.first(branch); e > 0; e = computing.next(e)) {
      if (computing.rank(e) !== rank) continue;
      const a = Math.max(low, computing.done(e));
      const b = Math.min(high, computing.to(e));
      if (a < b) held.fill(0, a - low, b - low);
    }
    for (const tier of ownBelow) worker.markHeld(tier, branch, low, high, held, 0, ELSEWHERE);
    for (let i = 0; i < count; i++) if (held[i] !== 0) this.#where[at + i] = ELSEWHERE;
  }

  /** Names the causes of own blocks [low, high) of a branch that starts at depth `start`; `from` = first missed block of the prompt. */
  #explain(match: Match, branch: BranchId, low: number, high: number, start: number, from: number, tMs: number, out: TurnCauses): void {
    const { blockTokens, known } = this.#facts;
    const where = this.#where;
    const shift = start - from;
    for (let x = low; x < high; ) {
      const place = where[x + shift]!;
      let end = x + 1;
      while (end < high && where[end + shift] === place) end++;
      const tokens = (end - x) * blockTokens;
      if (place >= HERE) {
        const tier = place - HERE;
        // In front of everything else that is missed: the engine could have taken it from there, and did not.
        if (this.#firstCause < 0 || this.#firstCause === CODE.declined) this.#add(CODE.declined, tokens, 0, tier, out);
        else out.add(this.#firstCause, tokens, CAUSE_FLAG.shadowed, tier);
      } else if (place === ELSEWHERE) {
        const was = Math.min(Math.max(known.ranks.get(branch, match.rank), x), end);
        this.#add(CODE.routed, (was - x) * blockTokens, CAUSE_FLAG.alsoEvictedHere, 0, out);
        this.#add(CODE.routed, (end - was) * blockTokens, 0, 0, out);
      } else if (place === COMPUTING) this.#add(CODE.inFlight, tokens, 0, 0, out);
      else this.#gone(match, branch, x, end, start, tMs, out);
      x = end;
    }
  }

  #add(cause: number, tokens: number, flags: number, tier: number, out: TurnCauses): void {
    if (tokens > 0 && this.#firstCause < 0) this.#firstCause = cause;
    out.add(cause, tokens, flags, tier);
  }

  /** Own blocks [low, high) of a branch, of which no copy is left: their last removal says why. */
  #gone(match: Match, branch: BranchId, low: number, high: number, start: number, tMs: number, out: TurnCauses): void {
    const { removals, blockTokens, declines } = this.#facts;
    let x = low;
    let e = removals.find(branch, x);
    while (x < high) {
      const end = e === NO_RANGE ? high : Math.min(high, removals.from(e) > x ? removals.from(e) : removals.to(e));
      if (e === NO_RANGE || removals.from(e) > x) {
        this.#add(CODE.unknown, (end - x) * blockTokens, 0, 0, out);
        x = end;
        continue;
      }
      const goneMs = removals.atMs(e);
      const isOld = tMs - goneMs > ATTRIBUTION_HORIZON_MS;
      const cause = CODE_BY_REASON[removals.reason(e)]!;
      const flags = isOld ? CAUSE_FLAG.horizon : 0;
      const tier = removals.tier(e);
      if (cause >= 0 && !isOld) this.#add(cause, (end - x) * blockTokens, flags, tier, out);
      else if (!isOld && tier === 0 && declines?.(removals.rank(e), branch, x) === true) {
        this.#add(CODE.demoteDeclined, (end - x) * blockTokens, flags, tier, out);
      } else {
        const owned = Math.min(Math.max(this.#ownedBlocks(match, branch) - start, x), end);
        if (owned > x) this.#add(this.#facts.states.causeAt(match.agent, goneMs), (owned - x) * blockTokens, flags, tier, out);
        this.#add(CODE.shared, (end - owned) * blockTokens, flags, tier, out);
      }
      x = end;
      if (x >= removals.to(e)) e = removals.next(e);
    }
  }

  /** Leading blocks of the prompt that the session had asked for, or made, before. */
  #ownedBlocks(match: Match, branch: BranchId): number {
    const { known, branches, blockTokens } = this.#facts;
    if (known.owner(branch) === match.play) return Number.POSITIVE_INFINITY;
    if (match.previousTokens === 0) return match.reusableBlocks;
    const length = Math.floor(match.previousTotal / blockTokens);
    return Math.max(match.reusableBlocks, branches.commonDepth(match.branch, match.depthBlocks, match.previousLeaf, length));
  }
}
