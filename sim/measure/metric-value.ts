/** One number per replication for any metric of the registry, from what a run left behind. Source: experiments specification 4. */
import type { RollUp } from './causes.ts';
import { jainIndex, tenantFairness } from './fairness.ts';
import { busy, costUsd, counted, energy, gpuHours, linkShare, populationSd, usdPerHour, utilization } from './fleet-values.ts';
import { itemFilter, sortedValues } from './item-values.ts';
import { type BoundExpression, boundMetric } from './metric-expression.ts';
import { type MetricResult, MS_PER_HOUR, missing, present, ratio, sum, value } from './metric-result.ts';
import { prefetched, prefetchLateness, prefetchPrecision } from './prefetch-values.ts';
import { quantileSorted } from './quantile.ts';
import type { RunMeasures } from './run-measures.ts';
import { goodSessions, MET, turnOutcomes, UNJUDGED } from './slo-outcome.ts';
import { SESSION_STATUS, TURN_STATUS } from './turn-table.ts';

/** Value of a metric expression; null when it is not available. */
export function metricValue(expression: string | BoundExpression, run: RunMeasures): number | null {
  return evaluateMetric(expression, run).value;
}

/** Value, sample size and reason of a metric expression. Throws for an expression that does not bind. */
export function evaluateMetric(expression: string | BoundExpression, run: RunMeasures): MetricResult {
  const bound = typeof expression === 'string' ? boundMetric(expression) : expression;
  const { metric } = bound;
  if (metric.name === 'turn.itl') return tokenGaps(bound, run);
  if (metric.kind === 'tally') return tally(bound, run);
  const parts = metric.name.split('.');
  const formula = FORMULAS[metric.name] ?? FORMULAS[`${parts.slice(0, -1).join('.')}.*`];
  return formula === undefined ? missing('not computed by this version') : formula(bound, run);
}

type Formula = (bound: BoundExpression, run: RunMeasures) => MetricResult;

