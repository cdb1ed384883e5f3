/** Reads the own format, `kvcast.trace` version 1, and holds it to the rules V1 to V10. Source: trace specification 1. */
import { BREAK_CAUSES, STOPS } from '../columns.ts';
import type { TraceHeader } from '../format.ts';
import { checkBlockCount, checkRepeats, isObject, type JsonObject, noteUnknown, runsOf, shown, text, wholeNumber } from '../json-fields.ts';
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
import { TraceBuilder } from '../trace-builder.ts';
import { parseLine } from './json-line.ts';
import type { LineReader, ReadBody, ReaderContext } from './line-reader.ts';

const names = (list: string): ReadonlySet<string> => new Set(list.split(','));
const HEADER_FIELDS = names('kvcast,version,blockTokens,idScope,partialTail,source,interpretation,counts');
const SESSION_FIELDS = names('id,tenant,priority,class,arrivalMs,agents,hints');
const AGENT_FIELDS = names('id,parent,type,model,toolTokens,systemTokens,spawn,join,requests');
const REQUEST_FIELDS = names('startMs,in,out,runs,stop,apiMs,apiEstMs,ttftMs,pauseMs,debiasedMs,model,break,tools,hints');
const MAX_MS = Number.MAX_SAFE_INTEGER;
const MIN_INT32 = -(2 ** 31);

export class KvcastReader implements LineReader {
  readonly #context: ReaderContext;
  #header: TraceHeader | null = null;
  #builder: TraceBuilder | null = null;
  #inTokens = 0;
  #skipped = 0;
  lastGoodLine = 0;

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  get sessionsRead(): number {
    return this.#builder?.sessionCount ?? 0;
  }

