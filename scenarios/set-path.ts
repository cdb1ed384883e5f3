/**
 * Addresses of leaves as the command line writes them: `fleet.pools.main.workers`, list items by name or `[index]`, a parameter of a
 * policy by the name of its arm or preset (`kvcast-soft.ttl`). Source: experiments specification 1.3, 11.6.16.
 */
import { type Problem, UserError } from '../control/user-error.ts';
import { emptyMap, fromValue, indexPath, itemName, type LocatedMap, type LocatedNode, type Origin, type PathStep } from './located-tree.ts';
import { problemAt, shown } from './problem-place.ts';
import { allFieldPaths, eachField, type FieldSchema, fieldAt, SCENARIO_SCHEMA } from './schema-walk.ts';
import { didYouMean } from './spelling.ts';

/** Engine flags as users know them and what they are called here. Source: vLLM engine arguments. */
export const ENGINE_FLAGS: Readonly<Record<string, string>> = {
  gpu_memory_utilization: 'engine.with.memoryUtilization',
  max_num_seqs: 'engine.with.maxSeqs',
  max_num_batched_tokens: 'engine.with.maxBatchedTokens',
  max_model_len: 'engine.with.maxModelLen',
  block_size: 'engine.with.blockSize',
  kv_cache_dtype: 'engine.with.kvDtype',
  num_gpu_blocks: 'engine.with.kvBlocks',
  num_gpu_blocks_override: 'engine.with.kvBlocks',
  enable_prefix_caching: 'engine.with.prefixCaching',
  enable_chunked_prefill: 'engine.with.chunkedPrefill',
  long_prefill_token_threshold: 'engine.with.longPrefillThreshold',
  scheduler_reserve_full_isl: 'engine.with.reserveFullIsl',
  scheduling_policy: 'engine.with.policy',
  async_scheduling: 'engine.with.asyncDepth',
  tensor_parallel_size: 'fleet.pools[].tensorParallel',
  expert_parallel_size: 'fleet.pools[].expertParallel',
  enable_expert_parallel: 'fleet.pools[].expertParallel',
  data_parallel_size: 'fleet.pools[].dataParallel',
  cpu_offload_gb: 'tiers.host.size',
  kv_offloading_size: 'tiers.host.size',
  swap_space: 'tiers.host.size',
};

/** The field an engine flag stands for, whatever its dashes. */
export function engineFlagField(key: string): string | undefined {
  return ENGINE_FLAGS[key.replace(/^-+/, '').replaceAll('-', '_').toLowerCase()];
}

/** `a.b[0].c` as steps. */
export function splitPath(text: string): PathStep[] {
  return text.split('.').flatMap((part) => {
    const match = /^([^[\]]+)((?:\[\d+\])*)$/.exec(part);
    if (match === null) return [part];
    return [match[1]!, ...[...match[2]!.matchAll(/\[(\d+)\]/g)].map((index) => Number(index[1]))];
  });
}

/**
 * Steps of `text` in this tree, list items as indexes. Keys need not exist yet, but the schema must know them.
 * Throws UserError E_UNKNOWN_KEY with did-you-mean.
 */
export function resolvePath(root: LocatedMap, text: string, origin: Origin): PathStep[] {
  const owner = policyByName(root, text);
  if (owner !== undefined) return indexNames(root, owner, text, origin);
  const written = splitPath(text);
  const steps: PathStep[] = [];
  let field: FieldSchema | undefined = SCENARIO_SCHEMA;
  let node: LocatedNode | undefined = root;
  for (let i = 0; i < written.length; i++) {
    const step = written[i]!;
    if (field.items !== undefined && field.properties === undefined) {
      const item = listItem(node, written, i);
      if (item === undefined) throw new UserError(unknownItem(origin, text, step, node));
      steps.push(item.index);
      node = item.node;
      field = field.items;
      i += item.taken - 1;
      continue;
    }
    const next: FieldSchema | undefined = typeof step === 'string' ? field.properties?.[step] : undefined;
    steps.push(step);
    if (next === undefined && field['x-open'] === true) return indexNames(root, [...steps, ...written.slice(i + 1)], text, origin);
    if (next === undefined) throw new UserError(unknownKey(origin, text, String(step), field));
    node = node?.type === 'map' ? node.entries.get(String(step))?.node : undefined;
    field = next;
  }
  return steps;
}

/** Steps inside a field that the schema leaves open, with the names of list items as indexes. Throws E_UNKNOWN_KEY for another name. */
function indexNames(root: LocatedMap, steps: readonly PathStep[], text: string, origin: Origin): PathStep[] {
  let node: LocatedNode | undefined = root;
  return steps.map((step) => {
    const holder = node;
    if (holder?.type === 'list') {
      const index = typeof step === 'number' ? step : holder.items.findIndex((item) => itemName(item) === step);
      if (index < 0) throw new UserError(unknownItem(origin, text, step, holder));
      node = holder.items[index];
      return index;
    }
    node = holder?.type === 'map' ? holder.entries.get(String(step))?.node : undefined;
    return step;
  });
}

