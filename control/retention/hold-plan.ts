/** How long an estimator keeps a context in HBM and, below it, in the host tier (retention specification 5.1, 5.2). */
import type { Blocks, Millis, PauseKind, RankFacts, RankId, RouteRequest } from '../ports.ts';
import { breakEvenAt, recomputeMs, rentPressure } from './cost-model.ts';
import type { TtlEstimator } from './gap-estimators.ts';
import type { LeaseParameters } from './lease-parameters.ts';
import type { RetentionEnv } from './retention-env.ts';

/** Times from the end of the response. */
export interface HoldPlan {
  readonly hbmMs: Millis;
  /** At least hbmMs; equal = nothing is kept below. */
  readonly hostMs: Millis;
}

const NOTHING: HoldPlan = { hbmMs: 0, hostMs: 0 };

/**
 * Asks an estimator with the stakes of a context. With two tiers and a host tier that reloads faster than recomputing, HBM is kept while
 * a reload costs more than the space (at the full rent of HBM: engines here write through, so the copy below is there anyway), and the
 * host tier while recomputing instead of reloading costs more than its space. Without, HBM against recomputing.
 */
export function holdPlan(
  params: LeaseParameters,
  env: RetentionEnv,
  estimator: TtlEstimator,
  rank: RankId,
  request: RouteRequest,
  pause: PauseKind,
  tool: string | undefined,
  nowMs: Millis,
): HoldPlan {
  if (pause === 'none') return NOTHING;
  const facts = env.rankFacts(rank);
  if (facts === undefined) {
    const ms = estimator.ttlMs(pause, tool, nowMs, { missMs: 0, breakEvenMs: 0 });
    return { hbmMs: ms, hostMs: ms };
  }
  const { depthBlocks } = request;
  const missMs = recomputeMs(0, depthBlocks * facts.blockTokens, facts.prefillMsPerToken, facts.prefillMsPerPair);
  const hbmRent = rentOf(params, facts, depthBlocks, facts.hbmBlocks, env.kvUsage?.(rank));
  const reloadMs = (facts.reloadMsPerBlock ?? Number.POSITIVE_INFINITY) * depthBlocks;
  if (params.tiers !== 'two' || facts.hostBlocks === 0 || !(reloadMs < missMs)) {
    const ms = estimator.ttlMs(pause, tool, nowMs, { missMs, breakEvenMs: breakEvenAt(missMs, hbmRent) });
    return { hbmMs: ms, hostMs: ms };
  }
  const hbmMs = estimator.ttlMs(pause, tool, nowMs, { missMs: reloadMs, breakEvenMs: breakEvenAt(reloadMs, hbmRent) });
  const hostRent = rentOf(params, facts, depthBlocks, facts.hostBlocks, env.hostUsage?.(rank));
  const savedMs = missMs - reloadMs;
  const below = { missMs: savedMs, breakEvenMs: breakEvenAt(savedMs, hostRent), tier: 'host', fromMs: hbmMs } as const;
  return { hbmMs, hostMs: estimator.ttlMs(pause, tool, nowMs, below) };
}

/** Rent of a context in a tier: replica time per time. An unknown usage is priced as full. */
function rentOf(params: LeaseParameters, facts: RankFacts, blocks: Blocks, capacityBlocks: Blocks, usage = 1): number {
  if (params.priceMode === 'fixed') return (params.price ?? 0) * blocks * facts.blockBytes;
  return rentPressure(usage) * (blocks / capacityBlocks);
}
