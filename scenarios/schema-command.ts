/** `kvcast schema`: the JSON Schema, one field of it, or a scenario with every default and origin. Output: design/cli.md section 2. */
import { dirname, relative } from 'node:path';
import { formatProblem, type Problem, UserError } from '../control/user-error.ts';
import { expectation } from './check-tree.ts';
import { alignColumns, type CommandOutput } from './command-output.ts';
import { type LoadOptions, loadScenarioSync, type ResolvedLeaf } from './load-scenario.ts';
import { problemLines } from './problem-place.ts';
import { allFieldPaths, eachField, type FieldSchema, SCENARIO_SCHEMA } from './schema-walk.ts';
import { unknownKeyHint } from './set-path.ts';
import { didYouMean } from './spelling.ts';

/** One of the three forms of the command. */
export type SchemaRequest = { readonly kind: string } | { readonly resolved: string } | { readonly field: string };

export interface SchemaOptions extends LoadOptions {
  /** Other published schemas by name (`result`, …), as JSON text. */
  readonly schemas?: Readonly<Record<string, string>>;
}

/** Prints a schema, a resolved scenario (`path value origin`, sorted by path), or what one field means. */
export async function runSchema(request: SchemaRequest, options: SchemaOptions = {}): Promise<CommandOutput> {
  try {
    if ('resolved' in request) return { stdout: resolvedLines(request.resolved, options), stderr: [], exitCode: 0 };
    if ('field' in request) return { stdout: fieldLines(request.field), stderr: [], exitCode: 0 };
    return { stdout: schemaText(request.kind, options.schemas ?? {}).split('\n'), stderr: [], exitCode: 0 };
  } catch (error) {
    if (error instanceof UserError) return { stdout: [], stderr: problemLines(error.problems, formatProblem), exitCode: error.exitCode };
    throw error;
  }
}

function schemaText(kind: string, others: Readonly<Record<string, string>>): string {
  if (kind === 'scenario') return JSON.stringify(SCENARIO_SCHEMA, null, 2);
  const other = others[kind];
  if (other !== undefined) return other.trimEnd();
  const names = ['scenario', ...Object.keys(others)];
  throw usage(`got schema ${kind}, expected ${names.join(', ')}`, didYouMean(kind, names));
}

function usage(message: string, hint?: string): UserError {
  const problem: Problem = { severity: 'error', code: 'E_USAGE', message, ...(hint === undefined ? {} : { hint }) };
  return new UserError(problem);
}

function resolvedLines(file: string, options: LoadOptions): string[] {
  const scenario = loadScenarioSync({ file }, options);
  const home = dirname(scenario.file);
  const leaves = [...scenario.leaves()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return alignColumns(leaves.map((leaf) => [leaf.path, valueText(leaf.value), originText(leaf, home)]));
}

/** How a leaf is written in a scenario file. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') return value === '' || /[\n#]|: /.test(value) ? JSON.stringify(value) : value;
  return JSON.stringify(value);
}

/** `file quickstart.yaml:15:17  (extends)`, `preset gpu/h100-sxm@1`, `flag --set …`, `default`. Files are relative to `home`. */
export function originText({ origin }: ResolvedLeaf, home: string): string {
  if (origin.kind === 'default') return 'default';
  if (origin.kind === 'preset') return `preset ${origin.source}`;
  if (origin.kind === 'flag') return `flag ${origin.source}`;
  const file = relative(home, origin.source ?? '') || (origin.source ?? '');
  const included = origin.via !== undefined && origin.via.length > 0 ? '  (extends)' : '';
  return `file ${file}:${origin.line}:${origin.column}${included}`;
}

/** Path of the schema for a written one: `fleet.pools.main.workers`, `fleet.pools[0].workers` and `pools[].workers` mean the same. */
function fieldLines(path: string): string[] {
  const bare = path.replace(/\[\d*\]/g, '');
  const fields = new Map<string, { field: FieldSchema; parent: FieldSchema; at: string }>();
  eachField((at, field, parent) => fields.set(at.replaceAll('[]', ''), { field, parent, at }));
  const named = bare.replace(/^(fleet\.pools|arms|slo|fleet\.faults)\.[^.]+(?=\.)/, '$1');
  const suffix = [...fields.keys()].filter((key) => key.endsWith(`.${bare}`));
  const found = fields.get(bare) ?? fields.get(named) ?? (suffix.length === 1 ? fields.get(suffix[0]!) : undefined);
  if (found === undefined) {
    const last = bare.split('.').at(-1)!;
    const many = suffix.length > 1 ? `It fits ${suffix.slice(0, 5).join(', ')}` : undefined;
    throw new UserError({
      severity: 'error',
      code: suffix.length > 1 ? 'E_PATH_AMBIGUOUS' : 'E_UNKNOWN_KEY',
      path,
      message: suffix.length > 1 ? 'got a suffix of several fields' : 'unknown key',
      ...hintOf(
        many ??
          didYouMean(bare, allFieldPaths()) ??
          unknownKeyHint(
            last,
            allFieldPaths().map((known) => known.split('.').at(-1)!),
          ),
      ),
    });
  }
  return describeField(found.at, found.field, found.parent);
}

function hintOf(hint: string | undefined): { hint?: string } {
  return hint === undefined ? {} : { hint };
}

function describeField(path: string, field: FieldSchema, parent: FieldSchema): string[] {
  const lines = [`${path}: ${expectation(field)}`, `  ${field.description}`];
  lines.push(`  ${defaultText(path, field, parent)}`);
  if (field.properties !== undefined) lines.push(`  keys: ${Object.keys(field.properties).join(', ')}`);
  const unit = field['x-unit'] === undefined || field['x-unit'] === 'none' ? [] : [`unit ${field['x-unit']}`];
  const owner = field['x-owner'] === undefined ? [] : [`${field['x-owner'].replace(':', ' specification ')}`];
  const tier = field['x-tier'] === undefined || field['x-tier'] === 'core' ? [] : [`status ${field['x-tier']}`];
  const facts = [...unit, ...tier, ...owner];
  if (facts.length > 0) lines.push(`  ${facts.join(' · ')}`);
  const when = field['x-inertWhen'];
  if (when !== undefined) lines.push(`  without effect while ${when.reason}`);
  if (field['x-unsupported'] !== undefined)
    lines.push(`  not modelled yet: ${field['x-unsupported'].values?.join(', ') ?? 'any value'}. ${field['x-unsupported'].hint}`);
  return lines;
}

function defaultText(path: string, field: FieldSchema, parent: FieldSchema): string {
  const name = path.replace('[]', '').split('.').at(-1)!;
  if (parent.required?.includes(name)) return 'required';
  const byKind = field['x-defaultByKind'];
  if (byKind !== undefined)
    return `default ${Object.entries(byKind)
      .map(([kind, value]) => `${valueText(value)} (${kind})`)
      .join(', ')}`;
  if (field.default !== undefined) return `default ${valueText(field.default)}`;
  return `default: ${field['x-default'] ?? 'none'}`;
}
