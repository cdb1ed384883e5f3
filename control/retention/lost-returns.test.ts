import { expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import type { AttemptEnd, RouteRequest } from '../ports.ts';
import { ContinuumPaperEstimator } from './continuum-estimators.ts';
import { createRetention } from './create-retention.ts';
import { LostReturns } from './lost-returns.ts';

const BLOCK = 64;
const answered = (cachedTokens?: number, queueMs?: number): AttemptEnd => ({
  ...{ status: 'finished', stop: 'tool', outputTokens: 1 },
  ...(cachedTokens === undefined ? {} : { cachedTokens }),
  ...(queueMs === undefined ? {} : { queueMs }),
});
const request = (attempt: number, promptTokens: number): RouteRequest => ({
  ...{ attempt, id: `${attempt}`, attemptNumber: 0, session: 1, sessionKey: 's', tenant: 0, arrivalMs: 0 },
  ...{ promptTokens, branch: 0, depthBlocks: Math.floor(promptTokens / BLOCK) },
});

it('a return that hits what it left did not lose it; the token that is always computed is no loss', () => {
  const returns = new LostReturns();
  const wait = (left: number, promptTokens: number, cachedTokens?: number): number | undefined => {
    returns.sent(7, left);
    return returns.ended(request(7, promptTokens), answered(cachedTokens, 250), BLOCK);
  };
  expect(wait(10, 12 * BLOCK, 10 * BLOCK)).toBeUndefined();
  expect(wait(10, 12 * BLOCK, 9 * BLOCK)).toBe(250);
  expect(wait(10, 10 * BLOCK, 9 * BLOCK)).toBeUndefined();
  expect(wait(10, 10 * BLOCK + 1, 9 * BLOCK)).toBe(250);
  expect(wait(10, 12 * BLOCK)).toBeUndefined();
  expect(returns.ended(request(7, 12 * BLOCK), answered(0, 250), BLOCK)).toBeUndefined();
});

it('continuum-paper hears from the lease class how long lost sessions queued, and of no others', () => {
  const branches = new BranchTable();
  const own = branches.add(-1, 0, 20);
  const policy = createRetention(
    'kvcast-soft@2',
    { ttl: 'continuum-paper' },
    {
      branches,
      draw: () => 0.5,
      rankFacts: () => ({
        ...{ blockTokens: BLOCK, hbmBlocks: 1000, hostBlocks: 0, maxBatchedTokens: 8192, blockBytes: 1e6 },
        // Free of charge, so that the queue alone decides: tau = ln B.
        ...{ prefillMsPerToken: 0, prefillMsPerPair: 0 },
      }),
    },
  )!;
  const untilMs: number[] = [];
  let attempt = 0;
  const turn = (depthBlocks: number, cachedTokens: number, queueMs: number, nowMs: number): void => {
    const of = { ...request(attempt++, depthBlocks * BLOCK + 1), branch: own, arrivalMs: nowMs };
    policy.on({ kind: 'dispatched', session: 1, rank: 0, request: of, nowMs }, () => {});
    const event = {
      kind: 'finished',
      session: 1,
      rank: 0,
      request: of,
      end: answered(cachedTokens, queueMs),
      pause: 'tool',
      nowMs,
    } as const;
    policy.on(event, (action) => untilMs.push(action.untilMs - nowMs));
  };
  // The first request returns from nothing, the second has all it left.
  turn(10, 0, 60_000, 0);
  turn(12, 10 * BLOCK, 60_000, 1000);
  expect(untilMs).toEqual([]);
  turn(14, 4 * BLOCK, 60_000, 2000);
  expect(untilMs).toHaveLength(1);
  const alone = new ContinuumPaperEstimator();
  alone.queued(60_000);
  expect(untilMs[0]).toBeCloseTo(alone.ttlMs('tool', undefined, 0), 9);
  expect(untilMs[0]).toBeCloseTo(4094.34, 2);
});
