/** The headline table: what is committed is what the trace says, and no figure stands beside another population. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findPackageRoot } from '../scenarios/presets.ts';
import { headlineText } from './headline-results.ts';

const root = findPackageRoot();
const expected = JSON.parse(readFileSync(join(root, 'traces/samples/expected_zero_latency.json'), 'utf8')).weka_dev;
let text = '';
beforeAll(async () => {
  text = await headlineText();
});

/** Cells of the row of a population. */
function row(population: string): string[] {
  const found = text.split('\n').filter((line) => line.startsWith(`| ${population} |`));
  expect(found, population).toHaveLength(1);
  return found[0]!.split('|').map((cell) => cell.trim());
}

describe('docs/results/headline.md', () => {
  it('is what the bundled sample says', () => {
    expect(readFileSync(join(root, 'docs/results/headline.md'), 'utf8')).toBe(text);
  });

  it('has the independently computed figures of root requests and of trees', () => {
    const pooled = row('all sessions, root requests');
    expect(pooled[3]).toBe(expected.infinite.reads_per_write.toFixed(2));
    expect(pooled[3]).toBe('27.42');
    expect(pooled[4]).toBe(expected.infinite.pct.toFixed(2));
    // 17,166,328 hits, 645,476 distinct blocks (trace specification 8).
    expect(row('all sessions, trees of root and nested agents').slice(3, 5)).toEqual([(17_166_328 / 645_476).toFixed(2), '96.35']);
  });

  it('puts the session published with 11.7 reads per write among single sessions, inside their range', () => {
    const single = row('one session, root requests');
    const [median, low, high] = single[3]!.match(/[\d.]+/g)!.map(Number);
    expect(low!).toBeLessThan(11.7);
    expect(median!).toBeGreaterThan(11.7);
    expect(high!).toBeGreaterThan(27.42);
    // The publisher of the recordings: mean hit of a session 93.6 %.
    expect(Number(/; ([\d.]+)\)/.exec(single[4]!)![1])).toBeCloseTo(93.6, 0);
    const beside = text.split('\n').filter((line) => line.startsWith('|') && line.includes('11.7'));
    expect(beside).toHaveLength(1);
    expect(beside[0]).toMatch(/^\| one session of 38 to 46 requests/);
    expect(row('all sessions, root requests')[5]).toBe('');
  });
});
