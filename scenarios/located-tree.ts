/** A document as a tree that remembers where every key and value came from, so that origins survive merging. */

/** Where a leaf got its value. Positions are 1-based. */
export interface Origin {
  readonly kind: 'default' | 'preset' | 'file' | 'flag';
  /** Display path of the file; the flag's text for `flag`; `gpu/h100-sxm@1` for `preset`. */
  readonly source?: string;
  readonly line?: number;
  readonly column?: number;
  /** Files that led here through `extends`, outermost first; empty for the root file. */
  readonly via?: readonly string[];
}

export interface LocatedScalar {
  readonly type: 'scalar';
  readonly origin: Origin;
  readonly value: string | number | boolean | null;
}

export interface LocatedList {
  readonly type: 'list';
  readonly origin: Origin;
  readonly items: LocatedNode[];
  /** Set when this list overrode something else: a later merge below it must not reach through. */
  replaces?: boolean;
}

export interface LocatedMap {
  readonly type: 'map';
  readonly origin: Origin;
  readonly entries: Map<string, LocatedEntry>;
  replaces?: boolean;
}

export interface LocatedEntry {
  readonly keyOrigin: Origin;
  readonly node: LocatedNode;
}

export type LocatedNode = LocatedScalar | LocatedList | LocatedMap;

/** Origin of leaves that nobody wrote. */
export const DEFAULT_ORIGIN: Origin = { kind: 'default' };

/** Empty map of an origin. */
export function emptyMap(origin: Origin): LocatedMap {
  return { type: 'map', origin, entries: new Map() };
}

/** Plain JavaScript value of a tree. */
export function toValue(node: LocatedNode): unknown {
  if (node.type === 'scalar') return node.value;
  if (node.type === 'list') return node.items.map(toValue);
  const value: Record<string, unknown> = {};
  for (const [key, entry] of node.entries) value[key] = toValue(entry.node);
  return value;
}

/** Tree of a plain value; every node has the same origin. */
export function fromValue(value: unknown, origin: Origin): LocatedNode {
  if (Array.isArray(value)) return { type: 'list', origin, items: value.map((item) => fromValue(item, origin)) };
  if (value !== null && typeof value === 'object') {
    const map = emptyMap(origin);
    for (const [key, item] of Object.entries(value)) map.entries.set(key, { keyOrigin: origin, node: fromValue(item, origin) });
    return map;
  }
  return { type: 'scalar', origin, value: value as LocatedScalar['value'] };
}

/** Deep copy; origins are shared. */
export function cloneTree<T extends LocatedNode>(node: T): T {
  if (node.type === 'scalar') return node;
  if (node.type === 'list') return { ...node, items: node.items.map(cloneTree) };
  const entries = new Map<string, LocatedEntry>();
  for (const [key, entry] of node.entries) entries.set(key, { keyOrigin: entry.keyOrigin, node: cloneTree(entry.node) });
  return { ...node, entries };
}

/** One step of a path: a key, or an index of a list. */
export type PathStep = string | number;

/** Value of `name` of a map item, if it has one. */
export function itemName(node: LocatedNode): string | undefined {
  if (node.type !== 'map') return undefined;
  const name = node.entries.get('name')?.node;
  return name?.type === 'scalar' && typeof name.value === 'string' ? name.value : undefined;
}

/** `fleet.pools[0].workers`: the form of error messages. */
export function indexPath(steps: readonly PathStep[]): string {
  return steps.reduce<string>((text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`), '');
}

/** Visits every leaf (scalar, empty map, empty list) with its steps, in document order. */
export function eachLeaf(node: LocatedNode, visit: (steps: PathStep[], node: LocatedNode) => void, steps: PathStep[] = []): void {
  if (node.type === 'list' && node.items.length > 0) {
    for (const [i, item] of node.items.entries()) eachLeaf(item, visit, [...steps, i]);
  } else if (node.type === 'map' && node.entries.size > 0) {
    for (const [key, entry] of node.entries) eachLeaf(entry.node, visit, [...steps, key]);
  } else visit(steps, node);
}

/** Node at a path, undefined when absent. */
export function nodeAt(root: LocatedNode, steps: readonly PathStep[]): LocatedNode | undefined {
  let node: LocatedNode | undefined = root;
  for (const step of steps) {
    if (node === undefined) return undefined;
    if (node.type === 'map') node = node.entries.get(String(step))?.node;
    else if (node.type === 'list') node = typeof step === 'number' ? node.items[step] : node.items.find((item) => itemName(item) === step);
    else return undefined;
  }
  return node;
}

/** `fleet.pools.main.workers`: list items by their name where they have one, else by index. */
export function namedPath(root: LocatedNode, steps: readonly PathStep[]): string {
  const named: PathStep[] = [];
  let node: LocatedNode | undefined = root;
  for (const step of steps) {
    if (node?.type === 'list' && typeof step === 'number') {
      const item: LocatedNode | undefined = node.items[step];
      named.push((item && itemName(item)) ?? step);
      node = item;
    } else {
      named.push(step);
      node = node?.type === 'map' ? node.entries.get(String(step))?.node : undefined;
    }
  }
  return indexPath(named);
}
