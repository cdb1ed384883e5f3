/**
 * What happened to every turn of a run: columns indexed by turn id, filled by the cluster as the turn proceeds. A turn is one
 * model request; retries are attempts of the same turn. About 90 B per turn, no objects.
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

const FLOAT_COLUMNS = ['arrivalMs', 'dispatchMs', 'restoreMs', 'admitMs', 'firstTokenMs', 'lastTokenMs', 'unloadedMs'] as const;
const INT_COLUMNS = ['promptTokens', 'outputTokens', 'hitHbmTokens', 'hitHostTokens', 'avoidableTokens', 'preemptions', 'worker'] as const;
const BYTE_COLUMNS = ['status', 'attempts'] as const;

/** Columns by turn id. Times are ms since the start of the run, NaN = did not happen. */
export class TurnTable {
  /** Turn ids in use are 0..count-1. */
  count = 0;
  /** Turns that reached `finished`. */
  finishedCount = 0;
  /** Turn reached the gateway, first attempt. */
  arrivalMs = new Float64Array(0);
  /** First dispatch to a worker. */
  dispatchMs = new Float64Array(0);
  /** First restore from a lower tier began. */
  restoreMs = new Float64Array(0);
  /** First admission. */
  admitMs = new Float64Array(0);
  /** End of the step that made the first output token of the last attempt. */
  firstTokenMs = new Float64Array(0);
  /** End of the step that made the last output token; only for finished turns. */
  lastTokenMs = new Float64Array(0);
  /** What the turn would have taken on an idle fleet with a perfect cache, arrival to last token; set when it finished. */
  unloadedMs = new Float64Array(0);
  promptTokens = new Int32Array(0);
  /** Tokens produced. */
  outputTokens = new Int32Array(0);
  /** Prompt tokens found in a tier at the FIRST admission; re-admissions do not count. */
  hitHbmTokens = new Int32Array(0);
  hitHostTokens = new Int32Array(0);
  /** Missed prompt tokens with an avoidable cause at the first admission. */
  avoidableTokens = new Int32Array(0);
  preemptions = new Int32Array(0);
  /** Rank of the last attempt, -1 = none. */
  worker = new Int32Array(0);
  /** Code of {@link TURN_STATUS}. */
  status = new Uint8Array(0);
  attempts = new Uint8Array(0);

  constructor(capacity = 0) {
    this.#grow(Math.max(16, capacity));
  }

  /** Makes room for turn ids below `count`. Cost O(1) amortised. */
  ensure(count: number): void {
    if (count > this.arrivalMs.length) this.#grow(Math.max(count, this.arrivalMs.length * 2));
    if (count > this.count) this.count = count;
  }

  arrived(turn: number, tMs: number, promptTokens: number): void {
    this.ensure(turn + 1);
    this.arrivalMs[turn] = tMs;
    this.promptTokens[turn] = promptTokens;
    this.status[turn] = TURN_STATUS.open;
  }

  dispatched(turn: number, tMs: number, worker: number): void {
    if (Number.isNaN(this.dispatchMs[turn]!)) this.dispatchMs[turn] = tMs;
    this.worker[turn] = worker;
  }

  /** A restore began; only the one before the first admission is kept. */
  restoring(turn: number, tMs: number): void {
    if (Number.isNaN(this.restoreMs[turn]!) && Number.isNaN(this.admitMs[turn]!)) this.restoreMs[turn] = tMs;
  }

  /** An admission; later ones (after preemption, or of another attempt) change nothing. */
  admitted(turn: number, tMs: number, hitHbmTokens: number, hitHostTokens: number): void {
    if (!Number.isNaN(this.admitMs[turn]!)) return;
    this.admitMs[turn] = tMs;
    this.hitHbmTokens[turn] = hitHbmTokens;
    this.hitHostTokens[turn] = hitHostTokens;
  }

  /** A retry starts its answer again, so the last attempt's first token counts. */
  firstToken(turn: number, tMs: number): void {
    this.firstTokenMs[turn] = tMs;
  }

  finished(turn: number, tMs: number, outputTokens: number): void {
    this.lastTokenMs[turn] = tMs;
    this.outputTokens[turn] = outputTokens;
    this.#close(turn, TURN_STATUS.finished);
    this.finishedCount++;
  }

  /** A terminal state other than `finished`. */
  ended(turn: number, _tMs: number, status: number): void {
    this.#close(turn, status);
  }

  /** Marks every open turn as censored: the run is over. */
  censorOpen(): void {
    for (let turn = 0; turn < this.count; turn++) if (this.status[turn] === TURN_STATUS.open) this.status[turn] = TURN_STATUS.censored;
  }

  /** Exactly one terminal state per turn (invariant I6). */
  #close(turn: number, status: number): void {
    if (this.status[turn] !== TURN_STATUS.open)
      throw new Error(`internal error I6 (one terminal state): turn ${turn} is in state ${this.status[turn]}, cannot enter ${status}`);
    this.status[turn] = status;
  }

  #grow(size: number): void {
    for (const name of FLOAT_COLUMNS) {
      const column = new Float64Array(size).fill(NaN);
      column.set(this[name]);
      this[name] = column;
    }
    for (const name of INT_COLUMNS) {
      const column = new Int32Array(size);
      if (name === 'worker') column.fill(-1);
      column.set(this[name]);
      this[name] = column;
    }
    for (const name of BYTE_COLUMNS) {
      const column = new Uint8Array(size);
      column.set(this[name]);
      this[name] = column;
    }
  }
}
