/** Replays the selector family: one decision per case, through the product's {@link ScoringRouter} with the `dynamo-kv@1` preset. */
import { BranchTable } from '../../../control/blocks.ts';
import { KV_STORED, KvEventBatch, type RouteRequest, type Tier } from '../../../control/ports.ts';
import { routerPolicy } from '../../../control/router/catalogue.ts';
import { type DynamoRouterOptions, dynamoParams } from '../../../control/router/dynamo-options.ts';
import { effectiveBlocks, effectiveTokens, FEATURES, type Stage } from '../../../control/router/features.ts';
import { ScoringRouter } from '../../../control/router/scoring-router.ts';
import { SoftmaxPicker } from '../../../control/router/softmax.ts';
import { type CaseOutcome, type Difference, firstDifference } from '../suite.ts';

type RankValue = readonly [worker: number, rank: number, value: number];
type RankPair = readonly [worker: number, rank: number];

/** One recorded decision; see the README of the recordings. */
export interface SelectorCase {
  readonly id: string;
  readonly role: Stage;
  readonly config: DynamoRouterOptions & { readonly conditional_disagg_enabled?: boolean };
  readonly block_size: number;
  readonly isl_tokens: number;
  /** Null = the request's blocks are not tracked. */
  readonly seq_blocks: number | null;
  readonly track_prefill_tokens: boolean;
  readonly workers: readonly (readonly [id: number, firstRank: number, ranks: number, taints: readonly string[]])[];
  /** Worker, rank, P, D, f, additional blocks. */
  readonly loads: readonly (readonly [number, number, number, number, number, number])[];
  readonly device?: readonly RankValue[];
  readonly host?: readonly RankValue[];
  readonly disk?: readonly RankValue[];
  readonly effective?: readonly RankValue[];
  readonly shared_ranges?: readonly (readonly [number, number])[];
  readonly allowed?: readonly number[];
  readonly overloaded?: readonly number[];
  readonly available?: readonly number[];
  readonly pinned?: RankPair;
  readonly required_taints?: readonly string[];
  readonly preferred_taints?: Readonly<Record<string, number>>;
  readonly out: {
    readonly costs?: readonly RankValue[];
    readonly best?: readonly RankPair[];
    readonly prob?: readonly number[];
    /** Seed, worker, rank and, at a temperature above 0, the uniform draw. */
    readonly seeded?: readonly (readonly number[])[];
    readonly booked?: {
      readonly rank: RankPair;
      readonly cached_tokens: number;
      readonly effective_overlap_blocks: number;
      readonly potential_decode_blocks: number;
      readonly required_blocks: number;
    };
    readonly error?: string;
  };
}

/** Relative tolerance where other libraries of exp and tanh may differ in the last bits. */
const TOLERANCE = 1e-12;

/** Upstream's error kind of each of our refusals. */
const ERRORS: Readonly<Record<string, string>> = {
  NO_WORKERS: 'NoEndpoints',
  ALL_UNHEALTHY: 'NoEndpoints',
  ALL_EXCLUDED: 'NoEndpoints',
  TAINT_UNSATISFIED: 'NoEndpoints',
  PIN_NOT_FOUND: 'NoEndpoints',
  ALL_BUSY: 'AllEligibleWorkersOverloaded',
  PIN_NOT_ALLOWED: 'PinnedWorkerNotAllowed',
  PIN_OVERLOADED: 'PinnedWorkerOverloaded',
};

class SelectorReplay {
  readonly #case: SelectorCase;
  readonly #branches = new BranchTable();
  readonly #router: ScoringRouter;
  readonly #ranks = new Map<string, number>();
  readonly #pairs: RankPair[] = [];
  readonly #temperature: number;
  #fields = 0;
  #difference: Difference | undefined;

