/** Typed access to the fields of a parsed JSON object: every complaint goes to the log with its path, and a usable value comes back. */
import type { ProblemLog } from './problem-log.ts';
import { pushRun, repeatedId } from './run-list.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Largest id and token count accepted. */
const MAX_ID = Number.MAX_SAFE_INTEGER;
const MAX_TOKENS = 2 ** 31 - 1;
/** Tolerated distance of a count from a whole number. Source: trace specification 3.2. */
const WHOLE = 1e-6;

/** Whether a JSON value is an object, not null and not a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short picture of a value for messages. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 37)}…` : text;
}

/** A whole number at least `min`; NaN after a complaint. */
export function wholeNumber(log: ProblemLog, value: unknown, path: string, min: number, code = 'E_TRACE_VALUE', max = MAX_TOKENS): number {
  if (typeof value === 'number' && Math.abs(value - Math.round(value)) <= WHOLE && Math.round(value) >= min && value <= max)
    return Math.round(value);
  log.error(code, path, `got ${shown(value)}, expected an integer ≥ ${min}`);
  return Number.NaN;
}

/** Seconds as whole milliseconds, `round(1000 x)`; NaN after a complaint. */
export function secondsToMs(log: ProblemLog, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return Math.round(1000 * value);
  log.error('E_TRACE_TIME', path, `got ${shown(value)}, expected seconds ≥ 0`);
  return Number.NaN;
}

/** Milliseconds, rounded; NaN after a complaint. */
export function wholeMs(log: ProblemLog, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= MAX_ID) return Math.round(value);
  log.error('E_TRACE_TIME', path, `got ${shown(value)}, expected milliseconds ≥ 0`);
  return Number.NaN;
}

/** A string that is not empty; '' after a complaint. */
export function text(log: ProblemLog, value: unknown, path: string, code = 'E_TRACE_VALUE'): string {
  if (typeof value === 'string' && value !== '') return value;
  log.error(code, path, `got ${shown(value)}, expected a string`);
  return '';
}

/** Block ids as flat maximal runs from an array of ids or of inclusive pairs; null after a complaint. */
export function runsOf(log: ProblemLog, value: unknown, path: string, encoding: 'ids' | 'pairs' | 'any'): number[] | null {
  if (!Array.isArray(value)) {
    log.error('E_TRACE_RUN', path, `got ${shown(value)}, expected an array of block ids`);
    return null;
  }
  const runs: number[] = [];
  const pairs = encoding === 'pairs' || (encoding === 'any' && Array.isArray(value[0]));
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i];
    if (pairs !== Array.isArray(item)) {
      log.error('E_TRACE_RUN', `${path}[${i}]`, `got ${shown(item)}, expected ${pairs ? 'a pair [first, last]' : 'a block id'}`);
      return null;
    }
    if (!pairs) {
      if (!isId(item)) return complainId(log, item, `${path}[${i}]`);
      pushRun(runs, item, item);
      continue;
    }
    const [first, last] = item as unknown[];
    if ((item as unknown[]).length !== 2 || !isId(first) || !isId(last)) return complainId(log, item, `${path}[${i}]`);
    if (last < first) {
      log.error('E_TRACE_RUN', `${path}[${i}]`, `got [${first},${last}], expected first ≤ last`);
      return null;
    }
    pushRun(runs, first, last);
  }
  return runs;
}

/** Complains if an id occurs twice in one prompt. */
export function checkRepeats(log: ProblemLog, runs: readonly number[], path: string): boolean {
  const id = repeatedId(runs);
  if (id < 0) return true;
  log.error('E_TRACE_RUN', path, `got block id ${id} twice in one prompt, expected prefix ids`);
  return false;
}

/** Complains if the number of ids does not fit the prompt. Source: trace specification 1.4 V3. */
export function checkBlockCount(
  log: ProblemLog,
  blocks: number,
  inTokens: number,
  blockTokens: number,
  tail: 'none' | 'labelled',
  path: string,
): boolean {
  const expected = tail === 'none' ? Math.floor(inTokens / blockTokens) : Math.ceil(inTokens / blockTokens);
  if (blocks === expected) return true;
  const hint = blocks === 0 ? 'Are the block ids missing?' : 'Is block_size right?';
  log.error('E_TRACE_BLOCK_COUNT', path, `got ${blocks} blocks, expected ${expected} (in ${inTokens}, block ${blockTokens})`, hint);
  return false;
}

/** Counts fields that are not in `known`, each name once per place, with a suggestion. */
export function noteUnknown(log: ProblemLog, object: JsonObject, known: ReadonlySet<string>, where: string): void {
  for (const key in object) {
    if (known.has(key)) continue;
    const near = nearest(key, known);
    log.notice('W_TRACE_UNKNOWN_FIELD', `${where}: unknown field "${key}"${near === '' ? '' : `, did you mean "${near}"?`}`);
  }
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_ID;
}

function complainId(log: ProblemLog, value: unknown, path: string): null {
  const hint = typeof value === 'number' && value > MAX_ID ? 'Larger ids would lose digits; renumber them first.' : undefined;
  log.error('E_TRACE_ID_RANGE', path, `got ${shown(value)}, expected block ids 0…2^53-1`, hint);
  return null;
}

/** The known name at edit distance at most 2 (a third of the length), '' if none. */
export function nearest(name: string, known: Iterable<string>): string {
  let best = '';
  let bestDistance = Math.min(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
