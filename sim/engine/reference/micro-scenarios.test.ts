/**
 * The worked micro-scenarios M1 to M12 and M15 of engine specification 10, driven through the worker port. A line reads as in the
 * specification: `A:8@0[1,2]` = request A gets 8 tokens on 0 computed ones and takes new blocks 1 and 2; `free 55→63` = length of the
 * free queue after scheduling and, if it changed, after completion.
 */
import { describe, expect, it } from 'vitest';
import { FixedTimer } from '../../hardware/fixed-timer.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { createLinkPool } from '../links.ts';
import type { EngineConfig, EngineRequest } from '../worker.ts';
import { engineConfig, Prompts, RecordingSink } from '../worker-fixtures.ts';
import { createReferenceWorker, type ReferenceWorker } from './reference-worker.ts';

interface Cast {
  readonly [name: string]: { readonly at?: number; readonly request: EngineRequest };
}

interface Story {
  readonly lines: string[];
  readonly sink: RecordingSink;
  readonly worker: ReferenceWorker;
  readonly queue: number[];
}

/** Plays requests on one worker with steps of `stepMs`; `before` may fill the host tier. */
function tell(
  config: EngineConfig,
  prompts: Prompts,
  cast: Cast,
  options: { stepMs?: number; bytesPerMs?: number; before?: (worker: ReferenceWorker) => void } = {},
): Story {
  const names = Object.keys(cast);
  const nameOf = (id: number) => names.find((name) => cast[name]!.request.id === id)!;
  const lines: string[] = [];
  const frees: [number, number][] = [];
  const rate = options.bytesPerMs ?? 1;
  const links = createLinkPool({
    gpus: 1,
    h2dBytesPerMs: rate,
    d2hBytesPerMs: rate,
    duplexBytesPerMs: 2 * rate,
    dramBytesPerMs: 8 * rate,
    onDone: (transfer, _worker, tMs) => worker.transferDone(transfer, tMs),
  });
  const sink = new RecordingSink();
  const timer = new FixedTimer(options.stepMs ?? 1);
  const worker = createReferenceWorker({ index: 0, config, branches: prompts.branches, timer, links, sink }, (plan, _tMs, scheduler) => {
    const items = plan.items.map(({ request, n, computed, blocks }) => {
      const admission = plan.admitted.find((a) => a.request === request);
      const held = admission === undefined ? 0 : Math.ceil((admission.hitTokens + admission.hostTokens) / config.blockTokens);
      const taken = blocks.slice(held);
      return `${nameOf(request.id)}:${n}@${computed}${taken.length > 0 ? `[${taken}]` : ''}`;
    });
    const preempted = plan.preempted.map((request) => ` pre ${nameOf(request.id)}`).join('');
    lines.push(`${items.join(' ') || 'empty'}${preempted}`);
    frees.push([scheduler.pool.free, scheduler.pool.free]);
  });
  options.before?.(worker);
  const inputs = Object.values(cast).toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0));
  for (let guard = 0; guard < 1000; guard++) {
    const inputMs = inputs[0]?.at ?? (inputs.length > 0 ? 0 : Number.POSITIVE_INFINITY);
    const timeMs = Math.min(inputMs, links.nextMs, worker.nextMs);
    if (timeMs === Number.POSITIVE_INFINITY) break;
    if (
      worker.nextMs === timeMs &&
      (worker.nextClass < EVENT_CLASS.submit || inputMs > timeMs) &&
      worker.nextClass <= EVENT_CLASS.stepEnd
    ) {
      worker.advance(timeMs, EVENT_CLASS.stepEnd);
      if (frees.length > 0) frees.at(-1)![1] = worker.scheduler.pool.free;
    } else if (links.nextMs === timeMs) links.advance(timeMs);
    else if (inputMs === timeMs) worker.submit(inputs.shift()!.request, timeMs);
    else worker.advance(timeMs, worker.nextClass);
    worker.check(true);
  }
  const withFree = lines.map((line, i) => `${line} free ${[...new Set(frees[i])].join('→')}`);
  return { lines: withFree, sink, worker, queue: worker.scheduler.pool.queue.toArray() };
}

