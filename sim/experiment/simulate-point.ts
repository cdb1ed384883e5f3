/**
 * The work behind `run`, `compare`, `demo` and each point of `sweep`: compile, choose an executor, run replications, reduce, store.
 * Returns data; printing is the business of commands/.
 */
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import type { LoadedScenario } from '../../scenarios/load-scenario.ts';
import { originText } from '../../scenarios/problem-place.ts';
import { formatDuration } from '../../scenarios/scalars.ts';
import { type Conducted, conduct, type ReplicationRule } from './conduct.ts';
import type { Executor } from './executor.ts';
import { unexercised } from './inert-runs.ts';
import { LocalExecutor } from './local-executor.ts';
import { PLAN_FILE, planText } from './plan-file.ts';
import { planOf } from './plan-of.ts';
import { policyFacts } from './policies.ts';
import { primaryWidth, reduce } from './reduce.ts';
import type { InertField, Result } from './result.ts';
import { resultJson } from './result-json.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace } from './simulate.ts';
import { ResultStore } from './store.ts';
import { threadsAvailable } from './thread-file.ts';

export interface PointOptions {
  readonly command: Result['command'];
  readonly kvcastVersion: string;
  /** Threads; default available parallelism - 1, at least 1. */
  readonly jobs?: number;
  readonly executor?: 'local' | 'threads';
  /** An executor that outlives this point; it is not closed here. */
  readonly shared?: Executor;
  /** Directory of the result, or null to store nothing. */
  readonly out: string | null;
  readonly force: boolean;
  readonly metrics: readonly string[];
  /** What the command changes in the compiled plan. */
  readonly amend?: (plan: RunPlan) => RunPlan;
  /** Exactly so many replications, whatever the scenario says. */
  readonly replications?: number;
  readonly onlyArm?: string;
  readonly baseline?: string;
  readonly onlyReplication?: number;
  readonly verify: boolean;
  readonly timeLimitMs: number | null;
  readonly signal: AbortSignal;
  /** The command that repeats the result, without paths of this machine. */
  readonly reproduce: string;
  onStart(facts: { readonly plan: RunPlan; readonly replications: number; readonly threads: number; readonly sessions: number }): void;
  onProgress(facts: { doneJobs: number; totalJobs: number; share: number; events: number; elapsedMs: number }): void;
}

/** A finished point with its document and what only stderr may say. */
export interface PointOutcome {
  readonly result: Result;
  readonly json: string;
  readonly plan: RunPlan;
  readonly conducted: Conducted;
  readonly folder: string | null;
}

/** Interrupted before one replication was complete in every arm: there is nothing to reduce. */
export class NothingCompleteError extends Error {
  override readonly name = 'NothingCompleteError';
}

/** Threads used when nothing is said. */
export function defaultJobs(): number {
  return Math.max(1, availableParallelism() - 1);
}

/** Runs one point. Throws UserError for input problems, NothingCompleteError when interrupted too early. */
export async function simulatePoint(loaded: LoadedScenario, options: PointOptions): Promise<PointOutcome> {
  const compiled = { ...planOf(loaded, options), firstReplication: options.onlyReplication ?? 0 };
  const plan = options.amend?.(compiled) ?? compiled;
  const store = options.out === null ? null : new ResultStore(options.out, options.force);
  const trace = await prepareTrace(plan);
  const rule = replicationRule(loaded, plan, options);
  const executor = options.shared ?? (await chooseExecutor(options, plan.arms.length * rule.max));
  options.onStart({ plan, replications: rule.max, threads: executor.parallelism, sessions: plan.workload.sessions ?? trace.sessionCount });
  const pointId = plan.key.slice(0, 16);
  const incomplete: { arm: string; replication: number; reason: string }[] = [];
  const hooks = {
    onProgress: options.onProgress,
    onJob: (armName: string, result: Conducted['results'][number][number]) => {
      store?.addJob(pointId, armName, result);
      if (result.incomplete !== undefined) incomplete.push({ arm: armName, replication: result.replication, reason: result.incomplete });
    },
    halfWidth: (results: Conducted['results'], n: number) => primaryWidth(plan, results, n),
    signal: options.signal,
    deadlineMs: options.timeLimitMs,
  };
  let conducted: Conducted;
  try {
    conducted = await conduct(plan, rule, executor, hooks);
    if (options.verify && !conducted.truncated)
      compareHashes(
        plan,
        conducted,
        await conduct(plan, { ...rule, min: conducted.replications, max: conducted.replications }, executor, {
          ...hooks,
          onJob: () => undefined,
        }),
      );
  } finally {
    if (options.shared === undefined) await executor.close();
  }
  if (conducted.truncated && conducted.replications === 0)
    throw new NothingCompleteError(`no replication of ${plan.name} was complete in every arm`);
  assertSameWorkload(plan, conducted);
  incomplete.sort((a, b) => (a.arm < b.arm ? -1 : a.arm > b.arm ? 1 : a.replication - b.replication));
  const result = reduce(plan, conducted, {
    command: options.command,
    kvcastVersion: options.kvcastVersion,
    description: loaded.settings.description,
    arms: plan.arms.map((arm) => {
      const facts = policyFacts(arm);
      return { name: arm.name, policyHash: facts.hash, deployable: facts.deployable };
    }),
    traceName: traceName(loaded),
    traceDigest: trace.header.source.digest,
    gapCap: Number.isFinite(plan.workload.gapCapMs) ? formatDuration(plan.workload.gapCapMs) : 'none',
    inert: [...loadedInert(loaded), ...unexercised(loaded, plan, conducted)],
    incomplete: incomplete.filter((job) => job.replication - plan.firstReplication < conducted.replications),
    reproduce: options.reproduce,
    level: 0.95,
  });
  const json = resultJson(result);
  if (store !== null) {
    store.write('result.json', json);
    store.write(PLAN_FILE, planText(plan));
    store.write('scenario.resolved.yaml', resolvedYaml(loaded));
    store.write('run-info.json', `${JSON.stringify(runInfo(conducted, executor), null, 2)}\n`);
  }
  return { result, json, plan, conducted, folder: store?.folder ?? null };
}

