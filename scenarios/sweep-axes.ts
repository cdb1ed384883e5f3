/** Sweep axes: values, ranges and the command-line grammar, combined into points. Pure. Source: experiments specification 1.3. */
import pow from '@stdlib/math-base-special-pow';
import { type Problem, UserError } from '../control/user-error.ts';
import type { LocatedMap, Origin } from './located-tree.ts';
import { problemAt } from './problem-place.ts';
import { formatScalar, parseScalar, type ScalarKind } from './scalars.ts';
import { type FieldSchema, fieldAt } from './schema-walk.ts';
import { expandSuffix, resolvePath } from './set-path.ts';
import { parseSource } from './yaml-source.ts';

/** One axis: a full path and the values it takes, as a scenario file would write them. */
export interface SweepAxis {
  readonly path: string;
  /** As the user wrote it; for headings. */
  readonly label: string;
  readonly values: readonly unknown[];
}

/** One point of a sweep: a value per axis, in axis order. */
export interface SweepPoint {
  readonly values: readonly { readonly path: string; readonly label: string; readonly value: unknown }[];
}

/** `{from, to, steps, scale}` of a scenario file. */
export interface AxisRange {
  readonly from: number | string;
  readonly to: number | string;
  readonly steps: number;
  readonly scale?: 'lin' | 'log';
}

/** What `sweep.axes[]` holds. */
export interface WrittenAxis {
  readonly path: string;
  readonly values?: readonly unknown[] | undefined;
  readonly range?: AxisRange | undefined;
}

/** Most values that one axis may have. */
const MAX_VALUES = 100_000;

/**
 * Axis of `--sweep`: `ttl=5m,15m,1h`, `workers=4..16:4` (arithmetic), `workers=1..64*2` (geometric). The path may be an unambiguous
 * dotted suffix. Throws UserError E_SWEEP_AXIS, E_UNKNOWN_KEY or E_PATH_AMBIGUOUS.
 */
export function parseSweepFlag(tree: LocatedMap, text: string, notices: string[] = []): SweepAxis {
  const origin: Origin = { kind: 'flag', source: `--sweep ${text}` };
  const at = text.indexOf('=');
  const example = 'Write for example --sweep ttl=5m,15m,1h or --sweep workers=4..16:4';
  if (at <= 0 || at === text.length - 1) throw axisError(origin, text, 'got no values, expected path=values', example);
  const label = text.slice(0, at);
  const path = expandSuffix(tree, label, origin);
  const field = fieldAt(resolvePath(tree, path, origin));
  const progression = /^([^,]+?)\.\.([^,:*]+)(?:([:*])([^,:*]+))?$/.exec(text.slice(at + 1));
  if (progression === null) return { path, label, values: splitValues(text.slice(at + 1)).map(flagValue) };
  const [, from, to, sign, by] = progression;
  if (sign === undefined)
    throw axisError(origin, label, `got ${from}..${to} without a step, expected from..to:step or from..to*factor`, example);
  const span = parseSpan(flagValue(from!), flagValue(to!), origin, label);
  const values = sign === ':' ? arithmetic(span, flagValue(by!), origin, label) : geometric(span, Number(by), origin, label);
  return { path, label, values: written(values, span.kind, field, label, notices) };
}

/** Axis of a scenario file. Throws UserError. */
export function axisFromFile(tree: LocatedMap, axis: WrittenAxis, origin: Origin, notices: string[] = []): SweepAxis {
  const path = expandSuffix(tree, axis.path, origin);
  if (axis.values !== undefined) return { path, label: axis.path, values: axis.values };
  const range = axis.range!;
  const field = fieldAt(resolvePath(tree, path, origin));
  const span = parseSpan(range.from, range.to, origin, axis.path);
  const values = spread(span, range.steps, range.scale ?? 'lin', origin, axis.path);
  return { path, label: axis.path, values: written(values, span.kind, field, axis.path, notices) };
}

/** All points: `grid` counts like an odometer (last axis fastest), `zip` goes side by side. Throws UserError above `maxPoints`. */
export function combineAxes(axes: readonly SweepAxis[], combine: 'grid' | 'zip', maxPoints: number, origin?: Origin): SweepPoint[] {
  if (axes.length === 0) return [];
  const lengths = axes.map((axis) => axis.values.length);
  if (combine === 'zip' && new Set(lengths).size > 1) {
    const got = axes.map((axis) => `${axis.label} ${axis.values.length}`).join(', ');
    throw new UserError(
      problemAt(origin, 'E_SWEEP_ZIP', 'sweep.axes', `got axes of lengths ${got}, expected equal lengths`, 'Use combine: grid'),
    );
  }
  const count = combine === 'zip' ? lengths[0]! : lengths.reduce((product, n) => product * n, 1);
  if (count > maxPoints) {
    const message = `got ${count.toLocaleString('en-US')} points, expected at most ${maxPoints.toLocaleString('en-US')}`;
    throw new UserError(problemAt(origin, 'E_SWEEP_POINTS', 'sweep', message, 'Raise sweep.maxPoints or drop values'));
  }
  return Array.from({ length: count }, (_, index) => {
    let rest = index;
    const picks = new Array<number>(axes.length);
    for (let i = axes.length - 1; i >= 0; i--) {
      picks[i] = combine === 'zip' ? index : rest % lengths[i]!;
      rest = Math.floor(rest / lengths[i]!);
    }
    return { values: axes.map((axis, i) => ({ path: axis.path, label: axis.label, value: axis.values[picks[i]!] })) };
  });
}

