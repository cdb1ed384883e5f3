import { describe, expect, it } from 'vitest';
import { bestFullCharge, ContinuumCodeEstimator, ContinuumPaperEstimator, TurnsLeft } from './continuum-estimators.ts';
import { createEstimator } from './create-estimator.ts';
import { FixedEstimator, SkiEstimator, type TtlEstimator } from './gap-estimators.ts';
import { GapWindow } from './gap-window.ts';
import { HazardEstimator, toolCategory } from './hazard-estimator.ts';
import { ESTIMATOR_NAMES } from './lease-parameters.ts';
import { bestHold, kaplanMeier } from './survival-curve.ts';

let nextId = 0;
function observe(estimator: TtlEstimator, tool: string | undefined, gapsMs: readonly number[]): void {
  for (const gap of gapsMs) {
    estimator.began(nextId, 'tool', tool, 0);
    estimator.ended(nextId++, gap, gap);
  }
}

describe('estimators', () => {
  it.each(ESTIMATOR_NAMES)('%s keeps nothing after the last turn and never a negative or endless time', (name) => {
    const estimator = createEstimator(name);
    expect(estimator.name).toBe(name);
    for (const breakEvenMs of [0, 1000, 1e12, Number.POSITIVE_INFINITY]) {
      const stakes = { missMs: 5000, breakEvenMs };
      expect(estimator.ttlMs('none', undefined, 0, stakes)).toBe(0);
      // No human time was given: the tail of a finished session looks like a pause.
      expect(estimator.ttlMs('human', undefined, 0, stakes)).toBe(0);
      const ttl = estimator.ttlMs('tool', 'Bash', 0, stakes);
      expect(ttl).toBeGreaterThanOrEqual(0);
      expect(Number.isFinite(ttl)).toBe(true);
    }
  });

  it('fixed has the defaults of the specification', () => {
    const fixed = new FixedEstimator();
    expect((['tool', 'human', 'join', 'none'] as const).map((p) => fixed.ttlMs(p))).toEqual([300_000, 0, 600_000, 0]);
  });

  it('ski keeps until the rent equals the miss, capped; nothing when space is beyond price', () => {
    const ski = new SkiEstimator();
    const ttl = (breakEvenMs: number): number => ski.ttlMs('tool', 'Bash', 0, { missMs: 1, breakEvenMs });
    expect([0, 69_530, Number.POSITIVE_INFINITY].map(ttl)).toEqual([0, 69_530, 3_600_000]);
  });

  it('ski pays at most twice the clairvoyant cost', () => {
    const w = 69;
    const tau = new SkiEstimator().ttlMs('tool', '', 0, { missMs: w, breakEvenMs: w });
    for (let gap = 0; gap < 500; gap++) {
      const paid = gap <= tau ? gap : tau + w;
      expect(paid).toBeLessThanOrEqual(2 * Math.min(gap, w) + 1e-9);
    }
  });
});

describe('hazard', () => {
  const stakes = (w: number): { missMs: number; breakEvenMs: number } => ({ missMs: w, breakEvenMs: w });

  it('learns the worked example from closed and censored pauses', () => {
    const hazard = new HazardEstimator({ minEnds: 6 });
    observe(hazard, 'Bash', [500, 1000, 1000, 2000, 5000, 20_000]);
    for (const age of [3000, 8000]) {
      hazard.began(nextId, 'tool', 'Bash', 0);
      hazard.censored(nextId++, age);
    }
    // Two pauses are still open at 60 and 300 s.
    hazard.began(nextId++, 'tool', 'Bash', 240_000);
    hazard.began(nextId++, 'tool', 'Bash', 0);
    expect([5000, 12_000, 40_000].map((w) => hazard.ttlMs('tool', 'Bash', 300_000, stakes(w)))).toEqual([1000, 2000, 5000]);
  });

  it('backs off from tool to category to gap class to all to ski', () => {
    const hazard = new HazardEstimator();
    const ttl = (tool: string | undefined, pause: 'tool' | 'join' = 'tool'): number => hazard.ttlMs(pause, tool, 1e6, stakes(50_000));
    expect(ttl('Bash')).toBe(50_000);
    observe(hazard, 'mcp__db__query', Array(29).fill(1000));
    expect(ttl('mcp__db__query')).toBe(50_000);
    observe(hazard, 'mcp__db__query', [1000]);
    expect(ttl('mcp__db__query')).toBe(1000);
    expect(ttl('mcp__db__insert')).toBe(1000);
    observe(hazard, 'Read', Array(40).fill(200));
    expect(ttl('Read')).toBe(200);
    expect(ttl('mcp__db__insert')).toBe(1000);
    // Of 70 tool pauses 40 last 0.2 s and 30 last 1 s: worth waiting for the second.
    expect(ttl('Unheard')).toBe(1000);
    expect(ttl(undefined, 'join')).toBe(1000);
    expect(toolCategory('Bash')).toBeUndefined();
    expect(toolCategory('mcp__github__search')).toBe('mcp__github');
  });

  it('lets go at once when the return is late and certain (retention:S17)', () => {
    const hazard = new HazardEstimator();
    observe(
      hazard,
      'cron',
      Array.from({ length: 60 }, (_, i) => 595_000 + (i % 11) * 1000),
    );
    expect(hazard.ttlMs('tool', 'cron', 1e6, stakes(60_000))).toBe(0);
  });

  it('is 0 everywhere when space is beyond price (retention:N8) and keeps to the cap when it is free (N6)', () => {
    const hazard = new HazardEstimator();
    observe(hazard, 'Bash', Array(64).fill(10));
    expect(hazard.ttlMs('tool', 'Bash', 1e6, { missMs: 5, breakEvenMs: 0 })).toBe(0);
    expect(hazard.ttlMs('tool', 'Bash', 1e6, { missMs: 5, breakEvenMs: Number.POSITIVE_INFINITY })).toBe(300_000);
    expect(hazard.ttlMs('join', undefined, 1e6, { missMs: 5, breakEvenMs: Number.POSITIVE_INFINITY })).toBe(600_000);
  });

  it('fits again after 64 more pauses, not before', () => {
    const hazard = new HazardEstimator();
    observe(hazard, 'Bash', Array(30).fill(1000));
    const ttl = (): number => hazard.ttlMs('tool', 'Bash', 1e6, stakes(50_000));
    expect(ttl()).toBe(1000);
    observe(hazard, 'Bash', Array(63).fill(2000));
    expect(ttl()).toBe(1000);
    observe(hazard, 'Bash', [2000]);
    expect(ttl()).toBe(2000);
  });
});

