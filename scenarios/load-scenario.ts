/**
 * From a file to a validated scenario: parse, resolve `extends`, apply flags, expand arms and defaults, check, convert.
 * Every leaf keeps its origin. Source: experiments specification 1.1.
 */
import { createHash } from 'node:crypto';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import canonicalize from 'canonicalize';
import { parse } from 'yaml';
import { type Problem, UserError } from '../control/user-error.ts';
import { type ArmTree, checkArms, expandArms } from './arms.ts';
import { checkMeaning } from './check-meaning.ts';
import { type CheckContext, checkTree } from './check-tree.ts';
import { type ConvertContext, convertSettings } from './convert-settings.ts';
import { expandDefaults } from './expand-defaults.ts';
import { fileExists, readSource, resolveExtends, type SourceFile } from './extends.ts';
import { declaredInert, type InertLeaf, trackReads, unreadInert } from './inert-fields.ts';
import { cloneTree, eachLeaf, type LocatedMap, namedPath, nodeAt, type Origin, type PathStep, toValue } from './located-tree.ts';
import { finishMerge } from './merge.ts';
import { normalText } from './normal-text.ts';
import { findPackageRoot, type PolicyCatalogue, type PresetStore, presetStore } from './presets.ts';
import { type Place, placeOf, sortProblems } from './problem-place.ts';
import { parseScalar, SCALAR_NAMES, type ScalarKind } from './scalars.ts';
import type { Scenario } from './scenario.gen.ts';
import { type FieldSchema, fieldAt, SCENARIO_SCHEMA } from './schema-walk.ts';
import { applySet, resolvePath, splitPath } from './set-path.ts';
import type { ScenarioSettings } from './settings.ts';

/** Where a scenario comes from: a path or the name of a shipped one, or text (stdin, tests). */
export type ScenarioSource = { readonly file: string } | { readonly text: string; readonly name: string };

/** An override: text of the value as on the command line, or a plain value. */
export interface Override {
  readonly path: string;
  readonly value: unknown;
  /** Shown as the origin, e.g. `--set ttl=5m`. */
  readonly flag: string;
}

export interface LoadOptions {
  /** `path=value` of `--set`, in order. */
  readonly sets?: readonly string[];
  /** Further overrides, e.g. of a sweep point; applied after `sets`. */
  readonly overrides?: readonly Override[];
  readonly seed?: number;
  readonly reps?: number;
  /** Policy presets; without them names and parameters of policies are not checked. */
  readonly policies?: PolicyCatalogue;
  /** Folder with scenarios/ and traces/samples/; found by itself. */
  readonly packageRoot?: string;
  /** Folder that flags and file arguments are relative to. */
  readonly cwd?: string;
}

/** One arm with its own settings. Workload and run are the same in all arms. */
export interface LoadedArm {
  readonly name: string;
  readonly describe: string;
  readonly settings: ScenarioSettings;
  /** The same, noting what is read; see {@link LoadedScenario.inert}. */
  readonly read: ScenarioSettings;
  /** Resolved scenario of this arm, scalars as written. */
  readonly scenario: Scenario;
  /** sha256 (hex) of the arm's resolved scenario; equal arms have equal ids. */
  readonly armId: string;
  /** All leaves of this arm with their normal texts. */
  leaves(): readonly NormalLeaf[];
  /** Origin of a leaf in this arm. */
  origin(path: string): Origin | undefined;
  /** Place for a problem of this arm. */
  locate(path: string): Place & { readonly path: string };
}

/** A leaf of the resolved scenario. */
export interface ResolvedLeaf {
  /** List items by name. */
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
}

/** A leaf with the text that equal values share. */
export interface NormalLeaf {
  /** List items by name. */
  readonly path: string;
  readonly text: string;
  readonly origin: Origin;
}

