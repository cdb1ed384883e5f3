/** Pools of a scenario -> workers with capacity, step timer, links. Source: performance-model 10, engine 4, experiments 1.4. */
import type { RankFacts } from '../../control/ports.ts';
import type { FleetSpec, NodeSpec, WorkerSpec } from '../cluster/fleet.ts';
import type { StepTimer } from '../engine/step-timer.ts';
import { CellTimer, prefillCost } from '../hardware/cell-timer.ts';
import { cellFile, resolveParameters, type TimingCell } from '../hardware/cells.ts';
import { FixedTimer } from '../hardware/fixed-timer.ts';
import { NODE } from '../hardware/gpus.ts';
import { PhaseTimer } from '../hardware/phase-timer.ts';
import { PolynomialTimer } from '../hardware/polynomial-timer.ts';
import type { PoolPlan } from './run-plan.ts';

/** Builds the fleet of an arm: workers fill nodes in index order, a worker larger than a node takes whole nodes. */
export function buildFleet(pools: readonly PoolPlan[]): FleetSpec {
  const workers: WorkerSpec[] = [];
  const nodes: NodeSpec[] = [];
  for (const pool of pools) {
    let freeGpus = 0;
    for (let i = 0; i < pool.workers; i++) {
      if (freeGpus < pool.gpusPerWorker) {
        nodes.push(nodeOf(pool));
        freeGpus = Math.max(pool.gpusPerNode, pool.gpusPerWorker);
      }
      freeGpus -= pool.gpusPerWorker;
      workers.push(workerOf(pool, i, nodes.length - 1));
    }
  }
  return { workers, nodes };
}

function nodeOf(pool: PoolPlan): NodeSpec {
  const nodesPerWorker = Math.max(1, Math.ceil(pool.gpusPerWorker / pool.gpusPerNode));
  return {
    gpus: Math.max(pool.gpusPerNode, pool.gpusPerWorker),
    h2dBytesPerMs: pool.hostReadBytesPerMs,
    d2hBytesPerMs: pool.hostWriteBytesPerMs,
    duplexBytesPerMs: pool.hostDuplexBytesPerMs,
    dramBytesPerMs: NODE.hostDramGBpsCap * 1e6 * nodesPerWorker,
  };
}

function workerOf(pool: PoolPlan, index: number, node: number): WorkerSpec {
  return {
    key: `${pool.name}-${index}/0`,
    pool: pool.name,
    node,
    config: pool.config,
    ...(pool.disk === undefined && pool.remote === undefined ? {} : { lower: [pool.disk, pool.remote].filter((one) => one !== undefined) }),
    facts: factsOf(pool),
    stepMode: pool.stepMode,
    createTimer: () => timerOf(pool),
    requestMs: pool.requestMs,
    usdPerGpuHour: pool.usdPerGpuHour,
    tdpW: pool.tdpW,
  };
}

function factsOf(pool: PoolPlan): RankFacts {
  return {
    blockTokens: pool.config.blockTokens,
    hbmBlocks: pool.config.blocks - 1,
    hostBlocks: pool.config.hostBlocks,
    maxBatchedTokens: pool.config.maxBatchedTokens,
    blockBytes: pool.blockBytes,
    prefillMsPerToken: pool.config.prefillMsPerToken,
    prefillMsPerPair: pool.config.prefillMsPerPair,
    ...(pool.config.hostBlocks > 0 ? { reloadMsPerBlock: reloadMsPerBlock(pool) } : {}),
  };
}

function reloadMsPerBlock({ config, hostReadBytesPerMs }: PoolPlan): number {
  return config.blockBytesPerGpu / hostReadBytesPerMs + config.fragmentsPerBlock * config.fragmentSubmitMs;
}

function timerOf(pool: PoolPlan): StepTimer {
  const { timer, requestMs } = pool;
  switch (timer?.kind) {
    case 'fixed':
      return new FixedTimer(timer.stepMs, requestMs);
    case 'phases':
      return new PhaseTimer(timer, requestMs);
    case 'polynomial':
      return new PolynomialTimer(timer, (pool.config.blocks - 1) * pool.config.blockTokens, requestMs);
  }
  const cell = cellById(pool.cell);
  return new CellTimer(cell, parametersOf(cell, pool));
}

function parametersOf(cell: TimingCell, pool: Pick<PoolPlan, 'engine' | 'skewAlpha'>) {
  const layers = pool.skewAlpha === null ? {} : { override: { skewAlpha: pool.skewAlpha } };
  return resolveParameters(cell, pool.engine, layers).parameters;
}

/** Prefill cost of a cell at a chunk size, for policies and `onboard: cheaper`. */
export function poolPrefillCost(
  cell: TimingCell,
  engine: string,
  skewAlpha: number | null,
  chunkTokens: number,
): { msPerToken: number; msPerPair: number } {
  return prefillCost(cell, parametersOf(cell, { engine, skewAlpha }), chunkTokens);
}

function cellById(id: string): TimingCell {
  const cell = cellFile().cells.find((c) => c.id === id);
  if (cell === undefined) throw new Error(`no timing cell ${id}`);
  return cell;
}
