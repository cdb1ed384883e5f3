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
import { policyCatalogue } from './policies.ts';
import { prepareTrace, startJob } from './simulate.ts';
import { planOf } from './simulate-point.ts';

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

describe('Mooncake files, one global cache', () => {
  const files = { conversation: 'mooncake_conversation_trace.jsonl.gz', synthetic: 'mooncake_synthetic_trace.jsonl.gz' };
  // A partial last block counts as a block here, as in the expected tables; one request at a time in file order.
  const common = [
    'workload.arrivals={mode: recorded}',
    'workload.trace.partialBlocks=padded',
    'fleet.pools.one.engine.with.blockSize=512',
    'fleet.pools.one.engine.with.maxSeqs=1',
    'fleet.contextLimit=500k',
  ];
  for (const [name, file] of Object.entries(files)) {
    const use = `workload.trace.use=${join(SAMPLES, file)}`;

    it(`${name}: TTL rows; hits plus the last blocks recomputed by rule equal the table`, async () => {
      for (const [ttl, hits] of Object.entries(expected.mooncake[name].ttl_block_hits)) {
        const run = await zeroLatency([...common, use, `control.retention.with.ttl=${ttl}s`]);
        expect({ ttl, hits: run.hitBlocks + run.lastBlock }).toEqual({ ttl, hits });
      }
    });

    it(`${name}: LRU rows by capacity`, async () => {
      for (const [blocks, hits] of Object.entries(expected.mooncake[name].lru_block_hits)) {
        const run = await zeroLatency([
          ...common,
          use,
          'control.retention=lru@1',
          `fleet.pools.one.engine.with.kvBlocks=${Number(blocks) + 1}`,
        ]);
        expect({ blocks, hits: run.hitBlocks + run.lastBlock }).toEqual({ blocks, hits });
      }
    });

    it(`${name}: share of tokens in full blocks without expiry`, async () => {
      const run = await zeroLatency([
        'workload.arrivals={mode: recorded}',
        'fleet.pools.one.engine.with.blockSize=512',
        use,
        'control.retention=lru@1',
      ]);
      const byRule = (512 * run.lastBlock) / run.queryTokens;
      expect(Math.abs(100 * (run.share + byRule) - expected.mooncake[name].token_hit_pct_full_blocks)).toBeLessThan(0.01);
    });
  }
});
