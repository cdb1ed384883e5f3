/** The zero-latency counts of trace specification 8 that are arithmetic of the workload alone. Published values: traces/samples/expected_zero_latency.json. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Trace } from '../../traces/columns.ts';
import { readTrace } from '../../traces/read.ts';
import { materialiseWorkload } from './materialise.ts';
import { PAUSE_KINDS, type Workload } from './workload.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const SAMPLES = new URL('../../traces/samples/', import.meta.url).pathname;
const published = JSON.parse(readFileSync(`${SAMPLES}expected_zero_latency.json`, 'utf8'));
const JOIN = PAUSE_KINDS.indexOf('join');

const ACCEPTANCE = {
  ...WORKLOAD_DEFAULTS,
  ...{ blockTokens: 64, agents: 'root', modelIdentity: 'ignore', resample: 'none', contextLimit: 2 ** 31 },
  arrivals: { mode: 'open', process: 'fixed', ratePerMs: 1 },
} satisfies WorkloadOptions;

/** Hits of an infinite cache that sees all turns in order, and the blocks it ends up with. */
function infiniteCache(workload: Workload) {
  const { branches, turns, agents } = workload;
  const held = new Map<number, number>();
  const path = new Int32Array(4096);
  const limit = new Int32Array(4096);
  let references = 0;
  let hits = 0;
  let firstHits = 0;
  for (let t = 0; t < turns.count; t++) {
    const n = branches.path(turns.branch(t), turns.depthBlocks(t), path, limit);
    let missed = false;
    let seen = 0;
    for (let i = 0; i < n; i++) {
      const own = held.get(path[i]!) ?? 0;
      if (!missed) seen += Math.min(own, limit[i]!);
      missed ||= own < limit[i]!;
      held.set(path[i]!, Math.max(own, limit[i]!));
    }
    references += turns.depthBlocks(t);
    hits += seen;
    if (t === agents.turnFrom[turns.agent(t)]) firstHits += seen;
  }
  return { references, hits, firstHits, distinct: [...held.values()].reduce((sum, own) => sum + own, 0) };
}

function sum(workload: Workload, value: (turn: number) => number): number {
  let total = 0;
  for (let t = 0; t < workload.turns.count; t++) total += value(t);
  return total;
}

/** Blocks a turn shares with the turn before it in its agent; 0 for the first. */
function previousTurnBlocks({ turns, agents, branches }: Workload, t: number): number {
  if (t === agents.turnFrom[turns.agent(t)]) return 0;
  return branches.commonDepth(turns.branch(t), turns.depthBlocks(t), turns.branch(t - 1), turns.depthBlocks(t - 1));
}

