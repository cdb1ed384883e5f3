/**
 * What the session behind an agent was doing at a time in the past: the turns of every live agent with their begin and end, as the
 * gateway and the engines saw them. An agent that had not begun yet is in the state of the agent that spawned it.
 * Source: retention specification 13.3 4g, states of 3.5.
 */
import { causeCode } from '../../measure/causes.ts';

/** What the states need to know of the workload. */
export interface AgentFacts {
  /** Agent that spawned an agent, -1 = none. */
  parent(agent: number): number;
  /** Kind of the pause before a turn: code of PAUSE_KINDS in sim/workload/workload.ts. */
  pauseKind(turn: number): number;
  /** Turn after a turn of the same agent, -1 = none. */
  following(turn: number): number;
}

const TOOL_PAUSE = causeCode('evicted_tool_pause');
/** By code of PAUSE_KINDS: first, tool, human, join, unknown. A pause of unknown kind counts as a tool, as in the classes of turns. */
const PAUSE_CAUSE = [TOOL_PAUSE, TOOL_PAUSE, causeCode('evicted_human_pause'), causeCode('evicted_join_pause'), TOOL_PAUSE];
const QUEUED = causeCode('evicted_while_queued');
const ACTIVE = causeCode('evicted_active');
const SHARED = causeCode('evicted_shared');
const PREEMPTED = causeCode('preempted');

/** Words of a turn in an agent's log: turn, begin, end (Infinity = not yet). */
const WORDS = 3;

export class SessionStates {
  readonly #facts: AgentFacts;
  /** By agent; forgotten ones leave a hole. */
  readonly #logs: (number[] | undefined)[] = [];
  /** Begin and end of the waits of preempted requests, by agent. */
  readonly #preempted = new Map<number, number[]>();

  constructor(facts: AgentFacts) {
    this.#facts = facts;
  }

  /** A turn reached the gateway for the first time. */
  arrived(agent: number, turn: number, tMs: number): void {
    const log = this.#logs[agent];
    if (log !== undefined) log.push(turn, tMs, Number.POSITIVE_INFINITY);
    else {
      while (this.#logs.length < agent) this.#logs.push(undefined);
      this.#logs[agent] = [turn, tMs, Number.POSITIVE_INFINITY];
    }
  }

  /** It ended, one way or another; another attempt may open it again with {@link reopened}. */
  ended(agent: number, tMs: number): void {
    const log = this.#logs[agent];
    if (log !== undefined) log[log.length - 1] = tMs;
  }

  reopened(agent: number): void {
    this.ended(agent, Number.POSITIVE_INFINITY);
  }

  preempted(agent: number, tMs: number): void {
    const waits = this.#preempted.get(agent);
    if (waits === undefined) this.#preempted.set(agent, [tMs, Number.POSITIVE_INFINITY]);
    else waits.push(tMs, Number.POSITIVE_INFINITY);
  }

  /** A preempted request runs again. */
  resumed(agent: number, tMs: number): void {
    const waits = this.#preempted.get(agent);
    if (waits !== undefined) waits[waits.length - 1] = tMs;
  }

  /** The agent makes no more requests and spawns none. */
  forget(agent: number): void {
    if (agent < this.#logs.length) this.#logs[agent] = undefined;
    this.#preempted.delete(agent);
  }

  /**
   * Cause code of an eviction at `tMs`, for a turn of `agent` that has arrived: what the session was doing then. `evicted_shared` if it
   * had not begun.
   */
  causeAt(agent: number, tMs: number): number {
    const { parent, pauseKind, following } = this.#facts;
    for (let a = agent; a >= 0; a = parent(a)) {
      const log = this.#logs[a];
      if (log === undefined || tMs < log[1]!) continue;
      let i = log.length - WORDS;
      while (log[i + 1]! > tMs) i -= WORDS;
      if (tMs < log[i + 2]!) {
        if (this.#waitedPreempted(a, tMs)) return PREEMPTED;
        return a === agent && i === log.length - WORDS ? QUEUED : ACTIVE;
      }
      const next = i + WORDS < log.length ? log[i + WORDS]! : following(log[i]!);
      // An agent without a next turn ended; what it spawned begins after a delay of the client.
      return next < 0 ? TOOL_PAUSE : PAUSE_CAUSE[pauseKind(next)]!;
    }
    return SHARED;
  }

  #waitedPreempted(agent: number, tMs: number): boolean {
    const waits = this.#preempted.get(agent);
    if (waits === undefined) return false;
    for (let i = waits.length - 2; i >= 0; i -= 2) if (waits[i]! <= tMs) return tMs < waits[i + 1]!;
    return false;
  }
}
