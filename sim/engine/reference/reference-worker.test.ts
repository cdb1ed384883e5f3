import { describe, expect, it } from 'vitest';
import type { KvAction } from '../../../control/ports.ts';
import type { EngineConfig } from '../worker.ts';
import { AffineTimer, engineConfig, type Performance, Prompts, play, type WorkerInput } from '../worker-fixtures.ts';
import { createReferenceWorker } from './reference-worker.ts';

/** Links on which one block of one byte takes 1 ms each way. */
const SLOW_LINKS = { gpus: 8, h2dBytesPerMs: 1, d2hBytesPerMs: 1, duplexBytesPerMs: 2, dramBytesPerMs: 100 };

function run(prompts: Prompts, inputs: readonly WorkerInput[], config: Partial<EngineConfig> = {}, stepMs = 10): Performance {
  const scene = { config: engineConfig(config), branches: prompts.branches, timer: new AffineTimer({ baseMs: stepMs }), inputs };
  return play((parts) => createReferenceWorker(parts), { ...scene, links: SLOW_LINKS, checks: 'deep' });
}

const submit = (tMs: number, request: ReturnType<Prompts['request']>): WorkerInput => ({ tMs, kind: 'submit', request });

const act = (tMs: number, action: Partial<KvAction> & Pick<KvAction, 'branch' | 'toBlocks'>): WorkerInput => ({
  tMs,
  kind: 'action',
  action: {
    id: 0,
    verb: 'pin',
    rank: 0,
    session: 5,
    fromBlocks: 0,
    untilMs: 1e6,
    hardness: 'soft',
    mode: 'max',
    onExpiry: 'trueLastAccess',
    tierFloor: 0,
    ...action,
  },
});

function calls(performance: Performance, what: string): unknown[][] {
  return performance.sink.calls.filter((call) => call.what === what).map((call) => [call.tMs, ...call.facts]);
}

const groups = (performance: Performance) =>
  performance.sink.groups.map((g) => `${g.publishedMs} ${g.kind} ${g.tier === 0 ? 'hbm' : 'host'} ${g.branch}:${g.offsets}`);

describe('degenerate input', () => {
  it.each([
    ['an empty prompt', { promptTokens: 0, outputTokens: 1 }, {}, 'rejected', 'empty_prompt'],
    ['a prompt at the context limit', { promptTokens: 16, outputTokens: 1 }, { maxModelLen: 16 }, 'rejected', 'context_limit'],
    ['a prompt larger than the pool', { promptTokens: 17, outputTokens: 1 }, { blocks: 5 }, 'rejected', 'kv_too_small'],
    ['no output: the token is not delivered', { promptTokens: 5, outputTokens: 0 }, {}, 'finished', 'prefill_only'],
  ])('%s', (_name, facts, config, status, reason) => {
    const p = new Prompts(4);
    const done = run(p, [submit(0, p.request(facts))], config);
    expect(calls(done, 'ended')).toEqual([[status === 'finished' ? 10 : 0, 0, status, 0, reason]]);
    expect(calls(done, 'firstToken')).toEqual([]);
  });

  it('a duplicate id is an error', () => {
    const p = new Prompts(4);
    const request = p.request({ promptTokens: 5, outputTokens: 1 });
    expect(() => run(p, [submit(0, request), submit(3, request)])).toThrow('request 0 was submitted before');
  });

  it('a missing priority counts as 0', () => {
    const p = new Prompts(4);
    const facts = { promptTokens: 4, outputTokens: 1 };
    const inputs = [
      submit(0, p.request({ ...facts, priority: 1 })),
      submit(0, p.request({ ...facts, priority: Number.NaN, arrivalMs: 0 })),
      submit(0, p.request({ ...facts, priority: -1 })),
    ];
    const done = run(p, inputs, { policy: 'priority', maxSeqs: 1 });
    expect(calls(done, 'admitted').map((c) => c[1])).toEqual([2, 1, 0]);
  });
});

