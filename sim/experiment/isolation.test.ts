/**
 * What salts cost: tokens that a turn missed only because another tenant stored them under its own salt are `isolation`, and they are, turn by
 * turn, those that it hits when all tenants share one salt. Sessions come one after the other to a cache that holds them all, so that nothing
 * else differs between the two runs.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { AgentRuns, uniform } from './agent-runs.fixture.ts';

const runs = new AgentRuns();
afterAll(() => runs.remove());

const SHARED = 'workload.salt=shared';

/** Sessions 10 s apart; `prompts` = lists of block ids of their turns. */
function sessionsOf(list: readonly { readonly tenant: string; readonly prompts: readonly (readonly number[])[] }[]): object[] {
  return list.map(({ tenant, prompts }, s) => ({
    id: `s${s}`,
    tenant,
    arrivalMs: 10_000 * s,
    agents: [
      {
        ...{ id: 'root', model: 'm', toolTokens: 256, systemTokens: 192 },
        requests: prompts.map((ids, k) => ({
          ...{ startMs: 1000 * k, in: ids.length * 64 + 8, out: 4, stop: 'tool', runs: ids.map((id) => [id, id]) },
          ...(k === 0 ? {} : { pauseMs: 200, ...brokenAfter(prompts[k - 1]!, ids) }),
        })),
      },
    ],
  }));
}

/** A prompt that does not repeat all of the one before says how much it kept. */
function brokenAfter(before: readonly number[], ids: readonly number[]): object {
  const other = before.findIndex((id, i) => ids[i] !== id);
  return other < 0 ? {} : { break: { keptTokens: other * 64 } };
}

/** By turn: tokens of the cause `isolation`, and tokens that hit. */
function fates({ turns, causes }: ClusterRun): { readonly isolated: number[]; readonly hit: number[] } {
  const rows = Array.from({ length: turns.count }, (_, k) => causes.runs(turns.rowOf(k)));
  const isolated = rows.map((row) => row.reduce((sum, r) => sum + (r.cause === 'isolation' ? r.tokens : 0), 0));
  return { isolated, hit: rows.map((_, k) => turns.hitHbmTokens[k]! + turns.hitHostTokens[k]!) };
}

