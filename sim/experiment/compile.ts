/**
 * From a checked scenario to a run plan: timing cell, KV capacity and policies of every arm. What the schema cannot know is checked
 * here and reported at the place in the user's file: cells, memory, the blocks of the trace.
 */
import { BranchTable } from '../../control/blocks.ts';
import { splitQueue } from '../../control/queue/queue-parameters.ts';
import { checkProfile } from '../../control/queue/queue-profile.ts';
import { createRetention } from '../../control/retention/create-retention.ts';
import { PREFETCH_OFF } from '../../control/retention/prefetch-options.ts';
import { UserError } from '../../control/user-error.ts';
import type {
  ControlSettings,
  PolicySettings,
  PoolSettings,
  ScenarioSettings,
  TimerSettings,
  WorkloadSettings,
} from '../../scenarios/settings.ts';
import { type CapacityInput, kvCapacity } from '../hardware/capacity.ts';
import { findCell, type ProblemPlace, resolveParameters, type TimingCell } from '../hardware/cells.ts';
import { findGpu, HOST_LINK } from '../hardware/gpus.ts';
import { findModel, weightBytes } from '../hardware/models.ts';
import { AISIMULATE_TIMES } from '../hardware/polynomial-timer.ts';
import { type Arrivals, WORKLOAD_DEFAULTS, type WorkloadOptions } from '../workload/workload-options.ts';
import { poolPrefillCost } from './fleet-plan.ts';
import { lowerPlan } from './lower-plan.ts';
import type { ArmPlan, PoolPlan, RunPlan, SourcePlan, TimerPlan } from './run-plan.ts';
import { compileSlo } from './slo.ts';

/** What the compiler needs of a loaded scenario. */
export interface CompileInput {
  readonly pointId: string;
  readonly base: ScenarioSettings;
  readonly arms: readonly { readonly name: string; readonly settings: ScenarioSettings; place(path: string): ProblemPlace }[];
  readonly baseline: string;
  /** Where a path was written, for messages. */
  place(path: string): ProblemPlace;
}

/** Metrics of every report, before those that the scenario adds. */
export const DEFAULT_EXPRS = [
  'turn.ttft.p(50)',
  'turn.ttft.p(99)',
  'turn.itl.p(99)',
  'goodput.turns',
  'kv.hit.total',
  'tokens.recomputed.total',
  'load.imbalance',
] as const;

/**
 * Compiles all arms. Throws UserError with every problem found: E_CELL_MISSING, E_MODEL_TOO_LARGE, E_KV_TOO_SMALL,
 * E_CONTEXT_EXCEEDED, E_QUEUE, E_UNSUPPORTED.
 */
export function compilePlan(input: CompileInput, extraExprs: readonly string[] = []): RunPlan {
  const { base } = input;
  const { run, workload } = base;
  const slos = base.slo.map((s) => compileSlo(s));
  const runSlos = slos.filter((s) => s.scope === 'run').map((s) => s.metric);
  const exprs = [...new Set([run.primary, ...DEFAULT_EXPRS, ...runSlos, ...extraExprs])];
  return plain({
    key: input.pointId,
    name: base.name,
    seed: base.seed,
    firstReplication: 0,
    trace: sourcePlan(workload),
    contextLimitPlace: input.place('fleet.contextLimit'),
    workload: workloadOptions(base),
    arms: compileArms(input),
    baseline: input.baseline,
    kind: base.kind,
    horizonMs: finite(run.horizonMs),
    warmupMs: run.warmupMs === 'auto' ? 0 : run.warmupMs,
    drain: run.drain,
    timeoutMs: finite(workload.timeout.requestMs),
    firstTokenMs: finite(workload.timeout.firstTokenMs),
    abandon: { medianMs: finite(workload.abandon.humanMs), sigma: workload.abandon.sigma },
    retries: workload.retry,
    checks: run.checks,
    tieSeed: run.tieOrder.by === 'id' ? 0 : run.tieOrder.seed + 1,
    noProgress: run.noProgress,
    timeLimitMs: run.timeLimitMs,
    slos,
    exprs,
    primary: run.primary,
    record: run.record,
  });
}

