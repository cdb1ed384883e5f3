/**
 * Counterfactual client pauses: faster or slower tools, humans and nested agents than recorded. All arms of a run see the same change.
 * Source: trace specification 7.7.
 */
import { pauseOf, STOPS, type ToolSpan, type Trace } from '../../traces/columns.ts';
import { mixture, type Stream, uniformInteger } from '../kernel/draw.ts';
import { PAUSE } from './synthetic/generator-parameters.ts';
import { PAUSE_KINDS } from './workload.ts';

/** A pause p becomes min(max(p * scale + shiftMs, floorMs), capMs), at least 0. Scale >= 0, floor and cap >= 0 ms, shift of either sign. */
export interface PauseChange {
  readonly scale: number;
  readonly shiftMs: number;
  readonly floorMs: number;
  readonly capMs: number;
}

/** What is changed. Absent kinds stay as the trace has them. */
export interface ToolTime {
  /** Pauses of kind tool, and of unknown kind. */
  readonly tool: PauseChange;
  readonly human?: PauseChange;
  readonly join?: PauseChange;
  /** Changes of single tools by the name in the trace; applied to their part of a pause before the change of the whole pause. */
  readonly tools: readonly (PauseChange & { readonly name: string })[];
  /** Share of the decode of the previous answer that a tool pause is shorter by, 0..1. */
  readonly overlap: number;
  /** Where tool pauses are drawn anew from; `none` keeps them. */
  readonly resample: 'none' | 'fit' | 'ecdf';
}

const KIND_HUMAN = PAUSE_KINDS.indexOf('human');
const KIND_JOIN = PAUSE_KINDS.indexOf('join');
const KIND_FIRST = PAUSE_KINDS.indexOf('first');

/** A change applied to a pause. */
export function changed(pauseMs: number, change: PauseChange): number {
  return Math.max(0, Math.min(Math.max(pauseMs * change.scale + change.shiftMs, change.floorMs), change.capMs));
}

/** A pause of kind `kind` (code of PAUSE_KINDS) in which the tools of `spans` ran. */
export function counterfactualPause(pauseMs: number, kind: number, spans: readonly ToolSpan[] | undefined, change: ToolTime): number {
  if (kind === KIND_FIRST) return pauseMs;
  if (kind === KIND_HUMAN) return change.human === undefined ? pauseMs : changed(pauseMs, change.human);
  if (kind === KIND_JOIN) return change.join === undefined ? pauseMs : changed(pauseMs, change.join);
  let whole = pauseMs;
  if (spans !== undefined && change.tools.length > 0) {
    for (const span of spans) {
      const own = change.tools.find((t) => t.name === span.class);
      if (own !== undefined) whole += changed(span.ms, own) - span.ms;
    }
    whole = Math.max(0, whole);
  }
  return changed(whole, change.tool);
}

/** Draws pauses instead of reading them; one keyed stream per agent, one draw per pause. */
export class PauseDraws {
  readonly #trace: Trace;
  readonly #stream: (agent: string) => Stream;
  #tool: Float64Array | undefined;

  constructor(trace: Trace, stream: (agent: string) => Stream) {
    this.#trace = trace;
    this.#stream = stream;
  }

  /** Stream of agent `a` of session `session`. */
  open(session: number, a: number): Stream {
    const { strings, agent, session: sessions } = this.#trace;
    return this.#stream(`${strings[sessions.id[session]!]!}/${strings[agent.id[a]!]!}`);
  }

  /** From the fit of recorded sessions, by kind of pause, whole ms. Kinds tool, human and unknown (as tool). */
  fit(stream: Stream, kind: number): number {
    return Math.round(mixture(stream, kind === KIND_HUMAN ? PAUSE.debiased.human : PAUSE.debiased.tool) * 1000);
  }

  /** One of the tool pauses of this trace, de-biased, each equally likely. */
  ecdf(stream: Stream): number {
    this.#tool ??= toolPauses(this.#trace);
    return this.#tool.length === 0 ? 0 : this.#tool[uniformInteger(stream, 0, this.#tool.length - 1)]!;
  }
}

const STOP_TOOL = STOPS.indexOf('tool');

/** De-biased pauses after responses that asked for a tool, in the order of the trace. */
function toolPauses(trace: Trace): Float64Array {
  const { agent, request } = trace;
  const found: number[] = [];
  for (let a = 0; a < trace.agentCount; a++) {
    for (let r = agent.requestFrom[a]! + 1; r < agent.requestFrom[a + 1]!; r++) {
      if (request.stop[r - 1] !== STOP_TOOL) continue;
      const pause = pauseOf(trace, r, 'debiased');
      if (!Number.isNaN(pause)) found.push(pause);
    }
  }
  return Float64Array.from(found);
}
