import { expect, it } from 'vitest';
import { fixtureRequest, fixtureTrace } from '../../sim/workload/fixture-trace.ts';
import { reusePopulations } from './reuse-populations.ts';

it('counts single sessions, all sessions and trees apart', () => {
  // a: 10 blocks, then 20 with the 10 before: 10 hits, 20 distinct. b: 5 blocks three times: 10 hits, 5 distinct; its child repeats none.
  const a = { id: 'a', agents: [{ id: 'root', model: 'm', requests: [fixtureRequest(0, [[0, 9]]), fixtureRequest(9, [[0, 19]])] }] };
  const thrice = [0, 9, 18].map((at) => fixtureRequest(at, [[0, 4]]));
  const child = {
    id: 'child',
    parent: 0,
    model: 'm',
    spawn: { after: 0, on: 'completion' as const, delayMs: 0 },
    requests: [fixtureRequest(5, [[50, 57]])],
  };
  const b = { id: 'b', agents: [{ id: 'root', model: 'm', requests: thrice }, child] };
  const { root, tree, teams, session, sessionOfLength, laterRequestHitPct } = reusePopulations(fixtureTrace([a, b]), { from: 3, to: 9 });
  expect(root).toMatchObject({ sessions: 2, requests: 5, blockHits: 20, uniqueBlocks: 25, readsPerWrite: 0.8 });
  expect(tree).toMatchObject({ sessions: 2, requests: 6, blockHits: 20, uniqueBlocks: 33 });
  expect(teams).toMatchObject({ sessions: 1, requests: 4, blockHits: 10, uniqueBlocks: 13 });
  expect(session.readsPerWrite).toMatchObject({ n: 2, mean: (0.5 + 2) / 2 });
  expect(sessionOfLength.readsPerWrite).toMatchObject({ n: 1, p50: 2 });
  expect(laterRequestHitPct).toMatchObject({ n: 3, p50: 100, mean: (50 + 100 + 100) / 3 });
});
