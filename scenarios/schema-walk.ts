/** Access to the scenario schema, the source of truth for every field: lookup by path, walk over all leaves. */
import type { PathStep } from './located-tree.ts';
import document from './schema/scenario.v1.schema.json' with { type: 'json' };

/** Condition under which a field cannot influence the run. `path` is a sibling, or absolute with a leading `/` or a known root. */
export interface InertWhen {
  readonly path: string;
  readonly is?: readonly unknown[];
  readonly not?: readonly unknown[];
  readonly reason: string;
}

/** Legal values that this version does not model; without a list, any value. */
export interface Unsupported {
  readonly hint: string;
  readonly values?: readonly unknown[];
  readonly above?: number;
  /** Preset names without version. */
  readonly presets?: readonly string[];
}

/** One node of the schema: the JSON Schema keywords in use and the extensions. */
export interface FieldSchema {
  readonly description: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly items?: FieldSchema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly 'x-unit'?: string;
  readonly 'x-tier'?: 'core' | 'next' | 'later';
  readonly 'x-owner'?: string;
  /** Where the value comes from when absent, in words. */
  readonly 'x-default'?: string;
  /** Default by `kind` of the scenario. */
  readonly 'x-defaultByKind'?: Readonly<Record<string, unknown>>;
  /** Grammar of scalars.ts, or preset, presetOrPath, metric, threshold. */
  readonly 'x-scalar'?: string;
  /** Range in base units after parsing. */
  readonly 'x-min'?: number;
  readonly 'x-max'?: number;
  readonly 'x-exclusiveMin'?: boolean;
  readonly 'x-powerOfTwo'?: boolean;
  readonly 'x-inf'?: boolean;
  /** Words allowed besides the grammar. */
  readonly 'x-words'?: readonly string[];
  /** Closed set of strings of a field that may also be a map. */
  readonly 'x-values'?: readonly string[];
  readonly 'x-patternText'?: string;
  readonly 'x-hint'?: string;
  readonly 'x-preset'?: string;
  readonly 'x-policy'?: 'router' | 'retention' | 'admission';
  /** A bare string stands for `{<shorthand>: string}`. */
  readonly 'x-shorthand'?: string;
  readonly 'x-open'?: boolean;
  readonly 'x-setPaths'?: boolean;
  readonly 'x-inertWhen'?: InertWhen;
  readonly 'x-unsupported'?: Unsupported;
}

/** The JSON Schema of scenario files. */
export const SCENARIO_SCHEMA = document as unknown as FieldSchema;

/** Schema of the node at `steps`; undefined where the path leaves the schema or enters an open map. */
export function fieldAt(steps: readonly PathStep[]): FieldSchema | undefined {
  let field: FieldSchema | undefined = SCENARIO_SCHEMA;
  for (const step of steps) {
    if (field === undefined) return undefined;
    field = typeof step === 'number' ? field.items : (field.properties?.[step] ?? undefined);
  }
  return field;
}

/** Whether a field holds further fields of the schema. */
export function isBranch(field: FieldSchema): boolean {
  return field.properties !== undefined || (field.items !== undefined && field.items.properties !== undefined);
}

/** Visits every field below `field` with a display path (`fleet.pools[].workers`), parents first. */
export function eachField(
  visit: (path: string, field: FieldSchema, parent: FieldSchema) => void,
  field = SCENARIO_SCHEMA,
  path = '',
): void {
  for (const [name, child] of Object.entries(field.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    visit(at, child, field);
    eachField(visit, child, at);
  }
  if (field.items !== undefined && field['x-open'] !== true) {
    if (field.items.properties === undefined) visit(`${path}[]`, field.items, field);
    eachField(visit, field.items, `${path}[]`);
  }
}

/** All field paths without list brackets, `fleet.pools.workers`; for did-you-mean over the whole schema. */
export function allFieldPaths(): readonly string[] {
  const paths: string[] = [];
  eachField((path) => paths.push(path.replaceAll('[]', '')));
  return paths;
}
