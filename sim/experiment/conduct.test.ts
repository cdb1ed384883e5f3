import { describe, expect, it } from 'vitest';
import { type ConductHooks, conduct, type ReplicationRule } from './conduct.ts';
import type { Executor, Job, JobBoard } from './executor.ts';
import { failureOf } from './job-failure.ts';
import { handPlan, handResult } from './job-result.fixture.ts';

const PLAN = handPlan(['a', 'b']);
const RULE: ReplicationRule = { min: 3, max: 9, batch: 2, until: 0.05 };

type After = (done: number, job: Job, board: JobBoard) => void;

/** Finishes jobs in an order of its own choice and may do something after each. */
class FakeExecutor implements Executor {
  readonly name = 'fake';
  readonly parallelism = 1;
  readonly batches: (readonly Job[])[] = [];
  readonly #order: (jobs: readonly Job[]) => readonly Job[];
  readonly #after: After;

  constructor(order: (jobs: readonly Job[]) => readonly Job[] = (jobs) => jobs, after: After = () => undefined) {
    this.#order = order;
    this.#after = after;
  }

  async run(_plan: unknown, jobs: readonly Job[], board: JobBoard, _first: number, onDone: Parameters<Executor['run']>[4]): Promise<void> {
    this.batches.push(jobs);
    let done = 0;
    for (const job of this.#order(jobs)) {
      await Promise.resolve();
      if (board.cancelled) return;
      onDone(job, handResult(job.arm, job.replication, { x: job.arm * 100 + job.replication }));
      this.#after(++done, job, board);
    }
  }

  async close(): Promise<void> {}
}

function hooks(more: Partial<ConductHooks> = {}): ConductHooks {
  return {
    onProgress: () => undefined,
    onJob: () => undefined,
    halfWidth: () => 1,
    signal: new AbortController().signal,
    deadlineMs: null,
    ...more,
  };
}

/** Half-widths to be seen at each look. */
function widths(...list: (number | null)[]): ConductHooks['halfWidth'] {
  let look = 0;
  return () => list[look++] ?? null;
}

describe('sequential stopping', () => {
  it('needs two narrow looks in a row', async () => {
    const done = await conduct(PLAN, RULE, new FakeExecutor(), hooks({ halfWidth: widths(0.04, 0.05) }));
    expect(done).toMatchObject({ replications: 5, looks: 2, stopped: 'precision', truncated: false, planned: 9 });
  });
  it('starts counting again after a wide look', async () => {
    const done = await conduct(PLAN, RULE, new FakeExecutor(), hooks({ halfWidth: widths(0.04, 0.06, 0.04, 0.04) }));
    expect(done).toMatchObject({ replications: 9, looks: 4, stopped: 'max' });
  });
  it('a width that cannot be judged is not narrow', async () => {
    const done = await conduct(PLAN, { ...RULE, max: 7 }, new FakeExecutor(), hooks({ halfWidth: widths(null, null) }));
    expect(done).toMatchObject({ replications: 7, stopped: 'max' });
  });
  it('the last batch is cut at the maximum', async () => {
    const executor = new FakeExecutor();
    const done = await conduct(PLAN, { ...RULE, max: 6 }, executor, hooks());
    expect(done.replications).toBe(6);
    expect(executor.batches.map((jobs) => jobs.length)).toEqual([6, 4, 2]);
  });
  it('without a rule runs the minimum and says it was fixed', async () => {
    const done = await conduct(PLAN, { min: 4, max: 4, batch: 1, until: null }, new FakeExecutor(), hooks());
    expect(done).toMatchObject({ replications: 4, stopped: 'fixed', looks: 1 });
  });
  it('stops for time after a complete batch', async () => {
    const done = await conduct(PLAN, RULE, new FakeExecutor(), hooks({ deadlineMs: -1 }));
    expect(done).toMatchObject({ replications: 3, stopped: 'time', truncated: false });
  });
});

describe('order of completion', () => {
  it('does not matter', async () => {
    const reversed = (jobs: readonly Job[]) => [...jobs].reverse();
    const odd = (jobs: readonly Job[]) =>
      [...jobs].sort((x, y) => ((x.replication * 7 + x.arm * 3) % 5) - ((y.replication * 7 + y.arm * 3) % 5));
    const rule = { min: 6, max: 6, batch: 1, until: null };
    const expected = await conduct(PLAN, rule, new FakeExecutor(), hooks());
    for (const order of [reversed, odd])
      expect((await conduct(PLAN, rule, new FakeExecutor(order), hooks())).results).toEqual(expected.results);
    expect(expected.results.map((arm) => arm.map((r) => [r.arm, r.replication]))).toEqual(
      [0, 1].map((arm) => [0, 1, 2, 3, 4, 5].map((replication) => [arm, replication])),
    );
  });
  it('each job is reported once', async () => {
    const seen: string[] = [];
    await conduct(PLAN, RULE, new FakeExecutor(), hooks({ onJob: (arm, r) => seen.push(`${arm}${r.replication}`) }));
    expect(seen.length).toBe(18);
    expect(new Set(seen).size).toBe(18);
  });
});

describe('interruption', () => {
  const abortAfter = (n: number, controller: AbortController) =>
    new FakeExecutor(
      (jobs) => jobs,
      (done) => {
        if (done === n) controller.abort();
      },
    );
  it('keeps the leading replications that every arm has', async () => {
    const controller = new AbortController();
    const rule = { min: 6, max: 6, batch: 1, until: null };
    // Five jobs: a0 b0 a1 b1 a2. The lone a2 is dropped.
    const done = await conduct(PLAN, rule, abortAfter(5, controller), hooks({ signal: controller.signal }));
    expect(done).toMatchObject({ replications: 2, stopped: 'interrupted', truncated: true, planned: 6 });
    expect(done.results.map((arm) => arm.length)).toEqual([2, 2]);
  });
  it('does not count what lies behind a gap', async () => {
    const controller = new AbortController();
    const executor = new FakeExecutor(
      (jobs) => jobs.filter((job) => job.replication !== 1).concat(jobs.filter((job) => job.replication === 1)),
      (done) => {
        if (done === 6) controller.abort();
      },
    );
    const done = await conduct(PLAN, { min: 5, max: 5, batch: 1, until: null }, executor, hooks({ signal: controller.signal }));
    expect(done.replications).toBe(1);
  });
  it('before the first complete replication keeps none', async () => {
    const controller = new AbortController();
    const done = await conduct(PLAN, RULE, abortAfter(1, controller), hooks({ signal: controller.signal }));
    expect(done).toMatchObject({ replications: 0, truncated: true });
    expect(done.results).toEqual([[], []]);
  });
  it('that came before the start runs nothing', async () => {
    const executor = new FakeExecutor();
    const done = await conduct(PLAN, RULE, executor, hooks({ signal: AbortSignal.abort() }));
    expect(done).toMatchObject({ replications: 0, truncated: true });
  });
});

describe('a failing job', () => {
  it('rejects with its identity, kind and cause', async () => {
    const executor = new FakeExecutor();
    const broken: Executor = {
      name: 'broken',
      parallelism: 1,
      run: async (plan, jobs) => {
        throw failureOf(Object.assign(new Error('KV not conserved'), { name: 'StuckError' }), plan, jobs[3]!);
      },
      close: () => executor.close(),
    };
    await expect(conduct(PLAN, RULE, broken, hooks())).rejects.toMatchObject({
      message: 'arm b, replication 1, seed 42: KV not conserved',
      name: 'StuckError',
      cause: { message: 'KV not conserved' },
    });
  });
});
