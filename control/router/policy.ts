/**
 * From a policy document and the user's parameters to what the scoring engine runs: names resolved to columns, `$name` to numbers.
 * Every mistake of the document is reported at once. Source: router specification 4.9.
 */
import type { QueueRecheck } from '../queue/queue-profile.ts';
import { type Problem, UserError } from '../user-error.ts';
import type { BookingExpiry } from './bookings.ts';
import { FEATURE_DEFAULTS, FEATURES, type FeatureConstants } from './features.ts';
import type {
  CombineDocument,
  Direction,
  FilterDocument,
  GateDocument,
  IndexMode,
  NormDocument,
  OnEmpty,
  ParamSchema,
  ParamValue,
  PickDocument,
  PolicyDocument,
  TieMode,
} from './policy-document.ts';

/** A feature a policy reads: its column number and how it is filled. */
export interface FeatureRef {
  readonly column: number;
  readonly name: string;
  readonly base: string;
  /** Column of the inner feature of `name(inner)`, -1 without. */
  readonly inner: number;
}

export type Gate =
  | { readonly kind: 'always' | 'cold' }
  | { readonly kind: 'imbalance'; readonly column: number; readonly abs: number; readonly rel: number }
  | { readonly kind: 'spread' | 'max'; readonly column: number; readonly above: number }
  | { readonly kind: 'allFresh'; readonly column: number }
  | { readonly kind: 'and' | 'or'; readonly gates: readonly Gate[] }
  | { readonly kind: 'not'; readonly gate: Gate };

export type Filter = { readonly onEmpty: OnEmpty; readonly name: string } & (
  | { readonly kind: 'atLeast'; readonly column: number; readonly x: number; readonly strict: boolean }
  | {
      readonly kind: 'stickyTtft';
      readonly column: number;
      readonly ratio: number;
      readonly pending: number;
      readonly maxPenaltyMs: number;
      readonly peakTokPerSec: number;
    }
  | { readonly kind: 'boundedLoad' | 'meanPlusSigma' | 'atMost' | 'nearMin'; readonly column: number; readonly x: number }
  | { readonly kind: 'least' | 'most' | 'allFresh'; readonly column: number }
  | { readonly kind: 'sample'; readonly k: number }
);

export interface Term {
  readonly column: number;
  readonly weight: number;
  readonly norm: 'raw' | 'minmax' | 'minmaxInverse' | 'inverse' | 'scale' | 'inverseScale';
  readonly scale: number;
}

/** One criterion of a lexicographic order. */
export interface LexTerm {
  readonly column: number;
  readonly direction: Direction;
}

export type Combine =
  | { readonly kind: 'cost' | 'sum'; readonly terms: readonly Term[]; readonly clamp: boolean }
  | { readonly kind: 'product'; readonly terms: readonly { readonly column: number; readonly offset: number }[] }
  | { readonly kind: 'lex'; readonly terms: readonly LexTerm[] }
  | { readonly kind: 'none' };

export interface Pick {
  readonly kind: 'arg' | 'uniform' | 'roundRobin' | 'weightedRandom' | 'softmax';
  readonly temperature: number;
}

export interface Rule {
  readonly id: string;
  readonly gate: Gate;
  readonly filters: readonly Filter[];
  readonly combine: Combine;
  readonly tieBreak: readonly LexTerm[];
  readonly pick: Pick;
}

