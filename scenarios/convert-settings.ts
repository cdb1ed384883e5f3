/** Builds {@link ScenarioSettings} from a checked, expanded tree. */
import type { Problem } from '../control/user-error.ts';
import { type LocatedMap, nodeAt, type Origin, toValue } from './located-tree.ts';
import { policyParameters } from './policy-parameters.ts';
import type {
  EngineValues,
  GeneratorValues,
  GpuValues,
  ModelValues,
  PolicyCatalogue,
  PolicyKind,
  Preset,
  PresetKind,
  PresetStore,
  WorkloadValues,
} from './presets.ts';
import { parsePresetRef, parseScalar, type ScalarKind } from './scalars.ts';
import type { Scenario } from './scenario.gen.ts';
import type {
  ControlSettings,
  EngineSettings,
  FaultSettings,
  LowerTierSettings,
  PauseChangeSettings,
  PolicySettings,
  PoolSettings,
  RunSettings,
  ScenarioSettings,
  SynthSettings,
  TenantSettings,
  ToolTimeSettings,
  TraceSettings,
  WorkloadSettings,
} from './settings.ts';
import { tenantShares } from './tenant-shares.ts';

/** What conversion needs besides the tree. */
export interface ConvertContext {
  readonly presets: PresetStore;
  readonly policies?: PolicyCatalogue;
  /** Path to open for a trace written at this origin. */
  readonly traceFile: (use: string, origin: Origin) => string;
}

// biome-ignore lint/suspicious/noExplicitAny: the tree was checked against the schema; its types are asserted by the interfaces of settings.ts
type Loose = Record<string, any>;

/** Converts a tree that {@link checkTree} found clean; anything else is a bug and throws. */
export function convertSettings(root: LocatedMap, context: ConvertContext): ScenarioSettings {
  const value = toValue(root) as Scenario & Loose;
  return {
    name: value.name,
    description: value.description ?? '',
    tags: value.tags ?? [],
    seed: value['seed'] as number,
    kind: value.kind,
    workload: workloadSettings(root, value['workload'], context),
    fleet: {
      model: value['fleet'].model,
      modelPreset: preset<ModelValues>(context, 'model', value['fleet'].model),
      contextLimitTokens: scalar('tokens', value['fleet'].contextLimit),
      ...given(value['fleet'], 'skewAlpha'),
      pools: (value['fleet'].pools as Loose[]).map((pool) => poolSettings(pool, context)),
      faults: (value['fleet'].faults as Loose[]).map(faultSettings),
    },
    control: controlSettings(root, value['control'] as Loose, context),
    slo: value['slo'] as ScenarioSettings['slo'],
    run: runSettings(value['run'] as Loose),
    cost: value['cost'] as unknown as ScenarioSettings['cost'],
    report: { formats: value['report']?.formats ?? ['text'], title: value['report']?.title ?? value.name },
  };
}

function scalar(kind: ScalarKind, value: unknown): number {
  const parsed = parseScalar(kind, value, true);
  if (typeof parsed !== 'number') throw new Error(`unchecked ${kind}: ${String(value)}`);
  return parsed;
}

const ms = (value: unknown) => scalar('duration', value);

/** `{key: value}` when present, else nothing. */
function given(holder: Loose, key: string, as = key, convert: (value: unknown) => unknown = (value) => value): Loose {
  return holder[key] === undefined ? {} : { [as]: convert(holder[key]) };
}

function preset<V>(context: ConvertContext, kind: PresetKind, ref: string): Preset<V> {
  const found = context.presets.load(kind, ref);
  if (found === undefined) throw new Error(`unchecked preset ${kind}/${ref}`);
  return found as unknown as Preset<V>;
}

function workloadSettings(root: LocatedMap, workload: Loose, context: ConvertContext): WorkloadSettings {
  const { trace, synth, arrivals, scale, timeout, retry, abandon } = workload as Record<string, Loose>;
  return {
    ...(trace === undefined ? {} : { trace: traceSettings(root, trace, context) }),
    ...(synth === undefined ? {} : { synth: synthSettings(synth, context) }),
    ...given(workload, 'sessions'),
    resample: workload['resample'],
    overlong: workload['overlong'],
    arrivals: {
      mode: arrivals!['mode'],
      process: arrivals!['process'],
      ...given(arrivals!, 'rate', 'ratePerMs', (rate) => scalar('rate', rate)),
      cv: arrivals!['cv'],
      ...given(arrivals!, 'concurrency'),
      rampUpMs: ms(arrivals!['rampUp']),
      start: arrivals!['start'],
      respawnMs: ms(arrivals!['respawn']),
      withoutTimes: arrivals!['withoutTimes'] as 'error' | 'zero',
    },
    ...given(workload, 'tenants', 'tenants', (tenants) => tenantSettings(tenants as Loose[])),
    salt: workload['salt'],
    scale: scale as WorkloadSettings['scale'],
    timeout: { requestMs: ms(timeout!['request']), firstTokenMs: ms(timeout!['firstToken']) },
    abandon: { humanMs: ms(abandon!['human']), sigma: abandon!['sigma'] },
    retry: { max: retry!['max'], baseMs: ms(retry!['base']), capMs: ms(retry!['cap']) },
    ...given(workload, 'toolTime', 'toolTime', (toolTime) => toolTimeSettings(toolTime as Loose)),
  };
}

