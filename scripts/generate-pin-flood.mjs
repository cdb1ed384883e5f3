/**
 * Writes scenarios/traces/pin-flood.jsonl.gz, the sessions of scenarios/pin-flood.yaml: a `batch` tenant whose one-shot prompts all ask for
 * an hour of cache (`cache_control`) and never come back, and a `chat` tenant that comes back every half minute and asks for nothing.
 * Everything is arithmetic, nothing is drawn. Run: `node scripts/generate-pin-flood.mjs`.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const BLOCK = 64;
const MINUTES = 40;
const BATCH = { everyMs: 4000, tokens: 24_000, outTokens: 64, ttlMs: 3_600_000 };
const CHAT = { sessions: 10, turns: 60, everyMs: 36_000, firstTokens: 6000, growthTokens: 640, outTokens: 128 };

const session = (id, tenant, arrivalMs, requests) => ({ id, tenant, arrivalMs, agents: [{ id: 'root', model: 'm', requests }] });

function batchSession(i) {
  const blocks = Math.floor(BATCH.tokens / BLOCK);
  const hints = { ttlMs: BATCH.ttlMs };
  const request = { startMs: 0, in: BATCH.tokens, out: BATCH.outTokens, runs: [[0, blocks - 1]], stop: 'turn', hints };
  return session(`batch-${String(i).padStart(4, '0')}`, 'batch', i * BATCH.everyMs, [request]);
}

function chatSession(i) {
  const requests = [];
  for (let k = 0; k < CHAT.turns; k++) {
    const tokens = CHAT.firstTokens + k * CHAT.growthTokens;
    const pause = k === 0 ? {} : { pauseMs: CHAT.everyMs };
    requests.push({
      startMs: k * CHAT.everyMs,
      in: tokens,
      out: CHAT.outTokens,
      runs: [[0, Math.floor(tokens / BLOCK) - 1]],
      stop: 'turn',
      ...pause,
    });
  }
  return session(`chat-${String(i).padStart(2, '0')}`, 'chat', Math.round((i * CHAT.everyMs) / CHAT.sessions), requests);
}

/** All lines of the trace. */
export function pinFloodLines() {
  const header = {
    kvcast: 'trace',
    version: 1,
    blockTokens: BLOCK,
    idScope: 'session',
    partialTail: 'none',
    source: { format: 'kvcast', name: 'pin-flood', digest: 'none', licence: 'Apache-2.0' },
    interpretation: { pauseRule: 'none', apiEstimate: 'none', subAgentRule: 'none', chains: 'off', quantumMs: 1 },
  };
  const batch = Array.from({ length: Math.floor((MINUTES * 60_000) / BATCH.everyMs) }, (_, i) => batchSession(i));
  const chat = Array.from({ length: CHAT.sessions }, (_, i) => chatSession(i));
  const sessions = [...batch, ...chat].sort((a, b) => a.arrivalMs - b.arrivalMs || (a.id < b.id ? -1 : 1));
  return [header, ...sessions].map((line) => JSON.stringify(line));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(dirname(fileURLToPath(import.meta.url)), '..', 'scenarios', 'traces', 'pin-flood.jsonl.gz');
  writeFileSync(file, gzipSync(`${pinFloodLines().join('\n')}\n`, { level: 9 }));
}
