/** Makes the record of the last decision of a router, and repeats a decision from its record. Source: router specification 9. */
import { type CandidateRecord, type DecisionRecord, type Millis, type RankId, type RouteRequest, TIER } from '../ports.ts';
import { cachedTokens } from './features.ts';
import { workerHash } from './keyed-draw.ts';
import type { Combine, FeatureRef, Policy } from './policy.ts';
import { type FeatureSource, ScoringEngine } from './scoring-engine.ts';
import type { ScoringRouter } from './scoring-router.ts';

/** Name under which the factor of preferred taints stands among the features; the score is the sum of contributions times it. */
const FACTOR = 'taintFactor';
/** Rows of a compact record beside the winner. */
const COMPACT_ROWS = 3;

/** Facts of a decision that the router does not know. */
export interface RecordFacts {
  readonly action: DecisionRecord['action'];
  readonly reasons: readonly string[];
  readonly waitMs: Millis;
  readonly bookSeq: number;
}

/** Record of the last decision, before anything was booked. `level` full lists every eligible rank, compact the winner and 3 more. */
export function recordDecision(
  router: ScoringRouter,
  request: RouteRequest,
  level: 'compact' | 'full',
  facts: RecordFacts,
  nowMs: Millis,
): DecisionRecord {
  const { engine, policy } = router;
  const rule = engine.rule < 0 ? undefined : policy.rules[engine.rule];
  const decided = router.refusal === '' && rule !== undefined;
  const rank = 'rank' in facts.action ? facts.action.rank : -1;
  const rows = decided ? listedRows(router, rank, level) : [];
  return {
    v: 1,
    id: request.id,
    attempt: request.attempt,
    tMs: nowMs,
    policy: policy.name,
    rule: decided ? rule.id : '',
    action: facts.action,
    reasons: facts.reasons,
    request: { promptTokens: request.promptTokens, fullBlocks: router.input.fullBlocks, depthBlocks: request.depthBlocks },
    candidates: rows.map((row) => candidate(router, row, rule!.combine)),
    tie: { size: decided ? engine.tieSize : 0, mode: policy.ties.mode },
    draws: decided ? engine.draws.slice(0, engine.drawCount) : [],
    waitMs: facts.waitMs,
    bookSeq: facts.bookSeq,
  };
}

/** Reason codes of the last decision (router specification 9). */
export function decisionReasons(router: ScoringRouter, rank: RankId): string[] {
  const { engine, policy } = router;
  if (engine.rule < 0) return [];
  const rule = policy.rules[engine.rule]!;
  const reasons = [`RULE:${rule.id}`];
  if (engine.tieSize > 1) reasons.push(`TIE(${engine.tieSize})`);
  if (rule.pick.kind === 'softmax') reasons.push(`SOFTMAX(${engine.probability.toPrecision(4)})`);
  if (policy.readsMatch && router.input.match.touchedCount === 0) reasons.push('COLD');
  if (router.input.fellBack) {
    for (const feature of policy.features)
      if (engine.wasRead(feature.column) && isSignal(feature)) reasons.push(`SIGNAL_FALLBACK(${feature.name})`);
  }
  if (router.predictedBlocks(rank) > 0) reasons.push('PREDICTED_HIT');
  return reasons;
}

function isSignal(feature: FeatureRef): boolean {
  return ['waiting', 'running', 'kvUsage', 'kvBarrier'].includes(feature.base);
}

function listedRows(router: ScoringRouter, rank: RankId, level: 'compact' | 'full'): number[] {
  const { engine, rows, eligible } = router;
  const all = Array.from({ length: eligible }, (_, row) => row);
  if (level === 'full') return all;
  const combine = engine.rule < 0 ? undefined : router.policy.rules[engine.rule]!.combine;
  const sign = combine?.kind === 'sum' || (combine?.kind === 'lex' && combine.terms[0]!.direction === 'max') ? -1 : 1;
  const winner = all.find((row) => rows[row] === rank);
  const selected = [...engine.selected.subarray(0, engine.selectedCount)].filter((row) => row !== winner);
  selected.sort((a, b) => sign * (engine.scores[a]! - engine.scores[b]!) || a - b);
  return (winner === undefined ? [] : [winner]).concat(selected.slice(0, COMPACT_ROWS));
}

function candidate(router: ScoringRouter, row: number, combine: Combine): CandidateRecord {
  const { engine, policy } = router;
  const rank = router.rows[row]!;
  const { match } = router.input;
  const selected = engine.selected.subarray(0, engine.selectedCount).includes(row);
  const features: Record<string, { raw: number; weight: number; contribution: number }> = {};
  const terms = combine.kind === 'none' ? [] : combine.terms;
  for (const feature of policy.features) {
    if (!engine.wasRead(feature.column)) continue;
    const entry = { raw: engine.raw(feature.column)[row]!, weight: 0, contribution: 0 };
    for (let t = 0; t < terms.length; t++) {
      if (!selected || terms[t]!.column !== feature.column) continue;
      const { weight, contribution } = engine.contribution(combine, t, row);
      entry.weight += weight;
      entry.contribution += contribution;
    }
    features[feature.name] = entry;
  }
  if (selected && combine.kind === 'cost' && router.factors !== null) {
    features[FACTOR] = { raw: router.factors[row]!, weight: 0, contribution: 0 };
  }
  const reads = policy.readsMatch;
  const blocks = (tier: number): number => {
    const column = tier === TIER.hbm ? match.hbm : tier === TIER.host ? match.host : tier === TIER.disk ? match.disk : match.remote;
    return reads ? column[rank]! : 0;
  };
  return {
    rank,
    key: router.table.keys[rank]!,
    matchBlocks: { hbm: blocks(TIER.hbm), host: blocks(TIER.host), disk: blocks(TIER.disk), remote: blocks(TIER.remote) },
    cachedTokens: reads ? cachedTokens(router.input, rank) : 0,
    features,
    score: selected ? engine.scores[row]! : 0,
    inTie: engine.inTie[row] === 1,
  };
}

/** Feature columns out of a record. */
class RecordedFeatures implements FeatureSource {
  readonly #record: DecisionRecord;

  constructor(record: DecisionRecord) {
    this.#record = record;
  }

  fill(feature: FeatureRef, n: number, out: Float64Array): void {
    for (let row = 0; row < n; row++) {
      const recorded = this.#record.candidates[row]!.features[feature.name];
      if (recorded === undefined) throw new Error(`record ${this.#record.id} lacks feature ${feature.name}`);
      out[row] = recorded.raw;
    }
  }
}

/** Runs a policy on a full record. Returns the rank it chooses, -1 for nobody; the recorded one if policy and seed are the same. */
export function reexecute(record: DecisionRecord, policy: Policy, seed: number): RankId {
  const { candidates } = record;
  if (candidates.length === 0) return -1;
  const keys = {
    id: record.id,
    attemptNumber: 0,
    rows: Int32Array.from(candidates, (_, row) => row),
    hash: Uint32Array.from(candidates, (one) => workerHash(one.key)),
    draws: record.draws,
    factors: candidates.some(({ features }) => features[FACTOR] !== undefined)
      ? Float64Array.from(candidates, ({ features }) => features[FACTOR]?.raw ?? 1)
      : null,
  };
  const row = new ScoringEngine(policy, seed >>> 0).decide(new RecordedFeatures(record), candidates.length, keys);
  return row < 0 ? -1 : candidates[row]!.rank;
}