function compileArms(input: CompileInput): ArmPlan[] {
  const problems: UserError[] = [];
  const arms = input.arms.map(({ name, settings, place }): ArmPlan => {
    const { control } = settings;
    const pools = settings.fleet.pools.map((pool) => {
      try {
        return compilePool(settings, pool, input);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        problems.push(error);
        return undefined;
      }
    });
    problems.push(...queueProblems(control.router, input), ...retentionProblems(control.retention, place));
    return {
      name,
      router: { use: control.router.use, with: control.router.with },
      retention: { use: control.retention.use, with: control.retention.with },
      ...(control.admission.use === 'none@1' ? {} : { admission: { use: control.admission.use, with: control.admission.with } }),
      ...prefetchPlan(control.prefetch),
      pools: pools.filter((p) => p !== undefined),
      network: {
        netMs: control.signals.netDelayMs,
        indexAgeMs: control.signals.indexAgeMs,
        metricsAgeMs: control.signals.metricsAgeMs,
        detectMs: 1000,
      },
      faults: settings.fleet.faults.map((f) => ({ ...f, forMs: f.forMs })),
    };
  });
  if (problems.length > 0) {
    const unique = new Map(problems.flatMap((e) => e.problems).map((p) => [JSON.stringify(p), p]));
    throw new UserError([...unique.values()]);
  }
  return arms;
}

/** Options that do nothing as set are not read, so that they count as inert. */
function prefetchPlan(set: ControlSettings['prefetch']): Pick<ArmPlan, 'prefetch'> {
  const { onArrival = false, onPredicted = false } = set ?? {};
  if (!onArrival && !onPredicted) return {};
  const lookahead = (onArrival ? set?.lookahead : undefined) ?? PREFETCH_OFF.lookahead;
  return { prefetch: { onArrival, onPredicted, lookahead, minTokens: set?.minTokens ?? PREFETCH_OFF.minTokens } };
}

/** What is wrong with the waiting queue of a router, at the place of its parameters. */
function queueProblems({ use, with: given }: PolicySettings, input: CompileInput): UserError[] {
  const { queue } = splitQueue(given);
  try {
    if (queue !== null) checkProfile(queue.profile);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const place = { ...input.place('control.router.with.queueClasses'), hint: `The router is ${use}` };
    return [new UserError(error.problems.map((problem) => ({ ...problem, ...place })))];
  }
}

/** What is wrong with the parameters of a retention preset together, such as a time to keep beyond the longest allowed. */
function retentionProblems({ use, with: given }: PolicySettings, place: CompileInput['place']): UserError[] {
  if (use.startsWith('lru@')) return [];
  try {
    createRetention(use, given, { branches: new BranchTable(), rankFacts: () => undefined, draw: () => 0 });
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const placed = error.problems.map((problem) => {
      const path = `control.retention.with.${problem.path?.slice(use.length + 1) ?? ''}`;
      return { ...problem, ...place(path), path };
    });
    return [new UserError(placed)];
  }
}

/** How far the step times of a timer without cell can be trusted. */
const TIMER_LEVEL = {
  fixed: 'constant step time',
  phases: 'one constant per phase',
  polynomial: 'polynomial of another simulator',
} as const;

function timerPlan({ use, with: set }: TimerSettings): TimerPlan | null {
  switch (use) {
    case 'cells@1':
      return null;
    case 'fixed@1':
      return { kind: 'fixed', stepMs: set.stepMs ?? 0 };
    case 'phases@1':
      return { kind: 'phases', prefillMs: set.prefillMs!, decodeMs: set.decodeMs! };
    case 'polynomial@1':
      return {
        kind: 'polynomial',
        prefill: set.prefill ?? AISIMULATE_TIMES.prefill,
        decode: set.decode ?? AISIMULATE_TIMES.decode,
        floorMs: set.decodeFloorMs ?? AISIMULATE_TIMES.floorMs,
      };
  }
}

