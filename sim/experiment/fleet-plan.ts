/** Pools of a scenario -> workers with capacity, step timer, links. Source: performance-model 10, engine 4, experiments 1.4. */
import type { RankFacts } from '../../control/ports.ts';
import type { FleetSpec, NodeSpec, WorkerSpec } from '../cluster/fleet.ts';
import type { StepTimer } from '../engine/step-timer.ts';
import { CellTimer, prefillCost } from '../hardware/cell-timer.ts';
import { cellFile, resolveParameters, type StepParameters, type TimingCell } from '../hardware/cells.ts';
import { FixedTimer } from '../hardware/fixed-timer.ts';
import { NODE } from '../hardware/gpus.ts';
import { PhaseTimer } from '../hardware/phase-timer.ts';
import { PolynomialTimer, type PolynomialTimes, type Quadratic } from '../hardware/polynomial-timer.ts';
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
  const { timer, requestMs, stepScale = 1 } = pool;
  switch (timer?.kind) {
    case 'fixed':
      return new FixedTimer(stepScale * timer.stepMs, requestMs);
    case 'phases':
      return new PhaseTimer({ prefillMs: stepScale * timer.prefillMs, decodeMs: stepScale * timer.decodeMs }, requestMs);
    case 'polynomial':
      return new PolynomialTimer(scaledPolynomial(timer, stepScale), (pool.config.blocks - 1) * pool.config.blockTokens, requestMs);
  }
  const cell = cellById(pool.cell);
  return new CellTimer(cell, scaledParameters(parametersOf(cell, pool), stepScale));
}

function parametersOf(cell: TimingCell, pool: Pick<PoolPlan, 'engine' | 'skewAlpha'>): StepParameters {
  const layers = pool.skewAlpha === null ? {} : { override: { skewAlpha: pool.skewAlpha } };
  return resolveParameters(cell, pool.engine, layers).parameters;
}

/** Parameters whose step times are `by` times as long: every term of a step carries one of them. */
function scaledParameters(p: StepParameters, by: number): StepParameters {
  if (by === 1) return p;
  const { phi, phiPrefill, o0Ms, o1Ms, deltaMsPerLayer } = p;
  return { ...p, phi: by * phi, phiPrefill: by * phiPrefill, o0Ms: by * o0Ms, o1Ms: by * o1Ms, deltaMsPerLayer: by * deltaMsPerLayer };
}

function scaledPolynomial(times: PolynomialTimes, by: number): PolynomialTimes {
  const scaled = ([a, b, c]: Quadratic): Quadratic => [by * a, by * b, by * c];
  return { prefill: scaled(times.prefill), decode: scaled(times.decode), floorMs: by * times.floorMs };
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
