/**
 * What an infinitely fast fleet with one unlimited cache would reuse, for traces whose ids are private to a session: pure arithmetic of
 * reader, pause rule and retention timer, root requests only. Source: trace specification 8.
 *
 * Nothing is expanded: a prompt is split into pieces of equal last use, and the ages of the pieces fall into the buckets between the
 * TTLs, so that one pass serves all of them.
 */
import { STOPS, type Trace } from '../columns.ts';
import { commonBlocksOf } from '../run-list.ts';
import { ExactSum } from './exact-sum.ts';
import { PathWalk } from './path-walk.ts';
import { percent, ranked, ratio } from './quantile.ts';
import { type SharingRow, sharingInfinite } from './sharing.ts';
import { ModeSums, type TtlRow } from './ttl-sums.ts';

export interface SessionZeroLatency {
  readonly sample: string;
  readonly scope: 'root requests only';
  readonly blockSize: number;
  readonly sessions: number;
  readonly requests: number;
  readonly transitions: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly blockReferences: number;
  readonly firstRequestInputTokens: number;
  readonly requestsWithoutApiTime: number;
  readonly requestsWithZeroOutput: number;
  readonly overlappingTransitions: number;
  readonly modelSwitches: number;
  readonly sessionsWithSeveralModels: number;
  readonly types: Readonly<Record<string, number>>;
  readonly stops: Readonly<Record<string, number>>;
  readonly prefixBreaksGt10pct: number;
  readonly prefixBreaksHalving: number;
  readonly runsPerRequest: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  readonly subAgents: number;
  readonly subAgentRequests: number;
  readonly activeTokenMs: number;
  readonly prevTurn: { readonly hitTokens: number; readonly pct: number };
  readonly infinite: { readonly blockHits: number; readonly uniqueBlocks: number; readonly pct: number; readonly readsPerWrite: number };
  readonly treeInfinite: {
    readonly requests: number;
    readonly inputTokens: number;
    readonly blockReferences: number;
    readonly blockHits: number;
    readonly uniqueBlocks: number;
    readonly pct: number;
  };
  /** By block size in tokens. */
  readonly prevTurnByBlockSize: Readonly<Record<string, { readonly hitTokens: number; readonly pct: number }>>;
  readonly ttl: { readonly recorded: readonly TtlRow[]; readonly debiased: readonly TtlRow[] };
  readonly sharingInfinite: Readonly<Record<string, SharingRow>>;
  readonly outputKept: { readonly hitTokens: number; readonly pct: number };
}

/** API time by rule 1, ms: recorded, else the stored estimate, else 0. */
export function apiOf(trace: Trace, r: number): number {
  const api = trace.request.apiMs[r]!;
  if (!Number.isNaN(api)) return api;
  const estimate = trace.request.apiEstMs[r]!;
  return Number.isNaN(estimate) ? 0 : estimate;
}

/**
 * Pauses before request `r` of a root as if it had no sub-agents: anchored at the previous response only. Where the trace keeps no capture
 * type (own format), the bias is what its de-biased pause took out.
 */
export function rootPauses(trace: Trace, r: number): { recorded: number; debiased: number } {
  const { startMs, captureType, pauseMs, debiasedMs } = trace.request;
  const recorded =
    Number.isNaN(trace.request.apiMs[r - 1]!) && Number.isNaN(trace.request.apiEstMs[r - 1]!)
      ? pauseMs[r]!
      : Math.max(0, startMs[r]! - startMs[r - 1]! - apiOf(trace, r - 1));
  if (trace.header.interpretation.pauseRule !== 'weka-n-own-api') return { recorded, debiased: recorded };
  const type = captureType[r]!;
  const bias =
    type === 0 ? apiOf(trace, r) : type === 1 ? apiOf(trace, r - 1) : Number.isNaN(debiasedMs[r]!) ? 0 : pauseMs[r]! - debiasedMs[r]!;
  return { recorded, debiased: Math.max(0, recorded - bias) };
}

