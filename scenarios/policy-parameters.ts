/**
 * Checks and converts the parameters of a policy (`with:`) against the preset's own JSON Schema: text with units becomes numbers
 * (ms, bytes, tokens, 0..1). The schema dialect is {@link ParameterSchema}.
 */
import type { Problem } from '../control/user-error.ts';
import { indexPath, type LocatedMap, type LocatedNode, type PathStep } from './located-tree.ts';
import type { ParameterSchema, PolicyDescription } from './presets.ts';
import { problemAt, shown } from './problem-place.ts';
import { formatScalar, parseScalar, type ScalarKind } from './scalars.ts';
import { didYouMean, orList } from './spelling.ts';

const UNIT_KINDS = new Set(['duration', 'size', 'bandwidth', 'rate', 'tokens', 'share']);

/** Values after defaults, in base units. Problems are appended; the values then are incomplete. */
export function policyParameters(
  policy: PolicyDescription,
  values: LocatedMap | undefined,
  at: { readonly steps: readonly PathStep[]; readonly node: LocatedNode },
  problems: Problem[],
): Record<string, unknown> {
  const checker = new ParameterChecker(problems);
  const node: LocatedMap = values ?? { type: 'map', origin: at.node.origin, entries: new Map() };
  return checker.map(node, policy.params, [...at.steps, 'with'], `${policy.name}@${policy.version}`);
}

class ParameterChecker {
  readonly #problems: Problem[];

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  map(node: LocatedMap, schema: ParameterSchema, steps: readonly PathStep[], owner: string): Record<string, unknown> {
    const known = schema.properties ?? {};
    const result: Record<string, unknown> = {};
    for (const [key, entry] of node.entries) {
      const child = known[key];
      if (child === undefined) {
        const names = Object.keys(known);
        const hint = didYouMean(key, names) ?? (names.length === 0 ? `${owner} has no parameters` : `${owner} has ${names.join(', ')}`);
        this.#problems.push(problemAt(entry.keyOrigin, 'E_UNKNOWN_KEY', indexPath([...steps, key]), 'unknown key', hint));
      } else result[key] = this.value(entry.node, child, [...steps, key]);
    }
    for (const [key, child] of Object.entries(known)) {
      if (key in result || node.entries.has(key)) continue;
      if (child.default !== undefined) result[key] = child.default;
      else if (schema.required?.includes(key)) {
        const message = `got nothing, expected ${describe(child)}`;
        this.#problems.push(problemAt(node.origin, 'E_REQUIRED', indexPath([...steps, key]), message, `${owner} needs it`));
      }
    }
    return result;
  }

  value(node: LocatedNode, schema: ParameterSchema, steps: readonly PathStep[]): unknown {
    const choices = schema.oneOf ?? [schema];
    const fits = choices.find((choice) => fitsShape(node, choice)) ?? nearestChoice(node, choices);
    if (fits.properties !== undefined && node.type === 'map') return this.map(node, fits, steps, indexPath(steps));
    const { items } = fits;
    if (items !== undefined && node.type === 'list') return node.items.map((item, i) => this.value(item, items, [...steps, i]));
    if (node.type !== 'scalar')
      return this.#report('E_TYPE', node, steps, `got ${shown(node.type === 'list' ? [] : {})}, expected ${describe(schema)}`);
    const unit = fits['x-unit'];
    if (unit !== undefined && UNIT_KINDS.has(unit)) return this.#scalar(node, fits, unit as ScalarKind, steps);
    return this.#plain(node, fits, schema, steps);
  }

