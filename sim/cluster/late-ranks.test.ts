import { beforeAll, describe, expect, it } from 'vitest';
import { BRANCH_PRIVATE, BranchTable } from '../../control/blocks.ts';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import type { Trace } from '../../traces/columns.ts';
import { planOf } from '../experiment/plan-of.ts';
import { policyCatalogue } from '../experiment/policy-catalogue.ts';
import type { RunPlan } from '../experiment/run-plan.ts';
import { clusterSpec, prepareTrace } from '../experiment/simulate.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { Cluster } from './cluster.ts';
import { LateRanks } from './late-ranks.ts';

describe('LateRanks', () => {
  it('settles the ranks that are late with a branch of the path, and only those', () => {
    const branches = new BranchTable();
    const root = branches.add(-1, 0, 4, 0);
    const left = branches.add(root, 4, 4, 0);
    const right = branches.add(root, 4, 4, 0);
    const hidden = branches.add(left, 4, 4, BRANCH_PRIVATE);
    const late = new LateRanks(branches, 4);
    [left, right, root, hidden].forEach((branch, rank) => {
      late.set(rank, branch);
    });
    const asked = (branch: number) => {
      const ranks: number[] = [];
      late.settle(branch, (rank) => ranks.push(rank));
      return ranks;
    };
    expect(asked(left)).toEqual([0, 2]);
    expect(asked(right)).toEqual([1, 2]);
    expect(asked(hidden)).toEqual([0, 2]);
    late.set(0, -1);
    late.set(2, left);
    expect(asked(left)).toEqual([2]);
    expect(asked(right)).toEqual([1]);
  });
});

describe('removals that the router learns of late', () => {
  const plans = new Map<string, RunPlan>();
  let trace: Trace;
  const settings = async (indexAge: string, kvBlocks: number) => {
    const sets = [
      'workload.sessions=16',
      'workload.arrivals.rate=480/h',
      'run.warmup=0',
      `control.signals.indexAge=${indexAge}`,
      `fleet.pools.main.engine.with.kvBlocks=${kvBlocks}`,
      'fleet.pools.main.tiers.host.size=0B',
    ];
    const loaded = await loadScenario({ file: 'quickstart' }, { sets, policies: policyCatalogue(), packageRoot: findPackageRoot() });
    return planOf(loaded, { metrics: [] });
  };

  beforeAll(async () => {
    for (const [age, blocks] of [
      ['0s', 8300],
      ['2ms', 11_000],
      ['20s', 8300],
    ] as const)
      plans.set(`${age} ${blocks}`, await settings(age, blocks));
    trace = await prepareTrace([...plans.values()][0]!);
  }, 60_000);

  it('change nothing: every decision, time, counter and cause is that of a fleet that reports in time', () => {
    let evicted = 0;
    let saved = 0;
    for (const [name, plan] of plans) {
      const workload = materialiseWorkload(trace, plan.workload, plan.seed, 0);
      for (const arm of plan.arms) {
        const [late, prompt] = [true, false].map((lazyEvents) => {
          const cluster = new Cluster({ ...clusterSpec(plan, arm, workload, 0, null), lazyEvents });
          while (cluster.step(100_000));
          return cluster.result();
        }) as [ReturnType<Cluster['result']>, ReturnType<Cluster['result']>];
        const facts = ({ runHash, turns, sources, staleDecisions, actions }: typeof late) => ({
          runHash,
          sources,
          staleDecisions,
          actions,
          ends: turns.lastTokenMs.slice(0, turns.count),
          hits: turns.hitHbmTokens.slice(0, turns.count),
        });
        expect(facts(late), `${name} ${arm.name}`).toEqual(facts(prompt));
        const counters = (run: typeof late) => run.counters.map(({ segmentsTouched, ...rest }) => rest);
        expect(counters(late), `${name} ${arm.name}`).toEqual(counters(prompt));
        evicted += late.counters.reduce((sum, c) => sum + c.hbmEvictedBlocks, 0);
        saved += prompt.events - late.events;
      }
    }
    expect(evicted).toBeGreaterThan(10_000);
    expect(saved).toBeGreaterThan(1000);
  });
});
