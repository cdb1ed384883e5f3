/**
 * Memory of cache segments, shared by all pools of a fleet. A visit to a segment reads six or more of its facts, mostly long after the
 * last visit: so a segment is a row that fits in a cache line, and a column is a view of the same memory that begins at the place of
 * its fact in the row. The id of a segment is the position of its row, a multiple of 16:
 *
 *     byte   0       4     8   12   16    20    24     28       32   36    40  44    48      52          56 .. 63
 *     row    branch  from  to  ref  next  prev  older  younger  tag  list  up  mark  holder  generation  seq (f64)
 *
 * `branch[s]` is the branch of segment s, and so on; an eight-byte fact is at half the id, `seq[s >> 1]`. What only claims need are
 * plain columns by number of the row, made with the first claim: `until[s >> 4]`, `refresh[s >> 4]` and `drop[s >> 4]`. So are those
 * of references and levels, made with the first of them, and those of rankers, made with the first pool that has one.
 */
import { widened } from '../../../control/widened.ts';

/** No segment. */
export const NONE = -1;

/** Distance of two ids. */
export const ROW = 16;
/** Rows that a pool gets at a time. */
export const PIECE = 16;
/** Large memory begins 16 bytes behind the begin of a cache line; this many unused bytes put each row in one line. */
const SKEW_BYTES = 48;

const LEVEL_COLUMNS = {
  bytes: ['refRule', 'level', 'levelRule'],
  times: ['refUntil', 'refRefresh', 'levelUntil', 'levelRefresh'],
} as const;

/** The columns. Whoever uses a store has the same ones as the store. */
export class SegmentViews {
  branch = new Int32Array(0);
  from = this.branch;
  to = this.branch;
  /** Number of holders of each block. */
  ref = this.branch;
  /** Neighbours in the chain of the branch. */
  next = this.branch;
  prev = this.branch;
  /** Neighbours in the eviction order: `older` is evicted before this one. */
  older = this.branch;
  younger = this.branch;
  /** 0 = primary copy of its blocks; else the admission that owns these later physical copies. */
  tag = this.branch;
  list = this.branch;
  up = this.branch;
  /** 0 = none, the strongest live mark of LEASE, SOFT (a claim), REFERRED and LEVELLED, or GARBAGE, DOOMED, DUE, WRITING. */
  mark = this.branch;
  /** Session of a claim; job of a write. */
  holder = this.branch;
  /** Grows when an id is freed; makes stale heap entries recognisable. */
  generation = this.branch;
  /** Release number of the oldest block, valid while idle; at s >> 1. */
  seq = new Float64Array(0);
  /**
   * Of a live claim, at s >> 4: deadline, refresh interval (0 = none), bits DROPS etc. An expired segment keeps the bits; of garbage
   * `drop` is the code of REMOVAL that its eviction will have.
   */
  until = this.seq;
  refresh = this.seq;
  drop = new Uint8Array(0);
  /** Of the reference of a live session, at s >> 4: bits (0 = none), deadline, refresh interval. */
  refRule = this.drop;
  refUntil = this.seq;
  refRefresh = this.seq;
  /** Of a level, at s >> 4: 1 + level (0 = none), bits, deadline, refresh interval. */
  level = this.drop;
  levelRule = this.drop;
  levelUntil = this.seq;
  levelRefresh = this.seq;
  /** Of pools with a ranker, at s >> 4: hits since the store; key of the ranker; place in the victim order (ranked-pool.ts). */
  hits = this.branch;
  rank = this.seq;
  place = this.branch;

  /** Uses the columns of another. */
  protected share(other: SegmentViews): void {
    this.branch = other.branch;
    this.from = other.from;
    this.to = other.to;
    this.ref = other.ref;
    this.next = other.next;
    this.prev = other.prev;
    this.older = other.older;
    this.younger = other.younger;
    this.tag = other.tag;
    this.list = other.list;
    this.up = other.up;
    this.mark = other.mark;
    this.holder = other.holder;
    this.generation = other.generation;
    this.seq = other.seq;
    this.until = other.until;
    this.refresh = other.refresh;
    this.drop = other.drop;
    for (const name of LEVEL_COLUMNS.bytes) this[name] = other[name];
    for (const name of LEVEL_COLUMNS.times) this[name] = other[name];
    this.hits = other.hits;
    this.rank = other.rank;
    this.place = other.place;
  }
}

