/**
 * The schema check of an expanded tree: the generated validator finds structural faults, a walk over the leaves finds what JSON Schema
 * cannot say (units, ranges in base units, presets, policy parameters, values this version does not model). One problem per node.
 * Source: experiments specification 1.5.
 */
import type { Problem } from '../control/user-error.ts';
import { indexPath, type LocatedMap, type LocatedNode, namedPath, nodeAt, type Origin, type PathStep, toValue } from './located-tree.ts';
import { parseMetricExpression, parseThresholdExpression } from './metric-expression.ts';
import { policyParameters } from './policy-parameters.ts';
import { newestOf, type PolicyCatalogue, type PresetKind, type PresetStore } from './presets.ts';
import { problemAt, shown } from './problem-place.ts';
import { formatScalar, parsePresetRef, parseScalar, SCALAR_NAMES, type ScalarKind } from './scalars.ts';
import { type FieldSchema, SCENARIO_SCHEMA } from './schema-walk.ts';
import { unknownKeyHint } from './set-path.ts';
import { didYouMean, orList } from './spelling.ts';
import { validate } from './validate.gen.ts';

/** What the check needs besides the tree. */
export interface CheckContext {
  readonly presets: PresetStore;
  /** Policy presets; undefined = names and parameters are not checked. */
  readonly policies?: PolicyCatalogue;
  /** Whether a trace path exists, seen from where it was written. */
  readonly traceExists: (path: string, origin: Origin) => boolean;
}

/** All problems of the tree, unsorted. */
export function checkTree(root: LocatedMap, context: CheckContext): Problem[] {
  const found = new Map<string, Problem>();
  for (const error of structuralErrors(root)) {
    const problem = structuralProblem(root, error);
    const key = problem.path ?? '';
    if (!found.has(key)) found.set(key, problem);
  }
  for (const problem of found.values())
    if (problem.code === 'E_REQUIRED' && isMisspeltHere(problem, found)) found.delete(problem.path ?? '');
  new LeafCheck(context, found, root).visit(root, SCENARIO_SCHEMA, []);
  return [...found.values()];
}

/** A required key that stands beside in a misspelt form is one mistake, not two. */
function isMisspeltHere(missing: Problem, found: ReadonlyMap<string, Problem>): boolean {
  const [holder, key] = splitLast(missing.path ?? '');
  return [...found.values()].some(
    (problem) => problem.code === 'E_UNKNOWN_KEY' && splitLast(problem.path ?? '')[0] === holder && problem.hint?.includes(`"${key}"`),
  );
}

function splitLast(path: string): [string, string] {
  const dot = path.lastIndexOf('.');
  return dot < 0 ? ['', path] : [path.slice(0, dot), path.slice(dot + 1)];
}

interface StructuralError {
  readonly instancePath: string;
  readonly schemaPath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
}

function structuralErrors(root: LocatedMap): readonly StructuralError[] {
  const check = validate as unknown as { (value: unknown): boolean; errors?: readonly StructuralError[] | null };
  return check(toValue(root)) ? [] : (check.errors ?? []);
}

function structuralProblem(root: LocatedMap, error: StructuralError): Problem {
  const steps = pointerSteps(root, error.instancePath);
  const node = nodeAt(root, steps) ?? root;
  const field = schemaOf(error.schemaPath);
  const value = node.type === 'scalar' ? node.value : toValue(node);
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      return unknownKeyProblem(node, steps, key, field);
    }
    case 'required': {
      const key = String(error.params['missingProperty']);
      const child = field.properties?.[key];
      const hint = child === undefined ? undefined : `${key}: ${child.description}`;
      return problemAt(
        node.origin,
        'E_REQUIRED',
        indexPath([...steps, key]),
        `got nothing, expected ${child ? expectation(child) : key}`,
        hint,
      );
    }
    case 'type':
    case 'enum':
    case 'const':
    case 'pattern':
      return valueProblem(node, steps, field, value, error.keyword);
    case 'minItems':
    case 'maxItems': {
      const size = node.type === 'list' ? node.items.length : 0;
      const bound = error.keyword === 'minItems' ? `at least ${error.params['limit']}` : `at most ${error.params['limit']}`;
      return problemAt(node.origin, 'E_RANGE', indexPath(steps), `got ${size} items, expected ${bound}`);
    }
    case 'uniqueItems': {
      const second = node.type === 'list' ? node.items[Number(error.params['i'])] : undefined;
      return problemAt(
        second?.origin ?? node.origin,
        'E_DUPLICATE_ITEM',
        indexPath(steps),
        `got ${shown(second && toValue(second))} twice, expected it once`,
      );
    }
    case 'minLength':
      return problemAt(node.origin, 'E_PATTERN', indexPath(steps), 'got "", expected some text');
    default:
      return problemAt(
        node.origin,
        'E_RANGE',
        indexPath(steps),
        `got ${shown(value)}, expected ${expectation(field)}`,
        rangeHint(field, value),
      );
  }
}

