/** Replays the booking family: active-sequence accounting, through the product's {@link Bookings}. */
import { ChainInterner } from '../../../control/chain-interner.ts';
import { Bookings } from '../../../control/router/bookings.ts';
import { type CaseOutcome, type Difference, firstDifference } from '../suite.ts';

/** `[worker, rank]`. */
export type RecordedRank = readonly [worker: number, rank: number];

/** One operation; which fields it has depends on `op`. */
interface BookingOp {
  readonly op: 'add' | 'prefill_done' | 'output' | 'free' | 'unregister' | 'upsert' | 'expire' | 'tick';
  readonly t: number;
  readonly id?: string;
  readonly rank?: RecordedRank;
  readonly seq?: readonly [chain: number, blocks: number] | null;
  readonly isl?: number;
  readonly tokens?: number;
  readonly track?: boolean;
  readonly dur_ms?: number;
  readonly osl?: number;
  readonly ok?: boolean;
  readonly res?: 'Applied' | 'NoChange';
  readonly cumulative_out?: number;
  readonly new_blocks?: number;
  readonly fraction?: number;
  /** The upstream call failed because the request is gone. */
  readonly err?: boolean;
  readonly worker?: number;
  readonly dp_size?: number;
  readonly gone?: readonly RecordedRank[];
  readonly loads?: readonly (readonly number[])[];
  readonly query?: {
    readonly seq: readonly [number, number];
    readonly default_tokens: number;
    readonly tokens: readonly (readonly [number, number, number])[];
    readonly out: readonly (readonly number[])[];
  };
}

/** One scenario of the family. */
export interface BookingCase {
  readonly id: string;
  readonly block_size: number;
  readonly ranks: readonly RecordedRank[];
  readonly chains: readonly (readonly number[])[];
  readonly expiry?: { readonly age_ms: number; readonly check_interval_ms: number };
  readonly ops: readonly BookingOp[];
}

/** Expiry of the recorded program where a scenario names none. */
const EXPIRY = { age_ms: 300_000, check_interval_ms: 30_000 };

/** Ranks by (worker, rank), numbered in the order in which they were first seen. */
class Ranks {
  readonly live = new Map<string, { readonly key: RecordedRank; readonly id: number }>();
  readonly #ids = new Map<string, number>();

  id(key: RecordedRank): number {
    const known = this.#ids.get(key.join('/'));
    if (known !== undefined) return known;
    this.#ids.set(key.join('/'), this.#ids.size);
    return this.#ids.size - 1;
  }

  add(key: RecordedRank): void {
    this.live.set(key.join('/'), { key, id: this.id(key) });
  }

  /** Live ranks ordered by (worker, rank). */
  ordered(): { readonly key: RecordedRank; readonly id: number }[] {
    return [...this.live.values()].sort((a, b) => a.key[0] - b.key[0] || a.key[1] - b.key[1]);
  }
}

class BookingReplay {
  readonly #case: BookingCase;
  readonly #interner = new ChainInterner();
  readonly #bookings: Bookings;
  readonly #ranks = new Ranks();
  readonly #attempts = new Map<string, number>();
  /** How often an id was booked: again only after its booking had expired unheard. */
  readonly #lives = new Map<number, number>();
  readonly #registered = new Set<number>();
  readonly #told = new Map<string, string>();
  readonly #active = { overlap: new Int32Array(1024), touched: new Int32Array(1024), touchedCount: 0 };
  #fields = 0;
  #difference: Difference | undefined;

