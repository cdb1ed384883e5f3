/**
 * A trace as a compact binary file: every number is a difference from what the neighbours predict, as a base-128 varint.
 *
 *     "KVTC" | u32 version | u32 meta bytes | u32 payload bytes | sha256 of the rest [32] | meta (JSON) | payload
 *     payload: names (front-coded), then per session, its agents, their requests
 *     request: flags, start, in, out, [api], [ttft], [pause], [debiased], [model], [break], common blocks, tail runs
 *
 * The prompt is stored as the number of blocks shared with the previous request of the agent plus the runs behind them; pauses that
 * follow from start and API times, and break sizes that follow from the runs, cost no bytes. Source: data-structures specification 6.
 */
import { createHash } from 'node:crypto';
import type { Trace } from './columns.ts';
import { commonBlocksOf } from './run-list.ts';
import { readNames, VarintReader, VarintWriter, writeNames } from './varint.ts';

const MAGIC = 0x4b565443;
/** Version of this layout. */
const LAYOUT = 1;
const HEADER_BYTES = 48;

/** Everything of a trace that is not columns. */
interface Meta {
  readonly header: Trace['header'];
  readonly notices: Trace['notices'];
  readonly input?: Trace['input'];
  readonly facts?: Trace['facts'];
  readonly counts: readonly [sessions: number, agents: number, requests: number, runs: number, strings: number];
  readonly sessionHints: readonly (readonly [number, unknown])[];
  readonly requestHints: readonly (readonly [number, unknown])[];
  readonly requestTools: readonly (readonly [number, unknown])[];
}

// Flag bits of a request.
const STOP_BITS = 7;
const CAPTURE_SHIFT = 3;
const API = 1 << 5;
const API_ESTIMATED = 1 << 6;
const TTFT = 1 << 7;
const PAUSE = 1 << 8;
const PAUSE_OTHER = 1 << 9;
const DEBIASED = 1 << 10;
const DEBIASED_OTHER = 1 << 11;
const MODEL = 1 << 12;
const BREAK = 1 << 13;
const CAUSE_SHIFT = 14;
const CAUSE_BITS = 7;

/** The file, or null if the trace holds numbers the layout cannot carry. Cost O(runs). */
export function encodeTrace(trace: Trace): Buffer | null {
  const meta: Meta = {
    header: trace.header,
    notices: trace.notices,
    ...(trace.input === undefined ? {} : { input: trace.input }),
    ...(trace.facts === undefined ? {} : { facts: trace.facts }),
    counts: [trace.sessionCount, trace.agentCount, trace.requestCount, trace.runFirst.length, trace.strings.length],
    sessionHints: [...trace.sessionHints],
    requestHints: [...trace.requestHints],
    requestTools: [...trace.requestTools],
  };
  const out = new VarintWriter();
  writeNames(out, trace.strings);
  new TraceEncoder(trace, out).run();
  if (out.unfit) return null;
  const metaBytes = Buffer.from(JSON.stringify(meta));
  const payload = out.bytes();
  const file = Buffer.allocUnsafe(HEADER_BYTES + metaBytes.length + payload.length);
  file.writeUInt32BE(MAGIC, 0);
  file.writeUInt32LE(LAYOUT, 4);
  file.writeUInt32LE(metaBytes.length, 8);
  file.writeUInt32LE(payload.length, 12);
  metaBytes.copy(file, HEADER_BYTES);
  payload.copy(file, HEADER_BYTES + metaBytes.length);
  createHash('sha256').update(file.subarray(HEADER_BYTES)).digest().copy(file, 16);
  return file;
}

/** The trace, or null if the file is damaged or of another layout. Cost O(runs). */
export function decodeTrace(file: Buffer): Trace | null {
  if (file.length < HEADER_BYTES || file.readUInt32BE(0) !== MAGIC || file.readUInt32LE(4) !== LAYOUT) return null;
  const metaEnd = HEADER_BYTES + file.readUInt32LE(8);
  if (file.length !== metaEnd + file.readUInt32LE(12)) return null;
  if (!createHash('sha256').update(file.subarray(HEADER_BYTES)).digest().equals(file.subarray(16, HEADER_BYTES))) return null;
  const meta = JSON.parse(file.toString('utf8', HEADER_BYTES, metaEnd)) as Meta;
  const input = new VarintReader(file, metaEnd);
  const strings = readNames(input, meta.counts[4]);
  return new TraceDecoder(meta, strings, input).run();
}

/** Position of the number that differs least from what is likely next: one above the largest id so far. */
class FreshId {
  next = 0;

