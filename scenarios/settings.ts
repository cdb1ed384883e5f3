/**
 * The numeric form of a scenario: the same nesting and names as the file, scalars converted, units last in names (`Ms`, `Bytes`,
 * `BytesPerMs`, `PerMs`, `Tokens`). Everything the simulation reads comes from here.
 */
import type { EngineValues, GeneratorValues, GpuValues, ModelValues, Preset, WorkloadValues } from './presets.ts';

/** A policy with its parameters in base units (ms, bytes, tokens, 0..1), defaults of the preset included. */
export interface PolicySettings {
  /** `name@version`. */
  readonly use: string;
  readonly name: string;
  readonly version: number;
  readonly with: Readonly<Record<string, unknown>>;
}

export interface TraceSettings {
  /** As written: preset or path. */
  readonly use: string;
  /** File or directory to open. */
  readonly file: string;
  readonly preset?: Preset<WorkloadValues>;
  readonly format: 'auto' | 'kvcast' | 'weka' | 'agentx' | 'mooncake' | 'mooncake-agentic';
  readonly modelIdentity: 'separate' | 'ignore';
  readonly outputReuse: 'off' | 'assume';
  readonly dequantise: boolean;
  readonly entryCache: 'cold' | 'warm';
  readonly pauses: 'recorded' | 'debiased' | 'synthetic';
  readonly agents: 'tree' | 'root';
  readonly outputs: 'recorded' | 'one';
  readonly partialBlocks: 'full-only' | 'padded';
  /** Infinity = no cap. */
  readonly gapCapMs: number;
  readonly sharing: 'none' | 'tools' | 'tools+system' | 'fleet';
  readonly fleetShare: number;
}

/** A generator as the source of sessions. */
export interface SynthSettings {
  /** Generator preset as written. */
  readonly use: string;
  readonly preset: Preset<GeneratorValues>;
  readonly with: {
    /** Different sessions drawn per replication. */
    readonly sessions: number;
    readonly pauses: 'recorded' | 'debiased';
    readonly sharing: 'none' | 'tools' | 'tools+system';
    readonly freshOnly: boolean;
    readonly breaks: number;
    /** 0..1. */
    readonly subAgents: number;
  };
}

/** A change of pauses: min(max(pause * scale + shift, floor), cap). */
export interface PauseChangeSettings {
  readonly scale: number;
  readonly shiftMs: number;
  readonly floorMs: number;
  /** Infinity = none. */
  readonly capMs: number;
}

/** Changes of tool pauses, and of the other kinds where given. */
export interface ToolTimeSettings extends PauseChangeSettings {
  readonly human?: PauseChangeSettings;
  readonly join?: PauseChangeSettings;
  readonly tools: readonly (PauseChangeSettings & { readonly name: string })[];
  /** 0..1. */
  readonly overlap: number;
  readonly resample: 'none' | 'fit' | 'ecdf';
}

export interface ArrivalSettings {
  readonly mode: 'recorded' | 'open' | 'closed';
  readonly process: 'poisson' | 'gamma' | 'fixed';
  /** Sessions per ms; set for mode open. */
  readonly ratePerMs?: number;
  readonly cv: number;
  /** Set for mode closed. */
  readonly concurrency?: number;
  readonly rampUpMs: number;
  readonly start: 'cold' | 'midlife';
  readonly respawnMs: number;
  /** Mode recorded: sessions without an arrival time are refused, or start at 0. */
  readonly withoutTimes: 'error' | 'zero';
}

/** A tenant of a mix; shares add up to 1. */
export interface TenantSettings {
  readonly name: string;
  readonly share: number;
  /** Absent = as the trace's session. */
  readonly class?: string;
  /** Absent = its own. */
  readonly salt?: string;
}

export interface WorkloadSettings {
  /** What sessions are made from: a recorded trace or a generator; exactly one is there. */
  readonly trace?: TraceSettings;
  readonly synth?: SynthSettings;
  /** Absent = all of the trace. */
  readonly sessions?: number;
  readonly resample: 'none' | 'jitter' | 'bootstrap';
  readonly overlong: 'exclude' | 'truncate' | 'fail';
  readonly arrivals: ArrivalSettings;
  /** Absent = as the trace names them. */
  readonly tenants?: readonly TenantSettings[];
  readonly salt: 'perTenant' | 'shared';
  readonly scale: { readonly load: number; readonly context: number; readonly pause: number };
  readonly timeout: { readonly requestMs: number; readonly firstTokenMs: number };
  /** Patience after a human pause; Infinity = nobody leaves. */
  readonly abandon: { readonly humanMs: number; readonly sigma: number };
  readonly retry: { readonly max: number; readonly baseMs: number; readonly capMs: number };
  /** Absent = tool times as the trace has them. */
  readonly toolTime?: ToolTimeSettings;
}

