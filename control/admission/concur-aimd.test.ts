import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import type { PauseKind, RouteRequest } from '../ports.ts';
import { AIMD_DEFAULTS, type AimdParameters, ConcurAimd } from './concur-aimd.ts';

/** An admission of one rank of 1,000 blocks of 64 tokens, and its sessions. */
class Scene {
  readonly branches = new BranchTable();
  readonly aimd: ConcurAimd;
  now = 0;
  #attempt = 0;

  constructor(parameters: Partial<AimdParameters> = {}) {
    this.aimd = new ConcurAimd('concur-aimd@1', { ...AIMD_DEFAULTS, ...parameters }, this.branches);
    this.aimd.on({ kind: 'capacity', rank: 0, tokens: 64_000, blockTokens: 64, nowMs: 0 });
  }

  request(session: number, branch = -1, depthBlocks = 0): RouteRequest {
    const attempt = this.#attempt++;
    const prompt = { promptTokens: Math.max(1, depthBlocks * 64), branch, depthBlocks };
    return { attempt, id: `${attempt}`, attemptNumber: 0, session, sessionKey: `${session}`, tenant: 0, arrivalMs: this.now, ...prompt };
  }

  ask(session: number): 'run' | 'wait' {
    this.aimd.on({ kind: 'requested', request: this.request(session), nowMs: this.now });
    return this.aimd.admit(session, this.now);
  }

  serve(session: number, branch: number, depth: number, bestBlocks: number, pause: PauseKind = 'tool'): void {
    const request = this.request(session, branch, depth);
    this.aimd.on({ kind: 'requested', request, nowMs: this.now });
    expect(this.aimd.admit(session, this.now)).toBe('run');
    this.aimd.on({ kind: 'dispatched', request, rank: 0, bestBlocks, nowMs: this.now });
    const end = { status: 'finished', stop: pause === 'human' ? 'turn' : 'tool', outputTokens: 1 } as const;
    this.aimd.on({ kind: 'ended', request, rank: 0, end, pause, nowMs: this.now });
  }

  window(): number {
    this.now += 5000;
    this.aimd.on({ kind: 'tick', nowMs: this.now });
    return this.aimd.limit;
  }
}

describe('concur-aimd@1 (retention specification 8.5)', () => {
  it('N = 40 falls to 20 on congestion, cools down for a window, and is 21 after the next calm one', () => {
    const s = new Scene({ startSessions: 40 });
    const branch = s.branches.add(-1, 0, 100);
    for (let i = 0; i < 40; i++) s.ask(i);
    expect(s.ask(40)).toBe('wait');
    s.serve(0, branch, 50, 0);
    // Of 100 blocks of input 3 were sent before and are nowhere: neither calm nor congested.
    s.serve(0, branch, 50, 47);
    expect(s.window()).toBe(40);
    s.serve(0, branch, 50, 44);
    expect(s.window()).toBe(20);
    for (let i = 20; i < 40; i++) s.aimd.on({ kind: 'closed', session: i, nowMs: s.now });
    s.serve(0, branch, 50, 0);
    expect(s.window()).toBe(20);
    s.serve(0, branch, 50, 50);
    expect(s.window()).toBe(21);
  });

  it('stays where it is while nobody waits or the signal lies between calm and congested', () => {
    const s = new Scene({ startSessions: 5 });
    const branch = s.branches.add(-1, 0, 100);
    s.serve(0, branch, 100, 100);
    expect(s.window()).toBe(5);
    for (let i = 0; i < 6; i++) s.ask(i);
    s.serve(0, branch, 100, 97);
    expect(s.window()).toBe(5);
  });

  it('counts contexts of running sessions against the room, shared prefixes once', () => {
    const s = new Scene({ startSessions: 4 });
    const system = s.branches.add(-1, 0, 400);
    for (let i = 0; i < 3; i++) s.serve(i, s.branches.add(system, 400, 170), 570, 570);
    expect(s.window()).toBe(4);
    s.serve(3, s.branches.add(system, 400, 100), 500, 500);
    expect(s.window()).toBe(2);
  });

  it('a session keeps its place over tool pauses and gives it up after a turn for a human', () => {
    const s = new Scene({ startSessions: 1 });
    const branch = s.branches.add(-1, 0, 10);
    s.serve(0, branch, 5, 5);
    expect(s.ask(1)).toBe('wait');
    s.serve(0, branch, 6, 5, 'human');
    expect(s.aimd.admit(1, 0)).toBe('run');
    expect(s.ask(0)).toBe('wait');
    s.aimd.on({ kind: 'closed', session: 1, nowMs: 0 });
    expect(s.aimd.admit(0, 0)).toBe('run');
  });

  it('sessions above a fallen limit are paused at their next turn boundary, not before', () => {
    const s = new Scene({ startSessions: 2 });
    const branch = s.branches.add(-1, 0, 10);
    const requests = [0, 1].map((session) => s.request(session, branch, 10));
    for (const request of requests) {
      s.aimd.on({ kind: 'requested', request, nowMs: 0 });
      s.aimd.admit(request.session, 0);
      s.aimd.on({ kind: 'dispatched', request, rank: 0, bestBlocks: 10, nowMs: 0 });
    }
    s.aimd.limit = 1;
    expect(s.aimd.running).toBe(2);
    const end = { status: 'finished', stop: 'tool', outputTokens: 1 } as const;
    s.aimd.on({ kind: 'ended', request: requests[0]!, rank: 0, end, pause: 'tool', nowMs: 1 });
    expect([s.aimd.running, s.aimd.admit(0, 1), s.aimd.admit(1, 1)]).toEqual([1, 'wait', 'run']);
    s.aimd.on({ kind: 'forced', session: 0, nowMs: 2 });
    expect(s.aimd.admit(0, 2)).toBe('run');
  });

  it('without a limit at the start the first congestion halves what runs, never below the least', () => {
    const s = new Scene({ minSessions: 3 });
    const branch = s.branches.add(-1, 0, 10);
    for (let i = 0; i < 9; i++) s.serve(i, branch, 10, 0);
    for (let i = 0; i < 9; i++) s.serve(i, branch, 10, 0);
    expect(s.window()).toBe(4);
    s.window();
    for (let i = 0; i < 4; i++) s.serve(i, branch, 10, 0);
    expect(s.window()).toBe(3);
  });

  it('places of sessions that vanish, and of requests that never ran, come back; silence stops the clock', () => {
    const s = new Scene({ startSessions: 1 });
    const request = s.request(0);
    s.aimd.on({ kind: 'requested', request, nowMs: 0 });
    expect(s.aimd.admit(0, 0)).toBe('run');
    s.aimd.on({ kind: 'withdrawn', request, nowMs: 0 });
    expect(s.aimd.running).toBe(0);
    s.serve(1, s.branches.add(-1, 0, 10), 5, 5);
    s.now = 1_800_000;
    s.window();
    expect([s.aimd.running, s.aimd.wakeMs]).toEqual([0, Number.POSITIVE_INFINITY]);
  });
});
