/** `kvcast trace inspect`: what a trace is, how it is shaped, what could be reused, and what it cannot tell. Source: trace specification 6. */
import type { Trace } from './columns.ts';
import { type Breaks, breaksOf } from './inspection/breaks.ts';
import type { GlobalZeroLatency } from './inspection/global-zero-latency.ts';
import { type Finding, type HygieneOptions, hygieneOf } from './inspection/hygiene.ts';
import { type Load, loadOf } from './inspection/load.ts';
import { rounded } from './inspection/quantile.ts';
import type { SessionZeroLatency } from './inspection/session-zero-latency.ts';
import { type Shape, shapeOf } from './inspection/shape.ts';
import { type ZeroLatency, zeroLatency } from './inspection/zero-latency.ts';

export interface Identity {
  /** Format of what was read; `source` names the origin where that is another one. */
  readonly format: string;
  readonly name: string;
  readonly digest: string;
  readonly blockTokens: number;
  readonly idScope: 'session' | 'file';
  readonly partialTail: 'none' | 'labelled';
  readonly quantumMs: number;
  readonly licence: string | null;
  readonly url: string | null;
  readonly source: { readonly format: string; readonly digest: string };
  readonly interpretation: Trace['header']['interpretation'];
  readonly sessions: number;
  readonly agents: number;
  readonly subAgents: number;
  readonly sessionsWithSubAgents: number;
  readonly requests: number;
  readonly rootRequests: number;
  readonly subAgentRequests: number;
  /** Root requests, as all figures below unless they say tree. */
  readonly inTokens: number;
  readonly outTokens: number;
  readonly treeInTokens: number;
  readonly treeOutTokens: number;
  /** From the first arrival to the last start; null without arrivals. */
  readonly spanMs: number | null;
  readonly models: readonly string[];
  /** Requests without a field, all agents. */
  readonly missing: { readonly apiMs: number; readonly ttftMs: number; readonly stop: number; readonly prefixSizes: number };
}

export interface Reuse {
  /** Share of input tokens shared with the previous request of the session; null where requests are independent. */
  readonly previousTurn: number | null;
  /** Share of input tokens an infinite cache holds. */
  readonly infinite: number;
  readonly readsPerWrite: number;
  readonly uniqueBlocks: number;
  readonly breaks: number;
  /** Share of input tokens in partial blocks, which cannot be matched by what continues them. */
  readonly tailShare: number;
  /** Previous-turn reuse by cache block size in tokens. */
  readonly byBlockSize: Readonly<Record<string, number>> | null;
  readonly breakDetail: Breaks;
}

export interface TtlPoint {
  readonly ttlMs: number;
  readonly pauses: 'recorded' | 'debiased';
  readonly previousTurn: number | null;
  readonly block: number;
  readonly idlePerActive: number | null;
}

export interface TraceInspection {
  readonly formatVersion: '1.0';
  readonly identity: Identity;
  readonly shape: Shape;
  readonly reuse: Reuse;
  readonly ttl: readonly TtlPoint[];
  /** Share of block references hit by capacity in blocks; null for session-private ids. */
  readonly lru: readonly { readonly blocks: number; readonly block: number }[] | null;
  readonly load: Load | null;
  readonly hygiene: readonly Finding[];
  readonly cannotTell: readonly string[];
  readonly zeroLatency: ZeroLatency;
  readonly exit: { readonly code: 0; readonly reasons: readonly string[] };
}

/** All six parts and the zero-latency table. Cost O(requests log requests + runs log pieces). */
export function inspectTrace(trace: Trace, options: HygieneOptions = {}): TraceInspection {
  const table = zeroLatency(trace);
  const breaks = breaksOf(trace);
  const identity = identityOf(trace);
  return {
    formatVersion: '1.0',
    identity,
    shape: shapeOf(trace),
    reuse: {
      ...(isSessionTable(table) ? sessionReuse(table) : globalReuse(table)),
      breaks: breaks.breaks,
      ...tails(trace),
      breakDetail: breaks,
    },
    ttl: isSessionTable(table) ? sessionTtl(table) : globalTtl(table),
    lru: isSessionTable(table) ? null : lruCurve(table),
    load: loadOf(trace),
    hygiene: hygieneOf(trace, options),
    cannotTell: cannotTell(trace, identity),
    zeroLatency: table,
    exit: { code: 0, reasons: [] },
  };
}

/** Whether a zero-latency table is that of a session-local trace. */
export function isSessionTable(table: ZeroLatency): table is SessionZeroLatency {
  return 'scope' in table;
}

