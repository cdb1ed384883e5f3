import { describe, expect, it } from 'vitest';
import { formatProblem, UserError } from '../../control/user-error.ts';
import { EXAMPLE_1_3, readText, sessionE1, sessionE2 } from '../worked-examples.ts';
import { kvcastLines } from '../writers/kvcast-writer.ts';

const [HEADER, SESSION] = EXAMPLE_1_3.split('\n') as [string, string];

async function problem(text: string): Promise<string> {
  try {
    await readText(text, { format: 'kvcast' }, 'x.kvtrace.jsonl');
    return 'none';
  } catch (error) {
    if (error instanceof UserError) return formatProblem(error.problems[0]!);
    throw error;
  }
}

function changed(from: string | RegExp, to: string): string {
  const text = EXAMPLE_1_3.replace(from, to);
  expect(text).not.toBe(EXAMPLE_1_3);
  return text;
}

describe('the example of the specification', () => {
  it('reads as two agents with spawn, join and both pauses', async () => {
    const trace = await readText(EXAMPLE_1_3);
    expect([trace.sessionCount, trace.agentCount, trace.requestCount]).toEqual([1, 2, 3]);
    expect([trace.agent.spawnAfter[1], trace.agent.spawnDelayMs[1], trace.agent.joinBefore[1], trace.agent.joinDelayMs[1]]).toEqual([
      0, 500, 1, 3000,
    ]);
    expect([trace.request.pauseMs[1], trace.request.debiasedMs[1]]).toEqual([15_000, 7000]);
    expect([...trace.runFirst]).toEqual([1, 1, 284, 152]);
    expect(trace.header.source.digest).toBe('sha256:00');
    expect(trace.input?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
  it('refuses [284,320] with the block count', async () => {
    expect(await problem(changed('[284,321]', '[284,320]'))).toBe(
      'E_TRACE_BLOCK_COUNT x.kvtrace.jsonl:2 agents[0].requests[1].runs: got 188 blocks, expected 189 (in 12100, block 64). Is block_size right?',
    );
  });
});

describe('validation', () => {
  const cases: [string, string, RegExp][] = [
    ['a missing header', SESSION, /^E_TRACE_HEADER/],
    ['another major version', changed('"version":1', '"version":2'), /^E_TRACE_VERSION x\.kvtrace\.jsonl:1 version: got 2, expected 1/],
    ['a block size of 0', changed('"blockTokens":64', '"blockTokens":0'), /^E_TRACE_HEADER .*blockTokens/],
    ['a session twice', `${EXAMPLE_1_3}\n${SESSION}`, /^E_TRACE_SESSION x\.kvtrace\.jsonl:3 id/],
    ['no agents', `${HEADER}\n{"id":"s","agents":[]}`, /^E_TRACE_SESSION .*agents/],
    ['a parent of the root', changed('{"id":"root",', '{"id":"root","parent":0,'), /^E_TRACE_PARENT/],
    ['a parent that comes later', changed('"parent":0', '"parent":1'), /^E_TRACE_PARENT .*agents\[1\]\.parent: got 1/],
    ['a falling run', changed('[[1,151]]', '[[151,1]]'), /^E_TRACE_RUN .*runs\[0\]/],
    ['an id beyond 2^53', changed('[[1,151]]', '[[9007199254740992,9007199254741142]]'), /^E_TRACE_ID_RANGE/],
    ['an id twice', changed('[[1,151],[284,321]]', '[[1,151],[100,137]]'), /^E_TRACE_RUN .*twice/],
    ['time that goes back', changed('"startMs":0', '"startMs":30000'), /^E_TRACE_TIME .*requests\[1\]\.startMs/],
    ['a fractional pause', changed('"pauseMs":15000', '"pauseMs":1.5'), /^E_TRACE_TIME .*pauseMs: got 1\.5/],
    ['both API times', changed('"apiMs":8000', '"apiMs":8000,"apiEstMs":1'), /^E_TRACE_TIME .*both/],
    ['a spawn after nothing', changed('"after":0', '"after":2'), /^E_TRACE_EDGE .*spawn\.after: got 2/],
    ['a join that is not later', changed('"before":1', '"before":0'), /^E_TRACE_EDGE .*join\.before: got 0/],
    ['a child that nothing starts', changed(/"spawn":\{[^}]*\},/, ''), /^E_TRACE_EDGE .*spawn/],
    ['an unstated break', changed('[[1,151],[284,321]]', '[[1,100],[284,372]]'), /^E_TRACE_BREAK .*got none, expected keptTokens 6400/],
    [
      'a stated break that is none',
      changed('"pauseMs":15000', '"pauseMs":15000,"break":{"keptTokens":9664}'),
      /^E_TRACE_BREAK .*expected none/,
    ],
    ['an unknown stop', changed('"stop":"turn"', '"stop":"end"'), /^E_TRACE_VALUE .*stop: got "end"/],
    [
      'wrong counts',
      changed('"interpretation"', '"counts":{"sessions":2,"requests":3,"inTokens":30300},"interpretation"'),
      /^E_TRACE_HEADER .*counts\.sessions: got 1/,
    ],
    ['a pause before the first request', changed('"in":9700', '"pauseMs":1,"in":9700'), /^E_TRACE_TIME .*first request/],
    [
      'a line that ends early',
      EXAMPLE_1_3.slice(0, -5),
      /^E_TRACE_JSON x\.kvtrace\.jsonl:2:\d+: unexpected end of line\. The file looks truncated/,
    ],
  ];
  for (const [name, text, pattern] of cases) it(`refuses ${name}`, async () => expect(await problem(text)).toMatch(pattern));
  it('accepts unknown fields of the same major with a counted notice', async () => {
    const trace = await readText(changed('"stop":"turn"', '"stop":"turn","apMs":3'));
    expect(trace.notices).toMatchObject([{ code: 'W_TRACE_UNKNOWN_FIELD', count: 1 }]);
    expect(trace.notices[0]!.message).toContain('did you mean "apiMs"?');
  });
  it('accepts a stated break with its cause', async () => {
    const text = changed('[[1,151],[284,321]]', '[[1,100],[284,372]]').replace(
      '"pauseMs":15000',
      '"pauseMs":15000,"break":{"keptTokens":6400,"cause":"system"}',
    );
    const trace = await readText(text);
    expect([trace.request.breakKeptTokens[1], trace.request.breakCause[1]]).toEqual([6400, 3]);
  });
});

describe('write, read, write', () => {
  it('gives the same bytes for every worked example', async () => {
    const mooncake = [0, 3, 3]
      .map((t, i) =>
        JSON.stringify({
          timestamp: 1000 * t,
          input_length: 700,
          output_length: i,
          hash_ids: [0, i + 1],
          priority: i,
          policy_class: 'gold',
        }),
      )
      .join('\n');
    for (const text of [EXAMPLE_1_3, JSON.stringify(sessionE1()), JSON.stringify(sessionE2()), mooncake]) {
      const first = [...kvcastLines(await readText(text))].join('\n');
      expect([...kvcastLines(await readText(first))].join('\n')).toBe(first);
    }
  });
  it('keeps hints, tool spans, tenants and per-request models', async () => {
    const session = JSON.parse(SESSION) as { agents: { requests: Record<string, unknown>[] }[] } & Record<string, unknown>;
    Object.assign(session, { tenant: 'acme', priority: -2, class: 'gold', arrivalMs: 5, hints: { osl: 7 } });
    Object.assign(session.agents[0]!.requests[1]!, {
      model: 'other',
      ttftMs: 9,
      tools: [{ class: 'bash', ms: 12, error: true }],
      hints: { ttlMs: 3 },
    });
    const first = [...kvcastLines(await readText(`${HEADER}\n${JSON.stringify(session)}`))];
    expect(JSON.parse(first[1]!)).toEqual(session);
    expect([...kvcastLines(await readText(first.join('\n')))]).toEqual(first);
  });
  it('merges runs that touch', async () => {
    const trace = await readText(changed('[[1,151]]', '[[1,3],[4,151]]'));
    expect([...trace.runFirst].slice(0, 2)).toEqual([1, 1]);
  });
});
