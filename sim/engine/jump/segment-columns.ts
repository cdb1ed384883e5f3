/**
 * Storage of cache segments. A segment is a range of own blocks of one branch in which every block has the same reference count,
 * the same claim, and consecutive places in the eviction order.
 *
 *     branch chain (by offset)      [0..64) ref 2  <->  [64..90) ref 0  <->  [95..99) ref 0        hole at 90: 95.. are orphans
 *     eviction order (by age)       oldest  … <-> [95..99) <-> … <-> [64..90) <-> …  youngest       one list per victim class
 *
 * All columns are typed arrays indexed by segment id; freed ids form a list through `next`. Each idle (unreferenced) block has its
 * own release number; a segment stores the number of its OLDEST block, the others follow without gaps, deep end first (`up` = 0:
 * released leaf to root) or shallow end first (`up` = 1: inserted in order, host tier). So two segments merge exactly when the
 * blocks would be neighbours in a per-block queue.
 * Source: engine specification 2.2 and 6.6, data-structures specification 2.
 */
import { type BranchTable, MAX_PATH } from '../../../control/blocks.ts';
import { IntMap } from './int-map.ts';

/** No segment. */
export const NONE = -1;

/**
 * Lists of the eviction order. Ordinary and expired blocks are one victim class, merged by release number; soft pins and leases are
 * ordered by (deadline, release number), the others by release number.
 */
export const ORDINARY = 0;
export const EXPIRED = 1;
export const GARBAGE = 2;
export const SOFT = 3;
export const LEASE = 4;
const LISTS = 5;
/** `mark` of a referenced segment whose claim with onExpiry = drop has ended: content goes with the last reference. */
export const DOOMED = 5;
/** `mark` of an idle segment that is about to be dropped. */
export const DUE = 6;
/** `mark` of a segment of the host tier that is being written by the transfer job `holder`. */
export const WRITING = 7;
/** `list` of a segment that is in no list (referenced). */
export const IN_USE = 255;

/** Scratch for the path of a chain, root first; shared by all pools, valid until the next path is taken. */
export const pathBranch = new Int32Array(MAX_PATH);
export const pathLimit = new Int32Array(MAX_PATH);

/** Columns, branch chains and order lists. */
export class SegmentColumns {
  branch: Int32Array;
  from: Int32Array;
  to: Int32Array;
  /** Number of holders of each block. */
  ref: Int32Array;
  /** Neighbours in the chain of the branch. */
  next: Int32Array;
  prev: Int32Array;
  /** Neighbours in the eviction order: `older` is evicted before this one. */
  older: Int32Array;
  younger: Int32Array;
  list: Uint8Array;
  up: Uint8Array;
  /** 0 = primary copy of its blocks; else the admission that owns these later physical copies. */
  tag: Int32Array;
  /** Release number of the oldest block, valid while idle. */
  seq: Float64Array;
  /** 0 = none, GARBAGE (demoted), SOFT or LEASE (a live claim), DOOMED. */
  mark: Uint8Array;
  /** Of a live claim: deadline, refresh interval (0 = none), session, 1 = drop at the deadline. */
  until: Float64Array = new Float64Array(0);
  refresh: Float64Array = new Float64Array(0);
  holder: Int32Array = new Int32Array(0);
  drop: Uint8Array = new Uint8Array(0);
  /** Grows when an id is freed; makes stale heap entries recognisable. */
  generation: Int32Array = new Int32Array(0);
  /** First segment of each branch with primary copies, and of each branch with later copies. */
  readonly chains = new IntMap(6);
  readonly copies = new IntMap(2);
  /** Oldest and youngest segment per list. */
  readonly oldest = new Int32Array(LISTS).fill(NONE);
  readonly youngest = new Int32Array(LISTS).fill(NONE);
  /** Blocks per list. */
  readonly listed = new Float64Array(LISTS);
  /** Next release number. */
  releases = 0;
  /** Live segments, now and at most. */
  segments = 0;
  /** Segments visited by any operation. */
  touched = 0;
  protected freeHead = NONE;
  protected used = 0;

  protected readonly branches: BranchTable;

  constructor(branches: BranchTable, capacity = 64) {
    this.branches = branches;
    this.branch = new Int32Array(capacity);
    this.from = new Int32Array(capacity);
    this.to = new Int32Array(capacity);
    this.ref = new Int32Array(capacity);
    this.next = new Int32Array(capacity);
    this.prev = new Int32Array(capacity);
    this.older = new Int32Array(capacity);
    this.younger = new Int32Array(capacity);
    this.list = new Uint8Array(capacity);
    this.up = new Uint8Array(capacity);
    this.tag = new Int32Array(capacity);
    this.seq = new Float64Array(capacity);
    this.mark = new Uint8Array(capacity);
  }

  /** Makes room for claims; most pools never see one. */
  protected addClaimColumns(): void {
    if (this.until.length > 0) return;
    const capacity = this.branch.length;
    this.until = new Float64Array(capacity);
    this.refresh = new Float64Array(capacity);
    this.holder = new Int32Array(capacity);
    this.drop = new Uint8Array(capacity);
    this.generation = new Int32Array(capacity);
  }

