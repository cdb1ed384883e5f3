/**
 * Entering sessions in the middle, so that a closed population is in its steady state from the start: sessions drawn by residence
 * time, entry uniform over it, everything before the entry taken as done. Source: trace specification 7.5.
 */
import type { Trace } from '../../traces/columns.ts';
import { cumulated, pick, sessionWeight } from './arrivals.ts';
import { apiMs } from './pauses.ts';
import type { SessionTemplate, SessionTemplates } from './session-template.ts';
import { EDGE_JOINS } from './workload.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** Where a play is entered. Agents and turns count from the template's first. */
export interface MidlifeEntry {
  /** First turn each agent runs; -1 = done. */
  readonly firstTurn: Int32Array;
  /** As `Agents.firstDelayMs`. */
  readonly firstDelayMs: Float64Array;
}

/** When the turns of a session start and end if every response takes its recorded time, ms from the session's start. */
export interface NominalTimes {
  readonly start: Float64Array;
  readonly end: Float64Array;
  /** Last end over the tree: residence time D. For a session without children the sum of its service times and pauses. */
  readonly span: number;
}

/**
 * Replays a template with the service times of the trace. Agents wait for each other, so each is advanced as far as it can be until
 * nothing moves. Cost O(turns) for a session without children.
 */
export function nominalTimes(trace: Trace, templates: SessionTemplates, template: SessionTemplate): NominalTimes {
  const { turns, agents } = templates;
  const { turnFrom, agentFrom, agentTo } = template;
  const count = template.turnTo - turnFrom;
  const start = new Float64Array(count).fill(Number.NaN);
  const end = new Float64Array(count).fill(Number.NaN);
  const cursor = agents.turnFrom.slice(agentFrom, agentTo);
  for (let moved = true; moved; ) {
    moved = false;
    for (let row = agentFrom; row < agentTo; row++) {
      const last = agents.turnTo[row]!;
      for (let t = cursor[row - agentFrom]!; t < last; t++) {
        const anchor =
          t === agents.turnFrom[row] ? spawnTime(trace, templates, row, start, end) : anchorTime(trace, templates, template, t, end);
        // NaN: waits for a turn that has no time yet.
        if (Number.isNaN(anchor)) break;
        start[t] = anchor + turns.pauseMs[turnFrom + t]!;
        end[t] = start[t]! + apiMs(trace, turns.request[turnFrom + t]!);
        cursor[row - agentFrom] = t + 1;
        moved = true;
      }
    }
  }
  let span = 0;
  for (let t = 0; t < count; t++) {
    if (Number.isNaN(end[t])) throw new Error('midlife: the agents of a session wait for each other in a circle');
    span = Math.max(span, end[t]!);
  }
  return { start, end, span };
}

function spawnTime(trace: Trace, templates: SessionTemplates, row: number, start: Float64Array, end: Float64Array): number {
  const after = templates.agents.spawnAfter[row]!;
  if (after < 0) return 0;
  const source = templates.agents.source[row]!;
  return (trace.agent.spawnOn[source] === 1 ? end : start)[after]! + trace.agent.spawnDelayMs[source]!;
}

/** Latest of the own previous end and the ends of joining agents with their delays. */
function anchorTime(trace: Trace, templates: SessionTemplates, template: SessionTemplate, t: number, end: Float64Array): number {
  const { agents, turns } = templates;
  let anchor = end[t - 1]!;
  if ((turns.edges[template.turnFrom + t]! & EDGE_JOINS) === 0) return anchor;
  for (let row = template.agentFrom; row < template.agentTo; row++) {
    if (agents.joinBefore[row] !== t) continue;
    const joined = end[agents.turnTo[row]! - 1]! + trace.agent.joinDelayMs[agents.source[row]!]!;
    // NaN must win: the agent has not ended yet.
    if (!(joined <= anchor)) anchor = joined;
    if (Number.isNaN(anchor)) return anchor;
  }
  return anchor;
}

