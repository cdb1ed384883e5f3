/**
 * Performance cells: measured kernel sums for one combination of GPU, engine, model, parallelism and dtypes.
 * Loading checks the file's rules once; looking up never falls back to another combination.
 * Source: performance-model specification 4 and 5.
 */
import { type Problem, UserError } from '../../control/user-error.ts';
import cellData from './data/cells.json' with { type: 'json' };
import rangeData from './data/validated_ranges.json' with { type: 'json' };
import { gpuId } from './gpus.ts';
import { findModel } from './models.ts';

/** Scale factors and overheads around the kernel sum. Times in ms. */
export interface StepParameters {
  /** Scale of decode-side work. */
  readonly phi: number;
  /** Constant per step. */
  readonly o0Ms: number;
  /** Per decode sequence. */
  readonly o1Ms: number;
  /** Scale of the increment caused by prefill. */
  readonly phiPrefill: number;
  /** Dispatch cost of a step with prefill, per layer. */
  readonly deltaMsPerLayer: number;
  /** Per request before scheduling. */
  readonly oReqMs: number;
  /** Weight of the length imbalance of a decode batch, 0..1. */
  readonly skewAlpha: number;
}

/** Decode attention max(floor, a + b D + c K), ms. */
export interface DecodeCoefficients {
  readonly floor: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** Prefill attention of a chunk p0 + p1 n + p2 (n p + n n / 2), ms. */
export interface PrefillCoefficients {
  readonly p0: number;
  readonly p1: number;
  readonly p2: number;
}

export type CellConfidence = 'validated' | 'calibrated-experimental' | 'derived';

/** One cell of data/cells.json. */
export interface TimingCell {
  readonly id: string;
  readonly gpu: string;
  readonly engine: string;
  readonly model: string;
  readonly layers: number;
  readonly tp: number;
  readonly ep: number;
  readonly dtype: { readonly gemm: string; readonly moe: string | null; readonly kv: string; readonly weights: string };
  /** ms at {@link CellKnots.linTokens} and {@link CellKnots.lmRows}. */
  readonly lin: readonly number[];
  readonly lm: readonly number[];
  readonly dec: DecodeCoefficients;
  readonly pre: PrefillCoefficients;
  readonly fittedRange: {
    readonly maxStepTokens: number;
    readonly maxDecodeSeqs: number;
    readonly maxContextTokens: number;
    readonly maxDecodeKvTokens: number;
    readonly maxPrefixTokens: number;
  };
  /** [MAPE, P95] in percent against the kernel sums. */
  readonly fit: Readonly<Record<string, readonly [number, number]>>;
  readonly confidence: CellConfidence;
  readonly calibration?: Omit<StepParameters, 'skewAlpha'> & { readonly skewAlpha?: number };
  readonly validation?: {
    readonly points: number;
    readonly defaults: Readonly<Record<string, number>>;
    readonly crossValidated: Readonly<Record<string, number>>;
  };
}

/** Sample points shared by all cells of a file. */
export interface CellKnots {
  readonly linTokens: readonly number[];
  readonly lmRows: readonly number[];
}

/** A checked cell file. */
export interface CellFile {
  readonly schemaVersion: number;
  readonly knots: CellKnots;
  readonly engineDefaults: Readonly<Record<string, Readonly<Record<'dense' | 'moe', StepParameters & { readonly confidence: string }>>>>;
  readonly provenance: Readonly<Record<string, string>>;
  readonly cells: readonly TimingCell[];
}

/** Largest concurrency and context of the serving points that validated a cell. */
export interface ValidatedRange {
  readonly points: number;
  readonly maxConcurrency: number;
  readonly maxContextTokens: number;
}

/** A fall of `lin` between neighbouring knots, where an engine switches kernels. */
export interface LinDip {
  readonly cell: string;
  readonly fromTokens: number;
  readonly toTokens: number;
  /** 0..1. */
  readonly drop: number;
}

/** What a cell is looked up by. `moe` is null for dense models. */
export interface CellQuery {
  /** `h100_sxm` or `h100-sxm`. */
  readonly gpu: string;
  /** vllm, sglang or trtllm; the last two run on the kernels of the vLLM cells with their own factors. */
  readonly engine: string;
  /** Id or alias of models.json. */
  readonly model: string;
  readonly tp: number;
  readonly ep: number;
  readonly gemm: string;
  readonly moe: string | null;
  /** KV dtype the cell must have been measured with; default bf16. */
  readonly kv?: 'bf16' | 'fp8';
  /** Name of the model preset for messages, e.g. `qwen3-235b-a22b-fp8`. */
  readonly label?: string;
}

/** Where in the user's file a problem lies. */
export type ProblemPlace = Pick<Problem, 'file' | 'line' | 'column' | 'path'>;

let shipped: CellFile | undefined;

/** The cells that come with the product, checked on first use. */
export function cellFile(): CellFile {
  shipped ??= checkCellFile(cellData, 'sim/hardware/data/cells.json');
  return shipped;
}

/**
 * Checks the loader's rules and returns the file typed.
 * Throws UserError E_CELL_FILE with every problem found.
 */
export function checkCellFile(value: unknown, file: string): CellFile {
  const problems: Problem[] = [];
  const bad = (path: string, message: string): void => {
    problems.push({ severity: 'error', code: 'E_CELL_FILE', file, path, message });
  };
  const data = value as CellFile;
  if (data.schemaVersion !== 1) bad('schemaVersion', `got ${String(data.schemaVersion)}, expected 1`);
  else {
    const seen = new Set<string>();
    for (const cell of data.cells) {
      checkCell(cell, data.knots, bad);
      if (seen.has(cell.id)) bad(cell.id, 'got a second cell with this id, expected one');
      seen.add(cell.id);
    }
  }
  if (problems.length > 0) throw new UserError(problems);
  return data;
}

/** Dips of `lin` above `share`; reported by `kvcast cells --check`. */
export function linDips(file: CellFile, share = 0.02): LinDip[] {
  const dips: LinDip[] = [];
  for (const cell of file.cells) {
    for (let i = 1; i < cell.lin.length; i++) {
      const drop = 1 - cell.lin[i]! / cell.lin[i - 1]!;
      if (drop > share) dips.push({ cell: cell.id, fromTokens: file.knots.linTokens[i - 1]!, toTokens: file.knots.linTokens[i]!, drop });
    }
  }
  return dips;
}

/**
 * The cell of a configuration.
 * Throws UserError E_CELL_MISSING, whose hint lists the nearest three cells.
 */
export function findCell(query: CellQuery, place: ProblemPlace = {}, file: CellFile = cellFile()): TimingCell {
  const gpu = gpuId(query.gpu);
  const model = findModel(query.model)?.id ?? query.model;
  const kv = query.kv === 'fp8' ? 'fp8' : 'bfloat16';
  const fits = (cell: TimingCell, engine: string): boolean =>
    cell.gpu === gpu &&
    cell.engine === engine &&
    cell.model === model &&
    cell.tp === query.tp &&
    cell.ep === query.ep &&
    cell.dtype.gemm === query.gemm &&
    cell.dtype.moe === query.moe &&
    cell.dtype.kv === kv;
  const own = file.cells.find((cell) => fits(cell, query.engine));
  if (own !== undefined) return own;
  const kernels = query.engine in file.engineDefaults ? file.cells.find((cell) => fits(cell, 'vllm')) : undefined;
  if (kernels !== undefined) return kernels;
  throw new UserError({ severity: 'error', code: 'E_CELL_MISSING', ...place, ...missingCell(query, gpu, model, kv, file) });
}

/** Range of the serving points behind a cell; undefined for derived cells. */
export function validatedRange(cell: TimingCell): ValidatedRange | undefined {
  return (rangeData.ranges as Readonly<Record<string, ValidatedRange>>)[cell.id];
}

/** Where the parameters of a step timer came from, and the confidence of the result. */
export interface ResolvedParameters {
  readonly parameters: StepParameters;
  readonly source: 'override' | 'calibration file' | 'cell calibration' | 'engine defaults';
  readonly level: CellConfidence;
}

/**
 * Parameters by precedence: scenario override, calibration file, the cell's own calibration, engine defaults. A key missing in a
 * higher layer is taken from the next. A cell's own calibration holds only for the engine it was measured with.
 * Source: performance-model specification 5, 6, 13.2.
 */
export function resolveParameters(
  cell: TimingCell,
  engine: string,
  layers: { readonly override?: Partial<StepParameters>; readonly calibrationFile?: Partial<StepParameters> } = {},
  file: CellFile = cellFile(),
): ResolvedParameters {
  const family = findModel(cell.model)?.family ?? (cell.dtype.moe === null ? 'dense' : 'moe');
  const defaults = file.engineDefaults[engine]?.[family];
  if (defaults === undefined) throw new Error(`no engine defaults for ${engine}`);
  const own = engine === cell.engine ? cell.calibration : undefined;
  const merged = { ...defaults, ...own, ...defined(layers.calibrationFile), ...defined(layers.override) };
  const { phi, o0Ms, o1Ms, phiPrefill, deltaMsPerLayer, oReqMs, skewAlpha } = merged;
  const parameters = { phi, o0Ms, o1Ms, phiPrefill, deltaMsPerLayer, oReqMs, skewAlpha };
  // The skew weight is a declared sensitivity switch: changing it alone does not make a calibration experimental.
  const overridden = Object.keys(defined(layers.override)).some((key) => key !== 'skewAlpha');
  if (overridden) return { parameters, source: 'override', level: 'calibrated-experimental' };
  if (layers.calibrationFile !== undefined) return { parameters, source: 'calibration file', level: 'calibrated-experimental' };
  if (own !== undefined) return { parameters, source: 'cell calibration', level: cell.confidence };
  return { parameters, source: 'engine defaults', level: engine === 'vllm' ? 'derived' : 'calibrated-experimental' };
}

function checkCell(cell: TimingCell, knots: CellKnots, bad: (path: string, message: string) => void): void {
  if (cell.lin.length !== knots.linTokens.length)
    bad(`${cell.id}.lin`, `got ${cell.lin.length} values, expected ${knots.linTokens.length}`);
  if (cell.lm.length !== knots.lmRows.length) bad(`${cell.id}.lm`, `got ${cell.lm.length} values, expected ${knots.lmRows.length}`);
  const { floor, a, b, c } = cell.dec;
  const { p0, p1, p2 } = cell.pre;
  const numbers = [...cell.lin, ...cell.lm, floor, a, b, c, p0, p1, p2];
  if (!numbers.every((x) => Number.isFinite(x) && x >= 0)) bad(cell.id, 'got a negative or non-finite number, expected values >= 0');
  if (!(floor > 0 && a > 0 && c > 0)) bad(`${cell.id}.dec`, 'got 0, expected floor, a, c > 0');
  if (!(p2 > 0)) bad(`${cell.id}.pre.p2`, `got ${p2}, expected > 0`);
  for (let i = 1; i < cell.lin.length; i++) {
    const drop = 1 - cell.lin[i]! / cell.lin[i - 1]!;
    if (drop > 0.25) bad(`${cell.id}.lin[${i}]`, `got a fall of ${(100 * drop).toFixed(1)} %, expected at most 25 %`);
  }
}

function missingCell(query: CellQuery, gpu: string, model: string, kv: string, file: CellFile): { message: string; hint: string } {
  const sibling = file.cells.find((c) => c.model === model && c.dtype.gemm === query.gemm && c.dtype.moe === query.moe);
  const weights = sibling?.dtype.weights ?? [query.gemm, query.moe].filter((x) => x !== null).join('+');
  const label = query.label?.replace(/@\d+$/, '') ?? `${model}-${weights}`;
  const kvNote = kv === 'fp8' ? ' with fp8 KV' : '';
  const nearest = [...file.cells]
    .map((cell) => ({ cell, distance: distance(cell, query, gpu, model, kv) }))
    .sort((x, y) => x.distance - y.distance || (x.cell.id < y.cell.id ? -1 : 1))
    .slice(0, 3)
    .map(({ cell }) => {
      const name = cell.gpu.replaceAll('_', '-');
      const other = `${cell.model}-${cell.dtype.weights}`;
      const same = cell.model === model && cell.dtype.gemm === query.gemm && cell.dtype.moe === query.moe;
      return `${name} ${same ? '' : `${other} `}tp${cell.tp}/ep${cell.ep}`;
    });
  return {
    message: `no timing cell for ${gpu.replaceAll('_', '-')} x ${label} x tp${query.tp}/ep${query.ep}${kvNote}`,
    hint: `Nearest: ${nearest.join(', ')}.`,
  };
}

/** Same model first, then dtypes, then GPU, then parallelism. */
function distance(cell: TimingCell, query: CellQuery, gpu: string, model: string, kv: string): number {
  const order = ['h100_sxm', 'h200_sxm', 'b200_sxm'];
  const tp = Math.max(cell.tp / query.tp, query.tp / cell.tp) - 1;
  const ep = Math.max(cell.ep / query.ep, query.ep / cell.ep) - 1;
  return (
    (cell.model === model ? 0 : 10_000) +
    (cell.dtype.gemm === query.gemm && cell.dtype.moe === query.moe ? 0 : 1000) +
    (cell.gpu === gpu ? 0 : 100 + 20 * Math.abs(order.indexOf(cell.gpu) - order.indexOf(gpu))) +
    (cell.dtype.kv === kv ? 0 : 50) +
    tp * 2 +
    ep
  );
}

function defined<T extends object>(value: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, v]) => v !== undefined)) as Partial<T>;
}
