/**
 * Every field broken in every way its schema forbids: exactly one error, at the line and column of the broken node.
 * The position is found by searching the text for a marker, not by the parser under test. Source: experiments specification, AC-1.2.
 */
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Problem, UserError } from '../control/user-error.ts';
import { loadScenarioSync } from './load-scenario.ts';
import { FULL_SCENARIO } from './mutation-fixture.ts';
import { type FieldSchema, SCENARIO_SCHEMA } from './schema-walk.ts';
import { testPolicies } from './test-policies.fixture.ts';

const POLICIES = testPolicies();
const MARK = 'zzmarkzz';

type Steps = readonly (string | number)[];
interface Mutant {
  readonly what: string;
  readonly steps: Steps;
  /** `key`: the key is misspelt; `value`: the value becomes this YAML text; `missing`: the key is gone. */
  readonly how: { readonly key: string } | { readonly value: string } | { readonly missing: true };
  readonly code: RegExp;
}

function load(text: string): readonly Problem[] {
  try {
    loadScenarioSync({ text, name: 'm.yaml' }, { policies: POLICIES });
    return [];
  } catch (error) {
    if (error instanceof UserError) return error.problems;
    throw error;
  }
}

const at = (value: unknown, steps: Steps): unknown =>
  steps.reduce<unknown>((node, step) => (node as Record<string | number, unknown>)[step], value);

/** The document with `edit` applied to the holder of a path. */
function edited(steps: Steps, edit: (holder: Record<string | number, unknown>, last: string | number) => void): unknown {
  const copy = structuredClone(FULL_SCENARIO) as Partial<Record<keyof typeof FULL_SCENARIO, unknown>>;
  // Arms are checked as scenarios of their own: leave them out where they are not the subject.
  if (steps[0] !== 'arms' && steps[0] !== 'baseline') for (const key of ['arms', 'baseline'] as const) delete copy[key];
  edit(at(copy, steps.slice(0, -1)) as Record<string | number, unknown>, steps[steps.length - 1]!);
  return copy;
}

/** Renames a key in place, keeping the order of keys. */
function renamed(holder: Record<string | number, unknown>, from: string | number, to: string): void {
  const entries = Object.entries(holder);
  for (const [key] of entries) delete holder[key];
  for (const [key, value] of entries) holder[key === from ? to : key] = value;
}

function place(text: string, needle: string): { line: number; column: number } {
  const offset = text.indexOf(needle);
  expect(offset, `${needle} in text`).toBeGreaterThanOrEqual(0);
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: before[before.length - 1]!.length + 1 };
}

function run({ steps, how, code, what }: Mutant): void {
  let text: string;
  let expected: { line: number; column: number };
  if ('missing' in how) {
    text = stringify(edited(steps, (holder, last) => delete holder[last]));
    const problems = load(text);
    expect(problems, `${what}\n${JSON.stringify(problems)}`).toHaveLength(1);
    expect(problems[0]!.code).toMatch(code);
    expect(problems[0]!.path?.endsWith(String(steps[steps.length - 1]))).toBe(true);
    return;
  }
  if ('key' in how) {
    text = stringify(edited(steps, (holder, last) => renamed(holder, last, how.key)));
    expected = place(text, `${how.key}:`);
  } else {
    const marked = stringify(
      edited(steps, (holder, last) => (holder[last] = MARK)),
      { lineWidth: 0 },
    );
    expected = place(marked, MARK);
    text = marked.replace(MARK, how.value);
  }
  const problems = load(text);
  expect(problems, `${what}\n${problems.map((p) => JSON.stringify(p)).join('\n')}`).toHaveLength(1);
  expect(problems[0], what).toMatchObject({ file: 'm.yaml', ...expected });
  expect(problems[0]!.code, what).toMatch(code);
}

/** All ways to break the value of one field. */
function valueMutants(steps: Steps, field: FieldSchema): Mutant[] {
  const name = steps.join('.');
  const make = (what: string, value: string, code: RegExp): Mutant => ({ what: `${name}: ${what}`, steps, how: { value }, code });
  const types = field.type === undefined ? [] : typeof field.type === 'string' ? [field.type] : field.type;
  const out: Mutant[] = [];
  const isFree = field['x-open'] === true || types.length === 0;
  if (!types.includes('array') && types.length > 0) out.push(make('a list', '[1, [2]]', /^E_TYPE$|^E_PATTERN$/));
  if (types.includes('array') && !isFree) out.push(make('a number for a list', '5', /^E_TYPE$/));
  if (types.length === 1 && types[0] === 'object') out.push(make('a number for a map', '5', /^E_TYPE$/));
  if (types.length === 1 && types[0] === 'string') out.push(make('a number for text', '5', /^E_TYPE$|^E_UNIT_MISSING$/));
  if (types.length === 1 && types[0] === 'boolean') out.push(make('text for a flag', 'perhaps', /^E_TYPE$/));
  if (types.length === 1 && (types[0] === 'integer' || types[0] === 'number'))
    out.push(make('text for a number', 'many', /^E_TYPE$|^E_ENUM$/));
  if (types.length === 1 && types[0] === 'integer' && field.const === undefined) out.push(make('a fraction', '1.5', /^E_TYPE$|^E_ENUM$/));
  if (field.enum !== undefined && types[0] === 'string') out.push(make('another word', 'zzz', /^E_ENUM$/));
  if (field.minimum !== undefined && types.length === 1) out.push(make('below the minimum', String(field.minimum - 1), /^E_RANGE$/));
  if (field.maximum !== undefined && types.length === 1) out.push(make('above the maximum', String(field.maximum + 1), /^E_RANGE$/));
  out.push(...scalarMutants(make, field));
  return out;
}

