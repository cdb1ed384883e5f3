/**
 * Bugs put into the product on purpose: each must make the replay of its family differ, or the recordings do not hold that rule. Played
 * by seeded-bugs.system.test.ts, which bundles the replay with the one replacement in it.
 */
import { INDEX_BUGS } from './dynamo-kv/seeded-index-bugs.ts';
import { QUEUE_BUGS } from './dynamo-kv/seeded-queue-bugs.ts';
import { DYNAMO_ROUTER_BUGS } from './dynamo-kv/seeded-router-bugs.ts';
import { VLLM_BUGS } from './vllm/vllm-bugs.ts';

/** One text replacement in one source file of the product. */
export interface SeededBug {
  /** Names the test. */
  readonly id: string;
  /** What goes wrong, as a statement. */
  readonly breaks: string;
  /** Source file below the package root. */
  readonly file: string;
  /** Text that occurs exactly once in the file, and what stands there instead. */
  readonly from: string;
  readonly to: string;
  /** Suite and family that must notice; a small family keeps the test quick. */
  readonly suite: string;
  readonly family: string;
}

/** All bugs; a suite adds its list here. */
export const SEEDED_BUGS: readonly SeededBug[] = [...VLLM_BUGS, ...DYNAMO_ROUTER_BUGS, ...QUEUE_BUGS, ...INDEX_BUGS];
