import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { closedLoopStarts } from './closed-loop-starts.ts';
import { pauseOf, type Trace } from './columns.ts';
import { convertTrace } from './convert.ts';
import { lossText } from './loss-report.ts';
import { readTrace } from './read.ts';
import { draftOf } from './session-draft.ts';
import { runTraceConvert } from './trace-commands.ts';
import { EXAMPLE_1_3, readText, sessionE1, sessionE2 } from './worked-examples.ts';
import { agenticMooncakeLines } from './writers/agentic-mooncake-writer.ts';
import { sessionOf } from './writers/kvcast-writer.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-convert-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

/** Starts of session 0 by agent name when every response takes `serviceMs`. */
function starts(trace: Trace, serviceMs: number, mode: 'recorded' | 'debiased'): Record<string, number[]> {
  const { agents } = draftOf(sessionOf(trace, 0));
  const list = closedLoopStarts(agents, {
    startMs: 0,
    serviceMs: () => serviceMs,
    pauseMs: (a, i) => pauseOf(trace, trace.agent.requestFrom[a]! + i, mode),
  });
  return Object.fromEntries(list.map((times, a) => [agents[a]!.id, times]));
}

describe('agentic Mooncake written from E2', () => {
  it('read back starts at the same times for any constant service, in both pause modes', async () => {
    const trace = await readText(JSON.stringify(sessionE2()));
    for (const mode of ['recorded', 'debiased'] as const) {
      const back = await readText([...agenticMooncakeLines(trace, mode)].join('\n'));
      expect(back.notices).toEqual([]);
      for (const s of [0, 1, 1000, 5000, 60_000]) expect(starts(back, s, 'recorded')).toEqual(starts(trace, s, mode));
    }
  });
  it('is the same whatever the order of its rows', async () => {
    const [header, ...rows] = [...agenticMooncakeLines(await readText(JSON.stringify(sessionE2())), 'debiased')];
    const there = await readText([header, ...rows].join('\n'));
    const back = await readText([header, ...rows.reverse()].join('\n'));
    expect(back.request).toEqual(there.request);
    expect(back.agent).toEqual(there.agent);
  });
  it('gives unlabelled tails ids of their own and re-numbers the rest from 0', async () => {
    const rows = [...agenticMooncakeLines(await readText(JSON.stringify(sessionE1())), 'recorded')].slice(1).map((l) => JSON.parse(l));
    expect(rows[0]).toMatchObject({ play_id: 'e1', session_id: 'e1/root', input_length: 300, hash_ids: [0, 1, 2, 3, 4], dependencies: [] });
    expect(rows[1].hash_ids).toEqual([0, 1, 2, 3, 5, 6, 7]);
    expect(rows[4].hash_ids).toEqual([0, 1, 2, expect.any(Number), expect.any(Number)]);
    expect(rows[2].recorded_api_time_ms).toBeUndefined();
    expect(rows[3].dependencies).toEqual([{ request_id: 'e1/root/2', trigger: 'completion', delay_ms: 27_444, relation: 'sequence' }]);
  });
});

