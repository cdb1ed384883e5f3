/**
 * The HBM pool: a segment pool whose blocks may carry marks: a claim, the reference of a live session, a level. A mark belongs to
 * segments and is never a reference by a request; together they decide the list in which an idle segment waits, and so the victim order.
 *
 *     garbage  <  ordinary + expired, by release  <  referred, by release  <  soft pins, by deadline  <  leases, by deadline
 *
 * with one more list per class and level where blocks have a level other than the default. Deadlines of all marks, of blocks in use
 * or idle, lie in a heap. A later deadline of a mark is not entered: the row of the earlier one is, when it comes up, moved to where
 * the marks of its segment end now; rows of segments that are gone are skipped.
 * Source: engine specification 4.7, retention specification 4.1 and 7, ADR 9, worker port (marks).
 */
import type { BranchTable } from '../../../control/blocks.ts';
import { writesLazily } from '../lazy-write.ts';
import { REMOVAL } from '../removal.ts';
import type { EngineConfig } from '../worker.ts';
import { writesBack } from '../writes-back.ts';
import { DeadlineHeap } from './deadline-heap.ts';
import type { KvOutbox } from './kv-outbox.ts';
import type { ClaimTerms, LevelTerms, MarkTerms } from './mark-terms.ts';
import {
  AFTER,
  BACK,
  BELOW,
  CLEARS,
  DOOMED,
  DROPS,
  DUE,
  EXPIRED,
  FRONT,
  GARBAGE,
  IN_USE,
  LEASE,
  LEVELLED,
  LIVE,
  NONE,
  ORDINARY,
  pathBranch,
  pathLimit,
  REFERRED,
  SOFT,
  WORN,
} from './segment-columns.ts';
import { type PoolTotals, SegmentPool } from './segment-pool.ts';
import type { SegmentStore } from './segment-store.ts';

/** Told about claims that had to give way. */
export interface ClaimWatcher {
  broken(session: number, blocks: number): void;
}

/** What a pool asks of the tier below. */
export interface TierBelow {
  /** Number of blocks at the deep end of [from, to) of a branch that are all readable there; negative: that are all not. */
  deepRow(branch: number, from: number, to: number): number;
  /** A copy of these blocks left HBM; told if {@link HbmPool.tellsBelow}. */
  leftHbm(branch: number, from: number, to: number): void;
}

const RULES = DROPS | BACK | FRONT;
/** Classes of the victim order by list and mark; a list of a level is known by class x LEVELS + level. */
const CLASS_OF = { [ORDINARY]: 1, [LEVELLED]: 1, [REFERRED]: 2, [SOFT]: 3, [LEASE]: 4 } as Readonly<Record<number, number>>;
const LEVELS = 128;

export class HbmPool extends SegmentPool {
  watcher: ClaimWatcher | null = null;
  /** Victims to be copied below as (branch, from, to), in the order of eviction; the owner takes them out. Null = nobody wants them. */
  victims: number[] | null = null;
  /** The host tier; it honours claims whose floor it is. */
  below: TierBelow | null = null;
  tellsBelow = false;
  /** Victims of a lower level are not copied below. */
  private readonly keepFromLevel: number;
  /** A mark with onExpiry = drop was ever set: deadlines are effects of their own. */
  dropping = false;
  /** Level of blocks without one. */
  private readonly defaultLevel: number;
  private readonly deadlines = new DeadlineHeap();
  /** Lists in victim order behind the garbage, and class x LEVELS + level of each; empty until a reference or level was set. */
  readonly ranking: number[] = [];
  private readonly rankKeys: number[] = [];
  /** List by class x LEVELS + level. */
  private readonly levelLists = new Map<number, number>();
  /** Idle segments (id, generation) that go behind all others at the deadline in hand. */
  private readonly goingBack: number[] = [];

  /** `config`: levels of the engine, and whether it copies victims below. */
  constructor(branches: BranchTable, usable: number, outbox: KvOutbox, totals: PoolTotals, store: SegmentStore, config: EngineConfig) {
    super(branches, usable, outbox, totals, store);
    this.defaultLevel = config.defaultPriority ?? 0;
    this.keepFromLevel = config.offloadMinPriority ?? 0;
    if (writesBack(config)) this.victims = [];
    // What is copied ahead depends on every change of the victim order.
    if (writesLazily(config)) this.dropping = true;
  }

