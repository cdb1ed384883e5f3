/** What is odd about a trace and what follows from it. Source: trace specification 6.6. */
import { STOPS, type Trace } from '../columns.ts';
import { PathWalk } from './path-walk.ts';
import { quantile, rounded } from './quantile.ts';
import { rankCorrelation } from './rank-correlation.ts';
import { apiOf, rootPauses } from './session-zero-latency.ts';

/** A finding. `plain` is the line the text shows; findings without it appear in JSON only. */
export interface Finding {
  readonly code: string;
  readonly count: number;
  readonly consequence: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface HygieneOptions {
  /** Context limit of the model the trace will be replayed on, tokens; H15 needs one. */
  readonly contextLimit?: number;
}

/** Findings in the order of their codes. Cost O(requests log requests). */
export function hygieneOf(trace: Trace, options: HygieneOptions = {}): Finding[] {
  const scan = new HygieneScan(trace);
  const found: (Finding | null)[] = [
    pauseBias(scan),
    scan.withoutApi > 0 && scan.withoutApi < scan.requests
      ? {
          code: 'H2',
          count: scan.withoutApi,
          consequence: 'pauses estimated',
          detail: { share: rounded(scan.withoutApi / scan.requests, 5) },
        }
      : null,
    gapCap(scan),
    quantised(trace),
    noArrivals(trace),
    idScope(trace),
    chainConflicts(trace),
    partialTails(trace),
    markers(trace),
    scan.midway > 0
      ? {
          code: 'H10',
          count: scan.midway,
          consequence: 'first prompts are cold starts of work begun earlier',
          detail: { of: trace.sessionCount },
        }
      : null,
    scan.modelSwitches > 0 ? { code: 'H11', count: scan.modelSwitches, consequence: 'reuse ends where the model changes' } : null,
    scan.zeroOutputs > 0 ? { code: 'H12', count: scan.zeroOutputs, consequence: 'replayed as one output token' } : null,
    scan.overlapping > 0
      ? { code: 'H13', count: scan.overlapping, consequence: 'pause 0: started before the previous response ended' }
      : null,
    curation(trace, scan),
    overlong(trace, options.contextLimit),
  ];
  return found.filter((f): f is Finding => f !== null);
}

/** Paired samples of one capture type: same type, previous stop tool, both API times recorded. */
interface Pairs {
  readonly pause: number[];
  readonly own: number[];
  readonly previous: number[];
}

/** One pass over the root requests. */
class HygieneScan {
  readonly pairs: Readonly<Record<'n' | 's', Pairs>> = {
    n: { pause: [], own: [], previous: [] },
    s: { pause: [], own: [], previous: [] },
  };
  readonly gaps: number[] = [];
  requests = 0;
  withoutApi = 0;
  zeroOutputs = 0;
  modelSwitches = 0;
  overlapping = 0;
  midway = 0;
  shortest = Number.POSITIVE_INFINITY;

