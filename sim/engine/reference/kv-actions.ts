/** Execution of the control plane's KV actions at one worker. The rules stand in worker.ts. */
import type { BranchTable } from '../../../control/blocks.ts';
import type { ActionOutcome, KvAction } from '../../../control/ports.ts';
import { isSupported, isTimely, leavesTier, outcomeOf } from '../action-outcome.ts';
import { chainKeys } from '../chain-keys.ts';
import { releaseReason } from '../removal.ts';
import type { WorkerSink } from '../worker.ts';
import { type BlockKey, type BlockPool, type Claim, type Level, type Mark, VICTIM } from './block-pool.ts';
import type { HostTraffic } from './host-traffic.ts';

export interface ActionScene {
  readonly branches: BranchTable;
  readonly pool: BlockPool;
  readonly host: HostTraffic | null;
  readonly sink: WorkerSink;
  readonly isDown: boolean;
}

/** Executes one action; settles it at once unless a transfer starts. */
export function applyAction(action: KvAction, tMs: number, scene: ActionScene): void {
  const outcome = execute(action, tMs, scene);
  if (outcome !== null) scene.sink.settled(action, outcome, tMs);
}

/** Outcome, or null if the action is under way. */
function execute(action: KvAction, tMs: number, scene: ActionScene): ActionOutcome | null {
  const requestedBlocks = Math.max(action.toBlocks - action.fromBlocks, 0);
  const refused = (reason: string): ActionOutcome => ({ result: 'rejected', reason, appliedBlocks: 0, requestedBlocks });
  if (!isValid(action, tMs, scene.branches)) return refused('invalid');
  if (scene.isDown) return refused('down');
  if (!isSupported(action, scene.host !== null, scene.host?.lower?.hasStore === true)) return refused('unsupported');
  const keys = chainKeys(scene.branches, action.branch, action.toBlocks);
  if (action.verb === 'prefetch') {
    const missing = keys.findIndex((key) => scene.pool.lookup(key) < 0);
    return scene.host!.prefetch(action, keys, missing < 0 ? keys.length : missing, tMs);
  }
  if (action.verb === 'share') {
    const range = keys.slice(action.fromBlocks);
    const missing = range.findIndex((key) => scene.pool.lookup(key) < 0 && !scene.host!.tier.isReady(key));
    return scene.host!.lower!.share(action, missing < 0 ? range : range.slice(0, missing), tMs);
  }
  if (leavesTier(action)) return demoteToHost(action, keys.slice(action.fromBlocks), tMs, scene);
  const { pool } = scene;
  let appliedBlocks = 0;
  for (const key of keys.slice(action.fromBlocks)) {
    const copies = pool.copies.get(key) ?? [];
    if (copies.length > 0) appliedBlocks++;
    for (const block of copies) {
      if (action.verb === 'demote') pool.demote(block, releaseReason(action.why));
      else if (action.verb === 'retain') pool.retain(block, levelOf(action), action.priorityMerge ?? 'replace');
      else if (action.hardness === 'reference') pool.refer(block, markOf(action));
      else pool.claim(block, claimOf(action), action.mode);
    }
  }
  return outcomeOf(appliedBlocks, requestedBlocks);
}

/** Demotes the resident blocks in a row at the begin of the range. */
function demoteToHost(action: KvAction, keys: readonly BlockKey[], tMs: number, { pool, host }: ActionScene): ActionOutcome | null {
  const missing = keys.findIndex((key) => pool.lookup(key) < 0);
  const row = missing < 0 ? keys : keys.slice(0, missing);
  const outcome = outcomeOf(row.length, keys.length);
  if (row.length === 0) return outcome;
  const blocks = row.map((key) => pool.lookup(key));
  const settled = host!.demote(action, row, blocks, outcome, tMs);
  if (settled?.result === 'rejected') return settled;
  for (const key of row) for (const block of pool.copies.get(key)!) pool.demote(block, releaseReason(action.why));
  return settled;
}

function isValid(action: KvAction, tMs: number, branches: BranchTable): boolean {
  if (!(action.fromBlocks >= 0 && action.toBlocks > action.fromBlocks)) return false;
  if (action.branch < 0 || action.branch >= branches.count || action.toBlocks > branches.end(action.branch)) return false;
  return isTimely(action, tMs);
}

function markOf({ untilMs, refreshMs, onExpiry }: KvAction): Mark {
  return { untilMs, refreshMs, onExpiry };
}

function claimOf(action: KvAction): Claim {
  const victimClass = action.hardness === 'lease' ? VICTIM.lease : VICTIM.soft;
  return { ...markOf(action), session: action.session, victimClass, worn: false, floorsBelow: action.tierFloor > 0 };
}

function levelOf(action: KvAction): Level {
  return { ...markOf(action), level: action.priority!, clears: action.reclaim === 'clear' };
}
