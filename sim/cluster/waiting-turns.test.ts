import { beforeAll, expect, it } from 'vitest';
import type { DecisionRecord } from '../../control/ports.ts';
import { UserError } from '../../control/user-error.ts';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { planOf } from '../experiment/plan-of.ts';
import { policyCatalogue } from '../experiment/policy-catalogue.ts';
import type { RunPlan } from '../experiment/run-plan.ts';
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
async function run(
  params: string,
  sets: readonly string[] = [],
): Promise<{ run: Run; actions: Map<string, number>; records: DecisionRecord[] }> {
  const plan = await planWith(params, sets);
  const trace = await prepareTrace(plan);
  const lines: string[] = [];
  const cluster = new Cluster(clusterSpec(plan, plan.arms[0]!, materialiseWorkload(trace, plan.workload, plan.seed, 0), 0, lines));
  while (cluster.step(100_000));
  const records = lines.flatMap((line): DecisionRecord[] => (line.includes('"effect":"decided"') ? JSON.parse(line).args : []));
  const actions = new Map<string, number>();
  for (const { action } of records) actions.set(action.kind, (actions.get(action.kind) ?? 0) + 1);
  return { run: cluster.result(), actions, records };
}

async function planWith(params: string, sets: readonly string[] = []): Promise<RunPlan> {
  const router = `matrix.router=[{use: dynamo-kv@1, with: {${params}}}]`;
  const loaded = await loadScenario(
    { file: 'quickstart' },
    { sets: [...SETS, router, ...sets], policies: policyCatalogue(), packageRoot: findPackageRoot() },
  );
  return planOf(loaded, { metrics: [] });
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

const BUCKETS = 'queueDefaultFamily: all, queueBuckets: [{name: short, minTokens: 0}, {name: long, minTokens: 2Ki}]';
const classes = (long: string): string =>
  `queueThreshold: 0, ${BUCKETS}, queueClasses: [{name: a, family: all, bucket: short}, {name: b, family: all, bucket: long, ${long}}]`;
/** Prompt tokens of a waiting request that no rank holds. */
const uncached = ({ request, candidates }: DecisionRecord) => request.promptTokens - Math.max(...candidates.map((c) => c.cachedTokens));
const waiting = (records: readonly DecisionRecord[]) => records.filter((record) => record.action.kind === 'queue').map(uncached);

it('a scenario may name several queue classes: each has its own threshold', async () => {
  const both = waiting((await run(classes('quantum: 100'))).records);
  const shorts = waiting((await run(classes('threshold: null'))).records);
  expect(both.some((tokens) => tokens >= 2048)).toBe(true);
  expect(both.some((tokens) => tokens < 2048)).toBe(true);
  expect(shorts.length).toBeGreaterThan(0);
  expect(Math.max(...shorts)).toBeLessThan(2048);
}, 60_000);

it('takes a parameter of one class by its name', async () => {
  const parameters = async (...sets: string[]) =>
    ((await planWith('queueClasses: [{name: a, quantum: 5}]', sets)).arms[0]!.router.with['queueClasses'] as unknown[])[0];
  expect(await parameters('dynamo-kv.queueClasses.a.quantum=2Ki')).toEqual({ name: 'a', quantum: 2048 });
  expect(await parameters('dynamo-kv.queueClasses[0].order=wspt')).toEqual({ name: 'a', quantum: 5, order: 'wspt' });
  await expect(parameters('dynamo-kv.queueClasses.b.quantum=7')).rejects.toThrow(/expected the name of a list item/);
}, 60_000);

it('refuses queue classes that are wrong where they stand', async () => {
  const problems = async (params: string): Promise<string[]> => {
    try {
      await planWith(params);
      return [];
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // What a matrix holds is also reported where it was written.
      return error.problems.flatMap(({ code, path, message }) =>
        path?.startsWith('control.router.with.') === true ? `${code} ${path.slice('control.router.with.'.length)}: ${message}` : [],
      );
    }
  };
  expect(await problems('queueClasses: [{name: a}, {name: b}]')).toEqual([
    'E_QUEUE queueClasses: got several classes without family, expected a default family',
  ]);
  expect(await problems('queueClasses: [{order: fcfs}]')).toEqual(['E_REQUIRED queueClasses[0].name: got nothing, expected a string']);
  expect((await problems('queueClasses: [{name: a, quantum: 0}, {name: 3, size: 1}]')).sort()).toEqual([
    'E_RANGE queueClasses[0].quantum: got 0, expected >= 1',
    'E_TYPE queueClasses[1].name: got 3, expected a string',
    'E_UNKNOWN_KEY queueClasses[1].size: unknown key',
  ]);
  expect(await problems('queueClasses: {a: {}}')).toEqual([
    expect.stringMatching(/^E_TYPE queueClasses: got a map, expected a list, each item a map of name, /),
  ]);
}, 60_000);