/** A checked scenario. */
export interface LoadedScenario {
  /** Display name of the file. */
  readonly file: string;
  /** Resolved scenario, scalars as written. */
  readonly scenario: Scenario;
  /** Settings of the base: workload, run and everything else that arms share. */
  readonly settings: ScenarioSettings;
  readonly read: ScenarioSettings;
  readonly arms: readonly LoadedArm[];
  /** Name of the arm that differences refer to. */
  readonly baseline: string;
  /** sha256 (hex) over the canonical form; name, description, tags and report are left out. */
  readonly pointId: string;
  /** Warnings. */
  readonly problems: readonly Problem[];
  /** All leaves in schema order of the sections, each with its origin. */
  leaves(): readonly ResolvedLeaf[];
  /** Leaves given by a file or flag. */
  explicitLeaves(): readonly ResolvedLeaf[];
  origin(path: string): Origin | undefined;
  /** Place of a path for a located problem raised elsewhere: the leaf, or the nearest holder that has a place. */
  locate(path: string): Place & { readonly path: string };
  /** Declared and (once the settings were read through `read`) unread explicit leaves. */
  inert(detectors?: { readonly unread?: boolean }): readonly InertLeaf[];
  /** The same scenario with further overrides: a sweep point. Throws UserError. */
  derive(overrides: readonly Override[]): LoadedScenario;
  /** The merged tree as written, before defaults; for sweep paths. */
  readonly tree: LocatedMap;
}

/** Loads, resolves and checks a scenario. Throws UserError with every problem found, sorted by position. */
export async function loadScenario(source: ScenarioSource, options: LoadOptions = {}): Promise<LoadedScenario> {
  return new Loader(options).load(source);
}

/** Synchronous form of {@link loadScenario}. */
export function loadScenarioSync(source: ScenarioSource, options: LoadOptions = {}): LoadedScenario {
  return new Loader(options).load(source);
}

