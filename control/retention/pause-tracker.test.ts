import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import type { TtlEstimator } from './gap-estimators.ts';
import { PauseTracker } from './pause-tracker.ts';

/** An estimator that writes down what it is told. */
function listening(): { readonly heard: string[]; readonly estimator: TtlEstimator } {
  const heard: string[] = [];
  const estimator: TtlEstimator = {
    name: 'listening',
    learns: true,
    ttlMs: () => 0,
    began: (id, pause, tool) => heard.push(`${id} began ${pause} ${tool ?? '-'}`),
    ended: (id, gapMs) => heard.push(`${id} ended ${gapMs}`),
    censored: (id, nowMs) => heard.push(`${id} censored at ${nowMs}`),
    programEnded: (responses) => heard.push(`program ${responses}`),
  };
  return { heard, estimator };
}

describe('PauseTracker', () => {
  it('measures from the end of the response to the arrival of the request, not to its dispatch', () => {
    const branches = new BranchTable();
    const branch = branches.add(-1, 0, 10);
    const { heard, estimator } = listening();
    const tracker = new PauseTracker(branches, estimator);
    tracker.began(0, branch, 5, 'tool', 'Bash', 1000);
    tracker.resumed(0, branch, 6, 3500, 9000);
    tracker.began(0, branch, 6, 'tool', 'Bash', 10_000);
    // A request that was sent before the response ended paused for nothing.
    tracker.resumed(0, branch, 7, 9900, 10_001);
    expect(heard).toEqual(['0 began tool Bash', '0 ended 2500', '1 began tool Bash', '1 ended 0']);
  });

  it('tells the agents of one tree apart by what their prompts share', () => {
    const branches = new BranchTable();
    const system = branches.add(-1, 0, 4);
    const [root, child] = [branches.add(system, 4, 50), branches.add(system, 4, 50)];
    const { heard, estimator } = listening();
    const tracker = new PauseTracker(branches, estimator);
    tracker.began(0, root, 20, 'join', undefined, 0);
    // The first request of a sub-agent shares only the system prompt: it continues nothing.
    tracker.resumed(0, child, 10, 100, 100);
    tracker.began(0, child, 10, 'tool', 'Read', 200);
    tracker.resumed(0, child, 12, 300, 300);
    tracker.resumed(0, root, 24, 400, 400);
    tracker.resumed(0, root, 24, 500, 500);
    expect(heard).toEqual(['0 began join -', '1 began tool Read', '1 ended 100', '0 ended 400']);
  });

  it('censors what is open when a session closes and counts its responses', () => {
    const branches = new BranchTable();
    const branch = branches.add(-1, 0, 10);
    const { heard, estimator } = listening();
    const tracker = new PauseTracker(branches, estimator);
    tracker.began(0, branch, 5, 'tool', 'Bash', 0);
    tracker.resumed(0, branch, 6, 10, 10);
    tracker.began(0, branch, 6, 'human', undefined, 20);
    tracker.closed(0, 900);
    tracker.began(1, branch, 6, 'none', undefined, 1000);
    tracker.closed(1, 1001);
    expect(heard.slice(2)).toEqual(['1 began human -', '1 censored at 900', 'program 2', 'program 1']);
  });

  it('is bounded: the oldest pause of a session and the oldest session are given up', () => {
    const branches = new BranchTable();
    const branch = branches.add(-1, 0, 10);
    const { heard, estimator } = listening();
    const tracker = new PauseTracker(branches, estimator);
    for (let i = 0; i < 257; i++) tracker.began(0, branch, 5, 'tool', undefined, i);
    expect(heard.filter((h) => h.includes('censored'))).toEqual(['0 censored at 256']);
    for (let s = 1; s <= 65_536; s++) tracker.began(s, branch, 5, 'tool', undefined, 1000);
    expect(heard.filter((h) => h.includes('censored'))).toHaveLength(257);
  });
});