export interface EngineSettings {
  readonly use: string;
  readonly preset: Preset<EngineValues>;
  readonly with: {
    readonly blockSizeTokens: number;
    readonly maxSeqs: number;
    readonly maxBatchedTokens: number;
    /** Absent = fleet.contextLimit. */
    readonly maxModelLenTokens?: number;
    readonly memoryUtilization: number;
    readonly overheadBytes: number;
    readonly kvDtype: 'bf16' | 'fp8';
    /** Absent = memory formula. N including the null block. */
    readonly kvBlocks?: number;
    readonly asyncDepth: 1 | 2;
    readonly stepMode: 'jump' | 'reference';
    readonly prefixCaching: boolean;
    readonly chunkedPrefill: boolean;
    readonly longPrefillThresholdTokens: number;
    readonly longPrefillAdaptive: boolean;
    readonly reserveFullIsl: boolean;
    readonly watermark: number;
    readonly policy: 'fcfs' | 'priority';
    readonly rules: '0.32' | '0.27';
    readonly onboard: 'never' | 'always' | 'cheaper' | { readonly thresholdTokens: number };
    readonly storeThreshold: number;
    readonly storePromptOnly: boolean;
    /** Absent = lru. */
    readonly ranker?: 'lru' | 'lfu' | 'slru' | 'fifo' | 'mru' | 'gdsf' | 'tlru';
    /** Absent = 2 s. */
    readonly ttftTargetMs?: number;
    /** Absent = writeThrough. */
    readonly hostWrite?: 'writeThrough' | 'selective' | 'writeBack' | 'lazy';
    /** Absent = always. */
    readonly hostAdmit?: 'always' | 'frequency';
    /** Absent = 2. */
    readonly hostAdmitMin?: number;
    /** Absent = 60 s. */
    readonly hostAdmitDecayMs?: number;
    /** Absent = the timing cell's. */
    readonly requestDelayMs?: number;
  };
}

/** Where step times come from; `with` belongs to the kind in `use`. */
export interface TimerSettings {
  readonly use: 'cells@1' | 'fixed@1' | 'phases@1' | 'polynomial@1';
  readonly with: {
    readonly stepMs?: number;
    readonly prefillMs?: number;
    readonly decodeMs?: number;
    readonly prefill?: readonly [number, number, number];
    readonly decode?: readonly [number, number, number];
    readonly decodeFloorMs?: number;
  };
}

/** A tier below the host tier as written; absent fields have the defaults of the hardware data. */
export interface LowerTierSettings {
  readonly sizeBytes?: number;
  readonly readBytesPerMs?: number;
  readonly writeBytesPerMs?: number;
  readonly latencyMs?: number;
  readonly fill?: 'writeBack' | 'writeThrough';
}

export interface PoolSettings {
  readonly name: string;
  /** Preset as written, and its facts. */
  readonly gpu: string;
  readonly gpuPreset: Preset<GpuValues>;
  readonly workers: number;
  readonly gpusPerNode: number;
  readonly tensorParallel: number;
  readonly expertParallel: number;
  readonly dataParallel: number;
  readonly role: 'aggregated';
  readonly priceUsdPerGpuHour: number;
  readonly engine: EngineSettings;
  readonly timer: TimerSettings;
  readonly tiers: {
    readonly host: {
      /** Per worker; 0 = off. */
      readonly sizeBytes: number;
      readonly readBytesPerMs: number;
      readonly writeBytesPerMs: number;
      readonly duplexBytesPerMs: number;
    };
    /** Absent = none. */
    readonly disk?: LowerTierSettings;
    readonly remote?: LowerTierSettings & { readonly totalBytesPerMs?: number };
  };
}

export interface FaultSettings {
  readonly atMs: number;
  readonly kind: 'crash' | 'drain' | 'slow';
  readonly pool: string;
  readonly worker: number;
  /** Infinity = to the end. */
  readonly forMs: number;
  readonly factor: number;
}

export interface FleetSettings {
  readonly model: string;
  readonly modelPreset: Preset<ModelValues>;
  readonly contextLimitTokens: number;
  /** Absent = the timing cell's. */
  readonly skewAlpha?: number;
  readonly pools: readonly PoolSettings[];
  readonly faults: readonly FaultSettings[];
}

export interface ControlSettings {
  readonly router: PolicySettings;
  readonly retention: PolicySettings;
  readonly admission: PolicySettings;
  readonly signals: { readonly metricsAgeMs: number; readonly indexAgeMs: number; readonly netDelayMs: number };
  /** Fraction of sessions that send hints. */
  readonly hints: number;
  /** Absent = nothing is brought up ahead of its use. */
  readonly prefetch?: {
    readonly onArrival?: boolean;
    readonly onPredicted?: boolean;
    readonly lookahead?: number;
    readonly minTokens?: number;
  };
}

export interface SloSettings {
  readonly name: string;
  readonly expr: string;
  readonly scope: 'turn' | 'session' | 'run';
  readonly level: 'error' | 'warn';
}

export type RecordKind = 'requests' | 'sessions' | 'series' | 'decisions' | 'timeline';

export interface RunSettings {
  /** A plain number n is {min: n, max: n, batch: 1, until: 0}. `until` is a half-width, 0..1. */
  readonly replications: { readonly min: number; readonly max: number; readonly batch: number; readonly until: number };
  readonly primary: string;
  /** Infinity = until everything has ended. */
  readonly horizonMs: number;
  readonly warmupMs: number | 'auto';
  readonly drain: boolean;
  /** Wall clock per replication. */
  readonly timeLimitMs: number;
  readonly tieOrder: { readonly by: 'id' } | { readonly by: 'random'; readonly seed: number };
  readonly checks: 'cheap' | 'deep';
  readonly record: readonly RecordKind[];
  readonly noProgress: number;
}

export interface CostSettings {
  /** Absent = price of each pool. */
  readonly usdPerGpuHour?: number;
  readonly hostUsdPerGiBHour: number;
  readonly powerPue: number;
  readonly usdPerKWh: number;
}

/** Settings of one arm (or of the base). */
export interface ScenarioSettings {
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly seed: number;
  readonly kind: 'terminating' | 'steady';
  readonly workload: WorkloadSettings;
  readonly fleet: FleetSettings;
  readonly control: ControlSettings;
  readonly slo: readonly SloSettings[];
  readonly run: RunSettings;
  readonly cost: CostSettings;
  readonly report: { readonly formats: readonly string[]; readonly title: string };
}
