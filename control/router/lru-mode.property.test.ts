import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { matchColumns } from '../index/match-columns.ts';
import { NaiveLruIndex } from '../index/naive-lru-index.ts';
import { createPlane } from '../plane.ts';
import type { AttemptEnd, Effects } from '../ports.ts';
import { rankFacts, routeRequest } from './router-fixture.ts';

const BS = 16;
const RANKS = 2;
const CAPACITY = 14;

const done = (status: AttemptEnd['status']): AttemptEnd => ({ status, stop: 'turn', outputTokens: 0 });

test('a plane with dynamo-kv-lru believes what a naive LRU of its own dispatches holds', () => {
  const branches = new BranchTable();
  const trunk = branches.add(-1, 0, 4);
  const chains = [trunk, branches.add(trunk, 4, 4), branches.add(trunk, 2, 6), branches.add(-1, 0, 5)];
  const step = fc.record({ dice: fc.nat(9), chain: fc.nat(3), cut: fc.nat(8), which: fc.nat(30), rest: fc.nat(40) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const naive = new NaiveLruIndex(branches);
      const placed: number[] = [];
      const effects: Effects = {
        dispatch: (_, { rank }) => void placed.push(rank),
        refuse: () => expect.unreachable('every request fits'),
        act: () => {},
        wakeAt: () => {},
        decided: () => {},
      };
      const router = { preset: 'dynamo-kv-lru@1' };
      const plane = createPlane({ branches, router, retention: null, seed: 1, recordLevel: 'off', effects });
      for (let rank = 0; rank < RANKS; rank++) {
        plane.worker(
          { rank, key: `w${rank}/0`, state: 'joined', epoch: 0, facts: rankFacts(BS, { hbmBlocks: CAPACITY - 3, hostBlocks: 3 }) },
          0,
        );
        plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
        naive.setCapacity(rank, CAPACITY);
      }
      const prompts: { branch: number; depth: number; tokens: number }[] = [];
      for (const [nowMs, { dice, chain, cut, which, rest }] of steps.entries()) {
        if (dice < 5) {
          const attempt = prompts.length;
          const branch = chains[chain]!;
          const depth = Math.min(cut, branches.end(branch));
          const tokens = depth * BS + 1 + rest;
          prompts.push({ branch, depth, tokens });
          plane.request(routeRequest({ attempt, promptTokens: tokens, branch, depthBlocks: depth }), nowMs);
          naive.acquire(attempt, placed[attempt]!, branch, depth, Math.ceil(tokens / BS) - depth);
        } else if (dice === 5 && prompts[which] !== undefined) {
          const { branch, depth, tokens } = prompts[which]!;
          plane.progress(which, rest, nowMs);
          naive.materialize(which, branch, depth, Math.ceil((tokens + rest) / BS) - depth);
        } else if (dice < 9) {
          plane.ended(which, done('finished'), nowMs);
          naive.release(which);
        } else {
          plane.worker({ rank: which % RANKS, state: 'restarted', epoch: 1 }, nowMs);
          plane.worker({ rank: which % RANKS, state: 'ready', epoch: 1 }, nowMs);
          naive.dropRank(which % RANKS);
        }
        for (const branch of chains) {
          const [a, b] = [matchColumns(RANKS), matchColumns(RANKS)];
          plane.router.index.match(branch, branches.end(branch), nowMs, a);
          naive.match(branch, branches.end(branch), b);
          expect([...a.hbm]).toEqual([...b.hbm]);
        }
      }
    }),
    { numRuns: 100 },
  );
});

test('a failed dispatch leaves nothing behind, and a finished one draws the next turn to its rank', () => {
  const branches = new BranchTable();
  const chain = branches.add(-1, 0, 6);
  const placed: number[] = [];
  const effects = {
    dispatch: (_: unknown, placement: { rank: number; hbmBlocks: number }) => placed.push(placement.hbmBlocks),
  } as unknown as Effects;
  const router = { preset: 'dynamo-kv-lru@1' };
  const plane = createPlane({ branches, router, retention: null, seed: 1, recordLevel: 'off', effects });
  for (const rank of [0, 1]) {
    plane.worker({ rank, key: `w${rank}/0`, state: 'joined', epoch: 0, facts: rankFacts(BS, { hbmBlocks: 100 }) }, 0);
    plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
  }
  const turn = (attempt: number, end: AttemptEnd['status']): void => {
    plane.request(routeRequest({ attempt, promptTokens: 6 * BS, branch: chain, depthBlocks: 6 }), attempt);
    plane.ended(attempt, done(end), attempt);
  };
  for (const [attempt, end] of (['failed', 'finished', 'finished'] as const).entries()) turn(attempt, end);
  expect(placed).toEqual([0, 0, 6]);
});
