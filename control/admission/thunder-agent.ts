import type { BranchId, BranchTable } from '../blocks.ts';
import { exp } from '../math.ts';
import type { AdmissionEvent, Blocks, Millis, RankId, SessionAdmission, SessionId, Tokens } from '../ports.ts';
import { ChainCover } from '../retention/chain-cover.ts';

/** Parameters of {@link ThunderAgent}. */
export interface ThunderParameters {
  readonly periodMs: Millis;
  /** Room kept per program beside its context. */
  readonly programTokens: Tokens;
  /** Weight of the context of a program in a tool call. */
  readonly actingWeight: number;
  /** Room for resuming counts a program in a tool call at 2^-t of its context, t in seconds since the call. */
  readonly decay: boolean;
}

/** Defaults of retention specification 8.5. */
export const THUNDER_DEFAULTS: ThunderParameters = { periodMs: 5000, programTokens: 100, actingWeight: 1, decay: false };

/** An agent program = a session tree. */
interface Program {
  readonly session: SessionId;
  state: 'paused' | 'acting' | 'reasoning';
  /** Where it ran last or is meant to; -1 = nowhere yet. */
  rank: RankId;
  tokens: Tokens;
  branch: BranchId;
  depthBlocks: Blocks;
  /** Requests placed so far. */
  steps: number;
  /** Requests that asked and are not placed, and requests under way. */
  pending: number;
  running: number;
  /** To be paused when its requests have ended. */
  isMarked: boolean;
  sinceMs: Millis;
}

interface RankRoom {
  tokens: Tokens;
  blockTokens: Tokens;
}

/** A program in a tool call for longer is forgotten; ours. */
const FORGET_MS: Millis = 3_600_000;

/**
 * `thunder-agent@1`: while the programs of a rank need more than its KV room, the smallest one in a tool call is paused, else the
 * smallest running one is marked; paused ones come back when all of them fit, waiting steps first, then new programs, then those
 * in tool calls, small ones first. Decode is never preempted. Source: retention specification 8.5. Cost O(programs log programs) per period.
 */
export class ThunderAgent implements SessionAdmission {
  readonly name: string;
  wakeMs: Millis = Number.POSITIVE_INFINITY;
  readonly #p: ThunderParameters;
  readonly #branches: BranchTable;
  readonly #programs = new Map<SessionId, Program>();
  readonly #rooms = new Map<RankId, RankRoom>();

  constructor(name: string, parameters: ThunderParameters, branches: BranchTable) {
    this.name = name;
    this.#p = parameters;
    this.#branches = branches;
  }

  /** State of a program; undefined when it is not known. */
  stateOf(session: SessionId): Program['state'] | undefined {
    return this.#programs.get(session)?.state;
  }

  /** Tokens that the programs of a rank need, shared prefixes once. */
  used(rank: RankId): Tokens {
    return this.#load(rank, this.#active(rank), false, 0);
  }

  admit(session: SessionId): 'run' | 'wait' {
    if (this.#programs.get(session)?.state !== 'paused') return 'run';
    // Without any room at all nothing would ever let it go: the router refuses what nobody can serve.
    for (const room of this.#rooms.values()) if (room.tokens > 0) return 'wait';
    return 'run';
  }

  on(event: AdmissionEvent): void {
    const { nowMs } = event;
    switch (event.kind) {
      case 'requested':
        this.#requested(event.request.session, event.request.promptTokens, nowMs);
        break;
      case 'withdrawn': {
        const program = this.#programs.get(event.request.session);
        if (program !== undefined) program.pending = Math.max(0, program.pending - 1);
        break;
      }
      case 'dispatched':
        this.#dispatched(event);
        break;
      case 'ended':
        this.#ended(event);
        break;
      case 'closed':
        this.#programs.delete(event.session);
        break;
      case 'capacity':
        this.#rooms.set(event.rank, { tokens: event.tokens, blockTokens: event.blockTokens });
        break;
      case 'forced':
        this.#resume(this.#programs.get(event.session), nowMs);
        break;
      case 'tick':
        this.#period(nowMs);
        break;
    }
  }

  #requested(session: SessionId, promptTokens: Tokens, nowMs: Millis): void {
    if (this.wakeMs === Number.POSITIVE_INFINITY) this.wakeMs = nowMs + this.#p.periodMs;
    const known = this.#programs.get(session);
    if (known !== undefined) {
      known.pending++;
      if (known.state === 'paused') known.tokens = Math.max(known.tokens, promptTokens);
      return;
    }
    const facts = { rank: -1, tokens: promptTokens, branch: -1, depthBlocks: 0, steps: 0, pending: 1, running: 0, isMarked: false };
    this.#programs.set(session, { session, state: 'paused', sinceMs: nowMs, ...facts });
    // Between two periods a new program need not wait for room that is there.
    this.#bringBack(nowMs);
  }

  #dispatched({ request, rank, nowMs }: Extract<AdmissionEvent, { kind: 'dispatched' }>): void {
    const program = this.#programs.get(request.session);
    if (program === undefined) return;
    program.pending = Math.max(0, program.pending - 1);
    program.running++;
    program.steps++;
    program.state = 'reasoning';
    program.rank = rank;
    program.sinceMs = nowMs;
    program.tokens = request.promptTokens;
    program.branch = request.branch;
    program.depthBlocks = request.depthBlocks;
  }

