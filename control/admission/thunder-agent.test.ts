import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import type { RouteRequest } from '../ports.ts';
import { THUNDER_DEFAULTS, ThunderAgent, type ThunderParameters } from './thunder-agent.ts';

class Scene {
  readonly branches = new BranchTable();
  readonly thunder: ThunderAgent;
  now = 0;
  #attempt = 0;
  readonly #open = new Map<number, RouteRequest>();

  constructor(room: readonly number[], parameters: Partial<ThunderParameters> = {}) {
    this.thunder = new ThunderAgent('thunder-agent@1', { ...THUNDER_DEFAULTS, ...parameters }, this.branches);
    for (const [rank, tokens] of room.entries()) this.thunder.on({ kind: 'capacity', rank, tokens, blockTokens: 10, nowMs: 0 });
  }

  ask(session: number, promptTokens: number, branch = -1): 'run' | 'wait' {
    const attempt = this.#attempt++;
    const prompt = { promptTokens, branch, depthBlocks: branch < 0 ? 0 : this.branches.end(branch) };
    const names = { id: `${attempt}`, attemptNumber: 0, sessionKey: `${session}`, tenant: 0, arrivalMs: this.now };
    const request = { attempt, session, ...names, ...prompt };
    this.#open.set(session, request);
    this.thunder.on({ kind: 'requested', request, nowMs: this.now });
    return this.thunder.admit(session);
  }

