/**
 * Sizes below which no fleet can meet the objectives, from the workload and the step times alone. Necessary conditions: they may be far
 * below the smallest size that holds, never above it. Source: experiments specification 6.2.
 *
 *     work    n >= rate of turns x least worker time of a turn under an infinite cache
 *     memory  n >= KV tokens of the requests in service, unloaded, by Little's law, over the capacity of a worker
 *     single  no n: the unloaded time to first token already exceeds an objective
 *
 * Ours, where the specification leaves room: a closed loop slows down with its answers, so its rate is taken at SLOWEST times the
 * unloaded answer time; a run counts as stable while it serves 98 % of what is offered; shared prefixes count as held once.
 */
import type { Trace } from '../../../traces/columns.ts';
import { UnloadedTime } from '../../cluster/unloaded-time.ts';
import { stepTables } from '../../hardware/cell-timer.ts';
import { cellFile, resolveParameters } from '../../hardware/cells.ts';
import { boundMetric } from '../../measure/metric-expression.ts';
import { quantile } from '../../measure/quantile.ts';
import { materialiseWorkload } from '../../workload/materialise.ts';
import type { Workload } from '../../workload/workload.ts';
import { buildFleet } from '../fleet-plan.ts';
import type { PoolPlan, RunPlan } from '../run-plan.ts';

/** Bounds on the workers of a pool, others as written. */
export interface Bounds {
  /** The largest of them; at least 1. */
  readonly size: number;
  /** Null: not known for this kind of run or timer. */
  readonly work: number | null;
  readonly memory: number | null;
  /** Objective that no size can meet, with its unloaded value; null = none. */
  readonly blocking: string | null;
}

/** Answers of a closed loop may be this much slower than unloaded before an objective breaks. */
const SLOWEST = 3;
/** Share of the offered turns that a stable run serves at least (limit of W_SATURATED). */
const SERVED = 0.98;
/** Excess of the unloaded quantile over an objective from which on it counts, since it is known from one replication. */
const CERTAIN = 1.05;

/** Facts of turns of one replication; columns by turn. */
interface Demand {
  readonly workload: Workload;
  /** Turns per ms in the measured window. */
  readonly ratePerMs: number;
  readonly freshTokens: Float64Array;
  readonly unloadedMs: Float64Array;
  readonly firstTokenMs: Float64Array;
}

/** Bounds of the first pool of a plan whose size is `path`; bounds are 1 where the path is not the workers of a pool. Cost O(turns). */
export function lowerBounds(plan: RunPlan, trace: Trace, path: string): Bounds {
  const pools = plan.arms[0]!.pools;
  const searched = pools.find((p) => path === `fleet.pools.${p.name}.workers`);
  const first = demandOn(pools[0]!, plan, trace);
  const blocking = blockingObjective(plan, first);
  if (searched === undefined || plan.kind !== 'steady' || plan.horizonMs === null) return { size: 1, work: null, memory: null, blocking };
  const others = pools.filter((p) => p !== searched);
  const needs = (cost: (pool: PoolPlan, demand: Demand) => number | null): number | null => {
    const own = cost(searched, searched === pools[0] ? first : demandOn(searched, plan, trace));
    if (own === null || own <= 0) return null;
    let rest = SERVED;
    for (const pool of others) {
      const theirs = cost(pool, pool === pools[0] ? first : demandOn(pool, plan, trace));
      if (theirs === null || theirs <= 0) return null;
      rest -= pool.workers / theirs;
    }
    return Math.max(1, Math.ceil(rest * own - 1e-9));
  };
  const work = needs((pool, demand) => workersOfWork(pool, demand));
  const memory = needs((pool, demand) => workersOfMemory(pool, demand, plan));
  return { size: Math.max(1, work ?? 1, memory ?? 1), work, memory, blocking };
}

/** The turns of replication 0 as this pool would serve them alone. */
function demandOn(pool: PoolPlan, plan: RunPlan, trace: Trace): Demand {
  const workload = materialiseWorkload(trace, plan.workload, plan.seed, 0);
  const { turns } = workload;
  const { config } = pool;
  const timer = buildFleet([{ ...pool, workers: 1 }]).workers[0]!.createTimer();
  const unloaded = new UnloadedTime(timer, config.maxBatchedTokens, config.blockTokens, pool.requestMs);
  const isShared = plan.workload.sharing !== 'none';
  const freshTokens = new Float64Array(turns.count);
  const unloadedMs = new Float64Array(turns.count);
  const firstTokenMs = new Float64Array(turns.count);
  for (let t = 0; t < turns.count; t++) {
    const prompt = turns.promptTokens(t);
    const reusable = turns.reusableTokens(t);
    // What a first request shares with other sessions is not known here: it may find all of it.
    const isOpen = isShared && reusable === 0;
    freshTokens[t] = isOpen ? 0 : prompt - Math.min(reusable, prompt - 1);
    unloadedMs[t] = isOpen ? 0 : unloaded.e2eMs(prompt, reusable, turns.outputTokens(t));
    firstTokenMs[t] = isOpen ? 0 : unloaded.e2eMs(prompt, reusable, 1);
  }
  return { workload, ratePerMs: rateOf(workload, unloadedMs, plan), freshTokens, unloadedMs, firstTokenMs };
}

