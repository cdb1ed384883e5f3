/** Both prefetch policies beside lru, told by hand. Source: retention specification 9.4. */
import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import type { AgentHints, KvAction, RankFacts, RetentionPolicy, RouteRequest } from '../ports.ts';
import { withPrefetch } from './create-prefetch.ts';
import { PREFETCH_OFF, type PrefetchOptions } from './prefetch-options.ts';

/** 100 blocks of 64 tokens take 100 ms to reload and a tenth of HBM. */
const FACTS: RankFacts = {
  blockTokens: 64,
  hbmBlocks: 1000,
  hostBlocks: 4000,
  maxBatchedTokens: 8192,
  blockBytes: 1,
  prefillMsPerToken: 1,
  prefillMsPerPair: 0,
  reloadMsPerBlock: 1,
};

class Told {
  readonly branches = new BranchTable();
  readonly branch = Array.from({ length: 8 }, () => this.branches.add(-1, 0, 100));
  readonly sent: KvAction[] = [];
  readonly policy: RetentionPolicy;
  #attempt = 0;

  constructor(options: Partial<PrefetchOptions>, facts: RankFacts = FACTS, kvUsage = 1) {
    const env = { branches: this.branches, rankFacts: () => facts, draw: () => 0.5, kvUsage: () => kvUsage };
    this.policy = withPrefetch(null, { ...PREFETCH_OFF, ...options }, env)!;
  }

  readonly #act = (action: Omit<KvAction, 'id'>): void => void this.sent.push(Object.assign(action, { id: this.sent.length }));

  dispatch(session: number, nowMs: number, lowerBlocks?: number, hints?: AgentHints): RouteRequest {
    const request: RouteRequest = {
      attempt: this.#attempt++,
      id: `s${session}`,
      attemptNumber: 0,
      session,
      sessionKey: `s${session}`,
      tenant: 0,
      arrivalMs: nowMs,
      promptTokens: 6400,
      branch: this.branch[session]!,
      depthBlocks: 100,
      ...(hints === undefined ? {} : { hints }),
    };
    const known = lowerBlocks === undefined ? {} : { hbmBlocks: 0, lowerBlocks };
    this.policy.on({ kind: 'dispatched', session, rank: 0, request, ...known, nowMs }, this.#act);
    return request;
  }

  answering(request: RouteRequest, nowMs: number): void {
    this.policy.on({ kind: 'answering', session: request.session, rank: 0, request, nowMs }, this.#act);
  }

  finish(request: RouteRequest, nowMs: number): void {
    const end = { status: 'finished', stop: 'tool', outputTokens: 1, toolNames: ['cron'] } as const;
    this.policy.on({ kind: 'finished', session: request.session, rank: 0, request, end, pause: 'tool', nowMs }, this.#act);
  }

  tick(nowMs: number): void {
    this.policy.on({ kind: 'tick', nowMs }, this.#act);
  }

  settle(action: KvAction, nowMs: number): void {
    this.policy.settled(action, { result: 'accepted', appliedBlocks: 100, requestedBlocks: 100 }, nowMs);
  }

  get sessions(): number[] {
    return this.sent.map((action) => action.session);
  }
}

describe('onArrival', () => {
  it('asks for the first requests in line, and for the next one when one of them has its first token', () => {
    const told = new Told({ onArrival: true, lookahead: 2 });
    const requests = [0, 1, 2, 3].map((session) => told.dispatch(session, session));
    expect(told.sessions).toEqual([0, 1]);
    told.answering(requests[1]!, 10);
    expect(told.sessions).toEqual([0, 1, 2]);
    told.finish(requests[1]!, 11);
    expect(told.sessions).toEqual([0, 1, 2]);
    // Aborted while it waited.
    told.finish(requests[0]!, 12);
    expect(told.sessions).toEqual([0, 1, 2, 3]);
    expect(told.sent[0]).toMatchObject({ verb: 'prefetch', rank: 0, fromBlocks: 0, toBlocks: 100, tierFloor: 0 });
  });

  it('asks for nothing that is known to be too little, or where no lower tier is', () => {
    const told = new Told({ onArrival: true });
    told.dispatch(0, 0, 3);
    told.dispatch(1, 0, 0);
    expect(told.sent).toEqual([]);
    told.dispatch(2, 0, 4);
    expect(told.sessions).toEqual([2]);
    const flat = new Told({ onArrival: true }, { ...FACTS, hostBlocks: 0 });
    flat.dispatch(0, 0);
    expect(flat.sent).toEqual([]);
  });
});

describe('onPredicted', () => {
  it('asks before the pause that the client declared is over, unless the session comes back or closes', () => {
    const told = new Told({ onPredicted: true });
    const hints = { declaredPauseMs: 60_000 };
    told.finish(told.dispatch(0, 0, undefined, hints), 1000);
    expect(told.policy.wakeMs).toBe(1000 + 60_000 - 100 - 10);
    told.dispatch(0, 2000, undefined, hints);
    expect(told.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
    told.finish(told.dispatch(1, 0, undefined, hints), 1000);
    told.policy.on({ kind: 'closed', session: 1, nowMs: 1500 }, () => undefined);
    told.finish(told.dispatch(2, 0, undefined, hints), 1000);
    told.tick(60_889);
    expect(told.sent).toEqual([]);
    told.tick(60_890);
    expect(told.sessions).toEqual([2]);
  });

  it('learns when a class comes back: before the first return of a timer, and never where returns only thin out', () => {
    const planned = (gaps: (i: number) => number, kvUsage: number): number => {
      const told = new Told({ onPredicted: true }, FACTS, kvUsage);
      let now = 0;
      for (let i = 0; i < 40; i++) {
        told.finish(told.dispatch(0, now), now);
        now += gaps(i);
      }
      told.finish(told.dispatch(0, now), now);
      return told.policy.wakeMs! - now;
    };
    const cron = (i: number): number => 595_000 + 250 * i;
    // Without pressure space is free. At the full rent of a tenth of HBM a reload of 100 ms is worth one second of it, and the 30 returns
    // of the first curve end at 602.25 s.
    expect(planned(cron, 0.5)).toBe(595_000 - 110);
    expect(planned(cron, 1)).toBeGreaterThan(601_000);
    expect(planned((i) => (i < 38 ? 20 + i : 600_000), 1)).toBe(Number.POSITIVE_INFINITY);
  });

  it('loads one context at a time per rank, and gives up what came too late', () => {
    const told = new Told({ onPredicted: true });
    const hints = { declaredPauseMs: 60_000 };
    for (const session of [0, 1, 2]) told.finish(told.dispatch(session, 0, undefined, hints), session * 10);
    told.tick(60_000);
    expect(told.sessions).toEqual([0]);
    told.settle(told.sent[0]!, 60_012);
    expect(told.policy.wakeMs).toBe(60_012);
    told.tick(60_012);
    // Session 1 was due until 60,010.
    expect(told.sessions).toEqual([0, 2]);
    expect(told.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('leaves short contexts and ranks without lower tier alone', () => {
    const { reloadMsPerBlock: _, ...flat } = FACTS;
    for (const told of [new Told({ onPredicted: true, minTokens: 6401 }), new Told({ onPredicted: true }, flat)]) {
      told.finish(told.dispatch(0, 0, undefined, { declaredPauseMs: 60_000 }), 0);
      expect(told.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
    }
  });
});
