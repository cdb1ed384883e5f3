/**
 * Which requests of a trace are replayed, and how long they are: agents kept, sessions cut or excluded, lengths scaled.
 * Decided once per workload, before anything is drawn. Source: trace specification 7.1, 7.4.
 */
import { UserError } from '../../control/user-error.ts';
import type { Trace } from '../../traces/columns.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** Per agent and per session facts of a trace under given options. */
export interface SessionPlan {
  /** Requests replayed per agent of the trace; 0 = the agent does not take part. */
  readonly kept: Int32Array;
  /** Sessions that are replayed, ascending. */
  readonly eligible: Int32Array;
  readonly excluded: number;
  readonly truncated: number;
  /** Replayed requests with 0 recorded output tokens. */
  readonly zeroOutputs: number;
}

/** Prompt tokens of a request after `scale.context`: what lies beyond tools and system grows by the factor. */
export function scaledPosition(tokens: number, prefixTokens: number, factor: number): number {
  if (factor === 1 || tokens <= prefixTokens) return tokens;
  return Math.round(prefixTokens + factor * (tokens - prefixTokens));
}

/** Output tokens a run generates for a request, >= 1. */
export function replayedOutput(outTokens: number, options: Pick<WorkloadOptions, 'outputs' | 'scaleContext'>): number {
  if (options.outputs === 'one') return 1;
  return Math.max(1, Math.round(outTokens * options.scaleContext));
}

/** Tokens of an agent's first prompt that `scale.context` leaves alone. Where ids are file-wide, one factor must hold for all: 0. */
export function unscaledPrefix(trace: Trace, agent: number): number {
  if (trace.header.idScope === 'file') return 0;
  return trace.agent.toolTokens[agent]! + trace.agent.systemTokens[agent]!;
}

/** Applies `agents` and `overlong`. Throws UserError E_CONTEXT_EXCEEDED if `fail` finds a request or nothing is left. */
export function planSessions(trace: Trace, options: WorkloadOptions): SessionPlan {
  const kept = new Int32Array(trace.agentCount);
  const eligible: number[] = [];
  let overlong = 0;
  for (let s = 0; s < trace.sessionCount; s++) {
    const cut = keepAgents(trace, s, options, kept);
    if (cut) overlong++;
    const root = trace.session.agentFrom[s]!;
    if (cut && (options.overlong === 'exclude' || kept[root] === 0)) kept.fill(0, root, trace.session.agentFrom[s + 1]!);
    if (kept[root]! > 0) eligible.push(s);
  }
  const excluded = trace.sessionCount - eligible.length;
  if (eligible.length === 0 || (options.overlong === 'fail' && overlong > 0)) throw contextExceeded(trace, options, overlong);
  return {
    kept,
    eligible: Int32Array.from(eligible),
    excluded,
    truncated: overlong - excluded,
    zeroOutputs: countZeroOutputs(trace, kept),
  };
}

/** Requests kept per agent of a session, cut at the first overlong one; returns whether anything was cut. */
function keepAgents(trace: Trace, session: number, options: WorkloadOptions, kept: Int32Array): boolean {
  const from = trace.session.agentFrom[session]!;
  const to = options.agents === 'root' ? from + 1 : trace.session.agentFrom[session + 1]!;
  let cut = false;
  for (let a = from; a < to; a++) {
    const first = trace.agent.requestFrom[a]!;
    const end = trace.agent.requestFrom[a + 1]!;
    const parent = trace.agent.parent[a]!;
    // An agent whose spawning request was cut never starts.
    if (parent >= 0 && trace.agent.spawnAfter[a]! >= trace.agent.requestFrom[parent]! + kept[parent]!) continue;
    let r = first;
    while (r < end && contextTokens(trace, a, r, options) <= options.contextLimit) r++;
    if (r < end) cut = true;
    kept[a] = r - first;
  }
  return cut;
}

function contextTokens(trace: Trace, agent: number, request: number, options: WorkloadOptions): number {
  const prompt = scaledPosition(trace.request.inTokens[request]!, unscaledPrefix(trace, agent), options.scaleContext);
  return prompt + replayedOutput(trace.request.outTokens[request]!, options);
}

function countZeroOutputs(trace: Trace, kept: Int32Array): number {
  let zero = 0;
  for (let a = 0; a < trace.agentCount; a++) {
    const from = trace.agent.requestFrom[a]!;
    for (let r = from; r < from + kept[a]!; r++) if (trace.request.outTokens[r] === 0) zero++;
  }
  return zero;
}

function contextExceeded(trace: Trace, options: WorkloadOptions, overlong: number): UserError {
  const all = overlong >= trace.sessionCount;
  return new UserError({
    severity: 'error',
    code: 'E_CONTEXT_EXCEEDED',
    path: 'workload.overlong',
    message:
      trace.sessionCount === 0
        ? 'got a trace without sessions'
        : `got ${overlong} of ${trace.sessionCount} sessions with a request above the context limit of ${options.contextLimit} tokens, expected ${options.overlong === 'fail' ? 'none' : 'at least one session within it'}`,
    hint: all
      ? 'Raise fleet.contextLimit or choose overlong: truncate'
      : 'Choose overlong: exclude or truncate, or raise fleet.contextLimit',
  });
}