  /** Earliest deadline of a live mark; Infinity if none. */
  get nextExpiryMs(): number {
    const { deadlines } = this;
    while (deadlines.size > 0 && !this.topLives()) this.moveTop();
    return deadlines.size === 0 ? Infinity : deadlines.timeMs[0]!;
  }

  /**
   * The same if it is at most `tMs`, else Infinity. No mark ends before its row says: where even that lies ahead, nobody needs to know
   * whether it is still right.
   */
  expiryBy(tMs: number): number {
    const { deadlines } = this;
    if (deadlines.size === 0 || deadlines.timeMs[0]! > tMs) return Infinity;
    const until = this.nextExpiryMs;
    return until <= tMs ? until : Infinity;
  }

  override get claimed(): number {
    return this.idleFrom(3 * LEVELS);
  }

  /** Idle blocks that an ordinary one must not displace: claimed, of a live session, or above the default level. */
  get dear(): number {
    return this.idleFrom(LEVELS + this.defaultLevel + 1);
  }

  /** Idle blocks that are claimed or of at least that class x LEVELS + level. */
  private idleFrom(key: number): number {
    let blocks = super.claimed;
    for (let i = 0; i < this.ranking.length; i++) {
      const list = this.ranking[i]!;
      if (this.rankKeys[i]! >= key && list !== SOFT && list !== LEASE) blocks += this.listed[list]!;
    }
    return blocks;
  }

  /** Claims the resident copies of blocks [first, last) of a chain. Returns the number of distinct resident blocks. */
  claim(branch: number, first: number, last: number, terms: ClaimTerms): number {
    this.addClaimColumns();
    if (terms.rule === DROPS) this.dropping = true;
    return this.onRange(branch, first, last, (s) => this.setClaim(s, terms));
  }

  /** Marks the resident copies of a range as on the path of a live session. Returns the number of distinct resident blocks. */
  refer(branch: number, first: number, last: number, terms: MarkTerms): number {
    this.prepareMarks();
    if (terms.rule === DROPS) this.dropping = true;
    return this.onRange(branch, first, last, (s) => this.setReference(s, terms));
  }

  /** Gives the resident copies of a range a level. Returns the number of distinct resident blocks. */
  retain(branch: number, first: number, last: number, terms: LevelTerms): number {
    this.prepareMarks();
    if (terms.rule === DROPS) this.dropping = true;
    return this.onRange(branch, first, last, (s) => this.setLevel(s, terms));
  }

  /**
   * Releases the resident copies of blocks [first, last) of a chain to class 0; `reason` = what their eviction will be told as (REMOVAL).
   * Returns the number of distinct blocks.
   */
  demote(branch: number, first: number, last: number, reason: number): number {
    this.addClaimColumns();
    return this.onRange(branch, first, last, (s) => this.discard(s, reason));
  }

  private onRange(branch: number, first: number, last: number, change: (s: number) => void): number {
    const entries = this.branches.path(branch, last, pathBranch, pathLimit);
    let start = 0;
    let resident = 0;
    for (let i = 0; i < entries; i++) {
      const limit = pathLimit[i]!;
      const low = first - start;
      start += limit;
      if (low >= limit) continue;
      const b = pathBranch[i]!;
      resident += this.changeRange(this.chains.get(b), Math.max(low, 0), limit, change);
      if (this.copyBlocks > 0) this.changeRange(this.copies.get(b), Math.max(low, 0), limit, change);
    }
    return resident;
  }

  private changeRange(head: number, low: number, high: number, change: (s: number) => void): number {
    let blocks = 0;
    let s = head;
    while (s !== NONE) {
      this.touched++;
      if (this.from[s]! >= high || this.to[s]! <= low) {
        s = this.next[s]!;
        continue;
      }
      if (this.from[s]! < low) s = this.split(s, low);
      if (this.to[s]! > high) this.split(s, high);
      blocks += this.to[s]! - this.from[s]!;
      change(s);
      const prev = this.prev[s]!;
      if (this.tag[s] === 0 && prev !== NONE) {
        const end = this.to[s]!;
        this.mergeNext(prev);
        if (this.to[prev] === end) s = prev;
      }
      s = this.next[s]!;
    }
    return blocks;
  }

