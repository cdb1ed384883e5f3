/**
 * Merging of scenario trees: maps deep-merge, scalars and plain lists replace, lists of named items merge by name, `null` deletes,
 * `{name, $remove: true}` deletes an item. A value that overrode one of another shape keeps a mark, so that merging is associative.
 * Source: experiments specification 1.3.
 */
import type { Problem } from '../control/user-error.ts';
import { emptyMap, indexPath, itemName, type LocatedList, type LocatedMap, type LocatedNode, type PathStep } from './located-tree.ts';
import { didYouMean } from './spelling.ts';

/** `over` laid on `under`; neither is changed. */
export function mergeTrees(under: LocatedNode, over: LocatedNode): LocatedNode {
  if (over.type === 'map') {
    if (under.type === 'map' && over.replaces !== true) return mergeMaps(under, over);
    if (under.type === 'scalar' && isPresetName(under.value) && over.replaces !== true && isUseMap(over))
      return mergeMaps(lift(under), over);
    return { ...over, replaces: true };
  }
  if (over.type === 'list') {
    if (under.type === 'list' && over.replaces !== true && isNamed(under) && isNamed(over)) return mergeLists(under, over);
    return { ...over, replaces: true };
  }
  return over;
}

/** A preset given as a bare string, as the map it abbreviates. It replaces whatever lies below. */
function lift(node: LocatedNode): LocatedMap {
  const map = emptyMap(node.origin);
  map.entries.set('use', { keyOrigin: node.origin, node });
  map.replaces = true;
  return map;
}

/** `name@version`; other strings, such as a duration, are values that a map replaces. */
function isPresetName(value: unknown): boolean {
  return typeof value === 'string' && value.includes('@');
}

/** A map that may stand on a bare preset string: any that does not name another preset, or merging would depend on its order. */
function isUseMap(map: LocatedMap): boolean {
  return !map.entries.has('use');
}

function mergeMaps(under: LocatedMap, over: LocatedMap): LocatedMap {
  const merged: LocatedMap = { type: 'map', origin: over.origin, entries: new Map(under.entries) };
  if (under.replaces === true) merged.replaces = true;
  for (const [key, entry] of over.entries) {
    // What a `use` names is replaced whole: it never stands for part of something.
    const below = key === 'use' ? undefined : under.entries.get(key);
    merged.entries.set(key, below === undefined ? entry : { keyOrigin: entry.keyOrigin, node: mergeTrees(below.node, entry.node) });
  }
  return merged;
}

function isNamed(list: LocatedList): boolean {
  return list.items.length > 0 && list.items.every((item) => itemName(item) !== undefined);
}

function mergeLists(under: LocatedList, over: LocatedList): LocatedList {
  const items = [...under.items];
  for (const item of over.items) {
    const name = itemName(item);
    const at = items.findIndex((other) => itemName(other) === name);
    if (at < 0) items.push(item);
    else if (isRemoval(item) && !isRemoval(items[at]!)) items.splice(at, 1);
    else items[at] = isRemoval(items[at]!) ? item : mergeTrees(items[at]!, item);
  }
  const merged: LocatedList = { type: 'list', origin: over.origin, items };
  if (under.replaces === true) merged.replaces = true;
  return merged;
}

function isRemoval(node: LocatedNode): boolean {
  const mark = node.type === 'map' ? node.entries.get('$remove')?.node : undefined;
  return mark?.type === 'scalar' && mark.value === true;
}

/** Drops what `null` deleted. A removal that met no item is reported; so is `$remove` with another value than true. */
export function finishMerge(root: LocatedNode, problems: Problem[], steps: PathStep[] = []): LocatedNode {
  if (root.type === 'list') return { ...root, items: finishItems(root, problems, steps) };
  if (root.type !== 'map') return root;
  const finished: LocatedMap = { ...root, entries: new Map() };
  for (const [key, entry] of root.entries) {
    if (entry.node.type === 'scalar' && entry.node.value === null) continue;
    finished.entries.set(key, { keyOrigin: entry.keyOrigin, node: finishMerge(entry.node, problems, [...steps, key]) });
  }
  return finished;
}

function finishItems(list: LocatedList, problems: Problem[], steps: PathStep[]): LocatedNode[] {
  const items: LocatedNode[] = [];
  for (const [i, item] of list.items.entries()) {
    if (!isRemoval(item)) {
      items.push(finishMerge(item, problems, [...steps, i]));
      continue;
    }
    const others = list.items.filter((other) => !isRemoval(other)).map((other) => itemName(other) ?? '');
    const { source, line, column } = item.origin;
    const hint = didYouMean(itemName(item) ?? '', others);
    problems.push({
      severity: 'error',
      code: 'E_REMOVE_UNKNOWN',
      ...(source === undefined ? {} : { file: source }),
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
      path: indexPath([...steps, i]),
      message: `got $remove of ${itemName(item)}, expected an item of that name below this file`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return items;
}
