/** Bugs on the way of a request through plane, queue and router that the recordings of Dynamo's scheduler must notice. */
import type { SeededBug } from '../seeded-bug.ts';

const at = (file: string, id: string, breaks: string, from: string, to: string): SeededBug => ({
  id: `scheduler-${id}`,
  breaks,
  file: `control/${file}`,
  from,
  to,
  suite: 'dynamo-kv',
  family: 'scheduler',
});

const ROOM_BUGS = [
  at(
    'queue/waiting-room.ts',
    'no-class',
    'the class that a request asks for is not heard',
    'classOf(this.#profile, request.queueClass, uncached)',
    'classOf(this.#profile, undefined, uncached)',
  ),
  at(
    'queue/waiting-room.ts',
    'affinity-waits',
    'a request waits for the rank of its affinity while others are free',
    "    if (refusal !== '') return !PASSING_REFUSALS.includes(refusal);",
    "    if (refusal !== '') return !PASSING_REFUSALS.includes(refusal); if (request.affinity !== undefined) eligibility.prefer(request.affinity);",
  ),
  at(
    'queue/waiting-room.ts',
    'affinity-key',
    'the key counts only what the rank of the affinity holds',
    'if (request.affinity !== undefined) eligibility.check(request);',
    '',
  ),
  at(
    'queue/waiting-room.ts',
    'hopeless-at-the-door',
    'what nothing can serve is refused before its turn',
    "const DOOR_REFUSALS = ['NO_WORKERS',",
    "const DOOR_REFUSALS = ['ALL_EXCLUDED', 'NO_WORKERS',",
  ),
  at('queue/waiting-room.ts', 'limit-per-router', 'limits do not grow with workers', 'return names.size;', 'return 1;'),
  at(
    'queue/queue-profile.ts',
    'busy-at-threshold',
    'a rank at the threshold is busy',
    'prefillTokens > one.busyFraction * batched;',
    'prefillTokens >= one.busyFraction * batched;',
  ),
  at(
    'queue/policy-queue.ts',
    'recheck-always',
    'a blocked lane is looked at whenever the queue is',
    'if (this.#remembers) return this.#bestRemembering(lanes, mayGo);',
    '',
  ),
  at('queue/policy-queue.ts', 'recheck-never', 'a blocked lane stays blocked', 'lanes.get(rank)?.unblock();', ';'),
];

const PLANE_BUGS = [
  at('plane.ts', 'recheck-all', 'an event of one rank opens the lanes of all', 'this.#room?.recheck(rank);', 'this.#room?.recheck();'),
  at(
    'plane.ts',
    'arrival-rechecks',
    'an arrival opens blocked lanes',
    '    this.#drain(nowMs);\n    if (!room.isWaiting',
    '    this.#recheck(nowMs);\n    if (!room.isWaiting',
  ),
  at(
    'plane.ts',
    'withdrawn-placed',
    'a withdrawn request is placed',
    'if (!one.isCancelled) this.#place',
    'if (one !== undefined) this.#place',
  ),
  at('plane.ts', 'end-unheard', 'the end of a request lets nobody go', '    this.#recheck(nowMs, rank);\n', ''),
  at('plane.ts', 'first-token-unheard', 'a first token lets nobody go', 'if (freed && flight', 'if (freed && false && flight'),
  at('plane.ts', 'stale-prefill', 'the queue is drained by loads of an earlier time', '    this.router.bookings.settle(nowMs);\n', ''),
];

/** One replacement each; every one makes the replay of the scheduler family differ. */
export const SCHEDULER_BUGS: readonly SeededBug[] = [
  ...ROOM_BUGS,
  ...PLANE_BUGS,
  at(
    'router/scoring-router.ts',
    'no-affinity',
    'an affinity is not heard',
    'if (request.affinity !== undefined) this.eligibility.prefer(request.affinity);',
    '',
  ),
  at(
    'router/eligibility.ts',
    'affinity-forced',
    'an affinity holds although its rank may not serve',
    'if (!this.rows.subarray(0, this.count).includes(rank)) return;',
    '',
  ),
  at(
    'router/modelled-prefill.ts',
    'fractions-of-nanoseconds',
    'a boundary depends on how a duration is written in binary',
    'Math.round(ms * 1e6)',
    'ms * 1e6',
  ),
];