  see(last: number): void {
    if (last >= this.next) this.next = last + 1;
  }
}

class TraceEncoder {
  readonly #trace: Trace;
  readonly #out: VarintWriter;
  readonly #fresh = new FreshId();

  constructor(trace: Trace, out: VarintWriter) {
    this.#trace = trace;
    this.#out = out;
  }

  run(): void {
    const { session, sessionCount, header } = this.#trace;
    const out = this.#out;
    let lastArrival = 0;
    for (let s = 0; s < sessionCount; s++) {
      if (header.idScope === 'session') this.#fresh.next = 0;
      out.unsigned(session.id[s]!);
      out.unsigned(session.tenant[s]!);
      out.unsigned(session.class[s]!);
      out.signed(session.priority[s]!);
      const arrival = session.arrivalMs[s]!;
      out.unsigned(Number.isNaN(arrival) ? 0 : 1);
      if (!Number.isNaN(arrival)) {
        out.signed(arrival - lastArrival);
        lastArrival = arrival;
      }
      const from = session.agentFrom[s]!;
      const to = session.agentFrom[s + 1]!;
      out.unsigned(to - from);
      for (let a = from; a < to; a++) this.#agent(a, from);
    }
  }

  #agent(a: number, firstOfSession: number): void {
    const { agent } = this.#trace;
    const out = this.#out;
    const parent = agent.parent[a]!;
    const base = parent < 0 ? 0 : agent.requestFrom[parent]!;
    out.unsigned(agent.id[a]!);
    out.unsigned(parent < 0 ? 0 : parent - firstOfSession + 1);
    out.unsigned(agent.type[a]! + 1);
    out.unsigned(agent.model[a]!);
    out.unsigned(agent.toolTokens[a]!);
    out.unsigned(agent.systemTokens[a]!);
    out.unsigned(agent.spawnAfter[a]! < 0 ? 0 : agent.spawnAfter[a]! - base + 1);
    if (agent.spawnAfter[a]! >= 0) {
      out.unsigned(agent.spawnOn[a]!);
      out.unsigned(agent.spawnDelayMs[a]!);
    }
    out.unsigned(agent.joinBefore[a]! < 0 ? 0 : agent.joinBefore[a]! - base + 1);
    if (agent.joinBefore[a]! >= 0) out.unsigned(agent.joinDelayMs[a]!);
    const from = agent.requestFrom[a]!;
    const to = agent.requestFrom[a + 1]!;
    out.unsigned(to - from);
    for (let r = from; r < to; r++) this.#request(r, r === from ? -1 : r - 1, agent.model[a]!);
  }

  #request(r: number, p: number, agentModel: number): void {
    const t = this.#trace.request;
    const out = this.#out;
    const common = p < 0 ? 0 : commonBlocksOf(this.#trace, p, r);
    const api = t.apiMs[r]!;
    const estimate = t.apiEstMs[r]!;
    const pause = t.pauseMs[r]!;
    const debiased = t.debiasedMs[r]!;
    const predictedPause = p < 0 ? -1 : expectedPause(t, p, r);
    const predictedDebiased = p < 0 ? -1 : expectedDebiased(t, p, r, pause);
    let flags = t.stop[r]! | (t.captureType[r]! << CAPTURE_SHIFT);
    if (!Number.isNaN(api)) flags |= API;
    else if (!Number.isNaN(estimate)) flags |= API | API_ESTIMATED;
    if (!Number.isNaN(t.ttftMs[r]!)) flags |= TTFT;
    if (!Number.isNaN(pause)) flags |= PAUSE | (pause === predictedPause ? 0 : PAUSE_OTHER);
    if (!Number.isNaN(debiased)) flags |= DEBIASED | (debiased === predictedDebiased ? 0 : DEBIASED_OTHER);
    if (t.model[r] !== agentModel) flags |= MODEL;
    if (t.breakKeptTokens[r]! >= 0) flags |= BREAK | (t.breakCause[r]! << CAUSE_SHIFT);
    out.unsigned(flags);
    out.signed(t.startMs[r]! - (p < 0 ? 0 : t.startMs[p]!));
    out.signed(t.inTokens[r]! - (p < 0 ? 0 : t.inTokens[p]!));
    out.unsigned(t.outTokens[r]!);
    if (flags & API) out.unsigned(flags & API_ESTIMATED ? estimate : api);
    if (flags & TTFT) out.unsigned(t.ttftMs[r]!);
    if (flags & PAUSE_OTHER) out.unsigned(pause);
    if (flags & DEBIASED_OTHER) out.unsigned(debiased);
    if (flags & MODEL) out.unsigned(t.model[r]!);
    // A break keeps exactly the common blocks (rule V9).
    if (flags & BREAK && t.breakKeptTokens[r] !== common * this.#trace.header.blockTokens) out.unfit = true;
    out.unsigned(common);
    this.#tail(r, common);
  }

  #tail(r: number, common: number): void {
    const { runFirst, runLast } = this.#trace;
    const { runFrom } = this.#trace.request;
    const to = runFrom[r + 1]!;
    let k = runFrom[r]!;
    let skip = common;
    while (k < to && skip >= runLast[k]! - runFirst[k]! + 1) skip -= runLast[k]! - runFirst[k++]! + 1;
    this.#out.unsigned(to - k);
    for (; k < to; k++, skip = 0) {
      const first = runFirst[k]! + skip;
      this.#out.signed(first - this.#fresh.next);
      this.#out.unsigned(runLast[k]! - first);
      this.#fresh.see(runLast[k]!);
    }
  }
}

