/**
 * One WEKA or AgentX session (parsed JSON) as a {@link SessionDraft}: client pauses and their bias, API time estimates, sub-agents.
 * Source: trace specification 2.4 to 2.7 and 3.1.
 */
import { CAPTURE_NONE, STOPS } from '../columns.ts';
import {
  checkBlockCount,
  checkRepeats,
  isObject,
  type JsonObject,
  noteUnknown,
  runsOf,
  secondsToMs,
  shown,
  text,
  wholeMs,
  wholeNumber,
} from '../json-fields.ts';
import type { ProblemLog } from '../problem-log.ts';
import { blocksOf } from '../run-list.ts';
import {
  type AgentDraft,
  emptyAgent,
  emptyRequest,
  emptySession,
  labelBreaks,
  type RequestDraft,
  type SessionDraft,
} from '../session-draft.ts';

/** How a file of this family is read. */
export interface WekaRules {
  readonly agentx: boolean;
  readonly blockTokens: number;
  /** Counts of sub-agent entries by time base, for W_TRACE_TIME_BASIS. */
  readonly basis: { relative: number; absolute: number };
}

const SESSION_FIELDS = new Set('id,models,block_size,hash_id_scope,tool_tokens,system_tokens,totals,requests'.split(','));
const REQUEST_FIELDS = new Set('t,type,model,in,out,hash_ids,input_types,output_types,stop,api_time,think_time,ttft'.split(','));
const ENTRY_FIELDS = new Set(
  't,type,agent_id,subagent_type,duration_ms,total_tokens,tool_use_count,status,models,tool_tokens,system_tokens,requests'.split(','),
);
const TOOL = STOPS.indexOf('tool');
const TURN = STOPS.indexOf('turn');
const LENGTH = STOPS.indexOf('length');
const OTHER = STOPS.indexOf('other');
const UNKNOWN = STOPS.indexOf('unknown');
const STOP_CODES: Readonly<Record<string, number>> = {
  tool_use: TOOL,
  end_turn: TURN,
  stop_sequence: TURN,
  max_tokens: LENGTH,
  '': UNKNOWN,
};

/** Estimated response duration, ms: 0.97 s + 15.8 ms per output token + 11.8 ms per 1000 input tokens. Source: trace specification 2.4 (L1 fit, R² 0.86). */
export function estimatedApiMs(inTokens: number, outTokens: number): number {
  return Math.floor((9_700_000 + 158_000 * outTokens + 118 * inTokens + 5_000) / 10_000);
}

/** The session, or null after complaints. `lists` holds the block ids where the line was cut (see hash-list-scanner). */
export function wekaSession(log: ProblemLog, value: unknown, lists: readonly number[][] | null, rules: WekaRules): SessionDraft | null {
  if (!isObject(value) || !Array.isArray(value['requests'])) {
    log.error('E_TRACE_SESSION', '', `got ${shown(value)}, expected a session with requests[]`);
    return null;
  }
  return new SessionConverter(log, lists, rules).convert(value);
}

/** A sub-agent entry between two requests of its parent. */
interface Entry {
  readonly value: JsonObject;
  readonly path: string;
  /** Request of the parent before the entry. */
  readonly after: number;
}

class SessionConverter {
  readonly #log: ProblemLog;
  readonly #lists: readonly number[][] | null;
  readonly #rules: WekaRules;
  readonly #agents: AgentDraft[] = [];

  constructor(log: ProblemLog, lists: readonly number[][] | null, rules: WekaRules) {
    this.#log = log;
    this.#lists = lists;
    this.#rules = rules;
  }