  private setClaim(s: number, terms: ClaimTerms): void {
    const old = this.mark[s]!;
    let mark = terms.mark;
    let until = terms.untilMs;
    if (old === SOFT || old === LEASE) {
      if (terms.mode === 'fixed') return;
      if (terms.mode === 'max') {
        if (old > mark) mark = old;
        if (this.until[s >> 4]! > until) until = this.until[s >> 4]!;
      }
    }
    if (this.list[s] !== IN_USE) this.remove(s);
    const before = this.until[s >> 4]!;
    this.until[s >> 4] = until;
    this.refresh[s >> 4] = terms.refreshMs;
    this.holder[s] = terms.session;
    this.drop[s >> 4] = terms.rule | (terms.floorsBelow ? BELOW : 0);
    this.mark[s] = mark;
    if (this.ref[s] === 0) this.listMarked(s);
    if ((old !== SOFT && old !== LEASE) || until < before) this.push(until, s);
  }

  private setReference(s: number, terms: MarkTerms): void {
    const old = this.mark[s]!;
    const isNew = this.refRule[s >> 4] === 0;
    const until = isNew ? terms.untilMs : Math.max(terms.untilMs, this.refUntil[s >> 4]!);
    this.refUntil[s >> 4] = until;
    this.refRefresh[s >> 4] = terms.refreshMs;
    this.refRule[s >> 4] = LIVE | terms.rule;
    if (isNew) this.push(until, s);
    if (old !== SOFT && old !== LEASE && old !== REFERRED) this.remark(s, REFERRED);
  }

  private setLevel(s: number, terms: LevelTerms): void {
    const old = this.mark[s]!;
    // Neither garbage nor what is about to be dropped has a level.
    if (old === GARBAGE || old === DOOMED) return;
    const had = this.level[s >> 4]! - 1;
    if (terms.merge === 'max' && had >= 0) {
      if (had > terms.level || (had === terms.level && this.levelUntil[s >> 4]! > terms.untilMs)) return;
    }
    const level = terms.level === this.defaultLevel ? 0 : terms.level + 1;
    this.level[s >> 4] = level;
    this.levelRule[s >> 4] = (terms.clears ? CLEARS : 0) | terms.rule;
    this.levelUntil[s >> 4] = terms.untilMs;
    this.levelRefresh[s >> 4] = terms.refreshMs;
    if (level > 0 && terms.untilMs < Infinity) this.push(terms.untilMs, s);
    if (level !== had + 1) this.levelChanged(s);
  }

  /** Gives a segment with another level than before its place. */
  private levelChanged(s: number): void {
    const old = this.mark[s]!;
    if (old === SOFT || old === LEASE || old === REFERRED) this.relist(s);
    else this.remark(s, this.markLeft(s));
  }

  /** Makes a segment garbage. */
  private discard(s: number, reason: number): void {
    this.remark(s, GARBAGE);
    this.drop[s >> 4] = reason;
    this.endMarks(s);
  }

  private endMarks(s: number): void {
    if (this.level.length === 0) return;
    this.refRule[s >> 4] = 0;
    this.level[s >> 4] = 0;
  }

  /** The mark of a segment without claim. */
  private markLeft(s: number): number {
    if (this.level.length === 0) return 0;
    if (this.refRule[s >> 4] !== 0) return REFERRED;
    return this.level[s >> 4] !== 0 ? LEVELLED : 0;
  }

  /** Gives a segment the mark 0, GARBAGE, REFERRED or LEVELLED in place of another one that is no live claim, and its place. */
  private remark(s: number, mark: number): void {
    const isAfter = this.isAfterClaim(s);
    this.mark[s] = mark;
    if (mark === 0) this.drop[s >> 4] = isAfter ? 0 : WORN;
    else this.drop[s >> 4] = isAfter ? AFTER : 0;
    this.relist(s);
  }

  /** Whether an idle segment had a claim, granted or refreshed since its last access, that ended. */
  private isAfterClaim(s: number): boolean {
    if (this.list[s] === EXPIRED) return (this.drop[s >> 4]! & WORN) === 0;
    const mark = this.mark[s]!;
    return (mark === REFERRED || mark === LEVELLED) && (this.drop[s >> 4]! & AFTER) !== 0;
  }

  /** Puts an idle segment in the list of its marks. */
  private relist(s: number): void {
    if (this.list[s] === IN_USE) return;
    this.remove(s);
    this.listAgain(s);
  }

