/** Resolves `extends`: files and presets merged depth-first, left to right, the file itself last. Source: experiments specification 1.3. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type Problem, UserError } from '../control/user-error.ts';
import { fromValue, type LocatedMap, type LocatedNode, type Origin } from './located-tree.ts';
import { mergeTrees } from './merge.ts';
import type { PresetKind, PresetStore } from './presets.ts';
import { problemAt } from './problem-place.ts';
import { didYouMean } from './spelling.ts';
import { parseSource } from './yaml-source.ts';

const MAX_DEPTH = 8;
const FRAGMENT_KINDS: readonly PresetKind[] = ['fleet', 'workload', 'slo', 'cost'];

/** A file on its way into the tree. */
export interface SourceFile {
  /** Path to open; undefined for text given directly. */
  readonly path: string | undefined;
  /** Name shown in positions; never absolute unless the user wrote it so. */
  readonly shown: string;
  readonly text: string;
}

/** Reads a file for the tree. Throws UserError E_FILE. */
export function readSource(path: string, shown: string, origin?: Origin): SourceFile {
  try {
    return { path, shown, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String((error as NodeJS.ErrnoException).code ?? error);
    const problem: Problem = { severity: 'error', code: 'E_FILE', file: shown, message: `cannot read (${why})` };
    throw new UserError(origin === undefined ? problem : problemAt(origin, 'E_FILE', 'extends', `cannot read ${shown} (${why})`));
  }
}

/** The tree of a file with everything it extends merged below it. Nulls and removals are still in it. Throws UserError. */
export function resolveExtends(file: SourceFile, presets: PresetStore, chain: readonly SourceFile[] = []): LocatedMap {
  const via = chain.map((f) => f.shown);
  const parsed = parseSource(file.text, file.shown, via);
  if (parsed.problems.length > 0) throw new UserError(parsed.problems);
  const root = parsed.root;
  if (root?.type !== 'map') {
    const got = root === undefined ? 'an empty file' : root.type === 'list' ? 'a list' : 'a single value';
    throw new UserError({ severity: 'error', code: 'E_TYPE', file: file.shown, line: 1, column: 1, message: `got ${got}, expected a map` });
  }
  const below = root.entries.get('extends')?.node;
  if (below?.type !== 'list') return root;
  if (chain.length >= MAX_DEPTH) {
    throw new UserError(
      problemAt(below.origin, 'E_EXTENDS_DEPTH', 'extends', `got more than ${MAX_DEPTH} levels, expected at most ${MAX_DEPTH}`),
    );
  }
  let merged: LocatedNode | undefined;
  for (const item of below.items) {
    if (item.type !== 'scalar' || typeof item.value !== 'string') continue;
    const tree = resolveOne(item.value, item.origin, file, presets, [...chain, file]);
    merged = merged === undefined ? tree : mergeTrees(merged, tree);
  }
  return merged === undefined ? root : (mergeTrees(merged, root) as LocatedMap);
}

function resolveOne(ref: string, origin: Origin, file: SourceFile, presets: PresetStore, chain: readonly SourceFile[]): LocatedNode {
  const fragment = ref.includes('@') && !/\.(ya?ml|json)$/.test(ref) ? presetFragment(ref, origin, presets) : undefined;
  if (fragment !== undefined) return fragment;
  if (/^[a-z]+:\/\//.test(ref))
    throw new UserError(problemAt(origin, 'E_FILE', 'extends', `got the URL ${ref}, expected a file or preset`));
  const base = file.path === undefined ? '.' : dirname(file.path);
  const path = join(base, ref);
  const shown = normalize(join(dirname(file.shown), ref));
  const loop = chain.findIndex((f) => f.path !== undefined && normalize(f.path) === normalize(path));
  if (loop >= 0) {
    const cycle = [...chain.slice(loop).map((f) => f.shown), shown].join(' -> ');
    throw new UserError(problemAt(origin, 'E_EXTENDS_CYCLE', 'extends', `got a cycle: ${cycle}`, 'Remove one of these'));
  }
  return withoutExtends(resolveExtends(readSource(path, shown, origin), presets, chain));
}

function presetFragment(ref: string, origin: Origin, presets: PresetStore): LocatedNode {
  for (const kind of FRAGMENT_KINDS) {
    const preset = presets.load(kind, ref);
    const scenario = preset?.values['scenario'];
    if (preset !== undefined && scenario !== undefined) return fromValue(scenario, { kind: 'preset', source: `${kind}/${ref}` });
  }
  const names = FRAGMENT_KINDS.flatMap((kind) =>
    presets.list(kind).filter((name) => presets.load(kind, name)?.values['scenario'] !== undefined),
  );
  const hint =
    didYouMean(ref, names) ??
    (names.length === 0 ? 'No preset of this version can be extended; name a file' : `Known: ${names.join(', ')}`);
  throw new UserError(problemAt(origin, 'E_PRESET', 'extends', `got ${ref}, expected a file or a preset that can be extended`, hint));
}

/** The list itself has done its work: an including file must not inherit it. */
function withoutExtends(root: LocatedMap): LocatedMap {
  const entries = new Map(root.entries);
  entries.delete('extends');
  return { ...root, entries };
}

/** Whether a path names an existing file. */
export function fileExists(path: string): boolean {
  return existsSync(path);
}
