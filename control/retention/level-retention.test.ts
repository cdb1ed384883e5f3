import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UserError } from '../user-error.ts';
import { engineLevels } from './create-retention.ts';
import type { LevelRetention } from './level-retention.ts';
import { ReferenceStore, type StoreOptions } from './reference-store.ts';
import { RetentionHarness, type SentAction } from './retention-harness.ts';

/** A policy, a store with the settings the policy needs, and blocks known by name. */
class Shelf {
  readonly h: RetentionHarness;
  readonly store: ReferenceStore;
  readonly #names = new Map<string, string>();

  constructor(preset: string, params: Record<string, unknown>, options: StoreOptions = {}) {
    this.h = new RetentionHarness(preset, params);
    this.store = new ReferenceStore(this.h.branches, { ...engineLevels(preset, params), ...options });
  }

  /** A request for a block of its own at `t`; a `levelled` one tells the policy. */
  put(name: string, t: number, levelled = false): number {
    const branch = this.h.session(1);
    this.store.request(branch, 1, t);
    this.#names.set(this.store.key(branch, 0), name);
    if (levelled) for (const action of this.h.finish(0, branch, t)) this.store.apply(action, t);
    return branch;
  }

  evicted(count: number, t: number): string[] {
    return this.store.evict(count, t).map((key) => this.#names.get(key)!);
  }
}

describe('trtllm@2 (retention specification 7)', () => {
  it('Y at 80 for 10 s, released at 0; Z1, Z2 at 3 and 8; seen at 12; W at 13: Z1, Z2, Y, W', () => {
    const shelf = new Shelf('trtllm@2', { priority: 80, ttl: 10_000 });
    const y = shelf.put('Y', 0, true);
    shelf.put('Z1', 3000);
    shelf.put('Z2', 8000);
    expect(shelf.store.priority(y, 0, 10_000)).toBe(80);
    expect(shelf.store.priority(y, 0, 12_000)).toBe(35);
    shelf.put('W', 13_000);
    expect(shelf.evicted(4, 14_000)).toEqual(['Z1', 'Z2', 'Y', 'W']);
  });

  it('the lowest level goes first, whatever was used when; inside a level the oldest release', () => {
    const shelf = new Shelf('trtllm@2', { priority: 20 });
    shelf.put('plain old', 0);
    shelf.put('low old', 1, true);
    shelf.put('low new', 2, true);
    const high = new RetentionHarness('trtllm@2', { priority: 80 });
    expect(high.finish(0, high.session(1), 0)).toMatchObject([{ verb: 'retain', priority: 80, untilMs: Number.POSITIVE_INFINITY }]);
    expect(shelf.evicted(3, 3)).toEqual(['low old', 'low new', 'plain old']);
  });

  it('a victim of level 20 is dropped even with free host space, one of 30 is offloaded (retention:S11)', () => {
    const offloaded = (priority: number, params = {}): number => {
      const shelf = new Shelf('trtllm@2', { priority, ...params }, { hostBlocks: 100 });
      const branch = shelf.put('victim', 0, true);
      shelf.evicted(1, 1);
      return shelf.store.hostResident(branch, 1);
    };
    expect([20, 29, 30, 80].map((priority) => offloaded(priority))).toEqual([0, 0, 1, 1]);
    expect(offloaded(20, { offloadMinPriority: 20 })).toBe(1);
  });

  it('a claim without a duration clears the one before: the level then has no end (retention:S7)', () => {
    const shelf = new Shelf('trtllm@2', { priority: 80, ttl: 10_000 });
    const branch = shelf.put('Y', 0, true);
    shelf.store.request(branch, 1, 5000);
    expect(shelf.store.priority(branch, 0, 1e9)).toBe(80);
    const keeps = new ReferenceStore(shelf.h.branches, { defaultPriority: 35 });
    keeps.request(branch, 1, 0);
    for (const action of shelf.h.finish(0, branch, 0)) keeps.apply({ ...action, reclaim: 'keep' }, 0);
    keeps.request(branch, 1, 5000);
    expect(keeps.priority(branch, 0, 10_001)).toBe(35);
  });

  it('the clock is armed only for levels other than 35, and level 35 takes a mark away', () => {
    const h = new RetentionHarness('trtllm@2', { priority: 35, ttl: 10_000 });
    expect(h.finish(0, h.session(1), 0)).toMatchObject([{ priority: 35, untilMs: Number.POSITIVE_INFINITY }]);
    expect(h.finish(0, h.session(1), 0)[0]!.refreshMs).toBeUndefined();
    const silent = new RetentionHarness('trtllm@2', {});
    expect(silent.finish(0, silent.session(1), 0)).toEqual([]);
    expect(engineLevels('trtllm@2', {})).toEqual({ defaultPriority: 35, offloadMinPriority: 30 });
    expect(engineLevels('kvcast-auto@2', {})).toEqual({ defaultPriority: 0, offloadMinPriority: 0 });
  });

  it('prompt ranges have their own level and duration, rounded down to blocks', () => {
    const h = new RetentionHarness('trtllm@2', { priority: 40, ttl: 60_000, head: { tokens: 1000, priority: 90 } });
    const brief = (sent: readonly SentAction[]): unknown[] => sent.map((a) => [a.fromBlocks, a.toBlocks, a.priority, a.untilMs]);
    expect(brief(h.finish(0, h.session(40), 5))).toEqual([
      [0, 40, 40, 60_005],
      [0, 15, 90, Number.POSITIVE_INFINITY],
    ]);
    const head = new RetentionHarness('trtllm@2', { head: { tokens: 63, priority: 90 } });
    expect(head.finish(0, head.session(40), 0)).toEqual([]);
  });
});

describe('sglang-soft@2 (retention specification 7, sglang#27970)', () => {
  it('idle exactly as long as the retention still protects, a moment more does not; a hit starts anew', () => {
    const shelf = new Shelf('sglang-soft@2', { priority: 7, ttl: 60_000 });
    const branch = shelf.put('b', 0, true);
    expect(shelf.store.priority(branch, 0, 60_000)).toBe(7);
    shelf.store.request(branch, 1, 60_000);
    expect(shelf.store.priority(branch, 0, 120_000)).toBe(7);
    expect(shelf.store.priority(branch, 0, 120_001)).toBe(0);
  });

  it('no retention and a retention of 0 are permanent, the latter is counted', () => {
    for (const params of [{ priority: 7 }, { priority: 7, ttl: 0 }]) {
      const shelf = new Shelf('sglang-soft@2', params);
      const branch = shelf.put('b', 0, true);
      expect(shelf.store.priority(branch, 0, 1e12)).toBe(7);
      expect((shelf.h.policy as LevelRetention).counters.permanentZero).toBe('ttl' in params ? 1 : 0);
    }
  });

  it('merges by level, then by retention, and everything stays evictable', () => {
    const branches = new Shelf('sglang-soft@2', { priority: 1 }).h.branches;
    const store = new ReferenceStore(branches);
    const branch = branches.add(-1, 0, 1);
    store.request(branch, 1, 0);
    const say = (priority: number, ttl: number): number => {
      const h = new RetentionHarness('sglang-soft@2', { priority, ttl });
      for (const action of h.finish(0, h.session(1), 0)) store.apply({ ...action, branch }, 0);
      return store.priority(branch, 0, 0)!;
    };
    expect(say(5, 10_000)).toBe(5);
    expect(say(3, 99_000)).toBe(5);
    expect(say(5, 20_000)).toBe(5);
    expect(say(5, 1000)).toBe(5);
    expect([20_000, 20_001].map((t) => store.priority(branch, 0, t))).toEqual([5, 0]);
    expect(store.evict(1, 20_002)).toHaveLength(1);
  });
});

describe('vllm-retain@2 (retention specification 3.4, 7; vllm#38514, #53423)', () => {
  const retain = [
    { fromBlocks: 0, toBlocks: 4, priority: 100, durationMs: 60_000 },
    { fromBlocks: 4, toBlocks: 99, priority: 10, durationMs: null },
  ];

  it('sets the levels that a request asks for, on the blocks it has, up to what a tenant may ask (14.2)', () => {
    const h = new RetentionHarness('vllm-retain@2', {});
    const sent = h.finish(0, h.session(10), 0, { hints: { retain } });
    expect(sent.map((a) => [a.fromBlocks, a.toBlocks, a.priority, a.untilMs])).toEqual([
      [0, 4, 80, 60_000],
      [4, 10, 10, Number.POSITIVE_INFINITY],
    ]);
    expect((h.policy as LevelRetention).counters.clippedPriority).toBe(1);
    expect(h.finish(0, h.session(10), 0)).toEqual([]);
  });

  it('level 0 releases', () => {
    const h = new RetentionHarness('vllm-retain@2', {});
    const store = new ReferenceStore(h.branches);
    const branch = h.session(10);
    store.request(branch, 10, 0);
    for (const action of h.finish(0, branch, 0, { hints: { retain } })) store.apply(action, 0);
    expect(store.priority(branch, 3, 1)).toBe(80);
    const release = [{ fromBlocks: 0, toBlocks: 10, priority: 0, durationMs: null }];
    for (const action of h.finish(0, branch, 1, { hints: { retain: release } })) store.apply(action, 1);
    expect([0, 9].map((i) => store.priority(branch, i, 1))).toEqual([0, 0]);
  });

  it('all claim 100 for an hour: the order is that without hints (14.2)', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 10, maxLength: 60 }), (reads) => {
        const run = (inflated: boolean): number[] => {
          const h = new RetentionHarness('vllm-retain@2', {});
          const store = new ReferenceStore(h.branches, { capacityBlocks: 12 });
          const branches = Array.from({ length: 10 }, () => h.session(3));
          const hints = { retain: [{ fromBlocks: 0, toBlocks: 3, priority: 100, durationMs: 3_600_000 }] };
          return reads.map((i, t) => {
            const hits = store.request(branches[i]!, 3, t);
            const sent = h.finish(i, branches[i]!, t, inflated ? { tenant: i % 3, hints } : {});
            for (const action of sent) store.apply(action, t);
            return hits;
          });
        };
        expect(run(true)).toEqual(run(false));
      }),
    );
  });

  it('two adjacent ranges are one (retention:M8), and a level that ends before pressure changes nothing (M15)', () => {
    const levels = (ranges: typeof retain): number[] => {
      const h = new RetentionHarness('vllm-retain@2', {});
      const store = new ReferenceStore(h.branches);
      const branch = h.session(10);
      store.request(branch, 10, 0);
      for (const action of h.finish(0, branch, 0, { hints: { retain: ranges } })) store.apply(action, 0);
      return [0, 3, 4, 7, 9].map((i) => store.priority(branch, i, 1)!);
    };
    const range = (fromBlocks: number, toBlocks: number) => ({ fromBlocks, toBlocks, priority: 50, durationMs: 1000 });
    expect(levels([range(0, 4), range(4, 8)])).toEqual(levels([range(0, 8)]));
    const shelf = new Shelf('vllm-retain@2', { priority: 50, ttl: 1000 });
    shelf.put('first', 0, true);
    shelf.put('second', 1);
    expect(shelf.evicted(2, 2000)).toEqual(['first', 'second']);
  });
});

