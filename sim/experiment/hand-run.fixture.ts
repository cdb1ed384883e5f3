/** Whole runs on traces written by hand, for tests: one worker, a cache of 4,000 blocks of 64 tokens, one replication. */
import { writeFileSync } from 'node:fs';

/** Header of a trace whose pauses are as written. */
export const HAND_HEADER = {
  kvcast: 'trace',
  version: 1,
  blockTokens: 64,
  idScope: 'session',
  partialTail: 'none',
  source: { format: 'kvcast', digest: 'sha256:00' },
  interpretation: { pauseRule: 'none', apiEstimate: 'none', subAgentRule: 'none', chains: 'off', quantumMs: 1 },
};

/** Writes sessions in the object form of the own format. */
export function writeHandTrace(file: string, sessions: readonly object[], header: object = HAND_HEADER): void {
  writeFileSync(file, `${[header, ...sessions].map((line) => JSON.stringify(line)).join('\n')}\n`);
}

/** Text of a scenario on a trace file; step times are 10 ms unless said otherwise. */
export function handScenario(
  file: string,
  {
    name,
    contextLimit,
    maxBatchedTokens,
    timer = '{use: fixed@1, with: {stepMs: 10}}',
  }: { name: string; contextLimit: string; maxBatchedTokens: number; timer?: string },
): string {
  return `
kvcast: 1
name: ${name}
kind: terminating
workload:
  trace: {use: ${file}, pauses: recorded}
  resample: none
  arrivals: {mode: recorded}
fleet:
  model: qwen3-235b-a22b-fp8@1
  contextLimit: ${contextLimit}
  pools:
    - name: one
      gpu: h100-sxm@1
      workers: 1
      engine: {use: vllm@1, with: {blockSize: 64, kvBlocks: 4000, maxBatchedTokens: ${maxBatchedTokens}, requestDelay: 5ms}}
      timer: ${timer}
control: {router: round-robin@1, retention: lru@1, signals: {netDelay: 1ms, indexAge: 2ms}}
run: {replications: 1}
`;
}