  #scalar(node: LocatedNode & { type: 'scalar' }, schema: ParameterSchema, kind: ScalarKind, steps: readonly PathStep[]): unknown {
    const parsed = parseScalar(kind, node.value, schema.maximum === undefined);
    if (typeof parsed !== 'number')
      return this.#report(parsed.code, node, steps, `got ${shown(node.value)}, expected ${parsed.expected}`, parsed.hint);
    return this.#inRange(node, schema, parsed, steps, (value) => formatScalar(kind, value));
  }

  #plain(node: LocatedNode & { type: 'scalar' }, fits: ParameterSchema, schema: ParameterSchema, steps: readonly PathStep[]): unknown {
    const { value } = node;
    const types = typesOf(fits);
    if (fits.enum !== undefined && types.includes('string') && typeof value === 'string') {
      if (fits.enum.includes(value)) return value;
      const words = fits.enum.map(String);
      return this.#report('E_ENUM', node, steps, `got ${shown(value)}, expected ${orList(words)}`, didYouMean(value, words));
    }
    if (!types.some((type) => hasType(value, type)))
      return this.#report('E_TYPE', node, steps, `got ${shown(value)}, expected ${describe(schema)}`);
    return typeof value === 'number' ? this.#inRange(node, fits, value, steps, String) : value;
  }

  #inRange(
    node: LocatedNode,
    schema: ParameterSchema,
    value: number,
    steps: readonly PathStep[],
    text: (value: number) => string,
  ): unknown {
    if (schema.enum !== undefined && !schema.enum.includes(value)) {
      const words = schema.enum.map((allowed) => text(Number(allowed)));
      return this.#report('E_ENUM', node, steps, `got ${text(value)}, expected ${orList(words)}`);
    }
    const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity } = schema;
    if (value >= minimum && value <= maximum && value > exclusiveMinimum) return value;
    return this.#report('E_RANGE', node, steps, `got ${text(value)}, expected ${rangeText(schema, text)}`);
  }

  #report(code: string, node: LocatedNode, steps: readonly PathStep[], message: string, hint?: string): undefined {
    this.#problems.push(problemAt(node.origin, code, indexPath(steps), message, hint));
    return undefined;
  }
}

function typesOf(schema: ParameterSchema): readonly string[] {
  return schema.type === undefined ? [] : typeof schema.type === 'string' ? [schema.type] : schema.type;
}

function hasType(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  return typeof value === type;
}

/** Whether a choice of a oneOf is meant by this node, judged by shape only. */
function fitsShape(node: LocatedNode, schema: ParameterSchema): boolean {
  if (schema.properties !== undefined) return node.type === 'map';
  if (schema.items !== undefined) return node.type === 'list';
  if (node.type !== 'scalar') return false;
  if (schema.enum !== undefined && schema['x-unit'] === undefined) return schema.enum.includes(node.value);
  if (schema['x-unit'] !== undefined && UNIT_KINDS.has(schema['x-unit'])) {
    return typeof parseScalar(schema['x-unit'] as ScalarKind, node.value, true) === 'number';
  }
  return typesOf(schema).some((type) => hasType(node.value, type));
}

/** The choice whose error is worth reading: a word for a word, a number with unit for anything with a digit. */
function nearestChoice(node: LocatedNode, choices: readonly ParameterSchema[]): ParameterSchema {
  const digits = node.type === 'scalar' && /\d/.test(String(node.value));
  return choices.find((choice) => (choice['x-unit'] !== undefined) === digits && choice.properties === undefined) ?? choices[0]!;
}

function describe(schema: ParameterSchema): string {
  if (schema.oneOf !== undefined) return orList(schema.oneOf.map(describe));
  if (schema['x-unit'] !== undefined && UNIT_KINDS.has(schema['x-unit'])) return `a ${schema['x-unit']}`;
  if (schema.enum !== undefined) return orList(schema.enum.map(String));
  if (schema.properties !== undefined) return `a map of ${Object.keys(schema.properties).join(', ')}`;
  if (schema.items !== undefined) return `a list, each item ${describe(schema.items)}`;
  return orList(typesOf(schema).map((type) => (type === 'integer' ? 'an integer' : `a ${type}`)));
}

function rangeText(schema: ParameterSchema, text: (value: number) => string): string {
  const noun = schema['x-unit'] === 'duration' ? 'a duration ' : '';
  const low = schema.exclusiveMinimum === undefined ? schema.minimum : undefined;
  if (low !== undefined && schema.maximum !== undefined) return `${noun}${text(low)}..${text(schema.maximum)}`;
  if (schema.exclusiveMinimum !== undefined) return `${noun}> ${text(schema.exclusiveMinimum)}`;
  return low === undefined ? `${noun}<= ${text(schema.maximum ?? Infinity)}` : `${noun}>= ${text(low)}`;
}
