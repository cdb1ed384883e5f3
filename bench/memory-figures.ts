/**
 * The figures of `npm run bench -- memory`: what a large fleet, a large file and a second core cost. Everything runs in a process of its
 * own, so that peaks of resident memory are those of one thing. The fleet is a whole cluster run: materialised workload, router with its
 * index and bookings, 1,024 jumping engines with their block pools, links, attribution and records.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thousands } from '../reports/text/numbers.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { type Figure, type Goal, higher, lower } from './figures.ts';
import { type FleetFigures, fleetFigures, scenarioPlan } from './fleet-figures.ts';
import { agents } from './goal-figures.ts';
import { child, ingestChild, ingestPeak, MB, peakMb } from './ingest-peak.ts';

interface FleetPeak {
  readonly run: FleetFigures;
  /** Resident memory when the workload was made and no event handled, and at its peak, MB. */
  readonly workloadMb: number;
  readonly peakMb: number;
}

/** Measures; `full` adds the 1 GB file, a minute or two with a gigabyte of temporary disk. */
export async function memoryFigures(size: 'quick' | 'normal' | 'full', onFigure: () => void): Promise<Figure[]> {
  const out: Figure[] = [];
  const add = (name: string, measured: number | null, unit: string, goal: Goal | null = null): void => {
    out.push({ name, measured, unit, goal });
    onFigure();
  };
  const workers = size === 'quick' ? 64 : 1024;
  const fleet = child<FleetPeak>('memory-fleet', String(workers), size === 'quick' ? '2' : '5');
  // A smaller fleet says nothing about the goal.
  const goal = size === 'quick' ? null : lower(300, 125);
  const name = `agents, ${thousands(workers)} workers, blocks of 16 tokens`;
  add(`${name}: peak memory`, fleet.peakMb, 'MB RSS', goal);
  add(`${name}: memory when the workload is made`, fleet.workloadMb, 'MB RSS');
  add(`${name}: cached blocks`, fleet.run.cachedBlocks, 'blocks');
  add(`${name}: requests`, fleet.run.requests, 'requests');
  add(`${name}: event loop`, (1000 * fleet.run.requests) / fleet.run.loopMs, 'requests/s');
  add(`${name}: block structures`, fleet.run.bytesPerCachedBlock, 'B/cached block', lower(2, 0.23));
  add(`${name}: records and branches`, fleet.run.recordBytesPerRequest, 'B/request');
  const ingest = size === 'full' ? ingestPeak(1000) : null;
  add('1 GB of raw JSONL', ingest?.seconds ?? null, 's', lower(4, 1.8));
  add('1 GB of raw JSONL: peak memory', ingest?.peakMb ?? null, 'MB RSS', lower(300));
  add('sweep on two cores against one', sweepRatio(size === 'quick' ? 1 : 3), 'x', higher(1.7, 1.88));
  return out;
}

/** What a child process does; prints one JSON document. */
export async function memoryChild(task: string, args: readonly string[]): Promise<void> {
  if (task === 'memory-fleet') {
    const sets = [...agents(Number(args[0]), Number(args[1])), 'fleet.pools.main.engine.with.blockSize=16'];
    const plan = await scenarioPlan('agents-64', sets);
    let workloadMb = 0;
    const run = fleetFigures(plan, await prepareTrace(plan), {
      begin: () => {
        workloadMb = process.memoryUsage.rss() / MB;
      },
      end: () => undefined,
    });
    const peak: FleetPeak = { run, workloadMb, peakMb: peakMb() };
    console.log(JSON.stringify(peak));
  } else await ingestChild(args[0]!);
}

/** Wall time of a sweep of the built command on one thread over that on two: two points of four arms. */
function sweepRatio(replications: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-sweep-'));
  const sweep = ['sweep', 'quickstart', '--sweep', 'workers=2,4', '--reps', String(replications), '-q', '--out', join(folder, 'out')];
  const seconds = (jobs: number): number => {
    const started = performance.now();
    execFileSync('node', [join(findPackageRoot(), 'dist/cli.js'), ...sweep, '--jobs', String(jobs)], { stdio: 'ignore' });
    return performance.now() - started;
  };
  try {
    return seconds(1) / seconds(2);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
