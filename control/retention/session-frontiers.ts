import type { BranchId, BranchTable } from '../blocks.ts';
import type { Blocks, Millis, PauseKind, RankId, SessionId } from '../ports.ts';
import { ChainCover } from './chain-cover.ts';
import { type Waiting, WaitingLine } from './waiting-line.ts';

/** Where one agent of a session stands: the prompt of its last response, and the ranks that hold its blocks. */
export interface Frontier {
  branch: BranchId;
  depthBlocks: Blocks;
  /** Pause after the response; undefined while a request that continues it runs. */
  pause: PauseKind | undefined;
  readonly ranks: RankId[];
}

/** Blocks [fromBlocks, depthBlocks) of a chain that no live session needs any more, on each of the ranks. */
export interface Rest {
  readonly branch: BranchId;
  readonly fromBlocks: Blocks;
  readonly depthBlocks: Blocks;
  readonly ranks: readonly RankId[];
}

interface OpenSession extends Waiting<OpenSession> {
  readonly session: SessionId;
  readonly frontiers: Frontier[];
  /** Requests under way, with the frontier that each continues. */
  readonly running: { readonly attempt: number; readonly continued: Frontier | undefined }[];
}

/** Most frontiers kept per session tree, and ranks per frontier; the oldest is let go. */
const MAX_FRONTIERS = 256;
const MAX_RANKS = 8;
/** Most sessions kept; the one idle for longest is let go. */
const MAX_SESSIONS = 65_536;

/**
 * Frontiers of all live sessions and who else needs a block: owners(b) = sessions with a frontier whose path contains b (retention
 * specification 8.1). A session tree runs several agents and requests carry no agent name: a request continues the deepest paused
 * frontier that it extends, else the paused one that it shares most of, if that is at least half of it and nobody is being waited for.
 * Cost per event O(frontiers of the session + branches on their paths).
 */
export class SessionFrontiers {
  readonly #branches: BranchTable;
  readonly #cover: ChainCover;
  readonly #sessions = new Map<SessionId, OpenSession>();
  /** Sessions without a running request, by the time since when. */
  readonly #idle = new WaitingLine<OpenSession>();

  constructor(branches: BranchTable) {
    this.#branches = branches;
    this.#cover = new ChainCover(branches);
  }

  /** Live sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Blocks needed by a live session, each once. */
  get ownedBlocks(): Blocks {
    return this.#cover.blocks;
  }

  /** Frontiers of a session, in order of their first response. */
  frontiers(session: SessionId): readonly Readonly<Frontier>[] {
    return this.#sessions.get(session)?.frontiers ?? [];
  }

  /** The session that is idle for longest, and since when. */
  get idlest(): { readonly session: SessionId; readonly sinceMs: Millis } | undefined {
    return this.#idle.first;
  }

  /** A request of the session went out. */
  began(session: SessionId, attempt: number, branch: BranchId, depthBlocks: Blocks): void {
    const open = this.#open(session);
    this.#idle.leave(open);
    const continued = depthBlocks > 0 ? this.#continued(open, branch, depthBlocks) : undefined;
    if (continued !== undefined) continued.pause = undefined;
    open.running.push({ attempt, continued });
  }

  /** It ended without a response: what it continued pauses again. */
  failed(session: SessionId, attempt: number, nowMs: Millis): void {
    const open = this.#sessions.get(session);
    if (open === undefined) return;
    const continued = ended(open, attempt)?.continued;
    if (continued !== undefined) continued.pause = 'tool';
    this.#rest(open, nowMs);
  }

  /** It ended with a response: the frontier moves. Returns what the move leaves to nobody. */
  answered(session: SessionId, attempt: number, to: Readonly<Frontier>, nowMs: Millis): Rest | undefined {
    const open = this.#open(session);
    const request = ended(open, attempt);
    const old = request === undefined ? this.#continued(open, to.branch, to.depthBlocks) : request.continued;
    this.#rest(open, nowMs);
    const at = old === undefined ? -1 : open.frontiers.indexOf(old);
    if (old === undefined || at < 0) {
      const { branch, depthBlocks, pause, ranks } = to;
      this.#cover.add(branch, depthBlocks);
      open.frontiers.push({ branch, depthBlocks, pause, ranks: [...ranks] });
      return open.frontiers.length > MAX_FRONTIERS ? this.#leave(open.frontiers.shift()!) : undefined;
    }
    const isExtended = this.#cover.move(old.branch, old.depthBlocks, to.branch, to.depthBlocks);
    const rest = isExtended ? undefined : this.#uncovered(old);
    old.branch = to.branch;
    old.depthBlocks = to.depthBlocks;
    old.pause = to.pause;
    // The latest one stands last.
    if (at < open.frontiers.length - 1) {
      open.frontiers.splice(at, 1);
      open.frontiers.push(old);
    }
    for (const rank of to.ranks) {
      if (!old.ranks.includes(rank)) old.ranks.push(rank);
      if (old.ranks.length > MAX_RANKS) old.ranks.shift();
    }
    return rest;
  }

