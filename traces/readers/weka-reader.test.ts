import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { formatProblem, UserError } from '../../control/user-error.ts';
import { BREAK_CAUSES, pauseOf, type Trace } from '../columns.ts';
import { readTrace } from '../read.ts';
import { readText, sessionE1, sessionE2 } from '../worked-examples.ts';
import { sessionOf } from '../writers/kvcast-writer.ts';
import { estimatedApiMs } from './weka-session.ts';

const samples = fileURLToPath(new URL('../samples/', import.meta.url));

type Json = Record<string, unknown>;

function requests(session: Json): Json[] {
  return session['requests'] as Json[];
}

async function problems(text: string): Promise<string[]> {
  try {
    await readText(text, {}, 'w.jsonl');
    return [];
  } catch (error) {
    if (error instanceof UserError) return error.problems.map((p) => formatProblem(p));
    throw error;
  }
}

function codes(trace: Trace): string[] {
  return trace.notices.map((n) => n.code);
}

describe('session E1', () => {
  it('has the pauses and estimates worked out by hand', async () => {
    const trace = await readText(JSON.stringify(sessionE1()));
    const rows = [1, 2, 3, 4, 5];
    expect(estimatedApiMs(500, 100)).toBe(2556);
    expect(trace.request.apiEstMs[2]).toBe(2556);
    expect(rows.map((r) => pauseOf(trace, r, 'recorded'))).toEqual([10_000, 0, 27_444, 3000, 2000]);
    expect(rows.map((r) => pauseOf(trace, r, 'debiased'))).toEqual([4000, 0, 25_444, 1000, 1000]);
  });
  it('breaks at r4 and r5, which keep 3 blocks each', async () => {
    const { request } = await readText(JSON.stringify(sessionE1()));
    expect([...request.breakKeptTokens]).toEqual([-1, -1, -1, -1, 192, 192]);
    expect(BREAK_CAUSES[request.breakCause[5]!]).toBe('history');
  });
  it('never sums think times: they change nothing', async () => {
    const session = sessionE1();
    for (const r of requests(session)) r['think_time'] = 12_345;
    const [plain, thinking] = [await readText(JSON.stringify(sessionE1())), await readText(JSON.stringify(session))];
    expect(thinking.request).toEqual(plain.request);
  });
  it('is not de-biased when it comes from AgentX', async () => {
    const session = sessionE1();
    for (const r of requests(session)) {
      delete r['stop'];
      delete r['input_types'];
      r['t'] = (r['t'] as number) + 0.25;
    }
    const trace = await readText(JSON.stringify(session));
    expect(trace.header.source.format).toBe('agentx');
    expect(trace.header.interpretation).toMatchObject({ pauseRule: 'none', quantumMs: 1 });
    expect([1, 2, 3, 4, 5].map((r) => pauseOf(trace, r, 'debiased'))).toEqual([10_000, 0, 27_444, 3000, 2000]);
  });
});

describe('session E2', () => {
  it('starts its sub-agents before their markers and joins them at the next request', async () => {
    const trace = await readText(JSON.stringify(sessionE2()));
    const { agent } = trace;
    expect([...agent.spawnDelayMs]).toEqual([Number.NaN, 500, 1000]);
    expect([...agent.joinDelayMs]).toEqual([Number.NaN, 3000, 4000]);
    expect([...agent.spawnOn.slice(1)]).toEqual([1, 1]);
    expect([...agent.spawnAfter]).toEqual([-1, 0, 0]);
    expect([...agent.joinBefore]).toEqual([-1, 1, 1]);
    const inner = [3, 4];
    expect(inner.map((r) => pauseOf(trace, r, 'recorded'))).toEqual([26_000, 15_000]);
    expect(inner.map((r) => pauseOf(trace, r, 'debiased'))).toEqual([21_000, 8500]);
    expect([pauseOf(trace, 1, 'recorded'), pauseOf(trace, 1, 'debiased')]).toEqual([15_000, 7000]);
    expect([...trace.request.startMs.slice(2)]).toEqual([105_500, 135_500, 155_500, 106_000]);
  });
  it('lets an agent without duration run in the background from its marker on', async () => {
    const session = sessionE2();
    requests(session)[1]!['duration_ms'] = null;
    const { agent } = await readText(JSON.stringify(session));
    expect(agent.joinBefore[1]).toBe(-1);
    expect(agent.spawnDelayMs[1]).toBe(60_000);
  });
  it('spawns on dispatch where the agent started before the response ended', async () => {
    const session = sessionE2();
    requests(session)[1]!['duration_ms'] = 63_000;
    const { agent } = await readText(JSON.stringify(session));
    expect([agent.spawnOn[1], agent.spawnDelayMs[1]]).toEqual([0, 2000]);
  });
  it('does not join an agent that nothing follows', async () => {
    const session = sessionE2();
    requests(session).pop();
    const { agent } = await readText(JSON.stringify(session));
    expect([...agent.joinBefore]).toEqual([-1, -1, -1]);
  });
  it('refuses an agent before the first request', async () => {
    const session = sessionE2();
    requests(session).shift();
    expect((await problems(JSON.stringify(session)))[0]).toMatch(/^E_TRACE_ORPHAN_AGENT w\.jsonl:1 requests\[0\]: /);
  });
  it('takes inner times as absolute where they do not start before the marker', async () => {
    const session = sessionE2();
    requests(session).splice(2, 1);
    const entry = requests(session)[1]!;
    entry['t'] = 106;
    entry['duration_ms'] = 60_000;
    for (const r of requests(entry)) r['t'] = (r['t'] as number) + 106;
    const trace = await readText(JSON.stringify(session));
    expect(trace.header.interpretation.subAgentRule).toBe('marker-is-start');
    expect([trace.agent.spawnDelayMs[1], trace.agent.joinDelayMs[1]]).toEqual([1000, 3500]);
    expect(pauseOf(trace, 1, 'recorded')).toBe(14_000);
  });
});

