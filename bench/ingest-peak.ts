/** Reading a large raw file in a process of its own: a peak of resident memory says nothing in a process that did other things before. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackageRoot } from '../scenarios/presets.ts';
import { writeRawCorpus } from '../traces/raw-corpus.ts';
import { readTrace } from '../traces/read.ts';

/** Bytes. */
export const MB = 1e6;
const YESTERDAY_S = Date.now() / 1000 - 86_400;

/** What reading a file took. */
export interface IngestPeak {
  readonly seconds: number;
  readonly requests: number;
  /** Peak resident memory of the whole process, MB. */
  readonly peakMb: number;
}

/** Writes a raw file of about `megabytes` into a temporary folder and has a child read it. */
export function ingestPeak(megabytes: number): IngestPeak {
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-ingest-'));
  try {
    const path = join(folder, 'raw.jsonl');
    const { requests } = writeRawCorpus(path, megabytes * MB);
    // A file changed this moment may change again unnoticed.
    utimesSync(path, YESTERDAY_S, YESTERDAY_S);
    const peak = child<IngestPeak>('memory-ingest', path);
    if (peak.requests !== requests) throw new Error(`read ${peak.requests} of ${requests} requests`);
    return peak;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the child does: reads and prints an {@link IngestPeak}. */
export async function ingestChild(path: string): Promise<void> {
  const started = performance.now();
  const { requestCount } = await readTrace(path);
  const peak: IngestPeak = { seconds: (performance.now() - started) / 1000, requests: requestCount, peakMb: peakMb() };
  console.log(JSON.stringify(peak));
}

/** Peak resident memory of this process, MB. */
export function peakMb(): number {
  // maxRSS is in kibibytes.
  return (process.resourceUsage().maxRSS * 1024) / MB;
}

/** Runs a task of the built benchmark in a child process and reads its one JSON document. */
export function child<T>(task: string, ...args: string[]): T {
  const entry = join(findPackageRoot(), 'dist/bench.js');
  return JSON.parse(execFileSync('node', [entry, task, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }).toString()) as T;
}
