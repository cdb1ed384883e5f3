/** What this machine offers and whether it repeats results. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { exp, log, pow } from '../../control/math.ts';
import { defaultCacheDir } from '../../traces/cache.ts';
import { cellFile } from '../hardware/cells.ts';
import { Stream } from '../kernel/draw.ts';
import { RunHash } from '../kernel/run-hash.ts';
import { defaultJobs } from './simulate-point.ts';
import { threadsAvailable } from './thread-file.ts';

/** One line of the report. */
export interface DoctorFinding {
  readonly name: string;
  readonly ok: boolean;
  readonly level: 'error' | 'notice';
  readonly text: string;
}

const NEEDS_NODE = 20;
/** Digest of the self-check; equal on every machine by construction (keyed draws, stdlib functions, integer mixing). */
const SELF_CHECK = 'e57d23aecd624c95';

/** Examines the machine. Touches nothing but a temporary folder. */
export async function examine(version: string): Promise<DoctorFinding[]> {
  const major = Number(process.versions.node.split('.')[0]);
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const digest = selfCheck();
  const cache = cacheFacts();
  return [
    { name: 'version', ok: true, level: 'notice', text: `kvcast ${version} · ${cellFile().cells.length} timing cells` },
    { name: 'node', ok: major >= NEEDS_NODE, level: 'error', text: `node ${process.versions.node} (needs >= ${NEEDS_NODE}.19)` },
    {
      name: 'threads',
      ok: threadsAvailable(),
      level: 'notice',
      text: `${availableParallelism()} cores, ${defaultJobs()} used by default${threadsAvailable() ? '' : '; no thread bundle: run npm run build'}`,
    },
    { name: 'memory', ok: freemem() > 2 ** 30, level: 'notice', text: `${gib(freemem())} free` },
    { name: 'cache', ok: cache.writable, level: 'notice', text: cache.text },
    {
      name: 'determinism',
      ok: digest === SELF_CHECK,
      level: 'error',
      text: `determinism self-check ${digest}${digest === SELF_CHECK ? '' : `, expected ${SELF_CHECK}`}`,
    },
  ];
}

/** Hash over keyed draws and transcendental functions. */
export function selfCheck(): string {
  const hash = new RunHash();
  const stream = new Stream('doctor/self-check');
  for (let i = 0; i < 1000; i++) {
    const u = stream.double();
    hash.add(Math.floor(u * 1e9), i & 7, Math.floor(1e6 * (exp(u) + log(u + 1) + pow(u + 1, 1.5))));
  }
  return hash.digest();
}

function cacheFacts(): { writable: boolean; text: string } {
  const folder = defaultCacheDir();
  let files: string[] = [];
  try {
    files = readdirSync(folder).filter((f) => f.endsWith('.kvtc'));
  } catch {
    files = [];
  }
  const bytes = files.reduce((sum, f) => sum + statSync(join(folder, f)).size, 0);
  const writable = isWritable();
  return { writable, text: `trace cache ${files.length} file${files.length === 1 ? '' : 's'}, ${(bytes / 1e6).toFixed(1)} MB` };
}

function isWritable(): boolean {
  try {
    const folder = mkdtempSync(join(tmpdir(), 'kvcast-'));
    writeFileSync(join(folder, 'probe'), '');
    rmSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}
