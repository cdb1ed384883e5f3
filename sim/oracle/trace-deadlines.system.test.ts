/** V0 of retention specification 16.1, second part: the whole simulator with ample memory, steps and messages that take time, against the closed form. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { planOf } from '../experiment/plan-of.ts';
import { policyCatalogue } from '../experiment/policy-catalogue.ts';
import { prepareTrace, startJob } from '../experiment/simulate.ts';
import { TraceDeadlines } from './trace-deadlines.ts';

const ROOT = findPackageRoot();

/**
 * One worker that never runs out of memory, steps of 20 ms, messages of 1 ms, one token per response: a deadline counts from the last
 * read, so that a response longer than the TTL would outlive its own prompt.
 */
async function simulated(pauses: string, ttlS: number): Promise<number> {
  const sets = [
    `workload.trace.pauses=${pauses}`,
    `control.retention.with.ttl=${1000 * ttlS}ms`,
    'fleet.pools.one.timer.with.stepMs=20',
    'control.signals.netDelay=1ms',
  ];
  const file = join(ROOT, 'scenarios/acceptance/zero-latency.yaml');
  const loaded = await loadScenario({ file }, { policies: policyCatalogue(), sets, packageRoot: ROOT, cwd: ROOT });
  const plan = planOf(loaded, { metrics: [] });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(1_000_000));
  return job.result().values['kv.hit.total']!;
}

it('hit shares agree to 0.3 points for both pause modes', async () => {
  const loaded = await loadScenario(
    { file: join(ROOT, 'scenarios/acceptance/zero-latency.yaml') },
    { policies: policyCatalogue(), packageRoot: ROOT, cwd: ROOT },
  );
  const trace = await prepareTrace(planOf(loaded, { metrics: [] }));
  const rows: { pauses: string; ttlS: number; simulated: number; closedForm: number }[] = [];
  for (const pauses of ['recorded', 'debiased'] as const) {
    const closed = new TraceDeadlines(trace, pauses);
    // Recorded times are whole seconds: half a second keeps pauses and deadlines apart, whatever the messages take.
    for (const ttlS of [5.5, 60.5, 300.5, 3600.5])
      rows.push({ pauses, ttlS, simulated: 100 * (await simulated(pauses, ttlS)), closedForm: 100 * closed.fixed(1000 * ttlS).hit });
  }
  for (const row of rows) expect(Math.abs(row.simulated - row.closedForm), JSON.stringify(row)).toBeLessThan(0.3);
});
