import { beforeAll, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { planOf } from '../experiment/plan-of.ts';
import { policyCatalogue } from '../experiment/policy-catalogue.ts';
import { clusterSpec, prepareTrace } from '../experiment/simulate.ts';
import { TURN_STATUS } from '../measure/turn-table.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { Cluster } from './cluster.ts';

const SETS = [
  'workload.sessions=12',
  'workload.arrivals.rate=20000/h',
  'fleet.pools.main.workers=2',
  'run.warmup=0',
  'baseline=dynamo-kv+lru',
];
type Run = ReturnType<Cluster['result']>;

/** Runs dynamo-kv with parameters of the queue on the quickstart; every action of the plane is counted by its kind. */
async function run(params: string, sets: readonly string[] = []): Promise<{ run: Run; actions: Map<string, number> }> {
  const router = `matrix.router=[{use: dynamo-kv@1, with: {${params}}}]`;
  const loaded = await loadScenario(
    { file: 'quickstart' },
    { sets: [...SETS, router, ...sets], policies: policyCatalogue(), packageRoot: findPackageRoot() },
  );
  const plan = planOf(loaded, { metrics: [] });
  const trace = await prepareTrace(plan);
  const lines: string[] = [];
  const cluster = new Cluster(clusterSpec(plan, plan.arms[0]!, materialiseWorkload(trace, plan.workload, plan.seed, 0), 0, lines));
  while (cluster.step(100_000));
  const actions = new Map<string, number>();
  for (const line of lines) {
    const kind = /"action":\{[^}]*"kind":"(\w+)"/.exec(line)?.[1];
    if (kind !== undefined) actions.set(kind, (actions.get(kind) ?? 0) + 1);
  }
  return { run: cluster.result(), actions };
}

let off: Run;
beforeAll(async () => {
  off = (await run('')).run;
}, 60_000);

it('turns wait in the router: their wait is part of TTFT, everybody is served, and the run repeats', async () => {
  const { run: on, actions } = await run('queueThreshold: 0');
  const { turns } = on;
  let waited = 0;
  for (let turn = 0; turn < turns.count; turn++) {
    expect(turns.status[turn]).toBe(off.turns.status[turn]);
    const waitMs = turns.dispatchMs[turn]! - turns.arrivalMs[turn]!;
    expect(waitMs).toBeGreaterThanOrEqual(0);
    expect(turns.firstTokenMs[turn]! - turns.arrivalMs[turn]!).toBeGreaterThan(waitMs);
    if (waitMs > 0) waited++;
  }
  expect(waited).toBeGreaterThan(10);
  expect(actions.get('queue')).toBe(waited);
  expect(actions.get('dispatch')).toBe(turns.count);
  expect(on.refusals).toBe(0);
  expect(on.runHash).not.toBe(off.runHash);
  expect((await run('queueThreshold: 0')).run.runHash).toBe(on.runHash);
}, 60_000);

it('a threshold that nobody reaches changes nothing', async () => {
  expect((await run('queueThreshold: 1000')).run.runHash).toBe(off.runHash);
}, 60_000);

it('full queues and long waits are refusals that clients retry; a client gives up while it waits; nobody hangs', async () => {
  const { run: full } = await run('queueThreshold: 0, queueMaxRequests: 1, queueMaxWait: 2s');
  expect(full.refusals).toBeGreaterThan(0);
  expect(full.turns.attempts.slice(0, full.turns.count).some((n) => n > 1)).toBe(true);
  const { run: hasty } = await run('queueThreshold: 0', ['workload.timeout.request=200ms', 'fleet.pools.main.workers=1']);
  const { turns } = hasty;
  let gaveUpWaiting = 0;
  for (let turn = 0; turn < turns.count; turn++) {
    if (turns.status[turn] === TURN_STATUS.timedOut && Number.isNaN(turns.dispatchMs[turn]!)) gaveUpWaiting++;
  }
  expect(gaveUpWaiting).toBeGreaterThan(0);
}, 60_000);