describe('parameters of levels', () => {
  const code = (preset: string, params: Record<string, unknown>): string => {
    try {
      new RetentionHarness(preset, params);
    } catch (error) {
      const { code, path } = (error as UserError).problems[0]!;
      return `${code} ${path}`;
    }
    return 'fine';
  };

  it('are refused with a code and a path', () => {
    expect(code('trtllm@2', { priority: 101 })).toBe('E_RANGE trtllm@2.priority');
    expect(code('trtllm@2', { priority: 1.5 })).toBe('E_TYPE trtllm@2.priority');
    expect(code('trtllm@2', { priority: true })).toBe('E_TYPE trtllm@2.priority');
    expect(code('trtllm@2', { ttl: 5000 })).toBe('E_REQUIRED trtllm@2.priority');
    expect(code('trtllm@2', { priority: 50, ttl: Number.NaN })).toBe('E_TYPE trtllm@2.ttl');
    expect(code('trtllm@2', { head: 5 })).toBe('E_TYPE trtllm@2.head');
    expect(code('trtllm@2', { head: { tokens: 64 } })).toBe('E_REQUIRED trtllm@2.head.priority');
    expect(code('trtllm@2', { head: { tokens: 64, priority: 50, until: 9 } })).toBe('E_UNKNOWN_KEY trtllm@2.head.until');
    expect(code('sglang-soft@2', {})).toBe('E_REQUIRED sglang-soft@2.priority');
    expect(code('sglang-soft@2', { priority: 100 })).toBe('E_RANGE sglang-soft@2.priority');
    expect(code('vllm-retain@2', { priority: 1, ttl: 31 * 86_400_000 })).toBe('E_RANGE vllm-retain@2.ttl');
    expect(code('vllm-retain@2', { tenantMaxPriority: 101 })).toBe('E_RANGE vllm-retain@2.tenantMaxPriority');
  });
});