class TraceDecoder {
  readonly #meta: Meta;
  readonly #input: VarintReader;
  readonly #trace: Trace;
  readonly #fresh = new FreshId();
  #agents = 0;
  #requests = 0;
  #runs = 0;

  constructor(meta: Meta, strings: string[], input: VarintReader) {
    this.#meta = meta;
    this.#input = input;
    this.#trace = emptyTrace(meta, strings);
  }

  run(): Trace {
    const { session, sessionCount } = this.#trace;
    const input = this.#input;
    let lastArrival = 0;
    for (let s = 0; s < sessionCount; s++) {
      if (this.#meta.header.idScope === 'session') this.#fresh.next = 0;
      session.id[s] = input.unsigned();
      session.tenant[s] = input.unsigned();
      session.class[s] = input.unsigned();
      session.priority[s] = input.signed();
      if (input.unsigned() === 1) lastArrival = session.arrivalMs[s] = lastArrival + input.signed();
      else session.arrivalMs[s] = Number.NaN;
      const count = input.unsigned();
      const from = this.#agents;
      for (let i = 0; i < count; i++) this.#agent(from);
      session.agentFrom[s + 1] = this.#agents;
    }
    return this.#trace;
  }

  #agent(firstOfSession: number): void {
    const { agent } = this.#trace;
    const input = this.#input;
    const a = this.#agents++;
    agent.id[a] = input.unsigned();
    const parent = input.unsigned() - 1;
    agent.parent[a] = parent < 0 ? -1 : firstOfSession + parent;
    const base = parent < 0 ? 0 : agent.requestFrom[firstOfSession + parent]!;
    agent.type[a] = input.unsigned() - 1;
    const model = (agent.model[a] = input.unsigned());
    agent.toolTokens[a] = input.unsigned();
    agent.systemTokens[a] = input.unsigned();
    const after = input.unsigned();
    agent.spawnAfter[a] = after === 0 ? -1 : base + after - 1;
    agent.spawnOn[a] = after === 0 ? 0 : input.unsigned();
    agent.spawnDelayMs[a] = after === 0 ? Number.NaN : input.unsigned();
    const before = input.unsigned();
    agent.joinBefore[a] = before === 0 ? -1 : base + before - 1;
    agent.joinDelayMs[a] = before === 0 ? Number.NaN : input.unsigned();
    const count = input.unsigned();
    for (let i = 0; i < count; i++) this.#request(i === 0 ? -1 : this.#requests - 1, model);
    agent.requestFrom[a + 1] = this.#requests;
  }

