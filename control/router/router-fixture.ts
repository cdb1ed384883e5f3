/** Small worlds for router tests: ranks with known blocks and loads. Test support only. */
import { BranchTable } from '../blocks.ts';
import { KV_STORED, KvEventBatch, type RankFacts, type RouteRequest, type Tier } from '../ports.ts';
import { routerPolicy } from './catalogue.ts';
import { ScoringRouter } from './scoring-router.ts';

/** Facts of a rank with blocks of `blockTokens`. */
export function rankFacts(blockTokens: number, overrides: Partial<RankFacts> = {}): RankFacts {
  return {
    blockTokens,
    hbmBlocks: 1_000_000,
    hostBlocks: 0,
    maxBatchedTokens: 8192,
    blockBytes: 1,
    prefillMsPerToken: 0.1,
    prefillMsPerPair: 0,
    ...overrides,
  };
}

/** A request with defaults for everything a test does not care about. */
export function routeRequest(overrides: Partial<RouteRequest>): RouteRequest {
  const attempt = overrides.attempt ?? 0;
  return {
    attempt,
    id: `req-${attempt}`,
    attemptNumber: 0,
    session: 0,
    sessionKey: 's0',
    tenant: 0,
    arrivalMs: 0,
    promptTokens: 1,
    branch: -1,
    depthBlocks: 0,
    ...overrides,
  };
}

/** A router over `ranks` ready ranks w0/0, w1/0, … on a branch table of its own. */
export class RouterFixture {
  readonly branches = new BranchTable();
  readonly router: ScoringRouter;
  #nextAttempt = 1_000_000;
  readonly #blockTokens: number;

  constructor(preset: string, params: Readonly<Record<string, unknown>>, ranks: number, blockTokens: number, seed = 42) {
    this.#blockTokens = blockTokens;
    this.router = new ScoringRouter(routerPolicy(preset, params), { branches: this.branches, seed });
    for (let rank = 0; rank < ranks; rank++) this.join(rank, `w${rank}/0`);
  }

  join(rank: number, key: string): void {
    this.router.worker({ rank, key, state: 'joined', epoch: 0, facts: rankFacts(this.#blockTokens) });
    this.router.worker({ rank, state: 'ready', epoch: 0 });
  }

  /** Own blocks [from, to) of a branch appear on a rank. */
  store(rank: number, branch: number, from: number, to: number, tier: Tier = 0): void {
    const batch = new KvEventBatch();
    batch.rank = rank;
    batch.push(KV_STORED, tier, branch, from, to);
    this.router.kvEvents(batch, 0);
  }

  /** Active decode blocks and pending prefill tokens of other requests. */
  load(rank: number, decodeBlocks: number, prefillTokens: number): void {
    const promptTokens = decodeBlocks * this.#blockTokens;
    const attempt = this.#nextAttempt++;
    this.router.bookings.book(
      { attempt, rank, branch: -1, depthBlocks: 0, fullBlocks: decodeBlocks, promptTokens, uncachedTokens: prefillTokens, osl: 0 },
      0,
    );
  }

  /** Decides and returns the score of every rank, in rank order (canonical order must equal rank order). */
  scores(request: RouteRequest): number[] {
    this.router.scoreAll = true;
    this.router.decide(request, 0);
    return [...this.router.engine.scores.subarray(0, this.router.eligible)];
  }
}
