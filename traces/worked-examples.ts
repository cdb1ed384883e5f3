/** The hand-checked sessions of the trace specification (1.3, 2.6 E2, 8.1 E1) for tests, and a way to read text as a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Trace } from './columns.ts';
import { type ReadTraceOptions, readTrace } from './read.ts';

/** Reads text or bytes as a file of the given name. */
export async function readText(content: string | Uint8Array, options: ReadTraceOptions = {}, name = 't.jsonl'): Promise<Trace> {
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-trace-'));
  try {
    writeFileSync(join(folder, name), content);
    return await readTrace(join(folder, name), options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Row = readonly [t: number, type: string, input: number, out: number, runs: [number, number][], stop: string, api: number | null];

/** 8.1 E1: tool 130, system 70, block 64. */
const E1_ROWS: readonly Row[] = [
  [0, 'n', 300, 50, [[1, 4]], 'tool_use', 4],
  [14, 'n', 430, 20, [[1, 6]], 'tool_use', 6],
  [20, 's', 500, 100, [[1, 7]], '', null],
  [50, 'n', 520, 10, [[1, 8]], 'tool_use', 2],
  [
    55,
    's',
    260,
    5,
    [
      [1, 3],
      [9, 9],
    ],
    'end_turn',
    3,
  ],
  [60, 'n', 530, 7, [[1, 8]], 'end_turn', 1],
];

/** E1 as a WEKA session with range-encoded ids. */
export function sessionE1(id = 'e1'): Record<string, unknown> {
  return {
    id,
    models: ['m'],
    block_size: 64,
    hash_id_scope: 'local',
    tool_tokens: 130,
    system_tokens: 70,
    requests: E1_ROWS.map(([t, type, input, out, runs, stop, api]) => ({
      t,
      type,
      model: 'm',
      in: input,
      out,
      hash_ids: runs,
      input_types: ['text'],
      output_types: ['text'],
      stop,
      ...(api === null ? {} : { api_time: api }),
    })),
  };
}

/** 2.6 E2: two synchronous sub-agents between two root requests. Prompts are empty of meaning: one block each, private ids. */
export function sessionE2(id = 'e2'): Record<string, unknown> {
  let next = 1;
  const request = (t: number, api: number): Record<string, unknown> => {
    const at = next++;
    return {
      t,
      type: 'n',
      model: 'm',
      in: 70,
      out: 5,
      hash_ids: [[at, at]],
      input_types: [],
      output_types: [],
      stop: 'tool_use',
      api_time: api,
    };
  };
  const agent = (t: number, name: string, durationMs: number, rows: [number, number][]): Record<string, unknown> => ({
    t,
    type: 'subagent',
    agent_id: name,
    subagent_type: 'Explore',
    duration_ms: durationMs,
    status: 'completed',
    tool_tokens: 0,
    system_tokens: 0,
    requests: rows.map(([start, api]) => request(start, api)),
  });
  return {
    id,
    models: ['m'],
    block_size: 64,
    hash_id_scope: 'local',
    tool_tokens: 0,
    system_tokens: 0,
    requests: [
      request(100, 5),
      agent(165, 'A', 59_500, [
        [0, 4],
        [30, 5],
        [50, 6.5],
      ]),
      agent(150, 'B', 44_000, [[0, 40]]),
      request(180, 8),
    ],
  };
}

/** 1.3: the own format with two agents. */
export const EXAMPLE_1_3 = [
  '{"kvcast":"trace","version":1,"blockTokens":64,"idScope":"session","partialTail":"none","source":{"format":"weka","digest":"sha256:00","licence":"Apache-2.0"},"interpretation":{"pauseRule":"weka-n-own-api","apiEstimate":"weka-l1","subAgentRule":"marker-is-end","chains":"off","quantumMs":1000}}',
  '{"id":"s1","agents":[{"id":"root","model":"m","toolTokens":8300,"systemTokens":900,"requests":[{"startMs":0,"in":9700,"out":180,"runs":[[1,151]],"stop":"tool","apiMs":5000},{"startMs":27500,"in":12100,"out":90,"runs":[[1,151],[284,321]],"stop":"turn","apiMs":8000,"pauseMs":15000,"debiasedMs":7000}]},{"id":"a1","parent":0,"type":"Explore","model":"h","toolTokens":7400,"systemTokens":1000,"spawn":{"after":0,"on":"completion","delayMs":500},"join":{"before":1,"delayMs":3000},"requests":[{"startMs":5500,"in":8500,"out":40,"runs":[[152,283]],"stop":"tool","apiMs":4000}]}]}',
].join('\n');

/** `trace inspect` on the bundled sample, from the design; its figures were derived from the trace independently of this program. */
export const WEKA_TRANSCRIPT = `weka-ranges: 120 sessions, 9,247 root requests, 1.13 G input tokens, 96.46 % of them reusable.
Identity   block 64 · ids per session · no partial ids · times 1 s (nested 1 ms) · Apache-2.0
           28 sub-agents in 6 sessions with 270 requests · output 4.10 M tokens · no arrival times
Shape (root)              P10      P50       P90       P99      max      mean
  requests / session        7       47     174.8     430.6      514      77.1
  input / request      43,387  103,852   219,932   481,261            122,034
  output / request        110      221       889     3,602              443.7
Reuse      previous turn 96.38 % · infinite cache 96.46 % · 27.4 reads per write · 197 breaks
TTL curve  share of input tokens kept (previous turn), R = idle KV per active KV
  ttl              1s     5s    10s    30s     1m     5m    15m     1h
  debiased, %    41.3   64.6   71.2   78.8   82.8   91.7   94.7   96.0   ▄▆▆▇▇███
  recorded, %     0.6   14.3   46.9   74.5   81.1   91.5   94.6   96.0   ▁▂▄▆▇███
  R, debiased    0.06   0.22   0.36   0.79   1.30   3.48   6.25  13.33
Hygiene    H1  pause bias: pauses follow the request's own service time (0.52 > 0.15): debiased
           H2  692 requests (7.5 %) without api_time: estimated   H4  root times in whole seconds
           H5  no arrivals: set workload.arrivals   H11 9 model switches   H12 4 zero outputs
Cannot tell: sharing between sessions (ids are private) · fan-out (28 sub-agents) · rejected agents
`;
