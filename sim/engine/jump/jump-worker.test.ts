import { describe, expect, it } from 'vitest';
import { KV_CLEARED, KV_STORED, type KvEventBatch } from '../../../control/ports.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { emptyLoadView } from '../empty-load-view.ts';
import type { EngineConfig, EngineRequest, Worker } from '../worker.ts';
import { AffineTimer, engineConfig, type Performance, Prompts, play, RecordingSink, type WorkerInput } from '../worker-fixtures.ts';
import { createJumpWorker } from './create-jump-worker.ts';
import { JumpWorker } from './jump-worker.ts';

const submit = (tMs: number, request: EngineRequest): WorkerInput => ({ tMs, kind: 'submit', request });

/** Steps of 10 ms; links on which one block of one byte takes 1 ms. */
function run(prompts: Prompts, inputs: readonly WorkerInput[], config: Partial<EngineConfig> = {}): Performance {
  const links = { gpus: 1, h2dBytesPerMs: 1, d2hBytesPerMs: 1, duplexBytesPerMs: 2, dramBytesPerMs: 8 };
  const scene = { config: engineConfig(config), branches: prompts.branches, timer: new AffineTimer({ baseMs: 10 }), inputs };
  return play(createJumpWorker, { ...scene, links, checks: 'deep' });
}

/** `[time, HBM hit]` of each admission of a request. */
const hits = (done: Performance, id: number) =>
  done.sink.calls.filter((c) => c.what === 'admitted' && c.facts[0] === id).map((c) => [c.tMs, c.facts[2]]);
const times = (done: Performance, what: string, id: number) => done.sink.times(what, id);

