/** The counterfactual swap on runs whose mixtures are also built by hand, from scenarios. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { noPaint } from '../../reports/text/paint.ts';
import { swapLines } from '../../reports/text/swap.ts';
import { growingSessions, handPlan, PRESSED } from './explain.fixture.ts';
import type { ExplainSwap } from './explain-result.ts';
import { LocalExecutor } from './local-executor.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';
import { runSwap, swapPlan } from './swap.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-swap-'));
afterAll(() => rmSync(folder, { recursive: true }));

const METRIC = 'turn.ttft.mean';
const RETENTION = (ttl: string) => `control.retention={use: ttl-drop@1, with: {ttl: ${ttl}}}`;
const BLIND = 'control.router=round-robin@1';
const AWARE = 'control.router=dynamo-kv@1';

/** The only arm of a plan, run alone. */
async function runAlone(plan: RunPlan) {
  const job = startJob({ ...plan, exprs: [METRIC] }, await prepareTrace(plan), { arm: 0, replication: 0 });
  while (job.step(10_000));
  const { runHash, values } = job.result();
  return { runHash, value: values[METRIC]! };
}

async function swapped(file: string, before: readonly string[], now: readonly string[]): Promise<ExplainSwap> {
  const [there, here] = [await handPlan(file, before), await handPlan(file, now)];
  const mixtures = swapPlan({ folder: 'now', plan: here, arm: 0 }, { folder: 'before', plan: there, arm: 0 }, METRIC);
  const [a, b] = [await runAlone(there), await runAlone(here)];
  const hooks = { onProgress: () => undefined, signal: new AbortController().signal };
  const hashes = { subject: [b.runHash], reference: [a.runHash] };
  const result = await runSwap(mixtures, hashes, new LocalExecutor(), hooks);
  expect(result.parts.reduce((sum, { delta }) => sum + delta, 0)).toBeCloseTo(b.value - a.value, 12);
  for (const line of swapLines(result, noPaint)) expect([...line].length, line).toBeLessThanOrEqual(100);
  await expect(runSwap(mixtures, { ...hashes, subject: ['0'] }, new LocalExecutor(), hooks)).rejects.toThrow('run hash');
  return result;
}

describe('explain --swap', () => {
  it('a change in one part: its share is the difference, a part that changes nothing has none', async () => {
    const file = growingSessions(folder, 'one', PRESSED);
    // With a single worker every router decides the same.
    const { parts, interaction } = await swapped(file, [RETENTION('5m'), BLIND], [RETENTION('30s'), 'control.router=random@1']);
    expect(parts.map(({ part }) => part)).toEqual(['router', 'retention']);
    expect(parts[0]).toMatchObject({ delta: 0, alone: 0, last: 0 });
    expect(parts[1]!.delta).toBeGreaterThan(0.01);
    expect(parts[1]!.delta).toBe(parts[1]!.alone);
    expect(interaction.delta).toBe(0);
  });

  it('two parts that need each other: the averages of four scenarios written by hand', async () => {
    const file = growingSessions(folder, 'two', PRESSED);
    const three = 'fleet.pools.one.workers=3';
    const meanTtft = async (...sets: string[]) => (await runAlone(await handPlan(file, [three, ...sets]))).value;
    const neither = await meanTtft(BLIND, RETENTION('30s'));
    const router = await meanTtft(AWARE, RETENTION('30s'));
    const retention = await meanTtft(BLIND, RETENTION('5m'));
    const both = await meanTtft(AWARE, RETENTION('5m'));
    // Keeping prefixes is worth little to a router that does not find them.
    expect(Math.abs(both - router - retention + neither)).toBeGreaterThan(0.01);
    const { parts, interaction, mixtures } = await swapped(file, [three, BLIND, RETENTION('30s')], [three, AWARE, RETENTION('5m')]);
    expect(parts[0]!.delta).toBeCloseTo((router - neither + (both - retention)) / 2, 12);
    expect(parts[1]!.delta).toBeCloseTo((retention - neither + (both - router)) / 2, 12);
    expect(parts[0]).toMatchObject({ part: 'router', alone: router - neither, last: both - retention });
    expect(interaction.delta).toBeCloseTo(both - router - retention + neither, 12);
    expect(mixtures).toEqual([
      { changed: [], value: neither },
      { changed: ['router'], value: router },
      { changed: ['retention'], value: retention },
      { changed: ['router', 'retention'], value: both },
    ]);
  });

  it('engine, tiers, workers and network are parts of their own', async () => {
    const file = growingSessions(folder, 'parts', PRESSED);
    const pool = (key: string) => `fleet.pools.one.${key}`;
    const partsOf = async (...sets: string[]) => {
      const [a, b] = [await handPlan(file, [pool('tiers.host.size=8GiB')]), await handPlan(file, [pool('tiers.host.size=8GiB'), ...sets])];
      return swapPlan({ folder, plan: b, arm: 0 }, { folder, plan: a, arm: 0 }, METRIC).parts;
    };
    expect(await partsOf(pool('engine.with.kvBlocks=3000'))).toEqual(['engine']);
    expect(await partsOf(pool('tiers.host.read=1GB/s'))).toEqual(['tiers']);
    expect(await partsOf(pool('tiers.host.size=16GiB'))).toEqual(['tiers']);
    expect(await partsOf(pool('workers=2'))).toEqual(['workers']);
    expect(await partsOf('control.signals.indexAge=50ms', AWARE)).toEqual(['router', 'network']);
  });

  it('refuses the same arm, more than four parts, other workloads', async () => {
    const file = growingSessions(folder, 'refused', PRESSED);
    const refusal = async (...sets: string[]) => {
      const [a, b] = [await handPlan(file, []), await handPlan(file, sets)];
      try {
        swapPlan({ folder: 'now', plan: b, arm: 0 }, { folder: 'before', plan: a, arm: 0 }, METRIC);
      } catch (error) {
        return (error as Error).message;
      }
      return 'accepted';
    };
    expect(await refusal()).toMatch(/E_EXPLAIN_SWAP now.*--swap: .*the same arm/);
    const five = [
      AWARE,
      RETENTION('5m'),
      'fleet.pools.one.workers=2',
      'fleet.pools.one.engine.with.maxSeqs=9',
      'control.signals.netDelay=2ms',
    ];
    expect(await refusal(...five)).toMatch(/E_EXPLAIN_SWAP.*router, retention, engine, workers, network, expected at most 4/);
    expect(await refusal(...five.slice(0, 4))).toBe('accepted');
    expect(await refusal('seed=7', AWARE)).toMatch(/E_EXPLAIN_SWAP before.*differ in seed/);
  });
});
