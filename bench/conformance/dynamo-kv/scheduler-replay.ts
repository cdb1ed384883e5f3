/**
 * Replays the scheduler family: the whole admission path on a clock of its own, through the product's control plane with its waiting
 * queue and the preset `dynamo-kv@1`. Ties go to the lowest rank, as in the recordings.
 */
import { ChainInterner } from '../../../control/chain-interner.ts';
import { createPlane, type InspectablePlane } from '../../../control/plane.ts';
import type { DecisionRecord, RankFacts, RouteRequest } from '../../../control/ports.ts';
import { routerPolicy } from '../../../control/router/catalogue.ts';
import { cachedTokens, FEATURES } from '../../../control/router/features.ts';
import { type CaseOutcome, type Difference, firstDifference } from '../suite.ts';
import type { RecordedRank } from './booking-replay.ts';
import { profileOf, type RecordedProfile } from './policy-queue-family.ts';

/** What became of a request whose turn came: a rank, or an error. */
interface Admitted {
  readonly id: string;
  readonly rank?: RecordedRank;
  readonly cached_tokens?: number;
  readonly potential_decode_blocks?: number;
  /** Worker, rank and cost of every eligible rank; absent for a pin. */
  readonly costs?: readonly (readonly number[])[];
  readonly abandoned?: boolean;
  readonly error?: string;
}

/** One operation; which fields it has depends on `op`. */
interface SchedulerOp {
  readonly op: 'arrive' | 'prefill_done' | 'free' | 'cancel' | 'recheck';
  readonly t: number;
  readonly id?: string;
  readonly isl?: number;
  readonly seq?: readonly [chain: number, blocks: number];
  /** Cached blocks of the prompt by worker and rank. */
  readonly device?: readonly (readonly [worker: number, rank: number, blocks: number])[];
  readonly class?: string;
  readonly jump?: number;
  readonly strict?: number;
  readonly pin?: RecordedRank;
  readonly affinity?: RecordedRank;
  readonly allowed?: readonly number[];
  readonly admitted?: readonly Admitted[];
  readonly failed?: readonly (readonly [id: string, error: string])[];
  /** Entries of the queue; absent = 0. */
  readonly pending?: number;
  /** Worker, rank, P, D of every rank. */
  readonly loads: readonly (readonly number[])[];
}

/** One scenario of the family. */
export interface SchedulerCase {
  readonly id: string;
  readonly block_size: number;
  readonly ranks: readonly RecordedRank[];
  readonly chains: readonly (readonly number[])[];
  readonly max_num_batched_tokens: number | null;
  readonly prefill_us_per_token?: number;
  readonly profile: RecordedProfile;
  readonly ops: readonly SchedulerOp[];
}

/** Upstream's error kind of each of our refusals. */
const ERRORS: Readonly<Record<string, string>> = {
  ALL_EXCLUDED: 'NoEndpoints',
  PIN_NOT_FOUND: 'NoEndpoints',
  PIN_NOT_ALLOWED: 'PinnedWorkerNotAllowed',
  QUEUE_LIMIT: 'QueueRejected',
};
/** Errors of the door: upstream does not count them among the admitted. */
const AT_THE_DOOR = ['PinnedWorkerNotAllowed', 'QueueRejected'];
const ENDED = { stop: 'other', outputTokens: 0 } as const;

class SchedulerReplay {
  readonly #case: SchedulerCase;
  readonly #interner = new ChainInterner();
  readonly #plane: InspectablePlane;
  readonly #attempts = new Map<string, number>();
  readonly #pinned = new Set<string>();
  #admitted: Admitted[] = [];
  #failed: [string, string][] = [];
  #fields = 0;
  #difference: Difference | undefined;