function scalarMutants(make: (what: string, value: string, code: RegExp) => Mutant, field: FieldSchema): Mutant[] {
  const out: Mutant[] = [];
  const units: Readonly<Record<string, readonly [string, string, string]>> = {
    duration: ['90', '90x', '0'],
    size: ['80', '80G', '0B'],
    bandwidth: ['50', '400Gb/s', '0GB/s'],
    rate: ['12', '12/d', '0/s'],
  };
  const kind = field['x-scalar'] ?? '';
  const texts = units[kind];
  if (texts !== undefined) {
    out.push(make('no unit', texts[0], /^E_UNIT_MISSING$/), make('an unknown unit', texts[1], /^E_PATTERN$|^E_SIZE_UNIT$/));
    if (field['x-exclusiveMin'] === true) out.push(make('zero', texts[2], /^E_RANGE$/));
  }
  if (kind === 'share') {
    out.push(
      make('above its range', '95', /^E_RANGE$/),
      make('below its range', '-0.5', /^E_RANGE$/),
      make('words', 'most', /^E_PATTERN$/),
    );
  }
  if (kind === 'tokens') out.push(make('an unknown unit', '5K', /^E_PATTERN$/), make('below its range', '-1', /^E_RANGE$/));
  if (kind === 'preset') out.push(make('no version', 'vllm', /^E_PRESET_VERSION$/), make('no such preset', 'nothing@1', /^E_PRESET$/));
  if (kind === 'metric') out.push(make('no such metric', 'turn.tfft', /^E_SLO_METRIC$/));
  if (kind === 'threshold')
    out.push(make('no such metric', '"turn.tfft < 5s"', /^E_SLO_METRIC$/), make('no operator', 'turn.ttft', /^E_EXPRESSION$/));
  if (kind === 'seed') out.push(make('text', '"42"', /^E_TYPE$/));
  return out;
}

/** Walks the full scenario beside the schema. */
function mutantsOf(value: unknown, field: FieldSchema, steps: Steps): Mutant[] {
  const out: Mutant[] = [];
  if (Array.isArray(value) && field.items !== undefined && field['x-open'] !== true) {
    for (const [i, item] of value.entries()) {
      if (typeof item !== 'object') out.push(...valueMutants([...steps, i], field.items));
      out.push(...mutantsOf(item, field.items, [...steps, i]));
    }
  } else if (value !== null && typeof value === 'object' && field.properties !== undefined) {
    for (const [key, child] of Object.entries(value)) {
      const schema = field.properties[key];
      if (schema === undefined) continue;
      const path = [...steps, key];
      const isRequired = field.required?.includes(key) === true;
      // The name of a list item is its identity: misspelt, nothing else in the item can be told.
      const misspelt = key.length > 3 ? `${key.slice(0, -2)}${key.at(-1)}${key.at(-2)}zz`.slice(0, key.length + 1) : `zz${key}`;
      if (!isRequired || key.length > 4)
        out.push({ what: `${path.join('.')}: misspelt key`, steps: path, how: { key: misspelt }, code: /^E_UNKNOWN_KEY$/ });
      if (isRequired) out.push({ what: `${path.join('.')}: missing`, steps: path, how: { missing: true }, code: /^E_REQUIRED$/ });
      out.push(...valueMutants(path, schema), ...mutantsOf(child, schema, path));
    }
  }
  return out;
}

const MUTANTS = mutantsOf(FULL_SCENARIO, SCENARIO_SCHEMA, []);

describe('one broken field, one error at its place', () => {
  it('starts from a scenario without errors', () => {
    expect(load(stringify(FULL_SCENARIO))).toEqual([]);
  });

  it('has more than 400 cases', () => {
    expect(MUTANTS.length).toBeGreaterThan(400);
  });

  const bySection = grouped(MUTANTS);
  for (const [section, mutants] of bySection) {
    it(`${section}: ${mutants.length} mutations`, () => {
      for (const mutant of mutants) run(mutant);
    });
  }
});

function grouped(mutants: readonly Mutant[]): Map<string, Mutant[]> {
  const groups = new Map<string, Mutant[]>();
  for (const mutant of mutants) groups.set(String(mutant.steps[0]), [...(groups.get(String(mutant.steps[0])) ?? []), mutant]);
  return groups;
}