describe('token times', () => {
  it('reports gaps of one step as one call and late ones alone', () => {
    // A decodes alone, B is preempted between its tokens: its gap spans several steps.
    const p = new Prompts(4);
    const facts = { promptTokens: 8, outputTokens: 9 };
    const inputs = [submit(0, p.request(facts)), submit(0, p.request(facts)), submit(0, p.request(facts))];
    const done = run(p, inputs, { blocks: 8 }, 1);
    const gaps = new Map<number, number>();
    for (const gap of done.sink.gapsMs) gaps.set(gap, (gaps.get(gap) ?? 0) + 1);
    // M7: C waits from step 2 to step 10 (9 ms), B from step 6 to step 10 (5 ms); 3 x 8 gaps in all.
    expect([...gaps].sort((a, b) => a[0] - b[0])).toEqual([
      [1, 22],
      [5, 1],
      [9, 1],
    ]);
  });
});

describe('aborts', () => {
  it('end a queued request at once and a running one at the end of its step, without the token', () => {
    const p = new Prompts(4);
    const inputs: WorkerInput[] = [
      submit(0, p.request({ promptTokens: 4, outputTokens: 9 })),
      submit(0, p.request({ promptTokens: 4, outputTokens: 9 })),
      { tMs: 13, kind: 'abort', id: 1 },
      { tMs: 25, kind: 'abort', id: 0 },
      { tMs: 26, kind: 'abort', id: 77 },
    ];
    const done = run(p, inputs, { maxSeqs: 1 });
    expect(calls(done, 'ended')).toEqual([
      [13, 1, 'aborted', 0, 'abort'],
      [30, 0, 'aborted', 2, 'abort'],
    ]);
    expect(done.counters.wastedTokens).toBe(1);
  });

  it('at the very end of a step find its output applied', () => {
    const p = new Prompts(4);
    const inputs: WorkerInput[] = [submit(0, p.request({ promptTokens: 4, outputTokens: 9 })), { tMs: 20, kind: 'abort', id: 0 }];
    expect(calls(run(p, inputs), 'ended')).toEqual([[20, 0, 'aborted', 2, 'abort']]);
  });
});

describe('claims', () => {
  const conversation = (secondMs: number, until: number) => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
    const inputs = [
      submit(0, p.request(facts)),
      act(20, { branch, toBlocks: 2, untilMs: until, onExpiry: 'drop' as const }),
      submit(secondMs, p.request(facts)),
    ];
    return run(p, inputs);
  };

  it('protect up to and including the deadline: a read at exactly `until` hits', () => {
    expect(calls(conversation(300, 300), 'admitted')[1]).toEqual([300, 1, 9, 8, 0, true]);
    expect(calls(conversation(300.125, 300), 'admitted')[1]).toEqual([300.125, 1, 9, 0, 0, true]);
  });

  it('drop what they covered at the deadline and publish it at once when no step runs', () => {
    const done = conversation(1000, 300);
    expect(groups(done).slice(0, 2)).toEqual(['10 stored hbm 0:0,1', '300 removed hbm 0:0,1']);
    expect(done.counters).toMatchObject({ claimsExpired: 2, hbmExpiredBlocks: 2 });
    expect(calls(done, 'settled')).toEqual([[20, 0, 'accepted', '', 2, 2]]);
  });

  it('settle as clipped or missing when blocks are not resident, and refuse nonsense', () => {
    const p = new Prompts(4);
    const branch = p.shared(4);
    const other = p.shared(1);
    const inputs = [
      submit(0, p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 })),
      act(20, { id: 1, branch, toBlocks: 4 }),
      act(20, { id: 2, branch: other, toBlocks: 1 }),
      act(20, { id: 3, branch, toBlocks: 2, untilMs: 19 }),
      act(20, { id: 4, branch, toBlocks: 2, untilMs: Number.POSITIVE_INFINITY }),
      act(20, { id: 5, branch, toBlocks: 5 }),
      act(20, { id: 6, branch, toBlocks: 2, verb: 'retain' }),
      act(20, { id: 7, branch, toBlocks: 2, verb: 'prefetch' }),
    ];
    expect(calls(run(p, inputs), 'settled').map((c) => c.slice(1))).toEqual([
      [1, 'clipped', 'notResident', 2, 4],
      [2, 'missing', '', 0, 1],
      [3, 'rejected', 'invalid', 0, 2],
      [4, 'rejected', 'invalid', 0, 2],
      [5, 'rejected', 'invalid', 0, 5],
      [6, 'rejected', 'invalid', 0, 2],
      [7, 'rejected', 'unsupported', 0, 2],
    ]);
  });

  it('are broken by a running request before anybody is preempted', () => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const inputs = [
      submit(0, p.request({ promptTokens: 13, outputTokens: 1, branch, depth: 3 })),
      act(20, { branch, toBlocks: 3, hardness: 'lease' }),
      submit(30, p.request({ promptTokens: 8, outputTokens: 6 })),
    ];
    const done = run(p, inputs, { blocks: 6 });
    expect(done.counters).toMatchObject({ preemptions: 0, claimsBroken: 2 });
    // 5 usable, 3 leased, R takes 2 and needs a third at its 2nd token and a fourth at its 6th.
    expect(calls(done, 'claimBroken')).toEqual([
      [40, 5, 1],
      [80, 5, 1],
    ]);
  });

  it('keep a prefix alive that LRU would have evicted', () => {
    const hits = (pinned: boolean) => {
      const p = new Prompts(4);
      const branch = p.shared(2);
      const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
      const inputs = [
        submit(0, p.request(facts)),
        ...(pinned ? [act(10, { branch, toBlocks: 2 })] : []),
        submit(20, p.request({ promptTokens: 12, outputTokens: 1 })),
        submit(40, p.request({ promptTokens: 12, outputTokens: 1 })),
        submit(60, p.request(facts)),
      ];
      return run(p, inputs, { blocks: 7 }).counters.hitHbmTokensFirst;
    };
    expect([hits(false), hits(true)]).toEqual([0, 8]);
  });
});

