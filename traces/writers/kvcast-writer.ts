/** Writes the own format in its canonical form: keys in the order of the specification, merged runs, no spaces, defaults left out. */
import { BREAK_CAUSES, STOPS, type Trace } from '../columns.ts';
import type { TraceAgent, TraceHeader, TraceRequest, TraceSession } from '../format.ts';

/** Lines of the file without their newlines. Writing, reading and writing again gives the same bytes. */
export function* kvcastLines(trace: Trace): Generator<string> {
  yield JSON.stringify(canonicalHeader(trace));
  for (let s = 0; s < trace.sessionCount; s++) yield JSON.stringify(sessionOf(trace, s));
}

function canonicalHeader(trace: Trace): TraceHeader {
  const { blockTokens, idScope, partialTail, source, interpretation } = trace.header;
  let inTokens = 0;
  for (const n of trace.request.inTokens) inTokens += n;
  const { format, name, version, digest, licence, url } = source;
  const { pauseRule, apiEstimate, subAgentRule, chains, quantumMs } = interpretation;
  return {
    kvcast: 'trace',
    version: 1,
    blockTokens,
    idScope,
    partialTail,
    source: { format, ...given({ name, version }), digest, ...given({ licence, url }) },
    interpretation: { pauseRule, apiEstimate, subAgentRule, chains, quantumMs },
    counts: { sessions: trace.sessionCount, requests: trace.requestCount, inTokens },
  };
}

/** Session `s` in object form, keys in canonical order. */
export function sessionOf(trace: Trace, s: number): TraceSession {
  const { session, strings } = trace;
  const from = session.agentFrom[s]!;
  const to = session.agentFrom[s + 1]!;
  const agents: TraceAgent[] = [];
  for (let a = from; a < to; a++) agents.push(agentOf(trace, a, from));
  const tenant = strings[session.tenant[s]!]!;
  const policyClass = strings[session.class[s]!]!;
  return {
    id: strings[session.id[s]!]!,
    ...(tenant === 'default' ? {} : { tenant }),
    ...(session.priority[s] === 0 ? {} : { priority: session.priority[s]! }),
    ...(policyClass === 'default' ? {} : { class: policyClass }),
    ...given({ arrivalMs: present(session.arrivalMs[s]!) }),
    agents,
    ...given({ hints: trace.sessionHints.get(s) }),
  };
}

function agentOf(trace: Trace, a: number, firstOfSession: number): TraceAgent {
  const { agent, strings } = trace;
  const parent = agent.parent[a]!;
  const base = parent < 0 ? 0 : agent.requestFrom[parent]!;
  const requests: TraceRequest[] = [];
  for (let r = agent.requestFrom[a]!; r < agent.requestFrom[a + 1]!; r++) requests.push(requestOf(trace, r, agent.model[a]!));
  const on = agent.spawnOn[a] === 1 ? 'completion' : 'dispatch';
  return {
    id: strings[agent.id[a]!]!,
    ...(parent < 0 ? {} : { parent: parent - firstOfSession }),
    ...(agent.type[a]! < 0 ? {} : { type: strings[agent.type[a]!]! }),
    model: strings[agent.model[a]!]!,
    ...(agent.toolTokens[a] === 0 ? {} : { toolTokens: agent.toolTokens[a]! }),
    ...(agent.systemTokens[a] === 0 ? {} : { systemTokens: agent.systemTokens[a]! }),
    ...(agent.spawnAfter[a]! < 0 ? {} : { spawn: { after: agent.spawnAfter[a]! - base, on, delayMs: agent.spawnDelayMs[a]! } }),
    ...(agent.joinBefore[a]! < 0 ? {} : { join: { before: agent.joinBefore[a]! - base, delayMs: agent.joinDelayMs[a]! } }),
    requests,
  };
}

function requestOf(trace: Trace, r: number, agentModel: number): TraceRequest {
  const t = trace.request;
  const runs: [number, number][] = [];
  for (let k = t.runFrom[r]!; k < t.runFrom[r + 1]!; k++) runs.push([trace.runFirst[k]!, trace.runLast[k]!]);
  const broken = t.breakKeptTokens[r]! >= 0;
  return {
    startMs: t.startMs[r]!,
    in: t.inTokens[r]!,
    out: t.outTokens[r]!,
    runs,
    stop: STOPS[t.stop[r]!]!,
    ...given({
      apiMs: present(t.apiMs[r]!),
      apiEstMs: present(t.apiEstMs[r]!),
      ttftMs: present(t.ttftMs[r]!),
      pauseMs: present(t.pauseMs[r]!),
      debiasedMs: present(t.debiasedMs[r]!),
      model: t.model[r] === agentModel ? undefined : trace.strings[t.model[r]!],
      break: broken ? { keptTokens: t.breakKeptTokens[r]!, cause: BREAK_CAUSES[t.breakCause[r]!]! } : undefined,
      tools: trace.requestTools.get(r),
      hints: trace.requestHints.get(r),
    }),
  };
}

function present(x: number): number | undefined {
  return Number.isNaN(x) ? undefined : x;
}

/** The fields that are not undefined, in order. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
