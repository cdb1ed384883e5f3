import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { KV_REMOVED, KV_STORED, KvEventBatch, type Tier } from '../ports.ts';
import { routerPolicy } from './catalogue.ts';
import { rankFacts, routeRequest } from './router-fixture.ts';
import { ScoringRouter } from './scoring-router.ts';

const PARAMS: Record<string, number | boolean>[] = [
  {},
  { c: 1.5, h: 0.3, k: 0.1, s: 0.7, a: 0.3 },
  { c: 0 },
  { c: 0.1, h: 1, k: 1, s: 3 },
  { assumeKvReuse: false, a: 2.5 },
  { s: 0 },
  { T: 0.4 },
  { T: 3, c: 2, h: 0.1, a: 1 },
];
const BS = 16;

/** A small generator of our own: one integer describes a case. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test('the scan of cost policies chooses what the engine chooses over all ranks: rank, tie set, match and overlap of the winner', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.constantFrom(1, 3, 8, 40, 90), fc.nat(PARAMS.length - 1), (seed, ranks, p) => {
      const next = numbers(seed);
      const branches = new BranchTable();
      for (let i = 0; i < 12; i++) {
        if (i < 2) branches.add(-1, 0, 2 + next(8));
        else {
          const parent = next(i);
          branches.add(parent, next(3) === 0 ? next(branches.length[parent]! + 1) : branches.length[parent]!, 1 + next(8));
        }
      }
      const router = new ScoringRouter(routerPolicy('dynamo-kv@1', PARAMS[p]!), { branches, seed: next(2 ** 31) });
      // Canonical order differs from the order of joining.
      const join = (rank: number): void => {
        router.worker({ rank, key: `w${(rank * 37) % 101}/${rank}`, state: 'joined', epoch: 0, facts: rankFacts(BS) });
        router.worker({ rank, state: 'ready', epoch: 0 });
      };
      for (let rank = 0; rank < ranks; rank++) join(rank);
      const tiers = 1 + next(4);
      const live: number[] = [];
      let attempt = 0;
      for (let step = 0; step < 160; step++) {
        const rank = next(ranks);
        const branch = next(3) === 0 ? next(2) : next(branches.count);
        const dice = next(100);
        if (dice < 45) {
          const batch = new KvEventBatch();
          batch.rank = rank;
          const from = next(4) === 0 ? next(branches.length[branch]!) : 0;
          const to = next(2) === 0 ? branches.length[branch]! : from + 1 + next(branches.length[branch]! - from);
          batch.push(next(4) === 0 ? KV_REMOVED : KV_STORED, (next(2) === 0 ? 0 : next(tiers)) as Tier, branch, from, to);
          router.kvEvents(batch, 0);
        } else if (dice < 50 && next(3) === 0) router.worker({ rank, state: 'draining', epoch: 0 });
        else if (dice < 55) join(rank);
        else if (dice < 57) router.worker({ rank, state: 'lost', epoch: 0 });
        else if (dice < 70 && live.length > 0) router.ended(live.splice(next(live.length), 1)[0]!);
        else if (dice < 75 && live.length > 0) router.firstToken(live[next(live.length)]!, 0);
        else {
          const depthBlocks = next(branches.end(branch) + 1);
          const promptTokens = Math.max(1, depthBlocks * BS + next(3) * next(40));
          const request = routeRequest({ attempt: attempt++, promptTokens, branch, depthBlocks });
          router.scoreAll = true;
          const expected = router.decide(request, 0);
          const { match, active } = router.input;
          const facts = (r: number): number[] =>
            r < 0 ? [] : [match.hbm[r]!, match.host[r]!, match.disk[r]!, match.remote[r]!, active.overlap[r]!];
          const expectedFacts = facts(expected);
          const ties = router.engine.tieSize;
          router.scoreAll = false;
          const got = router.decide(request, 0);
          expect([got, facts(got)]).toEqual([expected, expectedFacts]);
          if (got < 0) continue;
          expect(router.scan!.tieSize).toBe(ties);
          router.book(request, got, 0);
          live.push(request.attempt);
        }
      }
    }),
    { numRuns: Number(process.env.KVCAST_RUNS ?? 60) },
  );
});

test('the scan scores few ranks of a large fleet although everybody holds the system prompt', () => {
  const branches = new BranchTable();
  const router = new ScoringRouter(routerPolicy('dynamo-kv@1'), { branches, seed: 1 });
  const system = branches.add(-1, 0, 300);
  for (let rank = 0; rank < 512; rank++) {
    router.worker({ rank, key: `w${rank}/0`, state: 'joined', epoch: 0, facts: rankFacts(BS) });
    router.worker({ rank, state: 'ready', epoch: 0 });
    const batch = new KvEventBatch();
    batch.rank = rank;
    batch.push(KV_STORED, 0, system, 0, 300);
    router.kvEvents(batch, 0);
    const load = { attempt: 1_000_000 + rank, rank, branch: system, depthBlocks: 300, fullBlocks: 400 + ((rank * 7919) % 512) };
    router.bookings.book({ ...load, promptTokens: 6400, uncachedTokens: 0, osl: 0 }, 0);
  }
  for (let i = 0; i < 100; i++) {
    const leaf = branches.add(system, 300, 50);
    router.decide(routeRequest({ attempt: i, promptTokens: 5600, branch: leaf, depthBlocks: 350 }), 0);
  }
  expect(router.scan!.ranksScored).toBeLessThan(500);
});
