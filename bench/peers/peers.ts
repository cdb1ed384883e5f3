/**
 * `npm run bench -- peers`: kvcast beside other simulators on the same traces in one session. Whole processes, wall and CPU seconds
 * (user and system, all children), peak memory. Never run by CI; a peer that is not installed is left out with a line that says how.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { noPaint } from '../../reports/text/paint.ts';
import { table } from '../../reports/text/table.ts';
import { shown } from '../figures.ts';
import { commitOf, machineFacts } from '../machine.ts';
import { writePeerInputs } from './peer-inputs.ts';
import { type Answer, type Invocation, LOOP_ALONE, type PeerWorkload, type Program, programs, WORKLOADS } from './programs.ts';

/** One program on one workload; the run with the least CPU time. */
export interface PeerResult extends Answer {
  readonly workload: string;
  readonly program: string;
  /** `ok`, `not installed`, or why it gave no result. */
  readonly status: string;
  readonly runs: number;
  readonly wallS: number | null;
  readonly cpuS: number | null;
  readonly rssMiB: number | null;
  /** CPU and wall time as multiples of the warm kvcast run of the same session. */
  readonly cpuRatio: number | null;
  readonly wallRatio: number | null;
  /** Its event loop as a multiple of kvcast's. */
  readonly loopRatio: number | null;
}

/** Required multiples of kvcast's CPU time. */
export const BARS: Readonly<Record<string, Readonly<Record<PeerWorkload['trace'], number>>>> = {
  'AISimulate + Dynamo router': { mooncake: 25, agents: 100 },
  'inference-lab': { mooncake: 6, agents: 15 },
};

/** Required multiple of kvcast's event loop. */
export const LOOP_BAR = 200;

