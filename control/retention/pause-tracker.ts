import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, Millis, PauseKind, SessionId } from '../ports.ts';
import type { TtlEstimator } from './gap-estimators.ts';
import { type Waiting, WaitingLine } from './waiting-line.ts';

interface OpenPause {
  readonly id: number;
  readonly branch: BranchId;
  readonly depthBlocks: Blocks;
  readonly sinceMs: Millis;
}

/** A session that was answered at least once. */
interface Answered extends Waiting<Answered> {
  readonly session: SessionId;
  responses: number;
  readonly open: OpenPause[];
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
  readonly #sessions = new Map<SessionId, Answered>();
  /** All of them, by their latest response. */
  readonly #line = new WaitingLine<Answered>();
  #nextId = 0;

  constructor(branches: BranchTable, estimator: TtlEstimator) {
    this.#branches = branches;
    this.#estimator = estimator;
  }

  began(session: SessionId, branch: BranchId, depthBlocks: Blocks, pause: PauseKind, toolName: string | undefined, nowMs: Millis): void {
    const { open } = this.#answered(session, nowMs);
    if (pause === 'none') return;
    const id = this.#nextId++;
    this.#estimator.began(id, pause, toolName, nowMs);
    open.push({ id, branch, depthBlocks, sinceMs: nowMs });
    if (open.length > MAX_OPEN) this.#estimator.censored(open.shift()!.id, nowMs);
  }

  /** A request was sent. Returns how many blocks it shares with the prompt before the pause that it ends; -1 = it ends none. */
  resumed(session: SessionId, branch: BranchId, depthBlocks: Blocks, arrivalMs: Millis, nowMs: Millis): Blocks {
    const list = this.#sessions.get(session)?.open;
    if (list === undefined) return -1;
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
    if (best < 0) return -1;
    const [closed] = list.splice(best, 1);
    this.#estimator.ended(closed!.id, Math.max(0, arrivalMs - closed!.sinceMs), nowMs);
    return bestShared;
  }

  closed(session: SessionId, nowMs: Millis): void {
    const one = this.#sessions.get(session);
    if (one !== undefined) this.#giveUp(one, nowMs);
    this.#estimator.programEnded(one?.responses ?? 0);
  }

  /** Counts a response. */
  #answered(session: SessionId, nowMs: Millis): Answered {
    let one = this.#sessions.get(session);
    if (one === undefined) {
      one = { session, responses: 0, open: [], sinceMs: Number.NaN, before: undefined, after: undefined };
      this.#sessions.set(session, one);
    }
    one.responses++;
    this.#line.leave(one);
    this.#line.enter(one, nowMs);
    if (this.#sessions.size > MAX_SESSIONS) this.#giveUp(this.#line.first!, nowMs);
    return one;
  }

  #giveUp(one: Answered, nowMs: Millis): void {
    for (const { id } of one.open) this.#estimator.censored(id, nowMs);
    this.#sessions.delete(one.session);
    this.#line.leave(one);
  }
}
