/** Every executor: the same results, each job once, a failure with its identity, a quick end when cancelled. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { type Executor, type Job, JobBoard } from './executor.ts';
import type { JobResult } from './job-result.ts';
import { LocalExecutor } from './local-executor.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';
import { ThreadExecutor } from './thread-executor.ts';
import { threadsAvailable } from './thread-file.ts';

async function quickstart(sessions: number): Promise<RunPlan> {
  const loaded = await loadScenario({ file: 'quickstart' }, { sets: [`workload.sessions=${sessions}`], policies: policyCatalogue() });
  return planOf(loaded, { metrics: [] });
}

function jobsOf(arms: number, replications: number): Job[] {
  return Array.from({ length: arms * replications }, (_, i) => ({ arm: i % arms, replication: Math.floor(i / arms) }));
}

/** Everything that must not depend on the executor. */
function semantic({ facts: { wallMs: _, ...facts }, ...rest }: JobResult): object {
  return { ...rest, facts };
}

const EXECUTORS: readonly (readonly [string, () => Executor])[] = [
  ['local', () => new LocalExecutor()],
  ['threads', () => new ThreadExecutor(2)],
];

let small: RunPlan;
let expected: Map<string, object>;
beforeAll(async () => {
  if (!threadsAvailable()) throw new Error('build first: node scripts/build.mjs');
  small = await quickstart(3);
  expected = new Map();
  await new LocalExecutor().run(small, jobsOf(4, 2), JobBoard.create(8), 0, (job, r) =>
    expected.set(`${job.arm}/${job.replication}`, semantic(r)),
  );
});

describe.each(EXECUTORS)('executor %s', (_name, create) => {
  const executor = create();
  afterAll(() => executor.close());

  it('gives every result once, whatever the order, and fills the board', async () => {
    const board = JobBoard.create(8);
    const seen = new Map<string, object>();
    let calls = 0;
    await executor.run(small, [...jobsOf(4, 2)].reverse(), board, 0, (job, r) => {
      calls++;
      expect([r.arm, r.replication]).toEqual([job.arm, job.replication]);
      seen.set(`${job.arm}/${job.replication}`, semantic(r));
    });
    expect(calls).toBe(8);
    expect(seen.size).toBe(8);
    for (const [key, result] of expected) expect(seen.get(key), key).toEqual(result);
    expect(board.jobsDone).toBeCloseTo(8);
    expect(board.events).toBeGreaterThan(0);
  });

  it('ends within 250 ms of a cancellation, loses nothing that was done, and reports nothing afterwards', async () => {
    const plan = await quickstart(200);
    const board = JobBoard.create(40);
    const done: string[] = [];
    let ended = false;
    let cancelledAt = 0;
    setTimeout(() => {
      cancelledAt = performance.now();
      board.cancel();
    }, 1000);
    await executor.run(plan, jobsOf(4, 10), board, 0, (job) => {
      expect(ended).toBe(false);
      done.push(`${job.arm}/${job.replication}`);
    });
    ended = true;
    const waited = performance.now() - cancelledAt;
    expect(cancelledAt).toBeGreaterThan(0);
    // Twice the 250 ms of the specification, since test machines are shared.
    expect(waited).toBeLessThan(500);
    expect(new Set(done).size).toBe(done.length);
    expect(done.length).toBeLessThan(40);
    await new Promise((resolve) => setTimeout(resolve, 100));
  });

  it('starts nothing when cancelled before', async () => {
    const board = JobBoard.create(8);
    board.cancel();
    let calls = 0;
    await executor.run(small, jobsOf(4, 2), board, 0, () => calls++);
    expect(calls).toBe(0);
  });

  it('rejects with the identity of the job that failed, and can be used again', async () => {
    // A bug of ours, not of the input: an arm without pools never passes the compiler.
    const arms = small.arms.map((arm, i) => (i === 2 ? { ...arm, pools: null as never } : arm));
    const broken: RunPlan = { ...small, key: 'broken', arms };
    await expect(executor.run(broken, jobsOf(4, 1), JobBoard.create(4), 0, () => undefined)).rejects.toThrow(
      new RegExp(`^arm ${arms[2]!.name.replaceAll('+', '\\+')}, replication 0, seed 42: `),
    );
    let calls = 0;
    await executor.run(small, jobsOf(4, 1), JobBoard.create(4), 0, () => calls++);
    expect(calls).toBe(4);
  });
});
