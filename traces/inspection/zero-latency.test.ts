import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readTrace } from '../read.ts';
import { zeroLatency } from './zero-latency.ts';

/** The expected file was computed by two programs that share no code with this project; see traces/samples/README.md. */
const samples = fileURLToPath(new URL('../samples/', import.meta.url));
const expected = JSON.parse(readFileSync(`${samples}expected_zero_latency.json`, 'utf8'));

/** Objects whose keys are data, not names. */
const MAPS = new Set(['types', 'stops', 'prev_turn_by_block_size', 'sharing_infinite', 'ttl_block_hits', 'lru_block_hits']);

function camelCased(value: unknown, keysAreData = false): unknown {
  if (Array.isArray(value)) return value.map((v) => camelCased(v));
  if (typeof value !== 'object' || value === null) return value;
  const name = (key: string): string => (keysAreData ? key : key.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase()));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [name(k), camelCased(v, MAPS.has(k))]));
}

describe('the zero-latency table', () => {
  const cases = [
    ['weka_dev.jsonl.gz', expected.weka_dev],
    ['mooncake_conversation_trace.jsonl.gz', expected.mooncake.conversation],
    ['mooncake_synthetic_trace.jsonl.gz', expected.mooncake.synthetic],
  ] as const;
  for (const [file, table] of cases)
    it(`of ${file} equals the expected one in every leaf`, async () => {
      const got = zeroLatency(await readTrace(samples + file));
      expect(got).toEqual(camelCased(table));
      expect(JSON.stringify(got)).toBe(JSON.stringify(camelCased(table)));
    });
});
