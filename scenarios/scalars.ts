/**
 * Scalar grammars of scenario files and their way back to text. Exact decimal arithmetic; a value that is not representable in the
 * base unit is rejected, never rounded. Source: experiments specification 1.2.
 */

/** Kinds of scalars; each converts to one number (ms, bytes, bytes per ms, events per ms, tokens, 0..1, uint32). */
export type ScalarKind = 'duration' | 'signedDuration' | 'size' | 'bandwidth' | 'rate' | 'tokens' | 'share' | 'seed';

/** Why a scalar was rejected; the caller knows the place. */
export interface ScalarProblem {
  readonly code: string;
  readonly expected: string;
  readonly hint?: string;
}

/** What each kind is called in messages. */
export const SCALAR_NAMES: Readonly<Record<ScalarKind, string>> = {
  duration: 'a duration',
  signedDuration: 'a duration, possibly negative',
  size: 'a size',
  bandwidth: 'a bandwidth',
  rate: 'a rate',
  tokens: 'a token count',
  share: 'a share',
  seed: 'an integer 0..4294967295',
};

/** Number in base units, or the problem. `inf` gives Infinity where `allowInf`. */
export function parseScalar(kind: ScalarKind, value: unknown, allowInf = false): number | ScalarProblem {
  switch (kind) {
    case 'duration':
      return parseDuration(value, allowInf);
    case 'signedDuration':
      return parseSignedDuration(value);
    case 'size':
      return parseSize(value);
    case 'bandwidth':
      return parseBandwidth(value);
    case 'rate':
      return parseRate(value);
    case 'tokens':
      return parseTokens(value);
    case 'share':
      return parseShare(value);
    case 'seed':
      return parseSeed(value);
  }
}

const DURATION_US: Readonly<Record<string, bigint>> = {
  d: 86_400_000_000n,
  h: 3_600_000_000n,
  m: 60_000_000n,
  s: 1_000_000n,
  ms: 1_000n,
  us: 1n,
};
const DURATION_ORDER = ['d', 'h', 'm', 's', 'ms', 'us'];
const DECIMAL = String.raw`(\d+)(?:\.(\d+))?`;

/** `90s`, `1h30m`, `1.5ms`, `0`, `inf` (where allowed) to ms. */
export function parseDuration(value: unknown, allowInf = false): number | ScalarProblem {
  const expected = SCALAR_NAMES.duration;
  if (value === 0 || value === '0') return 0;
  if (value === 'inf' && allowInf) return Infinity;
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value))) {
    return { code: 'E_UNIT_MISSING', expected, hint: `Write ${bareDurationHint(Number(value))}` };
  }
  if (typeof value !== 'string') return { code: 'E_TYPE', expected, hint: 'Write for example 90s, 5m or 1h30m' };
  const parts = [...value.matchAll(new RegExp(`${DECIMAL}(us|ms|s|m|h|d)`, 'gy'))];
  if (parts.length === 0 || parts.reduce((n, part) => n + part[0].length, 0) !== value.length) {
    return { code: 'E_PATTERN', expected, hint: 'Units are us, ms, s, m, h and d, for example 1h30m' };
  }
  let micros = 0n;
  let last = -1;
  for (const [, whole, fraction, unit] of parts) {
    const order = DURATION_ORDER.indexOf(unit!);
    if (order <= last) return { code: 'E_DURATION_ORDER', expected, hint: orderHint(parts) };
    last = order;
    const part = scaleDecimal(whole!, fraction, DURATION_US[unit!]!);
    if (part === undefined) return { code: 'E_DURATION_PRECISION', expected: 'whole microseconds', hint: 'The smallest step is 1us' };
    micros += part;
  }
  return Number(micros) / 1000;
}

/** A duration with an optional sign: `-5s`, `250ms`. */
export function parseSignedDuration(value: unknown): number | ScalarProblem {
  const isNegative = typeof value === 'string' && value.startsWith('-');
  const parsed = parseDuration(isNegative ? value.slice(1) : value);
  if (typeof parsed !== 'number') return { ...parsed, expected: SCALAR_NAMES.signedDuration };
  return isNegative && parsed !== 0 ? -parsed : parsed;
}

