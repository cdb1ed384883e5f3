import { describe, expect, it } from 'vitest';
import { fixtureRun } from './run-fixture.ts';
import type { Objective } from './run-measures.ts';
import { MET, MISSED, meetsBound, objectiveShare, sessionOutcomes, turnOutcomes, UNJUDGED } from './slo-outcome.ts';

const run = fixtureRun();
const ttft = (bound: number, tags = ''): Objective => ({ metric: `turn.ttft${tags}`, op: '<', bound });

describe('objectives on turns', () => {
  it('judge values; rejected turns miss; a cut turn misses once it is late', () => {
    expect([...turnOutcomes([ttft(0.8)], run)]).toEqual([MISSED, MET, MISSED, MISSED]);
    // The cut turn has waited 30 s: not yet late for a bound of 31 s.
    expect([...turnOutcomes([ttft(31)], run)]).toEqual([MET, MET, MISSED, UNJUDGED]);
  });

  it('address only what their tags name, and must all be met', () => {
    expect([...turnOutcomes([ttft(0.8, '{class:tool}')], run)]).toEqual([UNJUDGED, MET, UNJUDGED, UNJUDGED]);
    const e2e: Objective = { metric: 'turn.e2e', op: '<=', bound: 2.5 };
    expect([...turnOutcomes([ttft(5), e2e], run)]).toEqual([MISSED, MET, MISSED, MISSED]);
  });

  it('give the share that met them', () => {
    expect(objectiveShare(ttft(0.8), run)).toEqual({ met: 1, of: 4 });
    expect(objectiveShare(ttft(0.8, '{class:tool}'), run)).toEqual({ met: 1, of: 1 });
  });
});

describe('objectives on sessions', () => {
  it('judge completed ones; failed ones miss; open ones miss once their span is too long', () => {
    const span = (bound: number): Objective => ({ metric: 'session.completion', op: '<', bound });
    expect([...sessionOutcomes([span(20)], run)]).toEqual([MET, MISSED, MISSED]);
    expect([...sessionOutcomes([span(31)], run)]).toEqual([MET, MISSED, UNJUDGED]);
    expect([...sessionOutcomes([span(10)], run)]).toEqual([MISSED, MISSED, MISSED]);
    expect(objectiveShare(span(31), run)).toEqual({ met: 1, of: 2 });
    expect(objectiveShare({ metric: 'session.slowdown', op: '<', bound: 2 }, run)).toEqual({ met: 1, of: 2 });
  });
});

describe('a bound', () => {
  it('is strict or not as written', () => {
    const ops = ['<', '<=', '>', '>=', '=='] as const;
    expect(ops.map((op) => meetsBound({ op, bound: 2 }, 2))).toEqual([false, true, false, true, true]);
    expect(ops.map((op) => meetsBound({ op, bound: 2 }, 1))).toEqual([true, true, false, false, false]);
    expect(ops.map((op) => meetsBound({ op, bound: 2 }, 3))).toEqual([false, false, true, true, false]);
  });
});
