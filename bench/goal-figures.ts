/** The figures of `npm run bench`: whole runs, routing decisions, ingest, and the counters per request that tell how the work grows. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchRouting } from '../control/router/router.bench.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { measureIngest } from '../traces/ingest-figures.ts';
import { type Figure, type Goal, higher, lower } from './figures.ts';
import { type FleetFigures, fleetFigures, scenarioPlan } from './fleet-figures.ts';
import { ingestPeak } from './ingest-peak.ts';
import { median } from './median.ts';
import { retentionCosts } from './retention-costs.ts';

/** Event loop of the first arm of a scenario; counters are those of every run, the speed is the median. */
async function loop(file: string, sets: readonly string[], runs: number): Promise<FleetFigures & { readonly requestsPerS: number }> {
  const plan = await scenarioPlan(file, sets);
  const trace = await prepareTrace(plan);
  const all = Array.from({ length: runs }, () => fleetFigures(plan, trace));
  return { ...all[0]!, requestsPerS: median(all.map((f) => (1000 * f.requests) / f.loopMs)) };
}

/** The agent population of agents-64 on another number of workers, without warm-up, HBM only. */
export function agents(workers: number, hours: number): string[] {
  return [
    `fleet.pools.main.workers=${workers}`,
    `workload.arrivals.concurrency=${workers * 8}`,
    `run.horizon=${hours}h`,
    'run.warmup=0',
    'fleet.pools.main.tiers.host.size=0B',
  ];
}

/** Median time of the event loop with misses judged over that without, runs taken in turn. */
async function causeShare(hours: number, runs: number): Promise<{ readonly ratio: number; readonly work: number }> {
  const plan = await scenarioPlan('agents-64', agents(64, hours));
  const trace = await prepareTrace(plan);
  const ms: Record<'judged' | 'bare', number[]> = { judged: [], bare: [] };
  let work = 0;
  for (let i = 0; i < runs; i++) {
    const judged = fleetFigures(plan, trace);
    work = judged.causeWorkPerRequest;
    ms.judged.push(judged.loopMs);
    ms.bare.push(fleetFigures(plan, trace, undefined, false).loopMs);
  }
  return { ratio: median(ms.judged) / median(ms.bare), work };
}

/** Measures all figures; about a minute and a half, a third of it when `isQuick`. `onFigure` is called after each. */
export async function goalFigures(isQuick: boolean, onFigure: () => void): Promise<Figure[]> {
  const out: Figure[] = [];
  const add = (name: string, measured: number, unit: string, goal: Goal | null = null): void => {
    out.push({ name, measured, unit, goal });
    onFigure();
  };
  const addLoop = (name: string, f: Awaited<ReturnType<typeof loop>>, goal: Goal | null = null): void => {
    add(`${name}: event loop`, f.requestsPerS, 'requests/s', goal);
    add(`${name}: calendar events`, f.eventsPerRequest, 'per request');
    add(`${name}: engine events`, f.engineEventsPerRequest, 'per request');
    add(`${name}: segments touched`, f.segmentsPerRequest, 'per request');
    add(`${name}: index and booking entries walked`, f.entriesPerRequest, 'per request');
    add(`${name}: block structures`, f.bytesPerCachedBlock, 'B/cached block', lower(2, 0.23));
  };
  const runs = isQuick ? 1 : 3;
  addLoop('Mooncake, 8 workers', await loop('mooncake-8', [], runs + 1));
  add('Mooncake, 8 workers: whole process', wholeProcess(['run', 'mooncake-8', '-q'], runs), 's', lower(0.9, 0.45));
  add(
    'example A, one arm, one replication: whole process',
    wholeProcess(['run', 'quickstart', '--arm', 'round-robin+lru', '--reps', '1', '-q'], runs),
    's',
    lower(1),
  );
  addLoop('agents, 64 workers', await loop('agents-64', agents(64, isQuick ? 2 : 8), runs), higher(120_000, 300_000));
  const causes = await causeShare(isQuick ? 2 : 8, runs);
  add('agents, 64 workers: event loop with causes of misses, against without', causes.ratio, 'x', lower(1.3));
  add('agents, 64 workers: blocks and ranges looked at for causes', causes.work, 'per request');
  const [lru, ...policies] = await retentionCosts(agents(64, 2), runs);
  // Levels by token range do nothing where no request asks for them.
  const suite = policies.filter((p) => p.actionsPerRequest > 0).map((p) => ({ ...p, ratio: p.loopMs / lru!.loopMs }));
  add('agents, 64 workers: retention suite, mean of the policies that act, against lru', mean(suite.map((p) => p.ratio)), 'x', lower(1.5));
  for (const { name, ratio, actionsPerRequest } of suite) {
    add(`agents, 64 workers, ${name}: event loop against lru`, ratio, 'x');
    add(`agents, 64 workers, ${name}: retention actions`, actionsPerRequest, 'per request');
  }
  addLoop('agents, 512 workers', await loop('agents-64', agents(512, isQuick ? 1 : 2), runs), higher(80_000, 200_000));
  addLoop('agents, 64 workers, host tier', await loop('agents-64', [...agents(64, 2), 'fleet.pools.main.tiers.host.size=256GiB'], 1));
  const jump = await loop('agents-8', ['workload.sessions=12'], runs);
  const step = await loop('agents-8', ['workload.sessions=12', 'fleet.pools.main.engine.with.stepMode=reference'], 1);
  add('jumping against stepped engine', jump.requestsPerS / step.requestsPerS, 'x');
  for (const row of benchRouting()) {
    add(`routing decision, ${row.workers} workers`, row.microsPerDecision, 'us', row.workers === 512 ? lower(3, 0.35) : null);
    add(`routing decision, softmax, ${row.workers} workers`, row.microsPerSoftmax, 'us', row.workers === 512 ? lower(10, 5) : null);
  }
  const ingest = await measureIngest(isQuick ? 100 : 400);
  add('ingest of raw JSONL', ingest.megabytesPerS, 'MB/s', higher(250, 556));
  add('ingest: peak memory', ingestPeak(isQuick ? 100 : 400).peakMb, 'MB RSS', lower(300));
  add('columnar file', ingest.cacheBytesPerRequest, 'B/request', lower(64, 36));
  add('from the columnar file', ingest.cachedMs, 'ms');
  return out;
}

/** Median wall time of the built command, s. A first run, not counted, fills the columnar cache and keeps compiled code. */
function wholeProcess(args: readonly string[], runs: number): number {
  const root = findPackageRoot();
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-bench-'));
  const times: number[] = [];
  // A bundle of certificates that some machines make every Node process read is no time of ours.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  for (let i = 0; i <= runs; i++) {
    const start = performance.now();
    execFileSync('node', [join(root, 'dist/cli.js'), ...args, '--out', join(folder, 'out')], { stdio: 'ignore', env });
    if (i > 0) times.push((performance.now() - start) / 1000);
  }
  rmSync(folder, { recursive: true });
  return median(times);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