describe('watermark', () => {
  it('binds while others run and never when nothing runs', () => {
    const p = new Prompts(4);
    const inputs = [
      submit(0, p.request({ promptTokens: 28, outputTokens: 2 })),
      submit(0, p.request({ promptTokens: 4, outputTokens: 1 })),
    ];
    const done = run(p, inputs, { blocks: 11, watermark: 0.4 });
    // 10 usable, watermark 4: the first needs 7, which leaves 3; the second would leave 2, then 1.
    expect(calls(done, 'admitted').map((c) => c.slice(0, 2))).toEqual([
      [0, 0],
      [20, 1],
    ]);
    expect(done.counters.blockedByWatermark).toBe(2);
  });
});

describe('host tier', () => {
  const HOST = { hostBlocks: 16, blocks: 7 };

  /** A prefix of 2 blocks computed at 0, pushed out of HBM at 40, wanted again at 100. */
  const revisit = (config: Partial<EngineConfig> = {}) => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
    const inputs = [
      submit(0, p.request(facts)),
      submit(40, p.request({ promptTokens: 21, outputTokens: 1 })),
      submit(100, p.request(facts)),
    ];
    return run(p, inputs, { ...HOST, ...config });
  };

  it('is written through after the step and read back before admission', () => {
    const done = revisit();
    // The restore takes the hash-less block and one cached one; the computed rest takes the next.
    expect(groups(done)).toEqual([
      '10 stored hbm 0:0,1',
      '12 stored host 0:0,1',
      '50 removed hbm 0:0,1',
      '50 stored hbm 2:0,1,2,3,4',
      '55 stored host 2:0,1,2,3,4',
      '100 removed hbm 2:4',
      '112 stored hbm 0:0,1',
      '112 removed hbm 2:3',
    ]);
    expect(calls(done, 'restoring')).toEqual([[100, 2, 8]]);
    expect(calls(done, 'admitted').at(-1)).toEqual([102, 2, 9, 0, 8, true]);
    expect(done.counters).toMatchObject({ hostStoredBlocks: 7, hostReadBytes: 2, hostWriteBytes: 7, hitHostTokensFirst: 8 });
  });

  it('keeps only prompt blocks if told so', () => {
    const stored = (config: Partial<EngineConfig>) => {
      const p = new Prompts(4);
      return run(p, [submit(0, p.request({ promptTokens: 9, outputTokens: 5 }))], { ...HOST, ...config }).counters.hostStoredBlocks;
    };
    // 9 + 5 - 1 = 13 computed tokens: 3 full blocks, 2 of them prompt.
    expect([stored({}), stored({ storePromptOnly: true })]).toEqual([3, 2]);
  });

  it('stores a block at its second lookup under storeThreshold 2', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
    const inputs = [
      submit(0, p.request(facts)),
      submit(40, p.request({ promptTokens: 21, outputTokens: 1 })),
      submit(100, p.request(facts)),
    ];
    expect(run(p, inputs, { ...HOST, storeThreshold: 2 }).counters.hostStoredBlocks).toBe(2);
  });

  it('starts no more loads at once than maxSeqs', () => {
    const p = new Prompts(4);
    const one = { promptTokens: 9, outputTokens: 1, branch: p.shared(2), depth: 2 };
    const two = { promptTokens: 9, outputTokens: 1, branch: p.shared(2), depth: 2 };
    const inputs = [
      submit(0, p.request(one)),
      submit(20, p.request(two)),
      submit(60, p.request({ promptTokens: 33, outputTokens: 1 })),
      submit(150, p.request(one)),
      submit(150, p.request(two)),
    ];
    const restores = (maxSeqs: number) =>
      calls(run(p, inputs, { hostBlocks: 32, blocks: 10, maxBatchedTokens: 64, maxSeqs }), 'restoring').map((c) => c[0]);
    expect(restores(2)).toEqual([150, 150]);
    expect(restores(1)).toEqual([150, 162]);
  });

  it('is not read when onboarding is off, below the threshold, or dearer than computing', () => {
    const hostHits = (config: Partial<EngineConfig>) => revisit(config).counters.hitHostTokensFirst;
    expect(hostHits({ onboard: 'never' })).toBe(0);
    expect(hostHits({ onboard: { thresholdTokens: 9 } })).toBe(0);
    expect(hostHits({ onboard: { thresholdTokens: 8 } })).toBe(8);
    // Loading 2 blocks takes 2 ms; computing 8 tokens costs 8 x 0.25 = 2 ms plus the pair term.
    expect(hostHits({ onboard: 'cheaper', prefillMsPerToken: 0.25 })).toBe(0);
    expect(hostHits({ onboard: 'cheaper', prefillMsPerToken: 0.25, prefillMsPerPair: 0.001 })).toBe(8);
  });

  it('keeps the blocks of a finished request until its store has left', () => {
    const p = new Prompts(4);
    const inputs: WorkerInput[] = [
      submit(0, p.request({ promptTokens: 16, outputTokens: 1 })),
      { tMs: 12, kind: 'probe', chains: [] },
      { tMs: 14, kind: 'probe', chains: [] },
    ];
    const done = run(p, inputs, HOST);
    expect(done.observations.map((o) => o.view.kvReferencedBlocks)).toEqual([4, 0]);
    expect(done.observations.map((o) => o.view.hostUsedBlocks)).toEqual([4, 4]);
  });

  it('skips a batch without room and offers it again after the next step', () => {
    const p = new Prompts(4);
    const done = run(p, [submit(0, p.request({ promptTokens: 12, outputTokens: 3 }))], { ...HOST, hostBlocks: 2 });
    expect(done.counters).toMatchObject({ hostSkippedFullBlocks: 9, hostStoredBlocks: 0 });
  });

  it('loads a prefix once for two requests: the second waits and then hits HBM', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
    const inputs = [
      submit(0, p.request(facts)),
      submit(40, p.request({ promptTokens: 33, outputTokens: 1 })),
      submit(100, p.request(facts)),
      submit(100, p.request(facts)),
    ];
    const done = run(p, inputs, { hostBlocks: 16, blocks: 10, maxBatchedTokens: 64 });
    expect(calls(done, 'restoring')).toEqual([[100, 2, 8]]);
    expect(calls(done, 'admitted').slice(2)).toEqual([
      [102, 2, 9, 0, 8, true],
      [102, 3, 9, 8, 0, true],
    ]);
  });

  it('adds the flush of a preempted request to the next step', () => {
    // B's store of 2 blocks (2 GB-like bytes, 200 ms) is in flight when B is preempted at 10; A's step waits for it.
    const p = new Prompts(4);
    const facts = { promptTokens: 8, outputTokens: 5 };
    const config = { blocks: 6, hostBlocks: 16, blockBytesPerGpu: 100 };
    const done = run(p, [submit(0, p.request(facts)), submit(0, p.request(facts))], config);
    // Two stores of 200 bytes share the link from 10 on: B's has 400 ms left when the schedule at 10 preempts it.
    expect(calls(done, 'preempted')).toEqual([[10, 1]]);
    expect(done.sink.gapsMs.filter((gap) => gap === 410)).toHaveLength(1);
    expect(done.counters.hostStoredBlocks).toBeGreaterThanOrEqual(4);
  });

  it('holds the blocks of an aborted restore until the transfer ends', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
    const inputs: WorkerInput[] = [
      submit(0, p.request(facts)),
      submit(40, p.request({ promptTokens: 21, outputTokens: 1 })),
      submit(100, p.request(facts)),
      { tMs: 101, kind: 'abort', id: 2 },
      { tMs: 101.5, kind: 'probe', chains: [] },
      { tMs: 103, kind: 'probe', chains: [] },
    ];
    const done = run(p, inputs, HOST);
    expect(calls(done, 'ended').at(-1)).toEqual([101, 2, 'aborted', 0, 'abort']);
    expect(done.observations.map((o) => o.view.kvReferencedBlocks)).toEqual([2, 0]);
  });

  it('prefetches a range that fell out of HBM, and the request hits it', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const facts = { promptTokens: 9, outputTokens: 1, branch, depth: 2 };
    const inputs = [
      submit(0, p.request(facts)),
      submit(40, p.request({ promptTokens: 21, outputTokens: 1 })),
      act(90, { branch, toBlocks: 2, verb: 'prefetch' as const }),
      submit(100, p.request(facts)),
    ];
    const done = run(p, inputs, HOST);
    expect(calls(done, 'settled')).toEqual([[92, 0, 'accepted', '', 2, 2]]);
    expect(calls(done, 'admitted').at(-1)).toEqual([100, 2, 9, 8, 0, true]);
  });

  it('gives up a prefetch when a request needs its blocks', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const inputs = [
      submit(0, p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 })),
      submit(40, p.request({ promptTokens: 21, outputTokens: 1 })),
      act(90, { branch, toBlocks: 2, verb: 'prefetch' as const }),
      submit(91, p.request({ promptTokens: 23, outputTokens: 1 })),
    ];
    const done = run(p, inputs, HOST);
    expect(calls(done, 'settled')).toEqual([[91, 0, 'rejected', 'progress', 0, 2]]);
    expect(calls(done, 'admitted').at(-1)!.slice(0, 2)).toEqual([91, 2]);
  });
});