/** Length-biased choice of sessions; built once per workload. */
export class MidlifeChoice {
  readonly #trace: Trace;
  readonly #templates: SessionTemplates;
  readonly #sessions: Int32Array;
  readonly #times: readonly NominalTimes[];
  readonly #cumulative: Float64Array;

  /** `fleet` plays have the same times; the templates without it stand for all. */
  constructor(trace: Trace, templates: SessionTemplates, sessions: Int32Array, options: WorkloadOptions) {
    this.#trace = trace;
    this.#templates = templates;
    this.#sessions = sessions;
    this.#times = Array.from(sessions, (s) => nominalTimes(trace, templates, templates.of(s, false)));
    this.#cumulative = cumulated(sessions.length, (i) => sessionWeight(trace, options, sessions[i]!) * this.#times[i]!.span);
  }

  /** Session and entry of one play from two numbers in [0, 1): which session, and how far into it. */
  draw(u: number, v: number): { readonly session: number; readonly entry: MidlifeEntry } {
    const i = pick(u, this.#cumulative);
    const session = this.#sessions[i]!;
    const times = this.#times[i]!;
    const at = Math.floor(v * times.span);
    return { session, entry: midlifeEntry(this.#trace, this.#templates, this.#templates.of(session, false), times, at) };
  }
}

/** State of a session `at` ms after its start: the turn each agent is in, or waits for. */
export function midlifeEntry(
  trace: Trace,
  templates: SessionTemplates,
  template: SessionTemplate,
  times: NominalTimes,
  at: number,
): MidlifeEntry {
  const { agents } = templates;
  const count = template.agentTo - template.agentFrom;
  const firstTurn = new Int32Array(count);
  const firstDelayMs = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const row = template.agentFrom + i;
    const from = agents.turnFrom[row]!;
    const to = agents.turnTo[row]!;
    let t = from;
    while (t < to && times.end[t]! <= at) t++;
    firstTurn[i] = t === to ? -1 : t;
    firstDelayMs[i] = t === to ? 0 : Math.max(0, times.start[t]! - at);
  }
  // An agent that was not triggered yet starts by its trigger; one that waits for others has an anchor instead of a start.
  for (let i = 0; i < count; i++) {
    const row = template.agentFrom + i;
    const t = firstTurn[i]!;
    if (t < 0) continue;
    if (t === agents.turnFrom[row]) {
      if (!isTriggered(trace, templates, row, times, at)) firstDelayMs[i] = Number.NaN;
    } else if (waitsForOthers(templates, template, t, firstTurn)) {
      firstDelayMs[i] = doneAnchor(trace, templates, template, t, times, firstTurn) - at;
    }
  }
  return { firstTurn, firstDelayMs };
}

function isTriggered(trace: Trace, templates: SessionTemplates, row: number, times: NominalTimes, at: number): boolean {
  const after = templates.agents.spawnAfter[row]!;
  if (after < 0) return true;
  const onCompletion = trace.agent.spawnOn[templates.agents.source[row]!] === 1;
  return (onCompletion ? times.end : times.start)[after]! <= at;
}

function waitsForOthers(templates: SessionTemplates, template: SessionTemplate, t: number, firstTurn: Int32Array): boolean {
  if ((templates.turns.edges[template.turnFrom + t]! & EDGE_JOINS) === 0) return false;
  return firstTurn.some((first, i) => first >= 0 && templates.agents.joinBefore[template.agentFrom + i] === t);
}

/** Anchor of turn t by what has ended already. */
function doneAnchor(
  trace: Trace,
  templates: SessionTemplates,
  template: SessionTemplate,
  t: number,
  times: NominalTimes,
  firstTurn: Int32Array,
): number {
  const { agents } = templates;
  let anchor = times.end[t - 1]!;
  for (let row = template.agentFrom; row < template.agentTo; row++) {
    if (agents.joinBefore[row] !== t || firstTurn[row - template.agentFrom]! >= 0) continue;
    anchor = Math.max(anchor, times.end[agents.turnTo[row]! - 1]! + trace.agent.joinDelayMs[agents.source[row]!]!);
  }
  return anchor;
}
