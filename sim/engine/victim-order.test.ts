/** The order in which an allocation takes blocks, on both engines: worked examples of the retention specification 4.1, 6 and 7. */
import { describe, expect, it } from 'vitest';
import type { KvAction } from '../../control/ports.ts';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import { REMOVAL } from './removal.ts';
import type { EngineConfig, Ranker } from './worker.ts';
import { AffineTimer, engineConfig, Prompts, play, type WorkerInput } from './worker-fixtures.ts';

/** A time in s at which a block is released, read again and released, or an action on it. */
type Event = readonly [seconds: number, block: string, action?: Partial<KvAction>];

const NEVER = Number.POSITIVE_INFINITY;
const reference = (untilS: number, facts: Partial<KvAction> = {}): Partial<KvAction> => ({
  hardness: 'reference',
  untilMs: untilS * 1000,
  ...facts,
});
const retain = (priority: number, untilS: number, facts: Partial<KvAction> = {}): Partial<KvAction> => ({
  verb: 'retain',
  priority,
  untilMs: untilS * 1000,
  ...facts,
});

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine takes', (_, create) => {
  /** Names of the blocks in the order of their eviction at 99 s, with the reasons. */
  const evicted = (events: readonly Event[], config: Partial<EngineConfig> = {}): { order: string; reasons: Record<string, number> } => {
    const p = new Prompts(4);
    const names = [...new Set(events.map(([, block]) => block))];
    const branch = new Map(names.map((name) => [name, p.shared(1)]));
    const base = { verb: 'pin', rank: 0, session: 5, fromBlocks: 0, toBlocks: 1, hardness: 'soft', mode: 'max', tierFloor: 0 } as const;
    const inputs = events.map(([seconds, name, action], id): WorkerInput => {
      const tMs = seconds * 1000;
      if (action === undefined) {
        const request = p.request({ promptTokens: 5, outputTokens: 1, branch: branch.get(name)!, depth: 1, arrivalMs: tMs - 10 });
        return { tMs: tMs - 10, kind: 'submit', request };
      }
      const untilMs = 120_000;
      return { tMs, kind: 'action', action: { ...base, untilMs, onExpiry: 'trueLastAccess', branch: branch.get(name)!, ...action, id } };
    });
    const all = p.request({ promptTokens: 4 * (names.length + 1) - 1, outputTokens: 1, arrivalMs: 99_000 });
    inputs.push({ tMs: 99_000, kind: 'submit', request: all });
    const settings = engineConfig({ blocks: names.length + 2, maxBatchedTokens: 1024, ...config });
    const scene = {
      config: settings,
      branches: p.branches,
      timer: new AffineTimer({ baseMs: 10 }),
      inputs,
      links: null,
      checks: 'deep',
    } as const;
    const { sink } = play((parts) => create(parts), scene);
    const nameOf = new Map([...branch].map(([name, id]) => [id, name]));
    const removals = [...sink.removals.values()].filter((removal) => nameOf.has(removal.branch));
    const reasons = Object.fromEntries(removals.map((removal) => [nameOf.get(removal.branch)!, removal.reasons[0]!]));
    return { order: removals.map((removal) => nameOf.get(removal.branch)!).join(' '), reasons };
  };

  const TRT: readonly Event[] = [
    [1, 'Y'],
    [4, 'Z1'],
    [9, 'Z2'],
    [14, 'W'],
  ];

  it('Z1, Z2, Y, W after TensorRT-LLM put Y at the back when its level ended; Y first with trueLastAccess (7)', () => {
    const levelled = (facts: Partial<KvAction>): string =>
      evicted([...TRT, [1, 'Y', retain(80, 11, facts)]], { defaultPriority: 35 }).order;
    expect(levelled({ onExpiry: 'back' })).toBe('Z1 Z2 Y W');
    expect(levelled({ onExpiry: 'trueLastAccess' })).toBe('Y Z1 Z2 W');
    expect(levelled({ onExpiry: 'front' })).toBe('Y Z1 Z2 W');
    expect(levelled({ onExpiry: 'back', untilMs: NEVER })).toBe('Z1 Z2 W Y');
  });

  it('the same places after a claim or a reference ended', () => {
    for (const mark of [{ hardness: 'soft', untilMs: 11_000 }, { hardness: 'lease', untilMs: 11_000 }, reference(11)] as const) {
      expect(evicted([...TRT, [4, 'Z1', { ...mark, onExpiry: 'back' }]]).order).toBe('Y Z2 Z1 W');
      expect(evicted([...TRT, [9, 'Z2', { ...mark, onExpiry: 'front' }]]).order).toBe('Z2 Y Z1 W');
      expect(evicted([...TRT, [4, 'Z1', { ...mark, onExpiry: 'trueLastAccess' }]]).order).toBe('Y Z1 Z2 W');
      expect(evicted([...TRT, [4, 'Z1', { ...mark, onExpiry: 'drop' }]]).order).toBe('Z1 Y Z2 W');
    }
  });

  it('several blocks that go back at one time in the order in which they stood', () => {
    const back = reference(11, { onExpiry: 'back' });
    expect(evicted([...TRT, [9, 'Z2', back], [9, 'Y', back]]).order).toBe('Z1 Y Z2 W');
  });

  it('class by class: garbage, ordinary, referenced by a session, soft, lease (4.1)', () => {
    const events: Event[] = [
      [1, 'lease'],
      [2, 'soft'],
      [3, 'live'],
      [4, 'plain'],
      [5, 'closed'],
      [6, 'newest'],
    ];
    const acts: Event[] = [
      [20, 'lease', { hardness: 'lease' }],
      [20, 'soft', { hardness: 'soft' }],
      [20, 'live', reference(120)],
      [20, 'closed', { verb: 'demote', why: 'closed' }],
    ];
    const { order, reasons } = evicted([...events, ...acts]);
    expect(order).toBe('closed plain newest live soft lease');
    expect(reasons).toEqual({
      closed: REMOVAL.released,
      plain: REMOVAL.capacity,
      newest: REMOVAL.capacity,
      live: REMOVAL.capacity,
      soft: REMOVAL.claimBroken,
      lease: REMOVAL.claimBroken,
    });
  });

  it('expired and unreferenced before expired but referenced before live claims (lists A, B, C of vLLM RFC 52113)', () => {
    const claim = { untilMs: 15_000 };
    const events: Event[] = [
      [1, 'C'],
      [2, 'B'],
      [3, 'A'],
    ];
    const acts: Event[] = [
      [10, 'A', claim],
      [10, 'B', claim],
      [10, 'B', reference(120)],
      [10, 'C', { untilMs: 120_000 }],
    ];
    const { order, reasons } = evicted([...events, ...acts]);
    expect(order).toBe('A B C');
    expect(reasons).toEqual({ A: REMOVAL.afterClaim, B: REMOVAL.afterClaim, C: REMOVAL.claimBroken });
  });

  it('garbage with its cause, in queue order; a hit makes it ordinary, a reference protects it again', () => {
    const events: Event[] = [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'd'],
      [5, 'e'],
    ];
    const acts: Event[] = [
      [10, 'c', { verb: 'demote', why: 'superseded' }],
      [10, 'b', { verb: 'demote', toTier: 'none', why: 'timeout' }],
      [10, 'd', { verb: 'demote', why: 'compacted' }],
      [10, 'e', { verb: 'demote' }],
      [20, 'd'],
      [30, 'e', reference(120)],
    ];
    const { order, reasons } = evicted([...events, ...acts]);
    expect(order).toBe('b c a d e');
    expect(reasons).toEqual({ b: REMOVAL.timeout, c: REMOVAL.superseded, a: REMOVAL.capacity, d: REMOVAL.capacity, e: REMOVAL.capacity });
  });

  it('references by their last access, the later deadline holding, and not after it', () => {
    const events: Event[] = [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'd'],
    ];
    expect(evicted([...events, [10, 'b', reference(120)], [10, 'a', reference(50)]]).order).toBe('a c d b');
    expect(evicted([...events, [10, 'a', reference(100)], [11, 'a', reference(50)], [10, 'b', reference(90)]]).order).toBe('b c d a');
    // A hit refreshes it.
    expect(evicted([...events, [10, 'b', reference(50, { refreshMs: 60_000 })], [45, 'b'], [46, 'a']]).order).toBe('c d a b');
  });

  it('lower levels of a class first, whatever was used last; a claim outweighs a level', () => {
    const events: Event[] = [
      [1, 'p80'],
      [2, 'p0'],
      [3, 'plain'],
      [4, 'p100'],
      [5, 'p20'],
      [6, 'soft'],
    ];
    const acts: Event[] = [
      [10, 'p80', retain(80, NEVER)],
      [10, 'p0', retain(0, NEVER)],
      [10, 'p100', retain(100, NEVER)],
      [10, 'p20', retain(20, NEVER)],
      [10, 'soft', retain(0, NEVER)],
      [11, 'soft', { untilMs: 100_000 }],
    ];
    expect(evicted([...events, ...acts], { defaultPriority: 35 }).order).toBe('p0 p20 plain p80 p100 soft');
    expect(evicted([...events, ...acts]).order).toBe('p0 plain p20 p80 p100 soft');
  });

  it('claims by level, then by deadline', () => {
    const events: Event[] = [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ];
    const acts: Event[] = [
      [10, 'a', { untilMs: 150_000 }],
      [10, 'b', { untilMs: 140_000 }],
      [10, 'c', { untilMs: 130_000 }],
      [11, 'c', retain(9, NEVER)],
    ];
    expect(evicted([...events, ...acts]).order).toBe('b a c');
  });

  it('levels merged: the higher, then the later deadline (SGLang); a replacement counts alone; the default level is a release', () => {
    const events: Event[] = [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ];
    const max = { priorityMerge: 'max' } as const;
    const order = (...acts: readonly Partial<KvAction>[]) => evicted([...events, ...acts.map((act, i): Event => [10 + i, 'a', act])]).order;
    expect(order(retain(60, NEVER), retain(50, NEVER, max))).toBe('b c a');
    expect(order(retain(60, NEVER, max), retain(60, 50, max))).toBe('b c a');
    expect(order(retain(60, NEVER, max), retain(90, 50, max))).toBe('a b c');
    expect(order(retain(60, NEVER), retain(90, 50))).toBe('a b c');
    expect(order(retain(60, NEVER), retain(0, NEVER))).toBe('a b c');
  });

  it('what a hit left: the deadline moves, stays, or is gone and the level with it for good (TensorRT-LLM clears it)', () => {
    const events: Event[] = [
      [1, 'a'],
      [2, 'b'],
      [50, 'a'],
      [60, 'b'],
    ];
    expect(evicted([...events, [10, 'a', retain(80, 90)]]).order).toBe('a b');
    expect(evicted([...events, [10, 'a', retain(80, 90, { reclaim: 'clear' })]]).order).toBe('b a');
    expect(evicted([...events, [10, 'a', retain(80, 90, { refreshMs: 60_000 })]]).order).toBe('b a');
  });
});

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine', (_, create) => {
  it('takes the tail of a path before its head: p2, p1, q1, p0 (6, R1)', () => {
    const p = new Prompts(4);
    const path = p.shared(3);
    const side = p.shared(1, path, 1);
    const inputs: WorkerInput[] = [
      { tMs: 0, kind: 'submit', request: p.request({ promptTokens: 13, outputTokens: 1, branch: path, depth: 3 }) },
      { tMs: 50, kind: 'submit', request: p.request({ promptTokens: 9, outputTokens: 1, branch: side, depth: 2 }) },
      { tMs: 100, kind: 'submit', request: p.request({ promptTokens: 19, outputTokens: 1 }) },
    ];
    const config = engineConfig({ blocks: 6, maxBatchedTokens: 1024 });
    const scene = { config, branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), inputs, links: null, checks: 'deep' } as const;
    const { sink } = play((parts) => create(parts), scene);
    const removed = [...sink.removals.values()].map(({ branch, offset }) => (branch === path ? `p${offset}` : 'q1'));
    // The engines tell ranges: inside one the order is free, from the deep end in both.
    expect(removed.join(' ')).toMatch(/^(p2 p1|p1 p2) q1 p0$/);
  });

  it('refuses levels outside 0..100, no level at all, deadlines that are no time or past', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const base = {
      verb: 'retain',
      rank: 0,
      session: 5,
      branch,
      fromBlocks: 0,
      toBlocks: 2,
      untilMs: 1000,
      hardness: 'soft',
      mode: 'max',
    } as const;
    const acts: Partial<KvAction>[] = [
      { priority: 101 },
      { priority: -1 },
      { priority: 1.5 },
      {},
      { priority: 50, untilMs: Number.NaN },
      { priority: 50, untilMs: 1 },
      { verb: 'pin', hardness: 'reference', untilMs: NEVER },
    ];
    const inputs: WorkerInput[] = [
      { tMs: 0, kind: 'submit', request: p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 }) },
      ...acts.map((act, id): WorkerInput => ({ tMs: 20, kind: 'action', action: { ...base, onExpiry: 'drop', tierFloor: 0, ...act, id } })),
    ];
    const scene = { config: engineConfig({}), branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), inputs, links: null } as const;
    const { sink } = play((parts) => create(parts), scene);
    const settled = sink.calls.filter((call) => call.what === 'settled').map((call) => call.facts.slice(1, 3).join(' '));
    expect(settled).toEqual(acts.map(() => 'rejected invalid'));
  });
});

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('rankers of the %s engine', (_, create) => {
  /** a stored first and hit twice, b hit once, c hit twice at last, d stored last: evicted in which order. */
  const order = (ranker: Ranker): string => {
    const p = new Prompts(4);
    const branch = { a: p.shared(1), b: p.shared(1), c: p.shared(1), d: p.shared(1) };
    const reads = ['a', 'b', 'c', 'a', 'a', 'b', 'd', 'c', 'c'] as const;
    const inputs = reads.map((name, i): WorkerInput => {
      const request = p.request({ promptTokens: 5, outputTokens: 1, branch: branch[name], depth: 1, arrivalMs: 20 * i });
      return { tMs: 20 * i, kind: 'submit', request };
    });
    inputs.push({ tMs: 900, kind: 'submit', request: p.request({ promptTokens: 19, outputTokens: 1, arrivalMs: 900 }) });
    const config = engineConfig({ blocks: 6, maxBatchedTokens: 1024, ranker, prefillMsPerToken: 1 });
    const scene = { config, branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), inputs, links: null, checks: 'deep' } as const;
    const { sink } = play((parts) => create(parts), scene);
    const names = new Map(Object.entries(branch).map(([name, id]) => [id, name]));
    return [...sink.removals.values()].map((removal) => names.get(removal.branch)).join(' ');
  };

  it('order by last access, hits, two hits or more, time of the store, or against the last access (6, R3)', () => {
    expect(order('lru')).toBe('a b d c');
    expect(order('lfu')).toBe('d b a c');
    expect(order('slru')).toBe('b d a c');
    expect(order('fifo')).toBe('a b c d');
    expect(order('mru')).toBe('c d b a');
  });

  it('gdsf by reads times recompute cost, the key of the last victim added: what was hot ages (6, R6)', () => {
    expect(order('gdsf')).toBe('d b a c');
  });

  it('tlru by what the next turn of a conversation can recompute in time: excess tails first, then by last access (6, R8)', () => {
    const p = new Prompts(4);
    const chains = { A: p.shared(4), B: p.shared(3) };
    const inputs: WorkerInput[] = [
      { tMs: 0, kind: 'submit', request: p.request({ promptTokens: 17, outputTokens: 1, branch: chains.A, depth: 4, session: 1 }) },
      {
        tMs: 50,
        kind: 'submit',
        request: p.request({ promptTokens: 13, outputTokens: 1, branch: chains.B, depth: 3, session: 2, arrivalMs: 50 }),
      },
      { tMs: 100, kind: 'submit', request: p.request({ promptTokens: 35, outputTokens: 1, arrivalMs: 100 }) },
    ];
    const groups = (ranker: Ranker): string => {
      // 8 ms at 1 ms per token: two blocks.
      const config = engineConfig({ blocks: 10, maxBatchedTokens: 1024, ranker, prefillMsPerToken: 1, ttftTargetMs: 8 });
      const scene = { config, branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), inputs, links: null, checks: 'deep' } as const;
      const { sink } = play((parts) => create(parts), scene);
      const runs: { name: string; offsets: number[] }[] = [];
      for (const { branch, offset } of sink.removals.values()) {
        const name = branch === chains.A ? 'A' : 'B';
        if (runs.at(-1)?.name !== name) runs.push({ name, offsets: [] });
        runs.at(-1)!.offsets.push(offset);
      }
      return runs.map(({ name, offsets }) => name + offsets.toSorted((a, b) => a - b).join('')).join(' ');
    };
    expect(groups('lru')).toBe('A0123 B012');
    expect(groups('tlru')).toBe('A23 B12 A01 B0');
  });
});
