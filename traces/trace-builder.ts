/**
 * Turns {@link SessionDraft}s into the columns of a {@link Trace}: canonical session order, interned names, maximal runs, chain check.
 */
import { ChainCheck } from './chain-check.ts';
import type { SourceFacts, ToolSpan, Trace, TraceInput, TraceNotice } from './columns.ts';
import type { TraceHeader } from './format.ts';
import { GrowableColumn } from './growable-column.ts';
import { PartialTails } from './partial-tails.ts';
import { commonBlocks } from './run-list.ts';
import type { AgentDraft, RequestDraft, SessionDraft } from './session-draft.ts';

export { draftOf } from './session-draft.ts';

const FLOAT = Float64Array;
const INT = Int32Array;

/** Appends sessions and finishes as a trace. Mutates only itself; about 125 B per request while building. */
export class TraceBuilder {
  readonly #idScope: 'session' | 'file';
  readonly #labelled: boolean;
  readonly #blockTokens: number;
  readonly #strings: string[] = [];
  readonly #indexOf = new Map<string, number>();
  readonly #sessionIds = new Set<string>();
  readonly #chain = new ChainCheck();
  readonly #tails: PartialTails | null;
  #session = {
    id: new GrowableColumn(INT),
    tenant: new GrowableColumn(INT),
    class: new GrowableColumn(INT),
    priority: new GrowableColumn(INT),
    arrivalMs: new GrowableColumn(FLOAT),
    agents: new GrowableColumn(INT),
  };
  #agent = {
    id: new GrowableColumn(INT),
    parent: new GrowableColumn(INT),
    type: new GrowableColumn(INT),
    model: new GrowableColumn(INT),
    toolTokens: new GrowableColumn(INT),
    systemTokens: new GrowableColumn(INT),
    spawnAfter: new GrowableColumn(INT),
    spawnOn: new GrowableColumn(Uint8Array),
    spawnDelayMs: new GrowableColumn(FLOAT),
    joinBefore: new GrowableColumn(INT),
    joinDelayMs: new GrowableColumn(FLOAT),
    requests: new GrowableColumn(INT),
  };
  #request = {
    startMs: new GrowableColumn(FLOAT),
    inTokens: new GrowableColumn(INT),
    outTokens: new GrowableColumn(INT),
    stop: new GrowableColumn(Uint8Array),
    apiMs: new GrowableColumn(FLOAT),
    apiEstMs: new GrowableColumn(FLOAT),
    ttftMs: new GrowableColumn(FLOAT),
    pauseMs: new GrowableColumn(FLOAT),
    debiasedMs: new GrowableColumn(FLOAT),
    model: new GrowableColumn(INT),
    breakKeptTokens: new GrowableColumn(INT),
    breakCause: new GrowableColumn(Int8Array),
    captureType: new GrowableColumn(Uint8Array),
    runs: new GrowableColumn(INT),
  };
  #runFirst = new GrowableColumn(FLOAT);
  #runLast = new GrowableColumn(FLOAT);
  #sessionHints = new Map<number, Readonly<Record<string, unknown>>>();
  #requestHints = new Map<number, Readonly<Record<string, unknown>>>();
  #requestTools = new Map<number, readonly ToolSpan[]>();

  constructor(options: { idScope: 'session' | 'file'; blockTokens: number; partialTail: 'none' | 'labelled' }) {
    this.#idScope = options.idScope;
    this.#blockTokens = options.blockTokens;
    this.#labelled = options.partialTail === 'labelled';
    this.#tails = this.#labelled ? new PartialTails() : null;
  }

  get sessionCount(): number {
    return this.#session.id.length;
  }

  get requestCount(): number {
    return this.#request.startMs.length;
  }

  /** Runs checked so far and runs that contradict the chain property. */
  get chain(): { readonly runs: number; readonly conflicts: number } {
    return this.#chain;
  }

  /** Whether a session of this name was appended before. */
  has(sessionId: string): boolean {
    return this.#sessionIds.has(sessionId);
  }

  /** Appends a session whose fields are valid and whose name is new. Cost O(runs). */
  append(draft: SessionDraft): void {
    if (this.#sessionIds.has(draft.id)) throw new Error(`session ${draft.id} appended twice`);
    this.#sessionIds.add(draft.id);
    if (this.#idScope === 'session') {
      this.#chain.reset();
      this.#tails?.closeScope();
    }
    const s = this.#session;
    const index = s.id.length;
    s.id.push(this.#intern(draft.id));
    s.tenant.push(this.#intern(draft.tenant));
    s.class.push(this.#intern(draft.class));
    s.priority.push(draft.priority);
    s.arrivalMs.push(draft.arrivalMs);
    s.agents.push(draft.agents.length);
    if (draft.hints !== undefined) this.#sessionHints.set(index, draft.hints);
    // Parents precede children, so the requests of every parent already have their global index.
    const firstAgent = this.#agent.id.length;
    const firstRequest: number[] = [];
    let next = this.#request.startMs.length;
    for (const agent of draft.agents) {
      firstRequest.push(next);
      next += agent.requests.length;
    }
    for (const agent of draft.agents) this.#appendAgent(agent, firstAgent, agent.parent < 0 ? 0 : firstRequest[agent.parent]!);
  }

  #appendAgent(draft: AgentDraft, firstAgent: number, parentRequests: number): void {
    const a = this.#agent;
    a.id.push(this.#intern(draft.id));
    a.parent.push(draft.parent < 0 ? -1 : firstAgent + draft.parent);
    a.type.push(draft.type === '' ? -1 : this.#intern(draft.type));
    a.model.push(this.#intern(draft.model));
    a.toolTokens.push(draft.toolTokens);
    a.systemTokens.push(draft.systemTokens);
    a.spawnAfter.push(draft.spawnAfter < 0 ? -1 : parentRequests + draft.spawnAfter);
    a.spawnOn.push(draft.spawnOn);
    a.spawnDelayMs.push(draft.spawnDelayMs);
    a.joinBefore.push(draft.joinBefore < 0 ? -1 : parentRequests + draft.joinBefore);
    a.joinDelayMs.push(draft.joinDelayMs);
    a.requests.push(draft.requests.length);
    let previous: number[] | null = null;
    for (const request of draft.requests) {
      this.#appendRequest(request, previous);
      previous = request.runs;
    }
  }

  #appendRequest(draft: RequestDraft, previous: number[] | null): void {
    const r = this.#request;
    const index = r.startMs.length;
    r.startMs.push(draft.startMs);
    r.inTokens.push(draft.inTokens);
    r.outTokens.push(draft.outTokens);
    r.stop.push(draft.stop);
    r.apiMs.push(draft.apiMs);
    r.apiEstMs.push(draft.apiEstMs);
    r.ttftMs.push(draft.ttftMs);
    r.pauseMs.push(draft.pauseMs);
    r.debiasedMs.push(draft.debiasedMs === draft.pauseMs ? Number.NaN : draft.debiasedMs);
    r.model.push(this.#intern(draft.model));
    r.breakKeptTokens.push(draft.breakKeptTokens);
    r.breakCause.push(draft.breakCause);
    r.captureType.push(draft.captureType);
    r.runs.push(draft.runs.length >> 1);
    for (let i = 0; i < draft.runs.length; i += 2) {
      this.#runFirst.push(draft.runs[i]!);
      this.#runLast.push(draft.runs[i + 1]!);
    }
    if (draft.hints !== undefined) this.#requestHints.set(index, draft.hints);
    if (draft.tools !== undefined && draft.tools.length > 0) this.#requestTools.set(index, draft.tools);
    this.#chain.add(draft.runs, previous === null ? 0 : commonBlocks(previous, draft.runs));
    this.#tails?.add(draft.runs, draft.inTokens % this.#blockTokens);
  }

  #intern(name: string): number {
    let index = this.#indexOf.get(name);
    if (index === undefined) {
      index = this.#strings.length;
      this.#strings.push(name);
      this.#indexOf.set(name, index);
    }
    return index;
  }

  /** Block ids that name a partial block in one prompt and a full or differently filled one in another (labelled tails only). */
  partialConflicts(): number {
    return this.#tails?.conflicts() ?? 0;
  }

  /** The trace; the builder is empty afterwards. */
  finish(header: TraceHeader, notices: readonly TraceNotice[], input?: TraceInput, facts?: SourceFacts): Trace {
    const order = canonicalOrder(this.#session.id, this.#session.arrivalMs, this.#strings);
    const agentFrom = offsets(this.#session.agents.finish());
    const agentOrder = order && spread(order, agentFrom);
    const requestFrom = offsets(this.#agent.requests.finish());
    const requestOrder = agentOrder && spread(agentOrder, requestFrom);
    const runFrom = offsets(this.#request.runs.finish());
    const runOrder = requestOrder && spread(requestOrder, runFrom);
    const newAgent = agentOrder && inverse(agentOrder);
    const newRequest = requestOrder && inverse(requestOrder);
    const newSession = order && inverse(order);
    const s = this.#session;
    const a = this.#agent;
    const r = this.#request;
    const counts = { sessionCount: s.id.length, agentCount: a.id.length, requestCount: r.startMs.length };
    const trace: Trace = {
      header,
      strings: this.#strings,
      ...counts,
      session: {
        id: s.id.finish(order),
        tenant: s.tenant.finish(order),
        class: s.class.finish(order),
        priority: s.priority.finish(order),
        arrivalMs: s.arrivalMs.finish(order),
        agentFrom: order ? reordered(agentFrom, order) : agentFrom,
      },
      agent: {
        id: a.id.finish(agentOrder),
        parent: relabel(a.parent.finish(agentOrder), newAgent),
        type: a.type.finish(agentOrder),
        model: a.model.finish(agentOrder),
        toolTokens: a.toolTokens.finish(agentOrder),
        systemTokens: a.systemTokens.finish(agentOrder),
        spawnAfter: relabel(a.spawnAfter.finish(agentOrder), newRequest),
        spawnOn: a.spawnOn.finish(agentOrder),
        spawnDelayMs: a.spawnDelayMs.finish(agentOrder),
        joinBefore: relabel(a.joinBefore.finish(agentOrder), newRequest),
        joinDelayMs: a.joinDelayMs.finish(agentOrder),
        requestFrom: agentOrder ? reordered(requestFrom, agentOrder) : requestFrom,
      },
      request: {
        startMs: r.startMs.finish(requestOrder),
        inTokens: r.inTokens.finish(requestOrder),
        outTokens: r.outTokens.finish(requestOrder),
        stop: r.stop.finish(requestOrder),
        apiMs: r.apiMs.finish(requestOrder),
        apiEstMs: r.apiEstMs.finish(requestOrder),
        ttftMs: r.ttftMs.finish(requestOrder),
        pauseMs: r.pauseMs.finish(requestOrder),
        debiasedMs: r.debiasedMs.finish(requestOrder),
        model: r.model.finish(requestOrder),
        breakKeptTokens: r.breakKeptTokens.finish(requestOrder),
        breakCause: r.breakCause.finish(requestOrder),
        captureType: r.captureType.finish(requestOrder),
        runFrom: requestOrder ? reordered(runFrom, requestOrder) : runFrom,
      },
      runFirst: this.#runFirst.finish(runOrder),
      runLast: this.#runLast.finish(runOrder),
      sessionHints: rekeyed(this.#sessionHints, newSession),
      requestHints: rekeyed(this.#requestHints, newRequest),
      requestTools: rekeyed(this.#requestTools, newRequest),
      notices,
      ...(input === undefined ? {} : { input }),
      ...(facts === undefined ? {} : { facts }),
    };
    return order ? { ...trace, strings: renumberStrings(trace) } : trace;
  }
}

/** Puts the names into the order in which sorted sessions use them, so that the order of the input leaves no trace. Mutates the columns. */
function renumberStrings(trace: Trace): string[] {
  const { session, agent, request } = trace;
  const fresh = new Int32Array(trace.strings.length).fill(-1);
  const names: string[] = [];
  const move = (column: Int32Array, i: number): void => {
    const old = column[i]!;
    if (old < 0) return;
    if (fresh[old]! < 0) fresh[old] = names.push(trace.strings[old]!) - 1;
    column[i] = fresh[old]!;
  };
  for (let s = 0; s < trace.sessionCount; s++) {
    move(session.id, s);
    move(session.tenant, s);
    move(session.class, s);
    for (let a = session.agentFrom[s]!; a < session.agentFrom[s + 1]!; a++) {
      move(agent.id, a);
      move(agent.type, a);
      move(agent.model, a);
      for (let r = agent.requestFrom[a]!; r < agent.requestFrom[a + 1]!; r++) move(request.model, r);
    }
  }
  return names;
}

/** Session indices by (arrivalMs, id), absent arrivals last; undefined if they are in that order already. */
function canonicalOrder(
  id: GrowableColumn<Int32Array>,
  arrival: GrowableColumn<Float64Array>,
  strings: readonly string[],
): Int32Array | undefined {
  const compare = (x: number, y: number): number => {
    const tx = arrival.get(x);
    const ty = arrival.get(y);
    const byTime = (Number.isNaN(tx) ? Number.MAX_VALUE : tx) - (Number.isNaN(ty) ? Number.MAX_VALUE : ty);
    if (byTime !== 0) return byTime;
    const a = strings[id.get(x)]!;
    const b = strings[id.get(y)]!;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  let sorted = true;
  for (let i = 1; sorted && i < id.length; i++) sorted = compare(i - 1, i) < 0;
  return sorted ? undefined : Int32Array.from({ length: id.length }, (_, i) => i).sort(compare);
}

/** Sizes to offsets, shape [n + 1]. */
function offsets(sizes: Int32Array): Int32Array {
  const from = new Int32Array(sizes.length + 1);
  for (let i = 0; i < sizes.length; i++) from[i + 1] = from[i]! + sizes[i]!;
  return from;
}

/** The members of the groups `order`, group after group. */
function spread(order: Int32Array, from: Int32Array): Int32Array {
  const members = new Int32Array(from[from.length - 1]!);
  let n = 0;
  for (const group of order) for (let m = from[group]!; m < from[group + 1]!; m++) members[n++] = m;
  return members;
}

function reordered(from: Int32Array, order: Int32Array): Int32Array {
  return offsets(order.map((group) => from[group + 1]! - from[group]!));
}

function inverse(order: Int32Array): Int32Array {
  const where = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) where[order[i]!] = i;
  return where;
}

function relabel(column: Int32Array, where: Int32Array | undefined): Int32Array {
  return where ? column.map((x) => (x < 0 ? -1 : where[x]!)) : column;
}

function rekeyed<V>(map: Map<number, V>, where: Int32Array | undefined): Map<number, V> {
  if (where === undefined || map.size === 0) return map;
  return new Map([...map].map(([k, v]) => [where[k]!, v] as const).sort((x, y) => x[0] - y[0]));
}