function bareDurationHint(value: number): string {
  const inSeconds = `${value}s`;
  const tidy = Number.isInteger(value * 1e6) && value >= 60 ? formatDuration(value * 1000) : inSeconds;
  return tidy === inSeconds ? inSeconds : `${inSeconds} or ${tidy}`;
}

function orderHint(parts: readonly RegExpMatchArray[]): string {
  const sorted = [...parts].sort((a, b) => DURATION_ORDER.indexOf(a[3]!) - DURATION_ORDER.indexOf(b[3]!));
  const units = sorted.map((part) => part[3]);
  if (new Set(units).size < units.length) return 'Each unit may appear once';
  return `Largest unit first: ${sorted.map((part) => part[0]).join('')}`;
}

/** whole.fraction x factor as a bigint, undefined when not whole. */
function scaleDecimal(whole: string, fraction: string | undefined, factor: bigint): bigint | undefined {
  const digits = BigInt(whole + (fraction ?? ''));
  const scale = 10n ** BigInt(fraction?.length ?? 0);
  const product = digits * factor;
  return product % scale === 0n ? product / scale : undefined;
}

const SIZE_UNITS: Readonly<Record<string, bigint>> = {
  B: 1n,
  kB: 10n ** 3n,
  MB: 10n ** 6n,
  GB: 10n ** 9n,
  TB: 10n ** 12n,
  KiB: 2n ** 10n,
  MiB: 2n ** 20n,
  GiB: 2n ** 30n,
  TiB: 2n ** 40n,
};

/** `80GB` (10^3n) or `80GiB` (2^10n) to integer bytes. */
export function parseSize(value: unknown): number | ScalarProblem {
  const expected = SCALAR_NAMES.size;
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value))) {
    return { code: 'E_UNIT_MISSING', expected, hint: `Write ${value}GB, ${value}GiB or ${value}B` };
  }
  if (typeof value !== 'string') return { code: 'E_TYPE', expected, hint: 'Write for example 64GiB' };
  const match = new RegExp(`^${DECIMAL}([A-Za-z]+)$`).exec(value);
  if (match === null) return { code: 'E_PATTERN', expected, hint: 'Write for example 64GiB' };
  const [, whole, fraction, unit] = match;
  const factor = SIZE_UNITS[unit!];
  const number = fraction === undefined ? whole! : `${whole}.${fraction}`;
  if (factor === undefined) return { code: 'E_SIZE_UNIT', expected, hint: sizeHint(number, unit!) };
  const bytes = scaleDecimal(whole!, fraction, factor);
  if (bytes === undefined) return { code: 'E_SIZE_UNIT', expected: 'a whole number of bytes', hint: 'Use a smaller unit' };
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) return { code: 'E_RANGE', expected: 'a size below 9 PB' };
  return Number(bytes);
}

function sizeHint(number: string, unit: string): string {
  const prefix = /^[kmgt]/i.exec(unit)?.[0]?.toUpperCase();
  if (prefix === undefined) return 'Units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB';
  const both = [prefix === 'K' ? 'kB' : `${prefix}B`, `${prefix}iB`].map((u) => {
    const bytes = parseSize(number + u);
    return typeof bytes === 'number' ? `${number}${u} (${bytes.toLocaleString('en-US')} B)` : `${number}${u}`;
  });
  return `Write ${both.join(' or ')}`;
}