/** A pool that keeps its segments in a store. */
export interface StoreUser {
  /** The columns are new ones. */
  moved(): void;
}

/** Rows, given to pools in pieces. */
export class SegmentStore extends SegmentViews {
  private readonly users: StoreUser[] = [];
  private readonly spare: number[] = [];
  private capacity = 0;
  private used = 0;

  constructor() {
    super();
    this.resize(4 * PIECE);
  }

  join(user: StoreUser): void {
    this.users.push(user);
    user.moved();
  }

  /** A pool is gone; its pieces serve others. */
  leave(user: StoreUser, pieces: readonly number[]): void {
    this.users.splice(this.users.indexOf(user), 1);
    this.spare.push(...pieces);
  }

  /** Number of pools that share the store. */
  get shares(): number {
    return this.users.length;
  }

  /** Bytes of all rows. */
  get bytes(): number {
    const claims = this.until.byteLength + this.refresh.byteLength + this.drop.byteLength;
    return this.capacity * ROW * 4 + claims + this.level.length * (3 + 4 * 8) + this.rank.length * (4 + 8 + 4);
  }

  /** Id of the first of {@link PIECE} rows in a row, which the caller now owns; next id: {@link ROW} further. */
  piece(): number {
    const first = this.spare.pop();
    if (first !== undefined) return first;
    // A quarter more: these rows are most of what a cached block costs.
    if (this.used === this.capacity) this.resize(this.capacity + Math.max(PIECE, Math.ceil(this.capacity / (4 * PIECE)) * PIECE));
    const id = this.used * ROW;
    this.used += PIECE;
    return id;
  }

  /** Makes room for claims; most runs never see one. */
  addClaims(): void {
    if (this.until.length > 0) return;
    this.until = new Float64Array(this.capacity);
    this.refresh = new Float64Array(this.capacity);
    this.drop = new Uint8Array(this.capacity);
    for (const user of this.users) user.moved();
  }

  /** Makes room for references and levels. */
  addLevels(): void {
    if (this.level.length > 0) return;
    this.widenLevels(this.capacity);
    for (const user of this.users) user.moved();
  }

  /** Makes room for the facts of rankers. */
  addRanks(): void {
    if (this.rank.length > 0) return;
    this.widenRanks(this.capacity);
    for (const user of this.users) user.moved();
  }

  private widenRanks(rows: number): void {
    this.hits = widened(this.hits, rows);
    this.rank = widened(this.rank, rows);
    this.place = widened(this.place, rows);
  }

  private widenLevels(rows: number): void {
    for (const name of LEVEL_COLUMNS.bytes) {
      const wide = new Uint8Array(rows);
      wide.set(this[name]);
      this[name] = wide;
    }
    for (const name of LEVEL_COLUMNS.times) {
      const wide = new Float64Array(rows);
      wide.set(this[name]);
      this[name] = wide;
    }
  }

  private resize(rows: number): void {
    const old = this.branch;
    const buffer = new ArrayBuffer(SKEW_BYTES + rows * ROW * 4);
    const ints = (place: number) => new Int32Array(buffer, SKEW_BYTES + place * 4, rows * ROW - place);
    this.branch = ints(0);
    this.branch.set(old);
    this.from = ints(1);
    this.to = ints(2);
    this.ref = ints(3);
    this.next = ints(4);
    this.prev = ints(5);
    this.older = ints(6);
    this.younger = ints(7);
    this.tag = ints(8);
    this.list = ints(9);
    this.up = ints(10);
    this.mark = ints(11);
    this.holder = ints(12);
    this.generation = ints(13);
    this.seq = new Float64Array(buffer, SKEW_BYTES + 14 * 4, (rows * ROW - 14) >> 1);
    this.capacity = rows;
    if (this.until.length > 0) {
      const { until, refresh, drop } = this;
      this.until = new Float64Array(rows);
      this.until.set(until);
      this.refresh = new Float64Array(rows);
      this.refresh.set(refresh);
      this.drop = new Uint8Array(rows);
      this.drop.set(drop);
    }
    if (this.level.length > 0) this.widenLevels(rows);
    if (this.rank.length > 0) this.widenRanks(rows);
    for (const user of this.users) user.moved();
  }
}
