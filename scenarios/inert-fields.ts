/**
 * Inert fields: explicit values that could not influence the run (declared by `x-inertWhen`) or that nothing ever read.
 * Source: experiments specification 1.6, detectors 1 and 2; the other two need a run and belong to sim/experiment.
 */
import { eachLeaf, type LocatedMap, namedPath, nodeAt, type Origin, type PathStep, toValue } from './located-tree.ts';
import { type FieldSchema, fieldAt, type InertWhen } from './schema-walk.ts';

/** One inert leaf. */
export interface InertLeaf {
  /** `fleet.pools.main.tiers.host.read`. */
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
  readonly reason: string;
}

/** Sections that describe identity, other questions or the presentation; never inert. */
const NOT_JUDGED = new Set([
  'kvcast',
  'name',
  'description',
  'tags',
  'extends',
  'arms',
  'matrix',
  'baseline',
  'slo',
  'sweep',
  'gate',
  'plan',
  'report',
  'cost',
]);

/** Whether a leaf is part of what is simulated, not of identity, arms, other questions or presentation. */
export function isSimulated(path: string): boolean {
  return !NOT_JUDGED.has(path.split(/[.[]/)[0]!) || path.startsWith('cost.');
}

/** Explicit leaves of a tree whose field declares them inert here. */
export function declaredInert(root: LocatedMap): InertLeaf[] {
  const found: InertLeaf[] = [];
  eachExplicitLeaf(root, (steps, value, origin) => {
    const when = fieldAt(steps)?.['x-inertWhen'];
    if (when !== undefined && holds(root, steps, when)) found.push({ path: namedPath(root, steps), value, origin, reason: when.reason });
  });
  return found;
}

/** Explicit leaves that no `read` of the tracked settings touched. */
export function unreadInert(root: LocatedMap, reads: ReadonlySet<string>): InertLeaf[] {
  const found: InertLeaf[] = [];
  eachExplicitLeaf(root, (steps, value, origin) => {
    const path = steps.join('.');
    if (![...prefixes(steps)].some((prefix) => reads.has(prefix))) {
      found.push({ path: namedPath(root, steps), value, origin, reason: `${path.split('.').at(-1)} was never read` });
    }
  });
  return found;
}

/** The leaf itself, or an open map or preset reference above it that was read as a whole. */
function* prefixes(steps: readonly PathStep[]): Generator<string> {
  yield steps.join('.');
  const open = steps.indexOf('with');
  if (open > 0 && steps[0] === 'control') yield steps.slice(0, open + 1).join('.');
}

function eachExplicitLeaf(root: LocatedMap, visit: (steps: PathStep[], value: unknown, origin: Origin) => void): void {
  eachLeaf(root, (steps, node) => {
    const explicit = node.origin.kind === 'file' || node.origin.kind === 'flag';
    if (explicit && !NOT_JUDGED.has(String(steps[0])) && steps[steps.length - 1] !== 'name') visit(steps, toValue(node), node.origin);
  });
}

function holds(root: LocatedMap, steps: readonly PathStep[], when: InertWhen): boolean {
  const value = valueAt(root, steps, when.path);
  if (when.is !== undefined) return when.is.includes(value);
  return when.not !== undefined && !when.not.includes(value ?? null);
}

/** `/a.pools[].b`: absolute, with the list indexes of `steps`; a known root: absolute; else a sibling. */
function valueAt(root: LocatedMap, steps: readonly PathStep[], path: string): unknown {
  const absolute = path.startsWith('/') || path.includes('.');
  const target: PathStep[] = absolute ? indexed(path.replace(/^\//, ''), steps) : [...steps.slice(0, -1), path];
  const node = nodeAt(root, target);
  return node === undefined ? null : toValue(node);
}

function indexed(path: string, steps: readonly PathStep[]): PathStep[] {
  return path.split('.').flatMap((part, i) => (part.endsWith('[]') ? [part.slice(0, -2), steps[i + 1]!] : [part]));
}

const UNITS = /(BytesPerMs|PerMs|Bytes|Tokens|Ms)$/;
/** Objects that come from presets: reading them is not reading a leaf of the file. */
const OPAQUE = /(Preset|preset)$/;

/**
 * A view of `settings` that notes every leaf it hands out in `reads`, by the name of the scenario field (`run.horizonMs` notes
 * `run.horizon`). Do not serialise it: that reads everything.
 */
export function trackReads<T extends object>(settings: T, reads: Set<string>, path = ''): T {
  return new Proxy(settings, {
    get(target, key) {
      const value = Reflect.get(target, key) as unknown;
      if (typeof key === 'symbol' || (Array.isArray(target) && !/^\d+$/.test(key)))
        return typeof value === 'function' ? value.bind(trackReadsList(target, reads, path)) : value;
      const name = fieldName(path, key);
      const at = path === '' ? name : `${path}.${name}`;
      if (value === null || typeof value !== 'object' || OPAQUE.test(key)) {
        reads.add(at);
        return value;
      }
      if (key === 'with' && path.startsWith('control.')) reads.add(at);
      return trackReads(value, reads, at);
    },
  });
}

/** Array methods run over tracked items. */
function trackReadsList(target: object, reads: Set<string>, path: string): object {
  return Array.isArray(target)
    ? target.map((item, i) =>
        item !== null && typeof item === 'object' ? trackReads(item, reads, `${path}.${i}`) : noted(item, reads, `${path}.${i}`),
      )
    : target;
}

function noted<T>(item: T, reads: Set<string>, path: string): T {
  reads.add(path);
  return item;
}

/** The scenario's name of a settings key: without its unit, or as it is where the schema knows it so. */
function fieldName(path: string, key: string): string {
  const steps: PathStep[] = path === '' ? [] : path.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  const known = (field: FieldSchema | undefined) => field !== undefined;
  const aliases: Readonly<Record<string, string>> = { gpuPreset: 'gpu', modelPreset: 'model', preset: 'use', file: 'use' };
  if (known(fieldAt([...steps, key]))) return key;
  const bare = key.replace(UNITS, '');
  if (known(fieldAt([...steps, bare]))) return bare;
  return aliases[key] ?? key;
}
