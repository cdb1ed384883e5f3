/** Arms: what is compared. Each gets its own tree: the base with the arm's control merged in and its `set` applied. */
import { type Problem, UserError } from '../control/user-error.ts';
import {
  cloneTree,
  emptyMap,
  indexPath,
  itemName,
  type LocatedEntry,
  type LocatedMap,
  type LocatedNode,
  nodeAt,
  type Origin,
  toValue,
} from './located-tree.ts';
import { mergeTrees } from './merge.ts';
import { problemAt, shown } from './problem-place.ts';
import { policyName, resolvePath, setAt } from './set-path.ts';

/** One arm before defaults. */
export interface ArmTree {
  readonly name: string;
  readonly describe: string;
  readonly origin: Origin | undefined;
  readonly tree: LocatedMap;
}

const MAX_ARMS = 64;

/** Arms of a finished tree (nulls and removals gone, defaults not yet in). Problems are appended. */
export function expandArms(root: LocatedMap, problems: Problem[]): ArmTree[] {
  const matrix = root.entries.get('matrix');
  const arms = root.entries.get('arms');
  if (matrix !== undefined && arms !== undefined) {
    const message = 'got matrix and arms, expected one of them';
    problems.push(
      problemAt(matrix.keyOrigin, 'E_MATRIX_AND_ARMS', 'matrix', message, 'Write matrix: null to use inherited arms, or arms: null'),
    );
    return [];
  }
  if (matrix?.node.type === 'map') return matrixArms(root, matrix.node, problems);
  if (arms?.node.type === 'list' && arms.node.items.length > 0)
    return arms.node.items.flatMap((item, i) => listArm(root, item, i, problems));
  return [{ name: 'default', describe: '', origin: undefined, tree: baseTree(root) }];
}

function baseTree(root: LocatedMap): LocatedMap {
  const base = cloneTree(root);
  for (const key of ['arms', 'matrix', 'baseline']) base.entries.delete(key);
  return base;
}

function listArm(root: LocatedMap, item: LocatedNode, index: number, problems: Problem[]): ArmTree[] {
  const name = itemName(item);
  if (item.type !== 'map' || name === undefined) return [];
  const tree = baseTree(root);
  const control = item.entries.get('control')?.node;
  if (control?.type === 'map') {
    const base = tree.entries.get('control');
    const merged = base === undefined ? control : mergeTrees(base.node, control);
    tree.entries.set('control', { keyOrigin: base?.keyOrigin ?? control.origin, node: cloneTree(merged) });
  }
  const set = item.entries.get('set')?.node;
  if (set?.type === 'map') for (const [path, entry] of set.entries) applyArmSet(tree, name, path, entry, `arms.${name}.set`, problems);
  const describe = item.entries.get('describe')?.node;
  const origin = item.entries.get('name')?.node.origin;
  const text = describe?.type === 'scalar' && typeof describe.value === 'string' ? describe.value : '';
  return [{ name, describe: text, origin: origin ?? nodeAt(root, ['arms', index])?.origin, tree }];
}

function applyArmSet(tree: LocatedMap, arm: string, path: string, entry: LocatedEntry, at: string, problems: Problem[]): void {
  if (/^(seed|workload|run)(\.|$)/.test(path)) {
    const message = `got ${path}, expected a path outside seed, workload.* and run.*`;
    problems.push(problemAt(entry.keyOrigin, 'E_PAIR_MISMATCH', at, message, 'Arms share one workload; use sweep'));
    return;
  }
  try {
    setAt(tree, resolvePath(tree, path, entry.keyOrigin), cloneTree(entry.node), entry.keyOrigin);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(...error.problems.map((problem) => ({ ...problem, path: `arms.${arm}.set.${path}` })));
  }
}

interface MatrixEntry {
  readonly label: string;
  readonly node: LocatedNode | undefined;
}

function matrixArms(root: LocatedMap, matrix: LocatedMap, problems: Problem[]): ArmTree[] {
  const routers = matrixEntries(matrix, root, 'router');
  const retentions = matrixEntries(matrix, root, 'retention');
  const size = routers.length * retentions.length;
  if (size > MAX_ARMS) {
    problems.push(problemAt(matrix.origin, 'E_RANGE', 'matrix', `got ${size} arms, expected at most ${MAX_ARMS}`));
    return [];
  }
  return routers.flatMap((router) =>
    retentions.map((retention) => {
      const tree = baseTree(root);
      const control = tree.entries.get('control')?.node;
      const made = control?.type === 'map' ? control : emptyMap(matrix.origin);
      if (control?.type !== 'map') tree.entries.set('control', { keyOrigin: matrix.origin, node: made });
      for (const [kind, entry] of [
        ['router', router],
        ['retention', retention],
      ] as const) {
        if (entry.node !== undefined) made.entries.set(kind, { keyOrigin: entry.node.origin, node: withoutName(cloneTree(entry.node)) });
      }
      const origin = retention.node?.origin ?? router.node?.origin;
      return { name: `${router.label}+${retention.label}`, describe: '', origin, tree };
    }),
  );
}

function matrixEntries(matrix: LocatedMap, root: LocatedMap, kind: 'router' | 'retention'): MatrixEntry[] {
  const list = matrix.entries.get(kind)?.node;
  if (list?.type === 'list') return list.items.map((node) => ({ label: itemName(node) ?? policyName(node) ?? '?', node }));
  const base = nodeAt(root, ['control', kind]);
  const fallback = kind === 'router' ? 'dynamo-kv' : 'lru';
  return [{ label: (base && policyName(base)) ?? fallback, node: undefined }];
}

function withoutName(node: LocatedNode): LocatedNode {
  if (node.type === 'map') node.entries.delete('name');
  return node;
}

/** E_ARM_DUPLICATE and E_BASELINE_UNKNOWN. Returns the baseline's name. */
export function checkArms(root: LocatedMap, arms: readonly ArmTree[], problems: Problem[]): string {
  const seen = new Set<string>();
  for (const arm of arms) {
    if (seen.has(arm.name)) {
      const hint = root.entries.has('matrix') ? 'Give one of the two entries a name' : 'Rename one';
      problems.push(
        problemAt(arm.origin, 'E_ARM_DUPLICATE', indexPath(['arms']), `got a second arm ${arm.name}, expected unique names`, hint),
      );
    }
    seen.add(arm.name);
  }
  const first = arms[0]?.name ?? 'default';
  const baseline = root.entries.get('baseline')?.node;
  if (baseline === undefined || problems.length > 0) return first;
  const name = toValue(baseline);
  if (typeof name === 'string' && seen.has(name)) return name;
  const message = `got ${shown(name)}, expected the name of an arm`;
  problems.push(problemAt(baseline.origin, 'E_BASELINE_UNKNOWN', 'baseline', message, `Arms: ${[...seen].join(', ')}`));
  return first;
}
