import { describe, expect, it } from 'vitest';
import { bundledTracePath } from './bundled.ts';
import { inspectTrace } from './inspect.ts';
import { inspectionText } from './inspect-text.ts';
import { readTrace } from './read.ts';
import { runTraceInspect } from './trace-commands.ts';
import { readText, sessionE1, sessionE2, WEKA_TRANSCRIPT } from './worked-examples.ts';

describe('the inspection of the bundled WEKA sample', () => {
  it('reads as designed', async () => {
    const x = inspectTrace(await readTrace(bundledTracePath('weka-dev@1')!));
    expect(inspectionText(x)).toBe(WEKA_TRANSCRIPT);
  });
  it('has the shape of the specification', async () => {
    const { shape } = inspectTrace(await readTrace(bundledTracePath('weka-dev@1')!));
    const four = (q: { p10: number; p50: number; p90: number; p99: number } | null): number[] => [q!.p10, q!.p50, q!.p90, q!.p99];
    const near = (got: number[], want: number[], digits: number): void => {
      for (const [i, x] of got.entries()) expect(x).toBeCloseTo(want[i]!, digits);
    };
    expect(four(shape.requestsPerSession)).toEqual([7, 47, 174.8, 430.64]);
    expect([shape.requestsPerSession!.max, shape.requestsPerSession!.mean]).toEqual([514, 77.058]);
    near(four(shape.durationS), [440.3, 3537, 19_113.6, 94_890], 1);
    near(four(shape.firstInput), [15_478.7, 28_078.5, 256_435, 446_191], -0.4);
    near(four(shape.peakInput), [80_526, 150_295, 300_398, 696_359], -0.4);
    near(four(shape.toolTokens), [9512.5, 12_439, 12_974, 13_234], -0.4);
    near(four(shape.systemTokens), [2131, 2799, 3767, 4869], -0.4);
    near(four(shape.growth), [199, 675, 3611, 15_693], -0.4);
    const pauses = (q: { n: number; p10: number; p50: number; p90: number; p95: number; p99: number; mean: number }): number[] => [
      q.n,
      q.p10,
      q.p50,
      q.p90,
      q.p95,
      q.p99,
      q.mean,
    ];
    near(pauses(shape.pausesS.tool!.recorded), [7961, 4.04, 9.21, 76.56, 161.45, 610.25, 46.11], 2);
    near(pauses(shape.pausesS.tool!.debiased), [7961, 0, 1.32, 63.03, 146.09, 603.27, 37.45], 2);
    near(pauses(shape.pausesS.human!.recorded).slice(0, 3), [480, 4.28, 199.41], 2);
    near(pauses(shape.pausesS.human!.debiased), [480, 0.08, 190.11, 3140.53, 8797.53, 33_819.92, 1815.33], 2);
    expect([shape.pausesS.unknown!.recorded.n, shape.joins]).toEqual([686, 16]);
  });
  it('counts breaks and hygiene as the specification does', async () => {
    const x = inspectTrace(await readTrace(bundledTracePath('weka-dev@1')!), { contextLimit: 1_000_000 });
    const { breakDetail } = x.reuse;
    expect([breakDetail.breaks, breakDetail.transitions, breakDetail.byCause['model']]).toEqual([197, 9127, 9]);
    expect(breakDetail.keptOverPrefix).toEqual({ '< 0.2': 19, '0.6–0.9': 43, '0.9–1.1': 112, more: 18, other: 5, undefined: 0 });
    expect(x.hygiene.map((f) => f.code)).toEqual(['H1', 'H2', 'H4', 'H5', 'H8', 'H9', 'H10', 'H11', 'H12', 'H13', 'H14']);
    const [h1] = x.hygiene;
    expect(h1!.detail).toMatchObject({
      n: { pairs: 7172, own: 0.5165, previous: 0.1463, nearOwn: 0.4154 },
      s: { pairs: 438, own: 0.4721, previous: 0.6938 },
    });
    const counts = Object.fromEntries(x.hygiene.map((f) => [f.code, f.count]));
    expect(counts).toMatchObject({ H2: 692, H5: 120, H9: 28, H11: 9, H12: 4, H13: 8 });
    expect(x.ttl.find((p) => p.ttlMs === 300_000 && p.pauses === 'debiased')).toEqual({
      ttlMs: 300_000,
      pauses: 'debiased',
      previousTurn: 0.91666,
      block: 0.91683,
      idlePerActive: 3.4845,
    });
  });
});

