/**
 * Storage of cache segments. A segment is a range of own blocks of one branch in which every block has the same reference count,
 * the same claim, and consecutive places in the eviction order.
 *
 *     branch chain (by offset)      [0..64) ref 2  <->  [64..90) ref 0  <->  [95..99) ref 0        hole at 90: 95.. are orphans
 *     eviction order (by age)       oldest  … <-> [95..99) <-> … <-> [64..90) <-> …  youngest       one list per victim class
 *
 * Facts of segments are columns of a store (segment-store.ts). Each idle (unreferenced) block has its own release number; a segment stores the number of its OLDEST block, the others follow without gaps, deep end first (`up` = 0:
 * released leaf to root) or shallow end first (`up` = 1: inserted in order, host tier). So two segments merge exactly when the
 * blocks would be neighbours in a per-block queue.
 * Source: engine specification 2.2 and 6.6, data-structures specification 2.
 */
import { type BranchTable, MAX_PATH } from '../../../control/blocks.ts';
import { IntMap } from './int-map.ts';
import { NONE, PIECE, ROW, type SegmentStore, SegmentViews, type StoreUser } from './segment-store.ts';

export { NONE } from './segment-store.ts';

/**
 * Lists of the eviction order. Ordinary and expired blocks are one victim class, merged by release number; soft pins and leases are
 * ordered by (deadline, release number), the others by release number. Lists of blocks with a level follow from LISTS on, made when
 * needed (hbm-pool.ts).
 */
export const ORDINARY = 0;
export const EXPIRED = 1;
export const GARBAGE = 2;
export const SOFT = 3;
export const LEASE = 4;
export const REFERRED = 5;
/** `mark` of a segment of class 1 with a level of its own. */
export const LEVELLED = 6;
/** `mark` of a referenced segment whose last mark, with onExpiry = drop, has ended: content goes with the last reference. */
export const DOOMED = 7;
/** `mark` and list of idle segments that are about to be dropped. */
export const DUE = 8;
/** `mark` of a segment of the host tier that is being written by the transfer job `holder`. */
export const WRITING = 9;
export const LISTS = 9;
/**
 * Bits of `drop`, of `refRule` and `levelRule`: what happens at the deadline (none = the block stays where it is). Further bits of
 * `drop`: a hit that did not refresh the claim came after its grant; a claim granted or refreshed since the last access has ended though
 * another mark lives. Of `refRule` and `levelRule`: there is such a mark; a hit takes the deadline away.
 */
export const DROPS = 1;
export const WORN = 2;
export const BACK = 4;
export const FRONT = 8;
export const AFTER = 16;
export const LIVE = 32;
export const CLEARS = 64;
/** Bit of `drop`: a readable copy in the host tier honours the claim as well. */
export const BELOW = 128;
/** `list` of a segment that is in no list (referenced). */
export const IN_USE = -1;

/** Scratch for the path of a chain, root first; shared by all pools, valid until the next path is taken. */
export const pathBranch = new Int32Array(MAX_PATH);
export const pathLimit = new Int32Array(MAX_PATH);

/** Columns, branch chains and order lists. */
export class SegmentColumns extends SegmentViews implements StoreUser {
  /** First segment of each branch with primary copies, and of each branch with later copies. */
  readonly chains = new IntMap(6);
  readonly copies = new IntMap(2);
  /** Oldest and youngest segment per list. */
  oldest = new Int32Array(LISTS).fill(NONE);
  youngest = new Int32Array(LISTS).fill(NONE);
  /** Blocks per list. */
  listed = new Float64Array(LISTS);
  /** Next release number. */
  releases = 0;
  /** Live segments, now and at most. */
  segments = 0;
  /** Segments visited by any operation. */
  touched = 0;
  protected readonly branches: BranchTable;
  private readonly store: SegmentStore;
  private readonly pieces: number[] = [];
  private freeHead = NONE;
  /** Rows of the last piece that were never used. */
  private fresh = 0;
  private freshLeft = 0;

  constructor(branches: BranchTable, store: SegmentStore) {
    super();
    this.branches = branches;
    this.store = store;
    store.join(this);
  }

  moved(): void {
    this.share(this.store);
  }

  /** Gives the memory of all segments back; the pool is of no use any more. */
  retire(): void {
    this.store.leave(this, this.pieces);
  }

  /** Makes room for claims; most pools never see one. */
  protected addClaimColumns(): void {
    this.store.addClaims();
  }

  /** Makes room for references and levels. */
  protected addMarkColumns(): void {
    this.store.addClaims();
    this.store.addLevels();
  }

  /** Makes room for the facts of rankers. */
  protected addRankColumns(): void {
    this.store.addRanks();
  }

