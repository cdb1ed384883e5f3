import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { bundledTracePath } from './bundled.ts';
import { readTraceCached, traceCacheInfo } from './cache.ts';
import { decodeTrace, encodeTrace } from './cache-codec.ts';
import { readTrace } from './read.ts';
import { EXAMPLE_1_3, readText, sessionE1, sessionE2 } from './worked-examples.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-cache-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the columnar file', () => {
  it('gives back every column, name, hint and notice', async () => {
    const session = JSON.parse(EXAMPLE_1_3.split('\n')[1]!);
    Object.assign(session, { tenant: 'äöü\u{1F600}', priority: -3, arrivalMs: 12, hints: { osl: 4 } });
    Object.assign(session.agents[0].requests[1], { pauseMs: 3, debiasedMs: 2, ttftMs: 4, model: 'x', tools: [{ ms: 5 }] });
    const rows =
      '{"timestamp":5,"input_length":600,"output_length":1,"hash_ids":[9007199254740,7]}\n{"timestamp":2,"input_length":600,"output_length":1,"hash_ids":[3,4]}';
    for (const text of [
      EXAMPLE_1_3,
      `${EXAMPLE_1_3.split('\n')[0]}\n${JSON.stringify(session)}`,
      JSON.stringify(sessionE1()),
      JSON.stringify(sessionE2()),
      rows,
    ]) {
      const trace = await readText(text);
      expect(decodeTrace(encodeTrace(trace)!)).toEqual(trace);
    }
  });
  for (const name of ['weka-dev@1', 'mooncake-conversation@1', 'mooncake-synthetic@1'])
    it(`keeps ${name} whole in at most 64 bytes per request`, async () => {
      const trace = await readTrace(bundledTracePath(name)!);
      const file = encodeTrace(trace)!;
      expect(isDeepStrictEqual(decodeTrace(file), trace)).toBe(true);
      expect(file.length / trace.requestCount).toBeLessThanOrEqual(64);
    });
  it('is refused when any byte is damaged or missing', async () => {
    const file = encodeTrace(await readText(EXAMPLE_1_3))!;
    for (let i = 0; i < file.length; i += 7) {
      const damaged = Buffer.from(file);
      damaged[i]! ^= 1;
      expect(decodeTrace(damaged)).toBeNull();
      expect(decodeTrace(file.subarray(0, i))).toBeNull();
    }
  });
});

describe('the cache', () => {
  const path = join(folder, 'in.jsonl');
  const cacheDir = join(folder, 'cache');
  it('is written once, hit afterwards, and told apart by options and content', async () => {
    writeFileSync(path, JSON.stringify(sessionE1()));
    const first = await readTraceCached(path, { cacheDir });
    expect(first.cache).toBe('stored');
    const second = await readTraceCached(path, { cacheDir });
    expect(second.cache).toBe('hit');
    expect(second.trace).toEqual(first.trace);
    expect((await readTraceCached(path, { cacheDir, skipBad: 1 })).cache).toBe('stored');
    expect(await traceCacheInfo(cacheDir)).toMatchObject({ files: 2 });
    writeFileSync(path, JSON.stringify(sessionE2()));
    const changed = await readTraceCached(path, { cacheDir });
    expect([changed.cache, changed.trace.agentCount]).toEqual(['stored', 3]);
    expect(readdirSync(cacheDir).filter((n) => n.endsWith('.tmp'))).toEqual([]);
  });
  it('that is damaged is read again and mended', async () => {
    const before = await readTraceCached(path, { cacheDir });
    expect(before.cache).toBe('hit');
    for (const name of readdirSync(cacheDir)) {
      const bytes = readFileSync(join(cacheDir, name));
      writeFileSync(join(cacheDir, name), bytes.subarray(0, bytes.length - 1));
    }
    const mended = await readTraceCached(path, { cacheDir });
    expect(mended.cache).toBe('stored');
    expect(mended.trace).toEqual(before.trace);
    expect((await readTraceCached(path, { cacheDir })).cache).toBe('hit');
  });
  it('that cannot be used costs a notice, not a failure', async () => {
    const result = await readTraceCached(path, { cacheDir: join(path, 'impossible') });
    expect(result.cache).toBe('bypassed');
    expect(result.notice).toMatch(/^trace cache not used: .*ENOTDIR/);
    expect(result.trace.agentCount).toBe(3);
  });
  it('names a file by where it lies now', async () => {
    const copy = join(folder, 'other.jsonl');
    writeFileSync(copy, readFileSync(path));
    const result = await readTraceCached(copy, { cacheDir });
    expect([result.cache, result.trace.input?.name, result.trace.header.source.name]).toEqual(['hit', 'other', 'other']);
  });
});
