/**
 * AC-7.1: in every arm of every shipped scenario, made small, the components of every turn sum to its time, and its tokens to its prompt.
 * The sums are taken here from the observer and from the columns of the run; `explain` takes them its own way. Source: experiments
 * specification 7.1.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { rollUpOf } from '../measure/causes.ts';
import { type AttemptParts, componentsOf } from '../measure/turn-partition.ts';
import { TURN_STATUS } from '../measure/turn-table.ts';
import { observedCluster } from './explain-run.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace } from './simulate.ts';

const MIDLIFE = ['run.horizon=20m', 'run.warmup=0s', 'fleet.pools.main.workers=2'];
/** What makes a scenario small and keeps its pressure; those that are not here are small already. */
const SMALL: Readonly<Record<string, readonly string[]>> = {
  quickstart: ['workload.sessions=8'],
  'agents-8': ['workload.sessions=30', 'workload.arrivals.concurrency=30', 'fleet.pools.main.workers=2', 'run.horizon=1h'],
  'agents-64': ['workload.arrivals.concurrency=48', ...MIDLIFE],
  'retention/pressure': ['workload.arrivals.concurrency=48', ...MIDLIFE],
  'mooncake-8': ['workload.sessions=1500', 'fleet.pools.main.workers=2'],
  'acceptance/zero-latency': ['workload.sessions=10'],
  'acceptance/zero-latency-mooncake': ['workload.sessions=500'],
  'retention/s02-vanished-sessions': ['workload.sessions=500'],
};

const packageRoot = findPackageRoot();
const names = ['', 'acceptance/', 'retention/'].flatMap((folder) =>
  readdirSync(join(packageRoot, 'scenarios', folder))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => `${folder}${file.replace('.yaml', '')}`),
);

/** Runs an arm under observation. Returns the number of turns whose sums were checked, and how many time was spent in which component. */
async function check(plan: RunPlan, arm: number): Promise<number> {
  const { cluster, partition } = observedCluster(plan, await prepareTrace(plan), arm, 0);
  while (cluster.step(100_000));
  const { turns, causes, workload } = cluster.result();
  let checked = 0;
  for (let k = 0; k < turns.count; k++) {
    const name = workload.turnName(turns.turn[k]!);
    const prompt = turns.promptTokens[k]!;
    const spans = causes.runs(turns.rowOf(k)).map(({ cause, tokens }) => ({ label: rollUpOf(cause), tokens }));
    const sums = (parts: AttemptParts, untilMs: number): void => {
      checked++;
      const sumMs = componentsOf(parts, spans, prompt).reduce((all, ms) => all + ms, 0);
      const ms = untilMs - turns.arrivalMs[k]!;
      // Both ends were read from a clock that is as exact as its own value.
      expect(Math.abs(sumMs - ms), `${name} ${sumMs} ${ms}`).toBeLessThanOrEqual(1e-9 * ms + 1e-14 * untilMs);
    };
    const parts = partition.turns.get(name);
    if (turns.firstTokenMs[k]! >= 0) sums(parts!.ttft!, turns.firstTokenMs[k]!);
    if (turns.status[k] === TURN_STATUS.finished) {
      sums(parts!.e2e!, turns.lastTokenMs[k]!);
      const missed = spans.reduce((all, { tokens }) => all + tokens, 0);
      expect(missed + turns.hitHbmTokens[k]! + turns.hitHostTokens[k]!, name).toBe(prompt);
    }
  }
  return checked;
}

describe('the time and the tokens of every turn are divided exactly', () => {
  it.each(names)('%s', async (name) => {
    const loaded = await loadScenario({ file: name }, { sets: SMALL[name] ?? [], policies: policyCatalogue(), packageRoot });
    const plan = planOf(loaded, { metrics: [] });
    for (const [a, arm] of plan.arms.entries()) expect(await check(plan, a), arm.name).toBeGreaterThan(0);
  });
});