  #ended({ request, end, nowMs }: Extract<AdmissionEvent, { kind: 'ended' }>): void {
    const program = this.#programs.get(request.session);
    if (program === undefined) return;
    program.running = Math.max(0, program.running - 1);
    program.tokens = request.promptTokens + end.outputTokens;
    if (program.running > 0) return;
    program.state = program.isMarked ? 'paused' : 'acting';
    program.isMarked = false;
    program.sinceMs = nowMs;
  }

  #period(nowMs: Millis): void {
    for (const [session, p] of this.#programs) {
      if (p.state !== 'reasoning' && p.pending === 0 && nowMs - p.sinceMs > FORGET_MS) this.#programs.delete(session);
    }
    for (const rank of this.#rooms.keys()) this.#relieve(rank, nowMs);
    this.#bringBack(nowMs);
    this.wakeMs = this.#programs.size === 0 ? Number.POSITIVE_INFINITY : nowMs + this.#p.periodMs;
  }

  /** Pauses or marks until the programs of a rank fit. */
  #relieve(rank: RankId, nowMs: Millis): void {
    const room = this.#rooms.get(rank)!;
    const active = this.#active(rank).filter((p) => !p.isMarked);
    while (active.length > 0 && this.#load(rank, active, false, nowMs) > room.tokens) {
      const acting = active.filter((p) => p.state === 'acting' && p.pending === 0);
      const victim = smallest(acting.length > 0 ? acting : active);
      active.splice(active.indexOf(victim), 1);
      if (victim.state === 'acting' && victim.pending === 0) {
        victim.state = 'paused';
        victim.sinceMs = nowMs;
      } else victim.isMarked = true;
    }
  }

  /** Resumes paused programs in order while all of them fit into the free room of the fleet; the largest gets the emptiest rank. */
  #bringBack(nowMs: Millis): void {
    // What was paused just now stays so for a period.
    const paused = [...this.#programs.values()].filter((p) => p.state === 'paused' && !(p.steps > 0 && p.sinceMs === nowMs));
    if (paused.length === 0) return;
    const order = (p: Program): number => (p.pending > 0 ? (p.steps > 0 ? 0 : 1) : 2);
    paused.sort((a, b) => order(a) - order(b) || a.tokens - b.tokens || a.session - b.session);
    const free = new Map<RankId, Tokens>();
    let left = 0;
    for (const [rank, room] of this.#rooms) {
      const tokens = Math.max(0, room.tokens - this.#load(rank, this.#active(rank), this.#p.decay, nowMs));
      free.set(rank, tokens);
      left += tokens;
    }
    const chosen: Program[] = [];
    const isEmpty = [...this.#programs.values()].every((p) => p.state === 'paused');
    for (const program of paused) {
      const need = program.tokens + this.#p.programTokens;
      // What alone is larger than the room is not kept for ever.
      const isAlone = isEmpty && chosen.length === 0;
      if (need > left && !isAlone) break;
      left -= need;
      chosen.push(program);
    }
    chosen.sort((a, b) => b.tokens - a.tokens || a.session - b.session);
    for (const program of chosen) {
      let best = -1;
      for (const [rank, tokens] of free) if (best < 0 || tokens > free.get(best)!) best = rank;
      if (best < 0) return;
      program.rank = best;
      free.set(best, free.get(best)! - program.tokens - this.#p.programTokens);
      this.#resume(program, nowMs);
    }
  }

  #resume(program: Program | undefined, nowMs: Millis): void {
    if (program?.state !== 'paused') return;
    program.state = 'acting';
    program.sinceMs = nowMs;
  }

  #active(rank: RankId): Program[] {
    return [...this.#programs.values()].filter((p) => p.rank === rank && p.state !== 'paused');
  }

  /** Tokens of programs on a rank: contexts less what they share, plus a margin each. */
  #load(rank: RankId, programs: readonly Program[], decay: boolean, nowMs: Millis): Tokens {
    const cover = new ChainCover(this.#branches);
    let sum = 0;
    let depth = 0;
    for (const p of programs) {
      const weight = p.state === 'reasoning' ? 1 : this.#p.actingWeight * (decay ? exp((-Math.LN2 * (nowMs - p.sinceMs)) / 1000) : 1);
      sum += weight * p.tokens + this.#p.programTokens;
      if (p.depthBlocks === 0) continue;
      depth += p.depthBlocks;
      cover.add(p.branch, p.depthBlocks);
    }
    return sum - (depth - cover.blocks) * (this.#rooms.get(rank)?.blockTokens ?? 0);
  }
}

function smallest(programs: readonly Program[]): Program {
  return programs.reduce((a, b) => (b.tokens < a.tokens || (b.tokens === a.tokens && b.session < a.session) ? b : a));
}