function identityOf(trace: Trace): Identity {
  const { header, input, session, agent, request, strings } = trace;
  let rootRequests = 0;
  let inTokens = 0;
  let outTokens = 0;
  let withAgents = 0;
  let unsized = 0;
  let span: { from: number; to: number } | null = { from: Number.POSITIVE_INFINITY, to: 0 };
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = session.agentFrom[s]!;
    const from = agent.requestFrom[root]!;
    const to = agent.requestFrom[root + 1]!;
    rootRequests += to - from;
    if (session.agentFrom[s + 1]! - root > 1) withAgents++;
    for (let r = from; r < to; r++) {
      inTokens += request.inTokens[r]!;
      outTokens += request.outTokens[r]!;
    }
    const arrival = session.arrivalMs[s]!;
    if (Number.isNaN(arrival)) span = null;
    if (span !== null) span = { from: Math.min(span.from, arrival), to: Math.max(span.to, arrival + request.startMs[to - 1]!) };
  }
  for (let a = 0; a < trace.agentCount; a++) if (agent.toolTokens[a]! + agent.systemTokens[a]! === 0) unsized++;
  const absent = (column: Float64Array): number => column.reduce((n, x) => (Number.isNaN(x) ? n + 1 : n), 0);
  const sum = (column: Int32Array): number => column.reduce((n, x) => n + x, 0);
  return {
    format: input?.format ?? header.source.format,
    name: input?.name ?? header.source.name ?? '',
    digest: input?.digest ?? header.source.digest,
    blockTokens: header.blockTokens,
    idScope: header.idScope,
    partialTail: header.partialTail,
    quantumMs: header.interpretation.quantumMs,
    licence: header.source.licence ?? null,
    url: header.source.url ?? null,
    source: { format: header.source.format, digest: header.source.digest },
    interpretation: header.interpretation,
    sessions: trace.sessionCount,
    agents: trace.agentCount,
    subAgents: trace.agentCount - trace.sessionCount,
    sessionsWithSubAgents: withAgents,
    requests: trace.requestCount,
    rootRequests,
    subAgentRequests: trace.requestCount - rootRequests,
    inTokens,
    outTokens,
    treeInTokens: sum(request.inTokens),
    treeOutTokens: sum(request.outTokens),
    spanMs: span === null ? null : span.to - span.from,
    models: [...new Set(request.model)].map((m) => strings[m]!).sort(),
    missing: {
      apiMs: absent(request.apiMs),
      ttftMs: absent(request.ttftMs),
      stop: request.stop.reduce((n, x) => (x === 4 ? n + 1 : n), 0),
      prefixSizes: unsized,
    },
  };
}

function sessionReuse(t: SessionZeroLatency): Omit<Reuse, 'breaks' | 'tailShare' | 'breakDetail'> {
  return {
    previousTurn: rounded(t.prevTurn.pct / 100, 5),
    infinite: rounded(t.infinite.pct / 100, 5),
    readsPerWrite: rounded(t.infinite.readsPerWrite, 3),
    uniqueBlocks: t.infinite.uniqueBlocks,
    byBlockSize: Object.fromEntries(Object.entries(t.prevTurnByBlockSize).map(([size, row]) => [size, rounded(row.pct / 100, 5)])),
  };
}

function globalReuse(t: GlobalZeroLatency): Omit<Reuse, 'breaks' | 'tailShare' | 'breakDetail'> {
  return {
    previousTurn: null,
    infinite: rounded(t.tokenHitPctWithPartial / 100, 5),
    readsPerWrite: t.uniqueBlocks === 0 ? 0 : rounded(t.blockHits / t.uniqueBlocks, 3),
    uniqueBlocks: t.uniqueBlocks,
    byBlockSize: null,
  };
}

function tails(trace: Trace): { tailShare: number } {
  const B = trace.header.blockTokens;
  let all = 0;
  let tail = 0;
  for (const n of trace.request.inTokens) {
    all += n;
    tail += n % B;
  }
  return { tailShare: all === 0 ? 0 : rounded(tail / all, 5) };
}

function sessionTtl(t: SessionZeroLatency): TtlPoint[] {
  return (['recorded', 'debiased'] as const).flatMap((pauses) =>
    t.ttl[pauses].map((row) => ({
      ttlMs: row.ttlS * 1000,
      pauses,
      previousTurn: rounded(row.prevTurnHitPct / 100, 5),
      block: rounded(row.blockHitPct / 100, 5),
      idlePerActive: rounded(row.idlePerActive, 4),
    })),
  );
}

function globalTtl(t: GlobalZeroLatency): TtlPoint[] {
  return Object.entries(t.ttlBlockHits).map(([ttl, hits]) => ({
    ttlMs: Number(ttl) * 1000,
    pauses: 'recorded',
    previousTurn: null,
    block: t.blockReferences === 0 ? 0 : rounded(hits / t.blockReferences, 5),
    idlePerActive: null,
  }));
}

function lruCurve(t: GlobalZeroLatency): { blocks: number; block: number }[] {
  return Object.entries(t.lruBlockHits).map(([blocks, hits]) => ({
    blocks: Number(blocks),
    block: t.blockReferences === 0 ? 0 : rounded(hits / t.blockReferences, 5),
  }));
}

/** Questions the data cannot answer, however they are put. */
function cannotTell(trace: Trace, identity: Identity): string[] {
  const list: string[] = [];
  const single = identity.rootRequests === identity.sessions;
  if (identity.idScope === 'session') list.push('sharing between sessions (ids are private)');
  if (single) list.push('client pauses (requests are independent)', 'which requests belong together');
  else if (identity.subAgents < 0.5 * identity.sessions) list.push(`fan-out (${identity.subAgents} sub-agents)`);
  if (identity.missing.stop === trace.requestCount) list.push('stop reasons');
  list.push('rejected agents');
  return list;
}