function tenantSettings(tenants: readonly Loose[]): TenantSettings[] {
  const shares = tenantShares(tenants.map((tenant) => (tenant['share'] === undefined ? undefined : scalar('share', tenant['share']))));
  return tenants.map((tenant, i) => ({
    name: tenant['name'] as string,
    share: shares[i]!,
    ...given(tenant, 'class'),
    ...given(tenant, 'salt'),
  }));
}

function traceSettings(root: LocatedMap, trace: Loose, context: ConvertContext): TraceSettings {
  const origin = nodeAt(root, ['workload', 'trace', 'use'])!.origin;
  const bundled = context.presets.load('workload', trace['use']) as Preset<WorkloadValues> | undefined;
  const format = trace['format'] === 'auto' && bundled !== undefined ? bundled.values.format : trace['format'];
  const { gapCap, ...plain } = trace;
  return {
    ...plain,
    format,
    file: context.traceFile(trace['use'], origin),
    ...(bundled === undefined ? {} : { preset: bundled }),
    gapCapMs: ms(gapCap),
    fleetShare: scalar('share', trace['fleetShare']),
  } as TraceSettings;
}

function synthSettings(synth: Loose, context: ConvertContext): SynthSettings {
  return {
    use: synth['use'],
    preset: preset<GeneratorValues>(context, 'workload', synth['use']),
    with: { ...synth['with'], subAgents: scalar('share', synth['with'].subAgents) },
  };
}

function toolTimeSettings(toolTime: Loose): ToolTimeSettings {
  const { human, join, tools = [] } = toolTime as { human?: Loose; join?: Loose; tools?: Loose[] };
  return {
    ...pauseChange(toolTime),
    ...(human === undefined ? {} : { human: pauseChange(human) }),
    ...(join === undefined ? {} : { join: pauseChange(join) }),
    tools: tools.map((tool) => ({ name: tool['name'] as string, ...pauseChange(tool) })),
    overlap: scalar('share', toolTime['overlap']),
    resample: toolTime['resample'],
  };
}

function pauseChange(change: Loose): PauseChangeSettings {
  const { scale, shift, floor, cap } = change;
  return { scale, shiftMs: scalar('signedDuration', shift), floorMs: ms(floor), capMs: ms(cap) };
}

function poolSettings(pool: Loose, context: ConvertContext): PoolSettings {
  const host = pool['tiers'].host;
  return {
    name: pool['name'],
    gpu: pool['gpu'],
    gpuPreset: preset<GpuValues>(context, 'gpu', pool['gpu']),
    workers: pool['workers'],
    gpusPerNode: pool['gpusPerNode'],
    tensorParallel: pool['tensorParallel'],
    expertParallel: pool['expertParallel'],
    dataParallel: pool['dataParallel'],
    role: pool['role'],
    priceUsdPerGpuHour: pool['priceUsdPerGpuHour'],
    engine: engineSettings(pool['engine'], context),
    timer: pool['timer'],
    tiers: {
      host: {
        sizeBytes: scalar('size', host.size),
        readBytesPerMs: scalar('bandwidth', host.read),
        writeBytesPerMs: scalar('bandwidth', host.write),
        duplexBytesPerMs: scalar('bandwidth', host.duplex),
      },
      ...given(pool['tiers'], 'disk', 'disk', lowerTierSettings),
      ...given(pool['tiers'], 'remote', 'remote', lowerTierSettings),
    },
  };
}

function lowerTierSettings(tier: unknown): LowerTierSettings {
  const set = tier as Loose;
  const bandwidth = (value: unknown) => scalar('bandwidth', value);
  return {
    ...given(set, 'size', 'sizeBytes', (value) => scalar('size', value)),
    ...given(set, 'read', 'readBytesPerMs', bandwidth),
    ...given(set, 'write', 'writeBytesPerMs', bandwidth),
    ...given(set, 'total', 'totalBytesPerMs', bandwidth),
    ...given(set, 'latency', 'latencyMs', ms),
    ...given(set, 'fill'),
  };
}

