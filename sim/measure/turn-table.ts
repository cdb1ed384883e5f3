/**
 * What happened to every turn that reached the gateway: one row per turn in the order of arrival, filled by the cluster as the turn
 * proceeds. A turn is one model request; retries are attempts of the same turn. 52 B per row, no objects.
 *
 *     while the run goes on     every column is a list of pages of 4,096 rows: nothing is copied when it grows
 *     once a column is read     no more rows are written; each column that is read becomes one array in the order of turn ids and
 *                               gives its pages back, so that rows before and after the first read are different ones
 *
 * Pages of what rarely happens (a restore, a wait in the router, a hit in host memory, a preemption) are made when it does.
 */

/** State of a turn. Everything from `finished` on is terminal. */
export const TURN_STATUS = {
  /** Not offered (skipped before a mid-life start, or never reached). */
  none: 0,
  open: 1,
  finished: 2,
  /** Refused by the gateway or the engine. */
  rejected: 3,
  timedOut: 4,
  /** Given up after the last retry. */
  failed: 5,
  /** The user left. */
  abandoned: 6,
  /** Still open at the end of the run. */
  censored: 7,
} as const;

/** State of a session tree; the order of codes is that of the cluster's play table. */
export const SESSION_STATUS = { open: 0, completed: 1, failed: 2, censored: 3, rejected: 4, abandoned: 5 } as const;

const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;
const MAX_RANK = 32_767;

type Column = Float64Array | Int32Array | Int16Array | Uint8Array;
/** Pages of one column; a hole = nothing to say about its rows. */
type Pages<T extends Column> = (T | undefined)[];

/** Rows of turns. Times are ms since the start of the run, NaN = did not happen. Columns: shape [count], in the order of turn ids. */
export class TurnTable {
  /** Rows in use. */
  count = 0;
  /** Turns that reached `finished`. */
  finishedCount = 0;
  readonly #turn: Pages<Int32Array> = [];
  readonly #arrivalMs: Pages<Float64Array> = [];
  /** A page without it: whoever has a worker was dispatched on arrival. */
  readonly #dispatchMs: Pages<Float64Array> = [];
  readonly #restoreMs: Pages<Float64Array> = [];
  readonly #admitMs: Pages<Float64Array> = [];
  readonly #firstTokenMs: Pages<Float64Array> = [];
  readonly #lastTokenMs: Pages<Float64Array> = [];
  readonly #outputTokens: Pages<Int32Array> = [];
  readonly #hitHbmTokens: Pages<Int32Array> = [];
  readonly #hitHostTokens: Pages<Int32Array> = [];
  readonly #avoidableTokens: Pages<Int32Array> = [];
  readonly #preemptions: Pages<Int32Array> = [];
  readonly #worker: Pages<Int16Array> = [];
  readonly #status: Pages<Uint8Array> = [];
  readonly #attempts: Pages<Uint8Array> = [];
  /** Tokens of disk and remote store by row; few turns have any. */
  readonly #belowHost = new Map<number, readonly [disk: number, remote: number]>();
  /** Columns that were read. */
  readonly #read = new Map<string, Column>();
  /** Row of the i-th turn in the order of ids; null while rows are written. */
  #order: Int32Array | null = null;
  readonly #promptOf: (turn: number) => number;

  /** `promptOf` = tokens of the prompt of a turn, which the workload knows. */
  constructor(promptOf: (turn: number) => number) {
    this.#promptOf = promptOf;
  }

  // ---- while the run goes on ------------------------------------------------------------------------------------------------