function valueProblem(node: LocatedNode, steps: PathStep[], field: FieldSchema, value: unknown, keyword: string): Problem {
  const kind = field['x-scalar'];
  if (kind !== undefined && kind in SCALAR_NAMES) {
    const parsed = parseScalar(kind as ScalarKind, value, field['x-inf'] === true);
    const fault = typeof parsed === 'number' ? { code: 'E_TYPE', expected: expectation(field) } : parsed;
    return problemAt(node.origin, fault.code, indexPath(steps), `got ${shown(value)}, expected ${fault.expected}`, fault.hint);
  }
  const words = (field.enum ?? field['x-values'])?.map(String);
  if (words !== undefined && typeof value === 'string') {
    return problemAt(node.origin, 'E_ENUM', indexPath(steps), `got ${shown(value)}, expected ${orList(words)}`, didYouMean(value, words));
  }
  const code = keyword === 'pattern' ? 'E_PATTERN' : keyword === 'type' ? 'E_TYPE' : 'E_ENUM';
  return problemAt(node.origin, code, indexPath(steps), `got ${shown(value)}, expected ${expectation(field)}`);
}

function unknownKeyProblem(node: LocatedNode, steps: PathStep[], key: string, field: FieldSchema): Problem {
  const origin = node.type === 'map' ? node.entries.get(key)?.keyOrigin : node.origin;
  const hint = unknownKeyHint(key, Object.keys(field.properties ?? {}));
  const path = hint?.startsWith('That engine flag') ? key : indexPath([...steps, key]);
  return problemAt(origin, 'E_UNKNOWN_KEY', path, 'unknown key', hint);
}

/** What a field accepts, in words: `an integer 1..1024`. */
export function expectation(field: FieldSchema): string {
  const kind = field['x-scalar'];
  if (kind !== undefined && kind in SCALAR_NAMES) return scalarExpectation(field, kind as ScalarKind);
  if (field['x-patternText'] !== undefined) return field['x-patternText'];
  if (field.const !== undefined) return String(field.const);
  const words = field.enum ?? field['x-values'];
  if (words !== undefined) return orList(words.map(String));
  const { minimum, maximum } = field;
  const range = minimum === undefined ? '' : maximum === undefined ? ` >= ${minimum}` : ` ${minimum}..${maximum}`;
  const types = field.type === undefined ? [] : typeof field.type === 'string' ? [field.type] : field.type;
  return orList(types.map((type) => TYPE_NAMES[type] + (type === 'integer' || type === 'number' ? range : '')));
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
};

function scalarExpectation(field: FieldSchema, kind: ScalarKind): string {
  const { 'x-min': min, 'x-max': max } = field;
  const text = (value: number) => formatScalar(kind, value);
  const words = [...(field['x-words'] ?? []), ...(field['x-inf'] === true ? ['inf'] : [])];
  let range = '';
  if (field['x-powerOfTwo'] === true) range = ` that is a power of two ${min}..${max}`;
  else if (min !== undefined && max !== undefined)
    range = ` ${field['x-exclusiveMin'] ? `> ${text(min)} and <=` : `${text(min)}..`}${field['x-exclusiveMin'] ? ' ' : ''}${text(max)}`;
  else if (min !== undefined && (min > 0 || field['x-exclusiveMin'] === true))
    range = ` ${field['x-exclusiveMin'] ? '>' : '>='} ${text(min)}`;
  return orList([`${SCALAR_NAMES[kind]}${range}`, ...words]);
}

function rangeHint(field: FieldSchema, value: unknown): string | undefined {
  return typeof value === 'number' && field.minimum !== undefined && value < field.minimum ? field['x-hint'] : undefined;
}

/** Steps of a JSON pointer: digits index lists, anything else is a key. */
function pointerSteps(root: LocatedNode, pointer: string): PathStep[] {
  const steps: PathStep[] = [];
  let node: LocatedNode | undefined = root;
  for (const raw of pointer.split('/').slice(1)) {
    const key = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    const step: PathStep = node?.type === 'list' ? Number(key) : key;
    steps.push(step);
    node = node === undefined ? undefined : nodeAt(node, [step]);
  }
  return steps;
}