/** Size + `/s` to bytes per ms (1 GB/s = 1e6). */
export function parseBandwidth(value: unknown): number | ScalarProblem {
  const expected = SCALAR_NAMES.bandwidth;
  if (typeof value === 'number') return { code: 'E_UNIT_MISSING', expected, hint: `Write ${value}GB/s` };
  if (typeof value !== 'string') return { code: 'E_TYPE', expected, hint: 'Write for example 50GB/s' };
  const bits = new RegExp(`^${DECIMAL}([kMGT])(?:bit|b|bps)(/s)?$`).exec(value);
  if (bits !== null && !(bits[4] === undefined && value.endsWith('b'))) {
    const number = Number(bits[2] === undefined ? bits[1] : `${bits[1]}.${bits[2]}`);
    return { code: 'E_SIZE_UNIT', expected: 'a bandwidth in bytes', hint: `Write ${number / 8}${bits[3]}B/s` };
  }
  if (!value.endsWith('/s')) {
    const bytes = parseSize(value);
    const hint = typeof bytes === 'number' ? `Write ${value}/s` : 'Write for example 50GB/s';
    return { code: 'E_UNIT_MISSING', expected, hint };
  }
  const size = parseSize(value.slice(0, -2));
  if (typeof size === 'number') return size / 1000;
  return { code: size.code, expected, ...(size.hint === undefined ? {} : { hint: size.hint.replace(/(\d[kMGT]i?B)\b/g, '$1/s') }) };
}

const RATE_MS: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000 };

/** `12/h`, `3/min`, `0.5/s` to events per ms. */
export function parseRate(value: unknown): number | ScalarProblem {
  const expected = SCALAR_NAMES.rate;
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value))) {
    return { code: 'E_UNIT_MISSING', expected, hint: `Write ${value}/s, ${value}/min or ${value}/h` };
  }
  if (typeof value !== 'string') return { code: 'E_TYPE', expected, hint: 'Write for example 48/h' };
  const match = /^(\d+(?:\.\d+)?)\/(s|min|h)$/.exec(value);
  if (match === null) return { code: 'E_PATTERN', expected, hint: 'Units are /s, /min and /h, for example 48/h' };
  return Number(match[1]) / RATE_MS[match[2]!]!;
}

const TOKEN_UNITS: Readonly<Record<string, bigint>> = { '': 1n, k: 1000n, Ki: 1024n, M: 1_000_000n };

/** `262144`, `200k`, `128Ki`, `1M` to whole tokens. */
export function parseTokens(value: unknown): number | ScalarProblem {
  const expected = SCALAR_NAMES.tokens;
  if (typeof value === 'number') {
    return Number.isInteger(value) ? value : { code: 'E_TYPE', expected: 'a whole number of tokens', hint: 'Write for example 200k' };
  }
  if (typeof value !== 'string') return { code: 'E_TYPE', expected, hint: 'Write for example 200k or 128Ki' };
  const match = new RegExp(`^${DECIMAL}(k|Ki|M|)$`).exec(value);
  if (match === null) return { code: 'E_PATTERN', expected, hint: 'Write for example 200000, 200k (x1000), 128Ki (x1024) or 1M' };
  const tokens = scaleDecimal(match[1]!, match[2], TOKEN_UNITS[match[3]!]!);
  if (tokens === undefined) return { code: 'E_TYPE', expected: 'a whole number of tokens' };
  return Number(tokens);
}

/** `0.95` or `"95%"` to a number; the range is the field's own. */
export function parseShare(value: unknown): number | ScalarProblem {
  const expected = SCALAR_NAMES.share;
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return { code: 'E_TYPE', expected, hint: 'Write 0.95 or 95%' };
  const match = /^(-?\d+(?:\.\d+)?)(%?)$/.exec(value);
  if (match === null) return { code: 'E_PATTERN', expected, hint: 'Write 0.95 or 95%' };
  return match[2] === '%' ? Number(match[1]) / 100 : Number(match[1]);
}

/** Integer 0..4294967295. */
export function parseSeed(value: unknown): number | ScalarProblem {
  const expected = SCALAR_NAMES.seed;
  if (typeof value !== 'number' || !Number.isInteger(value)) return { code: 'E_TYPE', expected };
  return value >= 0 && value <= 4294967295 ? value : { code: 'E_RANGE', expected };
}

/** A reference `name@version`. */
export interface PresetRef {
  readonly name: string;
  readonly version: number;
}

