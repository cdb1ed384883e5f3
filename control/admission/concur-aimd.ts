import type { BranchId, BranchTable } from '../blocks.ts';
import type { AdmissionEvent, Blocks, Millis, RankId, SessionAdmission, SessionId, Tokens } from '../ports.ts';
import { ChainCover } from '../retention/chain-cover.ts';

/** Thresholds of {@link ConcurAimd}; ours, the paper's were not available. */
export interface AimdParameters {
  readonly windowMs: Millis;
  /** Share of evicted-then-missed input tokens above which the fleet is congested, and below which it is calm. */
  readonly congestedAbove: number;
  readonly calmBelow: number;
  /** Share of the KV room that running sessions may need. */
  readonly fullAbove: number;
  /** Factor of the limit on congestion. */
  readonly decrease: number;
  readonly minSessions: number;
  /** Sessions at the start; Infinity = no limit before the first congestion. */
  readonly startSessions: number;
}

/** Defaults of retention specification 8.5. */
export const AIMD_DEFAULTS: AimdParameters = {
  windowMs: 5000,
  congestedAbove: 0.05,
  calmBelow: 0.01,
  fullAbove: 0.95,
  decrease: 0.5,
  minSessions: 1,
  startSessions: Number.POSITIVE_INFINITY,
};

interface Running {
  branch: BranchId;
  depthBlocks: Blocks;
  /** Requests under way. */
  requests: number;
  sinceMs: Millis;
}

/** A place whose session sent nothing for so long is given up; the longest pause that a session may have. */
const FORGET_MS: Millis = 1_800_000;

/**
 * `concur-aimd@1`: a limit N on sessions that run, halved when evicted content is missed or running sessions need more than the room,
 * raised by one per calm window while somebody waits. A session keeps its place over tool pauses and gives it up after a turn for
 * a human, or when N has fallen, at the end of its turn. Source: retention specification 8.5 (CONCUR). Cost per event O(branches).
 */
export class ConcurAimd implements SessionAdmission {
  readonly name: string;
  /** The limit N. */
  limit: number;
  wakeMs: Millis = Number.POSITIVE_INFINITY;
  readonly #p: AimdParameters;
  readonly #branches: BranchTable;
  readonly #cover: ChainCover;
  readonly #running = new Map<SessionId, Running>();
  readonly #waiting = new Map<SessionId, number>();
  readonly #room = new Map<RankId, Blocks>();
  #blockTokens: Tokens = 0;
  #inputTokens: Tokens = 0;
  #missedTokens: Tokens = 0;
  #isCooling = false;

  constructor(name: string, parameters: AimdParameters, branches: BranchTable) {
    this.name = name;
    this.#p = parameters;
    this.#branches = branches;
    this.#cover = new ChainCover(branches);
    this.limit = parameters.startSessions;
  }

  /** Sessions that hold a place. */
  get running(): number {
    return this.#running.size;
  }

  admit(session: SessionId, nowMs: Millis): 'run' | 'wait' {
    if (this.#running.has(session)) return 'run';
    if (this.#running.size >= this.limit) return 'wait';
    this.#start(session, nowMs);
    return 'run';
  }

  on(event: AdmissionEvent): void {
    switch (event.kind) {
      case 'requested':
        this.#count(event.request.session, 1);
        if (this.wakeMs === Number.POSITIVE_INFINITY) this.wakeMs = event.nowMs + this.#p.windowMs;
        break;
      case 'withdrawn':
        this.#count(event.request.session, -1);
        if (this.#running.get(event.request.session)?.requests === 0) this.#stop(event.request.session);
        break;
      case 'dispatched':
        this.#dispatched(event);
        break;
      case 'ended':
        this.#ended(event);
        break;
      case 'closed':
        this.#stop(event.session);
        break;
      case 'capacity':
        this.#room.set(event.rank, Math.floor(event.tokens / event.blockTokens));
        this.#blockTokens = event.blockTokens;
        break;
      case 'forced':
        this.#start(event.session, event.nowMs);
        break;
      case 'tick':
        this.#window(event.nowMs);
        break;
    }
  }

  #dispatched({ request, bestBlocks, nowMs }: Extract<AdmissionEvent, { kind: 'dispatched' }>): void {
    const { session, branch, depthBlocks, promptTokens } = request;
    this.#count(session, -1);
    const running = this.#start(session, nowMs);
    running.requests++;
    this.#inputTokens += promptTokens;
    if (bestBlocks === undefined || depthBlocks === 0) return;
    const known = this.#branches.commonDepth(running.branch, running.depthBlocks, branch, depthBlocks);
    this.#missedTokens += Math.max(0, known - bestBlocks) * this.#blockTokens;
  }

  #ended({ request, end, pause, nowMs }: Extract<AdmissionEvent, { kind: 'ended' }>): void {
    const running = this.#running.get(request.session);
    if (running === undefined) return;
    running.requests = Math.max(0, running.requests - 1);
    running.sinceMs = nowMs;
    if (end.status === 'finished') this.#move(running, request.branch, request.depthBlocks);
    if (running.requests > 0) return;
    const rests = end.status === 'finished' && (pause === 'human' || pause === 'none');
    if (rests || this.#running.size > this.limit) this.#stop(request.session);
  }

  #window(nowMs: Millis): void {
    for (const [session, { requests, sinceMs }] of this.#running) if (requests === 0 && nowMs - sinceMs > FORGET_MS) this.#stop(session);
    let room = 0;
    for (const blocks of this.#room.values()) room += blocks;
    const missed = this.#inputTokens === 0 ? 0 : this.#missedTokens / this.#inputTokens;
    const isFull = room > 0 && this.#cover.blocks > this.#p.fullAbove * room;
    if (this.#isCooling) this.#isCooling = false;
    else if (missed > this.#p.congestedAbove || isFull) {
      const now = Number.isFinite(this.limit) ? this.limit : this.#running.size;
      this.limit = Math.max(this.#p.minSessions, Math.floor(this.#p.decrease * now));
      this.#isCooling = true;
    } else if (missed < this.#p.calmBelow && this.#waitingSessions() > 0) this.limit++;
    this.#inputTokens = 0;
    this.#missedTokens = 0;
    const isIdle = this.#running.size === 0 && this.#waiting.size === 0;
    this.wakeMs = isIdle ? Number.POSITIVE_INFINITY : nowMs + this.#p.windowMs;
  }

  #waitingSessions(): number {
    let n = 0;
    for (const session of this.#waiting.keys()) if (!this.#running.has(session)) n++;
    return n;
  }

  /** Requests of a session that asked and are not placed. */
  #count(session: SessionId, by: number): void {
    const n = (this.#waiting.get(session) ?? 0) + by;
    if (n > 0) this.#waiting.set(session, n);
    else this.#waiting.delete(session);
  }

  #start(session: SessionId, nowMs: Millis): Running {
    let running = this.#running.get(session);
    if (running === undefined) {
      running = { branch: -1, depthBlocks: 0, requests: 0, sinceMs: nowMs };
      this.#running.set(session, running);
    }
    return running;
  }

  #move(running: Running, branch: BranchId, depthBlocks: Blocks): void {
    if (running.depthBlocks > 0) this.#cover.remove(running.branch, running.depthBlocks);
    running.branch = branch;
    running.depthBlocks = depthBlocks;
    if (depthBlocks > 0) this.#cover.add(branch, depthBlocks);
  }

  #stop(session: SessionId): void {
    const running = this.#running.get(session);
    if (running === undefined) return;
    if (running.depthBlocks > 0) this.#cover.remove(running.branch, running.depthBlocks);
    this.#running.delete(session);
  }
}
