/** What the loss of workers costs at a size that survives it: tokens computed again, time until latency is as before. */
import { boundMetric } from '../../measure/metric-expression.ts';
import { pairedDifference } from '../../measure/statistics.ts';
import type { FailureReport } from './capacity-result.ts';
import type { SizedCandidate } from './load.ts';
import type { CapacityQuestion } from './question.ts';
import type { Outcome, Trials } from './trials.ts';

/** Null where no workers are lost. Two trials: the loss, and the same window without it. */
export async function recoveryOf(sized: SizedCandidate, { failure }: CapacityQuestion, trials: Trials): Promise<FailureReport | null> {
  if (failure.workers === 0 || failure.workers >= sized.size) return null;
  const lost = await trials.judge({ ...sized, load: 1, failure });
  const kept = await trials.judge({ ...sized, load: 1, failure: { ...failure, workers: 0 } });
  const { primary } = trials.planOf({ ...sized, load: 1 });
  return {
    workers: failure.workers,
    forMs: failure.forMs,
    lostAtMs: lost.lostAtMs ?? 0,
    verdict: lost.verdict,
    extraRecomputedTokens: meanDifference(lost, kept, 'tokens.recomputed.total'),
    recoveredAfterMs: recoveredAfter(lost, kept, primary),
  };
}

function meanDifference(a: Outcome, b: Outcome, expr: string): number | null {
  const x = a.metrics[expr]?.values ?? [];
  const y = b.metrics[expr]?.values ?? [];
  const pairs = x.flatMap((v, i) => (v === null || y[i] == null ? [] : [v - y[i]]));
  return pairs.length === 0 ? null : pairs.reduce((sum, d) => sum + d, 0) / pairs.length;
}

/** Begin of the first interval from which on no interval is worse than without the loss by more than noise. */
function recoveredAfter(lost: Outcome, kept: Outcome, primary: string): number | null {
  const edges = lost.since?.edgesMs ?? [];
  const { metric } = boundMetric(primary);
  let since: number | null = null;
  for (let i = 0; i + 1 < edges.length; i++) {
    const pairs = (lost.since?.values ?? []).flatMap((values, r) => {
      const [with_, without] = [values[i], kept.since?.values[r]?.[i]];
      return with_ == null || without == null ? [] : [[without, with_] as const];
    });
    const rule = { scale: metric.scale, better: metric.better, noise: metric.noise, level: 0.95 };
    const { verdict } = pairedDifference(
      pairs.map((p) => p[0]),
      pairs.map((p) => p[1]),
      rule,
    );
    if (verdict === 'regressed') since = null;
    else since ??= edges[i]! - edges[0]!;
  }
  return since;
}