  /** A new empty list. */
  protected addList(): number {
    const list = this.oldest.length;
    for (const name of ['oldest', 'youngest'] as const) {
      const wide = new Int32Array(list + 1).fill(NONE);
      wide.set(this[name]);
      this[name] = wide;
    }
    const wide = new Float64Array(list + 1);
    wide.set(this.listed);
    this.listed = wide;
    return list;
  }

  /** Bytes of the maps, and an equal share of the rows. */
  get bytes(): number {
    return this.store.bytes / this.store.shares + this.chains.bytes + this.copies.bytes;
  }

  /** A new segment without claim, in no chain and no list. */
  protected alloc(branch: number, from: number, to: number, ref: number): number {
    const s = this.row();
    this.segments++;
    this.branch[s] = branch;
    this.from[s] = from;
    this.to[s] = to;
    this.ref[s] = ref;
    this.list[s] = IN_USE;
    this.up[s] = 0;
    this.tag[s] = 0;
    this.mark[s] = 0;
    if (this.level.length > 0) {
      this.refRule[s >> 4] = 0;
      this.level[s >> 4] = 0;
    }
    return s;
  }

  protected dispose(s: number): void {
    this.segments--;
    this.generation[s]!++;
    this.branch[s] = NONE;
    this.next[s] = this.freeHead;
    this.freeHead = s;
  }

  /** A row for a segment. Rows stay with their pool, so what still names a freed one never names another pool's segment. */
  private row(): number {
    const freed = this.freeHead;
    if (freed !== NONE) {
      this.freeHead = this.next[freed]!;
      return freed;
    }
    if (this.freshLeft === 0) {
      this.fresh = this.store.piece();
      this.freshLeft = PIECE;
      this.pieces.push(this.fresh);
    }
    const s = this.fresh;
    this.fresh += ROW;
    this.freshLeft--;
    return s;
  }

  /** Enters a segment into the chain of its branch behind `prev` (NONE = first). */
  protected link(map: IntMap, s: number, prev: number): void {
    const next = prev === NONE ? map.get(this.branch[s]!) : this.next[prev]!;
    this.prev[s] = prev;
    this.next[s] = next;
    if (prev === NONE) map.set(this.branch[s]!, s);
    else this.next[prev] = s;
    if (next !== NONE) this.prev[next] = s;
  }

  protected unlink(map: IntMap, s: number): void {
    const prev = this.prev[s]!;
    const next = this.next[s]!;
    if (prev !== NONE) this.next[prev] = next;
    else if (next === NONE) map.delete(this.branch[s]!);
    else map.set(this.branch[s]!, next);
    if (next !== NONE) this.prev[next] = prev;
  }

  /** Puts an idle segment behind `older` (NONE = at the oldest end) of a list. */
  protected insert(list: number, s: number, older: number): void {
    const younger = older === NONE ? this.oldest[list]! : this.younger[older]!;
    this.older[s] = older;
    this.younger[s] = younger;
    if (older === NONE) this.oldest[list] = s;
    else this.younger[older] = s;
    if (younger === NONE) this.youngest[list] = s;
    else this.older[younger] = s;
    this.list[s] = list;
    this.listed[list]! += this.to[s]! - this.from[s]!;
  }

  /** Puts an idle segment at the place of its release number; searched from the youngest end. */
  protected insertBySeq(list: number, s: number): void {
    const seq = this.seq[s >> 1]!;
    let older = this.youngest[list]!;
    while (older !== NONE && this.seq[older >> 1]! > seq) older = this.older[older]!;
    this.insert(list, s, older);
  }

  /** Puts an idle claimed segment at the place of its deadline; searched from the latest deadline. */
  protected insertByDeadline(list: number, s: number): void {
    const until = this.until[s >> 4]!;
    const seq = this.seq[s >> 1]!;
    let older = this.youngest[list]!;
    while (older !== NONE && (this.until[older >> 4]! > until || (this.until[older >> 4] === until && this.seq[older >> 1]! > seq))) {
      older = this.older[older]!;
    }
    this.insert(list, s, older);
  }

  /** Takes an idle segment out of its list. */
  protected remove(s: number): void {
    const list = this.list[s]!;
    const older = this.older[s]!;
    const younger = this.younger[s]!;
    if (older === NONE) this.oldest[list] = younger;
    else this.younger[older] = younger;
    if (younger === NONE) this.youngest[list] = older;
    else this.older[younger] = older;
    this.list[s] = IN_USE;
    this.listed[list]! -= this.to[s]! - this.from[s]!;
  }

