/** Replays the loop family: decisions end to end (index, overlap, loads, cost, booking, events) through the product's {@link ScoringRouter}. */
import { ChainInterner } from '../../../control/chain-interner.ts';
import { KV_REMOVED, KV_STORED, KvEventBatch, type RouteRequest } from '../../../control/ports.ts';
import { routerPolicy } from '../../../control/router/catalogue.ts';
import { type DynamoRouterOptions, dynamoParams } from '../../../control/router/dynamo-options.ts';
import { cachedTokens } from '../../../control/router/features.ts';
import { ScoringRouter } from '../../../control/router/scoring-router.ts';
import { type CaseOutcome, type Difference, firstDifference } from '../suite.ts';
import type { RecordedRank } from './booking-replay.ts';

/** One operation; which fields it has depends on `op`. */
interface LoopOp {
  readonly op: 'request' | 'prefill_done' | 'output' | 'free' | 'stored' | 'removed';
  readonly t: number;
  readonly id?: string;
  readonly isl?: number;
  readonly osl?: number;
  /** Hash of the block's own tokens, and of the block with its whole prefix. */
  readonly blocks?: readonly (readonly [local: number, chained: number])[];
  /** Worker, rank, device blocks, P, D, f, additional blocks, cost. */
  readonly rows?: readonly (readonly number[])[];
  readonly best?: readonly RecordedRank[];
  readonly chosen?: RecordedRank;
  readonly cached_tokens?: number;
  readonly booked_tokens?: number;
  readonly cumulative_out?: number;
  readonly new_blocks?: number;
  readonly parent?: number | null;
  readonly rank?: RecordedRank;
  readonly hashes?: readonly number[];
}

/** One scenario of the family. */
export interface LoopCase {
  readonly id: string;
  readonly block_size: number;
  readonly config: DynamoRouterOptions;
  readonly ranks: readonly RecordedRank[];
  readonly ops: readonly LoopOp[];
}

class LoopReplay {
  readonly #case: LoopCase;
  readonly #interner = new ChainInterner();
  readonly #router: ScoringRouter;
  readonly #attempts = new Map<string, number>();
  /** Chain that ends in each block ever named. */
  readonly #chains = new Map<number, readonly number[]>();
  #fields = 0;
  #difference: Difference | undefined;

  constructor(recorded: LoopCase) {
    this.#case = recorded;
    const policy = routerPolicy('dynamo-kv@1', dynamoParams(recorded.config));
    this.#router = new ScoringRouter(policy, { branches: this.#interner.branches, seed: 1 });
    this.#router.scoreAll = true;
    for (const [rank, [worker, dp]] of recorded.ranks.entries()) {
      const facts = { hbmBlocks: 0, hostBlocks: 0, maxBatchedTokens: 0, blockBytes: 0, prefillMsPerToken: 0, prefillMsPerPair: 0 };
      const key = `${String(worker).padStart(20, '0')}/${String(dp).padStart(10, '0')}`;
      this.#router.worker({ rank, key, state: 'joined', epoch: 0, facts: { ...facts, blockTokens: recorded.block_size } });
      this.#router.worker({ rank, state: 'ready', epoch: 0 });
    }
  }

