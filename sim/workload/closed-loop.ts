/**
 * The closed loop of a session: which turn is due when, given when turns ended. The client side of a run, without a clock of its own.
 *
 *     start(i) = max(end(i - 1), end of every agent that joins before i + its delay) + pause(i)
 *     pause(i) of a tool is shorter by a share of the decode of i - 1 where tools start while the answer streams
 *
 * A driver calls `start`, then for every turn reported as due `dispatched` and `completed` or `failed`, at times that never decrease,
 * and hears back through a {@link ClosedLoopSink}. Spawns, joins, background agents, mid-life entry and the cancelling of children are
 * settled here. Integer columns per agent, no allocation per event. Source: trace specification 7.1, 7.5, 7.7.
 */
import { EDGE_JOINS, EDGE_SPAWNS_ON_COMPLETION, EDGE_SPAWNS_ON_DISPATCH, PAUSE_KINDS, type Workload } from './workload.ts';

/** How a play ends, in the order of the codes. */
export const PLAY_ENDS = ['completed', 'failed', 'rejected', 'abandoned'] as const;
export type PlayEnd = (typeof PLAY_ENDS)[number];

/** Receives what follows from a call, within that call. Must not call back into the loop; `playEnded` may ask the workload for a successor. */
export interface ClosedLoopSink {
  /** A turn has to be sent at `tMs`, which is now or later. Once per turn that runs. */
  due(turn: number, tMs: number): void;
  /** The play failed at `tMs` while this turn was due or in flight: never send it, or abort it. No other call for it will follow. */
  cancelled(turn: number, tMs: number): void;
  /**
   * Once per play that was started. `activeMs` = time since its start minus the client's share (pauses, spawn and join delays) of its
   * critical path; `unloadedMs` = sum along that path of what `completed` was told.
   */
  playEnded(play: number, tMs: number, status: PlayEnd, activeMs: number, unloadedMs: number): void;
}

const KIND_TOOL = PAUSE_KINDS.indexOf('tool');

/** Phases of an agent: not spawned, due (waiting to be sent), in flight, waiting for agents that join, ended. */
const IDLE = 0;
const DUE = 1;
const FLYING = 2;
const JOINING = 3;
const ENDED = 4;

/** State machines of all agents of a workload. Memory 45 B per agent. */
export class AgentLoop {
  readonly #workload: Workload;
  readonly #sink: ClosedLoopSink;
  /** Turn that is due, in flight, or next after a join; -1 before the start and after the end. Shape [agents], like all below. */
  #turn = new Int32Array(0);
  #phase = new Uint8Array(0);
  /** End of the last response; while JOINING the own anchor of the next pause. -Infinity for agents done at a mid-life entry. */
  #endMs = new Float64Array(0);
  /** Client share, and unloaded time, on the path that determined the start of the current turn, or the last end. */
  #clientMs = new Float64Array(0);
  #unloadedMs = new Float64Array(0);
  /** Agents that have not ended; -1 = play not started. Shape [plays]. */
  #open = new Int32Array(0);
  #startedMs = new Float64Array(0);

  constructor(workload: Workload, sink: ClosedLoopSink) {
    this.#workload = workload;
    this.#sink = sink;
  }

