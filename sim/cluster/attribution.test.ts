import { describe, expect, it } from 'vitest';
import { BRANCH_PRIVATE, BranchTable } from '../../control/blocks.ts';
import type { Worker } from '../engine/worker.ts';
import { Attribution } from './attribution.ts';

const BLOCK = 64;

/** Workers of which only the look at resident blocks is used; the numbers are leading blocks in HBM and their host continuation. */
function workers(resident: readonly number[], host: readonly number[] = []): Worker[] {
  return resident.map(
    (n, i) =>
      ({
        advance: () => {},
        residentBlocks: (_b: number, depth: number) => Math.min(n, depth),
        hostBlocks: () => host[i] ?? 0,
      }) as unknown as Worker,
  );
}

function prompt(blocks: number) {
  const table = new BranchTable();
  const branch = table.add(-1, 0, blocks);
  return { table, branch };
}

describe('every prompt token of an admission has one source or cause', () => {
  it('a first request is compulsory, all of it', () => {
    const { table, branch } = prompt(10);
    const a = new Attribution(table, BLOCK, false);
    a.judge(branch, 10, 700, 0, 0, 0, workers([0, 0]), 0);
    expect(a.sources).toMatchObject({ compulsory: 700, hbm: 0, routing: 0, capacity: 0 });
  });

  it('known content that another worker holds was lost by routing; what nobody holds was evicted', () => {
    const { table, branch } = prompt(10);
    const a = new Attribution(table, BLOCK, false);
    a.stored(branch, 10);
    a.ran(branch, 1);
    // 10,000-style example by hand: 10 known blocks, 2 hit here, worker 1 holds 6, a tail of 60 tokens.
    a.judge(branch, 10, 700, 2 * BLOCK, 0, 0, workers([2, 6]), 0);
    expect(a.sources).toEqual({ hbm: 128, host: 0, compulsory: 60, routing: 256, capacity: 256, ttl: 0, other: 0 });
    expect(a.lastAvoidableTokens).toBe(512);
  });

  it('only ranks that ran through the branch of the first missed block are asked', () => {
    const table = new BranchTable();
    const root = table.add(-1, 0, 4);
    const child = table.add(root, 4, 4);
    const leaf = table.add(child, 2, 8, BRANCH_PRIVATE);
    const a = new Attribution(table, BLOCK, false);
    a.stored(root, 4);
    a.stored(child, 4);
    a.ran(root, 0);
    a.ran(leaf, 1);
    a.ran(root, 2);
    const asked: number[] = [];
    const fleet = [4, 6, 8].map(
      (n, w) => ({ advance: () => {}, residentBlocks: () => asked.push(w) && n, hostBlocks: () => 0 }) as unknown as Worker,
    );
    // The first 4 blocks were hit on rank 0; rank 2 never ran through the child, whatever it claims to hold.
    a.judge(child, 8, 600, 4 * BLOCK, 0, 0, fleet, 0);
    expect(asked).toEqual([1]);
    expect(a.sources).toMatchObject({ hbm: 256, routing: 128, capacity: 128, compulsory: 88 });
  });

  it('dropped at the deadline counts as ttl', () => {
    const { table, branch } = prompt(4);
    const a = new Attribution(table, BLOCK, true);
    a.stored(branch, 4);
    a.judge(branch, 4, 300, 0, 0, 0, workers([0]), 0);
    expect(a.sources).toMatchObject({ ttl: 256, capacity: 0, compulsory: 44 });
  });

  it('a copy in another worker host tier counts as held elsewhere', () => {
    const { table, branch } = prompt(4);
    const a = new Attribution(table, BLOCK, false);
    a.stored(branch, 4);
    a.ran(branch, 1);
    a.judge(branch, 4, 300, 0, 0, 0, workers([0, 1], [0, 2]), 0);
    expect(a.sources).toMatchObject({ routing: 192, capacity: 64 });
  });

  it('the block that a fully cached prompt recomputes by rule is compulsory', () => {
    const { table, branch } = prompt(4);
    const a = new Attribution(table, BLOCK, false);
    a.stored(branch, 4);
    a.judge(branch, 4, 256, 192, 0, 0, workers([4]), 0);
    expect(a.sources).toMatchObject({ hbm: 192, compulsory: 64, capacity: 0 });
  });

  it('content on a branch is known only as far as its ancestors are', () => {
    const table = new BranchTable();
    const root = table.add(-1, 0, 4);
    const child = table.add(root, 4, 4);
    const a = new Attribution(table, BLOCK, false);
    a.stored(root, 3);
    a.stored(child, 4);
    a.judge(child, 8, 600, 0, 0, 0, workers([0]), 0);
    expect(a.sources).toMatchObject({ capacity: 192, compulsory: 408 });
  });
});