  /** Puts an idle segment, in no list now, at the place of its release number. */
  private listAgain(s: number): void {
    const mark = this.mark[s]!;
    if (mark === 0) this.insertBySeq(EXPIRED, s);
    else if (mark === GARBAGE) this.insertBySeq(GARBAGE, s);
    else this.listMarked(s);
  }

  protected override listMarked(s: number): void {
    const mark = this.mark[s]!;
    const list =
      this.level.length === 0 || this.level[s >> 4] === 0 ? mark : this.levelList(CLASS_OF[mark]! * LEVELS + this.level[s >> 4]! - 1);
    if (mark === SOFT || mark === LEASE) this.insertByDeadline(list, s);
    else this.insertBySeq(list, s);
  }

  /** {@link release} of all blocks of a request of this session. */
  releaseOf(_session: number, leaf: number, depth: number, hashless: number, tag: number): void {
    this.release(leaf, depth, hashless, tag);
  }

  /** Class x LEVELS + level of a segment that is no garbage. */
  protected groupOf(s: number): number {
    const level = this.level.length === 0 ? 0 : this.level[s >> 4]!;
    return CLASS_OF[this.mark[s]!]! * LEVELS + (level === 0 ? this.defaultLevel : level - 1);
  }

  protected override evict(n: number): void {
    this.totals.hbmEvictedBlocks += n;
    this.cached -= n;
    let session = NONE;
    let broken = 0;
    while (n > 0) {
      const s = this.victim();
      const mark = this.mark[s]!;
      let length = Math.min(this.to[s]! - this.from[s]!, n);
      if (mark === SOFT || mark === LEASE) {
        length = this.rowOfClaim(s, length);
        const holder = this.holder[s]!;
        if (!this.isHonoured) {
          if (broken > 0 && holder !== session) {
            if (this.watcher !== null) this.watcher.broken(session, broken);
            broken = 0;
          }
          session = holder;
          this.totals.claimsBroken += length;
          broken += length;
        }
      }
      if (this.victims !== null && mark !== GARBAGE && this.isWorthKeeping(s)) {
        this.victims.push(this.branch[s]!, this.to[s]! - length, this.to[s]!);
      }
      const gone = this.evictFrom(s, length);
      n -= gone;
      this.outbox.taken += gone;
      this.isHonoured = false;
    }
    if (broken > 0 && this.watcher !== null) this.watcher.broken(session, broken);
  }

  /** How many of the last `n` blocks of a claimed segment share their fate: honoured below or not, which `isHonoured` tells. */
  private rowOfClaim(s: number, n: number): number {
    if (this.below === null || (this.drop[s >> 4]! & BELOW) === 0) return n;
    const row = this.below.deepRow(this.branch[s]!, this.to[s]! - n, this.to[s]!);
    this.isHonoured = row > 0;
    return Math.abs(row);
  }

  /** Whether an idle segment that is no garbage should be copied below before it goes. */
  isWorthKeeping(s: number): boolean {
    const level = this.level.length === 0 ? 0 : this.level[s >> 4]!;
    return (level === 0 ? this.defaultLevel : level - 1) >= this.keepFromLevel;
  }

  protected override evictFrom(s: number, n: number): number {
    const branch = this.branch[s]!;
    const to = this.to[s]!;
    const gone = super.evictFrom(s, n);
    if (this.tellsBelow) this.below!.leftHbm(branch, to - gone, to);
    return gone;
  }

  private prepareMarks(): void {
    this.addMarkColumns();
    if (this.ranking.length > 0) return;
    for (const list of [ORDINARY, REFERRED, SOFT, LEASE]) {
      this.ranking.push(list);
      this.rankKeys.push(CLASS_OF[list]! * LEVELS + this.defaultLevel);
    }
  }

  private levelList(key: number): number {
    const known = this.levelLists.get(key);
    if (known !== undefined) return known;
    const list = this.addList();
    this.levelLists.set(key, list);
    let at = 0;
    while (at < this.rankKeys.length && this.rankKeys[at]! < key) at++;
    this.rankKeys.splice(at, 0, key);
    this.ranking.splice(at, 0, list);
    return list;
  }