describe('GapWindow', () => {
  it('keeps the latest pauses and counts ends among them', () => {
    const window = new GapWindow(3);
    for (const gap of [1, 2, 3, 4]) window.add(gap, gap === 2);
    expect([...window.gaps(false)].sort()).toEqual([3, 4]);
    expect([...window.gaps(true)]).toEqual([2]);
    expect([window.seen, window.ends]).toEqual([4, 2]);
    window.add(5, false);
    expect([window.seen, window.ends]).toEqual([5, 3]);
    expect(window.recentMean(2)).toBe(4.5);
    expect(new GapWindow().recentMean(2)).toBeUndefined();
  });
});

describe('Continuum', () => {
  it('the prior gives ln B, worked with eta 0.5, queue 4 s, miss 3 s', () => {
    // eta is 1 while no program ended: B = 1 * 4 + 1 and 0.5 * 4 + 3 are both 5.
    const paper = new ContinuumPaperEstimator();
    expect(paper.ttlMs('tool', 'Bash', 0, { missMs: 900, breakEvenMs: 0 })).toBe(0);
    paper.queued(3000);
    paper.queued(5000);
    expect(paper.ttlMs('tool', 'Bash', 0, { missMs: 1000, breakEvenMs: 0 })).toBeCloseTo(1609.438, 3);
    expect(paper.ttlMs('human', undefined, 0, { missMs: 9000, breakEvenMs: 0 })).toBe(0);
    // The latest 256 waits count.
    for (let i = 0; i < 256; i++) paper.queued(0);
    expect(paper.ttlMs('tool', 'Bash', 0, { missMs: 1000, breakEvenMs: 0 })).toBe(0);
  });

  it('a tool without a name counts as any of them', () => {
    const paper = new ContinuumPaperEstimator();
    const code = new ContinuumCodeEstimator();
    for (const estimator of [paper, code]) observe(estimator, 'Bash', Array(101).fill(1500));
    expect(paper.ttlMs('tool', undefined, 0, { missMs: 9000, breakEvenMs: 0 })).toBe(1500);
    expect(code.ttlMs('tool', undefined)).toBe(2000);
    observe(code, undefined, Array(32).fill(9000));
    expect([code.ttlMs('tool', undefined), code.ttlMs('tool', 'Bash')]).toEqual([0, 2000]);
  });

  it('the full charge gives the worked times on the empirical distribution', () => {
    const sample = Float64Array.from([0.5, 1, 1, 2, 2, 3, 6, 10, 30, 120]);
    expect(bestFullCharge(sample, 5)).toBe(1);
    expect(bestFullCharge(sample, 40)).toBe(6);
    expect(bestFullCharge(sample, 0)).toBe(0);
    // The pin ends at the return: charged exactly, B = 40 gives 27.45 at 10, a tie with 30.
    const exact = bestHold(kaplanMeier(sample, new Float64Array()), 40, 200);
    expect(exact.gain).toBeCloseTo(27.45, 9);
    expect([10, 30]).toContain(exact.hold);
  });

  it('uses a tool’s own samples above 100 of them, all tools’ before', () => {
    const paper = new ContinuumPaperEstimator();
    const ttl = (tool: string): number => paper.ttlMs('tool', tool, 0, { missMs: 5000, breakEvenMs: 0 });
    observe(paper, 'Bash', Array(100).fill(1000));
    expect(ttl('Bash')).toBeCloseTo(1609.438, 3);
    observe(paper, 'Bash', [1000]);
    expect(ttl('Bash')).toBe(1000);
    expect(ttl('Read')).toBe(1000);
    observe(paper, 'Read', Array(101).fill(300));
    expect(ttl('Read')).toBe(300);
  });

  it('eta is 1 for programs of fixed length, 0.3203 for lengths 2, 4, 12, 1 when cold', () => {
    const of = (...turns: number[]): number => {
      const left = new TurnsLeft();
      for (const n of turns) left.add(n);
      return left.eta;
    };
    expect(of(5, 5, 5)).toBeCloseTo(1, 12);
    expect(of(2, 4, 12)).toBeCloseTo(0.3203, 4);
    expect(of()).toBe(1);
    expect(of(1)).toBe(1);
  });

  it('the released code waits 2 s for tools that take up to 2 s', () => {
    const code = new ContinuumCodeEstimator();
    expect(code.ttlMs('tool', 'Bash')).toBe(0);
    observe(code, 'Bash', Array(32).fill(2000));
    expect(code.ttlMs('tool', 'Bash')).toBe(2000);
    observe(code, 'Bash', [2001]);
    expect(code.ttlMs('tool', 'Bash')).toBe(0);
    observe(code, 'Bash', Array(32).fill(100));
    expect(code.ttlMs('tool', 'Bash')).toBe(2000);
  });
});
