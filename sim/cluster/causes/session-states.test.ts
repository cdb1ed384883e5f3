import { describe, expect, it } from 'vitest';
import { CAUSES } from '../../measure/causes.ts';
import { PAUSE_KINDS } from '../../workload/workload.ts';
import { SessionStates } from './session-states.ts';

/** Agent 0 is a root with turns 0..2, agent 1 its child with turn 3. */
function states(pauses: readonly (typeof PAUSE_KINDS)[number][]) {
  const s = new SessionStates({
    parent: (agent) => agent - 1,
    pauseKind: (turn) => PAUSE_KINDS.indexOf(pauses[turn]!),
    following: (turn) => (turn < 2 ? turn + 1 : -1),
  });
  return { s, at: (agent: number, tMs: number) => CAUSES[s.causeAt(agent, tMs)] };
}

describe('the state of the session at the time of a removal', () => {
  it('is its pause by kind, its request under way, or its request in the queue', () => {
    const { s, at } = states(['first', 'tool', 'human', 'first']);
    s.arrived(0, 0, 100);
    s.ended(0, 200);
    s.arrived(0, 1, 300);
    s.ended(0, 400);
    s.arrived(0, 2, 500);
    expect(at(0, 50)).toBe('evicted_shared');
    expect(at(0, 100)).toBe('evicted_active');
    expect(at(0, 199)).toBe('evicted_active');
    expect(at(0, 200)).toBe('evicted_tool_pause');
    expect(at(0, 350)).toBe('evicted_active');
    expect(at(0, 450)).toBe('evicted_human_pause');
    expect(at(0, 500)).toBe('evicted_while_queued');
  });

  it('is that of the parent before a sub-agent begins, also where the parent has not gone on', () => {
    const { s, at } = states(['first', 'join', 'human', 'first']);
    s.arrived(0, 0, 100);
    s.ended(0, 200);
    s.arrived(1, 3, 300);
    expect(at(1, 150)).toBe('evicted_active');
    expect(at(1, 250)).toBe('evicted_join_pause');
    expect(at(1, 50)).toBe('evicted_shared');
  });

  it('is preempted while its request waits for that', () => {
    const { s, at } = states(['first', 'tool', 'human', 'first']);
    s.arrived(0, 0, 100);
    s.preempted(0, 120);
    s.resumed(0, 150);
    s.ended(0, 200);
    s.arrived(0, 1, 300);
    expect([at(0, 110), at(0, 120), at(0, 149), at(0, 150)]).toEqual(['evicted_active', 'preempted', 'preempted', 'evicted_active']);
  });

  it('goes on through a retry, and is forgotten with its agent', () => {
    const { s, at } = states(['first', 'tool', 'human', 'first']);
    s.arrived(0, 0, 100);
    s.ended(0, 200);
    s.reopened(0);
    s.ended(0, 400);
    s.arrived(0, 1, 500);
    expect(at(0, 300)).toBe('evicted_active');
    s.forget(0);
    expect(at(0, 300)).toBe('evicted_shared');
  });

  it('a pause of unknown kind counts as a tool', () => {
    const { s, at } = states(['first', 'unknown', 'human', 'first']);
    s.arrived(0, 0, 100);
    s.ended(0, 200);
    s.arrived(0, 1, 300);
    expect(at(0, 250)).toBe('evicted_tool_pause');
  });
});
