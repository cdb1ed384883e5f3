import { describe, expect, it } from 'vitest';
import type { RankFacts } from '../ports.ts';
import type { UserError } from '../user-error.ts';
import type { Infercept } from './infercept.ts';
import { discardWaste, preserveWaste } from './min-waste.ts';
import { RestEstimator } from './rest-estimator.ts';
import { RetentionHarness, type SentAction, WORKED_FACTS } from './retention-harness.ts';

describe('waste of a paused context (retention specification 8.3)', () => {
  it('L = 2,048, run = 64, M_run = 20,000: 1,318.72 token s, so discard beats preserve from 0.6439 s on', () => {
    const waste = discardWaste(2048, 64, 20_000);
    expect(waste).toBeCloseTo(1318.72, 2);
    expect(waste / 2048).toBeCloseTo(0.6439, 4);
    expect(preserveWaste(2048, 0.6439)).toBeCloseTo(1318.7, 0);
  });

  it('run = 384 leaves chunks of one token: 55,879.67, break-even 27.28 s', () => {
    const waste = discardWaste(2048, 384, 20_000);
    expect(waste).toBeCloseTo(55_879.67, 1);
    expect(waste / 2048).toBeCloseTo(27.28, 2);
  });

  it('L = 8,192, run = 64: break-even 0.8896 s', () => {
    expect(discardWaste(8192, 64, 20_000) / 8192).toBeCloseTo(0.8896, 4);
  });
});

describe('rest of a pause', () => {
  it('is the mean of what was longer, less the age; of the tool, else of its kind', () => {
    const rests = new RestEstimator();
    [1000, 2000, 3000, 10_000].forEach((gap, i) => {
      rests.began(i, 'tool', i < 3 ? 'Bash' : 'Read');
      rests.ended(i, gap);
    });
    expect([0, 1000, 2500].map((age) => rests.restMs('tool', 'Bash', age))).toEqual([2000, 1500, 500]);
    expect(rests.restMs('tool', 'Bash', 3000)).toBe(7000);
    expect(rests.restMs('tool', 'Grep', 0)).toBe(4000);
    expect(rests.restMs('tool', 'Bash', 10_000)).toBeUndefined();
    expect(rests.restMs('human', undefined, 0)).toBeUndefined();
  });
});

describe('infercept@1', () => {
  const facts: RankFacts = { ...WORKED_FACTS, reloadMsPerBlock: 0.1 };
  const create = (params: Record<string, unknown> = {}, given: RankFacts = facts): RetentionHarness =>
    new RetentionHarness('infercept@1', params, { rankFacts: () => given });
  const ways = (sent: readonly SentAction[]): string[] =>
    sent.map((a) => (a.verb === 'pin' ? 'preserve' : a.toTier === 1 ? 'swap' : `discard ${a.why ?? ''}`.trim()));
  const declared = (declaredPauseMs: number) => ({ hints: { declaredPauseMs } });

  it('keeps a context for a short pause and gives it up for a long one', () => {
    const h = create();
    // 128 blocks = 8,192 tokens alone on the rank: 384 fit into an iteration.
    const breakEvenMs = (discardWaste(8192, 0, 0) / 8192) * 1000;
    expect(ways(h.finish(0, h.session(128), 0, declared(breakEvenMs - 1)))).toEqual(['preserve']);
    expect(ways(h.finish(1, h.session(128), 0, declared(breakEvenMs + 1)))).toEqual(['swap']);
    expect((h.policy as Infercept).counters).toMatchObject({ preserved: 1, swapped: 1, discarded: 0 });
  });

  it('swaps what is dearest to compute while the link hides it, drops the rest; without a host tier all', () => {
    // 10,000 blocks go over the link in a period; both pauses have lasted for 4 s at the same look.
    const h = create({ rule: 'swapFrom4s', period: 1000 });
    const [small, big] = [h.session(2000), h.session(9000)];
    h.finish(0, small, 0);
    h.finish(1, big, 0);
    for (let now = 1000; now <= 4000; now += 1000) h.policy.on({ kind: 'tick', nowMs: now }, (action) => h.sent.push(action));
    expect(ways(h.sent)).toEqual(['preserve', 'preserve', 'swap', 'discard']);
    expect(h.sent.slice(2).map((action) => action.branch)).toEqual([big, small]);
    const none = create({}, WORKED_FACTS);
    expect(ways(none.finish(0, none.session(128), 0, declared(60_000)))).toEqual(['discard']);
    const two = create({ rule: 'swap' });
    expect(ways(two.finish(0, two.session(9999), 0))).toEqual(['swap']);
    expect(ways(two.finish(1, two.session(10_001), 0))).toEqual(['discard']);
  });

  it('looks again every period: a pause that goes on is given up when its rest has grown', () => {
    const h = create();
    const branch = h.session(128);
    expect(ways(h.finish(0, branch, 0))).toEqual(['preserve']);
    expect(h.policy.wakeMs).toBe(1000);
    let now = 0;
    while (h.sent.length === 1) {
      now = h.policy.wakeMs!;
      h.policy.on({ kind: 'tick', nowMs: now }, (action) => h.sent.push(action));
    }
    // Nothing known: as long again as it lasted already.
    expect(now).toBe(Math.ceil(discardWaste(8192, 0, 0) / 8192) * 1000);
    expect(ways(h.sent.slice(1))).toEqual(['swap']);
    expect(h.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('leaves alone who came back, who closed, and what other sessions need', () => {
    const h = create();
    const system = h.session(100);
    const [a, b] = [h.branches.add(system, 100, 28), h.branches.add(system, 100, 28)];
    h.finish(0, a, 0, declared(0));
    expect(h.finish(1, b, 0, declared(60_000))[0]).toMatchObject({ verb: 'demote', fromBlocks: 100, toBlocks: 128 });
    h.dispatch(0, a, 500);
    h.sent.length = 0;
    h.policy.on({ kind: 'tick', nowMs: 60_000 }, (action) => h.sent.push(action));
    expect(h.sent).toEqual([]);
    expect(ways(h.close(1, 60_001))).toEqual(['discard closed']);
  });

  it('knows the ablations of the paper', () => {
    const way = (rule: string, restMs: number): string => {
      const h = create({ rule });
      return ways(h.finish(0, h.session(128), 0, declared(restMs)))[0]!;
    };
    expect([way('preserve', 1e6), way('discard', 0), way('swap', 0)]).toEqual(['preserve', 'discard', 'swap']);
    expect([way('swapFrom4s', 3999), way('swapFrom4s', 4000)]).toEqual(['preserve', 'swap']);
    expect([way('discardFrom7s', 6999), way('discardFrom7s', 7000)]).toEqual(['preserve', 'discard']);
    expect([3999, 4000, 7000].map((rest) => way('threeWays', rest))).toEqual(['preserve', 'swap', 'discard']);
  });

  it('refuses bad parameters with a code and a path', () => {
    const code = (params: Record<string, unknown>): string => {
      try {
        create(params);
      } catch (error) {
        const { code: name, path } = (error as UserError).problems[0]!;
        return `${name} ${path}`;
      }
      return 'fine';
    };
    expect(code({ rule: 'guess' })).toBe('E_ENUM infercept@1.rule');
    expect(code({ saturationTokens: 0 })).toBe('E_RANGE infercept@1.saturationTokens');
    expect(code({ tokenMs: Number.NaN })).toBe('E_TYPE infercept@1.tokenMs');
    expect(code({ period: 1 })).toBe('E_RANGE infercept@1.period');
  });
});
