import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, Millis, PauseKind, SessionId } from '../ports.ts';
import type { TtlEstimator } from './gap-estimators.ts';

interface OpenPause {
  readonly id: number;
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
  readonly sinceMs: Millis;
}

/** Most open pauses kept per session tree; the oldest is given up as censored. */
const MAX_OPEN = 256;
/** Most sessions remembered; the one that answered longest ago is given up. */
const MAX_SESSIONS = 65_536;

/**
 * Pairs the end of a response with the request that continues it and tells an estimator the gaps. A session tree runs several
 * agents at once and requests carry no agent name, so a request continues the open pause whose prompt it shares most of.
 * gap = arrival of the request - end of the response, >= 0 (retention specification 2). Cost O(open pauses of the session).
 */
export class PauseTracker {
  readonly #branches: BranchTable;
  readonly #estimator: TtlEstimator;
  readonly #open = new Map<SessionId, OpenPause[]>();
  readonly #responses = new Map<SessionId, number>();
  #nextId = 0;

  constructor(branches: BranchTable, estimator: TtlEstimator) {
    this.#branches = branches;
    this.#estimator = estimator;
  }

  began(session: SessionId, branch: BranchId, depthBlocks: Blocks, pause: PauseKind, toolName: string | undefined, nowMs: Millis): void {
    this.#count(session, nowMs);
    if (pause === 'none') return;
    const id = this.#nextId++;
    this.#estimator.began(id, pause, toolName, nowMs);
    const list = this.#open.get(session);
    const entry: OpenPause = { id, branch, depthBlocks, sinceMs: nowMs };
    if (list === undefined) this.#open.set(session, [entry]);
    else {
      list.push(entry);
      if (list.length > MAX_OPEN) this.#estimator.censored(list.shift()!.id, nowMs);
    }
  }

  resumed(session: SessionId, branch: BranchId, depthBlocks: Blocks, arrivalMs: Millis, nowMs: Millis): void {
    const list = this.#open.get(session);
    if (list === undefined) return;
    let best = -1;
    let bestShared = -1;
    for (let i = 0; i < list.length; i++) {
      const open = list[i]!;
      const shared = this.#branches.commonDepth(open.branch, open.depthBlocks, branch, depthBlocks);
      // Less than half in common is another agent of the tree that only shares the system prompt. Ties go to the latest pause.
      if (2 * shared >= open.depthBlocks && shared >= bestShared) {
        best = i;
        bestShared = shared;
      }
    }
    if (best < 0) return;
    const [closed] = list.splice(best, 1);
    if (list.length === 0) this.#open.delete(session);
    this.#estimator.ended(closed!.id, Math.max(0, arrivalMs - closed!.sinceMs), nowMs);
  }

  closed(session: SessionId, nowMs: Millis): void {
    this.#giveUp(session, nowMs);
    this.#estimator.programEnded(this.#responses.get(session) ?? 0);
    this.#responses.delete(session);
  }

  #count(session: SessionId, nowMs: Millis): void {
    const responses = (this.#responses.get(session) ?? 0) + 1;
    this.#responses.delete(session);
    this.#responses.set(session, responses);
    if (this.#responses.size <= MAX_SESSIONS) return;
    const oldest = this.#responses.keys().next().value!;
    this.#responses.delete(oldest);
    this.#giveUp(oldest, nowMs);
  }

  #giveUp(session: SessionId, nowMs: Millis): void {
    for (const open of this.#open.get(session) ?? []) this.#estimator.censored(open.id, nowMs);
    this.#open.delete(session);
  }
}