interface Span {
  readonly from: number;
  readonly to: number;
  /** undefined = plain numbers. */
  readonly kind: ScalarKind | undefined;
}

function axisError(origin: Origin, path: string, message: string, hint?: string): UserError {
  const problem: Problem = problemAt(origin, 'E_SWEEP_AXIS', path, message, hint);
  return new UserError(problem);
}

/** Splits at commas that are not inside brackets or quotes. */
function splitValues(text: string): string[] {
  return text.match(/(?:"[^"]*"|'[^']*'|\{[^{}]*\}|\[[^[\]]*\]|[^,{["'])+/g) ?? [text];
}

function flagValue(text: string): unknown {
  const node = parseSource(text.trim(), '--sweep').root;
  return node?.type === 'scalar' ? node.value : text.trim();
}

const KINDS: readonly ScalarKind[] = ['duration', 'size', 'bandwidth', 'rate', 'tokens', 'share'];

function kindOf(value: unknown): ScalarKind | undefined {
  return typeof value === 'number' ? undefined : KINDS.find((kind) => typeof parseScalar(kind, value) === 'number');
}

function parseSpan(from: unknown, to: unknown, origin: Origin, label: string): Span {
  const kind = kindOf(from) ?? kindOf(to);
  const convert = (value: unknown) => (kind === undefined ? Number(value) : parseScalar(kind, value));
  const [low, high] = [convert(from), convert(to)];
  if (typeof low !== 'number' || typeof high !== 'number' || !Number.isFinite(low) || !Number.isFinite(high)) {
    throw axisError(origin, label, `got ${String(from)}..${String(to)}, expected two values of one unit`);
  }
  return { from: low, to: high, kind };
}

function arithmetic(span: Span, by: unknown, origin: Origin, label: string): number[] {
  const step = span.kind === undefined ? Number(by) : parseScalar(span.kind, by);
  if (typeof step !== 'number' || !(step > 0))
    throw axisError(origin, label, `got step ${String(by)}, expected a positive one of the same unit`);
  const count = Math.floor((span.to - span.from) / step + 1e-9) + 1;
  if (count < 1 || count > MAX_VALUES) throw axisError(origin, label, `got ${Math.max(0, count)} values, expected 1..${MAX_VALUES}`);
  return Array.from({ length: count }, (_, i) => span.from + i * step);
}

function geometric(span: Span, factor: number, origin: Origin, label: string): number[] {
  if (!(factor > 1) || !(span.from > 0)) throw axisError(origin, label, 'expected a start above 0 and a factor above 1');
  const values: number[] = [];
  for (let value = span.from; value <= span.to * (1 + 1e-9); value *= factor) values.push(value);
  if (values.length === 0) throw axisError(origin, label, 'got no values, expected from <= to');
  return values;
}

function spread(span: Span, steps: number, scale: 'lin' | 'log', origin: Origin, label: string): number[] {
  if (scale === 'lin') return Array.from({ length: steps }, (_, i) => span.from + ((span.to - span.from) * i) / (steps - 1));
  if (!(span.from > 0) || !(span.to > 0)) throw axisError(origin, label, 'got a log range that touches 0, expected both ends above 0');
  return Array.from({ length: steps }, (_, i) => {
    const value = i === 0 ? span.from : i === steps - 1 ? span.to : span.from * pow(span.to / span.from, i / (steps - 1));
    return Number(value.toPrecision(span.kind === 'duration' ? 3 : 12));
  });
}

/** Values as a file would write them; integer leaves are rounded half up and duplicates dropped with a notice. */
function written(
  values: readonly number[],
  kind: ScalarKind | undefined,
  field: FieldSchema | undefined,
  label: string,
  notices: string[],
): unknown[] {
  const whole = field?.type === 'integer' || field?.['x-scalar'] === 'tokens' || kind === 'tokens' || kind === 'size';
  const tidy = values.map((value) => {
    if (whole) return Math.floor(value + 0.5);
    return kind === 'duration' ? Math.round(value * 1000) / 1000 : Number(value.toPrecision(12));
  });
  const unique = [...new Set(tidy)];
  if (unique.length < tidy.length)
    notices.push(`${label}: ${tidy.length - unique.length} of ${tidy.length} values were equal after rounding and dropped`);
  return unique.map((value) => (kind === undefined || kind === 'tokens' ? value : formatScalar(kind, value)));
}