const FORMULAS: Readonly<Record<string, Formula>> = {
  'sessions.*': sessionCount,
  'goodput.turns': goodputTurns,
  'goodput.sessions': (_, run) => ratio(goodSessions(run), run.rateWindowMs / MS_PER_HOUR, 'the window is empty'),
  'throughput.output': (bound, run) => throughput(bound, run, run.turns.outputTokens),
  'throughput.input': (bound, run) => throughput(bound, run, run.turns.promptTokens),
  'kv.hit.hbm': (bound, run) => hitShare(bound, run, (t) => run.turns.hitHbmTokens[t]!),
  'kv.hit.host': (bound, run) =>
    hitShare(bound, run, (t) => run.turns.hitHostTokens[t]! - deeper(run, t, 'disk') - deeper(run, t, 'remote')),
  'kv.hit.disk': (bound, run) => hitShare(bound, run, (t) => deeper(run, t, 'disk')),
  'kv.hit.remote': (bound, run) => hitShare(bound, run, (t) => deeper(run, t, 'remote')),
  'kv.hit.total': (bound, run) => hitShare(bound, run, (t) => run.turns.hitHbmTokens[t]! + run.turns.hitHostTokens[t]!),
  'kv.hit.byTurn': hitByTurn,
  'kv.readWrite': (_, run) => fromSources(run, (s) => ratio(s.hbm + s.host, s.compulsory, 'nothing was written')),
  'prefill.amplification': (_, run) => fromSources(run, (s) => ratio(s.compulsory + recomputed(run), s.compulsory, 'no compulsory token')),
  'tokens.compulsory': (_, run) => fromSources(run, (s) => value(s.compulsory)),
  'tokens.recomputed.total': (_, run) => fromSources(run, () => value(recomputed(run))),
  'tokens.recomputed.*': (bound, run) => fromSources(run, (s) => value(s[bound.metric.name.split('.')[2] as RollUp])),
  'tokens.recomputed.preempted': (_, run) => fromSources(run, (s) => value(s.preempted + againTokens(run))),
  'kv.reuse.existed': (bound, run) => reuseShare(bound, run, true, true),
  'kv.reuse.captured': (bound, run) => reuseShare(bound, run, true, false),
  'kv.reuse.delivered': (bound, run) => reuseShare(bound, run, false, false),
  'load.imbalance': (bound, run) => busy(bound, run, (times, mean) => Math.max(...times) / mean),
  'load.cv': (bound, run) => busy(bound, run, (times, mean) => populationSd(times) / mean),
  'load.jain': (bound, run) => busy(bound, run, jainIndex),
  'engine.utilization': utilization,
  'engine.preemptions': (bound, run) => counted(bound, run, (c) => c.preemptions),
  'kv.occupancy.hbm': (_, run) => present(run.occupancy?.hbm),
  'kv.occupancy.host': (_, run) => present(run.occupancy?.host),
  'kv.occupancy.disk': (_, run) => present(run.occupancy?.disk),
  'kv.occupancy.remote': (_, run) => present(run.occupancy?.remote),
  'kv.idlePerActive': (_, run) => perActive(run, (o) => Math.max(0, (o.hbm ?? 0) - (o.active ?? 0))),
  'kv.claimedPerActive': (_, run) => perActive(run, (o) => o.claimed ?? 0),
  'kv.prefetch.bytes': (bound, run) => prefetched(bound, run, (p) => p.movedBlocks),
  'kv.prefetch.waste': (bound, run) => prefetched(bound, run, (p) => p.wastedBlocks),
  'kv.prefetch.precision': prefetchPrecision,
  'kv.prefetch.lateness': prefetchLateness,
  'kv.evictions.capacity': (bound, run) => counted(bound, run, (c, w) => c.hbmEvictedBlocks * w.blockBytes),
  'kv.evictions.ttl': (bound, run) => counted(bound, run, (c, w) => c.hbmExpiredBlocks * w.blockBytes),
  'link.bytes.h2d': (bound, run) => counted(bound, run, (c) => c.hostReadBytes),
  'link.bytes.d2h': (bound, run) => counted(bound, run, (c) => c.hostWriteBytes),
  'link.bytes.diskRead': (bound, run) => counted(bound, run, (c) => c.diskReadBytes),
  'link.bytes.diskWrite': (bound, run) => counted(bound, run, (c) => c.diskWriteBytes),
  'link.bytes.remoteRead': (bound, run) => counted(bound, run, (c) => c.remoteReadBytes),
  'link.bytes.remoteWrite': (bound, run) => counted(bound, run, (c) => c.remoteWriteBytes),
  'link.utilization.h2d': (bound, run) =>
    linkShare(
      bound,
      run,
      (c) => c.hostReadBytes,
      (w) => w.h2dBytesPerMs,
    ),
  'link.utilization.d2h': (bound, run) =>
    linkShare(
      bound,
      run,
      (c) => c.hostWriteBytes,
      (w) => w.d2hBytesPerMs,
    ),
  'router.decisions': (_, run) => value(run.router.decisions),
  'router.staleMiss': (_, run) => ratio(run.router.staleDecisions, run.router.decisions, 'nothing was decided', run.router.decisions),
  'hints.dropped': (_, run) => present(run.hints?.dropped),
  'claims.refused': (_, run) => present(run.hints?.refused),
  'claims.clipped': (_, run) => present(run.hints?.clipped),
  'turns.rejected': (bound, run) => turnsIn(bound, run, TURN_STATUS.rejected),
  'turns.timedOut': (bound, run) => turnsIn(bound, run, TURN_STATUS.timedOut),
  'fleet.gpuHours': (_, run) => value(gpuHours(run)),
  'cost.usdPerHour': (_, run) => value(usdPerHour(run)),
  'cost.usdPerSession': (_, run) => ratio(costUsd(run), completed(run), 'no session completed', completed(run)),
  'cost.usdPerGoodSession': (_, run) => ratio(costUsd(run), goodSessions(run), 'no good session'),
  'energy.kWh': (_, run) => value(energy(run)),
  'energy.whPerSession': (_, run) => ratio(1000 * energy(run), completed(run), 'no session completed', completed(run)),
  'kv.pinWaste': () => missing('needs the byte-second ledger of claims'),
  'kv.duplicateBytes': () => missing('needs the residency ledger'),
  'fairness.jain': tenantFairness,
};

// ---- tallies ----------------------------------------------------------------------------------------------------------------

function tally(bound: BoundExpression, run: RunMeasures): MetricResult {
  const sorted = sortedValues(bound, run);
  if (sorted === null) return missing('needs unloaded durations');
  const n = sorted.length;
  if (n === 0) return { value: null, n, reason: 'no items' };
  switch (bound.aggregate.kind) {
    case 'mean':
      return { value: sum(sorted, (x) => x) / n, n };
    case 'sum':
      return { value: sum(sorted, (x) => x), n };
    case 'min':
      return { value: sorted[0]!, n };
    case 'max':
      return { value: sorted[n - 1]!, n };
    case 'quantile':
      return { value: quantileSorted(sorted, bound.aggregate.q), n };
  }
}

/** Gaps carry no labels: a decode run of many turns arrives as one weighted range. */
function tokenGaps(bound: BoundExpression, run: RunMeasures): MetricResult {
  if (Object.keys(bound.tags).some((tag) => tag !== 'arm')) return missing('gaps between tokens are not kept by class, tenant or pool');
  const gaps = run.tokenGaps;
  const n = gaps.count;
  if (n === 0) return { value: null, n, reason: 'no turn has two tokens' };
  const { aggregate } = bound;
  const ms =
    aggregate.kind === 'quantile'
      ? gaps.quantile(aggregate.q)!
      : aggregate.kind === 'mean'
        ? gaps.mean()!
        : aggregate.kind === 'sum'
          ? gaps.sum
          : aggregate.kind === 'min'
            ? gaps.min
            : gaps.max;
  return { value: ms / 1000, n };
}

// ---- turns and sessions -----------------------------------------------------------------------------------------------------