/** A pool with its cell, capacity and prices. */
export function compilePool(settings: ScenarioSettings, pool: PoolSettings, input: Pick<CompileInput, 'place'>): PoolPlan {
  const path = `fleet.pools.${pool.name}`;
  const place = input.place(path);
  const { fleet } = settings;
  const model = findModel(fleet.modelPreset.values.model);
  const gpu = findGpu(pool.gpuPreset.values.id);
  if (model === undefined || gpu === undefined) throw new Error(`preset ${fleet.model} or ${pool.gpu} names unknown hardware`);
  const e = pool.engine.with;
  const engine = pool.engine.preset.values.engine;
  const skewAlpha = fleet.skewAlpha ?? null;
  const timer = timerPlan(pool.timer);
  const label = fleet.model.replace(/@\d+$/, '');
  const query = {
    gpu: pool.gpu.replace(/@\d+$/, ''),
    engine,
    model: model.id,
    tp: pool.tensorParallel,
    ep: pool.expertParallel,
    gemm: fleet.modelPreset.values.gemm,
    moe: fleet.modelPreset.values.moe === 'none' ? null : fleet.modelPreset.values.moe,
    kv: e.kvDtype,
    label,
  };
  const cell = timer !== null ? undefined : findCell(query, place);
  const gpus = pool.tensorParallel * pool.dataParallel;
  const maxModelLen = e.maxModelLenTokens ?? fleet.contextLimitTokens;
  const capacity = kvCapacity(capacityInput(settings, pool, cell === undefined ? undefined : `tp${cell.tp}/ep${cell.ep}`), place);
  const parameters =
    cell === undefined ? undefined : resolveParameters(cell, engine, skewAlpha === null ? {} : { override: { skewAlpha } });
  const prefill = cell === undefined ? { msPerToken: 0, msPerPair: 0 } : poolPrefillCost(cell, engine, skewAlpha, e.maxBatchedTokens);
  return {
    name: pool.name,
    gpu: pool.gpu,
    workers: pool.workers,
    gpusPerWorker: gpus,
    gpusPerNode: pool.gpusPerNode,
    cell: timer !== null ? timer.kind : cell!.id,
    cellLevel: timer !== null ? TIMER_LEVEL[timer.kind] : levelText(cell!, parameters!.level),
    engine,
    skewAlpha,
    timer,
    requestMs: e.requestDelayMs ?? parameters?.parameters.oReqMs ?? 0,
    config: {
      blockTokens: e.blockSizeTokens,
      blocks: capacity.blocks,
      maxBatchedTokens: e.maxBatchedTokens,
      maxSeqs: e.maxSeqs,
      maxModelLen,
      prefixCaching: e.prefixCaching,
      chunkedPrefill: e.chunkedPrefill,
      longPrefillThreshold: e.longPrefillThresholdTokens,
      longPrefillAdaptive: e.longPrefillAdaptive,
      reserveFullIsl: e.reserveFullIsl,
      watermark: e.watermark,
      policy: e.policy,
      asyncDepth: e.asyncDepth,
      rules: e.rules,
      onboard: e.onboard,
      hostBlocks: capacity.hostBlocks,
      blockBytesPerGpu: capacity.blockBytesPerGpu,
      gpus,
      fragmentsPerBlock: capacity.fragmentsPerBlock,
      fragmentSubmitMs: HOST_LINK.fragmentSubmitMs,
      storeThreshold: e.storeThreshold,
      storePromptOnly: e.storePromptOnly,
      ...(e.ranker === undefined ? {} : { ranker: e.ranker }),
      ...(e.ttftTargetMs === undefined ? {} : { ttftTargetMs: e.ttftTargetMs }),
      ...(e.hostWrite === undefined ? {} : { hostWrite: e.hostWrite }),
      ...(e.hostAdmit === undefined ? {} : { hostAdmit: e.hostAdmit }),
      ...(e.hostAdmitMin === undefined ? {} : { hostAdmitMin: e.hostAdmitMin }),
      ...(e.hostAdmitDecayMs === undefined ? {} : { hostAdmitDecayMs: e.hostAdmitDecayMs }),
      prefillMsPerToken: prefill.msPerToken,
      prefillMsPerPair: prefill.msPerPair,
    },
    stepMode: e.stepMode,
    hbmTokens: capacity.tokens,
    hostTokens: capacity.hostTokens,
    hbmFrom: capacity.source === 'formula' ? 'formula' : 'pinned',
    hostReadBytesPerMs: pool.tiers.host.readBytesPerMs,
    hostWriteBytesPerMs: pool.tiers.host.writeBytesPerMs,
    hostDuplexBytesPerMs: pool.tiers.host.duplexBytesPerMs,
    ...lowerPlan(pool.tiers, capacity.blockBytesPerGpu * gpus),
    blockBytes: capacity.blockBytesPerGpu,
    usdPerGpuHour: settings.cost.usdPerGpuHour ?? pool.priceUsdPerGpuHour,
    tdpW: gpu.tdpW,
  };
}

