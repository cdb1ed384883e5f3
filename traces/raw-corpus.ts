/** Writes a large raw WEKA file from the bundled sample, for benchmarks and memory tests: explicit ids, one session per line. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { bundledTracePath } from './bundled.ts';

interface Item {
  hash_ids?: unknown;
  requests?: Item[];
}

/** Repeats the sample under new session names until the file has `bytes` bytes; returns its size and requests. */
export function writeRawCorpus(path: string, bytes: number): { bytes: number; requests: number } {
  const sessions = gunzipSync(readFileSync(bundledTracePath('weka-dev@1')!))
    .toString()
    .trim()
    .split('\n');
  const file = openSync(path, 'w');
  let written = 0;
  let requests = 0;
  for (let n = 0; written < bytes; n++) {
    const session = JSON.parse(sessions[n % sessions.length]!) as { id: string; requests: Item[] };
    session.id += `-${Math.floor(n / sessions.length)}`;
    requests += expand(session.requests);
    written += writeSync(file, `${JSON.stringify(session)}\n`);
  }
  closeSync(file);
  return { bytes: written, requests };
}

/** Ranges to ids, in place; returns the number of prompts. */
function expand(items: Item[]): number {
  let prompts = 0;
  for (const item of items) {
    if (item.requests !== undefined) prompts += expand(item.requests);
    if (item.hash_ids === undefined) continue;
    prompts++;
    const ids: number[] = [];
    for (const [first, last] of item.hash_ids as [number, number][]) for (let id = first; id <= last; id++) ids.push(id);
    item.hash_ids = ids;
  }
  return prompts;
}
