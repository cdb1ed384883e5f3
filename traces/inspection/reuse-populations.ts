/**
 * What one cache that never forgets would reuse, counted over named populations. Reads per write of one session, of all sessions and of
 * session trees are different numbers that are easily confused: each comes with whom it counts. Source: trace specification 8.
 */
import type { Trace } from '../columns.ts';
import { PathWalk } from './path-walk.ts';
import { quantile } from './quantile.ts';

/** Sums of a population. Nothing is shared between sessions. */
export interface Reuse {
  readonly sessions: number;
  readonly requests: number;
  readonly inputTokens: number;
  /** Leading blocks of prompts that the same session had before, and distinct blocks. */
  readonly blockHits: number;
  readonly uniqueBlocks: number;
  /** Of all input tokens, 0..100. */
  readonly hitPct: number;
  /** Block hits per distinct block: how often what is written once is read. */
  readonly readsPerWrite: number;
}

/** Values of single sessions or requests; shares in 0..100. */
export interface Spread {
  readonly n: number;
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
  readonly mean: number;
}

export interface ReusePopulations {
  /** All sessions pooled: root requests only; with nested sub-agents; the latter of sessions that have any. */
  readonly root: Reuse;
  readonly tree: Reuse;
  readonly teams: Reuse;
  /** One session at a time, root requests. */
  readonly session: { readonly hitPct: Spread; readonly readsPerWrite: Spread };
  /** The same of sessions whose number of requests is in {@link SessionLength}. */
  readonly sessionOfLength: { readonly hitPct: Spread; readonly readsPerWrite: Spread };
  /** Hit share of single root requests after the first of their session. */
  readonly laterRequestHitPct: Spread;
}

/** Bounds of the number of root requests, both inclusive. */
export interface SessionLength {
  readonly from: number;
  readonly to: number;
}

/** Counts a trace whose ids are private to a session. Cost O(runs · log pieces), twice. */
export function reusePopulations(trace: Trace, length: SessionLength): ReusePopulations {
  const { session, agent } = trace;
  const count = new SessionCount(trace);
  const roots: Reuse[] = [];
  const trees: Reuse[] = [];
  const later: number[] = [];
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = session.agentFrom[s]!;
    const from = agent.requestFrom[root]!;
    roots.push(count.reuse(from, agent.requestFrom[root + 1]!, (share, r) => r > from && later.push(100 * share)));
    trees.push(count.reuse(from, agent.requestFrom[session.agentFrom[s + 1]!]!));
  }
  const spreads = (list: readonly Reuse[]) => ({
    hitPct: spread(list.map((reuse) => reuse.hitPct)),
    readsPerWrite: spread(list.map((reuse) => reuse.readsPerWrite)),
  });
  const B = trace.header.blockTokens;
  return {
    root: pooled(roots, B),
    tree: pooled(trees, B),
    teams: pooled(
      trees.filter((_, s) => session.agentFrom[s + 1]! - session.agentFrom[s]! > 1),
      B,
    ),
    session: spreads(roots),
    sessionOfLength: spreads(roots.filter(({ requests }) => requests >= length.from && requests <= length.to)),
    laterRequestHitPct: spread(later),
  };
}

/** Counts sessions one after another. */
class SessionCount {
  readonly #trace: Trace;
  readonly #walk: PathWalk;

  constructor(trace: Trace) {
    this.#trace = trace;
    this.#walk = new PathWalk(trace);
  }

  /** Requests from..to - 1 as all that a cache ever sees; tells the share of input tokens found by each. */
  reuse(from: number, to: number, onRequest?: (share: number, request: number) => void): Reuse {
    const walk = this.#walk;
    const { inTokens } = this.#trace.request;
    const blockTokens = this.#trace.header.blockTokens;
    const sums = { inputTokens: 0, blockHits: 0, uniqueBlocks: 0 };
    walk.clear();
    for (let r = from; r < to; r++) {
      walk.visit(r, 0);
      let hits = 0;
      for (let k = 0; k < walk.pieces; k++) hits += walk.pieceBlocks[k]!;
      onRequest?.((hits * blockTokens) / inTokens[r]!, r);
      sums.inputTokens += inTokens[r]!;
      sums.blockHits += hits;
      sums.uniqueBlocks += walk.fresh;
    }
    return { sessions: 1, requests: to - from, ...withRatios(sums, blockTokens) };
  }
}

function pooled(list: readonly Reuse[], blockTokens: number): Reuse {
  const sum = (key: 'requests' | 'inputTokens' | 'blockHits' | 'uniqueBlocks'): number => list.reduce((all, reuse) => all + reuse[key], 0);
  const sums = { inputTokens: sum('inputTokens'), blockHits: sum('blockHits'), uniqueBlocks: sum('uniqueBlocks') };
  return { sessions: list.length, requests: sum('requests'), ...withRatios(sums, blockTokens) };
}

function withRatios(sums: Pick<Reuse, 'inputTokens' | 'blockHits' | 'uniqueBlocks'>, blockTokens: number) {
  const { inputTokens, blockHits, uniqueBlocks } = sums;
  return {
    ...sums,
    hitPct: inputTokens === 0 ? 0 : (100 * blockHits * blockTokens) / inputTokens,
    readsPerWrite: uniqueBlocks === 0 ? 0 : blockHits / uniqueBlocks,
  };
}

function spread(values: readonly number[]): Spread {
  const ascending = Float64Array.from(values).sort();
  const mean = ascending.reduce((a, b) => a + b, 0) / ascending.length;
  const at = (p: number): number => quantile(ascending, p);
  return { n: values.length, p10: at(0.1), p50: at(0.5), p90: at(0.9), mean };
}