describe('the bundled WEKA sample', () => {
  it('has the counts, chain and pauses of the specification', async () => {
    const trace = await readTrace(`${samples}weka_dev.jsonl.gz`);
    expect([trace.sessionCount, trace.agentCount, trace.requestCount, trace.runFirst.length]).toEqual([120, 148, 9517, 32_937]);
    expect(codes(trace)).toEqual([]);
    const { agent, session } = trace;
    const joined = new Set([...agent.joinBefore].filter((r) => r >= 0));
    expect(joined.size).toBe(16);
    expect([...agent.joinBefore].filter((r) => r >= 0).length).toBe(26);
    const sum = (pauses: (r: number) => number): number => [...joined].reduce((s, r) => s + pauses(r), 0) / 1000;
    expect(sum((r) => pauseOf(trace, r, 'recorded'))).toBeCloseTo(464.488, 6);
    expect(sum((r) => pauseOf(trace, r, 'debiased'))).toBeCloseTo(66.838, 6);
    let overlong = 0;
    for (let s = 0; s < trace.sessionCount; s++) {
      const root = session.agentFrom[s]!;
      let peak = 0;
      for (let r = agent.requestFrom[root]!; r < agent.requestFrom[root + 1]!; r++)
        peak = Math.max(peak, trace.request.inTokens[r]! + trace.request.outTokens[r]!);
      if (peak > 200_000) overlong++;
    }
    expect(overlong).toBe(28);
  });
  it('agrees with the published think times to within a second', async () => {
    const trace = await readTrace(`${samples}weka_dev.jsonl.gz`);
    const lines = gunzipSync(readFileSync(`${samples}weka_dev.jsonl.gz`))
      .toString()
      .trim()
      .split('\n');
    let checked = 0;
    lines.forEach((line, s) => {
      const root = requests(JSON.parse(line) as Json).filter((r) => r['type'] !== 'subagent');
      const from = trace.agent.requestFrom[trace.session.agentFrom[s]!]!;
      root.forEach((r, i) => {
        const think = r['think_time'];
        if (i === 0 || typeof think !== 'number' || root[i - 1]!['api_time'] === undefined) return;
        const { startMs, apiMs } = trace.request;
        const gap = startMs[from + i]! - startMs[from + i - 1]! - apiMs[from + i - 1]!;
        expect(Math.abs(gap - Math.round(1000 * think))).toBeLessThanOrEqual(1010);
        checked++;
      });
    });
    expect(checked).toBe(8441);
  });
  it('equals the published files, id by id', async () => {
    const ranges = await readTrace(`${samples}weka_dev.jsonl.gz`);
    const raw = await readTrace(`${samples}weka_raw`);
    expect(raw.header.source.format).toBe('weka-raw');
    const byId = new Map(Array.from({ length: ranges.sessionCount }, (_, s) => sessionOf(ranges, s)).map((x) => [x.id, x]));
    for (let s = 0; s < raw.sessionCount; s++) expect(sessionOf(raw, s)).toEqual(byId.get(sessionOf(raw, s).id));
    const published = JSON.parse(readFileSync(`${samples}weka_raw/trace_0058.json`, 'utf8')) as Json;
    const runs = sessionOf(raw, 0).agents[0]!.requests.map((r) => r.runs);
    const decoded = runs.map((list) => list.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, k) => first + k)));
    expect(decoded).toEqual(requests(published).map((r) => r['hash_ids']));
  });
});