/** The table of a trace with session-private ids. Cost O(runs · log pieces). */
export function sessionZeroLatency(trace: Trace): SessionZeroLatency {
  const scan = new RootScan(trace);
  const tree = treeInfinite(trace);
  const { inTokens, references } = scan;
  const B = trace.header.blockTokens;
  const total = { inTokens, references, transitions: scan.transitions, active: scan.active.exact(), blockTokens: B };
  const runs = scan.runsPerRequest.sort();
  return {
    sample: trace.input?.name ?? trace.header.source.name ?? '',
    scope: 'root requests only',
    blockSize: B,
    sessions: trace.sessionCount,
    requests: scan.requests,
    transitions: scan.transitions,
    inputTokens: inTokens,
    outputTokens: scan.outTokens,
    blockReferences: references,
    firstRequestInputTokens: scan.firstTokens,
    requestsWithoutApiTime: scan.withoutApi,
    requestsWithZeroOutput: scan.zeroOutputs,
    overlappingTransitions: scan.overlapping,
    modelSwitches: scan.modelSwitches,
    sessionsWithSeveralModels: scan.severalModels,
    types: trace.facts?.types ?? typesOf(trace),
    stops: trace.facts?.stops ?? stopsOf(trace),
    prefixBreaksGt10pct: scan.breaks,
    prefixBreaksHalving: scan.halvings,
    runsPerRequest: { p50: ranked(runs, 0.5), p90: ranked(runs, 0.9), p99: ranked(runs, 0.99), max: ranked(runs, 1) },
    subAgents: trace.agentCount - trace.sessionCount,
    subAgentRequests: trace.requestCount - scan.requests,
    activeTokenMs: scan.active.value(),
    prevTurn: { hitTokens: scan.prevBlocks * B, pct: percent(scan.prevBlocks * B, inTokens, 6) },
    infinite: {
      blockHits: scan.hits,
      uniqueBlocks: scan.unique,
      pct: percent(scan.hits * B, inTokens, 6),
      readsPerWrite: ratio(scan.hits, scan.unique, 6),
    },
    treeInfinite: tree,
    prevTurnByBlockSize: Object.fromEntries(
      [...scan.prevBySize].map(([size, tokens]) => [String(size), { hitTokens: tokens, pct: percent(tokens, inTokens, 6) }]),
    ),
    ttl: { recorded: scan.recorded.rows(total), debiased: scan.debiased.rows(total) },
    sharingInfinite: sharingInfinite(trace, { hits: scan.hits, unique: scan.unique, inTokens, firstTokens: scan.firstTokens }),
    outputKept: { hitTokens: scan.outputKept, pct: percent(scan.outputKept, inTokens, 3) },
  };
}

/** One pass over the root requests. */
class RootScan {
  readonly recorded = new ModeSums();
  readonly debiased = new ModeSums();
  readonly active = new ExactSum();
  readonly runsPerRequest: Int32Array;
  readonly prevBySize = new Map<number, number>();
  requests = 0;
  transitions = 0;
  inTokens = 0;
  outTokens = 0;
  firstTokens = 0;
  references = 0;
  withoutApi = 0;
  zeroOutputs = 0;
  overlapping = 0;
  modelSwitches = 0;
  severalModels = 0;
  breaks = 0;
  halvings = 0;
  prevBlocks = 0;
  outputKept = 0;
  hits = 0;
  unique = 0;

  constructor(trace: Trace) {
    const runs: number[] = [];
    const walk = new PathWalk(trace);
    for (let size = trace.header.blockTokens; size === trace.header.blockTokens || size <= 2048; size *= 2) this.prevBySize.set(size, 0);
    for (let s = 0; s < trace.sessionCount; s++) {
      const root = trace.session.agentFrom[s]!;
      walk.clear();
      this.#session(trace, walk, trace.agent.requestFrom[root]!, trace.agent.requestFrom[root + 1]!, runs);
    }
    this.runsPerRequest = Int32Array.from(runs);
  }