  /** The latest frontier of the session keeps only its first blocks. Returns what that leaves to nobody. */
  compacted(session: SessionId, keptBlocks: Blocks): Rest | undefined {
    const frontier = this.#sessions.get(session)?.frontiers.at(-1);
    if (frontier === undefined || keptBlocks >= frontier.depthBlocks) return undefined;
    const before = { ...frontier };
    this.#cover.remove(before.branch, before.depthBlocks);
    frontier.depthBlocks = keptBlocks;
    if (keptBlocks > 0) this.#cover.add(before.branch, keptBlocks);
    return this.#uncovered(before);
  }

  /** The session is over. Returns what each of its frontiers leaves to nobody; what two of them share is named twice, for their ranks. */
  closed(session: SessionId): readonly Rest[] {
    const open = this.#sessions.get(session);
    if (open === undefined) return [];
    this.#sessions.delete(session);
    this.#idle.leave(open);
    for (const { branch, depthBlocks } of open.frontiers) if (depthBlocks > 0) this.#cover.remove(branch, depthBlocks);
    const rests: Rest[] = [];
    for (const frontier of open.frontiers) {
      const rest = this.#uncovered(frontier);
      if (rest !== undefined) rests.push(rest);
    }
    return rests;
  }

  /** Leading blocks of a chain that other sessions need. */
  neededByOthers(session: SessionId, branch: BranchId, depthBlocks: Blocks): Blocks {
    return this.#cover.coveredWithout(this.#sessions.get(session)?.frontiers ?? [], branch, depthBlocks);
  }

  /** A rank lost its memory. Cost O(frontiers). */
  lost(rank: RankId): void {
    for (const { frontiers } of this.#sessions.values()) {
      for (const { ranks } of frontiers) {
        const at = ranks.indexOf(rank);
        if (at >= 0) ranks.splice(at, 1);
      }
    }
  }

  /** A session beyond the bound: the one idle for longest; undefined while there is room. */
  get surplus(): SessionId | undefined {
    return this.#sessions.size > MAX_SESSIONS ? this.#idle.first?.session : undefined;
  }

  #open(session: SessionId): OpenSession {
    let open = this.#sessions.get(session);
    if (open === undefined) {
      open = { session, frontiers: [], running: [], sinceMs: Number.NaN, before: undefined, after: undefined };
      this.#sessions.set(session, open);
    }
    return open;
  }

  #rest(open: OpenSession, nowMs: Millis): void {
    if (open.running.length > 0) return;
    this.#idle.leave(open);
    this.#idle.enter(open, nowMs);
  }

  #leave(frontier: Frontier): Rest | undefined {
    if (frontier.depthBlocks > 0) this.#cover.remove(frontier.branch, frontier.depthBlocks);
    return this.#uncovered(frontier);
  }

  #uncovered({ branch, depthBlocks, ranks }: Readonly<Frontier>): Rest | undefined {
    const fromBlocks = this.#cover.covered(branch, depthBlocks);
    return fromBlocks < depthBlocks ? { branch, fromBlocks, depthBlocks, ranks: [...ranks] } : undefined;
  }

  #continued(open: OpenSession, branch: BranchId, depthBlocks: Blocks): Frontier | undefined {
    let best: Frontier | undefined;
    let bestShared = -1;
    let isExtended = false;
    for (const frontier of open.frontiers) {
      if (frontier.pause === undefined) continue;
      const shared = this.#branches.commonDepth(frontier.branch, frontier.depthBlocks, branch, depthBlocks);
      const whole = shared === frontier.depthBlocks;
      if (!whole && (isExtended || frontier.pause === 'join' || 2 * shared < frontier.depthBlocks)) continue;
      // Ties go to the latest.
      if ((whole && !isExtended) || shared >= bestShared) {
        best = frontier;
        bestShared = shared;
        isExtended = whole;
      }
    }
    return best;
  }
}

/** Takes a request that is over out of those under way; undefined if it is not one of them. */
function ended({ running }: OpenSession, attempt: number): OpenSession['running'][number] | undefined {
  let at = running.length - 1;
  while (at >= 0 && running[at]!.attempt !== attempt) at--;
  if (at < 0) return undefined;
  return at === running.length - 1 ? running.pop() : running.splice(at, 1)[0];
}