/** Item of a list by index or by name; a name may contain dots, the longest match wins. */
function listItem(
  node: LocatedNode | undefined,
  written: readonly PathStep[],
  at: number,
): { index: number; node: LocatedNode; taken: number } | undefined {
  if (node?.type !== 'list') return undefined;
  const step = written[at]!;
  if (typeof step === 'number') {
    const item = node.items[step];
    return item === undefined ? undefined : { index: step, node: item, taken: 1 };
  }
  for (let taken = written.length - at; taken >= 1; taken--) {
    const name = written.slice(at, at + taken).join('.');
    const index = node.items.findIndex((item) => itemName(item) === name);
    if (index >= 0) return { index, node: node.items[index]!, taken };
  }
  return undefined;
}

function unknownItem(origin: Origin, path: string, step: PathStep, node: LocatedNode | undefined): Problem {
  const names = node?.type === 'list' ? node.items.map((item) => itemName(item) ?? '').filter((name) => name !== '') : [];
  const hint = typeof step === 'string' ? didYouMean(step, names) : undefined;
  const known = names.length === 0 ? undefined : `Names here: ${names.join(', ')}`;
  return problemAt(origin, 'E_UNKNOWN_KEY', path, `got ${shown(step)}, expected the name of a list item`, hint ?? known);
}

function unknownKey(origin: Origin, path: string, key: string, field: FieldSchema): Problem {
  return problemAt(origin, 'E_UNKNOWN_KEY', path, 'unknown key', unknownKeyHint(key, Object.keys(field.properties ?? {})));
}

/** An engine flag is known for certain; else siblings, else the whole schema. Source: experiments specification 1.5. */
export function unknownKeyHint(key: string, siblings: readonly string[]): string | undefined {
  const flag = engineFlagField(key);
  if (flag !== undefined) return `That engine flag is ${flag} here`;
  const near = didYouMean(key, siblings);
  if (near !== undefined) return near;
  const elsewhere =
    key === 'ttl' ? ['control.retention.with.ttl'] : allFieldPaths().filter((path) => path === key || path.endsWith(`.${key}`));
  return elsewhere.length === 0 ? undefined : `"${key}" exists at ${elsewhere.slice(0, 3).join(', ')}`;
}

const POLICY_KINDS = ['router', 'retention', 'admission'] as const;

/** Every place that holds a policy: steps and node (string or map). */
export function policyPlaces(
  root: LocatedMap,
): { steps: PathStep[]; node: LocatedNode; kind: (typeof POLICY_KINDS)[number]; arm?: string }[] {
  const places: ReturnType<typeof policyPlaces> = [];
  const add = (steps: PathStep[], node: LocatedNode | undefined, kind: (typeof POLICY_KINDS)[number], arm?: string) => {
    if (node !== undefined) places.push({ steps, node, kind, ...(arm === undefined ? {} : { arm }) });
  };
  const child = (node: LocatedNode | undefined, key: string) => (node?.type === 'map' ? node.entries.get(key)?.node : undefined);
  for (const kind of POLICY_KINDS) add(['control', kind], child(child(root, 'control'), kind), kind);
  const arms = child(root, 'arms');
  if (arms?.type === 'list') {
    for (const [i, arm] of arms.items.entries())
      for (const kind of POLICY_KINDS) add(['arms', i, 'control', kind], child(child(arm, 'control'), kind), kind, itemName(arm));
  }
  for (const kind of ['router', 'retention'] as const) {
    const list = child(child(root, 'matrix'), kind);
    if (list?.type === 'list') for (const [i, item] of list.items.entries()) add(['matrix', kind, i], item, kind, itemName(item));
  }
  return places;
}

/** Preset name without version of a policy node. */
export function policyName(node: LocatedNode): string | undefined {
  const use = node.type === 'map' ? node.entries.get('use')?.node : node;
  return use?.type === 'scalar' && typeof use.value === 'string' ? use.value.replace(/@.*$/, '') : undefined;
}

