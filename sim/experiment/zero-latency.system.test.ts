/**
 * The full simulator against the arithmetic of the traces (trace specification 8): with service time 0 and one worker, hits depend on
 * trace reader, pause rule and retention timer alone. Expected counts: traces/samples/expected_zero_latency.json, computed by two
 * other programs. One engine rule moves counts and is named: a prompt found completely recomputes its last block.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { findPackageRoot } from '../../scenarios/presets.ts';
import type { Trace } from '../../traces/columns.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';

const ROOT = findPackageRoot();
const SAMPLES = join(ROOT, 'traces/samples');
const expected = JSON.parse(readFileSync(join(SAMPLES, 'expected_zero_latency.json'), 'utf8'));
const policies = policyCatalogue();

async function zeroLatency(sets: readonly string[]) {
  const loaded = await loadScenario({ file: 'scenarios/acceptance/zero-latency.yaml' }, { policies, sets, packageRoot: ROOT, cwd: ROOT });
  const plan = planOf(loaded, { metrics: [] });
  const job = startJob(plan, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(1_000_000));
  const { facts, values } = job.result();
  return {
    hitBlocks: facts.hitBlocks,
    lastBlock: facts.lastBlockRecomputed,
    share: values['kv.hit.total']!,
    queryTokens: facts.queryTokens,
  };
}

describe('WEKA sample, block TTL rows', () => {
  for (const pauses of ['recorded', 'debiased'] as const) {
    it(`${pauses} pauses: every row's block hits exactly, kv.hit.total within 0.01 pp`, async () => {
      for (const row of expected.weka_dev.ttl[pauses]) {
        const run = await zeroLatency([`workload.trace.pauses=${pauses}`, `control.retention.with.ttl=${row.ttl_s}s`]);
        expect({ ttl: row.ttl_s, hits: run.hitBlocks, last: run.lastBlock }).toEqual({ ttl: row.ttl_s, hits: row.block_hits, last: 0 });
        expect(Math.abs(100 * run.share - row.block_hit_pct)).toBeLessThan(0.01);
        expect(run.queryTokens).toBe(expected.weka_dev.input_tokens);
      }
    });
  }

  it('sharing levels without expiry', async () => {
    const levels = { none: 'none', tools: 'tools', 'tools+system': 'tools+system', fleet_1: 'fleet' } as const;
    for (const [key, level] of Object.entries(levels)) {
      const fleet = level === 'fleet' ? ['workload.trace.fleetShare=1'] : [];
      const run = await zeroLatency([`workload.trace.sharing=${level}`, 'control.retention=lru@1', ...fleet]);
      expect({ level, hits: run.hitBlocks }).toEqual({ level, hits: expected.weka_dev.sharing_infinite[key].block_hits });
    }
  });
});

/** Hits that the second copy of a recomputed last block costs by taking a place in the cache. */
const MOVED: Readonly<Record<string, readonly string[]>> = {
  conversation: [
    '5000 blocks: 53 last blocks recomputed, 4 hits lost to their second copies',
    '10000 blocks: 74 last blocks recomputed, 1 hits lost to their second copies',
    '30000 blocks: 109 last blocks recomputed, 9 hits lost to their second copies',
    '50000 blocks: 118 last blocks recomputed, 7 hits lost to their second copies',
  ],
  synthetic: [
    '5000 blocks: 69 last blocks recomputed, 1 hits lost to their second copies',
    '10000 blocks: 118 last blocks recomputed, 3 hits lost to their second copies',
  ],
};

/**
 * One LRU cache of `capacity` block copies, one request after another, as plainly as possible. With `recompute` a prompt found
 * completely hits all blocks but the last, which is computed again into a copy of its own while the old copy keeps its age.
 */
