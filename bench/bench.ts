/**
 * `npm run bench`: how fast kvcast is, in figures. Whole runs, routing decisions, ingest, and the counters per request that tell how
 * the work grows. Wall times are medians and are printed only; nothing here passes or fails.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchRouting } from '../control/router/router.bench.ts';
import { noPaint } from '../reports/text/paint.ts';
import { table } from '../reports/text/table.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { measureIngest } from '../traces/ingest-figures.ts';
import { type FleetFigures, fleetFigures, scenarioPlan } from './fleet-figures.ts';

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Must and stretch goal of the data-structures specification, section 8; '' = none. */
  readonly goal: string;
}

const ROOT = findPackageRoot();
const isQuick = process.argv.includes('--quick');
const isJson = process.argv.includes('--json');

/** Event loop of the first arm of a scenario; counters are those of every run, the speed is the median. */
async function loop(file: string, sets: readonly string[], runs: number): Promise<FleetFigures & { readonly requestsPerS: number }> {
  const plan = await scenarioPlan(file, sets);
  const trace = await prepareTrace(plan);
  const all = Array.from({ length: runs }, () => fleetFigures(plan, trace));
  return { ...all[0]!, requestsPerS: median(all.map((f) => (1000 * f.requests) / f.loopMs)) };
}

/** The agent population of agents-64 on another number of workers, without warm-up, HBM only. */
function agents(workers: number, hours: number): string[] {
  return [
    `fleet.pools.main.workers=${workers}`,
    `workload.arrivals.concurrency=${workers * 8}`,
    `run.horizon=${hours}h`,
    'run.warmup=0',
    'fleet.pools.main.tiers.host.size=0B',
  ];
}

async function figures(): Promise<Figure[]> {
  const out: Figure[] = [];
  const add = (name: string, value: number, unit: string, goal = ''): void => {
    out.push({ name, value, unit, goal });
    if (!isJson) process.stderr.write('.');
  };
  const addLoop = (name: string, f: Awaited<ReturnType<typeof loop>>, goal = ''): void => {
    add(`${name}: event loop`, f.requestsPerS, 'requests/s', goal);
    add(`${name}: calendar events`, f.eventsPerRequest, 'per request');
    add(`${name}: engine events`, f.engineEventsPerRequest, 'per request');
    add(`${name}: segments touched`, f.segmentsPerRequest, 'per request');
    add(`${name}: index and booking entries walked`, f.entriesPerRequest, 'per request');
    add(`${name}: block structures`, f.bytesPerCachedBlock, 'B/cached block', '2 | 0.23');
  };
  const runs = isQuick ? 1 : 3;
  addLoop('Mooncake, 8 workers', await loop('mooncake-8', [], runs + 1));
  add('Mooncake, 8 workers: whole process', wholeProcess(), 's', '0.9 | 0.45');
  addLoop('agents, 64 workers', await loop('agents-64', agents(64, isQuick ? 2 : 8), runs), '120,000 | 300,000');
  addLoop('agents, 512 workers', await loop('agents-64', agents(512, isQuick ? 1 : 2), runs), '80,000 | 200,000');
  addLoop('agents, 64 workers, host tier', await loop('agents-64', [...agents(64, 2), 'fleet.pools.main.tiers.host.size=256GiB'], 1));
  const jump = await loop('agents-8', ['workload.sessions=12'], runs);
  const step = await loop('agents-8', ['workload.sessions=12', 'fleet.pools.main.engine.with.stepMode=reference'], 1);
  add('jumping against stepped engine', jump.requestsPerS / step.requestsPerS, 'x');
  for (const row of benchRouting()) {
    add(`routing decision, ${row.workers} workers`, row.microsPerDecision, 'us', row.workers === 512 ? '3 | 0.35' : '');
    add(`routing decision, softmax, ${row.workers} workers`, row.microsPerSoftmax, 'us', row.workers === 512 ? '10 | 5' : '');
  }
  const ingest = await measureIngest(isQuick ? 100 : 400);
  add('ingest of raw JSONL', ingest.megabytesPerS, 'MB/s', '250 | 556');
  add('ingest: memory above the start', ingest.peakMiB, 'MiB', '300');
  add('columnar file', ingest.cacheBytesPerRequest, 'B/request', '64 | 36');
  add('from the columnar file', ingest.cachedMs, 'ms');
  return out;
}

/** Wall time of the built command on the published Mooncake file. */
function wholeProcess(): number {
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-bench-'));
  const times: number[] = [];
  for (let i = 0; i < (isQuick ? 1 : 3); i++) {
    const start = performance.now();
    execFileSync('node', [join(ROOT, 'dist/cli.js'), 'run', 'mooncake-8', '-q', '--out', join(folder, 'out')], { stdio: 'ignore' });
    times.push((performance.now() - start) / 1000);
  }
  rmSync(folder, { recursive: true });
  return median(times);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function shown(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}

const all = await figures();
if (isJson) console.log(JSON.stringify({ cpu: cpus()[0]?.model, node: process.version, figures: all }, null, 2));
else {
  process.stderr.write('\n');
  const rows = all.map((f) => [f.name, shown(f.value), f.unit, f.goal]);
  const columns = [{ align: 'left' }, { align: 'right' }, { align: 'left' }, { align: 'right' }] as const;
  console.log(table(columns, [['figure', 'median', '', 'must | stretch'], ...rows], noPaint).join('\n'));
  console.log(`${cpus().length} x ${cpus()[0]?.model} · node ${process.version}`);
}