function engineSettings(engine: Loose, context: ConvertContext): EngineSettings {
  const w = engine['with'] as Loose;
  const tokens = (value: unknown) => scalar('tokens', value);
  const onboard: EngineSettings['with']['onboard'] =
    typeof w['onboard'] === 'string' ? (w['onboard'] as 'always') : { thresholdTokens: tokens(w['onboard'].threshold) };
  return {
    use: engine['use'],
    preset: preset<EngineValues>(context, 'engine', engine['use']),
    with: {
      blockSizeTokens: tokens(w['blockSize']),
      maxSeqs: w['maxSeqs'],
      maxBatchedTokens: tokens(w['maxBatchedTokens']),
      ...given(w, 'maxModelLen', 'maxModelLenTokens', tokens),
      memoryUtilization: scalar('share', w['memoryUtilization']),
      overheadBytes: scalar('size', w['overhead']),
      kvDtype: w['kvDtype'],
      ...given(w, 'kvBlocks'),
      asyncDepth: w['asyncDepth'],
      stepMode: w['stepMode'],
      prefixCaching: w['prefixCaching'],
      chunkedPrefill: w['chunkedPrefill'],
      longPrefillThresholdTokens: tokens(w['longPrefillThreshold']),
      longPrefillAdaptive: w['longPrefillAdaptive'],
      reserveFullIsl: w['reserveFullIsl'],
      watermark: scalar('share', w['watermark']),
      policy: w['policy'],
      rules: w['rules'],
      onboard,
      storeThreshold: w['storeThreshold'],
      storePromptOnly: w['storePromptOnly'],
      ...given(w, 'ranker'),
      ...given(w, 'ttftTarget', 'ttftTargetMs', ms),
      ...given(w, 'hostWrite'),
      ...given(w, 'hostAdmit'),
      ...given(w, 'hostAdmitMin'),
      ...given(w, 'hostAdmitDecay', 'hostAdmitDecayMs', ms),
      ...given(w, 'requestDelay', 'requestDelayMs', ms),
    },
  };
}

function prefetchSettings(prefetch: unknown): ControlSettings['prefetch'] {
  const set = prefetch as Loose;
  return {
    ...given(set, 'onArrival'),
    ...given(set, 'onPredicted'),
    ...given(set, 'lookahead'),
    ...given(set, 'minTokens', 'minTokens', (value) => scalar('tokens', value)),
  };
}

function faultSettings(fault: Loose): FaultSettings {
  return {
    atMs: ms(fault['at']),
    kind: fault['kind'],
    pool: fault['pool'],
    worker: fault['worker'],
    forMs: ms(fault['for']),
    factor: fault['factor'],
  };
}

function controlSettings(root: LocatedMap, control: Loose, context: ConvertContext): ControlSettings {
  return {
    router: policySettings(root, 'router', context),
    retention: policySettings(root, 'retention', context),
    admission: policySettings(root, 'admission', context),
    signals: {
      metricsAgeMs: ms(control['signals'].metricsAge),
      indexAgeMs: ms(control['signals'].indexAge),
      netDelayMs: ms(control['signals'].netDelay),
    },
    hints: scalar('share', control['hints']),
    ...given(control, 'prefetch', 'prefetch', prefetchSettings),
  };
}

function policySettings(root: LocatedMap, kind: PolicyKind, context: ConvertContext): PolicySettings {
  const steps = ['control', kind];
  const node = nodeAt(root, steps) as LocatedMap;
  const use = toValue(nodeAt(root, [...steps, 'use'])!) as string;
  const ref = parsePresetRef(use) ?? { name: use, version: 0 };
  const values = node.entries.get('with')?.node as LocatedMap | undefined;
  const policy = context.policies?.find((p) => p.kind === kind && p.name === ref.name && p.version === ref.version);
  if (policy === undefined) return { use, ...ref, with: values === undefined ? {} : (toValue(values) as Record<string, unknown>) };
  const problems: Problem[] = [];
  return { use, ...ref, with: policyParameters(policy, values, { steps, node }, problems) };
}

function runSettings(run: Loose): RunSettings {
  const n = run['replications'];
  const order = /^random:(\d+)$/.exec(run['tieOrder']);
  return {
    replications:
      typeof n === 'number'
        ? { min: n, max: n, batch: 1, until: 0 }
        : { min: n.min, max: n.max, batch: n.batch, until: scalar('share', n.until) },
    primary: run['primary'],
    horizonMs: ms(run['horizon']),
    warmupMs: run['warmup'] === 'auto' ? 'auto' : ms(run['warmup']),
    drain: run['drain'],
    timeLimitMs: ms(run['timeLimit']),
    tieOrder: order === null ? { by: 'id' } : { by: 'random', seed: Number(order[1]) },
    checks: run['checks'],
    record: run['record'],
    noProgress: run['noProgress'],
  };
}