describe('inspection text', () => {
  it('stays within 100 columns and names load and LRU where ids and arrivals are global', async () => {
    for (const name of ['mooncake-conversation@1', 'mooncake-synthetic@1']) {
      const text = inspectionText(inspectTrace(await readTrace(bundledTracePath(name)!)));
      for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
      expect(text).toContain('LRU curve');
      expect(text).toContain('starts over time');
      expect(text).not.toContain('H6');
    }
  });
  it('finds ids that are local although declared global, and the inverse', async () => {
    const rows = ['a', 'b', 'c'].flatMap((s, i) =>
      [3, 5].map((n, k) =>
        JSON.stringify({
          session_id: s,
          timestamp: 100 * i + k,
          delay: 1,
          input_length: 512 * n,
          output_length: 1,
          hash_ids: Array.from({ length: n }, (_, id) => id),
        }),
      ),
    );
    expect(inspectTrace(await readText(rows.join('\n'))).hygiene.map((f) => f.code)).toContain('H6');
    const apart = [sessionE1('a'), sessionE1('b')].map((s, i) => {
      for (const r of s['requests'] as { hash_ids: number[][] }[]) r.hash_ids = r.hash_ids.map((run) => run.map((id) => id + 100 * i));
      return JSON.stringify(s);
    });
    expect(inspectTrace(await readText(apart.join('\n'))).hygiene.map((f) => f.code)).toContain('H6');
  });
  it('sees open sessions where arrivals are recorded', async () => {
    const header =
      '{"kvcast":"trace","version":1,"blockTokens":64,"idScope":"session","partialTail":"none","source":{"format":"x","digest":"y"},"interpretation":{"pauseRule":"none","apiEstimate":"none","subAgentRule":"none","chains":"off","quantumMs":1}}';
    const session = (id: string, arrivalMs: number): string =>
      `{"id":"${id}","arrivalMs":${arrivalMs},"agents":[{"id":"root","model":"m","requests":[{"startMs":0,"in":64,"out":1,"runs":[[0,0]],"stop":"turn","apiMs":4000},{"startMs":6000,"in":64,"out":1,"runs":[[0,0]],"stop":"turn","apiMs":2000,"pauseMs":2000}]}]}`;
    const { load } = inspectTrace(await readText([header, session('a', 0), session('b', 4000), session('c', 8000)].join('\n')));
    // Sessions are open [0,8), [4,12), [8,16): 24 s over 16 s; responses run 18 s in all.
    expect(load).toMatchObject({ spanS: 16, openSessions: { mean: 1.5, peak: 2 }, requestsInFlight: { mean: 1.125, peak: 2 } });
  });
});

describe('runTraceInspect', () => {
  it('prints one JSON document with the documented top level', async () => {
    const { stdout, exitCode, notices } = await runTraceInspect(bundledTracePath('mooncake-synthetic@1')!, { json: true, cache: false });
    expect([exitCode, notices]).toEqual([0, []]);
    expect(Object.keys(JSON.parse(stdout))).toEqual([
      'formatVersion',
      'identity',
      'shape',
      'reuse',
      'ttl',
      'lru',
      'load',
      'hygiene',
      'cannotTell',
      'zeroLatency',
      'exit',
    ]);
    expect(JSON.parse(stdout).zeroLatency.blockHits).toBe(77_953);
  });
  it('prints the same with and without the cache, and tells warnings', async () => {
    const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
    const folder = mkdtempSync(`${(await import('node:os')).tmpdir()}/kvcast-inspect-`);
    writeFileSync(`${folder}/w.jsonl`, JSON.stringify({ ...sessionE2(), surprise: 1 }));
    const first = await runTraceInspect(`${folder}/w.jsonl`, { cacheDir: `${folder}/cache` });
    const second = await runTraceInspect(`${folder}/w.jsonl`, { cacheDir: `${folder}/cache` });
    const third = await runTraceInspect(`${folder}/w.jsonl`, { cache: false });
    rmSync(folder, { recursive: true });
    expect([second, third]).toEqual([first, first]);
    expect(first.notices).toEqual(['warning W_TRACE_UNKNOWN_FIELD w.jsonl:1: session: unknown field "surprise" (1)']);
  });
});