describe('WEKA sample', () => {
  let trace: Trace;
  beforeAll(async () => {
    trace = await readTrace(`${SAMPLES}weka_dev.jsonl.gz`);
  });
  const workload = (choices: Partial<WorkloadOptions> = {}) => materialiseWorkload(trace, { ...ACCEPTANCE, ...choices }, 1, 0);

  it('has the published sizes', () => {
    const { plays, turns, facts } = workload();
    expect([plays.count, turns.count, facts.promptTokens, facts.zeroOutputs]).toEqual([120, 9247, 1_128_451_191, 4]);
  });

  it('hits an infinite cache 17,007,251 times, and the reusable tokens of the turns say the same', () => {
    const w = workload();
    expect(infiniteCache(w)).toMatchObject({ references: 17_627_477, hits: 17_007_251, distinct: 620_226 });
    expect(sum(w, (t) => w.turns.reusableTokens(t))).toBe(17_007_251 * 64);
  });

  it('finds the published reuse with nested agents', () => {
    const w = workload({ agents: 'tree' });
    expect([w.turns.count, w.facts.promptTokens]).toEqual([9517, 1_140_256_630]);
    expect(infiniteCache(w)).toMatchObject({ references: 17_811_804, hits: 17_166_328, distinct: 645_476 });
  });

  it.each([
    ['tools', 17_021_324, 606_153, 8.487],
    ['tools+system', 17_022_676, 604_801, 9.302],
    ['fleet', 17_033_830, 593_647, 16.029],
  ] as const)('shares prefixes at level %s', (sharing, hits, distinct, firstPct) => {
    const w = workload({ sharing, fleetShare: 1 });
    const found = infiniteCache(w);
    expect(found).toMatchObject({ references: 17_627_477, hits, distinct });
    expect(((100 * 64 * found.firstHits) / 10_612_411).toFixed(3)).toBe(String(firstPct));
  });

  it.each([64, 128, 256, 512, 1024, 2048])('finds the published previous-turn reuse with engine blocks of %i tokens', (blockTokens) => {
    const w = workload({ blockTokens });
    expect(sum(w, (t) => previousTurnBlocks(w, t)) * blockTokens).toBe(
      published.weka_dev.prev_turn_by_block_size[String(blockTokens)].hit_tokens,
    );
  });

  it('does not gain reuse from smaller engine blocks', () => {
    const w = workload({ blockTokens: 16 });
    expect(sum(w, (t) => previousTurnBlocks(w, t)) * 16).toBe(1_087_609_600);
  });

  it.each(['recorded', 'debiased'] as const)('misses as published for every TTL with %s pauses', (pauses) => {
    const w = workload({ pauses });
    const { turns, agents } = w;
    const rows = published.weka_dev.ttl[pauses] as { ttl_s: number; prev_turn_hit_tokens: number; missed_requests: number }[];
    expect(rows.length).toBe(20);
    for (const row of rows) {
      const late = (t: number) => t !== agents.turnFrom[turns.agent(t)] && turns.pauseMs(t) > row.ttl_s * 1000;
      expect(sum(w, (t) => (late(t) ? 1 : 0))).toBe(row.missed_requests);
      expect(sum(w, (t) => (late(t) ? 0 : previousTurnBlocks(w, t))) * 64).toBe(row.prev_turn_hit_tokens);
    }
  });

  it('counts joining pauses from the agents that join, unless they are ignored', () => {
    const tree = workload({ agents: 'tree', pauses: 'recorded' });
    const joining = new Set<number>();
    for (let t = 0; t < tree.turns.count; t++) if (tree.turns.pauseKind(t) === JOIN) joining.add(tree.turns.request(t));
    const total = (w: Workload) => sum(w, (t) => (joining.has(w.turns.request(t)) ? w.turns.pauseMs(t) : 0));
    expect(joining.size).toBe(16);
    expect(total(workload({ pauses: 'recorded' }))).toBe(3_827_440);
    expect(total(tree)).toBe(464_488);
    expect(total(workload({ agents: 'tree' }))).toBe(66_838);
  });

  it('lifts previous-turn reuse to the published figure if answers are assumed to be repeated', () => {
    const w = workload({ outputReuse: 'assume' });
    const { turns, agents, branches } = w;
    // What the engine keeps of the previous turn is its leaf: prompt, answer, then private blocks.
    const kept = (t: number) =>
      t === agents.turnFrom[turns.agent(t)]
        ? 0
        : branches.commonDepth(turns.branch(t), turns.depthBlocks(t), turns.openLeaf(t - 1), branches.end(turns.openLeaf(t - 1)));
    expect(sum(w, kept) * 64).toBe(published.weka_dev.output_kept.hit_tokens);
  });

  it.each([
    [200_000, 28],
    [262_144, 18],
    [131_072, 81],
    [1_000_000, 0],
  ])('excludes the published number of sessions at a context limit of %i', (contextLimit, excluded) => {
    expect(workload({ contextLimit }).facts.sessionsExcluded).toBe(excluded);
    const cut = workload({ contextLimit, overlong: 'truncate' }).facts;
    expect(cut.sessionsExcluded + cut.sessionsTruncated).toBe(excluded);
  });

  it('refuses overlong sessions on request, and a limit that leaves nothing', () => {
    expect(() => workload({ contextLimit: 200_000, overlong: 'fail' })).toThrow(/E_CONTEXT_EXCEEDED.*got 28 of 120 sessions/);
    expect(() => workload({ contextLimit: 1000 })).toThrow(/E_CONTEXT_EXCEEDED.*got 120 of 120 sessions/);
  });

  it('does not let clones share anything private: hits of a bootstrap are those of its plays', () => {
    const w = workload({ resample: 'bootstrap', sessions: 200 });
    const { hits } = infiniteCache(w);
    expect(hits * 64).toBe(sum(w, (t) => w.turns.reusableTokens(t)));
  });

  it('shares more from level to level', () => {
    const hits = (['none', 'tools', 'tools+system'] as const).map(
      (sharing) => infiniteCache(workload({ sharing, resample: 'bootstrap' })).hits,
    );
    expect(hits[0]).toBeLessThan(hits[1]!);
    expect(hits[1]).toBeLessThan(hits[2]!);
  });
});

describe('Mooncake samples', () => {
  it.each([
    ['conversation', 288_500, 105_710, 182_790],
    ['synthetic', 121_877, 77_953, 43_924],
  ])('%s: file-wide ids give the published hits of one infinite cache', async (name, references, hits, distinct) => {
    const trace = await readTrace(`${SAMPLES}mooncake_${name}_trace.jsonl.gz`);
    const arrivals = { mode: 'recorded' } as const;
    const w = materialiseWorkload(trace, { ...ACCEPTANCE, blockTokens: 512, partialTail: 'padded', arrivals }, 1, 0);
    expect(infiniteCache(w)).toMatchObject({ references, hits, distinct });
    expect(w.initialPlays.length).toBe(trace.sessionCount);
  });
});
