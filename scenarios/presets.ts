/**
 * Presets of scenarios: gpu, model, engine and workload documents in scenarios/presets/<kind>/<name>@<version>.yaml. Numbers carry
 * their source and confidence. Router, retention and admission presets ship with control/ and arrive as a {@link PolicyCatalogue}.
 * Source: experiments specification 1.3, 1.4.1.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { parsePresetRef } from './scalars.ts';

/** Kinds of presets that live under scenarios/presets. */
export const PRESET_KINDS = ['gpu', 'model', 'engine', 'fleet', 'workload', 'slo', 'cost'] as const;
export type PresetKind = (typeof PRESET_KINDS)[number];
export type PolicyKind = 'router' | 'retention' | 'admission';

/** How much a number can be trusted. */
export type Confidence = 'measured' | 'datasheet' | 'derived' | 'assumed';

/** A number of a preset with its evidence. */
export interface PresetFact {
  readonly path: string;
  readonly value: number | string;
  readonly source: string;
  readonly confidence: Confidence;
}

/** A loaded preset; `values` is plain, evidence moved to `facts`. */
export interface Preset<V = Readonly<Record<string, unknown>>> {
  /** `name@version`. */
  readonly ref: string;
  readonly kind: PresetKind;
  readonly description: string;
  readonly values: V;
  readonly facts: readonly PresetFact[];
  readonly sha256: string;
}

/** GPU facts. Rates in 1e9 bytes per second and direction. */
export interface GpuValues {
  /** Id in hardware.json and in the timing cells, e.g. `h100_sxm`. */
  readonly id: string;
  readonly gpusPerNode: number;
  /** What CUDA reports. */
  readonly memoryBytes: number;
  readonly hbmGBps: number;
  readonly tdpW: number;
  readonly hostReadGBps: number;
  readonly hostWriteGBps: number;
  readonly hostDuplexGBps: number;
  readonly priceUsdPerGpuHour: number;
}

/** Model facts, and the dtype fields by which a timing cell is found. */
export interface ModelValues {
  /** Id in models.json. */
  readonly model: string;
  readonly weights: 'bf16' | 'fp8' | 'nvfp4' | 'mxfp4' | 'int4';
  /** `gemm` and `moe` of the cell's dtype; `moe` is `none` for dense models. */
  readonly gemm: string;
  readonly moe: string;
  /** KV dtype the cells of this model were measured with. */
  readonly cellKvDtype: 'bf16' | 'fp8';
  readonly contextLimit: number;
  readonly layers: number;
  readonly kvHeads: number;
  /** Parameters in 1e9. */
  readonly paramsB: number;
  readonly weightBytesPerParam: number;
  readonly kvBytesPerTokenBf16: number;
  readonly perSequenceBytes: number;
}

/** Engine defaults; `with` in the scalar grammar of scenario files. */
export interface EngineValues {
  readonly engine: 'vllm';
  readonly engineVersion: string;
  readonly rules: '0.32' | '0.27';
  readonly with: Readonly<Record<string, string | number | boolean>>;
}

/** A bundled trace; paths from the package root. */
export interface WorkloadValues {
  readonly file: string;
  readonly format: string;
  readonly manifest?: string;
  readonly blockTokens: number;
  readonly sessions: number;
  readonly requests: number;
}

/** A generator of sessions; path of its parameters from the package root. */
export interface GeneratorValues {
  readonly generator: string;
  readonly blockTokens: number;
}

/** What a scenario needs to know about a policy preset of control/: its name and the JSON Schema of its parameters. */
export interface PolicyDescription {
  readonly kind: PolicyKind;
  readonly name: string;
  readonly version: number;
  /** A few words for lists. */
  readonly title: string;
  /** A {@link Confidence}, or the preset's own words. */
  readonly confidence?: string;
  /** JSON Schema 2020-12 of `with`; `x-unit` duration (ms), size (bytes), share, tokens says how text is parsed. */
  readonly params: ParameterSchema;
}