/** What decides the memory of a pool's workers. `measuredCell` is named where the model does not fit. Hardware must be known. */
export function capacityInput(settings: ScenarioSettings, pool: PoolSettings, measuredCell?: string): CapacityInput {
  const { fleet } = settings;
  const { weights } = fleet.modelPreset.values;
  const model = findModel(fleet.modelPreset.values.model)!;
  const e = pool.engine.with;
  return {
    model,
    weights,
    gpu: findGpu(pool.gpuPreset.values.id)!,
    tensorParallel: pool.tensorParallel,
    memoryUtilization: e.memoryUtilization,
    kvDtype: e.kvDtype,
    blockTokens: e.blockSizeTokens,
    maxSeqs: e.maxSeqs,
    maxModelLen: e.maxModelLenTokens ?? fleet.contextLimitTokens,
    hostBytes: pool.tiers.host.sizeBytes,
    weightBytes: weightBytes(model, weights),
    overheadBytesPerGpu: e.overheadBytes,
    ...(e.kvBlocks === undefined ? {} : { kvBlocks: e.kvBlocks }),
    ...(measuredCell === undefined ? {} : { measuredCell }),
  };
}

function levelText(cell: TimingCell, level: string): string {
  return level === 'validated' ? `validated (${cell.id})` : level;
}

/** Where the sessions come from. */
function sourcePlan({ trace, synth }: WorkloadSettings): SourcePlan {
  if (trace !== undefined) return { file: trace.file, format: trace.format === 'auto' ? null : trace.format };
  const { sessions, pauses, freshOnly, subAgents, breaks } = synth!.with;
  return { sessions, options: { pauses, freshOnly, subAgents, breaks } };
}

/** How a trace is read; generated sessions are complete and need no interpretation. */
function reading({ trace, synth }: WorkloadSettings) {
  if (trace === undefined) return { ...WORKLOAD_DEFAULTS, sharing: synth!.with.sharing };
  return {
    pauses: trace.pauses,
    agents: trace.agents,
    gapCapMs: trace.gapCapMs,
    sharing: trace.sharing,
    fleetShare: trace.fleetShare,
    modelIdentity: trace.modelIdentity,
    outputs: trace.outputs,
    outputReuse: trace.outputReuse,
    dequantise: trace.dequantise,
    partialTail: trace.partialBlocks === 'padded' ? 'padded' : 'exact',
  } as const;
}

function toolTime(settings: WorkloadSettings['toolTime']): Pick<WorkloadOptions, 'toolTime'> {
  if (settings === undefined) return {};
  const { human, join, tools, overlap, resample, ...tool } = settings;
  const others = { ...(human === undefined ? {} : { human }), ...(join === undefined ? {} : { join }) };
  return { toolTime: { tool, ...others, tools, overlap, resample } };
}

/** Workload choices; equal for all arms by the rules of the loader. */
export function workloadOptions(base: ScenarioSettings): WorkloadOptions {
  const { workload: w, fleet } = base;
  return {
    ...reading(w),
    blockTokens: fleet.pools[0]!.engine.with.blockSizeTokens,
    resample: w.resample,
    ...(w.sessions === undefined ? {} : { sessions: w.sessions }),
    contextLimit: fleet.contextLimitTokens,
    overlong: w.overlong,
    scaleLoad: w.scale.load,
    scaleContext: w.scale.context,
    scalePause: w.scale.pause,
    ...toolTime(w.toolTime),
    ...(w.tenants === undefined ? {} : { tenants: w.tenants }),
    salt: w.salt,
    hintShare: base.control.hints,
    arrivals: arrivals(base),
  };
}

function arrivals(base: ScenarioSettings): Arrivals {
  const a = base.workload.arrivals;
  if (a.mode === 'recorded') return { mode: 'recorded', withoutTimes: a.withoutTimes };
  if (a.mode === 'open') return { mode: 'open', process: a.process, ratePerMs: a.ratePerMs!, cv: a.cv };
  return { mode: 'closed', concurrency: a.concurrency!, rampUpMs: a.rampUpMs, start: a.start, respawnMs: a.respawnMs };
}

/** Deep copy without the proxies that note what is read, so that a plan can travel to a thread. Infinity survives. */
function plain<T>(value: T): T {
  if (Array.isArray(value)) return value.map(plain) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, plain(child)])) as T;
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? ms : null;
}
