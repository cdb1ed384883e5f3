/** Worked examples of the retention specification 6 (R6, R8), by hand. */
import { describe, expect, it } from 'vitest';
import { affordableTokens, RankKeys, tokensWorthKeeping } from './rank-keys.ts';

const COSTS = { prefillMsPerToken: 0.1, prefillMsPerPair: 0.001 };

describe('tlru', () => {
  it('keeps 44,000 of 50,000 tokens where the next turn adds 2,000 and 8,000 may be missing', () => {
    expect(tokensWorthKeeping(50_000, 2000, 8000)).toBe(44_000);
    expect(tokensWorthKeeping(5000, 2000, 8000)).toBe(0);
    expect(tokensWorthKeeping(5000, 9000, 8000)).toBe(5000);
  });

  it('affords what prefill computes at the end of the prompt within the target', () => {
    // 0.1 n + 0.001 n (1000 - n / 2) = 20 + 180 at n = 200.
    const linear = { prefillMsPerToken: 0.25, prefillMsPerPair: 0 };
    expect(affordableTokens(1000, { ...COSTS, ttftTargetMs: 200 })).toBeCloseTo(200, 9);
    expect(affordableTokens(1000, { ...COSTS, ttftTargetMs: 601 })).toBe(1000);
    expect(affordableTokens(1000, { ...linear, ttftTargetMs: 100 })).toBe(400);
    expect(affordableTokens(1000, { ...linear, prefillMsPerToken: 0 })).toBe(Infinity);
  });

  it('expects the mean of new tokens per turn, the last with weight 0.2', () => {
    const keys = new RankKeys({ ranker: 'tlru', blockTokens: 1, prefillMsPerToken: 1, prefillMsPerPair: 0, ttftTargetMs: 100 });
    const kept = (session: number, blocks: number): number => {
      keys.startChain(session, blocks);
      const { keepBlocks } = keys;
      keys.endChain();
      expect(keys.keepBlocks).toBe(Infinity);
      return keepBlocks;
    };
    expect(kept(1, 1000)).toBe(900);
    expect(kept(1, 1050)).toBe(1000); // growth 50
    expect(kept(2, 1050)).toBe(950); // another conversation
    expect(kept(1, 1150)).toBe(1110); // growth 0.8 x 50 + 0.2 x 100 = 60
    expect(kept(1, 200)).toBe(160); // a shorter chain teaches nothing
    expect(kept(1, 1150)).toBe(1110); // nor does one more than twice as long
  });

  it('takes the tail behind them first', () => {
    const keys = new RankKeys({ ranker: 'tlru', blockTokens: 16, ...COSTS });
    expect(keys.key(5, false)).toBeLessThan(keys.key(0, true));
  });
});

describe('gdsf', () => {
  it('ranks by reads times cost per token above the key of the last victim, so that nothing hot is immortal', () => {
    const keys = new RankKeys({ ranker: 'gdsf', blockTokens: 10, ...COSTS });
    // C_re(0, 100) / 100 = 0.1 + 0.001 x 50 ms per token, C_re(0, 1000) / 1000 = 0.6.
    keys.startChain(1, 10);
    expect(keys.key(0, true)).toBeCloseTo(0.15, 12);
    expect(keys.key(3, true)).toBeCloseTo(0.6, 12);
    keys.startChain(1, 100);
    const hot = keys.key(9, true);
    expect(hot).toBeCloseTo(6, 12);
    keys.endChain();
    expect(keys.key(0, true)).toBeCloseTo(0.1, 12);
    for (let taken = 0; taken < 60; taken++) keys.evicted(keys.key(0, true));
    expect(keys.key(0, true)).toBeGreaterThan(hot);
    // Victims of another class do not turn the clock back.
    keys.evicted(0);
    expect(keys.key(0, true)).toBeGreaterThan(hot);
  });
});
