import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { createPlane, type InspectablePlane } from '../plane.ts';
import type { AdmissionEvent, Effects, KvAction, SessionAdmission } from '../ports.ts';
import { rankFacts, routeRequest } from '../router/router-fixture.ts';
import { createAdmission } from './admission-presets.ts';

/** A plane of two ranks behind an admission, and what it did. */
class World {
  readonly branches = new BranchTable();
  readonly dispatched: number[] = [];
  readonly refused: string[] = [];
  wakeMs = Number.POSITIVE_INFINITY;
  readonly plane: InspectablePlane;

  constructor(admission: SessionAdmission | ((branches: BranchTable) => SessionAdmission) | null, ranks = 2, preset = 'least-requests@1') {
    const effects: Effects = {
      dispatch: (request) => void this.dispatched.push(request.attempt),
      refuse: (_, refusal) => void this.refused.push(refusal.code),
      act: (_: KvAction) => undefined,
      wakeAt: (tMs) => void (this.wakeMs = Math.min(this.wakeMs, tMs)),
      decided: () => undefined,
    };
    const made = typeof admission === 'function' ? admission(this.branches) : admission;
    const router = { preset };
    this.plane = createPlane({ branches: this.branches, router, retention: null, admission: made, seed: 1, recordLevel: 'off', effects });
    for (let rank = 0; rank < ranks; rank++) {
      this.plane.worker({ rank, state: 'joined', epoch: 0, key: `w${rank}/0`, facts: rankFacts(64) }, 0);
      this.plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
    }
  }

  ask(attempt: number, session: number, nowMs: number, promptTokens = 640): void {
    this.plane.request(routeRequest({ attempt, session, promptTokens }), nowMs);
  }

  end(attempt: number, nowMs: number, stop: 'tool' | 'turn' = 'tool'): void {
    this.plane.ended(attempt, { status: 'finished', stop, outputTokens: 1 }, nowMs);
  }

  /** Wakes the plane at the times it asks for, up to `untilMs`. */
  run(untilMs: number): void {
    while (this.wakeMs <= untilMs) {
      const at = this.wakeMs;
      this.wakeMs = Number.POSITIVE_INFINITY;
      this.plane.timer(at);
    }
  }
}

const aimd =
  (params: Record<string, unknown>) =>
  (branches: BranchTable): SessionAdmission =>
    createAdmission('concur-aimd@1', params, branches);

describe('a plane with session admission', () => {
  it('keeps requests of sessions that may not run, and sends them in order of arrival when they may', () => {
    const w = new World(aimd({ startSessions: 1 }));
    w.ask(0, 0, 0);
    w.ask(1, 1, 1);
    w.ask(2, 2, 2);
    expect([w.dispatched, w.plane.gate!.size]).toEqual([[0], 2]);
    w.end(0, 10);
    // Session 0 is in a tool call and keeps its place.
    expect(w.dispatched).toEqual([0]);
    w.plane.hint({ kind: 'sessionClosed', session: 0 }, 20);
    expect(w.dispatched).toEqual([0, 1]);
    w.end(1, 30, 'turn');
    expect(w.dispatched).toEqual([0, 1, 2]);
    expect(w.plane.gate!.counters).toEqual({ held: 2, forced: 0, longestMs: 28 });
  });

  it('nobody waits for longer than half an hour, to the millisecond', () => {
    const w = new World({ name: 'one', admit: (session) => (session === 0 ? 'run' : 'wait') });
    w.ask(0, 0, 0);
    w.ask(1, 1, 7000);
    w.run(1_806_999);
    expect(w.dispatched).toEqual([0]);
    w.run(1_807_000);
    expect(w.dispatched).toEqual([0, 1]);
    expect(w.plane.gate!.counters).toEqual({ held: 1, forced: 1, longestMs: 1_800_000 });
  });

  it('wakes an admission for its windows: a limit that is calm lets the next one in', () => {
    const w = new World(aimd({ startSessions: 1 }));
    w.ask(0, 0, 0);
    w.run(7000);
    w.ask(1, 1, 7000);
    w.run(9999);
    expect(w.dispatched).toEqual([0]);
    w.run(10_000);
    expect(w.dispatched).toEqual([0, 1]);
  });

  it('a client that leaves while it waits is forgotten, and a refused request gives its place back', () => {
    const w = new World(aimd({ startSessions: 1 }));
    w.ask(0, 0, 0);
    w.ask(1, 1, 1);
    w.plane.ended(1, { status: 'cancelled', stop: 'other', outputTokens: 0 }, 2);
    expect(w.plane.gate!.size).toBe(0);
    w.plane.hint({ kind: 'sessionClosed', session: 0 }, 3);
    expect(w.dispatched).toEqual([0]);
    const none = new World(aimd({ startSessions: 1 }), 0);
    none.ask(0, 0, 0);
    none.ask(1, 1, 1);
    expect([none.refused, none.plane.gate!.size]).toEqual([['NO_WORKERS', 'NO_WORKERS'], 0]);
  });

  it('tells an admission the most that any rank holds of a prompt, where the router looks', () => {
    const told: (number | undefined)[] = [];
    const spy: SessionAdmission = {
      name: 'spy',
      on: (event: AdmissionEvent) => void (event.kind === 'dispatched' && told.push(event.bestBlocks)),
      admit: () => 'run',
    };
    for (const preset of ['dynamo-kv@1', 'least-requests@1']) {
      const w = new World(spy, 2, preset);
      w.ask(0, 0, 0);
    }
    expect(told).toEqual([0, undefined]);
  });

  it('that never says wait is no admission at all (retention:N7)', () => {
    const step = fc.record({ session: fc.nat(5), tokens: fc.integer({ min: 64, max: 6400 }), end: fc.nat(30) });
    const presets: ((branches: BranchTable) => SessionAdmission)[] = [
      (branches) => createAdmission('none@1', {}, branches),
      aimd({}),
      (branches) => createAdmission('thunder-agent@1', {}, branches),
    ];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(2), (steps, which) => {
        const play = (admission: ((branches: BranchTable) => SessionAdmission) | null): unknown[] => {
          const w = new World(admission);
          steps.forEach((s, i) => {
            w.ask(i, s.session, i * 1000, s.tokens);
            w.run(i * 1000 + 500);
            if (s.end < i) w.end(s.end, i * 1000 + 600);
          });
          return [w.dispatched, w.refused, w.plane.inFlight];
        };
        expect(play(presets[which]!)).toEqual(play(null));
      }),
    );
  });
});