/** `kvcast-soft.ttl`: parameter of the policy with that preset, entry or arm name. The base control is the last choice. */
function policyByName(root: LocatedMap, text: string): PathStep[] | undefined {
  if (fieldAt([splitPath(text)[0]!]) !== undefined) return undefined;
  const places = policyPlaces(root);
  const entries = [...places.filter((place) => place.steps[0] !== 'control'), ...places.filter((place) => place.steps[0] === 'control')];
  for (let dot = text.lastIndexOf('.'); dot > 0; dot = text.lastIndexOf('.', dot - 1)) {
    const owner = text.slice(0, dot);
    const rest = splitPath(text.slice(dot + 1));
    const holds = (node: LocatedNode) => node.type === 'map' && withKeys(node).has(String(rest[0]));
    const found =
      entries.find((place) => place.arm === owner && holds(place.node)) ??
      entries.find((place) => policyName(place.node) === owner) ??
      entries.find((place) => place.arm === owner && place.kind === 'retention');
    if (found !== undefined) return [...found.steps, 'with', ...(rest[0] === 'with' ? rest.slice(1) : rest)];
  }
  return undefined;
}

function withKeys(node: LocatedMap): ReadonlySet<string> {
  const values = node.entries.get('with')?.node;
  return new Set(values?.type === 'map' ? values.entries.keys() : []);
}

/** Puts `value` at `steps`, making maps on the way and lifting preset shorthands; `null` deletes. Changes `root`. */
export function setAt(root: LocatedMap, steps: readonly PathStep[], value: LocatedNode, origin: Origin): void {
  let holder = root as LocatedNode;
  for (const [i, step] of steps.entries()) {
    const last = i === steps.length - 1;
    if (holder.type === 'list' && typeof step === 'number') {
      const next: LocatedNode = last ? value : asHolder(holder.items[step], steps[i + 1]!, origin);
      holder.items[step] = next;
      holder = next;
    } else if (holder.type === 'map') {
      const key = String(step);
      const entry = holder.entries.get(key);
      if (last && value.type === 'scalar' && value.value === null) holder.entries.delete(key);
      else if (last) holder.entries.set(key, { keyOrigin: entry?.keyOrigin ?? origin, node: value });
      else {
        const node = asHolder(entry?.node, steps[i + 1]!, origin);
        holder.entries.set(key, { keyOrigin: entry?.keyOrigin ?? origin, node });
        holder = node;
      }
    } else throw new Error(`setAt: ${indexPath(steps)} has no container at step ${i}`);
  }
}

/** The node as something that holds `step`: a preset shorthand is lifted, a value of the wrong shape (an error elsewhere) replaced. */
function asHolder(node: LocatedNode | undefined, step: PathStep, origin: Origin): LocatedNode {
  if (typeof step === 'number') return node?.type === 'list' ? node : { type: 'list', origin, items: [] };
  if (node === undefined || node.type === 'list') return emptyMap(origin);
  if (node.type === 'map') return node;
  const map = emptyMap(node.origin);
  if (typeof node.value === 'string') map.entries.set('use', { keyOrigin: node.origin, node });
  return map;
}

/** Sets a plain value at a written path. Throws UserError for an unknown path. */
export function applySet(root: LocatedMap, path: string, value: unknown, origin: Origin): void {
  setAt(root, resolvePath(root, path, origin), fromValue(value, origin), origin);
}

/** Paths that a sweep may shorten: every field of the tree outside presentation and other questions. */
export function addressablePaths(root: LocatedMap): string[] {
  const paths: string[] = [];
  const pools = root.entries.get('fleet')?.node;
  const poolList = pools?.type === 'map' ? pools.entries.get('pools')?.node : undefined;
  const names = poolList?.type === 'list' ? poolList.items.map((item) => itemName(item) ?? '') : [];
  eachField((path, field) => {
    if (/^(arms|matrix|slo|gate|plan|sweep|report|tags|extends|name|description|kvcast)\b/.test(path) || field.properties !== undefined)
      return;
    if (path.startsWith('fleet.pools[]')) for (const name of names) paths.push(path.replace('pools[]', `pools.${name}`));
    else if (!path.includes('[]')) paths.push(path);
  });
  for (const place of policyPlaces(root)) {
    if (place.node.type !== 'map') continue;
    const base = place.steps[0] === 'control' ? `control.${place.kind}.with` : (place.arm ?? policyName(place.node) ?? '');
    for (const key of withKeys(place.node)) paths.push(`${base}.${key}`);
  }
  return [...new Set(paths)];
}

/** The full path of an unambiguous dotted suffix. Throws UserError E_PATH_AMBIGUOUS or E_UNKNOWN_KEY. */
export function expandSuffix(root: LocatedMap, text: string, origin: Origin): string {
  const paths = addressablePaths(root);
  if (paths.includes(text)) return text;
  const matches = paths.filter((path) => path.endsWith(`.${text}`));
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) {
    const message = `got ${text}, expected a path or a suffix that fits one field`;
    throw new UserError(problemAt(origin, 'E_PATH_AMBIGUOUS', text, message, `It fits ${matches.slice(0, 5).join(', ')}`));
  }
  resolvePath(root, text, origin);
  return text;
}
