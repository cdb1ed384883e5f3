import { beforeAll, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { planOf } from '../experiment/plan-of.ts';
import { policyCatalogue } from '../experiment/policy-catalogue.ts';
import { clusterSpec, prepareTrace } from '../experiment/simulate.ts';
import { SESSION_STATUS, TURN_STATUS } from '../measure/turn-table.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { PAUSE_KINDS } from '../workload/workload.ts';
import { Cluster } from './cluster.ts';

const SETS = [
  'workload.sessions=12',
  'workload.arrivals.rate=20000/h',
  'fleet.pools.main.workers=1',
  'run.warmup=0',
  'matrix.router=[least-requests@1]',
];
const BASE = ['matrix.retention=[lru@1]', 'baseline=least-requests+lru'];
type Run = ReturnType<Cluster['result']>;

async function run(...sets: string[]): Promise<Run> {
  const loaded = await loadScenario(
    { file: 'quickstart' },
    { sets: [...SETS, ...BASE, ...sets], policies: policyCatalogue(), packageRoot: findPackageRoot() },
  );
  const plan = planOf(loaded, { metrics: [] });
  const trace = await prepareTrace(plan);
  const cluster = new Cluster(clusterSpec(plan, plan.arms[0]!, materialiseWorkload(trace, plan.workload, plan.seed, 0), 0, null));
  while (cluster.step(100_000));
  return cluster.result();
}

const plays = ({ plays: { status, count } }: Run, code: number): number =>
  status.subarray(0, count).reduce((n, s) => n + (s === code ? 1 : 0), 0);
const turnsOf = ({ turns }: Run, code: number): number[] =>
  Array.from({ length: turns.count }, (_, i) => i).filter((i) => turns.status[i] === code);

let patient: Run;
beforeAll(async () => {
  patient = await run();
}, 60_000);

it('users leave when the first token of a human turn comes late, and nobody else does', async () => {
  const left = await run('workload.abandon.human=2s');
  const gone = turnsOf(left, TURN_STATUS.abandoned);
  expect(gone.length).toBeGreaterThan(0);
  expect(plays(left, SESSION_STATUS.abandoned)).toBe(gone.length);
  expect(plays(patient, SESSION_STATUS.abandoned)).toBe(0);
  const { turns, workload } = left;
  for (const i of gone) {
    expect(workload.turns.pauseKind(turns.turn[i]!)).toBe(PAUSE_KINDS.indexOf('human'));
    expect(turns.firstTokenMs[i]).toBeNaN();
  }
  for (let i = 0; i < turns.count; i++) {
    if (turns.status[i] !== TURN_STATUS.finished || workload.turns.pauseKind(turns.turn[i]!) !== PAUSE_KINDS.indexOf('human')) continue;
    expect(turns.firstTokenMs[i]! - turns.arrivalMs[i]!).toBeLessThanOrEqual(2000);
  }
  // Conservation: every session has exactly one end.
  const ends = ['completed', 'failed', 'abandoned', 'censored', 'rejected'] as const;
  expect(ends.reduce((sum, name) => sum + plays(left, SESSION_STATUS[name]), 0)).toBe(left.plays.count);
}, 60_000);

it('patience without bound, and one that is never tested, change nothing', async () => {
  expect((await run('workload.abandon.human=30d')).runHash).toBe(patient.runHash);
  expect((await run('workload.timeout.firstToken=30d')).runHash).toBe(patient.runHash);
}, 60_000);

it('drawn patience differs by turn and repeats', async () => {
  const sets = ['workload.abandon.human=4s', 'workload.abandon.sigma=1.5'];
  const [a, b] = [await run(...sets), await run(...sets)];
  expect(a.runHash).toBe(b.runHash);
  const fixed = await run('workload.abandon.human=4s');
  expect(a.runHash).not.toBe(fixed.runHash);
}, 60_000);

it('an attempt without first token in time is tried again, then the session fails; answered ones go on', async () => {
  const hasty = await run('workload.timeout.firstToken=3s');
  expect(hasty.timeouts).toBeGreaterThan(0);
  const tried = turnsOf(hasty, TURN_STATUS.timedOut);
  for (const i of tried) expect(hasty.turns.attempts[i]).toBe(3);
  const once = await run('workload.timeout.firstToken=3s', 'workload.retry.max=0');
  const failed = turnsOf(once, TURN_STATUS.timedOut);
  expect(failed.length).toBeGreaterThan(0);
  for (const i of failed) expect(once.turns.attempts[i]).toBe(1);
  expect(plays(once, SESSION_STATUS.failed)).toBeGreaterThanOrEqual(1);
  const slow = patient.turns;
  expect(Array.from({ length: slow.count }, (_, i) => slow.lastTokenMs[i]! - slow.firstTokenMs[i]!).some((ms) => ms > 3000)).toBe(true);
}, 60_000);