class Loader {
  readonly #options: LoadOptions;
  readonly #packageRoot: string;
  readonly #cwd: string;
  readonly #presets: PresetStore;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#packageRoot = options.packageRoot ?? findPackageRoot();
    this.#cwd = options.cwd ?? process.cwd();
    this.#presets = presetStore(this.#packageRoot);
  }

  load(source: ScenarioSource): LoadedScenario {
    const file = this.#open(source);
    const merged = resolveExtends(file, this.#presets);
    const problems: Problem[] = [];
    const root = finishMerge(cloneTree(merged), problems) as LocatedMap;
    this.#flags(root, problems);
    return this.#finish(file, root, problems);
  }

  #open(source: ScenarioSource): SourceFile {
    if ('text' in source) return { path: undefined, shown: source.name, text: source.text };
    const path = resolve(this.#cwd, source.file);
    if (!fileExists(path) && /^[a-z0-9-]+(\/[a-z0-9-]+)*$/.test(source.file)) {
      const bundled = join(this.#packageRoot, 'scenarios', `${source.file}.yaml`);
      if (fileExists(bundled)) return readSource(bundled, `scenarios/${source.file}.yaml`);
    }
    const shipped = join(this.#packageRoot, source.file);
    if (!fileExists(path) && source.file.startsWith('scenarios/') && fileExists(shipped)) return readSource(shipped, source.file);
    return readSource(path, source.file);
  }

  #flags(root: LocatedMap, problems: Problem[]): void {
    const { sets = [], overrides = [], seed, reps } = this.#options;
    const all: Override[] = sets.map((text) => parseSet(text, problems)).filter((set) => set !== undefined);
    if (seed !== undefined) all.push({ path: 'seed', value: seed, flag: `--seed ${seed}` });
    if (reps !== undefined) all.push({ path: 'run.replications', value: reps, flag: `--reps ${reps}` });
    applyOverrides(root, [...all, ...overrides], problems);
  }

  #finish(file: SourceFile, root: LocatedMap, problems: Problem[]): LoadedScenario {
    const base = cloneTree(root);
    expandDefaults(base, this.#presets);
    const check = this.#checkContext(file);
    problems.push(...checkTree(base, check));
    const isSound = problems.length === 0;
    const armProblems: Problem[] = [];
    const armTrees = expandArms(root, armProblems);
    // What an arm sets may only be missing because the base is broken there.
    problems.push(...armProblems.filter((problem) => isSound || problem.code !== 'E_UNKNOWN_KEY'));
    const baseline = checkArms(root, armTrees, problems);
    const compared = root.entries.has('arms') || root.entries.has('matrix');
    for (const arm of armTrees) {
      expandDefaults(arm.tree, this.#presets);
      if (compared) problems.push(...checkTree(arm.tree, check));
    }
    if (problems.length === 0)
      for (const tree of [base, ...armTrees.map((arm) => arm.tree)]) problems.push(...checkMeaning(tree, this.#presets));
    if (problems.length > 0) throw new UserError(sortProblems(distinct(problems)));
    return this.#loaded(file, root, base, armTrees, baseline);
  }

  #loaded(file: SourceFile, root: LocatedMap, base: LocatedMap, armTrees: readonly ArmTree[], baseline: string): LoadedScenario {
    const convert: ConvertContext = {
      presets: this.#presets,
      ...(this.#options.policies === undefined ? {} : { policies: this.#options.policies }),
      traceFile: (use, origin) => this.#traceFile(file, use, origin),
    };
    // The base control may leave to the arms what a policy requires; its settings are those of the baseline arm.
    const reference = armTrees.find((arm) => arm.name === baseline) ?? armTrees[0]!;
    const settings = convertSettings(reference.tree, convert);
    const reads = new Set<string>();
    const arms = armTrees.map((arm) => loadedArm(arm, convertSettings(arm.tree, convert), reads));
    const trees = [base, ...armTrees.map((arm) => arm.tree)];
    return {
      file: file.shown,
      scenario: toValue(base) as Scenario,
      settings,
      read: trackReads(settings, reads),
      arms,
      baseline,
      pointId: hashOf(base),
      problems: [],
      leaves: () => leavesOf(base),
      explicitLeaves: () => leavesOf(base).filter(({ origin }) => origin.kind === 'file' || origin.kind === 'flag'),
      origin: (path) => originOf(base, path),
      locate: (path) => locate(base, path),
      inert: ({ unread = true } = {}) => [...replacedByMatrix(root, base), ...inertOf(trees, armTrees, unread ? reads : undefined)],
      derive: (overrides) => {
        const problems: Problem[] = [];
        const changed = cloneTree(root);
        applyOverrides(changed, overrides, problems);
        return this.#finish(file, changed, problems);
      },
      tree: root,
    };
  }

  #checkContext(file: SourceFile): CheckContext {
    return {
      presets: this.#presets,
      ...(this.#options.policies === undefined ? {} : { policies: this.#options.policies }),
      traceExists: (path, origin) => path === '-' || fileExists(this.#traceFile(file, path, origin)),
    };
  }

  /** Paths in files are relative to the file that holds them, flags to the working directory; bundled presets to the package. */
  #traceFile(file: SourceFile, use: string, origin: Origin): string {
    const preset = this.#presets.load('workload', use);
    if (preset !== undefined) return join(this.#packageRoot, String(preset.values['file']));
    if (use === '-' || isAbsolute(use)) return use;
    if (origin.kind !== 'file' || file.path === undefined) return resolve(this.#cwd, use);
    const holder = resolve(dirname(file.path), relative(dirname(file.shown), origin.source ?? file.shown));
    const beside = resolve(dirname(holder), use);
    return fileExists(beside) ? beside : resolve(this.#cwd, use);
  }
}

function loadedArm(arm: ArmTree, settings: ScenarioSettings, reads: Set<string>): LoadedArm {
  return {
    name: arm.name,
    describe: arm.describe,
    settings,
    read: trackReads(settings, reads),
    scenario: toValue(arm.tree) as Scenario,
    armId: hashOf(arm.tree),
    leaves: () => normalLeaves(arm.tree),
    origin: (path) => originOf(arm.tree, path),
    locate: (path) => locate(arm.tree, path),
  };
}

/** `path=value`; the value is a YAML scalar or flow collection. */
function parseSet(text: string, problems: Problem[]): Override | undefined {
  const flag = `--set ${text}`;
  const at = text.indexOf('=');
  if (at <= 0) {
    problems.push({ severity: 'error', code: 'E_USAGE', file: flag, message: `got ${text}, expected path=value` });
    return undefined;
  }
  return { path: text.slice(0, at), value: yamlValue(text.slice(at + 1)), flag };
}

/** A value as a file would read it; text that is no YAML stays text. */
export function yamlValue(text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' }) ?? (text.trim() === 'null' || text.trim() === '~' ? null : text);
  } catch {
    return text;
  }
}

function applyOverrides(root: LocatedMap, overrides: readonly Override[], problems: Problem[]): void {
  for (const { path, value, flag } of overrides) {
    const origin: Origin = { kind: 'flag', source: flag };
    try {
      applySet(root, path, value, origin);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
    }
  }
}

function distinct(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const key =
      problem.line === undefined
        ? `${problem.code}|${problem.file}|${problem.path}`
        : `${problem.code}|${problem.file}|${problem.line}|${problem.column}`;
    return !seen.has(key) && seen.add(key);
  });
}

function leavesOf(root: LocatedMap): ResolvedLeaf[] {
  const leaves: ResolvedLeaf[] = [];
  eachLeaf(root, (steps, node) => leaves.push({ path: namedPath(root, steps), value: toValue(node), origin: node.origin }));
  return leaves;
}

function normalLeaves(root: LocatedMap): NormalLeaf[] {
  const leaves: NormalLeaf[] = [];
  eachLeaf(root, (steps, node) =>
    leaves.push({ path: namedPath(root, steps), text: normalText(toValue(node), fieldAt(steps)), origin: node.origin }),
  );
  return leaves;
}

/** Accepts `fleet.pools[0].workers` and `fleet.pools.main.workers`. */
function stepsOf(root: LocatedMap, path: string): PathStep[] {
  try {
    return resolvePath(root, path, { kind: 'flag' });
  } catch {
    return splitPath(path);
  }
}

function originOf(root: LocatedMap, path: string): Origin | undefined {
  return nodeAt(root, stepsOf(root, path))?.origin;
}

function locate(root: LocatedMap, path: string): Place & { readonly path: string } {
  const steps = stepsOf(root, path);
  for (let length = steps.length; length >= 0; length--) {
    const origin = nodeAt(root, steps.slice(0, length))?.origin;
    const place = placeOf(origin);
    // What the user wrote has a line, or is a flag; a preset is not his text.
    if (place.file !== undefined && (place.line !== undefined || origin?.kind === 'flag')) return { ...place, path };
  }
  return { path };
}

function inertOf(trees: readonly LocatedMap[], arms: readonly ArmTree[], reads: ReadonlySet<string> | undefined): InertLeaf[] {
  // A leaf is inert only if it is so in every arm in which it stands.
  const judged = arms.length > 0 ? arms.map((arm) => arm.tree) : trees;
  const counts = new Map<string, { leaf: InertLeaf; inert: number }>();
  for (const tree of judged) {
    const list = [...declaredInert(tree), ...(reads === undefined ? [] : unreadInert(tree, reads))];
    const seen = new Set<string>();
    for (const leaf of list) {
      if (seen.has(leaf.path)) continue;
      seen.add(leaf.path);
      const entry = counts.get(leaf.path) ?? { leaf, inert: 0 };
      counts.set(leaf.path, { leaf: entry.leaf, inert: entry.inert + 1 });
    }
  }
  const standing = (path: string) => judged.filter((tree) => isExplicit(originOf(tree, path))).length;
  return [...counts.values()].filter(({ leaf, inert }) => inert >= standing(leaf.path)).map(({ leaf }) => leaf);
}

/** What the base control says about a policy that the matrix lists: every arm replaces it. */
function replacedByMatrix(root: LocatedMap, base: LocatedMap): InertLeaf[] {
  const matrix = root.entries.get('matrix')?.node;
  if (matrix?.type !== 'map') return [];
  const kinds = [...matrix.entries.keys()];
  return leavesOf(base)
    .filter(({ path, origin }) => isExplicit(origin) && kinds.some((kind) => path.startsWith(`control.${kind}.`)))
    .map((leaf) => ({ ...leaf, reason: `matrix.${leaf.path.split('.')[1]} replaces it in every arm` }));
}

function isExplicit(origin: Origin | undefined): boolean {
  return origin?.kind === 'file' || origin?.kind === 'flag';
}

const UNHASHED = new Set(['name', 'description', 'tags', 'report', 'extends']);

/** sha256 of the canonical JSON of a resolved tree with its scalars as numbers, so that 5m and 300s are the same point. */
function hashOf(root: LocatedMap): string {
  const value: Record<string, unknown> = {};
  for (const [key, entry] of root.entries)
    if (!UNHASHED.has(key)) value[key] = canonicalValue(toValue(entry.node), SCENARIO_SCHEMA.properties?.[key]);
  return createHash('sha256')
    .update(canonicalize(value) as string)
    .digest('hex');
}

function canonicalValue(value: unknown, field: FieldSchema | undefined): unknown {
  const kind = field?.['x-scalar'];
  if (Array.isArray(value)) return value.map((item) => canonicalValue(item, field?.items));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, canonicalValue(child, field?.properties?.[key])]));
  }
  if (kind === undefined || !(kind in SCALAR_NAMES)) return value;
  const parsed = parseScalar(kind as ScalarKind, value, true);
  return typeof parsed === 'number' ? (Number.isFinite(parsed) ? parsed : 'inf') : value;
}