describe('lifecycle', () => {
  const two = () => {
    const p = new Prompts(4);
    const facts = { promptTokens: 4, outputTokens: 9 };
    return { p, inputs: [submit(0, p.request(facts)), submit(0, p.request(facts))] };
  };

  it('a crash loses every request, the step in progress and the cache', () => {
    const { p, inputs } = two();
    const late = submit(30, p.request({ promptTokens: 4, outputTokens: 1 }));
    const again = submit(40, p.request({ promptTokens: 4, outputTokens: 1, leaf: 0 }));
    const done = run(p, [...inputs, { tMs: 25, kind: 'crash' }, late, { tMs: 35, kind: 'restart' }, again], { maxSeqs: 1 });
    expect(calls(done, 'ended')).toEqual([
      [25, 0, 'lost', 2, 'crash'],
      [25, 1, 'lost', 0, 'crash'],
      [30, 2, 'lost', 0, 'down'],
      [50, 3, 'finished', 1, 'length'],
    ]);
    expect(calls(done, 'admitted').at(-1)).toEqual([40, 3, 4, 0, 0, true]);
    expect(done.sink.groups.map((g) => g.epoch)).toEqual([0, 1]);
    expect(done.counters.busyMs).toBe(30);
  });

  it('a drain hands back late submits at once and what is left at the deadline', () => {
    const { p, inputs } = two();
    const late = submit(12, p.request({ promptTokens: 4, outputTokens: 1 }));
    const done = run(p, [...inputs, { tMs: 11, kind: 'drain', deadlineMs: 33 }, late], { maxSeqs: 1 });
    expect(calls(done, 'ended')).toEqual([
      [12, 2, 'handback', 0, 'draining'],
      [33, 0, 'handback', 3, 'drained'],
      [33, 1, 'handback', 0, 'drained'],
    ]);
  });

  it('a slow-down stretches the remaining part of the step in progress', () => {
    const p = new Prompts(4);
    const inputs: WorkerInput[] = [
      submit(0, p.request({ promptTokens: 4, outputTokens: 3 })),
      { tMs: 4, kind: 'slowdown', factor: 2 },
      { tMs: 20, kind: 'slowdown', factor: 1 },
    ];
    // 4 + 6 x 2 = 16; the next step would end at 36 and ends at 20 + 16 / 2 = 28; then 38.
    expect(calls(run(p, inputs), 'firstToken')).toEqual([[16, 0]]);
    expect(calls(run(p, inputs), 'ended')).toEqual([[38, 0, 'finished', 3, 'length']]);
  });
});
