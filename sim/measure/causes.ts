/**
 * Why a prompt token was missed: the labels, in the order in which they are judged, and what reports roll them up to.
 * Source: retention specification 13.2, 13.3; experiments specification 7.2.
 */

/** Labels of a missed token; their positions are the codes. A sub-cause stands behind a dot. */
export const CAUSES = [
  // Compulsory: no cache could have held it.
  'uncacheable',
  'isolation',
  'prefix_broken.compaction',
  'prefix_broken.rewrite',
  'cold',
  'fresh',
  // Avoidable: the content is known.
  'in_flight',
  'tier_too_slow.onboard_declined',
  'tier_too_slow.load_timeout',
  'tier_too_slow.load_failed',
  'tier_too_slow.no_slot',
  'routed_elsewhere',
  'worker_lost',
  'cleared',
  'preempted',
  'released',
  'superseded',
  'closed_by_timeout',
  'claim_broken',
  'ttl_expired',
  'demote_declined',
  'evicted_tool_pause',
  'evicted_human_pause',
  'evicted_join_pause',
  'evicted_while_queued',
  'evicted_active',
  'evicted_shared',
  'unknown',
] as const;

export type Cause = (typeof CAUSES)[number];

/** What causes are rolled up to, in the order of reports. `unknown` is a bug of ours whenever it is not 0. */
export const ROLL_UPS = [
  'compulsory',
  'inflight',
  'tier',
  'routing',
  'fault',
  'preempted',
  'dropped',
  'claim',
  'ttl',
  'capacity',
  'unknown',
] as const;

export type RollUp = (typeof ROLL_UPS)[number];

/** Code of a cause. */
export function causeCode(cause: Cause): number {
  return CAUSES.indexOf(cause);
}

/** Roll-up of a cause. */
export function rollUpOf(cause: Cause): RollUp {
  const head = cause.split('.')[0]!;
  const group = GROUPS.find(([, heads]) => heads.includes(head));
  return group === undefined ? 'capacity' : group[0];
}

/** Everything that is not listed is an eviction for space. */
const GROUPS: readonly (readonly [RollUp, readonly string[]])[] = [
  ['compulsory', ['uncacheable', 'isolation', 'prefix_broken', 'cold', 'fresh']],
  ['inflight', ['in_flight']],
  ['tier', ['tier_too_slow']],
  ['routing', ['routed_elsewhere']],
  ['fault', ['worker_lost', 'cleared']],
  ['preempted', ['preempted']],
  ['dropped', ['released', 'superseded', 'closed_by_timeout']],
  ['claim', ['claim_broken']],
  ['ttl', ['ttl_expired']],
  ['unknown', ['unknown']],
];

/** Bits that go with a cause. */
export const CAUSE_FLAG = {
  /** `routed_elsewhere`, though this worker had held the block before. */
  alsoEvictedHere: 1,
  /** The block is here, but behind the first one that was missed, whose cause it has. */
  shadowed: 2,
  /** The last copy went more than {@link ATTRIBUTION_HORIZON_MS} ago. */
  horizon: 4,
} as const;

/** Removals longer ago are told apart by the flag `horizon`, 24 h. Source: retention specification 13.3. */
export const ATTRIBUTION_HORIZON_MS = 24 * 3_600_000;