/** The subset of JSON Schema that parameter schemas use. */
export interface ParameterSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly oneOf?: readonly ParameterSchema[];
  readonly properties?: Readonly<Record<string, ParameterSchema>>;
  /** Of each item of a list. */
  readonly items?: ParameterSchema;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly minProperties?: number;
  readonly default?: unknown;
  readonly description?: string;
  readonly 'x-unit'?: string;
}

/** All policy presets that may be named in a scenario. */
export type PolicyCatalogue = readonly PolicyDescription[];

/** Folder that holds package.json, scenarios/ and traces/samples/, seen from the source tree or from dist/. */
export function findPackageRoot(from: string = dirname(fileURLToPath(import.meta.url))): string {
  for (let dir = from; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json')) && existsSync(join(dir, 'scenarios'))) return dir;
    if (dirname(dir) === dir) throw new Error(`no package root above ${from}`);
  }
}

/** Reads presets from a package root; loaded documents are kept. */
export class PresetStore {
  readonly #dir: string;
  readonly #loaded = new Map<string, Preset | undefined>();
  readonly #names = new Map<PresetKind, readonly string[]>();

  constructor(packageRoot: string) {
    this.#dir = join(packageRoot, 'scenarios', 'presets');
  }

  /** `name@version` of every preset of a kind, sorted. */
  list(kind: PresetKind): readonly string[] {
    let names = this.#names.get(kind);
    if (names === undefined) {
      const dir = join(this.#dir, kind);
      names = existsSync(dir)
        ? readdirSync(dir)
            .filter((file) => file.endsWith('.yaml'))
            .map((file) => file.slice(0, -5))
            .sort()
        : [];
      this.#names.set(kind, names);
    }
    return names;
  }

  /** Highest version of a name, as `name@version`. */
  newest(kind: PresetKind, name: string): string | undefined {
    return newestOf(name, this.list(kind));
  }

  /** Undefined when there is no such preset. Throws for a broken file (our bug). */
  load(kind: PresetKind, ref: string): Preset | undefined {
    const id = `${kind}/${ref}`;
    if (!this.#loaded.has(id)) this.#loaded.set(id, this.list(kind).includes(ref) ? this.#read(kind, ref) : undefined);
    return this.#loaded.get(id);
  }

  #read(kind: PresetKind, ref: string): Preset {
    const text = readFileSync(join(this.#dir, kind, `${ref}.yaml`), 'utf8');
    const document = parse(text) as { preset: string; description: string; values: Record<string, unknown> };
    if (document.preset !== `${kind}/${ref}`) throw new Error(`preset file ${kind}/${ref}.yaml calls itself ${document.preset}`);
    const facts: PresetFact[] = [];
    const values = plainValues(document.values, '', facts);
    return { ref, kind, description: document.description, values, facts, sha256: createHash('sha256').update(text).digest('hex') };
  }
}

const STORES = new Map<string, PresetStore>();

/** The store of a package root; one per root and process, since released presets never change. */
export function presetStore(packageRoot: string): PresetStore {
  let store = STORES.get(packageRoot);
  if (store === undefined) STORES.set(packageRoot, (store = new PresetStore(packageRoot)));
  return store;
}

/** Highest version of `name` among `name@version` texts. */
export function newestOf(name: string, refs: readonly string[]): string | undefined {
  const versions = refs.map(parsePresetRef).filter((ref) => ref?.name === name);
  const best = versions.reduce((max, ref) => Math.max(max, ref!.version), 0);
  return best === 0 ? undefined : `${name}@${best}`;
}

function plainValues(values: Readonly<Record<string, unknown>>, prefix: string, facts: PresetFact[]): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (value === null || typeof value !== 'object') plain[key] = value;
    else if ('value' in value && 'source' in value) {
      facts.push({ path, ...(value as Omit<PresetFact, 'path'>) });
      plain[key] = value.value;
    } else plain[key] = plainValues(value as Record<string, unknown>, path, facts);
  }
  return plain;
}