  constructor(recorded: SelectorCase) {
    this.#case = recorded;
    const params = {
      ...dynamoParams(recorded.config),
      trackPrefillTokens: recorded.track_prefill_tokens,
      trackActiveBlocks: recorded.seq_blocks !== null,
    };
    const policy = routerPolicy('dynamo-kv@1', params);
    this.#temperature = policy.rules[0]!.pick.temperature;
    this.#router = new ScoringRouter(policy, {
      branches: this.#branches,
      seed: 1,
      stage: recorded.role,
      conditionalDisaggregation: recorded.config.conditional_disagg_enabled === true,
      keepLoadOptions: true,
    });
    this.#join();
  }

  run(): CaseOutcome {
    const { id, out } = this.#case;
    const request = this.#request();
    this.#load(request);
    this.#router.scoreAll = true;
    const rank = this.#router.decide(request, 0);
    this.#same('error', rank < 0 ? (ERRORS[this.#router.refusal] ?? this.#router.refusal) : undefined, out.error);
    if (rank >= 0 && out.error === undefined) {
      if (this.#case.pinned === undefined) this.#scored(request);
      this.#booked(request);
      if (this.#case.pinned !== undefined) this.#same('best', [this.#pairs[rank]], out.best ?? [out.booked!.rank]);
    }
    return { id, fields: this.#fields, ...(this.#difference === undefined ? {} : { difference: this.#difference }) };
  }

  /** Ranks become ready under keys whose order is that of (worker, rank). Unavailable ones stay behind. */
  #join(): void {
    const { workers, available, overloaded, block_size } = this.#case;
    for (const [worker, first, ranks, taints] of workers) {
      for (let i = first; i < first + ranks; i++) {
        const rank = this.#pairs.push([worker, i]) - 1;
        this.#ranks.set(`${worker}/${i}`, rank);
        const facts = { hbmBlocks: 0, hostBlocks: 0, maxBatchedTokens: 0, blockBytes: 0, prefillMsPerToken: 0, prefillMsPerPair: 0 };
        const key = `${workerId(worker)}/${String(i).padStart(10, '0')}`;
        this.#router.worker({ rank, key, state: 'joined', epoch: 0, facts: { ...facts, blockTokens: block_size, taints } });
        if (available?.includes(worker) !== false) this.#router.worker({ rank, state: 'ready', epoch: 0 });
        const report = { rank, asOfMs: 0, waiting: 0, running: 0, kvUsage: 0 };
        this.#router.report({ ...report, overloaded: overloaded?.includes(worker) === true });
      }
    }
  }

  #request(): RouteRequest {
    const recorded = this.#case;
    const { allowed, pinned, shared_ranges, effective } = recorded;
    const depth = Math.max(recorded.seq_blocks ?? 0, ...this.#tiers().map(({ to }) => to));
    const hasTiers = (recorded.device ?? recorded.host ?? recorded.disk) !== undefined;
    return {
      attempt: 0,
      id: recorded.id,
      attemptNumber: 0,
      session: 0,
      sessionKey: '',
      tenant: 0,
      arrivalMs: 0,
      promptTokens: recorded.isl_tokens,
      branch: depth === 0 ? -1 : this.#branches.add(-1, 0, depth),
      depthBlocks: depth,
      ...(allowed === undefined ? {} : { allow: allowed.map(workerId) }),
      ...(pinned === undefined ? {} : { pin: this.#ranks.get(pinned.join('/')) ?? this.#unknown(pinned) }),
      ...(recorded.required_taints === undefined ? {} : { requiredTaints: recorded.required_taints }),
      ...(recorded.preferred_taints === undefined ? {} : { preferredTaints: recorded.preferred_taints }),
      ...(shared_ranges === undefined ? {} : { sharedRanges: shared_ranges }),
      ...(effective === undefined || hasTiers
        ? {}
        : { estimatedBlocks: new Map(effective.map(([worker, rank, blocks]) => [this.#ranks.get(`${worker}/${rank}`)!, blocks])) }),
    };
  }

  /** A rank that never became ready. */
  #unknown([worker, rank]: RankPair): number {
    const id = this.#pairs.push([worker, rank]) - 1;
    const key = `${workerId(worker)}/${String(rank).padStart(10, '0')}`;
    this.#router.worker({ rank: id, key, state: 'lost', epoch: 0 });
    return id;
  }

  /** Blocks [from, to) of the prompt per rank and tier: each tier continues where the faster ones end. */
  #tiers(): { readonly rank: number; readonly tier: Tier; readonly from: number; readonly to: number }[] {
    const reached = new Map<number, number>();
    return [this.#case.device, this.#case.host, this.#case.disk].flatMap((rows, tier) =>
      (rows ?? []).map(([worker, dp, blocks]) => {
        const rank = this.#ranks.get(`${worker}/${dp}`)!;
        const from = reached.get(rank) ?? 0;
        reached.set(rank, from + blocks);
        return { rank, tier: tier as Tier, from, to: from + blocks };
      }),
    );
  }

  /** Caches by events, overlaps by bookings of the same prompt, then the recorded loads in place of those of these bookings. */
  #load(request: RouteRequest): void {
    const { bookings, input } = this.#router;
    for (const { rank, tier, from, to } of this.#tiers()) {
      if (to === from) continue;
      const batch = new KvEventBatch();
      batch.rank = rank;
      batch.push(KV_STORED, tier, request.branch, from, to);
      this.#router.kvEvents(batch, 0);
    }
    const unknown = new Uint8Array(this.#pairs.length).fill(1);
    for (const [worker, dp, prefill, blocks, requests, additional] of this.#case.loads) {
      const rank = this.#ranks.get(`${worker}/${dp}`)!;
      const overlap = (this.#case.seq_blocks ?? 0) - additional;
      unknown[rank] = 0;
      if (overlap > 0) {
        const booking = { branch: request.branch, depthBlocks: overlap, fullBlocks: overlap, promptTokens: 1, uncachedTokens: 0, osl: 0 };
        bookings.book({ ...booking, attempt: 1 + rank, rank }, 0);
      }
      bookings.prefillTokens[rank] = prefill;
      bookings.activeBlocks[rank] = blocks;
      bookings.inflight[rank] = requests;
      bookings.onLoad?.(rank);
    }
    input.unknownLoad = unknown.includes(1) ? unknown : null;
  }

  /** What the winner, or in a tie the lowest rank of it, would be told. */
  #booked(request: RouteRequest): void {
    const { booked } = this.#case.out;
    if (booked === undefined) return;
    const { input } = this.#router;
    const rank = this.#ranks.get(booked.rank.join('/'))!;
    const blocks = new Float64Array(1);
    // The report tells what the index knows also where the policy does not ask it.
    this.#router.readCache(request, 0);
    FEATURES['potentialDecodeBlocks']!.fill(input, Int32Array.of(rank), 1, blocks, blocks);
    this.#same('booked cached_tokens', effectiveTokens(input, rank), booked.cached_tokens);
    this.#same('booked effective_overlap_blocks', effectiveBlocks(input, rank), booked.effective_overlap_blocks);
    this.#same('booked potential_decode_blocks', blocks[0], booked.potential_decode_blocks);
    this.#same('booked required_blocks', input.requiredBlocks, booked.required_blocks);
  }

  #scored(request: RouteRequest): void {
    const { out, preferred_taints } = this.#case;
    const router = this.#router;
    const { engine, eligible } = router;
    const costs = [...engine.scores.subarray(0, eligible)];
    const pairs = [...router.rows.subarray(0, eligible)].map((rank) => this.#pairs[rank]!);
    this.#same(
      'eligible',
      pairs,
      out.costs?.map(([worker, rank]) => [worker, rank]),
    );
    const expected = out.costs?.map(([, , cost]) => cost) ?? [];
    if (preferred_taints === undefined) this.#same('costs', costs, expected);
    else this.#near('costs', costs, expected);
    if (out.best !== undefined) {
      this.#same(
        'best',
        pairs.filter((_, row) => engine.inTie[row] === 1),
        out.best,
      );
    }
    if (out.prob !== undefined) {
      const probabilities = Float64Array.from(costs);
      new SoftmaxPicker().probabilities(probabilities, eligible, this.#temperature);
      this.#near('prob', [...probabilities], out.prob);
    }
    for (const [seed, worker, rank, u] of out.seeded ?? []) {
      if (u === undefined)
        this.#same(
          `seeded ${seed} in tie`,
          out.best?.some(([w, r]) => w === worker && r === rank),
          true,
        );
      else this.#same(`seeded ${seed}`, pairs[this.#draw(request, u)], [worker, rank]);
    }
    this.#fastPath(request);
  }

  /** Row that the engine chooses with a given draw. */
  #draw(request: RouteRequest, u: number): number {
    const { engine, rows, eligible, table, factors } = this.#router;
    return engine.decide(this.#router, eligible, { id: request.id, attemptNumber: 0, rows, hash: table.hash, draws: [u], factors });
  }

  /** The scan of cost policies must find the same ties, where it can decide. */
  #fastPath(request: RouteRequest): void {
    const router = this.#router;
    const { best } = this.#case.out;
    if (router.scan === null || best === undefined) return;
    const before = router.scan.ranksScored;
    router.scoreAll = false;
    const rank = router.decide(request, 0);
    if (router.scan.ranksScored === before) return;
    this.#same('fast path ties', router.scan.tieSize, best.length);
    const winner = this.#pairs[rank] ?? [];
    this.#same(
      'fast path in tie',
      best.some(([w, r]) => w === winner[0] && r === winner[1]),
      true,
    );
  }

  #same(field: string, got: unknown, expected: unknown): void {
    this.#fields++;
    this.#difference ??= firstDifference(field, got, expected);
  }

  #near(field: string, got: readonly number[], expected: readonly number[]): void {
    const isNear = (a: number, b: number): boolean => Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
    this.#same(
      field,
      got.map((value, i) => (isNear(value, expected[i]!) ? expected[i] : value)),
      expected,
    );
  }
}

function workerId(worker: number): string {
  return String(worker).padStart(20, '0');
}

/** Replays one decision. */
export function replaySelector(recorded: SelectorCase): CaseOutcome {
  return new SelectorReplay(recorded).run();
}
