/** Which plays of the workload are waiting, under way and over. */
import { SESSION_STATUS } from '../measure/turn-table.ts';
import type { PlayEnd } from '../workload/closed-loop.ts';
import type { Workload } from '../workload/workload.ts';
import type { PlayTable } from './cluster-spec.ts';
import { createPlayTable, ensurePlay } from './play-table.ts';

/** Calls when a play shall start. */
type StartAt = (play: number, tMs: number) => void;

export class Population {
  readonly table: PlayTable = createPlayTable(1024);
  /** Started, not ended. */
  live = 0;
  readonly #workload: Workload;
  readonly #horizonMs: number;
  readonly #startAt: StartAt;
  #nextInitial = 0;
  #pendingStarts = 0;

  constructor(workload: Workload, horizonMs: number, startAt: StartAt) {
    this.#workload = workload;
    this.#horizonMs = horizonMs;
    this.#startAt = startAt;
  }

  /** Nothing runs and nothing will start. */
  get isOver(): boolean {
    return this.live === 0 && this.#pendingStarts === 0 && !this.hasInitial;
  }

  /** Some play of the initial list was not queued yet. */
  get hasInitial(): boolean {
    return this.#nextInitial < this.#workload.initialPlays.length;
  }

  /** Queues the next play of the sorted initial list, so that the calendar holds one of them at a time. */
  queueInitial(nowMs: number): void {
    if (!this.hasInitial) return;
    const play = this.#workload.initialPlays[this.#nextInitial++]!;
    this.#queue(play, this.#workload.plays.startMs[play]!, nowMs);
  }

  started(play: number, nowMs: number): void {
    ensurePlay(this.table, play);
    this.table.startMs[play] = nowMs;
    this.#pendingStarts--;
    this.live++;
    // Successors of closed slots are queued by the end of their predecessor; only the sorted list is walked here.
    if (this.#workload.mode !== 'closed' || this.#workload.plays.ordinal[play] === 0) this.queueInitial(nowMs);
  }

  /** A play ended; in a closed population its slot starts the next one after the respawn time. */
  ended(play: number, tMs: number, status: PlayEnd, activeMs: number, unloadedMs: number, nowMs: number): void {
    const { table } = this;
    table.endMs[play] = tMs;
    table.activeMs[play] = activeMs;
    table.unloadedMs[play] = unloadedMs;
    table.status[play] = SESSION_STATUS[status];
    this.live--;
    const { mode, respawnMs, plays } = this.#workload;
    if (mode !== 'closed' || tMs + respawnMs > this.#horizonMs) return;
    const next = this.#workload.successor(plays.slot[play]!, plays.ordinal[play]! + 1);
    if (next >= 0) this.#queue(next, tMs + respawnMs, nowMs);
  }

  /** The run is cut: what is open is censored. */
  censorOpen(): void {
    const { table } = this;
    for (let play = 0; play < table.count; play++)
      if (table.status[play] === 0 && !Number.isNaN(table.startMs[play]!)) table.status[play] = 3;
  }

  #queue(play: number, startMs: number, nowMs: number): void {
    if (startMs > this.#horizonMs) return;
    this.#pendingStarts++;
    this.#startAt(play, Math.max(startMs, nowMs));
  }
}
