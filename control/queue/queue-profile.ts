/**
 * How waiting requests are ordered, in which classes they wait, and when a class must wait at all. Source: router specification 6,
 * 5.2.1; Dynamo 1.6.1 as recorded in bench/conformance/dynamo-kv.
 */
import type { Millis, QueueOrder, RouteRequest, Tokens } from '../ports.ts';
import { UserError } from '../user-error.ts';

/** Names of the built-in orders. */
export type QueueOrderName = 'fcfs' | 'lcfs' | 'wspt';

/** Seconds that a request's priority is worth: negative priorities jump nothing. */
export function priorityJumpSec(request: RouteRequest): number {
  return Math.max(0, request.hints?.priority ?? 0);
}

/** Key of a waiting request, larger first: `arrivalSec` = arrival, `jumpSec` >= 0, `uncachedTokens` = prompt less what is cached. */
export function queueKey(order: QueueOrderName, arrivalSec: number, jumpSec: number, uncachedTokens: Tokens): number {
  if (order === 'fcfs') return jumpSec - arrivalSec;
  if (order === 'lcfs') return jumpSec + arrivalSec;
  return (1 + jumpSec) / Math.max(1, uncachedTokens);
}

function queueOrder(name: QueueOrderName): QueueOrder {
  return { name, key: (request, uncached, nowMs) => queueKey(name, nowMs / 1000, priorityJumpSec(request), uncached) };
}

/** The built-in orders (router specification 6.3). */
export const QUEUE_ORDERS: Readonly<Record<QueueOrderName, QueueOrder>> = {
  fcfs: queueOrder('fcfs'),
  lcfs: queueOrder('lcfs'),
  wspt: queueOrder('wspt'),
};

/** One class of waiting requests. */
export interface QueueClass {
  readonly name: string;
  /** With `bucket`: the class is found by family and uncached tokens. Without: by its name. */
  readonly family?: string;
  readonly bucket?: string;
  readonly order: QueueOrderName;
  /** Uncached tokens that one turn of the class is worth, integer >= 1. */
  readonly quantumTokens: Tokens;
  /** A rank with more booked prefill tokens than this is busy for the class. */
  readonly busyTokens?: Tokens;
  /** The same as a fraction of the rank's batched tokens. Neither = the class never waits. */
  readonly busyFraction?: number;
  /** Limits per worker; 0 = the class never queues. */
  readonly maxRequests?: number;
  readonly maxPromptTokens?: Tokens;
  readonly maxCachedTokens?: Tokens;
}

/** All classes of one router. */
export interface QueueProfile {
  /** At least one. */
  readonly classes: readonly QueueClass[];
  /** Family of a request that names none or an unknown one. */
  readonly defaultFamily?: string;
  /** Buckets of uncached tokens, first floor 0, floors ascending. */
  readonly buckets?: readonly { readonly name: string; readonly minTokens: Tokens }[];
}

/**
 * When the lane of a pinned rank that was found blocked is looked at again: whenever the queue is, or only after an event of its rank
 * (a prefill done, an end) or one that may concern any (a worker, a report, a timer). Source: router specification 5.2.1.
 */
export type QueueRecheck = 'always' | 'events';

/** What the waiting room of a plane is built from. */
export interface QueueOptions {
  readonly profile: QueueProfile;
  /** A request that waited so long is refused with QUEUE_TIMEOUT, > 0; default 60 s. */
  readonly maxWaitMs?: Millis;
  /** Default: what the router's policy says. */
  readonly recheck?: QueueRecheck;
}

/** Which limit a class has reached. */
export interface QueueFull {
  readonly kind: 'requests' | 'promptTokens' | 'cachedTokens';
  readonly current: number;
  readonly limit: number;
}

/** Batched tokens of a rank that does not say: never busy by fraction. */
const UNKNOWN_BATCHED_TOKENS = 10_000_000;

/** One class for everybody. `threshold` = fraction of the batched tokens above which a rank is busy, null = nobody waits. */
export function singleClass(order: QueueOrderName, threshold: number | null, limits: Partial<QueueClass> = {}): QueueProfile {
  return { classes: [{ name: 'default', order, quantumTokens: 1, ...(threshold === null ? {} : { busyFraction: threshold }), ...limits }] };
}

/** Throws UserError E_QUEUE for a profile that cannot work: no class, no bucket for a prompt, a class that no request finds. */
export function checkProfile(profile: QueueProfile): void {
  const wrong = (message: string): UserError => new UserError({ severity: 'error', code: 'E_QUEUE', path: 'queue', message });
  const { classes, buckets = [], defaultFamily } = profile;
  if (classes.length === 0) throw wrong('got no class, expected at least one');
  const byFamily = classes.filter((one) => one.family !== undefined);
  if (classes.length > 1 && byFamily.length === 0) throw wrong('got several classes without family, expected a default family');
  if (byFamily.length > 0 && buckets[0]?.minTokens !== 0) throw wrong('got no bucket that begins at 0 tokens');
  buckets.forEach((bucket, i) => {
    if (i > 0 && bucket.minTokens <= buckets[i - 1]!.minTokens) throw wrong(`bucket ${bucket.name} does not begin above the one before`);
  });
  for (const { family, bucket, name, quantumTokens } of classes) {
    if (!Number.isInteger(quantumTokens) || quantumTokens < 1)
      throw wrong(`class ${name} has quantum ${quantumTokens}, expected an integer >= 1`);
    if (family !== undefined && !buckets.some((one) => one.name === bucket)) throw wrong(`class ${name} names unknown bucket ${bucket}`);
  }
  for (const family of new Set(byFamily.map((one) => one.family))) {
    for (const { name } of buckets) {
      if (!byFamily.some((one) => one.family === family && one.bucket === name))
        throw wrong(`family ${family} has no class for bucket ${name}`);
    }
  }
  if (byFamily.length > 0 && !byFamily.some((one) => one.family === defaultFamily))
    throw wrong(`default family ${defaultFamily} has no class`);
}

/**
 * Index of the class of a request: the class of that name outside all families, else the class of that family (or the default one)
 * whose bucket holds the uncached tokens. Cost O(classes).
 */
export function classOf(profile: QueueProfile, asked: string | undefined, uncachedTokens: Tokens): number {
  const { classes, buckets } = profile;
  if (buckets === undefined || buckets.length === 0) return 0;
  const named = classes.findIndex((one) => one.family === undefined && one.name === asked);
  if (named >= 0) return named;
  const family = classes.some((one) => one.family !== undefined && one.family === asked) ? asked : profile.defaultFamily;
  let bucket = buckets[0]!.name;
  for (const { name, minTokens } of buckets) if (uncachedTokens >= minTokens) bucket = name;
  return classes.findIndex((one) => one.family === family && one.bucket === bucket);
}

/** Whether requests of the class ever wait. */
export function waits(one: QueueClass): boolean {
  return one.busyTokens !== undefined || one.busyFraction !== undefined;
}

/** Whether a rank with `prefillTokens` booked is too busy for the class (strictly more than one of its thresholds); O(1). */
export function isBusy(one: QueueClass, prefillTokens: Tokens, maxBatchedTokens: Tokens): boolean {
  if (one.busyTokens !== undefined && prefillTokens > one.busyTokens) return true;
  const batched = maxBatchedTokens > 0 ? maxBatchedTokens : UNKNOWN_BATCHED_TOKENS;
  return one.busyFraction !== undefined && prefillTokens > one.busyFraction * batched;
}