  #session(trace: Trace, walk: PathWalk, from: number, to: number, runs: number[]): void {
    const { inTokens, outTokens, model, apiMs, runFrom } = trace.request;
    const models = new Set<number>();
    // Clock of request i of this session in both modes: the sum of its pauses so far.
    const clockRecorded = [0];
    const clockDebiased = [0];
    for (let r = from; r < to; r++) {
      this.requests++;
      this.inTokens += inTokens[r]!;
      this.outTokens += outTokens[r]!;
      if (outTokens[r] === 0) this.zeroOutputs++;
      if (Number.isNaN(apiMs[r]!)) this.withoutApi++;
      this.active.add(apiOf(trace, r), inTokens[r]!);
      runs.push(runFrom[r + 1]! - runFrom[r]!);
      models.add(model[r]!);
      if (r === from) this.firstTokens += inTokens[r]!;
      else this.#transition(trace, r, r - from, clockRecorded, clockDebiased);
      walk.visit(r, r - from);
      this.#blocks(walk, clockRecorded, clockDebiased, r - from);
    }
    if (models.size > 1) this.severalModels++;
    this.recorded.sessionEnd(inTokens[to - 1]!);
    this.debiased.sessionEnd(inTokens[to - 1]!);
  }

  #transition(trace: Trace, r: number, i: number, clockRecorded: number[], clockDebiased: number[]): void {
    const { inTokens, outTokens, model, startMs, breakKeptTokens } = trace.request;
    const B = trace.header.blockTokens;
    const p = r - 1;
    this.transitions++;
    if (model[r] !== model[p]) this.modelSwitches++;
    if (startMs[r]! < startMs[p]! + apiOf(trace, p)) this.overlapping++;
    const common = commonBlocksOf(trace, p, r);
    this.prevBlocks += common;
    for (const [size, tokens] of this.prevBySize) {
      const m = size / B;
      this.prevBySize.set(size, tokens + Math.floor(common / m) * size);
    }
    if (breakKeptTokens[r]! >= 0) {
      this.breaks++;
      if (inTokens[r]! < 0.5 * inTokens[p]!) this.halvings++;
    }
    const pause = rootPauses(trace, r);
    this.recorded.transition(pause.recorded, common, inTokens[p]!);
    this.debiased.transition(pause.debiased, common, inTokens[p]!);
    clockRecorded[i] = clockRecorded[i - 1]! + pause.recorded;
    clockDebiased[i] = clockDebiased[i - 1]! + pause.debiased;
    // `outputReuse: assume`, trace specification 7.1.
    const before = blocksOfRequest(trace, p);
    const assumed = common >= 0.98 * before && inTokens[r]! >= inTokens[p]!;
    const blocks = assumed ? Math.floor(Math.min(inTokens[r]!, inTokens[p]! + outTokens[p]!) / B) : common;
    this.outputKept += blocks * B;
  }

  #blocks(walk: PathWalk, clockRecorded: number[], clockDebiased: number[], i: number): void {
    this.references += walk.blocks;
    this.unique += walk.fresh;
    let oldestRecorded = 0;
    let oldestDebiased = 0;
    for (let k = 0; k < walk.pieces; k++) {
      const blocks = walk.pieceBlocks[k]!;
      const use = walk.pieceUse[k]!;
      // Ages grow along a chained prompt; the maximum keeps hits a prefix where ids contradict each other.
      oldestRecorded = Math.max(oldestRecorded, clockRecorded[i]! - clockRecorded[use]!);
      oldestDebiased = Math.max(oldestDebiased, clockDebiased[i]! - clockDebiased[use]!);
      this.hits += blocks;
      this.recorded.blocks(oldestRecorded, blocks);
      this.debiased.blocks(oldestDebiased, blocks);
    }
  }
}

/** Blocks of a request's prompt. */
function blocksOfRequest(trace: Trace, r: number): number {
  const { runFrom } = trace.request;
  let sum = 0;
  for (let k = runFrom[r]!; k < runFrom[r + 1]!; k++) sum += trace.runLast[k]! - trace.runFirst[k]! + 1;
  return sum;
}

/** Infinite cache over whole session trees. Chained ids make the sum of hits independent of the order of the agents. */
function treeInfinite(trace: Trace): SessionZeroLatency['treeInfinite'] {
  const walk = new PathWalk(trace);
  let references = 0;
  let hits = 0;
  let unique = 0;
  let inTokens = 0;
  for (let s = 0; s < trace.sessionCount; s++) {
    walk.clear();
    const from = trace.agent.requestFrom[trace.session.agentFrom[s]!]!;
    const to = trace.agent.requestFrom[trace.session.agentFrom[s + 1]!]!;
    for (let r = from; r < to; r++) {
      walk.visit(r, 0);
      references += walk.blocks;
      unique += walk.fresh;
      for (let k = 0; k < walk.pieces; k++) hits += walk.pieceBlocks[k]!;
      inTokens += trace.request.inTokens[r]!;
    }
  }
  const pct = percent(hits * trace.header.blockTokens, inTokens, 6);
  return { requests: trace.requestCount, inputTokens: inTokens, blockReferences: references, blockHits: hits, uniqueBlocks: unique, pct };
}

/** Capture types of root requests for sources without label counts; empty if there are none. */
function typesOf(trace: Trace): Record<string, number> {
  return countRoot(trace, (r) => ['n', 's'][trace.request.captureType[r]!]);
}

const RAW_STOPS: Readonly<Record<string, string>> = {
  tool: 'tool_use',
  turn: 'end_turn',
  length: 'max_tokens',
  other: 'other',
  unknown: '',
};

/** Stops of root requests under the names WEKA uses, for sources without label counts. */
function stopsOf(trace: Trace): Record<string, number> {
  return countRoot(trace, (r) => RAW_STOPS[STOPS[trace.request.stop[r]!]!]);
}

function countRoot(trace: Trace, label: (r: number) => string | undefined): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = trace.session.agentFrom[s]!;
    for (let r = trace.agent.requestFrom[root]!; r < trace.agent.requestFrom[root + 1]!; r++) {
      const name = label(r);
      if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}
