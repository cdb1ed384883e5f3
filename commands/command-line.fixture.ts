/** Runs the built command as a user would: a process of its own, in a folder of its own. */
import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The built command. */
export const CLI = join(ROOT, 'dist/cli.js');

if (!existsSync(CLI)) execFileSync('node', ['scripts/build.mjs'], { cwd: ROOT });

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A new empty folder; results go there unless `--out` says otherwise. */
export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'kvcast-cli-'));
}

/** Runs `kvcast ARGS` to its end. */
export function kvcast(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}): Promise<Outcome> {
  return finished(start(args, options));
}

/** Starts `kvcast ARGS`; the caller may send signals. */
export function start(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const settings: SpawnOptions = {
    cwd: options.cwd ?? emptyFolder(),
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  };
  return spawn('node', [CLI, ...args], settings);
}

/** Waits for the end of a process. */
export function finished(child: ReturnType<typeof start>): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Hex sha256. */
export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}