function endOf(story: Story, cast: Cast, name: string): readonly unknown[] {
  const call = story.sink.calls.find((c) => c.what === 'ended' && c.facts[0] === cast[name]!.request.id)!;
  return [call.tMs, ...call.facts.slice(1)];
}

const copies = (story: Story) => [...story.worker.scheduler.pool.copies.values()];

describe('micro-scenarios of the engine specification', () => {
  it('M1: chunks a prompt and serves running requests first', () => {
    const p = new Prompts(4);
    const cast = {
      A: { request: p.request({ promptTokens: 20, outputTokens: 3 }) },
      B: { request: p.request({ promptTokens: 6, outputTokens: 2 }) },
    };
    const story = tell(engineConfig({ maxBatchedTokens: 8 }), p, cast);
    expect(story.lines).toEqual([
      'A:8@0[1,2] free 61',
      'A:8@8[3,4] free 59',
      'A:4@16[5] B:4@0[6] free 57',
      'A:1@20[7] B:2@4[8] free 55',
      'A:1@21 B:1@6 free 55→63',
    ]);
    expect(story.sink.times('firstToken', 0)).toEqual([3]);
    expect(story.sink.times('firstToken', 1)).toEqual([4]);
  });

  it('M2: a threshold lets the later arrival overtake, and both compute the middle blocks', () => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const own = { promptTokens: 13, outputTokens: 1, branch, depth: 3 };
    const story = tell(engineConfig({ maxBatchedTokens: 16, longPrefillThreshold: 4 }), p, {
      A: { request: p.request(own) },
      B: { request: p.request(own) },
    });
    expect(story.lines).toEqual([
      'A:4@0[1] B:4@4[2] free 61',
      'A:4@4[3] B:4@8[4] free 59',
      'A:4@8[5] B:1@12[6] free 57→60',
      'A:1@12[6] free 59→63',
    ]);
    expect(copies(story)).toEqual([[1], [2, 3], [4, 5]]);
    expect(story.worker.counters.duplicateBlocks).toBe(2);
  });

  it('M3: a sibling of the same step hits what the first one is about to compute', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const a = p.request({ promptTokens: 11, outputTokens: 1, branch, depth: 2 });
    const b = p.request({ promptTokens: 10, outputTokens: 1, branch, depth: 2 });
    expect(tell(engineConfig(), p, { A: { request: a }, B: { request: b } }).lines).toEqual(['A:11@0[1,2,3] B:2@8[4] free 59→63']);
    const q = new Prompts(4);
    const long = { promptTokens: 17, outputTokens: 1, branch: q.shared(4), depth: 4 };
    const story = tell(engineConfig({ maxBatchedTokens: 8 }), q, { A: { request: q.request(long) }, B: { request: q.request(long) } });
    expect(story.lines).toEqual(['A:8@0[1,2] free 61', 'A:8@8[3,4] free 59', 'A:1@16[5] B:1@16[6] free 57→63']);
  });

  it('M4: a fully cached aligned prompt recomputes its last block; a lookup returns the oldest copy', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const aligned = { promptTokens: 8, outputTokens: 1, branch, depth: 2 };
    const a = { request: p.request(aligned) };
    const b = { at: 10, request: p.request(aligned) };
    const c = { at: 20, request: p.request({ ...aligned, promptTokens: 9 }) };
    const story = tell(engineConfig(), p, { A: a, B: b });
    expect(story.lines).toEqual(['A:8@0[1,2] free 61→63', 'B:4@4[3] free 61→63']);
    expect(story.queue.slice(-3)).toEqual([2, 3, 1]);
    expect(story.worker.counters.lastBlockRecomputed).toBe(1);
    expect(tell(engineConfig(), p, { A: a, B: b, C: c }).lines[2]).toBe('C:1@8[4] free 60→63');
  });

  it('M5: the next turn hits produced tokens, all but the last one', () => {
    const p = new Prompts(4);
    const leaf = p.shared(5);
    const a1 = { request: p.request({ promptTokens: 6, outputTokens: 7, leaf }) };
    const a2 = { at: 20, request: p.request({ promptTokens: 16, outputTokens: 1, leaf }) };
    const story = tell(engineConfig(), p, { A: a1, B: a2 });
    expect(story.lines).toEqual([
      'A:6@0[1,2] free 61',
      'A:1@6 free 61',
      'A:1@7 free 61',
      'A:1@8[3] free 60',
      'A:1@9 free 60',
      'A:1@10 free 60',
      'A:1@11 free 60→63',
      'B:4@12[4] free 59→63',
    ]);
    expect(story.sink.calls.filter((c) => c.what === 'admitted')[1]!.facts).toEqual([1, 16, 12, 0, true]);
  });

  it('M6: the full-length gate avoids a preemption and lets a small request wait behind a large one', () => {
    const make = (reserveFullIsl: boolean) => {
      const p = new Prompts(4);
      const cast = {
        A: { request: p.request({ promptTokens: 12, outputTokens: 4 }) },
        B: { request: p.request({ promptTokens: 20, outputTokens: 2 }) },
        C: { request: p.request({ promptTokens: 2, outputTokens: 1 }) },
      };
      return tell(engineConfig({ blocks: 8, maxBatchedTokens: 8, reserveFullIsl }), p, cast);
    };
    const on = make(true);
    expect(on.lines).toEqual([
      'A:8@0[1,2] free 5',
      'A:4@8[3] free 4',
      'A:1@12[4] free 3',
      'A:1@13 free 3',
      'A:1@14 free 3→7',
      'B:8@0[4,5] free 5',
      'B:8@8[6,7] free 3',
      'B:4@16[3] C:2@0[2] free 1→2',
      'B:1@20[2] free 1→7',
    ]);
    expect(on.worker.counters.preemptions).toBe(0);
    const off = make(false);
    expect(off.lines).toEqual([
      'A:8@0[1,2] free 5',
      'A:4@8[3] B:4@0[4] free 3',
      'A:1@12[5] B:7@4[6,7] free 0',
      'A:1@13 pre B free 3',
      'A:1@14 free 3→7',
      'B:8@8[5,7] free 3',
      'B:4@16[3] C:2@0[2] free 1→2',
      'B:1@20[2] free 1→7',
    ]);
    expect(off.worker.counters.preemptions).toBe(1);
    expect(off.worker.counters.recomputedTokens).toBe(3);
  });

  it('M7: the last admitted is preempted first, and a step that preempted admits nobody', () => {
    const p = new Prompts(4);
    const facts = { promptTokens: 8, outputTokens: 9 };
    const cast = { A: { request: p.request(facts) }, B: { request: p.request(facts) }, C: { request: p.request(facts) } };
    const story = tell(engineConfig({ blocks: 8 }), p, cast);
    expect(story.lines.slice(0, 10)).toEqual([
      'A:8@0[1,2] B:8@0[3,4] C:8@0[5,6] free 1',
      'A:1@8[7] B:1@8[6] pre C free 1',
      'A:1@9 B:1@9 free 1',
      'A:1@10 B:1@10 free 1',
      'A:1@11 B:1@11 free 1',
      'A:1@12[5] pre B free 3',
      'A:1@13 free 3',
      'A:1@14 free 3',
      'A:1@15 free 3→7',
      'B:1@12[5] C:9@0[7,2,1] free 0',
    ]);
    expect(story.sink.calls.filter((c) => c.what === 'admitted').at(-1)!.facts).toEqual([2, 9, 0, 0, false]);
  });

  it('M8: hash-less blocks go to the head of the free queue, cached ones to the tail, tail of the request first', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const a = { request: p.request({ promptTokens: 10, outputTokens: 1, branch, depth: 2 }) };
    const b = { at: 10, request: p.request({ promptTokens: 9, outputTokens: 1 }) };
    const c = { at: 20, request: p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 }) };
    const config = engineConfig({ blocks: 7 });
    expect(tell(config, p, { A: a }).queue).toEqual([3, 4, 5, 6, 2, 1]);
    const two = tell(config, p, { A: a, B: b });
    expect(two.lines[1]).toBe('B:9@0[3,4,5] free 3→6');
    expect(two.queue).toEqual([5, 6, 2, 1, 4, 3]);
    const three = tell(config, p, { A: a, B: b, C: c });
    expect(three.lines[2]).toBe('C:1@8[5] free 3→6');
    expect(three.queue).toEqual([5, 6, 4, 3, 2, 1]);
  });

  it('M9: hits on free blocks save compute, not space', () => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const cast = {
      A: { request: p.request({ promptTokens: 13, outputTokens: 1, branch, depth: 3 }) },
      R: { at: 1, request: p.request({ promptTokens: 7, outputTokens: 3 }) },
      B: { at: 1, request: p.request({ promptTokens: 17, outputTokens: 1, branch, depth: 3 }) },
    };
    const story = tell(engineConfig({ blocks: 6 }), p, cast);
    expect(story.lines).toEqual([
      'A:13@0[1,2,3,4] free 1→5',
      'R:7@0[4,5] free 3',
      'R:1@7 free 3',
      'R:1@8[3] free 2→5',
      'B:9@8[3,5,4] free 0→5',
    ]);
    expect(story.worker.counters.blockedByIslGate).toBe(3);
  });

  it('M10: under the priority policy a scheduled victim gives its tokens back', () => {
    const p = new Prompts(4);
    const cast = {
      L: { request: p.request({ promptTokens: 5, outputTokens: 4, priority: 5 }) },
      H: { at: 1, request: p.request({ promptTokens: 8, outputTokens: 3, priority: 0, arrivalMs: 1 }) },
    };
    const story = tell(engineConfig({ blocks: 5, policy: 'priority' }), p, cast);
    expect(story.lines).toEqual([
      'L:5@0[1,2] free 2',
      'L:1@5 H:8@0[3,4] free 0',
      'H:1@8[2] pre L free 1',
      'H:1@9 free 1→4',
      'L:3@4[2] free 2',
      'L:1@7 free 2→4',
    ]);
  });

  it('M10: the tokens of a victim go to those behind it, and nobody behind it is skipped', () => {
    const p = new Prompts(8);
    const cast = {
      L: { request: p.request({ promptTokens: 17, outputTokens: 20, priority: 5 }) },
      H: { at: 1, request: p.request({ promptTokens: 3, outputTokens: 20, priority: 0, arrivalMs: 1 }) },
      G: { at: 1, request: p.request({ promptTokens: 30, outputTokens: 1, priority: 1, arrivalMs: 1 }) },
    };
    const config = engineConfig({ blockTokens: 8, blocks: 7, maxBatchedTokens: 4, policy: 'priority', reserveFullIsl: false });
    const story = tell(config, p, cast);
    expect(story.lines.slice(4, 11)).toEqual([
      'L:1@16[3] H:3@0[4] free 2',
      'L:1@17 H:1@3 G:2@0[5] free 1',
      'L:1@18 H:1@4 G:2@2 free 1',
      'L:1@19 H:1@5 G:2@4 free 1',
      'L:1@20 H:1@6 G:2@6 free 1',
      'L:1@21 H:1@7 G:2@8[6] free 0',
      'H:1@8[3] G:3@10 pre L free 2',
    ]);
  });

  it('M10: a request of the worst priority that needs a block first preempts itself and leaves an empty step', () => {
    const p = new Prompts(4);
    const cast = {
      L: { request: p.request({ promptTokens: 7, outputTokens: 4, priority: 5 }) },
      H: { at: 1, request: p.request({ promptTokens: 8, outputTokens: 3, priority: 0, arrivalMs: 1 }) },
    };
    const story = tell(engineConfig({ blocks: 5, policy: 'priority' }), p, cast);
    expect(story.lines.slice(0, 4)).toEqual(['L:7@0[1,2] free 2', 'L:1@7 H:8@0[3,4] free 0', 'empty pre L free 2', 'H:1@8[2] free 1']);
    // The empty step takes no time.
    expect(story.sink.times('preempted', 0)).toEqual([2]);
    expect(endOf(story, cast, 'H')).toEqual([4, 'finished', 3, 'length']);
  });

  it('M11: stops at the context limit, and fails what can never fit', () => {
    const p = new Prompts(4);
    const long = { A: { request: p.request({ promptTokens: 6, outputTokens: 100 }) } };
    const capped = tell(engineConfig({ maxModelLen: 8 }), p, long);
    expect(capped.lines).toEqual(['A:6@0[1,2] free 61', 'A:1@6 free 61→63']);
    expect(endOf(capped, long, 'A')).toEqual([2, 'finished', 2, 'length_capped']);
    const q = new Prompts(4);
    const small = { A: { request: q.request({ promptTokens: 8, outputTokens: 10 }) } };
    const story = tell(engineConfig({ blocks: 4 }), q, small);
    expect(story.lines.at(-1)).toBe('empty pre A free 3');
    expect(endOf(story, small, 'A')).toEqual([5, 'failed', 5, 'kv_exhausted']);
  });
});

