import { describe, expect, it } from 'vitest';
import { BRANCH_PRIVATE } from '../../../control/blocks.ts';
import { REMOVAL } from '../../engine/removal.ts';
import { causeCode } from '../../measure/causes.ts';
import { BLOCK, byCause, CacheFleet } from './attribution.fixture.ts';

describe('the worked examples of the retention specification, 13.3', () => {
  it('10,000 tokens: 100 blocks from HBM, 20 from host, 16 evicted in a tool pause, 20 new, a tail of 16', () => {
    const fleet = new CacheFleet('tool');
    const branch = fleet.stored(136);
    fleet.branches.extend(branch, 20);
    fleet.removed(branch, 120, 136, 5);
    fleet.holds[0]!.push([0, branch, 0, 100], [1, branch, 100, 120]);
    const runs = fleet.judge({
      branch,
      depthBlocks: 156,
      promptTokens: 10_000,
      hitBlocks: 120,
      previousLeaf: branch,
      previousTokens: 136 * BLOCK,
      previousTotal: 136 * BLOCK,
    });
    expect(runs.map((r) => [r.cause, r.tokens])).toEqual([
      ['evicted_tool_pause', 1024],
      ['fresh', 1280],
      ['uncacheable', 16],
    ]);
    expect(6400 + 1280 + runs.reduce((sum, r) => sum + r.tokens, 0)).toBe(10_000);
  });

  it('precedence: alive elsewhere, then a pin that ran out, then the pause', () => {
    const evicted = (reason: number, elsewhere: boolean) => {
      const fleet = new CacheFleet('human');
      const branch = fleet.stored(4);
      fleet.known.ran(fleet.branches.add(branch, 4, 1, BRANCH_PRIVATE), 1, 0);
      fleet.removed(branch, 0, 4, 5, reason);
      if (elsewhere) fleet.holds[1]!.push([0, branch, 0, 4]);
      return fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 })[0]!;
    };
    expect(evicted(REMOVAL.afterClaim, true)).toMatchObject({ cause: 'routed_elsewhere', tokens: 256, alsoEvictedHere: true });
    expect(evicted(REMOVAL.afterClaim, false)).toMatchObject({ cause: 'ttl_expired', tokens: 256 });
    expect(evicted(REMOVAL.capacity, false)).toMatchObject({ cause: 'evicted_human_pause', tokens: 256 });
  });
});

describe('compulsory causes', () => {
  it('a first request is cold, its last partial block uncacheable', () => {
    const fleet = new CacheFleet();
    const branch = fleet.branches.add(-1, 0, 10);
    expect(byCause(fleet.judge({ branch, depthBlocks: 10, promptTokens: 700 }))).toEqual({ cold: 640, uncacheable: 60 });
  });

  it('the block that a fully cached prompt recomputes by rule is uncacheable', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4);
    fleet.holds[0]!.push([0, branch, 0, 4]);
    expect(byCause(fleet.judge({ branch, depthBlocks: 4, promptTokens: 256, hitBlocks: 3 }))).toEqual({ uncacheable: 64 });
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 256, hitBlocks: 4 })).toEqual([]);
  });

  /** A prompt of `tokens` that keeps 3 blocks of a stored prompt of 10 blocks and an answer of 2. */
  const rewritten = (tokens: number) => {
    const fleet = new CacheFleet();
    const old = fleet.stored(10);
    const leaf = fleet.branches.add(old, 10, 3, BRANCH_PRIVATE);
    const branch = fleet.branches.add(old, 3, 40);
    fleet.holds[0]!.push([0, old, 0, 10]);
    const previous = { previousLeaf: leaf, previousTokens: 640, previousTotal: 768 };
    return byCause(fleet.judge({ branch, depthBlocks: Math.floor(tokens / BLOCK), promptTokens: tokens, hitBlocks: 3, ...previous }));
  };

  it('a prompt that replaces blocks of the one before broke its prefix: rewritten, or compacted below half', () => {
    expect(rewritten(1000)).toEqual({ 'prefix_broken.rewrite': 9 * 64, fresh: 3 * 64, uncacheable: 40 });
    expect(rewritten(319)).toEqual({ 'prefix_broken.compaction': 64, uncacheable: 63 });
    expect(rewritten(320)).toEqual({ 'prefix_broken.rewrite': 64, uncacheable: 64 });
  });

  it('what another tenant stored under its own salt is isolation, as far as it reaches', () => {
    const fleet = new CacheFleet();
    const branch = fleet.branches.add(-1, 0, 10);
    fleet.twins = { known: (_branch, depth, from) => Math.min(depth, 6) - from };
    expect(byCause(fleet.judge({ branch, depthBlocks: 10, promptTokens: 700 }))).toEqual({ isolation: 384, cold: 256, uncacheable: 60 });
    fleet.twins = undefined;
    expect(byCause(fleet.judge({ branch, depthBlocks: 10, promptTokens: 700 }))).toEqual({ cold: 640, uncacheable: 60 });
  });
});