  convert(value: JsonObject): SessionDraft | null {
    const log = this.#log;
    const errors = log.total;
    noteUnknown(log, value, SESSION_FIELDS, 'session');
    const session = emptySession(text(log, value['id'], 'id', 'E_TRACE_SESSION'));
    const requests = value['requests'] as readonly unknown[];
    if (!requests.some((r) => isObject(r) && r['type'] !== 'subagent'))
      log.error('E_TRACE_SESSION', 'requests', 'got no request of the root, expected at least one');
    this.#agent(value, requests, 'root', -1, 0, 'requests');
    if (log.total > errors) return null;
    session.agents = this.#agents;
    this.#checkTotals(value, this.#agents[0]!);
    for (const agent of session.agents) {
      labelBreaks(agent, this.#rules.blockTokens);
      if (agent.toolTokens + agent.systemTokens > agent.requests[0]!.inTokens)
        log.notice('W_TRACE_PREFIX_SIZE', 'tool and system tokens exceed the first prompt of an agent');
    }
    return session;
  }

  /** Reads one list of requests as an agent and its entries as that agent's children. `baseMs` is added to every `t`. */
  #agent(owner: JsonObject, list: readonly unknown[], id: string, parent: number, baseMs: number, path: string): AgentDraft | null {
    const agent = emptyAgent(id, parent, 'default');
    agent.toolTokens = this.#tokens(owner['tool_tokens'], path, 'tool_tokens');
    agent.systemTokens = this.#tokens(owner['system_tokens'], path, 'system_tokens');
    const entries: Entry[] = [];
    const order = this.#rules.agentx ? byTime(list) : list.map((_, i) => i);
    for (const i of order) {
      const value = list[i];
      const at = `${path}[${i}]`;
      if (!isObject(value)) this.#log.error('E_TRACE_SESSION', at, `got ${shown(value)}, expected a request`);
      else if (value['type'] === 'subagent') entries.push({ value, path: at, after: agent.requests.length - 1 });
      else {
        const request = this.#request(value, at, baseMs);
        if (request !== null) agent.requests.push(request);
      }
    }
    if (agent.requests.length === 0) return null;
    agent.model = agent.requests[0]!.model;
    checkOrder(this.#log, agent, path);
    setApiTimes(agent);
    this.#agents.push(agent);
    const index = this.#agents.length - 1;
    const joinedAt = new Map<number, number>();
    for (const entry of entries) this.#child(entry, agent, index, baseMs, joinedAt);
    setPauses(agent, joinedAt);
    return agent;
  }

  #request(value: JsonObject, path: string, baseMs: number): RequestDraft | null {
    const log = this.#log;
    const errors = log.total;
    noteUnknown(log, value, REQUEST_FIELDS, 'request');
    const startMs = baseMs + secondsToMs(log, value['t'], `${path}.t`);
    const inTokens = wholeNumber(log, value['in'], `${path}.in`, 1);
    const outTokens = wholeNumber(log, value['out'], `${path}.out`, 0);
    const runs = this.#runs(value['hash_ids'], `${path}.hash_ids`);
    if (log.total > errors || runs === null) return null;
    if (!checkRepeats(log, runs, `${path}.hash_ids`)) return null;
    if (!checkBlockCount(log, blocksOf(runs), inTokens, this.#rules.blockTokens, 'none', `${path}.hash_ids`)) return null;
    const model = typeof value['model'] === 'string' && value['model'] !== '' ? value['model'] : 'default';
    const request = emptyRequest(startMs, inTokens, outTokens, model, runs);
    const stop = value['stop'];
    request.stop = typeof stop === 'string' ? (STOP_CODES[stop] ?? OTHER) : UNKNOWN;
    if (!this.#rules.agentx) request.captureType = value['type'] === 'n' ? 0 : value['type'] === 's' ? 1 : CAPTURE_NONE;
    if (value['api_time'] !== undefined && value['api_time'] !== null)
      request.apiMs = secondsToMs(log, value['api_time'], `${path}.api_time`);
    if (value['ttft'] !== undefined && value['ttft'] !== null) request.ttftMs = secondsToMs(log, value['ttft'], `${path}.ttft`);
    return request;
  }

  #runs(value: unknown, path: string): number[] | null {
    if (this.#lists !== null && typeof value === 'number') return this.#lists[value] ?? null;
    return runsOf(this.#log, value, path, 'any');
  }

  #tokens(value: unknown, path: string, name: string): number {
    if (value === undefined || value === null) return 0;
    return wholeNumber(this.#log, value, path === 'requests' ? name : `${path.replace(/\.requests$/, '')}.${name}`, 0);
  }

  /** A nested sub-agent. The marker is the moment the tool returned; with absolute inner times it is taken as the start. */
  #child(entry: Entry, parent: AgentDraft, parentIndex: number, baseMs: number, joinedAt: Map<number, number>): void {
    const log = this.#log;
    const { value, path, after } = entry;
    noteUnknown(log, value, ENTRY_FIELDS, 'subagent');
    if (after < 0) {
      log.error('E_TRACE_ORPHAN_AGENT', path, 'got a sub-agent before the first request of its parent, expected it behind one');
      return;
    }
    const marker = baseMs + secondsToMs(log, value['t'], `${path}.t`);
    const list = value['requests'];
    if (!Array.isArray(list)) {
      log.error('E_TRACE_SESSION', `${path}.requests`, `got ${shown(list)}, expected an array`);
      return;
    }
    if (list.length === 0) {
      log.notice('W_TRACE_EMPTY_AGENT', 'sub-agent without requests left out');
      return;
    }
    const waited = value['duration_ms'] !== undefined && value['duration_ms'] !== null;
    const durationMs = waited ? wholeMs(log, value['duration_ms'], `${path}.duration_ms`) : 0;
    const absolute = this.#isAbsolute(list, value['t']);
    const spawn = absolute || !waited ? marker : Math.max(0, marker - durationMs);
    const id = typeof value['agent_id'] === 'string' && value['agent_id'] !== '' ? value['agent_id'] : `agent-${this.#agents.length}`;
    const child = this.#agent(value, list, id, parentIndex, absolute ? 0 : spawn, `${path}.requests`);
    if (child === null) return;
    if (typeof value['subagent_type'] === 'string') child.type = value['subagent_type'];
    const before = parent.requests[after]!;
    const first = child.requests[0]!.startMs;
    child.spawnAfter = after;
    child.spawnOn = first < endOf(before) ? 0 : 1;
    child.spawnDelayMs = Math.max(0, first - (child.spawnOn === 0 ? before.startMs : endOf(before)));
    if (!waited || after + 1 >= parent.requests.length) return;
    const returned = absolute ? marker + durationMs : marker;
    child.joinBefore = after + 1;
    child.joinDelayMs = Math.max(0, returned - endOf(child.requests[child.requests.length - 1]!));
    joinedAt.set(after + 1, Math.max(joinedAt.get(after + 1) ?? 0, returned));
  }

  /** Inner times are absolute if the first is not before the marker, to a microsecond. */
  #isAbsolute(list: readonly unknown[], marker: unknown): boolean {
    const first = list.find((r) => isObject(r) && r['type'] !== 'subagent') as JsonObject | undefined;
    const t = first?.['t'];
    if (typeof t !== 'number' || typeof marker !== 'number') return false;
    const absolute = t >= marker - 1e-6 && marker > 0;
    this.#rules.basis[absolute ? 'absolute' : 'relative']++;
    return absolute;
  }

  /** `totals.parent_tokens` is a checksum over the root's requests. */
  #checkTotals(value: JsonObject, root: AgentDraft): void {
    const sums = isObject(value['totals']) ? value['totals']['parent_tokens'] : undefined;
    if (!isObject(sums)) return;
    let input = 0;
    let output = 0;
    for (const r of root.requests) {
      input += r.inTokens;
      output += r.outTokens;
    }
    if (sums['input'] !== input || sums['output'] !== output)
      this.#log.notice('W_TRACE_TOTALS', 'totals.parent_tokens differs from the sum over the requests');
  }
}

function byTime(list: readonly unknown[]): number[] {
  const t = (i: number): number => {
    const value = list[i];
    return isObject(value) && typeof value['t'] === 'number' ? value['t'] : 0;
  };
  return list.map((_, i) => i).sort((a, b) => t(a) - t(b) || a - b);
}

function checkOrder(log: ProblemLog, agent: AgentDraft, path: string): void {
  for (let i = 1; i < agent.requests.length; i++)
    if (agent.requests[i]!.startMs < agent.requests[i - 1]!.startMs) {
      const got = `got ${agent.requests[i]!.startMs} ms after ${agent.requests[i - 1]!.startMs} ms`;
      log.error('E_TRACE_TIME', `${path} request ${i} .t`, `${got}, expected times that do not go back`);
      return;
    }
}

/** Rule 1: a missing API time is estimated, capped by the time to the next request; the last one is not capped. */
function setApiTimes(agent: AgentDraft): void {
  const { requests } = agent;
  for (let i = 0; i < requests.length; i++) {
    const r = requests[i]!;
    if (!Number.isNaN(r.apiMs)) continue;
    const estimate = estimatedApiMs(r.inTokens, r.outTokens);
    r.apiEstMs = i + 1 < requests.length ? Math.min(estimate, Math.max(0, requests[i + 1]!.startMs - r.startMs)) : estimate;
  }
}

function apiOf(r: RequestDraft): number {
  return Number.isNaN(r.apiMs) ? r.apiEstMs : r.apiMs;
}

function endOf(r: RequestDraft): number {
  return r.startMs + apiOf(r);
}

/**
 * Rules 2 to 4: the recorded pause counts from the end of the previous response or the last joined marker; the de-biased one takes
 * out the service time that WEKA's records count twice (type n: the request's own, type s: the previous one's; other
 * sources have no type and no bias).
 */
function setPauses(agent: AgentDraft, joinedAt: ReadonlyMap<number, number>): void {
  for (let i = 1; i < agent.requests.length; i++) {
    const p = agent.requests[i - 1]!;
    const r = agent.requests[i]!;
    const anchor = Math.max(endOf(p), joinedAt.get(i) ?? 0);
    r.pauseMs = Math.max(0, r.startMs - anchor);
    if (r.captureType === CAPTURE_NONE) continue;
    r.debiasedMs = Math.max(0, r.pauseMs - apiOf(r.captureType === 0 ? r : p));
  }
}