  /** Bytes of the columns and maps. */
  get bytes(): number {
    const { branch, until, holder } = this;
    const claims = until.length * (2 * 8 + 4 + 1) + holder.length * 4;
    return branch.length * (9 * 4 + 8 + 3) + claims + this.chains.bytes + this.copies.bytes;
  }

  /** A new segment without claim, in no chain and no list. */
  protected alloc(branch: number, from: number, to: number, ref: number): number {
    let s = this.freeHead;
    if (s !== NONE) this.freeHead = this.next[s]!;
    else {
      s = this.used++;
      if (s === this.branch.length) this.widen();
    }
    this.segments++;
    this.branch[s] = branch;
    this.from[s] = from;
    this.to[s] = to;
    this.ref[s] = ref;
    this.list[s] = IN_USE;
    this.up[s] = 0;
    this.tag[s] = 0;
    this.mark[s] = 0;
    return s;
  }

  protected dispose(s: number): void {
    this.segments--;
    if (this.generation.length > 0) this.generation[s]!++;
    this.branch[s] = NONE;
    this.next[s] = this.freeHead;
    this.freeHead = s;
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
    const seq = this.seq[s]!;
    let older = this.youngest[list]!;
    while (older !== NONE && this.seq[older]! > seq) older = this.older[older]!;
    this.insert(list, s, older);
  }

  /** Puts an idle claimed segment at the place of its deadline; searched from the latest deadline. */
  protected insertByDeadline(list: number, s: number): void {
    const until = this.until[s]!;
    const seq = this.seq[s]!;
    let older = this.youngest[list]!;
    while (older !== NONE && (this.until[older]! > until || (this.until[older] === until && this.seq[older]! > seq))) {
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
      this.listed[list]! -= this.to[deep]! - at;
      if (this.up[s] === 0) {
        this.seq[deep] = this.seq[s]!;
        this.seq[s]! += this.to[deep]! - at;
        this.insert(list, deep, this.older[s]!);
      } else {
        this.seq[deep] = this.seq[s]! + at - this.from[s]!;
        this.insert(list, deep, s);
      }
    }
    if (this.mark[s] !== 0) this.copyMark(s, deep);
    return deep;
  }

  protected copyMark(source: number, target: number): void {
    const mark = this.mark[source]!;
    this.mark[target] = mark;
    if (mark === GARBAGE) return;
    this.holder[target] = this.holder[source]!;
    if (mark === WRITING) return;
    this.until[target] = this.until[source]!;
    this.refresh[target] = this.refresh[source]!;
    this.drop[target] = this.drop[source]!;
  }

  /** Joins a primary segment with its successor in the chain if nothing tells their blocks apart. */
  protected mergeNext(s: number): void {
    const deep = this.next[s]!;
    if (deep === NONE || this.from[deep] !== this.to[s] || this.ref[deep] !== this.ref[s] || !this.sameClaim(s, deep)) return;
    const list = this.list[s]!;
    if (list !== this.list[deep]) return;
    if (list !== IN_USE) {
      const up = this.up[s]!;
      if (up !== this.up[deep]) return;
      if (up === 0 && this.seq[deep]! + this.to[deep]! - this.from[deep]! !== this.seq[s]) return;
      if (up === 1 && this.seq[s]! + this.to[s]! - this.from[s]! !== this.seq[deep]) return;
      this.remove(deep);
      this.listed[list]! += this.to[deep]! - this.from[deep]!;
      if (up === 0) this.seq[s] = this.seq[deep]!;
    }
    this.to[s] = this.to[deep]!;
    this.unlink(this.chains, deep);
    this.dispose(deep);
  }

  protected sameClaim(a: number, b: number): boolean {
    if (this.mark[a] !== this.mark[b] || this.mark[a]! >= DUE) return false;
    return (
      (this.mark[a] !== SOFT && this.mark[a] !== LEASE) ||
      (this.until[a] === this.until[b] &&
        this.holder[a] === this.holder[b] &&
        this.refresh[a] === this.refresh[b] &&
        this.drop[a] === this.drop[b])
    );
  }

  private widen(): void {
    // Half as much again: these columns are most of what a cached block costs.
    const size = (this.branch.length * 3) >> 1;
    const ints = ['branch', 'from', 'to', 'ref', 'next', 'prev', 'older', 'younger', 'tag', 'holder', 'generation'] as const;
    for (const name of ints) this[name] = widened(this[name], size);
    for (const name of ['seq', 'until', 'refresh'] as const) this[name] = widened(this[name], size);
    for (const name of ['list', 'up', 'mark', 'drop'] as const) this[name] = widened(this[name], size);
  }
}

/** A longer copy of a column; an empty one stays empty. */
function widened<T extends Int32Array | Float64Array | Uint8Array>(column: T, size: number): T {
  if (column.length === 0) return column;
  const wide = new (column.constructor as new (length: number) => T)(size);
  wide.set(column);
  return wide;
}
