/** Attempts to serve turns: which turn, where, and whether it still runs. Columns by attempt id. */
import type { AttemptEnd } from '../../control/ports.ts';
import type { EndStatus } from '../engine/worker.ts';

/** States of an attempt; `waiting` = in the queue of the control plane. */
export const ATTEMPT = { routing: 0, sent: 1, running: 2, over: 3, waiting: 4 } as const;

/** How an attempt ended, as told to plane and agent. */
export const END = { finished: 0, failed: 1, cancelled: 2, lost: 3, rejected: 4 } as const;
/** The plane's word for each of {@link END}. */
export const END_STATUS: readonly AttemptEnd['status'][] = ['finished', 'failed', 'cancelled', 'lost', 'rejected'];

/** What the end of a request at its engine means for the attempt. */
export function endKind(status: EndStatus): number {
  if (status === 'finished') return END.finished;
  if (status === 'aborted') return END.cancelled;
  if (status === 'lost' || status === 'handback') return END.lost;
  return status === 'rejected' ? END.rejected : END.failed;
}

export class Attempts {
  count = 0;
  turn = new Int32Array(1024);
  rank = new Int32Array(1024);
  state = new Uint8Array(1024);
  outputTokens = new Int32Array(1024);
  /** One of {@link END}. */
  endKind = new Uint8Array(1024);
  /** Prompt blocks that the router believed cached where it sent the request. */
  believedBlocks = new Int32Array(1024);
  #latest = new Int32Array(1024).fill(-1);

  add(turn: number): number {
    const id = this.count++;
    if (id === this.turn.length) this.#grow();
    if (turn >= this.#latest.length) this.#widenTurns(turn);
    this.#latest[turn] = id;
    this.turn[id] = turn;
    this.rank[id] = -1;
    this.state[id] = ATTEMPT.routing;
    return id;
  }

  /** The newest attempt of a turn, -1 before the first. */
  latest(turn: number): number {
    return turn < this.#latest.length ? this.#latest[turn]! : -1;
  }

  /** The plane has been asked: what it neither placed nor refused waits there. False if the attempt is over. */
  asked(id: number): boolean {
    if (this.state[id] === ATTEMPT.routing) this.state[id] = ATTEMPT.waiting;
    return this.state[id] !== ATTEMPT.over;
  }

  /** Returns whether the plane knows of the attempt, placed or waiting. */
  close(id: number): boolean {
    const isKnown = this.state[id] !== ATTEMPT.routing;
    this.state[id] = ATTEMPT.over;
    return isKnown;
  }

  #widenTurns(turn: number): void {
    const wide = new Int32Array(Math.max(turn + 1, this.#latest.length * 2)).fill(-1);
    wide.set(this.#latest);
    this.#latest = wide;
  }

  #grow(): void {
    const size = this.turn.length * 2;
    for (const name of ['turn', 'rank', 'outputTokens', 'believedBlocks'] as const) {
      const wide = new Int32Array(size);
      wide.set(this[name]);
      this[name] = wide;
    }
    for (const name of ['state', 'endKind'] as const) {
      const wide = new Uint8Array(size);
      wide.set(this[name]);
      this[name] = wide;
    }
  }
}