describe('M12: restore before admission', () => {
  const config = engineConfig({ blocks: 8, maxBatchedTokens: 16, hostBlocks: 8, storePromptOnly: true });

  /** Puts blocks of the first shared branch into the host tier. */
  const hostHolds = (blocks: number) => (worker: ReferenceWorker) => {
    const keys = Array.from({ length: blocks }, (_, offset) => offset);
    worker.host!.tier.offer(keys, 0);
    worker.host!.tier.ready(keys);
  };

  it('restores, then computes the rest', () => {
    const p = new Prompts(4);
    const cast = { B: { request: p.request({ promptTokens: 10, outputTokens: 1, branch: p.shared(2), depth: 2 }) } };
    const story = tell(config, p, cast, { stepMs: 10, before: hostHolds(2) });
    expect(story.lines).toEqual(['empty free 5', 'B:2@8[3] free 4→7']);
    expect(story.sink.calls.map((c) => [c.what, c.tMs])).toEqual([
      ['matched', 0],
      ['restoring', 0],
      ['admitted', 2],
      ['firstToken', 12],
      ['ended', 12],
    ]);
    expect(story.sink.calls[0]!.facts).toEqual([0, 0, 2]);
    expect(story.sink.calls[2]!.facts).toEqual([0, 10, 0, 8, true]);
  });

  it('computes one token of a prompt that was restored as a whole', () => {
    const p = new Prompts(4);
    const cast = { B: { request: p.request({ promptTokens: 8, outputTokens: 1, branch: p.shared(2), depth: 2 }) } };
    const story = tell(config, p, cast, { stepMs: 10, before: hostHolds(2) });
    expect(story.lines).toEqual(['empty free 5', 'B:1@7 free 5→7']);
    expect(story.sink.times('firstToken', 0)).toEqual([12]);
  });

  it('sees a finished restore at the next schedule only', () => {
    const p = new Prompts(4);
    const branch = p.shared(2);
    const cast = {
      D: { request: p.request({ promptTokens: 3, outputTokens: 3 }) },
      B: { at: 10, request: p.request({ promptTokens: 10, outputTokens: 1, branch, depth: 2 }) },
    };
    const story = tell(config, p, cast, { stepMs: 10, before: hostHolds(2) });
    expect(story.lines.slice(0, 3)).toEqual(['D:3@0[1] free 6', 'D:1@3 free 4', 'D:1@4[4] B:2@8[5] free 2→7']);
    expect(story.sink.times('restoring', 1)).toEqual([10]);
    expect(story.sink.times('firstToken', 1)).toEqual([30]);
  });
});