/** Least rate of turns in the window, per ms. */
function rateOf(workload: Workload, unloadedMs: Float64Array, plan: RunPlan): number {
  const { arrivals } = plan.workload;
  const horizon = plan.horizonMs ?? 0;
  const { warmupMs } = plan;
  if (arrivals.mode === 'recorded' || horizon <= warmupMs) return 0;
  const { turns, plays, agents } = workload;
  let spans = 0;
  let inWindow = 0;
  for (let play = 0; play < plays.count; play++) {
    let offset = 0;
    for (let agent = plays.agentFrom[play]!; agent < plays.agentTo[play]!; agent++) {
      const waits = [agents.spawnDelayMs[agent]!, agents.joinDelayMs[agent]!].filter((ms) => ms > 0);
      offset += waits.reduce((sum, ms) => sum + ms, 0);
      for (let t = agents.turnFrom[agent]!; t < agents.turnTo[agent]!; t++) {
        offset += turns.pauseMs(t);
        inWindow += Math.max(0, horizon - Math.max(warmupMs, offset));
        offset += SLOWEST * unloadedMs[t]!;
      }
    }
    spans += offset;
  }
  if (arrivals.mode === 'open') return (arrivals.ratePerMs * plan.workload.scaleLoad * inWindow) / plays.count / (horizon - warmupMs);
  const live = (horizon - Math.max(warmupMs, arrivals.rampUpMs)) / (horizon - warmupMs);
  const cycle = spans + plays.count * arrivals.respawnMs;
  return cycle <= 0 ? 0 : (Math.max(0, live) * workload.concurrency * turns.count) / cycle;
}

/** Workers that the tokens of all turns keep busy at least; null where the step times have no marginal cost. */
function workersOfWork(pool: PoolPlan, { workload, ratePerMs, freshTokens }: Demand): number | null {
  const cost = marginalCost(pool);
  if (cost === null) return null;
  const { turns } = workload;
  let ms = 0;
  for (let t = 0; t < turns.count; t++) {
    const prompt = turns.promptTokens(t);
    const steps = turns.outputTokens(t) - 1;
    const fresh = freshTokens[t]!;
    ms += (fresh + steps) * cost.msPerToken + fresh * cost.msPerFreshToken + fresh * (prompt - fresh / 2) * cost.msPerPair;
    ms += steps * (prompt + steps / 2) * cost.msPerDecodeKv;
  }
  return (ratePerMs * ms) / Math.max(1, turns.count);
}

/** Lower bounds of what tokens add to the steps of a worker, ms. */
interface MarginalCost {
  /** Of any token of a step. */
  readonly msPerToken: number;
  /** Attention of a prefilled token beside that. */
  readonly msPerFreshToken: number;
  /** Attention of a pair of a prefilled token and one before it. */
  readonly msPerPair: number;
  /** Attention of a decoded token to one KV token. */
  readonly msPerDecodeKv: number;
}

/** A step of N tokens takes at least lin(N), so a token at least the least lin(N) / N. Null without cell. */
function marginalCost(pool: PoolPlan): MarginalCost | null {
  const cell = cellFile().cells.find((c) => c.id === pool.cell);
  if (cell === undefined) return null;
  const layers = pool.skewAlpha === null ? {} : { override: { skewAlpha: pool.skewAlpha } };
  const { phi, phiPrefill } = resolveParameters(cell, pool.engine, layers).parameters;
  const { lin } = stepTables(cell);
  let least = Number.POSITIVE_INFINITY;
  for (let n = 1; n <= Math.min(pool.config.maxBatchedTokens, lin.length - 1); n++) least = Math.min(least, lin[n]! / n);
  const scale = pool.stepScale ?? 1;
  return {
    msPerToken: scale * Math.min(phi, phiPrefill) * least,
    msPerFreshToken: scale * phiPrefill * Math.max(0, cell.pre.p1),
    msPerPair: scale * phiPrefill * Math.max(0, cell.pre.p2),
    msPerDecodeKv: scale * phi * Math.max(0, cell.dec.c),
  };
}

/** Workers whose KV the requests in service fill, each for its unloaded time; only what no other request can share is counted. */
function workersOfMemory(pool: PoolPlan, { workload, ratePerMs, freshTokens, unloadedMs }: Demand, plan: RunPlan): number | null {
  const { turns } = workload;
  const isPrivate = plan.workload.sharing === 'none' && workload.agents.count === workload.plays.count;
  let tokenMs = 0;
  for (let t = 0; t < turns.count; t++) {
    const held = isPrivate ? turns.promptTokens(t) : freshTokens[t]!;
    tokenMs += held * unloadedMs[t]!;
  }
  return (ratePerMs * tokenMs) / Math.max(1, turns.count) / pool.hbmTokens;
}

/** An upper objective on a quantile of the time to first token that an idle fleet already misses. */
function blockingObjective(plan: RunPlan, { firstTokenMs }: Demand): string | null {
  for (const slo of plan.slos) {
    if (slo.scope !== 'run' || slo.level !== 'error' || (slo.op !== '<' && slo.op !== '<=')) continue;
    const { metric, tags, aggregate } = boundMetric(slo.metric);
    if (metric.name !== 'turn.ttft' || Object.keys(tags).length > 0 || aggregate.kind !== 'quantile') continue;
    const seconds = (quantile(firstTokenMs, aggregate.q) ?? 0) / 1000;
    if (seconds > CERTAIN * slo.bound) return `${slo.name}: ${slo.metric} is ${Number(seconds.toPrecision(3))} s on an idle worker`;
  }
  return null;
}