function sessionCount(bound: BoundExpression, run: RunMeasures): MetricResult {
  const kind = bound.metric.name.slice('sessions.'.length);
  const filter = itemFilter(bound.tags, run);
  let count = 0;
  for (let session = 0; session < run.sessions.count; session++) {
    if (!filter.session(session)) continue;
    const status = run.sessions.status[session]!;
    const isOpen = status === SESSION_STATUS.open || status === SESSION_STATUS.censored;
    if (
      kind === 'offered' ||
      (kind === 'completed' && status === SESSION_STATUS.completed) ||
      (kind === 'failed' && status === SESSION_STATUS.failed) ||
      (kind === 'abandoned' && status === SESSION_STATUS.abandoned) ||
      (kind === 'censored' && isOpen)
    )
      count++;
  }
  return value(count);
}

function completed(run: RunMeasures): number {
  return sessionCount(boundMetric('sessions.completed'), run).value!;
}

function goodputTurns(bound: BoundExpression, run: RunMeasures): MetricResult {
  const filter = itemFilter(bound.tags, run);
  let met = 0;
  let of = 0;
  turnOutcomes(run.objectives.turn, run).forEach((code, turn) => {
    if (code === UNJUDGED || !filter.turn(turn)) return;
    of++;
    if (code === MET) met++;
  });
  return ratio(met, of, 'no turn was judged', of);
}

function throughput(bound: BoundExpression, run: RunMeasures, tokens: Int32Array): MetricResult {
  const filter = itemFilter(bound.tags, run);
  let total = 0;
  for (let turn = 0; turn < run.turns.count; turn++)
    if (run.turns.status[turn] === TURN_STATUS.finished && filter.turn(turn)) total += tokens[turn]!;
  return ratio(total, (run.window.toMs - run.window.fromMs) / 1000, 'the window is empty');
}

function turnsIn(bound: BoundExpression, run: RunMeasures, status: number): MetricResult {
  const filter = itemFilter(bound.tags, run);
  let count = 0;
  for (let turn = 0; turn < run.turns.count; turn++) if (run.turns.status[turn] === status && filter.turn(turn)) count++;
  return value(count);
}

/** Tokens found in a tier over prompt tokens, both at first admissions. */
function hitShare(bound: BoundExpression, run: RunMeasures, tokensOf: (turn: number) => number): MetricResult {
  const filter = itemFilter(bound.tags, run);
  let hit = 0;
  let prompt = 0;
  let n = 0;
  for (let turn = 0; turn < run.turns.count; turn++) {
    if (Number.isNaN(run.turns.admitMs[turn]!) || !filter.turn(turn)) continue;
    hit += tokensOf(turn);
    prompt += run.turns.promptTokens[turn]!;
    n++;
  }
  return ratio(hit, prompt, 'no turn was admitted', n);
}

/** Tokens that a turn found below the host tier; the column of host hits counts them too. */
function deeper(run: RunMeasures, turn: number, tier: 'disk' | 'remote'): number {
  return run.turns.belowHostTokens(turn, tier);
}

function hitByTurn(bound: BoundExpression, run: RunMeasures): MetricResult {
  const { admitMs, hitHbmTokens, hitHostTokens, promptTokens } = run.turns;
  const filter = itemFilter(bound.tags, run);
  let shares = 0;
  let n = 0;
  for (let turn = 0; turn < run.turns.count; turn++) {
    if (Number.isNaN(admitMs[turn]!) || !filter.turn(turn)) continue;
    shares += (hitHbmTokens[turn]! + hitHostTokens[turn]!) / promptTokens[turn]!;
    n++;
  }
  return ratio(shares, n, 'no turn was admitted', n);
}

// ---- occupancy --------------------------------------------------------------------------------------------------------------

/** Time-weighted blocks over time-weighted blocks in use. */
function perActive(run: RunMeasures, of: (o: NonNullable<RunMeasures['occupancy']>) => number): MetricResult {
  const { occupancy } = run;
  return occupancy?.active === undefined
    ? missing('occupancy was not sampled')
    : ratio(of(occupancy), occupancy.active, 'no block was used');
}

// ---- tokens -----------------------------------------------------------------------------------------------------------------

function fromSources(run: RunMeasures, formula: (s: NonNullable<RunMeasures['sources']>) => MetricResult): MetricResult {
  return run.sources === undefined ? missing('misses were not judged') : formula(run.sources);
}

/** Avoidable misses of first admissions plus everything computed again after preemption. */
function recomputed(run: RunMeasures): number {
  const s = run.sources!;
  return s.existed - s.delivered + againTokens(run);
}

function againTokens(run: RunMeasures): number {
  return sum(run.workers, (w) => w.counters.recomputedTokens);
}

/** Tokens served from a tier; `held`: and those held by the chosen worker though missed; `known`: and all others of known content. */
function reuseShare(bound: BoundExpression, run: RunMeasures, held: boolean, known: boolean): MetricResult {
  const { turns, causes } = run;
  if (causes === undefined) return missing('misses were not judged');
  return hitShare(bound, run, (t) => {
    const delivered = turns.hitHbmTokens[t]! + turns.hitHostTokens[t]!;
    return delivered + (known ? turns.avoidableTokens[t]! : held ? causes.heldTokens(turns.rowOf(t)) : 0);
  });
}