  /** A turn reached the gateway for the first time; returns its row. Cost O(1). */
  arrived(turn: number, tMs: number): number {
    if (this.#order !== null) throw new Error('internal error: a turn arrived after its table was read');
    const row = this.count++;
    const i = row & MASK;
    if (i === 0) this.#addPage();
    const page = row >> PAGE_BITS;
    this.#turn[page]![i] = turn;
    this.#arrivalMs[page]![i] = tMs;
    this.#status[page]![i] = TURN_STATUS.open;
    this.#attempts[page]![i] = 1;
    return row;
  }

  /** Attempts so far. */
  attemptsOf(row: number): number {
    return this.#attempts[row >> PAGE_BITS]![row & MASK]!;
  }

  /** The turn came again. */
  retried(row: number, attempts: number): void {
    this.#attempts[row >> PAGE_BITS]![row & MASK] = attempts;
  }

  /** Sent to a worker. Returns whether it is the first time; only then is the time kept. */
  dispatched(row: number, tMs: number, worker: number): boolean {
    const page = row >> PAGE_BITS;
    const i = row & MASK;
    if (worker > MAX_RANK) throw new Error(`internal error: the turn table has room for ranks up to ${MAX_RANK}, got ${worker}`);
    const isFirst = this.#worker[page]![i]! < 0;
    if (isFirst) {
      const times = this.#dispatchMs[page] ?? (tMs === this.#arrivalMs[page]![i] ? undefined : this.#addDispatchPage(page));
      if (times !== undefined) times[i] = tMs;
    }
    this.#worker[page]![i] = worker;
    return isFirst;
  }

  /** A restore began; only the first before the first admission is kept, and what the last one before it reads below the host tier. */
  restoring(row: number, tMs: number, diskTokens = 0, remoteTokens = 0): void {
    const page = row >> PAGE_BITS;
    const i = row & MASK;
    const times = (this.#restoreMs[page] ??= new Float64Array(PAGE).fill(Number.NaN));
    if (!Number.isNaN(this.#admitMs[page]![i]!)) return;
    if (Number.isNaN(times[i]!)) times[i] = tMs;
    if (diskTokens + remoteTokens > 0) this.#belowHost.set(row, [diskTokens, remoteTokens]);
    else this.#belowHost.delete(row);
  }

  /** An admission; later ones (after preemption, or of another attempt) change nothing. */
  admitted(row: number, tMs: number, hitHbmTokens: number, hitHostTokens: number): void {
    const page = row >> PAGE_BITS;
    const i = row & MASK;
    const times = this.#admitMs[page]!;
    if (!Number.isNaN(times[i]!)) return;
    times[i] = tMs;
    this.#hitHbmTokens[page]![i] = hitHbmTokens;
    if (hitHostTokens !== 0) (this.#hitHostTokens[page] ??= new Int32Array(PAGE))[i] = hitHostTokens;
  }

  /** Missed prompt tokens with an avoidable cause at the first admission. */
  judged(row: number, avoidableTokens: number): void {
    this.#avoidableTokens[row >> PAGE_BITS]![row & MASK] = avoidableTokens;
  }

  preempted(row: number): void {
    (this.#preemptions[row >> PAGE_BITS] ??= new Int32Array(PAGE))[row & MASK]!++;
  }

  /** A retry starts its answer again, so the last attempt's first token counts. */
  firstToken(row: number, tMs: number): void {
    this.#firstTokenMs[row >> PAGE_BITS]![row & MASK] = tMs;
  }

  finished(row: number, tMs: number, outputTokens: number): void {
    const page = row >> PAGE_BITS;
    this.#lastTokenMs[page]![row & MASK] = tMs;
    this.#outputTokens[page]![row & MASK] = outputTokens;
    this.#close(row, TURN_STATUS.finished);
    this.finishedCount++;
  }

  /** Whether any attempt had a first token. */
  isAnswered(row: number): boolean {
    return !Number.isNaN(this.#firstTokenMs[row >> PAGE_BITS]![row & MASK]!);
  }

  /** From the first dispatch to the first admission; NaN = not admitted yet. */
  waitMs(row: number): number {
    const page = row >> PAGE_BITS;
    const i = row & MASK;
    return this.#admitMs[page]![i]! - (this.#dispatchMs[page] ?? this.#arrivalMs[page]!)[i]!;
  }

  /** Prompt tokens found in some tier at the first admission. */
  hitTokens(row: number): number {
    const page = row >> PAGE_BITS;
    return this.#hitHbmTokens[page]![row & MASK]! + (this.#hitHostTokens[page]?.[row & MASK] ?? 0);
  }

  /** From the first to the last token of a finished turn. */
  decodeMs(row: number): number {
    return this.#lastTokenMs[row >> PAGE_BITS]![row & MASK]! - this.#firstTokenMs[row >> PAGE_BITS]![row & MASK]!;
  }

  /** A terminal state other than `finished`. */
  ended(row: number, status: number): void {
    this.#close(row, status);
  }

  /** Marks every open turn as censored: the run is over. */
  censorOpen(): void {
    for (const page of this.#status) for (let i = 0; i < PAGE; i++) if (page![i] === TURN_STATUS.open) page![i] = TURN_STATUS.censored;
  }

  // ---- when it is over ------------------------------------------------------------------------------------------------------

  /** Of the tokens that the turn at position `k` found below HBM, those of a tier below the host tier. */
  belowHostTokens(k: number, tier: 'disk' | 'remote'): number {
    if (this.#belowHost.size === 0) return 0;
    return this.#belowHost.get(this.rowOf(k))?.[tier === 'disk' ? 0 : 1] ?? 0;
  }

  /** Row that the turn at position `k` of the columns had while the run went on: what other tables of turns are indexed by. */
  rowOf(k: number): number {
    if (this.#order === null) void this.turn;
    return this.#order![k]!;
  }

  /** Turn id of each row. */
  get turn(): Int32Array {
    return this.#column('turn', this.#turn, Int32Array, 0);
  }

  /** Turn reached the gateway, first attempt. */
  get arrivalMs(): Float64Array {
    return this.#column('arrivalMs', this.#arrivalMs, Float64Array, Number.NaN);
  }

  /** First dispatch to a worker. */
  get dispatchMs(): Float64Array {
    const known = this.#read.get('dispatchMs');
    if (known !== undefined) return known as Float64Array;
    const { arrivalMs, worker } = this;
    const order = this.#order!;
    const out = new Float64Array(this.count);
    for (let k = 0; k < out.length; k++) {
      const row = order[k]!;
      const times = this.#dispatchMs[row >> PAGE_BITS];
      out[k] = times !== undefined ? times[row & MASK]! : worker[k]! < 0 ? Number.NaN : arrivalMs[k]!;
    }
    this.#dispatchMs.length = 0;
    this.#read.set('dispatchMs', out);
    return out;
  }

  /** First restore from a lower tier began. */
  get restoreMs(): Float64Array {
    return this.#column('restoreMs', this.#restoreMs, Float64Array, Number.NaN);
  }

  /** First admission. */
  get admitMs(): Float64Array {
    return this.#column('admitMs', this.#admitMs, Float64Array, Number.NaN);
  }

  /** End of the step that made the first output token of the last attempt. */
  get firstTokenMs(): Float64Array {
    return this.#column('firstTokenMs', this.#firstTokenMs, Float64Array, Number.NaN);
  }

  /** End of the step that made the last output token; only for finished turns. */
  get lastTokenMs(): Float64Array {
    return this.#column('lastTokenMs', this.#lastTokenMs, Float64Array, Number.NaN);
  }

  get promptTokens(): Int32Array {
    const known = this.#read.get('promptTokens');
    if (known !== undefined) return known as Int32Array;
    const tokens = Int32Array.from(this.turn, this.#promptOf);
    this.#read.set('promptTokens', tokens);
    return tokens;
  }

  /** Tokens produced. */
  get outputTokens(): Int32Array {
    return this.#column('outputTokens', this.#outputTokens, Int32Array, 0);
  }

  /** Prompt tokens found in a tier at the FIRST admission; re-admissions do not count. */
  get hitHbmTokens(): Int32Array {
    return this.#column('hitHbmTokens', this.#hitHbmTokens, Int32Array, 0);
  }

  get hitHostTokens(): Int32Array {
    return this.#column('hitHostTokens', this.#hitHostTokens, Int32Array, 0);
  }

  /** Missed prompt tokens with an avoidable cause at the first admission. */
  get avoidableTokens(): Int32Array {
    return this.#column('avoidableTokens', this.#avoidableTokens, Int32Array, 0);
  }

  get preemptions(): Int32Array {
    return this.#column('preemptions', this.#preemptions, Int32Array, 0);
  }

  /** Rank of the last attempt, -1 = none. */
  get worker(): Int16Array {
    return this.#column('worker', this.#worker, Int16Array, -1);
  }

  /** Code of {@link TURN_STATUS}. */
  get status(): Uint8Array {
    return this.#column('status', this.#status, Uint8Array, 0);
  }

  get attempts(): Uint8Array {
    return this.#column('attempts', this.#attempts, Uint8Array, 0);
  }

  /** Bytes of all pages and columns. */
  get bytes(): number {
    let bytes = this.#order?.byteLength ?? 0;
    for (const column of this.#read.values()) bytes += column.byteLength;
    for (const pages of this.#allPages()) for (const page of pages) bytes += page?.byteLength ?? 0;
    return bytes;
  }

  /** Exactly one terminal state per turn (invariant I6). */
  #close(row: number, status: number): void {
    const states = this.#status[row >> PAGE_BITS];
    const i = row & MASK;
    if (states?.[i] !== TURN_STATUS.open)
      throw new Error(`internal error I6 (one terminal state): row ${row} is in state ${states?.[i]}, cannot enter ${status}`);
    states[i] = status;
  }

  #addPage(): void {
    this.#turn.push(new Int32Array(PAGE));
    this.#arrivalMs.push(new Float64Array(PAGE));
    this.#admitMs.push(new Float64Array(PAGE).fill(Number.NaN));
    this.#firstTokenMs.push(new Float64Array(PAGE).fill(Number.NaN));
    this.#lastTokenMs.push(new Float64Array(PAGE).fill(Number.NaN));
    this.#outputTokens.push(new Int32Array(PAGE));
    this.#hitHbmTokens.push(new Int32Array(PAGE));
    this.#avoidableTokens.push(new Int32Array(PAGE));
    this.#worker.push(new Int16Array(PAGE).fill(-1));
    this.#status.push(new Uint8Array(PAGE));
    this.#attempts.push(new Uint8Array(PAGE));
  }

  /** Dispatch times of a page in which, so far, everybody was dispatched on arrival. */
  #addDispatchPage(page: number): Float64Array {
    const workers = this.#worker[page]!;
    const times = this.#arrivalMs[page]!.map((tMs, i) => (workers[i]! < 0 ? Number.NaN : tMs));
    this.#dispatchMs[page] = times;
    return times;
  }

  /** Joins the pages of a column in the order of turn ids and gives them back. Cost O(rows) once. */
  #column<T extends Column>(name: string, pages: Pages<T>, make: new (length: number) => T, absent: number): T {
    const known = this.#read.get(name);
    if (known !== undefined) return known as T;
    this.#order ??= this.#byTurn();
    const order = this.#order;
    const out = new make(this.count);
    for (let k = 0; k < out.length; k++) {
      const row = order[k]!;
      out[k] = pages[row >> PAGE_BITS]?.[row & MASK] ?? absent;
    }
    pages.length = 0;
    this.#read.set(name, out);
    return out;
  }

  #byTurn(): Int32Array {
    let last = -1;
    for (let row = 0; row < this.count; row++) last = Math.max(last, this.#turn[row >> PAGE_BITS]![row & MASK]!);
    const rowOf = new Int32Array(last + 1);
    for (let row = 0; row < this.count; row++) rowOf[this.#turn[row >> PAGE_BITS]![row & MASK]!] = row + 1;
    const order = new Int32Array(this.count);
    let k = 0;
    for (let turn = 0; turn <= last; turn++) if (rowOf[turn]! > 0) order[k++] = rowOf[turn]! - 1;
    return order;
  }

  #allPages(): Pages<Column>[] {
    return [
      ...[this.#turn, this.#arrivalMs, this.#dispatchMs, this.#restoreMs, this.#admitMs, this.#firstTokenMs, this.#lastTokenMs],
      ...[this.#outputTokens, this.#hitHbmTokens, this.#hitHostTokens, this.#avoidableTokens],
      ...[this.#preemptions, this.#worker, this.#status, this.#attempts],
    ];
  }
}