/** A policy ready to run. */
export interface Policy {
  /** `<name>@<version>`. */
  readonly name: string;
  readonly document: PolicyDocument;
  /** Every parameter with its value. */
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly features: readonly FeatureRef[];
  readonly rules: readonly Rule[];
  readonly ties: { readonly mode: TieMode; readonly eps: number };
  readonly constants: FeatureConstants;
  readonly index: {
    readonly mode: IndexMode;
    readonly ttlMs: number;
    /** Infinite = never pruned. */
    readonly maxBlocks: number;
    readonly bucketMs: number;
    readonly predictedTtlMs: number;
  };
  readonly load: {
    readonly assumeKvReuse: boolean;
    readonly trackPrefill: boolean;
    readonly trackActive: boolean;
    readonly trackOutput: boolean;
    readonly modelPrefill: boolean;
    readonly expiry: BookingExpiry;
  };
  /** When the waiting queue looks at a blocked lane again. */
  readonly queue: { readonly recheck: QueueRecheck };
  /** Column of `inflight`, which decides when no score is finite. */
  readonly fallback: number;
  readonly readsMatch: boolean;
  readonly readsActive: boolean;
}

const TOP_KEYS = ['formatVersion', 'name', 'version', 'title', 'upstream', 'deployable', 'confidence', 'index', 'load', 'params'];
const DOCUMENT_KEYS = [...TOP_KEYS, 'paramSchemas', 'rules', 'ties', 'queue'];
const TIE_EPS = 1e-12;
const DEFAULT_STALE_SEC = 3600;
const EXPIRY_CHECK_MS = 30_000;

/** Compiles a document with the parameters of a scenario's `with:`. Throws {@link UserError} with every problem found. */
export function compilePolicy(document: PolicyDocument, overrides: Readonly<Record<string, unknown>> = {}): Policy {
  const problems: Problem[] = [];
  const params = resolveParams(document, overrides, problems);
  if (problems.length > 0) throw new UserError(problems);
  return new Compiler(document, params, problems).compile();
}

/** JSON Schema (draft 2020-12) of a document's `with:`. */
export function paramsSchema(document: PolicyDocument): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(document.params ?? {})) {
    properties[name] = { ...(document.paramSchemas?.[name] ?? { type: 'number' }), default: value };
  }
  return { type: 'object', additionalProperties: false, properties };
}

function resolveParams(
  document: PolicyDocument,
  overrides: Readonly<Record<string, unknown>>,
  problems: Problem[],
): Record<string, ParamValue> {
  const params: Record<string, ParamValue> = { ...document.params };
  for (const [name, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(params, name)) {
      const known = Object.keys(params).join(', ') || 'none';
      const message = `unknown parameter of ${document.name}@${document.version}`;
      problems.push({ severity: 'error', code: 'E_UNKNOWN_KEY', path: `with.${name}`, message, hint: `It has: ${known}` });
      continue;
    }
    const expected = mismatch(value, document.paramSchemas?.[name]);
    if (expected === undefined) params[name] = value as ParamValue;
    else {
      const code = expected.startsWith('a value') ? 'E_RANGE' : 'E_TYPE';
      problems.push({ severity: 'error', code, path: `with.${name}`, message: `got ${JSON.stringify(value)}, expected ${expected}` });
    }
  }
  return params;
}

/** What was expected instead of `value`, or undefined if it fits. */
function mismatch(value: unknown, schema: ParamSchema | undefined): string | undefined {
  const types: readonly string[] = schema === undefined ? ['number'] : typeof schema.type === 'string' ? [schema.type] : schema.type;
  const type = value === null ? 'null' : typeof value;
  const fits = types.includes(type) || (type === 'number' && types.includes('integer') && Number.isInteger(value));
  if (!fits || (type === 'number' && !Number.isFinite(value))) return types.join(' or ');
  if (type !== 'number') return undefined;
  const low = schema?.minimum ?? Number.NEGATIVE_INFINITY;
  const high = schema?.maximum ?? Number.POSITIVE_INFINITY;
  if ((value as number) >= low && (value as number) <= high) return undefined;
  if (schema?.maximum === undefined) return `a value >= ${low}`;
  return `a value ${low}..${high}`;
}

class Compiler {
  readonly #document: PolicyDocument;
  readonly #params: Record<string, ParamValue>;
  readonly #problems: Problem[];
  readonly #read = new Set<string>();
  readonly #features: FeatureRef[] = [];