describe('avoidable causes, each alone', () => {
  it('in flight: a sibling is computing the blocks; what it has finished counts as elsewhere', () => {
    const fleet = new CacheFleet();
    const branch = fleet.branches.add(-1, 0, 8);
    const leaf = fleet.branches.add(branch, 8, 1, BRANCH_PRIVATE);
    fleet.known.ran(leaf, 1, 0);
    fleet.computing.begin(77, 1, branch, 8, 0);
    fleet.holds[1]!.push([0, branch, 0, 6]);
    fleet.known.store(branch, 2);
    fleet.computing.stored(1, branch, 2);
    expect(fleet.judge({ branch, depthBlocks: 8, promptTokens: 520 }).map((r) => [r.cause, r.tokens])).toEqual([
      ['routed_elsewhere', 128],
      ['in_flight', 384],
      ['uncacheable', 8],
    ]);
    // Nobody computes it any more, and its worker was lost.
    fleet.computing.end(77);
    fleet.holds[1] = [];
    fleet.removed(branch, 0, 6, 9, REMOVAL.lost, 0, 1);
    expect(byCause(fleet.judge({ branch, depthBlocks: 8, promptTokens: 520 }))).toEqual({ worker_lost: 128, cold: 384, uncacheable: 8 });
  });

  it('tier too slow: the host tier of the worker has it, and it was not loaded', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(8);
    fleet.holds[0]!.push([0, branch, 0, 2], [1, branch, 0, 5], [0, branch, 6, 7]);
    fleet.removed(branch, 5, 6, 5);
    fleet.removed(branch, 7, 8, 5);
    const runs = fleet.judge({ branch, depthBlocks: 8, promptTokens: 520, hitBlocks: 2 });
    expect(runs.slice(0, 2)).toMatchObject([
      { cause: 'tier_too_slow.onboard_declined', tokens: 192, tier: 1 },
      { cause: 'evicted_tool_pause', tokens: 64 },
    ]);
    expect(byCause(runs)).toEqual({ 'tier_too_slow.onboard_declined': 256, evicted_tool_pause: 128, uncacheable: 8 });
  });

  it('shadowed: what is here behind the first missing block has its cause', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(8);
    fleet.holds[0]!.push([0, branch, 4, 6], [1, branch, 6, 8]);
    fleet.removed(branch, 0, 4, 5, REMOVAL.claimBroken);
    expect(fleet.judge({ branch, depthBlocks: 8, promptTokens: 520 })).toMatchObject([
      { cause: 'claim_broken', tokens: 256, shadowed: false },
      { cause: 'claim_broken', tokens: 128, shadowed: true, tier: 0 },
      { cause: 'claim_broken', tokens: 128, shadowed: true, tier: 1 },
      { cause: 'uncacheable', tokens: 8 },
    ]);
  });

  it('routed elsewhere: in any tier of another worker, and behind a hole too; only ranks that ran through the branch are asked', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(8, 1);
    fleet.holds[1]!.push([0, branch, 0, 3], [1, branch, 5, 8]);
    fleet.holds[2]!.push([0, branch, 0, 8]);
    fleet.removed(branch, 3, 5, 5, REMOVAL.capacity, 0, 1);
    const runs = fleet.judge({ branch, depthBlocks: 8, promptTokens: 520 });
    expect(fleet.asked).toEqual([1]);
    expect(byCause(runs)).toEqual({ routed_elsewhere: 384, evicted_tool_pause: 128, uncacheable: 8 });
    expect(runs.every((r) => !r.alsoEvictedHere)).toBe(true);
  });

  it.each([
    [REMOVAL.lost, 'worker_lost'],
    [REMOVAL.cleared, 'cleared'],
    [REMOVAL.released, 'released'],
    [REMOVAL.superseded, 'superseded'],
    [REMOVAL.timeout, 'closed_by_timeout'],
    [REMOVAL.claimBroken, 'claim_broken'],
    [REMOVAL.deadline, 'ttl_expired'],
    [REMOVAL.afterClaim, 'ttl_expired'],
  ])('the last removal for reason %i gives %s', (reason, cause) => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4);
    fleet.removed(branch, 0, 4, 2, REMOVAL.capacity);
    fleet.removed(branch, 0, 4, 5, reason, 1);
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 })[0]).toMatchObject({ cause, tokens: 256, tier: 1 });
  });

  it.each([
    ['tool', 5, 'evicted_tool_pause'],
    ['human', 5, 'evicted_human_pause'],
    ['join', 5, 'evicted_join_pause'],
    ['tool', 10, 'evicted_while_queued'],
    ['tool', 0.5, 'evicted_active'],
  ] as const)('evicted for space with a %s pause at %f h: %s', (pause, atHours, cause) => {
    const fleet = new CacheFleet(pause);
    const branch = fleet.stored(4);
    fleet.removed(branch, 0, 4, atHours);
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 })[0]).toMatchObject({ cause, tokens: 256, tier: 0 });
  });

  it('evicted while its own request waited for being preempted', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4);
    fleet.states.preempted(0, 1_000_000);
    fleet.states.resumed(0, 2_000_000);
    fleet.removed(branch, 0, 4, 0.5);
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 })[0]).toMatchObject({ cause: 'preempted', tokens: 256 });
  });

  it('evicted when the session did not own it: shared, except what the session had asked for', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4, 0, 9);
    fleet.known.ran(fleet.branches.add(branch, 4, 1, BRANCH_PRIVATE), 0, 0);
    fleet.removed(branch, 0, 4, 5);
    expect(byCause(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 }))).toMatchObject({ evicted_shared: 256 });
    expect(byCause(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300, reusableBlocks: 3 }))).toMatchObject({
      evicted_tool_pause: 192,
      evicted_shared: 64,
    });
  });

  it('dropped from HBM because the host tier would not have it', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4);
    fleet.removed(branch, 0, 4, 5);
    fleet.declines = (rank, _branch, offset) => rank === 0 && offset === 0;
    expect(byCause(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 }))).toMatchObject({ demote_declined: 256 });
    fleet.removed(branch, 0, 4, 6, REMOVAL.capacity, 1);
    expect(byCause(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 }))).toMatchObject({ evicted_tool_pause: 256 });
  });

  it('a removal more than 24 h ago counts as an eviction, with a flag', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4);
    fleet.removed(branch, 0, 4, 5, REMOVAL.deadline);
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 }, 29)[0]).toMatchObject({ cause: 'ttl_expired', horizon: false });
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 }, 29.5)[0]).toMatchObject({
      cause: 'evicted_tool_pause',
      horizon: true,
    });
  });

  it('known content without copy and without removal is unknown: nothing hides it', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(4);
    fleet.removed(branch, 2, 3, 5);
    expect(fleet.judge({ branch, depthBlocks: 4, promptTokens: 300 }).map((r) => [r.cause, r.tokens])).toEqual([
      ['unknown', 128],
      ['evicted_tool_pause', 64],
      ['unknown', 64],
      ['uncacheable', 44],
    ]);
  });
});

describe('what a judgement costs', () => {
  it('a full hit looks at no block and asks nobody', () => {
    const fleet = new CacheFleet();
    const branch = fleet.stored(40, 1);
    fleet.judge({ branch, depthBlocks: 40, promptTokens: 2600, hitBlocks: 40 });
    expect(fleet.asked).toEqual([]);
    expect(fleet.removals.touched).toBe(0);
  });

  it('codes of causes fit a byte', () => {
    expect(causeCode('unknown')).toBeLessThan(256);
  });
});