  #request(p: number, agentModel: number): void {
    const t = this.#trace.request;
    const input = this.#input;
    const r = this.#requests++;
    const flags = input.unsigned();
    t.stop[r] = flags & STOP_BITS;
    t.captureType[r] = (flags >> CAPTURE_SHIFT) & 3;
    t.startMs[r] = input.signed() + (p < 0 ? 0 : t.startMs[p]!);
    t.inTokens[r] = input.signed() + (p < 0 ? 0 : t.inTokens[p]!);
    t.outTokens[r] = input.unsigned();
    const api = flags & API ? input.unsigned() : Number.NaN;
    t.apiMs[r] = flags & API_ESTIMATED ? Number.NaN : api;
    t.apiEstMs[r] = flags & API_ESTIMATED ? api : Number.NaN;
    t.ttftMs[r] = flags & TTFT ? input.unsigned() : Number.NaN;
    t.pauseMs[r] = flags & PAUSE_OTHER ? input.unsigned() : flags & PAUSE ? expectedPause(t, p, r) : Number.NaN;
    t.debiasedMs[r] = flags & DEBIASED_OTHER ? input.unsigned() : flags & DEBIASED ? expectedDebiased(t, p, r, t.pauseMs[r]!) : Number.NaN;
    t.model[r] = flags & MODEL ? input.unsigned() : agentModel;
    const common = input.unsigned();
    t.breakKeptTokens[r] = flags & BREAK ? common * this.#meta.header.blockTokens : -1;
    t.breakCause[r] = flags & BREAK ? (flags >> CAUSE_SHIFT) & CAUSE_BITS : -1;
    this.#prompt(p, common);
    t.runFrom[r + 1] = this.#runs;
  }

  #prompt(p: number, common: number): void {
    const { runFirst, runLast } = this.#trace;
    const { runFrom } = this.#trace.request;
    let n = this.#runs;
    let left = common;
    for (let k = p < 0 ? 0 : runFrom[p]!; left > 0; k++, n++) {
      const blocks = runLast[k]! - runFirst[k]! + 1;
      runFirst[n] = runFirst[k]!;
      runLast[n] = left < blocks ? runFirst[k]! + left - 1 : runLast[k]!;
      left -= blocks;
    }
    const from = this.#runs;
    const tail = this.#input.unsigned();
    for (let i = 0; i < tail; i++) {
      const first = this.#input.signed() + this.#fresh.next;
      const last = first + this.#input.unsigned();
      this.#fresh.see(last);
      if (n > from && runLast[n - 1]! + 1 === first) runLast[n - 1] = last;
      else {
        runFirst[n] = first;
        runLast[n++] = last;
      }
    }
    this.#runs = n;
  }
}

/** The recorded pause that start and API times imply. */
function expectedPause(t: Trace['request'], p: number, r: number): number {
  return Math.max(0, t.startMs[r]! - t.startMs[p]! - apiMs(t, p));
}

/** The de-biased pause that the capture type implies. */
function expectedDebiased(t: Trace['request'], p: number, r: number, pause: number): number {
  return Math.max(0, pause - apiMs(t, t.captureType[r] === 0 ? r : p));
}

function apiMs(t: Trace['request'], r: number): number {
  const api = Number.isNaN(t.apiMs[r]!) ? t.apiEstMs[r]! : t.apiMs[r]!;
  return Number.isNaN(api) ? 0 : api;
}

function emptyTrace(meta: Meta, strings: string[]): Trace {
  const [sessions, agents, requests, runs] = meta.counts;
  const int = (n: number): Int32Array => new Int32Array(n);
  const float = (n: number): Float64Array => new Float64Array(n);
  return {
    header: meta.header,
    strings,
    sessionCount: sessions,
    agentCount: agents,
    requestCount: requests,
    session: {
      id: int(sessions),
      tenant: int(sessions),
      class: int(sessions),
      priority: int(sessions),
      arrivalMs: float(sessions),
      agentFrom: int(sessions + 1),
    },
    agent: {
      id: int(agents),
      parent: int(agents),
      type: int(agents),
      model: int(agents),
      toolTokens: int(agents),
      systemTokens: int(agents),
      spawnAfter: int(agents),
      spawnOn: new Uint8Array(agents),
      spawnDelayMs: float(agents),
      joinBefore: int(agents),
      joinDelayMs: float(agents),
      requestFrom: int(agents + 1),
    },
    request: {
      startMs: float(requests),
      inTokens: int(requests),
      outTokens: int(requests),
      stop: new Uint8Array(requests),
      apiMs: float(requests),
      apiEstMs: float(requests),
      ttftMs: float(requests),
      pauseMs: float(requests),
      debiasedMs: float(requests),
      model: int(requests),
      breakKeptTokens: int(requests),
      breakCause: new Int8Array(requests),
      captureType: new Uint8Array(requests),
      runFrom: int(requests + 1),
    },
    runFirst: float(runs),
    runLast: float(runs),
    sessionHints: new Map(meta.sessionHints as [number, Record<string, unknown>][]),
    requestHints: new Map(meta.requestHints as [number, Record<string, unknown>][]),
    requestTools: new Map(meta.requestTools as [number, { ms: number }[]][]),
    notices: meta.notices,
    ...(meta.input === undefined ? {} : { input: meta.input }),
    ...(meta.facts === undefined ? {} : { facts: meta.facts }),
  };
}