describe('mistakes in WEKA files', () => {
  const broken = (change: (s: Json) => void): string => {
    const session = sessionE1();
    change(session);
    return JSON.stringify(session);
  };
  it('are located, and all of them are told', async () => {
    const text = [
      JSON.stringify(sessionE1('a')),
      broken((s) => {
        requests(s)[4]!['hash_ids'] = [[1, 3]];
      }),
      broken((s) => {
        s['id'] = 'a';
      }),
    ].join('\n');
    expect(await problems(text)).toEqual([
      'E_TRACE_BLOCK_COUNT w.jsonl:2 requests[4].hash_ids: got 3 blocks, expected 4 (in 260, block 64). Is block_size right?',
      'E_TRACE_SESSION w.jsonl:3 id: got session "a" again, expected unique ids',
    ]);
  });
  it('show twenty and the total', async () => {
    const text = Array.from({ length: 30 }, (_, i) => broken((s) => Object.assign(s, { id: `s${i}`, tool_tokens: -1 }))).join('\n');
    const list = await problems(text);
    expect(list.length).toBe(21);
    expect(list[20]).toBe('E_TRACE_PROBLEMS w.jsonl: 20 of 30 problems shown');
  });
  const cases: [string, (s: Json) => void, RegExp][] = [
    ['an unsafe id', (s) => (requests(s)[0]!['hash_ids'] = [2 ** 53, 1, 2, 3]), /E_TRACE_ID_RANGE .*requests\[0\]\.hash_ids\[0\]/],
    ['an id twice in one prompt', (s) => (requests(s)[0]!['hash_ids'] = [1, 2, 3, 2]), /E_TRACE_RUN .*block id 2 twice/],
    ['a falling range', (s) => (requests(s)[0]!['hash_ids'] = [[4, 1]]), /E_TRACE_RUN .*first ≤ last/],
    ['time that goes back', (s) => (requests(s)[3]!['t'] = 3), /E_TRACE_TIME/],
    ['a negative time', (s) => (requests(s)[0]!['t'] = -1), /E_TRACE_TIME .*requests\[0\]\.t/],
    ['half a token', (s) => (requests(s)[0]!['in'] = 300.5), /E_TRACE_VALUE .*requests\[0\]\.in: got 300\.5/],
    ['an odd block size', (s) => (s['block_size'] = 0), /E_TRACE_HEADER .*block_size/],
    ['no requests', (s) => (s['requests'] = []), /E_TRACE_SESSION .*requests/],
  ];
  for (const [name, change, pattern] of cases)
    it(`include ${name}`, async () => {
      const list = await problems(broken((s) => void change(s)));
      expect(list.length).toBeGreaterThan(0);
      expect(list[0]).toMatch(pattern);
    });
  it('are tolerated up to the limit, whole sessions only', async () => {
    const text = [JSON.stringify(sessionE1('a')), broken((s) => void (requests(s)[0]!['in'] = 0)), JSON.stringify(sessionE1('c'))].join(
      '\n',
    );
    await expect(readText(text)).rejects.toThrow('E_TRACE_VALUE');
    const trace = await readText(text, { skipBad: 1 });
    expect(trace.sessionCount).toBe(2);
    expect(trace.notices).toMatchObject([{ code: 'W_TRACE_SKIPPED', count: 1, position: 't.jsonl:2' }]);
  });
  it('tell ids that are not chained', async () => {
    const session = sessionE1();
    const list = requests(session);
    list[1]!['hash_ids'] = [[2, 7]];
    list[2]!['hash_ids'] = [
      [5, 9],
      [1, 2],
    ];
    expect((await problems(JSON.stringify(session)))[0]).toMatch(/^E_TRACE_NOT_CHAINED /);
  });
  it('warn of wrong totals, oversized prefixes and unknown fields with a suggestion', async () => {
    const session = { ...sessionE1(), totals: { parent_tokens: { input: 2540, output: 1 } }, tool_tokens: 250, modls: 1 };
    const trace = await readText(JSON.stringify(session));
    expect(codes(trace)).toEqual(['W_TRACE_UNKNOWN_FIELD', 'W_TRACE_TOTALS', 'W_TRACE_PREFIX_SIZE']);
    expect(trace.notices[0]!.message).toContain('did you mean "models"?');
  });
});
