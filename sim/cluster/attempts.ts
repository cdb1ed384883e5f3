/**
 * Attempts to serve turns: which turn, where, and whether it still runs.
 *
 *     ids      0 … oldest-1   over, and no engine knows them any more: forgotten
 *              oldest … count-1   in columns at (id & mask)
 *
 * Ids are never used twice. An agent has one turn at a time, so what outlives an attempt between two tries is kept per agent.
 */
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

const INTS = ['turns', 'rows', 'leaves', 'ranks', 'outputs', 'believed'] as const;
const BYTES = ['states', 'ends', 'inEngine', 'answers'] as const;

/** 28 B per attempt between the oldest live one and the newest, 12 B per agent. */
export class Attempts {
  count = 0;
  #oldest = 0;
  #mask = 1023;
  private turns = new Int32Array(1024);
  private rows = new Int32Array(1024);
  private leaves = new Int32Array(1024);
  private ranks = new Int32Array(1024);
  private outputs = new Int32Array(1024);
  private believed = new Int32Array(1024);
  private states = new Uint8Array(1024);
  private ends = new Uint8Array(1024);
  private inEngine = new Uint8Array(1024);
  private answers = new Uint8Array(1024);
  /** Newest attempt of each agent, -1 before the first, and the row and leaf of its turn. */
  #latest = new Int32Array(64).fill(-1);
  #rowOf = new Int32Array(64);
  #leafOf = new Int32Array(64);

  /** First attempt of a turn; returns its id. `row` = its row in the turn table, `leaf` = its chain. */
  first(turn: number, agent: number, row: number, leaf: number): number {
    if (agent >= this.#latest.length) this.#widenAgents(agent);
    this.#rowOf[agent] = row;
    this.#leafOf[agent] = leaf;
    return this.again(turn, agent);
  }

  /** A further attempt of the turn that the agent tried last. */
  again(turn: number, agent: number): number {
    const id = this.count++;
    if (id - this.#oldest > this.#mask) this.#makeRoom(id);
    const i = id & this.#mask;
    this.#latest[agent] = id;
    this.turns[i] = turn;
    this.rows[i] = this.#rowOf[agent]!;
    this.leaves[i] = this.#leafOf[agent]!;
    this.ranks[i] = -1;
    this.outputs[i] = 0;
    this.believed[i] = 0;
    this.ends[i] = END.finished;
    this.inEngine[i] = 0;
    this.answers[i] = 0;
    this.states[i] = ATTEMPT.routing;
    return id;
  }

  /** The newest attempt of a turn of an agent; -1 = none, or over and forgotten. */
  latest(turn: number, agent: number): number {
    const id = agent < this.#latest.length ? this.#latest[agent]! : -1;
    return id >= this.#oldest && this.turns[id & this.#mask] === turn ? id : -1;
  }

  /** One of {@link ATTEMPT}. Messages may still name an attempt that is forgotten: it is over. Everything else is asked of the others only. */
  state(id: number): number {
    return id < this.#oldest ? ATTEMPT.over : this.states[id & this.#mask]!;
  }

  /** Row of the turn that an agent tried last. */
  rowOf(agent: number): number {
    return this.#rowOf[agent]!;
  }

  /** The engine made the first token. */
  answered(id: number): void {
    this.answers[id & this.#mask] = 1;
  }

  isAnswered(id: number): boolean {
    return this.answers[id & this.#mask] === 1;
  }

  turn(id: number): number {
    return this.turns[id & this.#mask]!;
  }

  row(id: number): number {
    return this.rows[id & this.#mask]!;
  }

  leaf(id: number): number {
    return this.leaves[id & this.#mask]!;
  }

  /** Where it was sent, -1 = nowhere yet. */
  rank(id: number): number {
    return this.ranks[id & this.#mask]!;
  }

  outputTokens(id: number): number {
    return this.outputs[id & this.#mask]!;
  }

  /** One of {@link END}. */
  endKind(id: number): number {
    return this.ends[id & this.#mask]!;
  }

  /** Prompt blocks that the router believed cached where it sent the request. */
  believedBlocks(id: number): number {
    return this.believed[id & this.#mask]!;
  }

  /** The plane has been asked: what it neither placed nor refused waits there. False if the attempt is over. */
  asked(id: number): boolean {
    const i = id & this.#mask;
    if (this.states[i] === ATTEMPT.routing) this.states[i] = ATTEMPT.waiting;
    return this.states[i] !== ATTEMPT.over;
  }

  sent(id: number, rank: number, believedBlocks: number): void {
    const i = id & this.#mask;
    this.ranks[i] = rank;
    this.states[i] = ATTEMPT.sent;
    this.believed[i] = believedBlocks;
  }

  /** Handed to an engine, which will report its end. */
  running(id: number): void {
    const i = id & this.#mask;
    this.states[i] = ATTEMPT.running;
    this.inEngine[i] = 1;
  }

  /** The engine is done with it; plane and agent learn of it later. */
  left(id: number, kind: number, outputTokens: number): void {
    const i = id & this.#mask;
    this.outputs[i] = outputTokens;
    this.ends[i] = kind;
    this.inEngine[i] = 0;
  }

  setEnd(id: number, kind: number): void {
    this.ends[id & this.#mask] = kind;
  }

  /** Returns whether the plane knows of the attempt, placed or waiting. */
  close(id: number): boolean {
    const i = id & this.#mask;
    const isKnown = this.states[i] !== ATTEMPT.routing;
    this.states[i] = ATTEMPT.over;
    return isKnown;
  }

  /** Bytes of all columns. */
  get bytes(): number {
    return (this.#mask + 1) * (INTS.length * 4 + BYTES.length) + this.#latest.length * 12;
  }

  /** Forgets what is over and twice as much is kept if that was not enough. Cost O(1) amortised. */
  #makeRoom(id: number): void {
    const mask = this.#mask;
    const { states, inEngine } = this;
    while (this.#oldest < id && states[this.#oldest & mask] === ATTEMPT.over && inEngine[this.#oldest & mask] === 0) this.#oldest++;
    // A quarter must be free, or the next call would look again.
    if (id - this.#oldest <= mask - (mask >> 2)) return;
    const size = 2 * (mask + 1);
    for (const name of INTS) this[name] = this.#copied(this[name], new Int32Array(size), id);
    for (const name of BYTES) this[name] = this.#copied(this[name], new Uint8Array(size), id);
    this.#mask = size - 1;
  }

  #copied<T extends Int32Array | Uint8Array>(from: T, to: T, end: number): T {
    const wide = to.length - 1;
    for (let id = this.#oldest; id < end; id++) to[id & wide] = from[id & this.#mask]!;
    return to;
  }

  #widenAgents(agent: number): void {
    const size = Math.max(agent + 1, this.#latest.length * 2);
    for (const [column, wide] of [
      [this.#latest, (this.#latest = new Int32Array(size).fill(-1))],
      [this.#rowOf, (this.#rowOf = new Int32Array(size))],
      [this.#leafOf, (this.#leafOf = new Int32Array(size))],
    ] as const)
      wide.set(column);
  }
}