  /** Cuts [from, to) into [from, at) and [at, to); the id keeps the first part, the id of the second is returned. */
  protected split(s: number, at: number): number {
    const deep = this.alloc(this.branch[s]!, at, this.to[s]!, this.ref[s]!);
    this.up[deep] = this.up[s]!;
    this.tag[deep] = this.tag[s]!;
    this.link(this.tag[s] === 0 ? this.chains : this.copies, deep, s);
    this.to[s] = at;
    const list = this.list[s]!;
    if (list !== IN_USE) {
      if (list === EXPIRED) this.drop[deep >> 4] = this.drop[s >> 4]!;
      this.listed[list]! -= this.to[deep]! - at;
      if (this.up[s] === 0) {
        this.seq[deep >> 1] = this.seq[s >> 1]!;
        this.seq[s >> 1]! += this.to[deep]! - at;
        this.insert(list, deep, this.older[s]!);
      } else {
        this.seq[deep >> 1] = this.seq[s >> 1]! + at - this.from[s]!;
        this.insert(list, deep, s);
      }
    }
    if (this.mark[s] !== 0) this.copyMark(s, deep);
    return deep;
  }

  protected copyMark(source: number, target: number): void {
    const mark = this.mark[source]!;
    this.mark[target] = mark;
    if (mark === GARBAGE) {
      this.drop[target >> 4] = this.drop[source >> 4]!;
      return;
    }
    this.holder[target] = this.holder[source]!;
    if (mark === WRITING) return;
    this.until[target >> 4] = this.until[source >> 4]!;
    this.refresh[target >> 4] = this.refresh[source >> 4]!;
    this.drop[target >> 4] = this.drop[source >> 4]!;
    if (this.level.length > 0) this.copyLevel(source >> 4, target >> 4);
  }

  private copyLevel(source: number, target: number): void {
    const { refRule, refUntil, refRefresh, level, levelRule, levelUntil, levelRefresh } = this;
    refRule[target] = refRule[source]!;
    refUntil[target] = refUntil[source]!;
    refRefresh[target] = refRefresh[source]!;
    level[target] = level[source]!;
    levelRule[target] = levelRule[source]!;
    levelUntil[target] = levelUntil[source]!;
    levelRefresh[target] = levelRefresh[source]!;
  }

  /** Joins a primary segment with its successor in the chain if nothing tells their blocks apart. */
  protected mergeNext(s: number): void {
    const deep = this.next[s]!;
    if (deep === NONE || this.from[deep] !== this.to[s] || this.ref[deep] !== this.ref[s] || !this.sameClaim(s, deep)) return;
    const list = this.list[s]!;
    if (list !== this.list[deep] || (list === EXPIRED && this.drop[s >> 4] !== this.drop[deep >> 4])) return;
    if (list !== IN_USE) {
      const up = this.up[s]!;
      if (up !== this.up[deep]) return;
      if (up === 0 && this.seq[deep >> 1]! + this.to[deep]! - this.from[deep]! !== this.seq[s >> 1]) return;
      if (up === 1 && this.seq[s >> 1]! + this.to[s]! - this.from[s]! !== this.seq[deep >> 1]) return;
      this.remove(deep);
      this.listed[list]! += this.to[deep]! - this.from[deep]!;
      if (up === 0) this.seq[s >> 1] = this.seq[deep >> 1]!;
    }
    this.to[s] = this.to[deep]!;
    this.unlink(this.chains, deep);
    this.dispose(deep);
  }

  protected sameClaim(a: number, b: number): boolean {
    const mark = this.mark[a]!;
    if (mark !== this.mark[b] || mark >= DUE) return false;
    if (mark === 0 || mark === DOOMED) return true;
    if (this.drop[a >> 4] !== this.drop[b >> 4]) return false;
    if (mark === GARBAGE) return true;
    const isClaim = mark === SOFT || mark === LEASE;
    if (
      isClaim &&
      (this.until[a >> 4] !== this.until[b >> 4] || this.holder[a] !== this.holder[b] || this.refresh[a >> 4] !== this.refresh[b >> 4])
    )
      return false;
    return this.level.length === 0 || this.sameLevel(a >> 4, b >> 4);
  }

  private sameLevel(a: number, b: number): boolean {
    const { refRule, refUntil, refRefresh, level, levelRule, levelUntil, levelRefresh } = this;
    if (refRule[a] !== refRule[b] || level[a] !== level[b]) return false;
    if (refRule[a] !== 0 && (refUntil[a] !== refUntil[b] || refRefresh[a] !== refRefresh[b])) return false;
    return level[a] === 0 || (levelRule[a] === levelRule[b] && levelUntil[a] === levelUntil[b] && levelRefresh[a] === levelRefresh[b]);
  }

  /** Marks which own blocks [from, to) of a branch are here and readable: `out[at + x - from] = value`. Cost O(segments of the branch). */
  markHeld(branch: number, from: number, to: number, out: Uint8Array, at: number, value: number): void {
    const shift = at - from;
    for (let s = this.chains.get(branch); s !== NONE && this.from[s]! < to; s = this.next[s]!) {
      if (this.to[s]! <= from || this.mark[s] === WRITING) continue;
      out.fill(value, shift + Math.max(from, this.from[s]!), shift + Math.min(to, this.to[s]!));
    }
  }
}
