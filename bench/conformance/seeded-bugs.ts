/**
 * Bugs put into the product on purpose: each must make the replay of its family differ, or the recordings do not hold that rule. Played
 * by seeded-bugs.system.test.ts, which bundles the replay with the one replacement in it.
 */
import { INDEX_BUGS } from './dynamo-kv/seeded-index-bugs.ts';
import { QUEUE_BUGS } from './dynamo-kv/seeded-queue-bugs.ts';
import { DYNAMO_ROUTER_BUGS } from './dynamo-kv/seeded-router-bugs.ts';
import { SCHEDULER_BUGS } from './dynamo-kv/seeded-scheduler-bugs.ts';
import type { SeededBug } from './seeded-bug.ts';
import { VLLM_BUGS } from './vllm/vllm-bugs.ts';

/** All bugs; a suite adds its list here. */
export const SEEDED_BUGS: readonly SeededBug[] = [...VLLM_BUGS, ...DYNAMO_ROUTER_BUGS, ...QUEUE_BUGS, ...SCHEDULER_BUGS, ...INDEX_BUGS];