function replicationRule(loaded: LoadedScenario, plan: RunPlan, options: PointOptions): ReplicationRule {
  const r = loaded.settings.run.replications;
  const exactly = options.replications;
  if (exactly !== undefined) return { min: exactly, max: exactly, batch: exactly, until: null };
  if (options.onlyReplication !== undefined) return { min: 1, max: 1, batch: 1, until: null };
  // A trace replayed as recorded has nothing to draw: more replications would be copies.
  if (plan.workload.resample === 'none' && plan.workload.arrivals.mode === 'recorded') return { min: 1, max: 1, batch: 1, until: null };
  return { min: r.min, max: Math.max(r.min, r.max), batch: r.batch, until: r.max > r.min ? r.until : null };
}

/** Threads for up to `jobs` jobs as asked, or this process where one is enough or threads cannot start. The caller closes it. */
export async function chooseExecutor(options: Pick<PointOptions, 'jobs' | 'executor'>, jobs: number): Promise<Executor> {
  const threads = Math.min(options.jobs ?? defaultJobs(), jobs);
  if (options.executor === 'local' || (options.executor === undefined && threads === 1) || !threadsAvailable()) return new LocalExecutor();
  const { ThreadExecutor } = await import('./thread-executor.ts');
  return new ThreadExecutor(threads);
}

function assertSameWorkload(plan: RunPlan, conducted: Conducted): void {
  const first = conducted.results[0]!;
  conducted.results.forEach((arm, a) => {
    arm.forEach((r, i) => {
      if (r.workloadHash !== first[i]!.workloadHash)
        throw new Error(`workload of arm ${plan.arms[a]!.name}, replication ${i} differs from the first arm's`);
    });
  });
}

function compareHashes(plan: RunPlan, a: Conducted, b: Conducted): void {
  a.results.forEach((arm, i) => {
    arm.forEach((r, n) => {
      const again = b.results[i]![n];
      // An interrupted second pass vouches for what it has repeated.
      if (again === undefined) return;
      if (r.runHash !== again.runHash)
        throw new Error(`E_NONDETERMINISM arm ${plan.arms[i]!.name}, replication ${n}: run hashes ${r.runHash} and ${again.runHash}`);
    });
  });
}

function traceName(loaded: LoadedScenario): string {
  const { trace: t, synth } = loaded.settings.workload;
  if (t === undefined) return synth!.use;
  return t.preset === undefined ? basename(t.use) : t.use;
}

function loadedInert(loaded: LoadedScenario): InertField[] {
  return loaded
    .inert({ unread: false })
    .map((leaf) => ({ path: leaf.path, value: leaf.value, origin: originText(leaf.origin), reason: leaf.reason }));
}

function resolvedYaml(loaded: LoadedScenario): string {
  const lines = loaded.leaves().map((leaf) => `${leaf.path}: ${JSON.stringify(leaf.value)}  # ${originText(leaf.origin)}`);
  return `# Every leaf of the resolved scenario with its origin.\n${lines.join('\n')}\n`;
}

function runInfo(conducted: Conducted, executor: Executor): object {
  return {
    node: process.version,
    platform: process.platform,
    executor: executor.name,
    threads: executor.parallelism,
    wallMs: Math.round(conducted.wallMs),
    events: conducted.events,
  };
}
