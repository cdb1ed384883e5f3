/** What a figure was measured on: without it a speed means nothing. */
import { execFileSync } from 'node:child_process';
import { cpus, freemem, loadavg, totalmem } from 'node:os';

export interface Machine {
  /** Model of the processor as the system names it. */
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly freeGiB: number;
  /** Load averages of the last 1, 5 and 15 minutes, taken before anything is measured: a quiet machine is near 0. */
  readonly loadAverage: readonly number[];
  readonly platform: string;
}

export interface Commit {
  /** Full hash; null outside a git checkout. */
  readonly id: string | null;
  /** Tracked files outside bench/results differ from the commit. */
  readonly dirty: boolean;
}

/** Facts of this machine at this moment. */
export function machineFacts(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: round(totalmem() / 2 ** 30, 1),
    freeGiB: round(freemem() / 2 ** 30, 1),
    loadAverage: loadavg().map((load) => round(load, 2)),
    platform: `${process.platform} ${process.arch}`,
  };
}

/** The commit of a checkout; results themselves do not make it dirty. */
export function commitOf(root: string): Commit {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    return {
      id: git('rev-parse', 'HEAD'),
      dirty: git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench/results') !== '',
    };
  } catch {
    return { id: null, dirty: false };
  }
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
