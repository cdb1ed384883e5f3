import { describe, expect, it } from 'vitest';
import { formatBandwidth, formatDuration, formatRate, formatSize, parsePresetRef, parseScalar, type ScalarKind } from './scalars.ts';

/** Numbers and codes of experiments specification 1.2. */
const ACCEPTED: readonly (readonly [ScalarKind, unknown, number])[] = [
  ['duration', '1h30m', 5_400_000],
  ['duration', '1.5ms', 1.5],
  ['duration', '90s', 90_000],
  ['duration', '1us', 0.001],
  ['duration', '2d3h', 183_600_000],
  ['duration', 0, 0],
  ['duration', '0', 0],
  ['size', '80GiB', 85_899_345_920],
  ['size', '80GB', 80_000_000_000],
  ['size', '1.5KiB', 1536],
  ['size', '0B', 0],
  ['bandwidth', '50GB/s', 5e7],
  ['bandwidth', '1GB/s', 1e6],
  ['rate', '12/h', 12 / 3_600_000],
  ['rate', '3/min', 3 / 60_000],
  ['rate', '0.5/s', 0.0005],
  ['tokens', '200k', 200_000],
  ['tokens', '128Ki', 131_072],
  ['tokens', '1M', 1_000_000],
  ['tokens', '1.5k', 1500],
  ['tokens', 262144, 262_144],
  ['share', '95%', 0.95],
  ['share', 0.2, 0.2],
  ['seed', 4294967295, 4294967295],
];

const REJECTED: [ScalarKind, unknown, string, string?][] = [
  ['duration', 90, 'E_UNIT_MISSING', 'Write 90s or 1m30s'],
  ['duration', 300, 'E_UNIT_MISSING', 'Write 300s or 5m'],
  ['duration', '90', 'E_UNIT_MISSING', 'Write 90s or 1m30s'],
  ['duration', '0.0001ms', 'E_DURATION_PRECISION'],
  ['duration', '30m1h', 'E_DURATION_ORDER', 'Largest unit first: 1h30m'],
  ['duration', '1h2h', 'E_DURATION_ORDER', 'Each unit may appear once'],
  ['duration', 'inf', 'E_PATTERN'],
  ['duration', '5 m', 'E_PATTERN'],
  ['duration', '-5m', 'E_PATTERN'],
  ['duration', true, 'E_TYPE'],
  ['size', '80G', 'E_SIZE_UNIT', 'Write 80GB (80,000,000,000 B) or 80GiB (85,899,345,920 B)'],
  ['size', '80gb', 'E_SIZE_UNIT', 'Write 80GB (80,000,000,000 B) or 80GiB (85,899,345,920 B)'],
  ['size', '80Gb', 'E_SIZE_UNIT', 'Write 80GB (80,000,000,000 B) or 80GiB (85,899,345,920 B)'],
  ['size', 80, 'E_UNIT_MISSING'],
  ['size', '0.3B', 'E_SIZE_UNIT'],
  ['bandwidth', '400Gb/s', 'E_SIZE_UNIT', 'Write 50GB/s'],
  ['bandwidth', '400Gbit/s', 'E_SIZE_UNIT', 'Write 50GB/s'],
  ['bandwidth', '50GB', 'E_UNIT_MISSING', 'Write 50GB/s'],
  ['bandwidth', 50, 'E_UNIT_MISSING', 'Write 50GB/s'],
  ['rate', 12, 'E_UNIT_MISSING'],
  ['rate', '12/d', 'E_PATTERN'],
  ['tokens', 1.5, 'E_TYPE'],
  ['tokens', '0.5', 'E_TYPE'],
  ['tokens', '1.0001k', 'E_TYPE'],
  ['tokens', '200K', 'E_PATTERN'],
  ['share', 'most', 'E_PATTERN'],
  ['seed', '42', 'E_TYPE'],
  ['seed', 1.5, 'E_TYPE'],
  ['seed', 4294967296, 'E_RANGE'],
  ['seed', -1, 'E_RANGE'],
];

describe('scalars', () => {
  it.each(ACCEPTED)('%s %s is %s', (kind, text, value) => {
    expect(parseScalar(kind, text)).toBe(value);
  });

  it.each(REJECTED)('%s %s is refused with %s', (kind, text, code, hint) => {
    const result = parseScalar(kind, text);
    expect(result).toMatchObject(hint === undefined ? { code } : { code, hint });
  });

  it('takes inf for a duration only where the field says so', () => {
    expect(parseScalar('duration', 'inf', true)).toBe(Number.POSITIVE_INFINITY);
  });

  it('writes values as a person would', () => {
    expect(formatDuration(5_400_000)).toBe('1h30m');
    expect(formatDuration(90_000)).toBe('1m30s');
    expect(formatDuration(1.5)).toBe('1.5ms');
    expect(formatSize(85_899_345_920)).toBe('80GiB');
    expect(formatSize(80_000_000_000)).toBe('80GB');
    expect(formatBandwidth(8.34e7)).toBe('83.4GB/s');
    expect(formatRate(48 / 3_600_000)).toBe('48/h');
  });

  it('needs the version of a preset', () => {
    expect(parsePresetRef('vllm-0.27@1')).toEqual({ name: 'vllm-0.27', version: 1 });
    for (const text of ['vllm', 'vllm@0', 'vllm@01', 'vllm@x', '@1']) expect(parsePresetRef(text), text).toBeUndefined();
  });
});