  override victim(): number {
    const { ranking, oldest } = this;
    if (ranking.length === 0) return super.victim();
    if (oldest[GARBAGE] !== NONE) return oldest[GARBAGE]!;
    for (let i = 0; i < ranking.length; i++) {
      const list = ranking[i]!;
      const s = oldest[list]!;
      const other = list === ORDINARY ? oldest[EXPIRED]! : NONE;
      if (other !== NONE && (s === NONE || this.seq[other >> 1]! < this.seq[s >> 1]!)) return other;
      if (s !== NONE) return s;
    }
    return NONE;
  }

  protected override hitMarked(s: number, nowMs: number): void {
    const mark = this.mark[s]!;
    if (mark === GARBAGE) this.mark[s] = 0;
    else if (mark === SOFT || mark === LEASE) {
      if (this.refresh[s >> 4] === 0) this.drop[s >> 4]! |= WORN;
      else if (nowMs + this.refresh[s >> 4]! > this.until[s >> 4]!) {
        this.until[s >> 4] = nowMs + this.refresh[s >> 4]!;
      }
    } else if (mark === REFERRED || mark === LEVELLED) this.drop[s >> 4] = 0;
    if (this.level.length > 0) this.hitLevel(s, nowMs);
  }

  private hitLevel(s: number, nowMs: number): void {
    const { refRule, refUntil, refRefresh, levelRule, levelUntil, levelRefresh } = this;
    if (refRule[s >> 4] !== 0 && refRefresh[s >> 4]! > 0 && nowMs + refRefresh[s >> 4]! > refUntil[s >> 4]!) {
      refUntil[s >> 4] = nowMs + refRefresh[s >> 4]!;
    }
    if (this.level[s >> 4] === 0) return;
    if ((levelRule[s >> 4]! & CLEARS) !== 0) levelUntil[s >> 4] = Infinity;
    else if (levelRefresh[s >> 4]! > 0 && nowMs + levelRefresh[s >> 4]! > levelUntil[s >> 4]!) {
      levelUntil[s >> 4] = nowMs + levelRefresh[s >> 4]!;
    }
  }

  protected override split(s: number, at: number): number {
    const deep = super.split(s, at);
    const mark = this.mark[deep]!;
    if (mark === SOFT || mark === LEASE) this.push(this.until[deep >> 4]!, deep);
    if (mark !== 0 && this.level.length > 0) {
      if (this.refRule[deep >> 4] !== 0) this.push(this.refUntil[deep >> 4]!, deep);
      if (this.level[deep >> 4] !== 0 && this.levelUntil[deep >> 4]! < Infinity) this.push(this.levelUntil[deep >> 4]!, deep);
    }
    return deep;
  }

  /** Ends the marks whose deadline lies before `tMs`, or at it if `inclusive`. Returns whether content was dropped. */
  expire(tMs: number, inclusive: boolean): boolean {
    let dropped = false;
    for (;;) {
      const until = this.expiryBy(tMs);
      if (!(until < tMs || (inclusive && until === tMs))) return dropped;
      if (this.expireInstant(until)) dropped = true;
    }
  }

  /** All marks of one deadline; moves and drops go in queue order. Returns whether content was dropped. */
  private expireInstant(until: number): boolean {
    let dropped = false;
    while (this.nextExpiryMs === until) {
      const s = this.deadlines.segment[0]!;
      this.deadlines.pop();
      this.touched++;
      if (this.expireSegment(s, until)) dropped = true;
    }
    if (this.goingBack.length > 0) this.moveBack();
    if (!dropped) return false;
    const { atMs } = this.outbox;
    this.outbox.at(until);
    // A drop may cut another due segment in two.
    for (let s = this.oldest[DUE]!; s !== NONE; s = this.oldest[DUE]!) this.forget(s, this.to[s]! - this.from[s]!);
    this.outbox.at(atMs);
    return true;
  }