describe('micro-scenarios of the engine specification, as far as they show without block ids', () => {
  it('M1: chunks a prompt and serves running requests first', () => {
    const p = new Prompts(4);
    const [a, b] = [p.request({ promptTokens: 20, outputTokens: 3 }), p.request({ promptTokens: 6, outputTokens: 2 })];
    const done = run(p, [submit(0, a), submit(0, b)], { maxBatchedTokens: 8 });
    expect([times(done, 'firstToken', 0), times(done, 'ended', 0)]).toEqual([[30], [50]]);
    expect([times(done, 'firstToken', 1), times(done, 'ended', 1)]).toEqual([[40], [50]]);
    expect(done.counters.steps).toBe(5);
  });

  it('M2: a threshold lets the later arrival overtake, and both compute the middle blocks', () => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const facts = { promptTokens: 13, outputTokens: 1, branch, depth: 3 };
    const done = run(p, [submit(0, p.request(facts)), submit(0, p.request(facts))], { maxBatchedTokens: 16, longPrefillThreshold: 4 });
    expect(hits(done, 1)).toEqual([[0, 4]]);
    expect([times(done, 'ended', 0), times(done, 'ended', 1)]).toEqual([[40], [30]]);
    expect(done.counters.duplicateBlocks).toBe(2);
  });

  it('M3: a sibling of the same step hits what the first one is about to compute', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const [a, b] = [11, 10].map((promptTokens) => p.request({ promptTokens, outputTokens: 1, branch, depth: 2 }));
    expect(hits(run(p, [submit(0, a!), submit(0, b!)]), 1)).toEqual([[0, 8]]);
    const q = new Prompts(4);
    const long = { promptTokens: 17, outputTokens: 1, branch: q.shared(4), depth: 4 };
    const later = run(q, [submit(0, q.request(long)), submit(0, q.request(long))], { maxBatchedTokens: 8 });
    expect(hits(later, 1)).toEqual([[20, 16]]);
  });

  it('M4: a fully cached aligned prompt recomputes its last block', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const [a, b, c] = [8, 8, 9].map((promptTokens) => p.request({ promptTokens, outputTokens: 1, branch, depth: 2 }));
    const done = run(p, [submit(0, a!), submit(20, b!), submit(40, c!)]);
    expect([hits(done, 1), hits(done, 2)]).toEqual([[[20, 4]], [[40, 8]]]);
    expect([done.counters.duplicateBlocks, done.counters.lastBlockRecomputed]).toEqual([1, 1]);
  });

  it('M5: the next turn hits produced tokens, all but the last one', () => {
    const p = new Prompts(4);
    const branch = p.shared(5);
    const first = p.request({ promptTokens: 6, outputTokens: 7, leaf: branch });
    const second = p.request({ promptTokens: 16, outputTokens: 1, leaf: branch });
    const done = run(p, [submit(0, first), submit(100, second)]);
    expect(times(done, 'ended', 0)).toEqual([70]);
    expect(hits(done, 1)).toEqual([[100, 12]]);
  });

  it('M6: the full-length gate avoids a preemption and lets a small request wait behind a large one', () => {
    const story = (reserveFullIsl: boolean) => {
      const p = new Prompts(4);
      const cast = [
        [12, 4],
        [20, 2],
        [2, 1],
      ].map(([promptTokens, outputTokens]) => submit(0, p.request({ promptTokens: promptTokens!, outputTokens: outputTokens! })));
      return run(p, cast, { blocks: 8, maxBatchedTokens: 8, reserveFullIsl });
    };
    const on = story(true);
    expect([0, 1, 2].map((id) => times(on, 'ended', id)[0])).toEqual([50, 90, 80]);
    expect(on.counters.preemptions).toBe(0);
    const off = story(false);
    expect([0, 1, 2].map((id) => times(off, 'ended', id)[0])).toEqual([50, 80, 70]);
    expect([off.counters.preemptions, off.counters.recomputedTokens]).toEqual([1, 3]);
    expect(hits(off, 1).at(-1)).toEqual([50, 8]);
  });

  it('M7: the last admitted is preempted first, and a step that preempted admits nobody', () => {
    const p = new Prompts(4);
    const done = run(
      p,
      [0, 1, 2].map(() => submit(0, p.request({ promptTokens: 8, outputTokens: 9 }))),
      { blocks: 8 },
    );
    expect(done.sink.calls.filter((c) => c.what === 'preempted').map((c) => [c.tMs, c.facts[0]])).toEqual([
      [10, 2],
      [50, 1],
    ]);
    expect(times(done, 'ended', 0)).toEqual([90]);
    expect(hits(done, 1).at(-1)).toEqual([90, 12]);
    expect(hits(done, 2)[1]).toEqual([90, 0]);
  });

  it('M9: hits on free blocks save compute, not space', () => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const a = p.request({ promptTokens: 13, outputTokens: 1, branch, depth: 3 });
    const r = p.request({ promptTokens: 7, outputTokens: 3 });
    const b = p.request({ promptTokens: 17, outputTokens: 1, branch, depth: 3 });
    const done = run(p, [submit(0, a), submit(10, r), submit(10, b)], { blocks: 6 });
    expect(hits(done, 2)).toEqual([[40, 8]]);
    expect(done.counters.blockedByIslGate).toBe(3);
  });

  it('M10: under the priority policy a scheduled victim gives its tokens back', () => {
    const p = new Prompts(4);
    const low = p.request({ promptTokens: 5, outputTokens: 4, priority: 5 });
    const high = p.request({ promptTokens: 8, outputTokens: 3, priority: 0, arrivalMs: 5 });
    const done = run(p, [submit(0, low), submit(5, high)], { blocks: 5, policy: 'priority' });
    expect(times(done, 'preempted', 0)).toEqual([20]);
    expect([times(done, 'ended', 1), times(done, 'ended', 0)]).toEqual([[40], [60]]);
    expect(hits(done, 0).at(-1)).toEqual([40, 4]);
  });

  it('M11: stops at the context limit, and fails what can never fit', () => {
    const p = new Prompts(4);
    const capped = run(p, [submit(0, p.request({ promptTokens: 6, outputTokens: 100 }))], { maxModelLen: 8 });
    expect(capped.sink.calls.at(-1)).toMatchObject({ tMs: 20, facts: [0, 'finished', 2, 'length_capped'] });
    const q = new Prompts(4);
    const small = run(q, [submit(0, q.request({ promptTokens: 8, outputTokens: 10 }))], { blocks: 4 });
    expect(small.sink.calls.at(-1)).toMatchObject({ tMs: 50, facts: [0, 'failed', 5, 'kv_exhausted'] });
  });

  it('M12: restores from the host before admission, one token of a whole prompt is recomputed', () => {
    const p = new Prompts(4);
    const facts = { promptTokens: 8, outputTokens: 1, branch: p.shared(2), depth: 2 };
    const inputs = [
      submit(0, p.request(facts)),
      submit(40, p.request({ promptTokens: 28, outputTokens: 1 })),
      submit(200, p.request(facts)),
    ];
    const done = run(p, inputs, { blocks: 8, hostBlocks: 2, storePromptOnly: true });
    expect(times(done, 'restoring', 2)).toEqual([200]);
    expect(done.sink.calls.find((c) => c.what === 'admitted' && c.facts[0] === 2)).toMatchObject({ tMs: 202, facts: [2, 8, 0, 8, true] });
    expect(times(done, 'firstToken', 2)).toEqual([212]);
    expect(done.counters.prefillTokens).toBe(8 + 28 + 1);
  });
});

/** A worker driven by hand. */
function driven(prompts: Prompts, config: Partial<EngineConfig>): { worker: Worker; sink: RecordingSink } {
  const sink = new RecordingSink();
  const timer = new AffineTimer({ baseMs: 10 });
  const worker = createJumpWorker({ index: 0, config: engineConfig(config), branches: prompts.branches, timer, links: null, sink });
  return { worker, sink };
}

