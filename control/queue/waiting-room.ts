/**
 * The queue at work for one plane: who waits, who goes next, who waited too long. It decides nothing about ranks beyond busy or not;
 * the plane places what it hands out. Source: router specification 6, 8.
 */
import type { AttemptId, Millis, RankId, RouteRequest, Tokens } from '../ports.ts';
import { cachedTokens } from '../router/features.ts';
import type { ScoringRouter } from '../router/scoring-router.ts';
import { PolicyQueue, type QueueEntry } from './policy-queue.ts';
import { checkProfile, classOf, isBusy, QUEUE_ORDERS, type QueueClass, type QueueOptions, waits } from './queue-profile.ts';

/** A request in the room. */
export interface WaitingRequest {
  readonly request: RouteRequest;
  readonly enteredMs: Millis;
  /** Refused or withdrawn: it keeps its place until it is popped, costs its class credit, and is not placed. */
  isCancelled: boolean;
}

/** What became of a request at the door. */
export type Entry =
  | { readonly kind: 'entered'; readonly key: number; readonly strict: number }
  | { readonly kind: 'passes' }
  | { readonly kind: 'full' };

/** Longest wait before QUEUE_TIMEOUT. Source: router specification 6.4. */
const DEFAULT_MAX_WAIT_MS = 60_000;
/** Refusals that time may heal: workers exist, none is ready or all are overloaded. */
const PASSING_REFUSALS = ['ALL_UNHEALTHY', 'ALL_BUSY', 'PIN_OVERLOADED'];
/** Refusals at the door. What else nothing can serve is refused when its turn comes, as its turn is what it costs its class. */
const DOOR_REFUSALS = ['NO_WORKERS', 'PIN_NOT_ALLOWED', 'context_too_long'];

/** Waiting requests of one router. */
export class WaitingRoom {
  readonly maxWaitMs: Millis;
  /** Whatever the plane hears is a reason to look at the queue, not only what frees a rank. */
  readonly recheckAlways: boolean;
  readonly #profile: QueueOptions['profile'];
  readonly #router: ScoringRouter;
  readonly #queue: PolicyQueue<WaitingRequest>;
  readonly #live = new Map<AttemptId, WaitingRequest>();
  /** In order of entry, hence of deadline; cancelled ones leave lazily. */
  #byDeadline: WaitingRequest[] = [];
  #firstDeadline = 0;
  readonly #mayGo = (head: QueueEntry<WaitingRequest>): boolean =>
    this.#mayServe(head.item.request, this.#profile.classes[head.classIndex]!);

  /** Throws UserError E_QUEUE for a profile that cannot work. */
  constructor(options: QueueOptions, router: ScoringRouter) {
    checkProfile(options.profile);
    this.#profile = options.profile;
    this.maxWaitMs = options.maxWaitMs ?? DEFAULT_MAX_WAIT_MS;
    this.#router = router;
    const recheck = options.recheck ?? router.policy.queue.recheck;
    this.recheckAlways = recheck === 'always';
    this.#queue = new PolicyQueue(options.profile, recheck);
  }

  /** Requests that still want to be placed. */
  get waiting(): number {
    return this.#live.size;
  }

  /** Entries, cancelled ones included. */
  get entries(): number {
    return this.#queue.size;
  }

  isWaiting(attempt: AttemptId): boolean {
    return this.#live.has(attempt);
  }

