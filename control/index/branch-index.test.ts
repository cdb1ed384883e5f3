import { expect, test } from 'vitest';
import { BRANCH_PRIVATE, BranchTable } from '../blocks.ts';
import { KV_CLEARED, KV_REMOVED, KV_STORED, KvEventBatch, type PrefixIndex, type Tier } from '../ports.ts';
import { BranchIndex, type BranchIndexOptions } from './branch-index.ts';
import { matchColumns } from './match-columns.ts';
import { NaiveIndex } from './naive-index.ts';

const IMPLEMENTATIONS: [string, (branches: BranchTable, options?: BranchIndexOptions) => PrefixIndex][] = [
  ['BranchIndex', (branches, options) => new BranchIndex(branches, options)],
  ['NaiveIndex', (branches, options) => new NaiveIndex(branches, options)],
];

function send(index: PrefixIndex, rank: number, kind: number, branch: number, from: number, to: number, tier: Tier = 0): void {
  const batch = new KvEventBatch();
  batch.rank = rank;
  batch.push(kind, tier, branch, from, to);
  index.apply(batch, 0);
}

function matched(index: PrefixIndex, branch: number, depth: number, rank = 0): number[] {
  const match = matchColumns(8);
  index.match(branch, depth, 0, match);
  return [match.hbm[rank]!, match.host[rank]!, match.disk[rank]!, match.remote[rank]!];
}

for (const [name, create] of IMPLEMENTATIONS) {
  test(`${name}: a hole hides what follows, filling it reveals it (router:E5)`, () => {
    const branches = new BranchTable();
    const chain = branches.add(-1, 0, 5);
    const index = create(branches);
    send(index, 0, KV_STORED, chain, 0, 4);
    send(index, 0, KV_REMOVED, chain, 1, 2);
    expect(matched(index, chain, 5)).toEqual([1, 0, 0, 0]);
    send(index, 0, KV_STORED, chain, 1, 2);
    expect(matched(index, chain, 5)).toEqual([4, 0, 0, 0]);
    send(index, 0, KV_STORED, chain, 4, 5);
    expect(matched(index, chain, 5)).toEqual([5, 0, 0, 0]);
  });

  test(`${name}: a sibling survives removal beside it, not removal of the root (router:E5)`, () => {
    const branches = new BranchTable();
    const main = branches.add(-1, 0, 3);
    const side = branches.add(main, 2, 1);
    const index = create(branches);
    send(index, 0, KV_STORED, main, 0, 3);
    send(index, 0, KV_STORED, side, 0, 1);
    send(index, 0, KV_REMOVED, main, 2, 3);
    expect(matched(index, side, 3)).toEqual([3, 0, 0, 0]);
    send(index, 0, KV_REMOVED, main, 0, 1);
    expect(matched(index, side, 3)).toEqual([0, 0, 0, 0]);
  });

  test(`${name}: tiers are walked once, fastest first; or as a union (router:2.4)`, () => {
    const tiersOfBlock: Tier[][] = [[0], [0], [0, 1], [1], [1], [2], [2], [1], [3]];
    for (const [walk, expected] of [
      ['ordered', [3, 2, 2, 0]],
      ['any', [3, 3, 2, 1]],
    ] as const) {
      const branches = new BranchTable();
      const chain = branches.add(-1, 0, 9);
      const index = create(branches, { walk });
      tiersOfBlock.forEach((tiers, block) => {
        for (const tier of tiers) send(index, 0, KV_STORED, chain, block, block + 1, tier);
      });
      expect(matched(index, chain, 9)).toEqual(expected);
    }
  });

  test(`${name}: a rank without HBM blocks starts on the host tier, and a host copy survives the HBM removal`, () => {
    const branches = new BranchTable();
    const chain = branches.add(-1, 0, 4);
    const index = create(branches);
    send(index, 3, KV_STORED, chain, 0, 4, 1);
    expect(matched(index, chain, 4, 3)).toEqual([0, 4, 0, 0]);
    send(index, 3, KV_STORED, chain, 0, 3, 0);
    expect(matched(index, chain, 4, 3)).toEqual([3, 1, 0, 0]);
    send(index, 3, KV_REMOVED, chain, 0, 3, 0);
    expect(matched(index, chain, 4, 3)).toEqual([0, 4, 0, 0]);
  });

  test(`${name}: with three copies two removals leave a hit when counting, none when presence is tracked (router:11.1.1)`, () => {
    for (const [copies, hit] of [
      ['count', 2],
      ['presence', 1],
    ] as const) {
      const branches = new BranchTable();
      const chain = branches.add(-1, 0, 2);
      const index = create(branches, { copies });
      send(index, 0, KV_STORED, chain, 0, 2);
      send(index, 0, KV_STORED, chain, 1, 2);
      send(index, 0, KV_STORED, chain, 1, 2);
      send(index, 0, KV_REMOVED, chain, 1, 2);
      send(index, 0, KV_REMOVED, chain, 1, 2);
      expect(matched(index, chain, 2)).toEqual([hit, 0, 0, 0]);
      expect(index.blocks(0)).toBe(hit);
    }
  });

  test(`${name}: private blocks count but never match; a clear forgets one rank on all tiers`, () => {
    const branches = new BranchTable();
    const chain = branches.add(-1, 0, 4);
    const tail = branches.add(chain, 4, 3, BRANCH_PRIVATE);
    const index = create(branches);
    send(index, 0, KV_STORED, chain, 0, 4);
    send(index, 0, KV_STORED, tail, 0, 3);
    send(index, 1, KV_STORED, chain, 0, 2, 1);
    expect(matched(index, tail, 7)).toEqual([4, 0, 0, 0]);
    expect(index.blocks(0)).toBe(7);
    send(index, 0, KV_REMOVED, tail, 2, 3);
    expect(index.blocks(0)).toBe(6);
    send(index, 0, KV_CLEARED, 0, 0, 0);
    expect(matched(index, chain, 4)).toEqual([0, 0, 0, 0]);
    expect(index.blocks(0)).toBe(0);
    expect(matched(index, chain, 4, 1)).toEqual([0, 2, 0, 0]);
  });
}

test('two roots with equal lengths never match each other: namespaces are separate chains', () => {
  const branches = new BranchTable();
  const a = branches.add(-1, 0, 4);
  const b = branches.add(-1, 0, 4);
  const index = new BranchIndex(branches);
  send(index, 0, KV_STORED, a, 0, 4);
  expect(matched(index, b, 4)).toEqual([0, 0, 0, 0]);
});