describe('agentic Mooncake from elsewhere', () => {
  const header =
    '{"schema":"dynamo.agentic_mooncake","version":2,"block_size":512,"hash_id_scope":"local","source":{"format":"x","digest":"y"}}';
  const row = (id: string, lane: string, edges: [string, number, string?, string?][], more: Record<string, unknown> = {}): string =>
    JSON.stringify({
      request_id: id,
      play_id: 'p',
      session_id: lane,
      model: 'm',
      input_length: 500,
      output_length: 1,
      hash_ids: [Number(id.slice(1))],
      not_before_ms: 0,
      recorded_api_time_ms: 10,
      dependencies: edges.map(([request_id, delay_ms, relation = 'sequence', trigger = 'completion']) => ({
        request_id,
        trigger,
        delay_ms,
        relation,
      })),
      ...more,
    });
  it('keeps barriers as joins and takes starts from the edges', async () => {
    const rows = [
      row('r0', 'a', [], { not_before_ms: 700 }),
      row('r1', 'b', [['r0', 5, 'spawn', 'dispatch']]),
      row('r2', 'a', [
        ['r0', 3],
        ['r1', 20, 'replay_barrier'],
      ]),
    ];
    const trace = await readText([header, ...rows].join('\n'));
    expect([trace.agent.spawnOn[1], trace.agent.spawnDelayMs[1], trace.agent.joinDelayMs[1], trace.request.pauseMs[1]]).toEqual([
      0, 5, 17, 3,
    ]);
    expect(trace.session.arrivalMs[0]).toBe(700);
    expect([...trace.request.startMs]).toEqual([0, 35, 5]);
  });
  it('ignores not_before of rows with edges unless asked to respect it', async () => {
    const rows = [row('r0', 'a', []), row('r1', 'a', [['r0', 5]], { not_before_ms: 100 })].join('\n');
    expect((await readText(`${header}\n${rows}`)).request.pauseMs[1]).toBe(5);
    expect((await readText(`${header}\n${rows}`, { notBefore: 'respect' })).request.pauseMs[1]).toBe(90);
  });
  it('refuses cycles, unknown requests and other versions', async () => {
    const cycle = [row('r0', 'a', []), row('r1', 'a', [['r2', 1]]), row('r2', 'a', [['r1', 1]])].join('\n');
    await expect(readText(`${header}\n${cycle}`)).rejects.toThrow(/E_TRACE_EDGE t\.jsonl:3 dependencies: got a cycle/);
    await expect(readText(`${header}\n${row('r0', 'a', [['r9', 1]])}`)).rejects.toThrow(
      'E_TRACE_EDGE t.jsonl:2 dependencies[0].request_id: got unknown request r9',
    );
    await expect(readText(header.replace('"version":2', '"version":3'))).rejects.toThrow(
      'E_TRACE_VERSION t.jsonl:1 version: got 3, expected 2',
    );
  });
});

describe('trace convert', () => {
  it('counts what agentic Mooncake cannot carry', async () => {
    writeFileSync(at('in.jsonl'), `${JSON.stringify(sessionE1('a'))}\n${JSON.stringify(sessionE2('b'))}`);
    const result = await convertTrace({ input: at('in.jsonl'), to: 'agentic-mooncake', output: at('out.jsonl') });
    const byName = Object.fromEntries(result.losses.map((l) => [l.what, [l.count, l.of]]));
    expect(byName).toMatchObject({
      'tools + system sizes dropped': [1, 4],
      'stop reason dropped': [11, 12],
      'pauses written debiased': [8, 8],
      'agent types dropped': [2, 4],
    });
    expect(readFileSync(at('out.jsonl'), 'utf8').trim().split('\n').length).toBe(13);
    for (const line of lossText(result.losses).split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });
  it('writes nothing under --strict, and tells exit code 3', async () => {
    const out = await runTraceConvert({ input: at('in.jsonl'), to: 'agentic-mooncake', output: at('strict.jsonl'), strict: true });
    expect(out.exitCode).toBe(3);
    expect(out.notices[0]).toMatch(/^error E_TRACE_LOSS .*nothing written/);
    expect(existsSync(at('strict.jsonl'))).toBe(false);
  });
  it('to the own format loses nothing of it, compressed or not', async () => {
    writeFileSync(at('k.jsonl'), EXAMPLE_1_3);
    const out = await runTraceConvert({ input: at('k.jsonl'), to: 'kvcast', output: at('k2.jsonl.gz'), strict: true });
    expect(out).toMatchObject({ exitCode: 0, stdout: 'loss  none\n', notices: [`wrote ${at('k2.jsonl.gz')} · 1 sessions · 3 requests`] });
    expect(sessionOf(await readTrace(at('k2.jsonl.gz')), 0)).toEqual(sessionOf(await readTrace(at('k.jsonl')), 0));
  });
  it('leaves no half-written file behind when the input is bad or the output cannot be written', async () => {
    writeFileSync(at('bad.jsonl'), EXAMPLE_1_3.slice(0, -9));
    await expect(convertTrace({ input: at('bad.jsonl'), to: 'kvcast', output: at('never.jsonl') })).rejects.toThrow('E_TRACE_JSON');
    await expect(convertTrace({ input: at('k.jsonl'), to: 'kvcast', output: at('no/such/dir.jsonl') })).rejects.toThrow(
      /E_OUTPUT .*no such directory/,
    );
    await expect(convertTrace({ input: at('k.jsonl'), to: 'kvcst', output: at('never.jsonl') })).rejects.toThrow(
      'E_ENUM --to: got kvcst, expected kvcast or agentic-mooncake. Did you mean "kvcast"?',
    );
    expect(readdirSync(folder).filter((n) => n.startsWith('never') || n.endsWith('.tmp'))).toEqual([]);
  });
});
