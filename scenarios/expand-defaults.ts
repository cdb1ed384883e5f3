/** Fills in what a scenario leaves out: preset shorthands, defaults of the schema, values of gpu, model and engine presets. */
import { DEFAULT_ORIGIN, emptyMap, fromValue, type LocatedMap, type LocatedNode, nodeAt, type Origin } from './located-tree.ts';
import type { EngineValues, GpuValues, ModelValues, Preset, PresetKind, PresetStore } from './presets.ts';
import { type FieldSchema, SCENARIO_SCHEMA } from './schema-walk.ts';

/** Defaults below `root` in place, each with its origin. Tolerates trees that the schema will refuse. */
export function expandDefaults(root: LocatedMap, presets: PresetStore): void {
  const kind = scalarAt(root, ['kind']);
  liftShorthands(root, SCENARIO_SCHEMA);
  fromPresets(root, presets);
  fill(root, SCENARIO_SCHEMA, typeof kind === 'string' ? kind : '');
}

function scalarAt(root: LocatedMap, steps: readonly (string | number)[]): unknown {
  const node = nodeAt(root, steps);
  return node?.type === 'scalar' ? node.value : undefined;
}

/** `dynamo-kv@1` becomes `{use: dynamo-kv@1}` wherever the schema allows the short form. */
function liftShorthands(node: LocatedNode, field: FieldSchema): void {
  if (node.type === 'list' && field.items !== undefined) {
    for (const [i, item] of node.items.entries()) {
      node.items[i] = lifted(item, field.items);
      liftShorthands(node.items[i]!, field.items);
    }
  } else if (node.type === 'map' && field.properties !== undefined) {
    for (const [key, entry] of node.entries) {
      const child = field.properties[key];
      if (child === undefined) continue;
      const value = lifted(entry.node, child);
      if (value !== entry.node) node.entries.set(key, { keyOrigin: entry.keyOrigin, node: value });
      liftShorthands(value, child);
    }
  }
}

function lifted(node: LocatedNode, field: FieldSchema): LocatedNode {
  const key = field['x-shorthand'];
  if (key === undefined || node.type !== 'scalar' || typeof node.value !== 'string') return node;
  const map = emptyMap(node.origin);
  map.entries.set(key, { keyOrigin: node.origin, node });
  return map;
}

function fill(node: LocatedNode, field: FieldSchema, kind: string): void {
  if (node.type === 'list') {
    if (field.items !== undefined) for (const item of node.items) fill(item, field.items, kind);
    return;
  }
  if (node.type !== 'map' || field.properties === undefined) return;
  for (const [name, child] of Object.entries(field.properties)) {
    const entry = node.entries.get(name);
    if (entry !== undefined) {
      fill(entry.node, child, kind);
      continue;
    }
    const value = child['x-defaultByKind'] === undefined ? child.default : child['x-defaultByKind'][kind];
    if (value === undefined) continue;
    const made = lifted(fromValue(value, DEFAULT_ORIGIN), child);
    node.entries.set(name, { keyOrigin: DEFAULT_ORIGIN, node: made });
    fill(made, child, kind);
  }
}

/** Values that a field takes from the preset it stands beside. Unknown presets are reported by the check, not here. */
function fromPresets(root: LocatedMap, presets: PresetStore): void {
  const model = presetAt<ModelValues>(root, ['fleet', 'model'], 'model', presets);
  if (model !== undefined) putAbsent(nodeAt(root, ['fleet']), 'contextLimit', model.values.contextLimit, model);
  const pools = nodeAt(root, ['fleet', 'pools']);
  if (pools?.type !== 'list') return;
  for (const pool of pools.items) {
    if (pool.type !== 'map') continue;
    const gpu = presetAt<GpuValues>(pool, ['gpu'], 'gpu', presets);
    if (gpu !== undefined) {
      putAbsent(pool, 'gpusPerNode', gpu.values.gpusPerNode, gpu);
      putAbsent(pool, 'priceUsdPerGpuHour', gpu.values.priceUsdPerGpuHour, gpu);
    }
    const engine = presetAt<EngineValues>(pool, ['engine', 'use'], 'engine', presets);
    const engineNode = pool.entries.get('engine')?.node;
    if (engine === undefined || engineNode?.type !== 'map') continue;
    if (!engineNode.entries.has('with')) {
      const made = emptyMap(DEFAULT_ORIGIN);
      engineNode.entries.set('with', { keyOrigin: DEFAULT_ORIGIN, node: made });
    }
    for (const [key, value] of Object.entries(engine.values.with)) putAbsent(engineNode.entries.get('with')!.node, key, value, engine);
  }
}

function presetAt<V>(root: LocatedMap, steps: readonly string[], kind: PresetKind, presets: PresetStore): Preset<V> | undefined {
  const ref = scalarAt(root, steps);
  return typeof ref === 'string' ? (presets.load(kind, ref) as Preset<V> | undefined) : undefined;
}

function putAbsent(node: LocatedNode | undefined, key: string, value: unknown, preset: Preset<unknown>): void {
  if (node?.type !== 'map' || node.entries.has(key)) return;
  const origin: Origin = { kind: 'preset', source: `${preset.kind}/${preset.ref}` };
  node.entries.set(key, { keyOrigin: origin, node: fromValue(value, origin) });
}
