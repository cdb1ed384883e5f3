/** A session in object form on its way into the columns of a trace, and the rules every source shares. */
import { BREAK_CAUSES, CAPTURE_NONE, STOPS, type ToolSpan } from './columns.ts';
import type { TraceSession } from './format.ts';
import { blocksOf, commonBlocks, pushRun } from './run-list.ts';

/** A session on its way into the columns. NaN = absent number, -1 = absent index, '' = absent name. */
export interface SessionDraft {
  id: string;
  tenant: string;
  class: string;
  priority: number;
  arrivalMs: number;
  hints: Readonly<Record<string, unknown>> | undefined;
  agents: AgentDraft[];
}

export interface AgentDraft {
  id: string;
  /** Index in the session, -1 for the root. */
  parent: number;
  type: string;
  model: string;
  toolTokens: number;
  systemTokens: number;
  /** Request index in the parent. */
  spawnAfter: number;
  spawnOn: number;
  spawnDelayMs: number;
  joinBefore: number;
  joinDelayMs: number;
  requests: RequestDraft[];
}

export interface RequestDraft {
  startMs: number;
  inTokens: number;
  outTokens: number;
  /** Code in STOPS. */
  stop: number;
  apiMs: number;
  apiEstMs: number;
  ttftMs: number;
  pauseMs: number;
  debiasedMs: number;
  model: string;
  breakKeptTokens: number;
  breakCause: number;
  captureType: number;
  /** Flat maximal runs. */
  runs: number[];
  hints: Readonly<Record<string, unknown>> | undefined;
  tools: readonly ToolSpan[] | undefined;
}

/** A request with everything optional absent. */
export function emptyRequest(startMs: number, inTokens: number, outTokens: number, model: string, runs: number[]): RequestDraft {
  const NO = Number.NaN;
  return {
    startMs,
    inTokens,
    outTokens,
    stop: STOPS.indexOf('unknown'),
    apiMs: NO,
    apiEstMs: NO,
    ttftMs: NO,
    pauseMs: NO,
    debiasedMs: NO,
    model,
    breakKeptTokens: -1,
    breakCause: -1,
    captureType: CAPTURE_NONE,
    runs,
    hints: undefined,
    tools: undefined,
  };
}

/** An agent without requests, spawn or join. */
export function emptyAgent(id: string, parent: number, model: string): AgentDraft {
  return {
    id,
    parent,
    type: '',
    model,
    toolTokens: 0,
    systemTokens: 0,
    spawnAfter: -1,
    spawnOn: 0,
    spawnDelayMs: Number.NaN,
    joinBefore: -1,
    joinDelayMs: Number.NaN,
    requests: [],
  };
}

/** A session without agents. */
export function emptySession(id: string): SessionDraft {
  return { id, tenant: 'default', class: 'default', priority: 0, arrivalMs: Number.NaN, hints: undefined, agents: [] };
}

/** The draft of a session in the object form of the own format. Does not validate. */
export function draftOf(session: TraceSession): SessionDraft {
  const draft = emptySession(session.id);
  draft.tenant = session.tenant ?? 'default';
  draft.class = session.class ?? 'default';
  draft.priority = session.priority ?? 0;
  draft.arrivalMs = session.arrivalMs ?? Number.NaN;
  draft.hints = session.hints;
  for (const a of session.agents) {
    const agent = emptyAgent(a.id, a.parent ?? -1, a.model);
    agent.type = a.type ?? '';
    agent.toolTokens = a.toolTokens ?? 0;
    agent.systemTokens = a.systemTokens ?? 0;
    if (a.spawn !== undefined) {
      agent.spawnAfter = a.spawn.after;
      agent.spawnOn = a.spawn.on === 'completion' ? 1 : 0;
      agent.spawnDelayMs = a.spawn.delayMs;
    }
    if (a.join !== undefined) {
      agent.joinBefore = a.join.before;
      agent.joinDelayMs = a.join.delayMs;
    }
    for (const r of a.requests) {
      const runs: number[] = [];
      for (const [first, last] of r.runs) pushRun(runs, first, last);
      const request = emptyRequest(r.startMs, r.in, r.out, r.model ?? a.model, runs);
      request.stop = STOPS.indexOf(r.stop);
      request.apiMs = r.apiMs ?? Number.NaN;
      request.apiEstMs = r.apiEstMs ?? Number.NaN;
      request.ttftMs = r.ttftMs ?? Number.NaN;
      request.pauseMs = r.pauseMs ?? Number.NaN;
      request.debiasedMs = r.debiasedMs ?? Number.NaN;
      if (r.break !== undefined) {
        request.breakKeptTokens = r.break.keptTokens;
        request.breakCause = Math.max(0, BREAK_CAUSES.indexOf((r.break.cause ?? 'unknown') as 'unknown'));
      }
      request.hints = r.hints;
      request.tools = r.tools;
      agent.requests.push(request);
    }
    draft.agents.push(agent);
  }
  return draft;
}

/**
 * Sets `breakKeptTokens` and `breakCause` of an agent's requests. A break loses more than a tenth of the previous prompt's blocks; the
 * cause is a label for reports. Source: trace specification 2.7.
 */
export function labelBreaks(agent: AgentDraft, blockTokens: number): void {
  const prefix = agent.toolTokens + agent.systemTokens;
  for (let i = 1; i < agent.requests.length; i++) {
    const p = agent.requests[i - 1]!;
    const r = agent.requests[i]!;
    const before = blocksOf(p.runs);
    const kept = commonBlocks(p.runs, r.runs);
    if ((before - kept) * 10 <= before) continue;
    r.breakKeptTokens = kept * blockTokens;
    r.breakCause = BREAK_CAUSES.indexOf(breakCause(p, r, (kept * blockTokens) / prefix));
  }
}

/** `share` = kept tokens / (tool + system tokens); NaN or Infinity where the prefix sizes are missing. */
function breakCause(p: RequestDraft, r: RequestDraft, share: number): (typeof BREAK_CAUSES)[number] {
  if (p.model !== r.model) return 'model';
  if (r.inTokens < 0.5 * p.inTokens) return 'compaction';
  if (!Number.isFinite(share)) return 'unknown';
  if (share >= 0.9 && share <= 1.1) return 'history';
  if (share > 0.6 && share < 0.9) return 'system';
  return share < 0.2 ? 'tools' : 'unknown';
}