  line(bytes: Buffer, from: number, to: number): void {
    const { log } = this.#context;
    const errors = log.total;
    const parsed = parseLine(log, null, bytes, from, to, this.lastGoodLine);
    if (this.#header === null) {
      this.#header = parsed === null ? null : traceHeader(log, parsed.value);
      // Without a header no line has a meaning.
      if (this.#header === null) log.settle(true);
      else this.#builder = new TraceBuilder(this.#header);
      return;
    }
    if (parsed !== null) this.#session(parsed.value);
    if (log.total > errors) {
      log.skipSession();
      this.#skipped++;
    } else this.lastGoodLine = log.line;
  }

  #session(value: unknown): void {
    const { log } = this.#context;
    const draft = sessionDraft(log, value, this.#header!);
    if (draft === null) return;
    if (this.#builder!.has(draft.id)) {
      log.error('E_TRACE_SESSION', 'id', `got session ${shown(draft.id)} again, expected unique ids`);
      return;
    }
    for (const agent of draft.agents) for (const r of agent.requests) this.#inTokens += r.inTokens;
    this.#builder!.append(draft);
  }

  end(): ReadBody | null {
    if (this.#header === null || this.#builder === null) return null;
    const { counts } = this.#header;
    if (counts !== undefined && this.#skipped === 0) {
      const got = { sessions: this.#builder.sessionCount, requests: this.#builder.requestCount, inTokens: this.#inTokens };
      for (const key of ['sessions', 'requests', 'inTokens'] as const)
        if (got[key] !== counts[key])
          this.#context.log.error(
            'E_TRACE_HEADER',
            `counts.${key}`,
            `got ${got[key]} in the file, expected ${counts[key]}`,
            'Is the file cut?',
          );
    }
    return { builder: this.#builder, header: this.#header };
  }
}

/** The header, or null after a complaint. */
function traceHeader(log: ProblemLog, value: unknown): TraceHeader | null {
  const errors = log.total;
  if (!isObject(value) || value['kvcast'] !== 'trace') {
    log.error('E_TRACE_HEADER', '', `got ${shown(value)}, expected a header with "kvcast":"trace"`);
    return null;
  }
  if (value['version'] !== 1) {
    log.error(
      'E_TRACE_VERSION',
      'version',
      `got ${shown(value['version'])}, expected 1`,
      'Convert the file with the version of kvcast that wrote it.',
    );
    return null;
  }
  noteUnknown(log, value, HEADER_FIELDS, 'header');
  wholeNumber(log, value['blockTokens'], 'blockTokens', 1, 'E_TRACE_HEADER', 4096);
  oneOf(log, value['idScope'], 'idScope', ['session', 'file'], 'E_TRACE_HEADER');
  oneOf(log, value['partialTail'], 'partialTail', ['none', 'labelled'], 'E_TRACE_HEADER');
  const { source, interpretation, counts } = value;
  if (!isObject(source)) log.error('E_TRACE_HEADER', 'source', `got ${shown(source)}, expected {format, digest}`);
  else for (const key of ['format', 'digest']) text(log, source[key], `source.${key}`, 'E_TRACE_HEADER');
  if (!isObject(interpretation)) log.error('E_TRACE_HEADER', 'interpretation', `got ${shown(interpretation)}, expected the named rules`);
  else {
    for (const key of ['pauseRule', 'apiEstimate', 'subAgentRule', 'chains'])
      text(log, interpretation[key], `interpretation.${key}`, 'E_TRACE_HEADER');
    wholeNumber(log, interpretation['quantumMs'], 'interpretation.quantumMs', 0, 'E_TRACE_HEADER');
  }
  if (counts !== undefined) {
    if (!isObject(counts)) log.error('E_TRACE_HEADER', 'counts', `got ${shown(counts)}, expected {sessions, requests, inTokens}`);
    else
      for (const key of ['sessions', 'requests', 'inTokens']) wholeNumber(log, counts[key], `counts.${key}`, 0, 'E_TRACE_HEADER', MAX_MS);
  }
  return log.total > errors ? null : (value as unknown as TraceHeader);
}

/** A session line as a draft, or null after complaints. */
function sessionDraft(log: ProblemLog, value: unknown, header: TraceHeader): SessionDraft | null {
  const errors = log.total;
  if (!isObject(value)) {
    log.error('E_TRACE_SESSION', '', `got ${shown(value)}, expected a session`);
    return null;
  }
  noteUnknown(log, value, SESSION_FIELDS, 'session');
  const draft = emptySession(text(log, value['id'], 'id', 'E_TRACE_SESSION'));
  if (value['tenant'] !== undefined) draft.tenant = text(log, value['tenant'], 'tenant');
  if (value['class'] !== undefined) draft.class = text(log, value['class'], 'class');
  if (value['priority'] !== undefined) draft.priority = wholeNumber(log, value['priority'], 'priority', MIN_INT32);
  draft.arrivalMs = optionalMs(log, value['arrivalMs'], 'arrivalMs');
  draft.hints = optionalObject(log, value['hints'], 'hints');
  const agents = value['agents'];
  if (!Array.isArray(agents) || agents.length === 0) {
    log.error('E_TRACE_SESSION', 'agents', `got ${shown(agents)}, expected at least one agent`);
    return null;
  }
  agents.forEach((agent: unknown, i) => {
    const read = agentDraft(log, agent, `agents[${i}]`, header);
    if (read !== null) draft.agents.push(read);
  });
  if (log.total > errors) return null;
  draft.agents.forEach((agent, i) => {
    checkEdges(log, draft.agents, i);
    checkBreaks(log, agent, agents[i] as JsonObject, `agents[${i}]`, header.blockTokens);
    if (agent.toolTokens + agent.systemTokens > agent.requests[0]!.inTokens)
      log.notice('W_TRACE_PREFIX_SIZE', 'tool and system tokens exceed the first prompt of an agent');
  });
  return log.total > errors ? null : draft;
}

function agentDraft(log: ProblemLog, value: unknown, path: string, header: TraceHeader): AgentDraft | null {
  if (!isObject(value)) {
    log.error('E_TRACE_SESSION', path, `got ${shown(value)}, expected an agent`);
    return null;
  }
  noteUnknown(log, value, AGENT_FIELDS, 'agent');
  const model = text(log, value['model'], `${path}.model`, 'E_TRACE_SESSION');
  const agent = emptyAgent(text(log, value['id'], `${path}.id`, 'E_TRACE_SESSION'), -1, model);
  if (value['parent'] !== undefined) agent.parent = wholeNumber(log, value['parent'], `${path}.parent`, 0, 'E_TRACE_PARENT');
  if (value['type'] !== undefined) agent.type = text(log, value['type'], `${path}.type`);
  if (value['toolTokens'] !== undefined) agent.toolTokens = wholeNumber(log, value['toolTokens'], `${path}.toolTokens`, 0);
  if (value['systemTokens'] !== undefined) agent.systemTokens = wholeNumber(log, value['systemTokens'], `${path}.systemTokens`, 0);
  readEdges(log, value, agent, path);
  const requests = value['requests'];
  if (!Array.isArray(requests) || requests.length === 0) {
    log.error('E_TRACE_SESSION', `${path}.requests`, `got ${shown(requests)}, expected at least one request`);
    return null;
  }
  let previous: RequestDraft | null = null;
  for (let i = 0; i < requests.length; i++) {
    const request = requestDraft(log, requests[i], `${path}.requests[${i}]`, model, header, previous);
    if (request === null) continue;
    agent.requests.push(request);
    previous = request;
  }
  return agent;
}

function readEdges(log: ProblemLog, value: JsonObject, agent: AgentDraft, path: string): void {
  const { spawn, join } = value;
  if (spawn !== undefined) {
    if (!isObject(spawn)) log.error('E_TRACE_EDGE', `${path}.spawn`, `got ${shown(spawn)}, expected {after, on, delayMs}`);
    else {
      agent.spawnAfter = wholeNumber(log, spawn['after'], `${path}.spawn.after`, 0, 'E_TRACE_EDGE');
      agent.spawnOn = oneOf(log, spawn['on'], `${path}.spawn.on`, ['dispatch', 'completion'], 'E_TRACE_EDGE');
      agent.spawnDelayMs = wholeNumber(log, spawn['delayMs'], `${path}.spawn.delayMs`, 0, 'E_TRACE_TIME', MAX_MS);
    }
  }
  if (join !== undefined) {
    if (!isObject(join)) log.error('E_TRACE_EDGE', `${path}.join`, `got ${shown(join)}, expected {before, delayMs}`);
    else {
      agent.joinBefore = wholeNumber(log, join['before'], `${path}.join.before`, 0, 'E_TRACE_EDGE');
      agent.joinDelayMs = wholeNumber(log, join['delayMs'], `${path}.join.delayMs`, 0, 'E_TRACE_TIME', MAX_MS);
    }
  }
}

function requestDraft(
  log: ProblemLog,
  value: unknown,
  path: string,
  model: string,
  header: TraceHeader,
  previous: RequestDraft | null,
): RequestDraft | null {
  const errors = log.total;
  if (!isObject(value)) {
    log.error('E_TRACE_SESSION', path, `got ${shown(value)}, expected a request`);
    return null;
  }
  noteUnknown(log, value, REQUEST_FIELDS, 'request');
  const startMs = wholeNumber(log, value['startMs'], `${path}.startMs`, 0, 'E_TRACE_TIME', MAX_MS);
  const inTokens = wholeNumber(log, value['in'], `${path}.in`, 1);
  const outTokens = wholeNumber(log, value['out'], `${path}.out`, 0);
  const stop = oneOf(log, value['stop'], `${path}.stop`, STOPS, 'E_TRACE_VALUE');
  const runs = runsOf(log, value['runs'], `${path}.runs`, 'pairs');
  const named = value['model'] === undefined ? model : text(log, value['model'], `${path}.model`);
  const request = emptyRequest(startMs, inTokens, outTokens, named, runs ?? []);
  request.stop = stop;
  for (const key of ['apiMs', 'apiEstMs', 'ttftMs', 'pauseMs', 'debiasedMs'] as const)
    request[key] = optionalMs(log, value[key], `${path}.${key}`);
  if (value['apiMs'] !== undefined && value['apiEstMs'] !== undefined)
    log.error('E_TRACE_TIME', path, 'got both apiMs and apiEstMs, expected at most one');
  request.hints = optionalObject(log, value['hints'], `${path}.hints`);
  request.tools = toolSpans(log, value['tools'], `${path}.tools`);
  if (log.total > errors || runs === null) return null;
  if (previous === null && (value['pauseMs'] !== undefined || value['debiasedMs'] !== undefined))
    log.error('E_TRACE_TIME', `${path}.pauseMs`, 'got a pause before the first request of an agent, expected none');
  if (previous !== null) {
    if (startMs < previous.startMs)
      log.error('E_TRACE_TIME', `${path}.startMs`, `got ${startMs} after ${previous.startMs}, expected times that do not go back`);
    if (value['pauseMs'] === undefined) {
      const api = Number.isNaN(previous.apiMs) ? previous.apiEstMs || 0 : previous.apiMs;
      request.pauseMs = Math.max(0, startMs - previous.startMs - api);
      log.notice('W_TRACE_NO_PAUSE', 'requests without pauseMs: the time from the previous response to the start is the pause');
    }
  }
  checkRepeats(log, runs, `${path}.runs`);
  checkBlockCount(log, blocksOf(runs), inTokens, header.blockTokens, header.partialTail, `${path}.runs`);
  return log.total > errors ? null : request;
}

/** V2 and V7: parents precede children, edges lie inside the parent. */
function checkEdges(log: ProblemLog, agents: readonly AgentDraft[], index: number): void {
  const agent = agents[index]!;
  const path = `agents[${index}]`;
  if (index === 0) {
    if (agent.parent >= 0) log.error('E_TRACE_PARENT', `${path}.parent`, `got ${agent.parent}, expected no parent for the root`);
    if (agent.spawnAfter >= 0 || agent.joinBefore >= 0) log.error('E_TRACE_EDGE', path, 'got spawn or join, expected none for the root');
    return;
  }
  if (agent.parent < 0 || agent.parent >= index) {
    const got = agent.parent < 0 ? 'nothing' : String(agent.parent);
    log.error('E_TRACE_PARENT', `${path}.parent`, `got ${got}, expected the index of an agent before this one (0…${index - 1})`);
    return;
  }
  const requests = agents[agent.parent]!.requests.length;
  if (agent.spawnAfter < 0) log.error('E_TRACE_EDGE', `${path}.spawn`, 'got nothing, expected {after, on, delayMs}');
  else if (agent.spawnAfter >= requests)
    log.error('E_TRACE_EDGE', `${path}.spawn.after`, `got ${agent.spawnAfter}, expected a request of the parent (0…${requests - 1})`);
  if (agent.joinBefore < 0) return;
  if (agent.joinBefore >= requests)
    log.error('E_TRACE_EDGE', `${path}.join.before`, `got ${agent.joinBefore}, expected a request of the parent (0…${requests - 1})`);
  else if (agent.joinBefore <= agent.spawnAfter)
    log.error('E_TRACE_EDGE', `${path}.join.before`, `got ${agent.joinBefore}, expected a request after spawn.after ${agent.spawnAfter}`);
}

/** V9: a break is stated exactly where the rule says so. The stated cause is kept. */
function checkBreaks(log: ProblemLog, agent: AgentDraft, raw: JsonObject, path: string, blockTokens: number): void {
  labelBreaks(agent, blockTokens);
  const requests = raw['requests'] as readonly JsonObject[];
  agent.requests.forEach((request, i) => {
    const stated = requests[i]!['break'];
    const at = `${path}.requests[${i}].break`;
    const expected = request.breakKeptTokens < 0 ? 'none' : `keptTokens ${request.breakKeptTokens}`;
    const kept = isObject(stated) ? stated['keptTokens'] : undefined;
    if ((stated === undefined) !== request.breakKeptTokens < 0 || (stated !== undefined && kept !== request.breakKeptTokens)) {
      log.error('E_TRACE_BREAK', at, `got ${stated === undefined ? 'none' : shown(stated)}, expected ${expected}`);
      return;
    }
    if (!isObject(stated)) return;
    request.breakCause =
      stated['cause'] === undefined
        ? BREAK_CAUSES.indexOf('unknown')
        : oneOf(log, stated['cause'], `${at}.cause`, BREAK_CAUSES, 'E_TRACE_BREAK');
  });
}

function toolSpans(log: ProblemLog, value: unknown, path: string): RequestDraft['tools'] {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((t) => isObject(t) && typeof t['ms'] === 'number' && t['ms'] >= 0))
    return value as RequestDraft['tools'];
  log.error('E_TRACE_VALUE', path, `got ${shown(value)}, expected [{class?, ms, tokens?, error?}]`);
  return undefined;
}

function optionalMs(log: ProblemLog, value: unknown, path: string): number {
  return value === undefined ? Number.NaN : wholeNumber(log, value, path, 0, 'E_TRACE_TIME', MAX_MS);
}

function optionalObject(log: ProblemLog, value: unknown, path: string): JsonObject | undefined {
  if (value === undefined || isObject(value)) return value;
  log.error('E_TRACE_VALUE', path, `got ${shown(value)}, expected an object`);
  return undefined;
}

/** Index of a word in its list; 0 after a complaint. */
function oneOf(log: ProblemLog, value: unknown, path: string, words: readonly string[], code: string): number {
  const index = typeof value === 'string' ? words.indexOf(value) : -1;
  if (index < 0) log.error(code, path, `got ${shown(value)}, expected ${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`);
  return Math.max(0, index);
}
