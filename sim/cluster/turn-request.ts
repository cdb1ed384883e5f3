/** A turn as the router sees it, and as an engine does. Names are made when somebody asks: only ties, draws and hashing policies do. */
import type { AgentHints, RouteRequest } from '../../control/ports.ts';
import { STOPS } from '../../traces/columns.ts';
import type { EngineRequest } from '../engine/worker.ts';
import type { Workload } from '../workload/workload.ts';

/** One attempt to serve a turn. Its facts are those of the arrival; the names of a turn never change. */
export class TurnRequest implements RouteRequest {
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly session: number;
  readonly tenant: number;
  readonly arrivalMs: number;
  readonly promptTokens: number;
  readonly branch: number;
  readonly depthBlocks: number;
  declare readonly hints?: AgentHints;
  declare readonly queueClass?: string;
  readonly #workload: Workload;
  readonly #turn: number;

  constructor(workload: Workload, turn: number, attempt: number, attemptNumber: number, nowMs: number, hints: AgentHints | undefined) {
    const { turns, plays } = workload;
    const play = turns.play(turn);
    this.attempt = attempt;
    this.attemptNumber = attemptNumber;
    this.session = play;
    this.tenant = plays.tenant[play]!;
    this.arrivalMs = nowMs;
    this.promptTokens = turns.promptTokens(turn);
    this.branch = turns.branch(turn);
    this.depthBlocks = turns.depthBlocks(turn);
    if (hints !== undefined) this.hints = hints;
    const queueClass = workload.queueClass(play);
    if (queueClass !== undefined) this.queueClass = queueClass;
    this.#workload = workload;
    this.#turn = turn;
  }

  get id(): string {
    return this.#workload.turnName(this.#turn);
  }

  get sessionKey(): string {
    return this.#workload.playName(this.session);
  }
}

/** What an engine is told of an attempt that reaches it at `nowMs`; `leaf` = the chain of prompt and output. */
export function engineRequest(workload: Workload, turn: number, attempt: number, leaf: number, nowMs: number): EngineRequest {
  const { turns, plays } = workload;
  const session = turns.play(turn);
  return {
    id: attempt,
    session,
    leaf,
    promptTokens: turns.promptTokens(turn),
    outputTokens: turns.outputTokens(turn),
    priority: plays.priority[session]!,
    arrivalMs: nowMs,
    stopsEarly: STOPS[turns.stop(turn)] !== 'length',
  };
}
