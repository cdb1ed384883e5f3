import { describe, expect, it } from 'vitest';
import { BRANCH_PRIVATE, type BranchTable } from '../../../control/blocks.ts';
import { type CaseFlavour, firstDifference, randomCase, recordWorker, type WorkerLog } from '../worker.property.ts';
import { createJumpWorker } from './create-jump-worker.ts';
import { publishSharedLeaves } from './equality.property.ts';
import type { JumpWorker } from './jump-worker.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 200);
const FIRST = Number(process.env['KVCAST_SEED'] ?? 0);

/** What happened to each block that a prompt can name, in order; publication times are the one thing that may differ. */
function histories({ groups }: WorkerLog, branches: BranchTable): Record<string, string> {
  const of: Record<string, string> = {};
  for (const { kind, tier, branch, epoch, offsets } of groups) {
    if ((branches.flags[branch]! & BRANCH_PRIVATE) !== 0) continue;
    for (const offset of offsets) {
      const block = `${tier}/${branch}/${offset}/${epoch}`;
      of[block] = (of[block] ?? '') + kind[0];
    }
  }
  return of;
}

/** Plays cases with publications in time (block by block) and late (many steps at once). Returns evictions and steps of the latter. */
function expectEqual(flavour: CaseFlavour): { evicted: number; together: number } {
  let evicted = 0;
  let together = 0;
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    const workload = randomCase(seed, flavour);
    publishSharedLeaves(workload);
    const inTime = recordWorker(createJumpWorker, workload, 'deep');
    const late = recordWorker(
      (parts) => {
        const worker = createJumpWorker({ ...parts, lazyEvents: 0 }) as JumpWorker;
        const { bulk } = worker['scheduler'];
        const cross = bulk.cross.bind(bulk);
        bulk.cross = (steps, lastMs) => {
          const done = cross(steps, lastMs);
          if (bulk.crossed > 0) together += done;
          return done;
        };
        return worker;
      },
      workload,
      'deep',
    );
    const difference = firstDifference({ ...late, groups: [] }, { ...inTime, groups: [] });
    expect(difference, `seed ${seed} of ${JSON.stringify(flavour)}`).toBeNull();
    const { branches } = workload;
    expect(histories(late, branches), `seed ${seed} of ${JSON.stringify(flavour)}`).toEqual(histories(inTime, branches));
    evicted += late.counters.hbmEvictedBlocks;
  }
  return { evicted, together };
}

describe.each([
  ['synchronous', false],
  ['a step ahead', true],
])('steps whose blocks are entered and taken together, %s', (_name, asyncDepth2) => {
  it('leave blocks, evictions, views, times and what the router is told as one step after the other does', () => {
    const { evicted, together } = expectEqual({ asyncDepth2, host: false, claims: false, lifecycle: false });
    expect(evicted).toBeGreaterThan(RUNS);
    expect(together).toBeGreaterThan(2 * RUNS);
  });
  it('with exact ties', () => {
    expect(expectEqual({ asyncDepth2, host: false, claims: false, dyadic: true }).together).toBeGreaterThan(2 * RUNS);
  });
  it('under claims, with a host tier and through crashes', () => {
    expect(expectEqual({ asyncDepth2 }).together).toBeGreaterThan(RUNS);
  });
});