  /** Ends what ends now on a segment. Returns whether its content is due. */
  private expireSegment(s: number, until: number): boolean {
    const mark = this.mark[s]!;
    const idle = this.ref[s] === 0;
    let rule = -1;
    let isAfter = this.isAfterClaim(s);
    let isClaimed = mark === SOFT || mark === LEASE;
    if (isClaimed && this.until[s >> 4] === until) {
      this.totals.claimsExpired += this.to[s]! - this.from[s]!;
      rule = this.drop[s >> 4]! & RULES;
      isAfter = idle && (this.drop[s >> 4]! & WORN) === 0;
      isClaimed = false;
    }
    if (this.level.length > 0) {
      if (this.refRule[s >> 4] !== 0 && this.refUntil[s >> 4] === until) {
        if (rule < 0) rule = this.refRule[s >> 4]! & RULES;
        this.refRule[s >> 4] = 0;
      }
      if (this.level[s >> 4] !== 0 && this.levelUntil[s >> 4] === until) {
        if (rule < 0) rule = this.levelRule[s >> 4]! & RULES;
        this.level[s >> 4] = 0;
      }
      // Another live mark holds the block where it is.
      if (isClaimed || this.refRule[s >> 4] !== 0) rule = 0;
    }
    if (rule === DROPS) return this.doom(s);
    if (rule === FRONT) this.discard(s, isAfter ? REMOVAL.afterClaim : REMOVAL.capacity);
    else if (isClaimed) this.relist(s);
    else {
      const left = this.markLeft(s);
      this.mark[s] = left;
      if (left === 0) this.drop[s >> 4] = isAfter ? 0 : WORN;
      else this.drop[s >> 4] = isAfter ? AFTER : 0;
      this.relist(s);
      if (rule === BACK && idle) {
        this.goingBack.push(s, this.generation[s]!);
        this.remove(s);
        return false;
      }
    }
    this.mergeAround(s);
    return false;
  }

  /** The content of a segment goes, now if it is idle, else with its last holder. Returns whether it is idle. */
  private doom(s: number): boolean {
    this.endMarks(s);
    if (this.list[s] === IN_USE) {
      this.mark[s] = DOOMED;
      return false;
    }
    this.remove(s);
    this.mark[s] = DUE;
    this.insertBySeq(DUE, s);
    return true;
  }

  /** Puts the segments in hand behind all others of their lists, in queue order. */
  private moveBack(): void {
    const { goingBack } = this;
    const moved: { s: number; born: number }[] = [];
    for (let i = 0; i < goingBack.length; i += 2) moved.push({ s: goingBack[i]!, born: goingBack[i + 1]! });
    goingBack.length = 0;
    moved.sort((a, b) => this.seq[a.s >> 1]! - this.seq[b.s >> 1]!);
    for (const { s } of moved) {
      this.seq[s >> 1] = this.releases;
      this.releases += this.to[s]! - this.from[s]!;
      this.listAgain(s);
    }
    for (const { s, born } of moved) if (this.generation[s] === born) this.mergeAround(s);
  }

  private mergeAround(s: number): void {
    if (this.tag[s] !== 0) return;
    const prev = this.prev[s]!;
    this.mergeNext(s);
    if (prev !== NONE) this.mergeNext(prev);
  }

  private topLives(): boolean {
    const { deadlines } = this;
    const s = deadlines.segment[0]!;
    if (this.generation[s] !== deadlines.generation[0]) return false;
    const until = deadlines.timeMs[0]!;
    const mark = this.mark[s]!;
    if ((mark === SOFT || mark === LEASE) && this.until[s >> 4] === until) return true;
    if (this.level.length === 0) return false;
    return (
      (this.refRule[s >> 4] !== 0 && this.refUntil[s >> 4] === until) || (this.level[s >> 4] !== 0 && this.levelUntil[s >> 4] === until)
    );
  }

  /** Moves row 0 of the heap, which is not when a mark ends, to where the first one of its segment does, or takes it away. */
  private moveTop(): void {
    const { deadlines } = this;
    const s = deadlines.segment[0]!;
    const isGone = this.generation[s] !== deadlines.generation[0];
    const past = deadlines.timeMs[0]!;
    deadlines.pop();
    if (isGone) return;
    const mark = this.mark[s]!;
    const row = s >> 4;
    let until = Infinity;
    if ((mark === SOFT || mark === LEASE) && this.until[row]! > past) until = this.until[row]!;
    if (this.level.length > 0) {
      if (this.refRule[row] !== 0 && this.refUntil[row]! > past) until = Math.min(until, this.refUntil[row]!);
      if (this.level[row] !== 0 && this.levelUntil[row]! > past) until = Math.min(until, this.levelUntil[row]!);
    }
    if (until < Infinity) this.push(until, s);
  }

  private push(until: number, s: number): void {
    this.deadlines.push(until, s, this.generation[s]!);
  }
}