  constructor(document: PolicyDocument, params: Record<string, ParamValue>, problems: Problem[]) {
    this.#document = document;
    this.#params = params;
    this.#problems = problems;
  }

  compile(): Policy {
    const document = this.#document;
    this.#keys(document, '', DOCUMENT_KEYS);
    if (document.formatVersion !== 1) this.#problem('E_UNSUPPORTED', 'formatVersion', `got ${document.formatVersion}, expected 1`);
    if (!Array.isArray(document.rules) || document.rules.length === 0) this.#problem('E_REQUIRED', 'rules', 'got none, expected 1 or more');
    const rules = (document.rules ?? []).map((rule, i) => {
      const at = `rules[${i}]`;
      this.#keys(rule, at, ['id', 'gate', 'filters', 'combine', 'tieBreak', 'pick']);
      return {
        id: rule.id,
        gate: this.#gate(rule.gate ?? 'always', `${at}.gate`),
        filters: (rule.filters ?? []).map((filter, j) => this.#filter(filter, `${at}.filters[${j}]`)),
        combine: this.#combine(rule.combine, `${at}.combine`),
        tieBreak: this.#lex(rule.tieBreak ?? [], `${at}.tieBreak`),
        pick: this.#pick(rule.pick, `${at}.pick`),
      };
    });
    if (rules.length > 0 && rules[rules.length - 1]!.gate.kind !== 'always') {
      this.#problem('E_POLICY', `rules[${rules.length - 1}].gate`, 'the last rule has a gate, so some requests have no rule');
    }
    const fallback = this.#feature('inflight', 'fallback');
    const policy: Policy = {
      name: `${document.name}@${document.version}`,
      document,
      params: this.#params,
      features: this.#features,
      rules,
      ties: this.#ties(),
      constants: this.#constants(),
      index: this.#index(),
      load: this.#load(),
      queue: this.#queue(),
      fallback,
      readsMatch: this.#features.some((feature) => FEATURES[feature.base]?.match === true),
      readsActive: this.#features.some((feature) => FEATURES[feature.base]?.active === true),
    };
    for (const name of Object.keys(this.#params)) {
      if (!this.#read.has(name)) this.#problem('E_POLICY', `params.${name}`, 'no rule and no feature reads this parameter');
    }
    if (this.#problems.length > 0) throw new UserError(this.#problems);
    return policy;
  }

  #gate(gate: GateDocument, at: string): Gate {
    if (gate === 'always' || gate === 'cold') {
      if (gate === 'cold') return { kind: 'not', gate: { kind: 'max', column: this.#feature('matchBlocks', at), above: 0 } };
      return { kind: gate };
    }
    const [key, body] = this.#single(gate, at);
    switch (key) {
      case 'imbalance':
        this.#keys(body, `${at}.imbalance`, ['feature', 'abs', 'rel']);
        return {
          kind: key,
          column: this.#feature(body.feature, `${at}.feature`),
          abs: this.#number(body.abs, at),
          rel: this.#number(body.rel, at),
        };
      case 'spread':
      case 'max':
        this.#keys(body, `${at}.${key}`, ['feature', 'above']);
        return { kind: key, column: this.#feature(body.feature, at), above: this.#number(body.above, at) };
      case 'bestRatio':
        this.#keys(body, `${at}.${key}`, ['above']);
        return { kind: 'max', column: this.#feature('matchRatio', at), above: this.#number(body.above, at) };
      case 'signalFresh':
        return { kind: 'allFresh', column: this.#feature(`fresh(${body})`, at) };
      case 'and':
      case 'or':
        return { kind: key, gates: (body as GateDocument[]).map((inner, i) => this.#gate(inner, `${at}.${key}[${i}]`)) };
      case 'not':
        return { kind: 'not', gate: this.#gate(body, `${at}.not`) };
      default:
        this.#problem('E_ENUM', at, `got ${JSON.stringify(key)}, expected a gate`);
        return { kind: 'always' };
    }
  }

  #filter(filter: FilterDocument, at: string): Filter {
    const { onEmpty = 'keep', ...rest } = filter as unknown as Record<string, unknown> & { onEmpty?: OnEmpty };
    const strict = rest['strict'] === true;
    if ('ratioAtLeast' in rest) delete rest['strict'];
    const [key, body] = this.#single(rest, at);
    const base = { onEmpty, name: key };
    switch (key) {
      case 'ratioAtLeast':
        return { ...base, kind: 'atLeast', column: this.#feature('matchRatio', at), x: this.#number(body, at), strict };
      case 'stickyTtft':
        this.#keys(body, `${at}.${key}`, ['ratio', 'maxPenaltyMs', 'peakTokPerSec']);
        return {
          ...base,
          kind: key,
          column: this.#feature('matchRatio', at),
          pending: this.#feature('pendingPrefillTok', at),
          ratio: this.#number(body.ratio, at),
          maxPenaltyMs: this.#number(body.maxPenaltyMs, at),
          peakTokPerSec: this.#number(body.peakTokPerSec, at),
        };
      case 'boundedLoad':
        this.#keys(body, `${at}.${key}`, ['feature', 'c']);
        return { ...base, kind: key, column: this.#feature(body.feature, at), x: this.#number(body.c, at) };
      case 'meanPlusSigma':
        this.#keys(body, `${at}.${key}`, ['feature', 'k']);
        return { ...base, kind: key, column: this.#feature(body.feature, at), x: this.#number(body.k, at) };
      case 'cap':
        this.#keys(body, `${at}.${key}`, ['feature', 'atMost']);
        return { ...base, kind: 'atMost', column: this.#feature(body.feature, at), x: this.#number(body.atMost, at) };
      case 'nearMin':
        this.#keys(body, `${at}.${key}`, ['feature', 'within']);
        return { ...base, kind: key, column: this.#feature(body.feature, at), x: this.#number(body.within, at) };
      case 'minOf':
      case 'maxOf':
        return { ...base, kind: key === 'minOf' ? 'least' : 'most', column: this.#feature(body, at) };
      case 'fresh':
        return { ...base, kind: 'allFresh', column: this.#feature(`fresh(${body})`, at) };
      case 'sample':
        return { ...base, kind: key, k: this.#number(body, at) };
      default:
        this.#problem('E_ENUM', at, `got ${JSON.stringify(key)}, expected a filter`);
        return { ...base, kind: 'sample', k: 1 };
    }
  }

  #combine(combine: CombineDocument | undefined, at: string): Combine {
    if (combine === undefined) return { kind: 'none' };
    const { clamp = false, ...rest } = combine as Record<string, unknown> & { clamp?: boolean };
    const [key, body] = this.#single(rest, at);
    const entries = body as [unknown, unknown, NormDocument?][];
    switch (key) {
      case 'cost':
      case 'sum':
        return { kind: key, clamp, terms: entries.map((entry, i) => this.#term(entry, `${at}.${key}[${i}]`)) };
      case 'product':
        return {
          kind: key,
          terms: entries.map(([feature, offset], i) => ({
            column: this.#feature(feature, `${at}.${key}[${i}]`),
            offset: this.#number(offset, at),
          })),
        };
      case 'lex':
        return { kind: key, terms: this.#lex(entries, `${at}.lex`) };
      default:
        this.#problem('E_ENUM', at, `got ${JSON.stringify(key)}, expected cost, sum, product or lex`);
        return { kind: 'none' };
    }
  }

  #lex(entries: readonly (readonly unknown[])[], at: string): LexTerm[] {
    return entries.map(([feature, direction], i) => {
      if (direction !== 'min' && direction !== 'max') {
        this.#problem('E_ENUM', `${at}[${i}]`, `got ${JSON.stringify(direction)}, expected min or max`);
      }
      return { column: this.#feature(feature, `${at}[${i}]`), direction: direction as Direction };
    });
  }

  #term([weight, feature, norm = 'raw']: [unknown, unknown, NormDocument?], at: string): Term {
    const term = { column: this.#feature(feature, at), weight: this.#number(weight, at) };
    if (typeof norm === 'object') {
      const [kind, scale] = this.#single(norm, at);
      if (kind === 'scale' || kind === 'inverseScale') return { ...term, norm: kind, scale: this.#number(scale, at) };
    } else if (norm === 'raw' || norm === 'minmax' || norm === 'minmaxInverse' || norm === 'inverse') return { ...term, norm, scale: 1 };
    this.#problem('E_ENUM', at, `got ${JSON.stringify(norm)}, expected a normaliser`);
    return { ...term, norm: 'raw', scale: 1 };
  }

  #pick(pick: PickDocument, at: string): Pick {
    if (pick === 'arg' || pick === 'uniform' || pick === 'roundRobin' || pick === 'weightedRandom') return { kind: pick, temperature: 0 };
    if (typeof pick === 'object' && pick !== null && 'softmax' in pick) {
      this.#keys(pick.softmax, `${at}.softmax`, ['T']);
      const temperature = this.#number(pick.softmax.T, at);
      return { kind: temperature === 0 ? 'arg' : 'softmax', temperature };
    }
    this.#problem('E_ENUM', at, `got ${JSON.stringify(pick)}, expected arg, uniform, roundRobin, weightedRandom or {softmax}`);
    return { kind: 'arg', temperature: 0 };
  }

  #ties(): Policy['ties'] {
    const ties = this.#document.ties ?? {};
    this.#keys(ties, 'ties', ['mode', 'eps']);
    const mode = ties.mode ?? 'hash';
    if (!['hash', 'lowest', 'highest', 'random'].includes(mode)) {
      this.#problem('E_ENUM', 'ties.mode', `got ${JSON.stringify(mode)}, expected hash, lowest, highest or random`);
    }
    return { mode, eps: ties.eps === undefined ? TIE_EPS : this.#number(ties.eps, 'ties.eps') };
  }

  #queue(): Policy['queue'] {
    const queue = this.#document.queue ?? {};
    this.#keys(queue, 'queue', ['recheck']);
    const recheck = queue.recheck ?? 'always';
    if (!['always', 'events'].includes(recheck)) {
      this.#problem('E_ENUM', 'queue.recheck', `got ${JSON.stringify(recheck)}, expected always or events`);
    }
    return { recheck };
  }

  #constants(): FeatureConstants {
    const constants: Record<string, number> = { ...FEATURE_DEFAULTS };
    for (const { base } of this.#features) {
      for (const name of FEATURES[base]?.constants ?? [])
        if (Object.hasOwn(this.#params, name)) constants[name] = this.#number(`$${name}`, base);
    }
    return constants as unknown as FeatureConstants;
  }

  #index(): Policy['index'] {
    const index = this.#document.index;
    this.#keys(index, 'index', ['mode', 'ttlSec', 'maxBlocks', 'bucketMs', 'predictedTtlSec']);
    if (!['events', 'approximate', 'lru', 'none'].includes(index.mode)) {
      this.#problem('E_ENUM', 'index.mode', `got ${JSON.stringify(index.mode)}, expected events, approximate, lru or none`);
    }
    const predicted = index.predictedTtlSec === undefined ? null : this.#param(index.predictedTtlSec, 'index.predictedTtlSec');
    return {
      mode: index.mode,
      ttlMs: 1000 * (index.ttlSec === undefined ? 120 : this.#number(index.ttlSec, 'index.ttlSec')),
      maxBlocks:
        index.maxBlocks === null
          ? Number.POSITIVE_INFINITY
          : index.maxBlocks === undefined
            ? 2 ** 20
            : this.#number(index.maxBlocks, 'index.maxBlocks'),
      bucketMs: index.bucketMs === undefined ? 0 : this.#number(index.bucketMs, 'index.bucketMs'),
      predictedTtlMs: typeof predicted === 'number' ? 1000 * predicted : 0,
    };
  }

  #load(): Policy['load'] {
    const load = this.#document.load ?? {};
    this.#keys(load, 'load', [
      'assumeKvReuse',
      'trackPrefillTokens',
      'trackActiveBlocks',
      'trackOutputBlocks',
      'modelPrefill',
      'staleAfterSec',
      'expiry',
    ]);
    const stale = load.staleAfterSec === undefined ? DEFAULT_STALE_SEC : this.#number(load.staleAfterSec, 'load.staleAfterSec');
    return {
      assumeKvReuse: this.#param(load.assumeKvReuse ?? true, 'load.assumeKvReuse') !== false,
      trackPrefill: this.#param(load.trackPrefillTokens ?? true, 'load.trackPrefillTokens') !== false,
      trackActive: this.#param(load.trackActiveBlocks ?? true, 'load.trackActiveBlocks') !== false,
      trackOutput: this.#param(load.trackOutputBlocks ?? false, 'load.trackOutputBlocks') === true,
      modelPrefill: this.#param(load.modelPrefill ?? false, 'load.modelPrefill') === true,
      expiry: { mode: load.expiry ?? 'lease', afterMs: 1000 * stale, checkMs: EXPIRY_CHECK_MS },
    };
  }

  /** Column of a feature name, which it adds to the policy. */
  #feature(name: unknown, at: string): number {
    const known = this.#features.findIndex((feature) => feature.name === name);
    if (known >= 0) return known;
    const [, base = '', inner] = /^(\w+)(?:\((\w+)\))?$/.exec(String(name)) ?? [];
    const definition = Object.hasOwn(FEATURES, base) ? FEATURES[base] : undefined;
    if (definition === undefined || (definition.inner === true) !== (inner !== undefined)) {
      this.#problem('E_FEATURE', at, `got ${JSON.stringify(name)}, expected a feature name`);
      return 0;
    }
    const innerColumn = inner === undefined ? -1 : this.#feature(inner, at);
    return this.#features.push({ column: this.#features.length, name: String(name), base, inner: innerColumn }) - 1;
  }

  #param(value: unknown, at: string): unknown {
    if (typeof value !== 'string' || !value.startsWith('$')) return value;
    const name = value.slice(1);
    this.#read.add(name);
    if (Object.hasOwn(this.#params, name)) return this.#params[name];
    this.#problem('E_POLICY', at, `got ${value}, which is not in params`);
    return 0;
  }

  #number(value: unknown, at: string): number {
    const negated = typeof value === 'string' && value.startsWith('-$');
    const read = this.#param(negated ? value.slice(1) : value, at);
    const number = negated && typeof read === 'number' ? -read : read;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    this.#problem('E_TYPE', at, `got ${JSON.stringify(number)}, expected a number`);
    return 0;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the shape below a single-key object is checked by the caller, key by key
  #single(value: unknown, at: string): [string, any] {
    const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
    if (entries.length !== 1) this.#problem('E_TYPE', at, `got ${JSON.stringify(value)}, expected an object with one key`);
    return (entries[0] as [string, unknown] | undefined) ?? ['', undefined];
  }

  #keys(value: unknown, at: string, allowed: readonly string[]): void {
    for (const key of Object.keys((value ?? {}) as object)) {
      if (allowed.includes(key)) continue;
      const hint = `Allowed: ${allowed.join(', ')}`;
      this.#problems.push({
        severity: 'error',
        code: 'E_UNKNOWN_KEY',
        path: at === '' ? key : `${at}.${key}`,
        message: 'unknown key',
        hint,
      });
    }
  }

  #problem(code: string, path: string, message: string): void {
    this.#problems.push({ severity: 'error', code, path, message });
  }
}