  /**
   * Offers a request after the router decided about it with `scoreAll`: it enters, `passes` (its class never waits, or nothing could
   * ever serve it) or finds its class `full`. Its key is fixed here. Cost O(ranks + log waiting).
   */
  offer(request: RouteRequest, nowMs: Millis): Entry {
    const { refusal } = this.#router;
    if (DOOR_REFUSALS.includes(refusal)) return { kind: 'passes' };
    const cached = refusal === '' ? this.#bestCached(request) : 0;
    const uncached = request.promptTokens - cached;
    const classIndex = classOf(this.#profile, request.queueClass, uncached);
    const one = this.#profile.classes[classIndex]!;
    if (!waits(one)) return { kind: 'passes' };
    if (neverQueues(one)) return { kind: this.#mayServe(request, one) ? 'passes' : 'full' };
    if (this.#queue.full(classIndex, this.#workers()) !== null) return { kind: 'full' };
    const key = QUEUE_ORDERS[one.order].key(request, uncached, nowMs);
    const strict = request.hints?.strictPriority ?? 0;
    const item: WaitingRequest = { request, enteredMs: nowMs, isCancelled: false };
    const { promptTokens } = request;
    this.#queue.push({ item, classIndex, strict, key, promptTokens, cachedTokens: cached, lane: request.pin ?? -1 });
    this.#live.set(request.attempt, item);
    this.#byDeadline.push(item);
    return { kind: 'entered', key, strict };
  }

  /** The next entry that may go, perhaps a cancelled one; undefined if every lane is blocked. */
  next(): WaitingRequest | undefined {
    const entry = this.#queue.pop(this.#mayGo);
    if (entry === undefined) return undefined;
    this.#live.delete(entry.item.request.attempt);
    return entry.item;
  }

  /** Something happened on a rank, or (none given) anywhere: lanes that were blocked there may go. O(classes), O(lanes) for all. */
  recheck(rank?: RankId): void {
    this.#queue.recheck(rank);
  }

  /** The request is no longer wanted. False if it does not wait. */
  cancel(attempt: AttemptId): boolean {
    const item = this.#live.get(attempt);
    if (item === undefined) return false;
    item.isCancelled = true;
    this.#live.delete(attempt);
    return true;
  }

  /** Cancels and returns the next request whose time is over; undefined if there is none. */
  overdue(nowMs: Millis): WaitingRequest | undefined {
    const first = this.#firstWaiting();
    if (first === undefined || first.enteredMs + this.maxWaitMs > nowMs) return undefined;
    this.cancel(first.request.attempt);
    return first;
  }

  /** When the first waiting request is overdue, Infinity if none waits. */
  get deadlineMs(): Millis {
    const first = this.#firstWaiting();
    return first === undefined ? Number.POSITIVE_INFINITY : first.enteredMs + this.maxWaitMs;
  }

  #firstWaiting(): WaitingRequest | undefined {
    const list = this.#byDeadline;
    while (this.#firstDeadline < list.length && this.#live.get(list[this.#firstDeadline]!.request.attempt) !== list[this.#firstDeadline]) {
      this.#firstDeadline++;
    }
    if (this.#firstDeadline > 64 && this.#firstDeadline * 2 > list.length) {
      this.#byDeadline = list.slice(this.#firstDeadline);
      this.#firstDeadline = 0;
    }
    return this.#byDeadline[this.#firstDeadline];
  }

  /** Whether some eligible rank is not busy for the class; an affinity is no matter. What nothing can ever serve may go, to be refused. O(ranks). */
  #mayServe(request: RouteRequest, one: QueueClass): boolean {
    const { eligibility, table, bookings } = this.#router;
    const refusal = eligibility.check(request);
    if (refusal !== '') return !PASSING_REFUSALS.includes(refusal);
    for (let i = 0; i < eligibility.count; i++) {
      const rank = eligibility.rows[i]!;
      if (!isBusy(one, bookings.prefillTokens[rank]!, table.maxBatchedTokens[rank]!)) return true;
    }
    return false;
  }

  /** Most tokens that a rank that may serve the request of the last decision holds of its prompt; an affinity is no matter. */
  #bestCached(request: RouteRequest): Tokens {
    const { policy, input, eligibility } = this.#router;
    if (!policy.readsMatch || input.constants.c === 0) return 0;
    if (request.affinity !== undefined) eligibility.check(request);
    let best = 0;
    for (let i = 0; i < eligibility.count; i++) best = Math.max(best, cachedTokens(input, eligibility.rows[i]!));
    return Math.min(best, request.promptTokens);
  }

  /** Workers with a rank that is ready. */
  #workers(): number {
    const { table } = this.#router;
    const names = new Set<string>();
    for (let i = 0; i < table.readyCount; i++) names.add(table.workers[table.ready[i]!]!);
    return names.size;
  }
}

function neverQueues(one: QueueClass): boolean {
  return one.maxRequests === 0 || one.maxPromptTokens === 0 || one.maxCachedTokens === 0;
}