  /** The play begins at `tMs`. Call once per play. */
  start(play: number, tMs: number): void {
    this.#reserve();
    const { plays, agents } = this.#workload;
    assert(this.#open[play] === -1, play, 'started twice');
    const from = plays.agentFrom[play]!;
    const to = plays.agentTo[play]!;
    this.#startedMs[play] = tMs;
    let open = 0;
    for (let a = from; a < to; a++) {
      const first = agents.firstTurn[a]!;
      this.#phase[a] = first < 0 ? ENDED : IDLE;
      this.#turn[a] = -1;
      this.#endMs[a] = Number.NEGATIVE_INFINITY;
      this.#clientMs[a] = 0;
      this.#unloadedMs[a] = 0;
      if (first >= 0) open++;
    }
    this.#open[play] = open;
    for (let a = from; a < to; a++) if (this.#phase[a] === IDLE && !Number.isNaN(agents.firstDelayMs[a]!)) this.#enter(a, tMs);
  }

  /** The turn was sent at `tMs`: agents spawned on dispatch start their delay. */
  dispatched(turn: number, tMs: number): void {
    const { turns } = this.#workload;
    const a = turns.agent(turn);
    assert(this.#phase[a] === DUE && this.#turn[a] === turn, turn, 'dispatched but not due');
    this.#phase[a] = FLYING;
    if ((turns.edges(turn) & EDGE_SPAWNS_ON_DISPATCH) !== 0) this.#spawn(a, turn, 0, tMs);
  }

  /**
   * The client has the last token. `unloadedMs` = what the turn would have taken on an idle fleet; summed along the critical path.
   * `decodeMs` = from its first to its last token, for tools that run meanwhile.
   */
  completed(turn: number, tMs: number, unloadedMs = 0, decodeMs = 0): void {
    const { turns, agents } = this.#workload;
    const a = turns.agent(turn);
    assert(this.#phase[a] === FLYING && this.#turn[a] === turn, turn, 'completed but not in flight');
    this.#endMs[a] = tMs;
    this.#unloadedMs[a]! += unloadedMs;
    if ((turns.edges(turn) & EDGE_SPAWNS_ON_COMPLETION) !== 0) this.#spawn(a, turn, 1, tMs);
    const next = turn + 1;
    if (next === agents.turnTo[a]) this.#endAgent(a, tMs);
    else if ((turns.edges(next) & EDGE_JOINS) === 0) {
      const pause = this.#pauseAfter(next, decodeMs);
      this.#setDue(a, next, tMs + pause, pause);
    } else this.#waitForJoin(a, next);
  }

  /** Pause before `next`; a tool that was started while the answer streamed has run for a part of it. */
  #pauseAfter(next: number, decodeMs: number): number {
    const { turns, toolOverlap } = this.#workload;
    const pause = turns.pauseMs(next);
    return toolOverlap > 0 && turns.pauseKind(next) === KIND_TOOL ? Math.max(0, pause - toolOverlap * decodeMs) : pause;
  }

  /** The turn was given up, after all retries: the play ends with `status`, whatever else of it is due or in flight is cancelled. */
  failed(turn: number, tMs: number, status: Exclude<PlayEnd, 'completed'> = 'failed'): void {
    const { turns, plays } = this.#workload;
    const failing = turns.agent(turn);
    assert(
      (this.#phase[failing] === FLYING || this.#phase[failing] === DUE) && this.#turn[failing] === turn,
      turn,
      'failed but not running',
    );
    const play = turns.play(turn);
    for (let a = plays.agentFrom[play]!; a < plays.agentTo[play]!; a++) {
      const phase = this.#phase[a]!;
      if (a !== failing && (phase === DUE || phase === FLYING)) this.#sink.cancelled(this.#turn[a]!, tMs);
      this.#phase[a] = ENDED;
      this.#turn[a] = -1;
    }
    this.#endPlay(play, failing, tMs, status);
  }

  /** Whether the turn is due or in flight. */
  isWaiting(turn: number): boolean {
    const a = this.#workload.turns.agent(turn);
    return this.#turn[a] === turn && (this.#phase[a] === DUE || this.#phase[a] === FLYING);
  }

  /** Whether the play was started and has not ended. */
  isOpen(play: number): boolean {
    return play < this.#open.length && this.#open[play]! > 0;
  }

  /** Starts an agent with the play: the root, or whoever is under way at a mid-life entry. */
  #enter(a: number, tMs: number): void {
    const { agents, turns } = this.#workload;
    const first = agents.firstTurn[a]!;
    const delay = agents.firstDelayMs[a]!;
    const mayWait = first !== agents.turnFrom[a] && (turns.edges(first) & EDGE_JOINS) !== 0;
    if (mayWait && !this.#allJoined(a, first)) {
      this.#endMs[a] = tMs + delay;
      this.#clientMs[a] = Math.max(0, delay);
      this.#turn[a] = first;
      this.#phase[a] = JOINING;
    } else {
      this.#setDue(a, first, tMs + delay, delay);
    }
  }

  /** Starts the agents that wait for `turn` of agent `parent`; `on` 0 = dispatch, 1 = completion. */
  #spawn(parent: number, turn: number, on: number, tMs: number): void {
    const { agents, plays, turns } = this.#workload;
    const play = turns.play(turn);
    for (let a = plays.agentFrom[play]!; a < plays.agentTo[play]!; a++) {
      if (agents.spawnAfter[a] !== turn || agents.spawnOn[a] !== on || this.#phase[a] !== IDLE) continue;
      const delay = agents.spawnDelayMs[a]!;
      this.#clientMs[a] = this.#clientMs[parent]!;
      this.#unloadedMs[a] = this.#unloadedMs[parent]!;
      this.#setDue(a, agents.firstTurn[a]!, tMs + delay, delay);
    }
  }

  /** `clientMs` = how much of the way to `tMs` is the client's. */
  #setDue(a: number, turn: number, tMs: number, clientMs: number): void {
    this.#turn[a] = turn;
    this.#phase[a] = DUE;
    this.#clientMs[a]! += clientMs;
    this.#sink.due(turn, tMs);
  }

  #waitForJoin(a: number, next: number): void {
    this.#turn[a] = next;
    this.#phase[a] = JOINING;
    if (this.#allJoined(a, next)) this.#join(a, next);
  }

  #allJoined(a: number, turn: number): boolean {
    const { agents, plays } = this.#workload;
    const play = agents.play[a]!;
    for (let child = plays.agentFrom[play]!; child < plays.agentTo[play]!; child++)
      if (agents.joinBefore[child] === turn && this.#phase[child] !== ENDED) return false;
    return true;
  }

  /** The latest of the own end and the joined ends decides when the pause begins, and whose path is critical; the own path wins a tie. */
  #join(a: number, turn: number): void {
    const { agents, plays, turns } = this.#workload;
    const play = agents.play[a]!;
    let anchor = this.#endMs[a]!;
    let critical = a;
    let delay = 0;
    for (let child = plays.agentFrom[play]!; child < plays.agentTo[play]!; child++) {
      if (agents.joinBefore[child] !== turn) continue;
      const joined = this.#endMs[child]! + agents.joinDelayMs[child]!;
      if (joined <= anchor) continue;
      anchor = joined;
      critical = child;
      delay = agents.joinDelayMs[child]!;
    }
    this.#clientMs[a] = this.#clientMs[critical]!;
    this.#unloadedMs[a] = this.#unloadedMs[critical]!;
    const pause = turns.pauseMs(turn);
    this.#setDue(a, turn, anchor + pause, delay + pause);
  }

  #endAgent(a: number, tMs: number): void {
    const { agents } = this.#workload;
    const play = agents.play[a]!;
    this.#phase[a] = ENDED;
    this.#turn[a] = -1;
    const before = agents.joinBefore[a]!;
    if (before >= 0) {
      const parent = agents.parent[a]!;
      if (this.#phase[parent] === JOINING && this.#turn[parent] === before && this.#allJoined(parent, before)) this.#join(parent, before);
    }
    if (--this.#open[play]! === 0) this.#endPlay(play, a, tMs, 'completed');
  }

  #endPlay(play: number, last: number, tMs: number, status: PlayEnd): void {
    this.#open[play] = 0;
    this.#sink.playEnded(play, tMs, status, tMs - this.#startedMs[play]! - this.#clientMs[last]!, this.#unloadedMs[last]!);
  }

  /** Columns for plays that were appended since the last start. */
  #reserve(): void {
    const agents = this.#workload.agents.play.length;
    if (agents > this.#turn.length) {
      this.#turn = copied(this.#turn, new Int32Array(agents));
      this.#phase = copied(this.#phase, new Uint8Array(agents));
      this.#endMs = copied(this.#endMs, new Float64Array(agents));
      this.#clientMs = copied(this.#clientMs, new Float64Array(agents));
      this.#unloadedMs = copied(this.#unloadedMs, new Float64Array(agents));
    }
    const plays = this.#workload.plays.session.length;
    if (plays > this.#open.length) {
      this.#open = copied(this.#open, new Int32Array(plays).fill(-1));
      this.#startedMs = copied(this.#startedMs, new Float64Array(plays));
    }
  }
}

function copied<T extends Int32Array | Uint8Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function assert(condition: boolean, id: number, message: string): asserts condition {
  if (!condition) throw new Error(`closed loop: ${id} ${message}`);
}