  place(session: number, rank = 0): void {
    this.thunder.on({ kind: 'dispatched', request: this.#open.get(session)!, rank, nowMs: this.now });
  }

  end(session: number, rank = 0): void {
    const end = { status: 'finished', stop: 'tool', outputTokens: 0 } as const;
    this.thunder.on({ kind: 'ended', request: this.#open.get(session)!, rank, end, pause: 'tool', nowMs: this.now });
  }

  tick(): void {
    this.now += 5000;
    this.thunder.on({ kind: 'tick', nowMs: this.now });
  }

  states(...sessions: number[]): unknown[] {
    return sessions.map((session) => this.thunder.stateOf(session));
  }
}

/** A program of `tokens` placed on a rank, in a tool call or running. */
function program(s: Scene, session: number, tokens: number, state: 'acting' | 'reasoning', branch = -1): void {
  s.ask(session, tokens, branch);
  s.place(session);
  if (state === 'acting') s.end(session);
}

describe('thunder-agent@1 (retention specification 8.5)', () => {
  it('capacity 100,000, A 10k and B 30k acting, C 50k and D 40k reasoning, shared 5k: pauses A and B', () => {
    const s = new Scene([1_000_000]);
    const system = s.branches.add(-1, 0, 500);
    program(s, 0, 10_000, 'acting');
    program(s, 1, 30_000, 'acting');
    program(s, 2, 50_000, 'reasoning', s.branches.add(system, 500, 4500));
    program(s, 3, 40_000, 'reasoning', s.branches.add(system, 500, 3500));
    s.thunder.on({ kind: 'capacity', rank: 0, tokens: 100_000, blockTokens: 10, nowMs: 0 });
    expect(s.thunder.used(0)).toBe(125_400);
    s.tick();
    expect(s.states(0, 1, 2, 3)).toEqual(['paused', 'paused', 'reasoning', 'reasoning']);
    // 14,800 are free: A fits again with its margin, but is not let in before it was paused for a period.
    expect(s.thunder.used(0)).toBe(85_200);
  });

  it('marks the smallest running program when none is in a tool call, and pauses it at its end', () => {
    const s = new Scene([100_000]);
    program(s, 0, 30_000, 'reasoning');
    program(s, 1, 40_000, 'reasoning');
    s.thunder.on({ kind: 'capacity', rank: 0, tokens: 50_000, blockTokens: 10, nowMs: 0 });
    s.tick();
    expect(s.states(0, 1)).toEqual(['reasoning', 'reasoning']);
    s.end(0);
    expect(s.states(0, 1)).toEqual(['paused', 'reasoning']);
    s.now++;
    expect(s.ask(0, 31_000)).toBe('wait');
  });

  it('brings back waiting steps first, then new programs, then tool calls, small ones first, while they fit', () => {
    const s = new Scene([100_000]);
    for (const session of [0, 1, 2, 3]) program(s, session, 20_000 + session, 'acting');
    s.thunder.on({ kind: 'capacity', rank: 0, tokens: 0, blockTokens: 10, nowMs: 0 });
    s.tick();
    expect(s.states(0, 1, 2, 3)).toEqual(['paused', 'paused', 'paused', 'paused']);
    s.thunder.on({ kind: 'capacity', rank: 0, tokens: 1, blockTokens: 10, nowMs: 0 });
    s.tick();
    // Nothing runs: one that is larger than the room goes all the same.
    expect(s.states(0, 1, 2, 3).filter((state) => state === 'acting')).toHaveLength(1);
    const t = new Scene([100_000]);
    for (const session of [0, 1, 2, 3]) program(t, session, 20_000 + session, 'acting');
    program(t, 9, 15_000, 'reasoning');
    t.thunder.on({ kind: 'capacity', rank: 0, tokens: 16_000, blockTokens: 10, nowMs: 0 });
    t.tick();
    expect(t.states(0, 1, 2, 3, 9)).toEqual(['paused', 'paused', 'paused', 'paused', 'reasoning']);
    expect([t.ask(3, 20_500), t.ask(2, 20_100), t.ask(5, 5000)]).toEqual(['wait', 'wait', 'wait']);
    t.thunder.on({ kind: 'capacity', rank: 0, tokens: 56_000, blockTokens: 10, nowMs: 0 });
    t.tick();
    // 40,900 are free: 20,200 for session 2 and 20,600 for session 3, in that order; nothing is left for the others.
    expect(t.states(2, 3, 5, 0, 1)).toEqual(['acting', 'acting', 'paused', 'paused', 'paused']);
    t.thunder.on({ kind: 'capacity', rank: 0, tokens: 82_000, blockTokens: 10, nowMs: 0 });
    t.tick();
    expect(t.states(5, 0, 1)).toEqual(['acting', 'acting', 'paused']);
  });

  it('a new program runs at once where there is room: with ample room it is no admission at all', () => {
    const s = new Scene([1_000_000, 1_000_000]);
    for (let i = 0; i < 20; i++) {
      expect(s.ask(i, 50_000)).toBe('run');
      s.place(i, i % 2);
      if (i % 3 === 0) s.end(i, i % 2);
    }
    s.tick();
    for (let i = 0; i < 20; i++) expect(s.thunder.stateOf(i)).not.toBe('paused');
    const none = new Scene([]);
    expect(none.ask(0, 10)).toBe('run');
  });

  it('counts a program in a tool call at 2^-t for resuming, if told to', () => {
    const resumed = (decay: boolean): unknown => {
      const s = new Scene([40_000], { decay });
      program(s, 0, 30_000, 'acting');
      expect(s.ask(1, 35_000)).toBe('wait');
      s.tick();
      return s.thunder.stateOf(1);
    };
    // After 5 s the other one counts 937.5 instead of 30,000.
    expect([resumed(false), resumed(true)]).toEqual(['paused', 'acting']);
  });

  it('lets go who waited for too long, forgets who closed, stops its clock when nobody is there', () => {
    const s = new Scene([1000]);
    program(s, 0, 900, 'reasoning');
    expect(s.ask(1, 900)).toBe('wait');
    s.thunder.on({ kind: 'forced', session: 1, nowMs: 1 });
    expect(s.thunder.admit(1)).toBe('run');
    for (const session of [0, 1]) s.thunder.on({ kind: 'closed', session, nowMs: 2 });
    s.tick();
    expect(s.thunder.wakeMs).toBe(Number.POSITIVE_INFINITY);
  });
});
