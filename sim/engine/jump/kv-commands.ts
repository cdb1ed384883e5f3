/** Execution of the control plane's KV actions at one worker; the rules stand in the worker port. */
import type { BranchTable } from '../../../control/blocks.ts';
import type { ActionOutcome, KvAction } from '../../../control/ports.ts';
import { isSupported, outcomeOf } from '../action-outcome.ts';
import { releaseReason } from '../removal.ts';
import type { HbmPool } from './hbm-pool.ts';
import type { HostTraffic } from './host-traffic.ts';
import { LEASE, SOFT } from './segment-columns.ts';

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
  const rejected = (reason: string): ActionOutcome => ({ result: 'rejected', reason, appliedBlocks: 0, requestedBlocks });
  if (!(fromBlocks >= 0 && toBlocks > fromBlocks)) return rejected('invalid');
  if (branch < 0 || branch >= branches.count || toBlocks > branches.end(branch)) return rejected('invalid');
  if (verb === 'pin' && !(action.untilMs >= tMs && action.untilMs < Number.POSITIVE_INFINITY)) return rejected('invalid');
  if (scene.isDown) return rejected('down');
  if (!isSupported(action)) return rejected('unsupported');
  if (verb === 'demote') return outcomeOf(pool.demote(branch, fromBlocks, toBlocks, releaseReason(action.why)), requestedBlocks);
  if (verb === 'prefetch') return scene.host === null ? rejected('unsupported') : scene.host.prefetch(action, tMs);
  const blocks = pool.claim(branch, fromBlocks, toBlocks, {
    mark: action.hardness === 'lease' ? LEASE : SOFT,
    untilMs: action.untilMs,
    refreshMs: action.refreshMs ?? 0,
    session: action.session,
    drop: action.onExpiry === 'drop',
    mode: action.mode,
  });
  return outcomeOf(blocks, requestedBlocks);
}