interface Measured {
  readonly wallS: number;
  readonly cpuS: number;
  readonly rssMiB: number;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs everything, prints a table with notes, writes bench/results/peers.json. `once` = one run of each. */
export function benchPeers(root: string, once: boolean, isJson: boolean): void {
  const about = { name: 'peers', date: new Date().toISOString(), node: process.version, commit: commitOf(root), machine: machineFacts() };
  const peers = process.env['KVCAST_PEERS'] ?? join(homedir(), '.cache/kvcast-peers');
  const scratch = mkdtempSync(join(tmpdir(), 'kvcast-peers-'));
  const results: PeerResult[] = [];
  try {
    const inputs = writePeerInputs(join(root, 'traces/samples'), join(scratch, 'data'));
    for (const workload of WORKLOADS) {
      const rows: PeerResult[] = [];
      for (const program of programs({ root, peers, scratch, inputs })) {
        process.stderr.write(`${workload.name}: ${program.name}\n`);
        rows.push(resultOf(root, program, workload, once));
      }
      results.push(...withRatios(rows));
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  const text = `${JSON.stringify({ ...about, results }, null, 2)}\n`;
  const folder = join(root, 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'peers.json'), text);
  if (isJson) process.stdout.write(text);
  else console.log(`${peersTable(results)}\n\n${notes(results, peers).join('\n')}`);
}

function resultOf(root: string, program: Program, workload: PeerWorkload, once: boolean): PeerResult {
  const none = {
    wallS: null,
    cpuS: null,
    rssMiB: null,
    cpuRatio: null,
    wallRatio: null,
    loopRatio: null,
    requests: null,
    hitShare: null,
    runs: 0,
  };
  const base = { workload: workload.name, program: program.name };
  if (program.needs !== null && !existsSync(program.needs)) return { ...base, ...none, status: 'not installed' };
  // A warm run finds what the run before it left.
  if (program.name === 'kvcast, warm') measure(root, program.invocation(workload)!);
  let best: Measured | null = null;
  let answer: Answer = { requests: null, hitShare: null };
  let runs = 0;
  for (const repeats = once ? 1 : program.repeats(workload); runs < repeats; runs++) {
    const invocation = program.invocation(workload);
    if (invocation === null) return { ...base, ...none, status: 'cannot replay it' };
    const measured = measure(root, invocation);
    if (measured.exitCode !== 0) return { ...base, ...none, status: failure(measured) };
    if (best === null || measured.cpuS < best.cpuS) best = measured;
    answer = invocation.read(measured.stdout);
  }
  const { wallS, cpuS, rssMiB } = best!;
  return { ...base, ...none, ...answer, status: 'ok', runs, wallS: rounded(wallS), cpuS: rounded(cpuS), rssMiB: Math.round(rssMiB) };
}

function failure({ exitCode, stderr }: Measured): string {
  if (exitCode === 124) return 'ended at its time limit';
  return `exit ${exitCode}: ${stderr.trim().split('\n').pop()?.slice(0, 160) ?? ''}`;
}

/** Some machines make every Node process read a bundle of certificates, 40 ms that no program here needs. */
function measure(root: string, { command, env, limitS }: Invocation): Measured {
  const { NODE_EXTRA_CA_CERTS: _, ...own } = process.env;
  const output = execFileSync('python3', [join(root, 'bench/peers/measure.py'), String(limitS), ...command], {
    env: { ...own, ...env },
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(output.toString('utf8')) as Measured;
}

function rounded(seconds: number): number {
  return Number(seconds.toFixed(3));
}

function withRatios(rows: readonly PeerResult[]): PeerResult[] {
  const own = rows.find((r) => r.program === 'kvcast, warm');
  const ratio = (theirs: number | null, ours: number | null | undefined): number | null =>
    theirs === null || ours === null || ours === undefined ? null : Number((theirs / ours).toFixed(2));
  const loop = rows.find((r) => r.program === LOOP_ALONE);
  return rows.map((r) => ({
    ...r,
    cpuRatio: r === loop ? null : ratio(r.cpuS, own?.cpuS),
    wallRatio: r === loop ? null : ratio(r.wallS, own?.wallS),
    loopRatio: ratio(r.loopS ?? null, loop?.loopS),
  }));
}

/** The results as a table, one block a workload. */
export function peersTable(results: readonly PeerResult[]): string {
  const left = { align: 'left' } as const;
  const right = { align: 'right' } as const;
  const head = ['', 'wall s', 'CPU s', 'requests', 'requests/CPU s', 'MiB', 'hits %', 'loop s', 'CPU x', 'wall x', 'loop x', 'bar'];
  const rows = [...new Set(results.map((r) => r.workload))].flatMap((workload) => [
    [workload],
    ...results.filter((r) => r.workload === workload).map(row),
  ]);
  return table([left, ...Array.from({ length: head.length - 2 }, () => right), left], [head, ...rows], noPaint).join('\n');
}

function row(r: PeerResult): string[] {
  if (r.status !== 'ok') return [`  ${r.program}: ${r.status}`];
  const number = (value: number | null): string => shown(value ?? undefined);
  const rate = r.requests === null ? null : r.requests / r.cpuS!;
  const isLoop = r.program === LOOP_ALONE;
  return [
    `  ${r.program}`,
    ...[r.wallS, r.cpuS, r.requests, rate, r.rssMiB].map((value) => number(isLoop ? null : value)),
    number(r.hitShare === null ? null : r.hitShare * 100),
    number(r.loopS ?? null),
    ...[r.cpuRatio, r.wallRatio, r.loopRatio].map(number),
    barText(r),
  ];
}

function barText({ program, workload, cpuRatio, loopRatio }: PeerResult): string {
  const trace = WORKLOADS.find((w) => w.name === workload)?.trace;
  const bar = trace === undefined ? undefined : BARS[program]?.[trace];
  if (bar === undefined || cpuRatio === null) return '';
  const loop = loopRatio === null ? '' : `, loop >= ${LOOP_BAR}: ${loopRatio >= LOOP_BAR ? 'yes' : 'no'}`;
  return `>= ${bar}: ${cpuRatio >= bar ? 'yes' : 'no'}${loop}`;
}

function notes(results: readonly PeerResult[], peers: string): string[] {
  const missing = new Set(results.filter((r) => r.status === 'not installed').map((r) => r.program));
  return [
    'Whole processes, best of the runs by CPU time; x = multiple of the warm kvcast run. What each does: docs/peers.md',
    'kvcast, event loop alone: fastest of six in one process, compiled by then; loop x = loop that a program reports in multiples of it',
    'AISimulate: same step times, blocks and limits; arrivals not before the recorded time; no tiers, retention or intervals',
    'inference-lab: roofline step times, no message delays; sessions are linear chains, so sub-agents start at once beside their parents',
    'inference-lab: Mooncake rows are joined to chains that start evenly over the hour; its routers read worker state without delay',
    'kvcache-simulator: hits of one cache (of one worker) in file order, second half of the requests; no time, workers or router',
    ...[...missing].map((name) => `${name} is not installed: bash bench/peers/setup.sh (into ${peers})`),
  ];
}