  constructor(trace: Trace) {
    const { session, agent, request } = trace;
    const tool = STOPS.indexOf('tool');
    for (let s = 0; s < trace.sessionCount; s++) {
      const root = session.agentFrom[s]!;
      const from = agent.requestFrom[root]!;
      const to = agent.requestFrom[root + 1]!;
      const prefix = agent.toolTokens[root]! + agent.systemTokens[root]!;
      this.shortest = Math.min(this.shortest, to - from);
      if (prefix > 0 && request.inTokens[from]! > prefix + 25_000) this.midway++;
      for (let r = from; r < to; r++) {
        this.requests++;
        if (Number.isNaN(request.apiMs[r]!)) this.withoutApi++;
        if (request.outTokens[r] === 0) this.zeroOutputs++;
        if (r === from) continue;
        const p = r - 1;
        const pause = rootPauses(trace, r).recorded;
        this.gaps.push(pause);
        if (request.model[r] !== request.model[p]) this.modelSwitches++;
        if (request.startMs[r]! < request.startMs[p]! + apiOf(trace, p)) this.overlapping++;
        const type = request.captureType[r] === 0 ? 'n' : request.captureType[r] === 1 ? 's' : null;
        const known = !Number.isNaN(request.apiMs[r]!) && !Number.isNaN(request.apiMs[p]!);
        if (type === null || request.captureType[p] !== request.captureType[r] || request.stop[p] !== tool || !known) continue;
        const pairs = this.pairs[type];
        pairs.pause.push(pause);
        pairs.own.push(request.apiMs[r]!);
        pairs.previous.push(request.apiMs[p]!);
      }
    }
  }
}

/** Own correlation above previous by this much = the pause contains the request's own service time. */
const BIAS_MARGIN = 0.2;

function pauseBias(scan: HygieneScan): Finding | null {
  const rows: Record<string, unknown> = {};
  let biased = 0;
  for (const type of ['n', 's'] as const) {
    const { pause, own, previous } = scan.pairs[type];
    if (pause.length < 30) continue;
    const withOwn = rankCorrelation(pause, own);
    const withPrevious = rankCorrelation(pause, previous);
    const near = pause.filter((x, i) => Math.abs(x - own[i]!) <= 1500).length;
    rows[type] = {
      pairs: pause.length,
      own: rounded(withOwn, 4),
      previous: rounded(withPrevious, 4),
      nearOwn: rounded(near / pause.length, 4),
    };
    if (withOwn > withPrevious + BIAS_MARGIN) biased += pause.length;
  }
  return biased === 0 ? null : { code: 'H1', count: biased, consequence: 'pauses follow the own service time: debiased', detail: rows };
}

function gapCap(scan: HygieneScan): Finding | null {
  const longest = scan.gaps.reduce((a, b) => Math.max(a, b), 0);
  if (scan.gaps.length < 100 || longest === 0) return null;
  const near = scan.gaps.filter((g) => g >= 0.99 * longest).length;
  if (near <= 0.01 * scan.gaps.length) return null;
  return { code: 'H3', count: near, consequence: 'pauses look capped: retention beyond the cap is untested', detail: { capMs: longest } };
}

function quantised(trace: Trace): Finding | null {
  const { quantumMs } = trace.header.interpretation;
  if (quantumMs <= 1) return null;
  return {
    code: 'H4',
    count: trace.requestCount,
    consequence: `results below ${(5 * quantumMs) / 1000} s are not resolved`,
    detail: { quantumMs },
  };
}

function noArrivals(trace: Trace): Finding | null {
  let without = 0;
  for (const t of trace.session.arrivalMs) if (Number.isNaN(t)) without++;
  return without === 0 ? null : { code: 'H5', count: without, consequence: 'set workload.arrivals' };
}

/** Global ids that every session numbers densely from the same one, or local ids that never overlap, contradict their label. */
function idScope(trace: Trace): Finding | null {
  const n = trace.sessionCount;
  if (n < 2) return null;
  const lowest = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const highest = new Float64Array(n).fill(-1);
  const walk = new PathWalk(trace);
  let dense = 0;
  for (let s = 0; s < n; s++) {
    walk.clear();
    let distinct = 0;
    const from = trace.agent.requestFrom[trace.session.agentFrom[s]!]!;
    const to = trace.agent.requestFrom[trace.session.agentFrom[s + 1]!]!;
    for (let r = from; r < to; r++) {
      walk.visit(r, 0);
      distinct += walk.fresh;
      for (let k = trace.request.runFrom[r]!; k < trace.request.runFrom[r + 1]!; k++) {
        lowest[s] = Math.min(lowest[s]!, trace.runFirst[k]!);
        highest[s] = Math.max(highest[s]!, trace.runLast[k]!);
      }
    }
    if (distinct > 1 && distinct === highest[s]! - lowest[s]! + 1) dense++;
  }
  if (trace.header.idScope === 'file') {
    const alike = lowest.every((id) => id === lowest[0] || id === Number.POSITIVE_INFINITY);
    if (!alike || dense < 0.9 * n) return null;
    return {
      code: 'H6',
      count: n,
      consequence: 'ids look local to a session although declared global: hits between sessions are doubtful',
    };
  }
  const order = Int32Array.from({ length: n }, (_, s) => s).sort((a, b) => lowest[a]! - lowest[b]!);
  for (let i = 1; i < n; i++) if (lowest[order[i]!]! <= highest[order[i - 1]!]!) return null;
  return { code: 'H6', count: n, consequence: 'ids look global although declared local: real sharing may be missed' };
}

function chainConflicts(trace: Trace): Finding | null {
  const notice = trace.notices.find((n) => n.code === 'W_TRACE_CHAIN');
  return notice === undefined
    ? null
    : { code: 'H7', count: notice.count, consequence: 'equal ids do not always mean equal prefixes: reuse is approximate' };
}

function partialTails(trace: Trace): Finding | null {
  const B = trace.header.blockTokens;
  let partial = 0;
  let tokens = 0;
  for (const n of trace.request.inTokens)
    if (n % B > 0) {
      partial++;
      tokens += n % B;
    }
  if (partial === 0) return null;
  const labelled = trace.header.partialTail === 'labelled';
  const consequence = labelled ? 'the last id names a partial block' : 'the tokens behind the last full block have no id: never reused';
  return { code: 'H8', count: partial, consequence, detail: { tokens } };
}

function markers(trace: Trace): Finding | null {
  const { agent } = trace;
  const delays: number[] = [];
  for (let a = 0; a < trace.agentCount; a++) if (agent.parent[a]! >= 0) delays.push(agent.spawnDelayMs[a]!);
  if (delays.length === 0) return null;
  delays.sort((x, y) => x - y);
  const at = (p: number): number => Math.round(quantile(delays, p));
  return {
    code: 'H9',
    count: delays.length,
    consequence: `sub-agent times read by rule ${trace.header.interpretation.subAgentRule}`,
    detail: { spawnDelayMs: { min: at(0), p50: at(0.5), p90: at(0.9), max: at(1) } },
  };
}

function curation(trace: Trace, scan: HygieneScan): Finding | null {
  if (scan.shortest < 2 || trace.sessionCount < 20) return null;
  return {
    code: 'H14',
    count: trace.sessionCount,
    consequence: `no session has fewer than ${scan.shortest} requests: the trace was curated`,
  };
}

function overlong(trace: Trace, limit: number | undefined): Finding | null {
  if (limit === undefined) return null;
  let count = 0;
  for (let r = 0; r < trace.requestCount; r++) if (trace.request.inTokens[r]! + trace.request.outTokens[r]! > limit) count++;
  return count === 0
    ? null
    : { code: 'H15', count, consequence: `requests above ${limit} tokens: see workload.overlong`, detail: { limit } };
}
