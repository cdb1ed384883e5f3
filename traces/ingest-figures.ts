/** Measures reading a large raw file: speed, memory above the start, size and speed of the columnar cache. */
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTraceCached } from './cache.ts';
import { writeRawCorpus } from './raw-corpus.ts';
import { readTrace } from './read.ts';

export interface IngestFigures {
  readonly megabytes: number;
  readonly requests: number;
  /** Megabytes per second of reading raw JSONL, digest and validation included. */
  readonly megabytesPerS: number;
  /** Peak resident memory above the start, MiB. */
  readonly peakMiB: number;
  readonly cacheBytesPerRequest: number;
  /** Time to get the trace from the columnar cache, ms. */
  readonly cachedMs: number;
}

const YESTERDAY_S = Date.now() / 1000 - 86_400;

/** Writes, reads and re-reads a raw corpus of about `megabytes`. */
export async function measureIngest(megabytes: number): Promise<IngestFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-ingest-'));
  try {
    const path = join(folder, 'raw.jsonl');
    const { bytes, requests } = writeRawCorpus(path, megabytes * 1e6);
    // A file changed this moment may change again unnoticed, so the cache would read it whole to name it.
    utimesSync(path, YESTERDAY_S, YESTERDAY_S);
    const before = process.memoryUsage.rss();
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
    }, 10);
    const start = performance.now();
    const trace = await readTrace(path);
    const ms = performance.now() - start;
    clearInterval(watch);
    if (trace.requestCount !== requests) throw new Error(`read ${trace.requestCount} of ${requests} requests`);
    const stored = await readTraceCached(path, { cacheDir: join(folder, 'cache') });
    const again = performance.now();
    await readTraceCached(path, { cacheDir: join(folder, 'cache') });
    return {
      megabytes: bytes / 1e6,
      requests,
      megabytesPerS: bytes / 1000 / ms,
      peakMiB: (peak - before) / 2 ** 20,
      cacheBytesPerRequest: stored.cacheBytes / requests,
      cachedMs: performance.now() - again,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