  constructor(recorded: SchedulerCase) {
    this.#case = recorded;
    const policy = routerPolicy('dynamo-kv@1', { modelPrefill: recorded.prefill_us_per_token !== undefined });
    this.#plane = createPlane({
      branches: this.#interner.branches,
      router: { policy: { ...policy, ties: { ...policy.ties, mode: 'lowest' } } },
      retention: null,
      seed: 1,
      recordLevel: 'full',
      queue: { profile: profileOf(recorded.profile), maxWaitMs: Number.POSITIVE_INFINITY },
      effects: { dispatch() {}, refuse() {}, act() {}, wakeAt() {}, decided: (record) => this.#decided(record) },
    });
    for (const [rank, [worker, dp]] of recorded.ranks.entries()) {
      const key = `${workerId(worker)}/${String(dp).padStart(10, '0')}`;
      this.#plane.worker({ rank, key, state: 'joined', epoch: 0, facts: this.#facts() }, 0);
      this.#plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
    }
  }

  run(): CaseOutcome {
    const { id, ops } = this.#case;
    for (const [i, op] of ops.entries()) {
      const at = `op ${i} ${op.op}`;
      this.#admitted = [];
      this.#failed = [];
      this.#apply(op);
      this.#sameAdmitted(at, op.admitted ?? []);
      this.#same(`${at} failed`, this.#failed, op.failed ?? []);
      this.#same(`${at} pending`, this.#plane.queued, op.pending ?? 0);
      this.#same(`${at} loads`, this.#loads(op.t), op.loads);
      if (this.#difference !== undefined) return { id, fields: this.#fields, difference: this.#difference };
    }
    return { id, fields: this.#fields };
  }

  #apply(op: SchedulerOp): void {
    const plane = this.#plane;
    if (op.op === 'arrive') plane.request(this.#request(op), op.t);
    else if (op.op === 'recheck') plane.timer(op.t);
    else {
      const attempt = this.#attempts.get(op.id!)!;
      if (op.op === 'prefill_done') plane.firstToken(attempt, op.t);
      else plane.ended(attempt, { ...ENDED, status: op.op === 'free' ? 'finished' : 'cancelled' }, op.t);
    }
  }

  #request(op: SchedulerOp): RouteRequest {
    const [chain, blocks] = op.seq!;
    const attempt = this.#attempts.size;
    this.#attempts.set(op.id!, attempt);
    if (op.pin !== undefined) this.#pinned.add(op.id!);
    return {
      attempt,
      id: op.id!,
      attemptNumber: 0,
      session: 0,
      sessionKey: '',
      tenant: 0,
      arrivalMs: op.t,
      promptTokens: op.isl!,
      branch: this.#interner.intern(this.#case.chains[chain]!, blocks),
      depthBlocks: blocks,
      hints: { priority: op.jump ?? 0, strictPriority: op.strict ?? 0 },
      estimatedBlocks: new Map((op.device ?? []).map(([worker, dp, cached]) => [this.#rank([worker, dp]), cached])),
      ...(op.class === undefined ? {} : { queueClass: op.class }),
      ...(op.pin === undefined ? {} : { pin: this.#rank(op.pin) }),
      ...(op.affinity === undefined ? {} : { affinity: this.#rank(op.affinity) }),
      ...(op.allowed === undefined ? {} : { allow: op.allowed.map(workerId) }),
    };
  }

  /** Told of a decision before it is booked. */
  #decided(record: DecisionRecord): void {
    const { action, id } = record;
    if (action.kind === 'queue') return;
    const rank = action.kind === 'refuse' ? -1 : action.rank;
    if (rank >= 0) {
      const { input } = this.#plane.router;
      const blocks = new Float64Array(1);
      FEATURES['potentialDecodeBlocks']!.fill(input, Int32Array.of(rank), 1, blocks, blocks);
      const { ranks } = this.#case;
      const costs = record.candidates.map((one) => [...ranks[one.rank]!, one.score]);
      this.#admitted.push({
        id,
        rank: ranks[rank]!,
        cached_tokens: cachedTokens(input, rank),
        potential_decode_blocks: blocks[0]!,
        ...(this.#pinned.has(id) ? {} : { costs }),
        ...(action.kind === 'abandon' ? { abandoned: true } : {}),
      });
      return;
    }
    const code = action.kind === 'refuse' ? action.refusal.code : this.#plane.router.refusal;
    const error = ERRORS[code] ?? code;
    this.#failed.push([id, error]);
    if (!AT_THE_DOOR.includes(error)) this.#admitted.push({ id, error });
  }

  #sameAdmitted(at: string, expected: readonly Admitted[]): void {
    const got = this.#admitted;
    for (let i = 0; i < Math.max(got.length, expected.length); i++) {
      const fields = new Set([...Object.keys(got[i] ?? {}), ...Object.keys(expected[i] ?? {})]) as Set<keyof Admitted>;
      for (const field of ['id', ...fields] as (keyof Admitted)[])
        this.#same(`${at} admitted[${i}] ${field}`, got[i]?.[field], expected[i]?.[field]);
    }
  }

  #loads(nowMs: number): number[][] {
    const { bookings } = this.#plane.router;
    bookings.settle(nowMs);
    return this.#case.ranks.map((key, rank) => [...key, bookings.prefillTokens[rank]!, bookings.activeBlocks[rank]!]);
  }

  #facts(): RankFacts {
    const { block_size, max_num_batched_tokens, prefill_us_per_token } = this.#case;
    return {
      blockTokens: block_size,
      hbmBlocks: 0,
      hostBlocks: 0,
      maxBatchedTokens: max_num_batched_tokens ?? 0,
      blockBytes: 0,
      prefillMsPerToken: (prefill_us_per_token ?? 0) / 1000,
      prefillMsPerPair: 0,
    };
  }

  /** Number of a rank; one that never joined gets a number beyond all others. */
  #rank([worker, dp]: RecordedRank): number {
    const known = this.#case.ranks.findIndex(([w, r]) => w === worker && r === dp);
    return known < 0 ? this.#case.ranks.length : known;
  }

  #same(field: string, got: unknown, expected: unknown): void {
    this.#fields++;
    this.#difference ??= firstDifference(field, got, expected);
  }
}

function workerId(worker: number): string {
  return String(worker).padStart(20, '0');
}

/** Replays one scenario, operation by operation, until the first difference. */
export function replayScheduler(recorded: SchedulerCase): CaseOutcome {
  return new SchedulerReplay(recorded).run();
}