describe('a run', () => {
  it('shows only its end to the calendar, and is committed for whoever looks', () => {
    const p = new Prompts(4);
    const { worker, sink } = driven(p, {});
    worker.submit(p.request({ promptTokens: 4, outputTokens: 101 }), 0);
    worker.advance(0, EVENT_CLASS.schedule);
    worker.advance(10, EVENT_CLASS.schedule);
    expect(worker.nextMs).toBe(1010);
    worker.advance(505, EVENT_CLASS.observe);
    const view = emptyLoadView();
    worker.loadView(505, view);
    expect([view.stepEndsMs, view.kvReferencedBlocks, worker.counters.steps, sink.gapsMs.length]).toEqual([510, 14, 50, 49]);
    expect(worker.nextMs).toBe(1010);
    expect(sink.groups.map((g) => g.publishedMs)).toEqual([10, 50, 90, 130, 170, 210, 250, 290, 330, 370, 410, 450, 490]);
  });

  it('ends at the next boundary for an arrival that could be admitted, and only for that', () => {
    const p = new Prompts(4);
    const { worker } = driven(p, { maxSeqs: 2 });
    const facts = { promptTokens: 4, outputTokens: 101 };
    worker.submit(p.request(facts), 0);
    worker.advance(100, EVENT_CLASS.schedule);
    worker.submit(p.request(facts), 104);
    expect(worker.nextMs).toBe(110);
    worker.advance(120, EVENT_CLASS.schedule);
    expect(worker.nextMs).toBe(1010);
    worker.submit(p.request(facts), 200);
    expect(worker.nextMs).toBe(1010);
    worker.advance(1010, EVENT_CLASS.stepEnd);
    // Scheduled at 200, 210, … 1000 with nobody to take the request.
    expect(worker.counters.blockedBySeqs).toBe(81);
  });

  it('jumps a step ahead too, and its last schedule is one step before its last token', () => {
    const p = new Prompts(4);
    const { worker, sink } = driven(p, { asyncDepth: 2 });
    worker.submit(p.request({ promptTokens: 4, outputTokens: 101 }), 0);
    worker.advance(0, EVENT_CLASS.schedule);
    worker.advance(10, EVENT_CLASS.schedule);
    expect(worker.nextMs).toBe(1000);
    worker.advance(505, EVENT_CLASS.observe);
    expect(worker.nextMs).toBe(1000);
    expect(sink.groups.map((g) => g.publishedMs)).toEqual([10, 50, 90, 130, 170, 210, 250, 290, 330, 370, 410, 450, 490]);
    let wakes = 0;
    for (; worker.nextMs <= 1010; wakes++) worker.advance(worker.nextMs, worker.nextClass);
    expect(wakes).toBe(3);
    expect(sink.times('ended', 0)).toEqual([1010]);
    expect(worker.counters).toMatchObject({ steps: 101, decodeTokens: 100, wastedTokens: 0, events: 4 });
  });

  it('wakes for the end of a step that evicts, not for one that stores private blocks', () => {
    const p = new Prompts(4);
    const { worker, sink } = driven(p, { blocks: 11 });
    worker.submit(p.request({ promptTokens: 16, outputTokens: 1 }), 0);
    worker.advance(50, EVENT_CLASS.schedule);
    worker.submit(p.request({ promptTokens: 4, outputTokens: 40 }), 100);
    worker.advance(100, EVENT_CLASS.schedule);
    worker.advance(110, EVENT_CLASS.schedule);
    // Ten blocks: four cached by the first request, one prompt block; five hash-less ones last for twenty tokens.
    expect(worker.nextMs).toBe(110 + 10 * 21);
    worker.advance(worker.nextMs, EVENT_CLASS.stepEnd);
    expect(sink.groups.at(-1)).toMatchObject({ publishedMs: 320, kind: 'removed', branch: 0, offsets: [3] });
    expect(worker.nextMs).toBe(320 + 10 * 4);
  });

  it('empties its cache only while nothing is referenced, duplicates too, and tells so', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const batches: number[][] = [];
    const sink = new (class extends RecordingSink {
      override kvEvents(_worker: number, batch: KvEventBatch): void {
        batches.push([batch.publishedMs, ...batch.kind.subarray(0, batch.count)]);
      }
    })();
    const parts = { index: 0, config: engineConfig(), branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), links: null, sink };
    const worker = new JumpWorker(parts);
    const facts = { promptTokens: 8, outputTokens: 1, branch, depth: 2 };
    worker.submit(p.request(facts), 0);
    worker.submit(p.request(facts), 0);
    worker.advance(0, EVENT_CLASS.schedule);
    expect(worker.resetPrefixCache(5)).toBe(false);
    expect(worker.residentBlocks(branch, 2)).toBe(2);
    worker.advance(20, EVENT_CLASS.observe);
    expect(worker.resetPrefixCache(20)).toBe(true);
    expect(worker.residentBlocks(branch, 2)).toBe(0);
    expect(batches).toEqual([
      [10, KV_STORED, KV_STORED],
      [20, KV_CLEARED],
    ]);
    worker.check(true);
    worker.submit(p.request(facts), 30);
    worker.advance(100, EVENT_CLASS.observe);
    worker.check(true);
    expect(sink.calls.filter((c) => c.what === 'admitted').map((c) => c.facts[2])).toEqual([0, 4, 0]);
  });
});
