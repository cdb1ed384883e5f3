/** Bugs in the waiting queue that the recordings of Dynamo's queue must notice. */
import type { SeededBug } from '../seeded-bug.ts';

const at = (file: string, id: string, breaks: string, from: string, to: string): SeededBug => ({
  id,
  breaks,
  file: `control/queue/${file}`,
  from,
  to,
  suite: 'dynamo-kv',
  family: 'policy_queue',
});

/** One replacement each; every one makes the replay of policy_queue differ. */
export const QUEUE_BUGS: readonly SeededBug[] = [
  at(
    'queue-profile.ts',
    'queue-lcfs-as-fcfs',
    'newest first becomes oldest first',
    'return jumpSec + arrivalSec;',
    'return jumpSec - arrivalSec;',
  ),
  at(
    'queue-profile.ts',
    'queue-wspt-without-jump',
    'priority is worth nothing in wspt',
    'return (1 + jumpSec) / Math.max(1, uncachedTokens);',
    'return 1 / Math.max(1, uncachedTokens);',
  ),
  at(
    'policy-queue.ts',
    'queue-later-first',
    'equal keys go in reverse',
    'return a.sequence < b.sequence;',
    'return a.sequence > b.sequence;',
  ),
  at(
    'policy-queue.ts',
    'queue-strict-after-key',
    'strict tiers do not come first',
    'if (a.strict !== b.strict) return a.strict > b.strict;',
    '',
  ),
  at(
    'policy-queue.ts',
    'queue-limit-late',
    'one request more than the limit is taken',
    'return current >= limit ?',
    'return current > limit ?',
  ),
  at(
    'policy-queue.ts',
    'queue-cost-of-cached',
    'a class pays for cached tokens too',
    'return Math.max(1, entry.promptTokens - entry.cachedTokens);',
    'return Math.max(1, entry.promptTokens);',
  ),
  at(
    'class-turns.ts',
    'queue-credit-of-empty',
    'an empty class keeps its credit',
    'this.credit[one] = isEmpty ? 0 : this.credit[one]! - cost;',
    'this.credit[one]! -= isEmpty ? cost : cost;',
  ),
  at(
    'class-turns.ts',
    'queue-no-carry',
    'a class gives its turn away after each request',
    'this.#isServing = true;',
    'this.#turn = (one + 1) % this.credit.length;',
  ),
  at(
    'class-turns.ts',
    'queue-always-quantum',
    'a class that could serve gets a quantum on top',
    'if (credit[one]! < cost[one]!) credit[one]!',
    'credit[one]!',
  ),
];
