/** The bytes of result.json: keys in the order of the format, numbers rounded to 12 significant digits, two spaces, one newline. */
import type { BoundResult } from './bound-result.ts';
import type { ExplainResult } from './explain-result.ts';
import type { Result } from './result.ts';

/** Serialises a result. The same result gives the same bytes on every machine. */
export function resultJson(result: Result | BoundResult | ExplainResult): string {
  return `${JSON.stringify(result, roundNumber, 2)}\n`;
}

/** JSON.stringify replacer: 12 significant digits; NaN and infinities are bugs here and throw. */
export function roundNumber(key: string, value: unknown): unknown {
  if (typeof value !== 'number') return value;
  if (!Number.isFinite(value)) throw new Error(`result field ${key} is ${value}`);
  return Number.isInteger(value) ? value : Number(value.toPrecision(12));
}