function lruHits(trace: Trace, capacity: number, recompute: boolean): { hits: number; lastBlocks: number } {
  const copiesOf = new Map<number, number[]>();
  const idle = new Map<number, number>(); // copy -> id, least recent first
  let next = 0;
  let hits = 0;
  let lastBlocks = 0;
  for (let r = 0; r < trace.requestCount; r++) {
    const ids: number[] = [];
    for (let k = trace.request.runFrom[r]!; k < trace.request.runFrom[r + 1]!; k++)
      for (let id = trace.runFirst[k]!; id <= trace.runLast[k]!; id++) ids.push(id);
    let found = 0;
    while (found < ids.length && copiesOf.has(ids[found]!)) found++;
    if (recompute && found === ids.length) {
      found--;
      lastBlocks++;
    }
    hits += found;
    const held = ids.slice(0, found).map((id) => copiesOf.get(id)![0]!);
    for (const copy of held) idle.delete(copy);
    for (const id of ids.slice(found)) {
      if (idle.size + held.length === capacity) {
        const [oldest, gone] = idle.entries().next().value!;
        idle.delete(oldest);
        const rest = copiesOf.get(gone)!.filter((copy) => copy !== oldest);
        if (rest.length > 0) copiesOf.set(gone, rest);
        else copiesOf.delete(gone);
      }
      copiesOf.set(id, [...(copiesOf.get(id) ?? []), next]);
      held.push(next++);
    }
    for (let i = ids.length - 1; i >= 0; i--) idle.set(held[i]!, ids[i]!);
  }
  return { hits, lastBlocks };
}

describe('Mooncake files, one global cache', () => {
  const files = { conversation: 'mooncake_conversation_trace.jsonl.gz', synthetic: 'mooncake_synthetic_trace.jsonl.gz' };
  // A partial last block counts as a block here, as in the expected tables; one request at a time in file order.
  const common = ['fleet.pools.one.engine.with.blockSize=512', 'fleet.pools.one.engine.with.maxSeqs=1', 'fleet.contextLimit=500k'];
  for (const [name, file] of Object.entries(files)) {
    const use = `workload.trace.use=${join(SAMPLES, file)}`;

    it(`${name}: TTL rows; hits plus the last blocks recomputed by rule equal the table`, async () => {
      for (const [ttl, hits] of Object.entries(expected.mooncake[name].ttl_block_hits)) {
        const run = await zeroLatency([...common, use, `control.retention.with.ttl=${ttl}s`]);
        expect({ ttl, hits: run.hitBlocks + run.lastBlock }).toEqual({ ttl, hits });
      }
    });

    it(`${name}: LRU rows by capacity; what the last-block rule moves is listed`, async () => {
      const trace = await prepareTrace({ trace: { file: join(SAMPLES, file), format: null } } as RunPlan);
      const moved: string[] = [];
      for (const [blocks, hits] of Object.entries(expected.mooncake[name].lru_block_hits)) {
        const capacity = Number(blocks);
        expect({ blocks, hits: lruHits(trace, capacity, false).hits }).toEqual({ blocks, hits });
        const rule = lruHits(trace, capacity, true);
        const run = await zeroLatency([...common, use, 'control.retention=lru@1', `fleet.pools.one.engine.with.kvBlocks=${capacity + 1}`]);
        expect({ blocks, hits: run.hitBlocks, last: run.lastBlock }).toEqual({ blocks, hits: rule.hits, last: rule.lastBlocks });
        const evicted = (hits as number) - rule.hits - rule.lastBlocks;
        if (evicted !== 0)
          moved.push(`${blocks} blocks: ${rule.lastBlocks} last blocks recomputed, ${evicted} hits lost to their second copies`);
      }
      expect(moved).toEqual(MOVED[name]);
    });

    it(`${name}: share of tokens in full blocks without expiry`, async () => {
      const run = await zeroLatency([
        'workload.trace.partialBlocks=full-only',
        'fleet.pools.one.engine.with.blockSize=512',
        use,
        'control.retention=lru@1',
      ]);
      const byRule = (512 * run.lastBlock) / run.queryTokens;
      expect(Math.abs(100 * (run.share + byRule) - expected.mooncake[name].token_hit_pct_full_blocks)).toBeLessThan(0.01);
    });
  }
});