/** Runs with a salt per tenant and with one for all. Every turn must be isolated from just what it hits without salts. */
async function both(file: string, sets: readonly string[] = []): Promise<{ readonly isolated: number[]; readonly run: ClusterRun }> {
  const run = await runs.run(file, sets);
  const salted = fates(run);
  const shared = fates(await runs.run(file, [...sets, SHARED]));
  expect(salted.isolated).toEqual(shared.hit.map((tokens, k) => tokens - salted.hit[k]!));
  expect(shared.isolated.every((tokens) => tokens === 0)).toBe(true);
  expect(run.sources.unknown).toBe(0);
  return { isolated: salted.isolated, run };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('ids that are contents', () => {
  const twice = sessionsOf([
    { tenant: 'red', prompts: [range(1, 20), range(1, 30)] },
    { tenant: 'blue', prompts: [range(1, 25), [...range(1, 25), ...range(101, 108)], [...range(1, 25), ...range(101, 120)]] },
    { tenant: 'red', prompts: [[...range(1, 25), ...range(101, 110)]] },
  ]);
  const file = runs.trace(twice, 'file');

  it('another tenant had all of a prompt, or the begin of it; its own tenant none of that', async () => {
    const { isolated, run } = await both(file);
    // Blue: 25 blocks are red's, then all its own. Red's last session: 10 blocks that only blue had.
    expect(isolated).toEqual([0, 0, 25 * 64, 0, 0, 10 * 64]);
    expect(run.sources.causes.isolation).toBe(35 * 64);
  });

  it('tenants that write one salt are not isolated from each other, and from others they are', async () => {
    const tenants = (salts: readonly (string | undefined)[]) =>
      `workload.tenants=[${salts.map((salt, i) => `{name: t${i}, share: ${1 / salts.length}${salt === undefined ? '' : `, salt: ${salt}`}}`).join(', ')}]`;
    const isolation = async (salts: readonly (string | undefined)[]) =>
      (
        await runs.run(file, [
          'workload.resample=bootstrap',
          'workload.arrivals={mode: open, rate: 0.1/s}',
          'workload.sessions=20',
          tenants(salts),
        ])
      ).sources.causes.isolation ?? 0;
    expect([await isolation(['x', 'x']), await isolation(['x', 'x', 'x'])]).toEqual([0, 0]);
    expect(await isolation([undefined, undefined])).toBeGreaterThan(0);
    expect(await isolation(['x', 'y'])).toBe(await isolation([undefined, undefined]));
  });

  it('contents of nobody else are cold', async () => {
    const own = ['red', 'blue'].map((tenant, i) => ({ tenant, prompts: [range(1 + 100 * i, 20 + 100 * i)] }));
    const { run } = await both(runs.trace(sessionsOf(own), 'file'));
    expect(Object.keys(run.sources.causes).sort()).toEqual(['cold', 'uncacheable']);
  });

  it('what the own tenant had and lost is not isolation, though another has it', async () => {
    const others = range(1, 4).map((i) => ({ tenant: 'blue', prompts: [range(1000 * i, 1000 * i + 39)] }));
    const list = [{ tenant: 'red', prompts: [range(1, 40)] }, ...others, { tenant: 'blue', prompts: [range(1, 40)] }];
    const lost = runs.trace(sessionsOf([...list, { tenant: 'red', prompts: [range(1, 40)] }]), 'file');
    const { sources } = await runs.run(lost, ['fleet.contextLimit=5k', 'fleet.pools.one.engine.with.kvBlocks=100']);
    expect(sources.causes).toMatchObject({ isolation: 40 * 64, evicted_shared: 40 * 64 });
  });
});

describe('declared prefixes', () => {
  const list = ['red', 'blue', 'red', 'green'].map((tenant) => ({ tenant, prompts: [range(1, 12), range(1, 15)] }));
  const file = runs.trace(sessionsOf(list));

  it.each([
    ['tools', 4],
    ['tools+system', 7],
    ['none', 0],
  ])('sharing %s: the first session of each tenant but one is isolated from %i blocks', async (sharing, blocks) => {
    const { isolated } = await both(file, [`workload.trace.sharing=${sharing}`]);
    expect(isolated).toEqual([0, 0, blocks * 64, 0, 0, 0, blocks * 64, 0]);
  });
});

/** Prompts on paths of one random tree of contents, in which every tenant may come first: the tries of two tenants differ. */
function drawnSessions(seed: number): object[] {
  const draw = uniform(seed);
  const upTo = (n: number): number => Math.floor(draw() * n);
  const ids = new Map<string, number>();
  const idOf = (path: string): number => ids.get(path) ?? ids.set(path, ids.size + 1).get(path)!;
  const prompt = (): number[] => {
    let path = '';
    const blocks: number[] = [];
    for (let step = 0; step < 1 + upTo(5); step++) {
      path += `/${upTo(2)}`;
      for (let k = 0; k < 1 + path.length; k++) blocks.push(idOf(`${path}.${k}`));
    }
    return blocks.slice(0, 1 + upTo(blocks.length));
  };
  return sessionsOf(Array.from({ length: 24 }, () => ({ tenant: `t${upTo(3)}`, prompts: Array.from({ length: 1 + upTo(3) }, prompt) })));
}

it.each(range(1, 12))('drawn contents of three tenants, seed %i: isolated from what a shared salt hits', async (seed) => {
  const { isolated } = await both(runs.trace(drawnSessions(seed), 'file'), [
    `workload.trace.outputReuse=${seed % 2 === 0 ? 'assume' : 'off'}`,
  ]);
  expect(isolated.some((tokens) => tokens > 0)).toBe(true);
});