  run(): CaseOutcome {
    const { id, ops } = this.#case;
    for (const [i, op] of ops.entries()) {
      this.#apply(op, `op ${i} ${op.op}`);
      if (this.#difference !== undefined) return { id, fields: this.#fields, difference: this.#difference };
    }
    return { id, fields: this.#fields };
  }

  #apply(op: LoopOp, at: string): void {
    const router = this.#router;
    if (op.op === 'request') this.#request(op, at);
    else if (op.op === 'prefill_done') router.firstToken(this.#attempts.get(op.id!)!, op.t);
    else if (op.op === 'free') router.ended(this.#attempts.get(op.id!)!, op.t);
    else if (op.op === 'output') {
      const appended = router.bookings.progress(this.#attempts.get(op.id!)!, op.cumulative_out!, op.t);
      if (router.policy.load.trackOutput) this.#same(`${at} new_blocks`, appended, op.new_blocks);
    } else if (op.op === 'stored') this.#stored(op);
    else this.#events(op, KV_REMOVED, op.hashes!);
  }

  #request(op: LoopOp, at: string): void {
    const router = this.#router;
    const { input, engine } = router;
    const chain = this.#name(
      [],
      op.blocks!.map(([, chained]) => chained),
    );
    const attempt = this.#attempts.size;
    this.#attempts.set(op.id!, attempt);
    const request: RouteRequest = {
      attempt,
      id: op.id!,
      attemptNumber: 0,
      session: 0,
      sessionKey: '',
      tenant: 0,
      arrivalMs: op.t,
      promptTokens: op.isl!,
      branch: this.#interner.intern(chain),
      depthBlocks: chain.length,
      ...(op.osl === undefined ? {} : { hints: { osl: op.osl } }),
    };
    router.decide(request, op.t);
    const ranks = [...router.rows.subarray(0, router.eligible)];
    const { prefillTokens, activeBlocks, inflight } = router.bookings;
    const rows = ranks.map((rank, row) => [
      ...this.#case.ranks[rank]!,
      input.match.hbm[rank],
      prefillTokens[rank],
      activeBlocks[rank],
      inflight[rank],
      input.fullBlocks - input.active.overlap[rank]!,
      engine.scores[row],
    ]);
    this.#same(`${at} rows`, rows, op.rows);
    const best = ranks.filter((_, row) => engine.inTie[row] === 1).map((rank) => this.#case.ranks[rank]);
    this.#same(`${at} best`, best, op.best);
    const chosen = this.#rank(op.chosen!);
    this.#same(`${at} cached_tokens`, cachedTokens(input, chosen), op.cached_tokens);
    const before = prefillTokens[chosen]!;
    router.book(request, chosen, op.t);
    this.#same(`${at} booked_tokens`, prefillTokens[chosen]! - before, op.booked_tokens);
    this.#fastPath(op, request, at);
  }

  /** The scan of cost policies, asked a moment later, must agree with the scores of all rows. */
  #fastPath(op: LoopOp, request: RouteRequest, at: string): void {
    const router = this.#router;
    if (router.scan === null) return;
    router.decide(request, op.t);
    const ties = router.engine.tieSize;
    router.scoreAll = false;
    router.decide(request, op.t);
    router.scoreAll = true;
    this.#same(`${at} fast path ties`, router.scan.tieSize, ties);
  }

  #stored(op: LoopOp): void {
    const before = op.parent == null ? [] : (this.#chains.get(op.parent) ?? []);
    const hashes = op.blocks!.map(([, chained]) => chained);
    this.#name(before, hashes);
    this.#events(op, KV_STORED, hashes);
  }

  /** The chain of `hashes` below `before`; every block of it becomes known by its hash. */
  #name(before: readonly number[], hashes: readonly number[]): readonly number[] {
    const chain = [...before, ...hashes];
    for (let i = before.length; i < chain.length; i++) {
      if (!this.#chains.has(chain[i]!)) this.#chains.set(chain[i]!, chain.slice(0, i + 1));
    }
    return chain;
  }

  /** One batch of the blocks named, in their order. */
  #events(op: LoopOp, kind: number, hashes: readonly number[]): void {
    const { branches } = this.#interner;
    const batch = new KvEventBatch();
    batch.rank = this.#rank(op.rank!);
    for (const hash of hashes) {
      const chain = this.#chains.get(hash);
      if (chain === undefined) continue;
      const owner = branches.at(this.#interner.intern(chain), chain.length);
      const own = chain.length - branches.start[owner]!;
      batch.push(kind, 0, owner, own - 1, own);
    }
    this.#router.kvEvents(batch, op.t);
  }

  #rank([worker, dp]: RecordedRank): number {
    return this.#case.ranks.findIndex(([w, r]) => w === worker && r === dp);
  }

  #same(field: string, got: unknown, expected: unknown): void {
    this.#fields++;
    this.#difference ??= firstDifference(field, got, expected);
  }
}

/** Replays one scenario, operation by operation, until the first difference. */
export function replayLoop(recorded: LoopCase): CaseOutcome {
  return new LoopReplay(recorded).run();
}