  constructor(recorded: BookingCase) {
    this.#case = recorded;
    const { age_ms, check_interval_ms } = recorded.expiry ?? EXPIRY;
    this.#bookings = new Bookings(this.#interner.branches, {
      assumeKvReuse: true,
      trackPrefill: true,
      trackOutput: true,
      modelPrefill: true,
      expiry: { mode: 'age', afterMs: age_ms, checkMs: check_interval_ms },
    });
    this.#bookings.blockTokens = recorded.block_size;
    for (const rank of recorded.ranks) {
      this.#ranks.add(rank);
      this.#registered.add(rank[0]);
    }
  }

  run(): CaseOutcome {
    const { id, ops } = this.#case;
    for (const [i, op] of ops.entries()) {
      const at = `op ${i} ${op.op}`;
      this.#apply(op, at);
      this.#bookings.settle(op.t);
      this.#same(`${at} loads`, this.#changed(), op.loads ?? []);
      if (op.query !== undefined) this.#query(op.query, at);
      if (this.#difference !== undefined) return { id, fields: this.#fields, difference: this.#difference };
    }
    return { id, fields: this.#fields };
  }

  #apply(op: BookingOp, at: string): void {
    const { t } = op;
    const attempt = op.id === undefined ? -1 : this.#attempt(op.id);
    const bookings = this.#bookings;
    if (op.op === 'add') this.#same(`${at} ok`, this.#add(op, attempt), op.ok);
    else if (op.op === 'prefill_done') this.#same(`${at} res`, result(bookings.firstToken(attempt, t)), op.res);
    else if (op.op === 'free') this.#same(`${at} res`, result(bookings.free(attempt, t)), op.res);
    else if (op.op === 'output') this.#output(op, attempt, at);
    else if (op.op === 'expire') bookings.expire(t);
    else if (op.op === 'unregister') this.#resize(op.worker!, 0, op, at);
    else if (op.op === 'upsert') this.#resize(op.worker!, op.dp_size!, op, at);
  }

  #output(op: BookingOp, attempt: number, at: string): void {
    const isGone = this.#bookings.rankOf(attempt) < 0;
    // Without a new block nobody was called.
    this.#same(`${at} err`, isGone && op.new_blocks! > 0, op.err === true);
    if (isGone) return;
    if (this.#lives.get(attempt) === 1)
      this.#same(`${at} new_blocks`, this.#bookings.progress(attempt, op.cumulative_out!, op.t), op.new_blocks);
    // Callers of both lives go on counting, each from its own prompt.
    else this.#bookings.appendOutput(attempt, op.new_blocks!, op.fraction);
  }

  #add(op: BookingOp, attempt: number): boolean {
    const [chain, blocks] = op.seq ?? [-1, 0];
    if (!this.#ranks.live.has(op.rank!.join('/'))) this.#ranks.add(op.rank!);
    const booking = {
      attempt,
      rank: this.#ranks.id(op.rank!),
      branch: chain < 0 ? -1 : this.#interner.intern(this.#case.chains[chain]!, blocks),
      depthBlocks: blocks,
      fullBlocks: blocks,
      promptTokens: op.isl!,
      uncachedTokens: op.track === true ? op.tokens! : 0,
      osl: op.osl ?? 0,
      prefillMs: op.dur_ms,
    };
    const isLive = this.#bookings.rankOf(attempt) >= 0;
    try {
      this.#bookings.book(booking, op.t);
      this.#lives.set(attempt, (this.#lives.get(attempt) ?? 0) + 1);
      return true;
    } catch (error) {
      // Only a second booking of a live id may fail.
      if (!isLive) throw error;
      return false;
    }
  }

  /** A worker has `ranks` ranks from now on. */
  #resize(worker: number, ranks: number, op: BookingOp, at: string): void {
    const had = this.#ranks.ordered().filter(({ key }) => key[0] === worker);
    const gone = ranks === 0 && !this.#registered.has(worker) ? [] : had.filter(({ key }) => key[1] >= ranks);
    for (const { key, id } of gone) {
      this.#bookings.dropRank(id);
      this.#ranks.live.delete(key.join('/'));
      this.#told.delete(key.join('/'));
    }
    for (let rank = 0; rank < ranks; rank++) this.#ranks.add([worker, rank]);
    this.#same(`${at} ok`, ranks > 0 || this.#registered.has(worker), op.ok);
    if (ranks > 0) this.#registered.add(worker);
    else this.#registered.delete(worker);
    this.#same(
      `${at} gone`,
      gone.map(({ key }) => key),
      op.gone ?? [],
    );
  }

  /** Ranks whose load is not what was told last. */
  #changed(): number[][] {
    const { prefillTokens, activeBlocks, inflight } = this.#bookings;
    const changed: number[][] = [];
    for (const { key, id } of this.#ranks.ordered()) {
      const load = [prefillTokens[id] ?? 0, activeBlocks[id] ?? 0, inflight[id] ?? 0];
      if (this.#told.get(key.join('/')) === load.join()) continue;
      this.#told.set(key.join('/'), load.join());
      changed.push([...key, ...load]);
    }
    return changed;
  }

  #query(query: NonNullable<BookingOp['query']>, at: string): void {
    const [chain, blocks] = query.seq;
    const branch = this.#interner.intern(this.#case.chains[chain]!, blocks);
    this.#bookings.overlap(branch, blocks, this.#active);
    const { prefillTokens, activeBlocks, inflight } = this.#bookings;
    const got = this.#ranks.ordered().map(({ key, id }) => {
      const own = query.tokens.find(([worker, rank]) => worker === key[0] && rank === key[1]);
      const added = blocks - this.#active.overlap[id]!;
      return [...key, prefillTokens[id]! + (own?.[2] ?? query.default_tokens), activeBlocks[id]! + added, inflight[id]!, added];
    });
    this.#same(`${at} query`, got, query.out);
  }

  #attempt(id: string): number {
    const known = this.#attempts.get(id);
    if (known !== undefined) return known;
    this.#attempts.set(id, this.#attempts.size);
    return this.#attempts.size - 1;
  }

  #same(field: string, got: unknown, expected: unknown): void {
    this.#fields++;
    this.#difference ??= firstDifference(field, got, expected);
  }
}

function result(changed: boolean): 'Applied' | 'NoChange' {
  return changed ? 'Applied' : 'NoChange';
}

/** Replays one scenario, operation by operation, until the first difference. */
export function replayBooking(recorded: BookingCase): CaseOutcome {
  return new BookingReplay(recorded).run();
}
