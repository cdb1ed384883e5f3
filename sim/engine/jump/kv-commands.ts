/** Execution of the control plane's KV actions at one worker; the rules stand in the worker port. */
import type { BranchTable } from '../../../control/blocks.ts';
import type { ActionOutcome, KvAction } from '../../../control/ports.ts';
import { isSupported, isTimely, leavesTier, outcomeOf } from '../action-outcome.ts';
import { releaseReason } from '../removal.ts';
import type { HbmPool } from './hbm-pool.ts';
import type { HostTraffic } from './host-traffic.ts';
import { BACK, DROPS, FRONT, LEASE, SOFT } from './segment-columns.ts';

const RULES = { trueLastAccess: 0, drop: DROPS, back: BACK, front: FRONT } as const;

/** Where an action is executed. */
export interface CommandScene {
  readonly branches: BranchTable;
  readonly pool: HbmPool;
  readonly host: HostTraffic | null;
  readonly isDown: boolean;
}

/** Executes one action. Returns its outcome, or null if it settles when a transfer ends. */
export function executeCommand(action: KvAction, tMs: number, scene: CommandScene): ActionOutcome | null {
  const { verb, branch, fromBlocks, toBlocks } = action;
  const { branches, pool } = scene;
  const requestedBlocks = Math.max(toBlocks - fromBlocks, 0);
  if (!(fromBlocks >= 0 && toBlocks > fromBlocks)) return rejected('invalid', requestedBlocks);
  if (branch < 0 || branch >= branches.count || toBlocks > branches.end(branch)) return rejected('invalid', requestedBlocks);
  if (!isTimely(action, tMs)) return rejected('invalid', requestedBlocks);
  if (scene.isDown) return rejected('down', requestedBlocks);
  if (!isSupported(action, scene.host !== null, scene.host?.lower?.hasStore === true)) return rejected('unsupported', requestedBlocks);
  if (verb === 'share') return scene.host!.share(action, tMs);
  if (leavesTier(action)) return scene.host!.demote(action, tMs);
  if (verb === 'demote') return outcomeOf(pool.demote(branch, fromBlocks, toBlocks, releaseReason(action.why)), requestedBlocks);
  if (verb === 'prefetch') return scene.host!.prefetch(action, tMs);
  return outcomeOf(setMark(pool, action), requestedBlocks);
}

function rejected(reason: string, requestedBlocks: number): ActionOutcome {
  return { result: 'rejected', reason, appliedBlocks: 0, requestedBlocks };
}

/** Executes a pin or retain. Returns the number of distinct resident blocks. */
function setMark(pool: HbmPool, action: KvAction): number {
  const { branch, fromBlocks, toBlocks, hardness, untilMs, refreshMs = 0 } = action;
  const rule = RULES[action.onExpiry];
  if (action.verb === 'retain') {
    const { priority, priorityMerge: merge = 'replace', reclaim } = action;
    return pool.retain(branch, fromBlocks, toBlocks, { untilMs, refreshMs, rule, level: priority!, merge, clears: reclaim === 'clear' });
  }
  if (hardness === 'reference') return pool.refer(branch, fromBlocks, toBlocks, { untilMs, refreshMs, rule });
  const mark = hardness === 'lease' ? LEASE : SOFT;
  const { session, mode, tierFloor } = action;
  return pool.claim(branch, fromBlocks, toBlocks, { untilMs, refreshMs, rule, mark, session, mode, floorsBelow: tierFloor > 0 });
}