/** The field a schema path like `#/properties/run/properties/checks/enum` points into. */
function schemaOf(schemaPath: string): FieldSchema {
  let schema: unknown = SCENARIO_SCHEMA;
  for (const part of schemaPath.split('/').slice(1, -1)) {
    schema = (schema as Record<string, unknown>)[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return schema as FieldSchema;
}

class LeafCheck {
  readonly #context: CheckContext;
  readonly #found: Map<string, Problem>;
  readonly #root: LocatedMap;
  /** Policies of the base control that arms complete or replace: their parameters are judged in the arms. */
  readonly #overridden: ReadonlySet<string>;

  constructor(context: CheckContext, found: Map<string, Problem>, root: LocatedMap) {
    this.#context = context;
    this.#found = found;
    this.#root = root;
    const matrix = root.entries.get('matrix')?.node;
    const kinds = matrix?.type === 'map' ? [...matrix.entries.keys()] : [];
    this.#overridden = new Set(root.entries.has('arms') ? ['router', 'retention', 'admission'] : kinds);
  }

  visit(node: LocatedNode, field: FieldSchema, steps: PathStep[]): void {
    if (this.#found.has(indexPath(steps))) return;
    if (this.#unsupported(node, field, steps)) return;
    if (field['x-policy'] !== undefined) this.#policy(node, field['x-policy'], steps);
    else if (field['x-scalar'] !== undefined) this.#scalar(node, field, steps);
    if (node.type === 'list' && field.items !== undefined) {
      for (const [i, item] of node.items.entries()) this.visit(item, field.items, [...steps, i]);
    } else if (node.type === 'map' && field.properties !== undefined && field['x-policy'] === undefined) {
      for (const [key, entry] of node.entries) {
        const child = field.properties[key];
        if (child !== undefined) this.visit(entry.node, child, [...steps, key]);
      }
    }
  }

  #report(origin: Origin | undefined, code: string, steps: readonly PathStep[], message: string, hint?: string): void {
    const path = indexPath(steps);
    if (!this.#found.has(path)) this.#found.set(path, problemAt(origin, code, path, message, hint));
  }

  #unsupported(node: LocatedNode, field: FieldSchema, steps: PathStep[]): boolean {
    const rule = field['x-unsupported'];
    if (rule === undefined || node.origin.kind === 'default') return false;
    const value = node.type === 'scalar' ? node.value : undefined;
    const named = typeof value === 'string' ? value.replace(/@.*$/, '') : '';
    const hit =
      rule.values !== undefined
        ? rule.values.includes(value)
        : rule.above !== undefined
          ? typeof value === 'number' && value > rule.above
          : rule.presets === undefined || rule.presets.includes(named);
    if (!hit) return false;
    const got = node.type === 'scalar' ? shown(value) : String(steps[steps.length - 1]);
    this.#report(node.origin, 'E_UNSUPPORTED', steps, `got ${got}, which this version does not model`, rule.hint);
    return true;
  }

  #scalar(node: LocatedNode, field: FieldSchema, steps: PathStep[]): void {
    if (node.type !== 'scalar') return;
    const kind = field['x-scalar']!;
    if (kind === 'preset') this.#preset(node, field['x-preset'] as PresetKind, steps);
    else if (kind === 'presetOrPath') this.#trace(node, steps);
    else if (kind === 'metric' || kind === 'threshold') this.#expression(node, kind, steps);
    else if (!(typeof node.value === 'string' && field['x-words']?.includes(node.value)))
      this.#number(node, field, kind as ScalarKind, steps);
  }

  #number(node: LocatedNode & { type: 'scalar' }, field: FieldSchema, kind: ScalarKind, steps: PathStep[]): void {
    const parsed = parseScalar(kind, node.value, field['x-inf'] === true);
    if (typeof parsed !== 'number') {
      this.#report(node.origin, parsed.code, steps, `got ${shown(node.value)}, expected ${parsed.expected}`, parsed.hint);
      return;
    }
    const { 'x-min': min = -Infinity, 'x-max': max = Infinity } = field;
    const low = field['x-exclusiveMin'] === true ? parsed > min : parsed >= min;
    const power = field['x-powerOfTwo'] !== true || (parsed & (parsed - 1)) === 0;
    if (low && parsed <= max && power) return;
    const hint =
      kind === 'share' && typeof node.value === 'number' && node.value > 1 && node.value <= 100
        ? `Write ${node.value}% or ${node.value / 100}`
        : undefined;
    this.#report(node.origin, 'E_RANGE', steps, `got ${shown(node.value)}, expected ${expectation(field)}`, hint);
  }

  #expression(node: LocatedNode & { type: 'scalar' }, kind: 'metric' | 'threshold', steps: PathStep[]): void {
    if (typeof node.value !== 'string') return;
    const parsed = kind === 'metric' ? parseMetricExpression(node.value) : parseThresholdExpression(node.value);
    if (!('code' in parsed)) return;
    const key = indexPath(steps);
    if (!this.#found.has(key))
      this.#found.set(key, problemAt(node.origin, parsed.code, namedPath(this.#root, steps), parsed.message, parsed.hint));
  }

  #preset(node: LocatedNode & { type: 'scalar' }, kind: PresetKind, steps: PathStep[]): void {
    if (typeof node.value !== 'string') return;
    const refs = this.#context.presets.list(kind);
    if (!refs.includes(node.value)) this.#unknownPreset(node, kind, refs, steps);
  }

  #unknownPreset(node: LocatedNode & { type: 'scalar' }, kind: string, refs: readonly string[], steps: PathStep[]): void {
    const text = String(node.value);
    if (parsePresetRef(text) === undefined && !text.includes('@')) {
      const newest = newestOf(text, refs);
      const hint =
        newest === undefined
          ? (didYouMean(
              text,
              refs.map((ref) => ref.replace(/@.*$/, '')),
            ) ?? `Known: kvcast presets ${kind}`)
          : `Write ${newest}`;
      this.#report(node.origin, 'E_PRESET_VERSION', steps, `got ${shown(text)}, expected a ${kind} preset name@version`, hint);
      return;
    }
    const name = text.replace(/@.*$/, '');
    const newest = newestOf(name, refs);
    const hint = newest === undefined ? (didYouMean(text, refs) ?? `Known: kvcast presets ${kind}`) : `The newest version is ${newest}`;
    this.#report(node.origin, 'E_PRESET', steps, `got ${text}, expected a ${kind} preset`, hint);
  }

  #trace(node: LocatedNode & { type: 'scalar' }, steps: PathStep[]): void {
    if (typeof node.value !== 'string') return;
    const text = node.value;
    const refs = this.#context.presets.list('workload');
    if (refs.includes(text) || this.#context.traceExists(text, node.origin)) return;
    if (/[/\\]|\.(jsonl?|gz|ya?ml|zst)$/.test(text) || text === '-') {
      this.#report(node.origin, 'E_FILE', steps, `cannot read ${text} (no such file)`);
    } else this.#unknownPreset(node, 'workload', refs, steps);
  }

  #policy(node: LocatedNode, kind: 'router' | 'retention' | 'admission', steps: PathStep[]): void {
    if (node.type !== 'map') return;
    const plugin = node.entries.get('plugin')?.node;
    if (plugin !== undefined) {
      this.#report(
        plugin.origin,
        'E_UNSUPPORTED',
        [...steps, 'plugin'],
        `got ${shown(toValue(plugin))}, which this version does not load`,
        `Use a preset (kvcast presets ${kind})`,
      );
      return;
    }
    if ([...node.entries.keys()].some((key) => !['use', 'with', 'name'].includes(key))) return;
    const use = node.entries.get('use')?.node;
    const isPart = steps[0] === 'arms' && use === undefined;
    if (use === undefined && !isPart) {
      this.#report(
        node.origin,
        'E_REQUIRED',
        [...steps, 'use'],
        `got nothing, expected a ${kind} preset name@version`,
        `Known: kvcast presets ${kind}`,
      );
      return;
    }
    if (use?.type !== 'scalar' || typeof use.value !== 'string' || this.#context.policies === undefined) return;
    const known = this.#context.policies.filter((policy) => policy.kind === kind);
    const policy = known.find(({ name, version }) => `${name}@${version}` === use.value);
    if (policy === undefined) {
      const refs = known.map(({ name, version }) => `${name}@${version}`);
      const short = use.origin === node.origin ? steps : [...steps, 'use'];
      this.#unknownPreset(use, kind, refs, short);
      return;
    }
    if (steps[0] === 'arms' || (steps[0] === 'control' && this.#overridden.has(kind))) return;
    const values = node.entries.get('with')?.node;
    const problems: Problem[] = [];
    if (values === undefined || values.type === 'map') policyParameters(policy, values, { steps, node }, problems);
    for (const problem of problems) if (!this.#found.has(problem.path ?? '')) this.#found.set(problem.path ?? '', problem);
  }
}