/** `name@version`; undefined when the version is missing or not a positive integer. */
export function parsePresetRef(text: string): PresetRef | undefined {
  const match = /^([a-z0-9][a-z0-9.-]*)@([1-9]\d*)$/.exec(text);
  return match === null ? undefined : { name: match[1]!, version: Number(match[2]) };
}

/** ms to the shortest grammar text that parses back to the same value, e.g. 5400000 to `1h30m`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  if (ms === Infinity) return 'inf';
  let micros = BigInt(Math.round(ms * 1000));
  if (micros < 1000n) return `${micros}us`;
  if (micros < 1_000_000n) return `${Number(micros) / 1000}ms`;
  let text = '';
  for (const unit of ['d', 'h', 'm'] as const) {
    const count = micros / DURATION_US[unit]!;
    if (count > 0n) text += `${count}${unit}`;
    micros -= count * DURATION_US[unit]!;
  }
  return micros > 0n ? `${text}${trimmed(micros, 1_000_000n, 6)}s` : text;
}

function trimmed(value: bigint, scale: bigint, digits: number): string {
  const fraction = (value % scale).toString().padStart(digits, '0').replace(/0+$/, '');
  return fraction === '' ? `${value / scale}` : `${value / scale}.${fraction}`;
}

/** Bytes to the shortest exact text, IEC before SI, larger units first. */
export function formatSize(bytes: number): string {
  const exact = BigInt(bytes);
  const fits = ['TiB', 'GiB', 'MiB', 'KiB', 'TB', 'GB', 'MB', 'kB', 'B'].filter((unit) => exact % SIZE_UNITS[unit]! === 0n);
  if (exact === 0n) return '0B';
  const texts = fits.map((unit) => ({ digits: `${exact / SIZE_UNITS[unit]!}`.length, text: `${exact / SIZE_UNITS[unit]!}${unit}` }));
  return texts.reduce((best, form) => (form.digits < best.digits ? form : best)).text;
}

/** Bytes per ms to text, e.g. 5e7 to `50GB/s`. */
export function formatBandwidth(bytesPerMs: number): string {
  const bytes = Math.round(bytesPerMs * 1000);
  for (const [unit, factor] of [
    ['TB', 1e12],
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    const value = Number((bytes / factor).toPrecision(12));
    if (value >= 1 && scaleMatches(value, unit, bytes)) return `${value}${unit}/s`;
  }
  return `${bytes}B/s`;
}

function scaleMatches(value: number, unit: string, bytes: number): boolean {
  return parseSize(`${value}${unit}`) === bytes;
}

/** Events per ms to text per hour, minute or second, whichever is shortest. */
export function formatRate(perMs: number): string {
  const forms = (['h', 'min', 's'] as const).map((unit) => `${Number((perMs * RATE_MS[unit]!).toPrecision(12))}/${unit}`);
  return forms.reduce((best, form) => (form.length < best.length ? form : best));
}

/** Tokens to text: k or M where that is whole, else the integer. */
export function formatTokens(tokens: number): string {
  if (tokens !== 0 && tokens % 1_000_000 === 0) return `${tokens / 1_000_000}M`;
  if (tokens !== 0 && tokens % 1000 === 0) return `${tokens / 1000}k`;
  return `${tokens}`;
}

/** 0.95 to `95%`. */
export function formatShare(share: number): string {
  return `${Number((share * 100).toPrecision(12))}%`;
}

/** Text of a number in the base unit of `kind`. */
export function formatScalar(kind: ScalarKind, value: number): string {
  switch (kind) {
    case 'duration':
      return formatDuration(value);
    case 'signedDuration':
      return value < 0 ? `-${formatDuration(-value)}` : formatDuration(value);
    case 'size':
      return formatSize(value);
    case 'bandwidth':
      return formatBandwidth(value);
    case 'rate':
      return formatRate(value);
    case 'tokens':
      return `${value}`;
    case 'share':
      return formatShare(value);
    case 'seed':
      return `${value}`;
  }
}
