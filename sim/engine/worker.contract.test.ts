/** Small scenes that both engines must play alike, with times to check by hand. Steps take 10 ms, blocks hold 4 tokens. */
import { describe, expect, it } from 'vitest';
import { EVENT_CLASS } from '../kernel/event-class.ts';
import { emptyLoadView } from './empty-load-view.ts';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import type { EngineConfig, EngineRequest, Worker, WorkerParts } from './worker.ts';
import { AffineTimer, engineConfig, type Performance, Prompts, play, RecordingSink, type WorkerInput } from './worker-fixtures.ts';

const submit = (tMs: number, request: EngineRequest): WorkerInput => ({ tMs, kind: 'submit', request });

describe.each<[string, (parts: WorkerParts) => Worker]>([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
])('the %s engine', (_name, create) => {
  function run(p: Prompts, inputs: readonly WorkerInput[], config: Partial<EngineConfig> = {}, stepMs = 10): Performance {
    const timer = new AffineTimer({ baseMs: stepMs });
    return play(create, { config: engineConfig(config), branches: p.branches, timer, links: null, inputs, checks: 'deep' });
  }

  /** `[time, status, tokens, reason]` of the end of a request. */
  function endOf(done: Performance, id: number): unknown[] {
    const call = done.sink.calls.find((c) => c.what === 'ended' && c.facts[0] === id)!;
    return [call.tMs, ...call.facts.slice(1)];
  }

  describe('M15: asynchronous scheduling', () => {
    const scene = (asyncDepth: 1 | 2, stopsEarly: boolean) => {
      const p = new Prompts(4);
      const a = p.request({ promptTokens: 4, outputTokens: 6, stopsEarly });
      return run(p, [submit(0, a), submit(12, p.request({ promptTokens: 5, outputTokens: 1 }))], { asyncDepth });
    };

    it('depth 1: an arrival runs in the next step, tokens come at 10 to 60', () => {
      const done = scene(1, false);
      expect(done.sink.times('firstToken', 1)).toEqual([30]);
      expect(endOf(done, 0)).toEqual([60, 'finished', 6, 'length']);
      expect(done.sink.gapsMs).toEqual([10, 10, 10, 10, 10]);
    });

    it('depth 2: an arrival runs one step later, an end by length wastes nothing', () => {
      const done = scene(2, false);
      expect(done.sink.times('firstToken', 1)).toEqual([40]);
      expect(endOf(done, 0)).toEqual([60, 'finished', 6, 'length']);
      expect([done.counters.wastedTokens, done.counters.busyMs]).toEqual([0, 60]);
    });

    it('depth 2: an unforeseen stop costs one more item', () => {
      const done = scene(2, true);
      expect(endOf(done, 0)).toEqual([60, 'finished', 6, 'stop']);
      expect([done.counters.wastedTokens, done.counters.busyMs]).toEqual([1, 70]);
    });

    it('depth 2: blocks of a request that ended in step k serve the schedule of step k + 2', () => {
      const p = new Prompts(4);
      const a = p.request({ promptTokens: 4, outputTokens: 6, stopsEarly: true });
      // 3 usable blocks: B needs 2 and finds them when A has ended; it cannot be in the step [60, 70) that was built at 50.
      const done = run(p, [submit(0, a), submit(55, p.request({ promptTokens: 8, outputTokens: 1 }))], { blocks: 4, asyncDepth: 2 });
      expect(done.sink.times('admitted', 1)).toEqual([60]);
      expect(done.sink.times('firstToken', 1)).toEqual([80]);
    });
  });

  describe('a step ahead', () => {
    it('schedules an arrival of the time at which the last request ended, while its wasted step goes on', () => {
      const p = new Prompts(4);
      const first = p.request({ promptTokens: 4, outputTokens: 2, stopsEarly: true });
      const done = run(p, [submit(0, first), submit(20, p.request({ promptTokens: 4, outputTokens: 1 }))], { asyncDepth: 2 });
      expect(endOf(done, 0)).toEqual([20, 'finished', 2, 'stop']);
      // The wasted step takes [20, 30); the arrival is admitted beside it and runs next.
      expect(done.sink.times('admitted', 1)).toEqual([20]);
      expect(endOf(done, 1)[0]).toBe(40);
      expect(done.counters.wastedTokens).toBe(1);
    });

    it('keeps the token that was in flight at a preemption, and ends a request by it while it waits', () => {
      const p = new Prompts(4);
      const facts = { promptTokens: 8, outputTokens: 5 };
      const done = run(p, [submit(0, p.request(facts)), submit(0, p.request(facts))], { blocks: 6, asyncDepth: 2, reserveFullIsl: false });
      // 5 usable blocks. The step [10, 20) is built at 0 and takes the 5th block for request 0: request 1, which has none for its second
      // token, goes, and its first token comes at 10 while it waits.
      expect(done.sink.times('preempted', 1)).toEqual([0]);
      expect(done.sink.times('firstToken', 1)).toEqual([10]);
      expect(endOf(done, 0)).toEqual([50, 'finished', 5, 'length']);
      const once = new Prompts(4);
      const pair = [once.request(facts), once.request({ promptTokens: 8, outputTokens: 1, stopsEarly: true })];
      const inputs = pair.map((request) => submit(0, request));
      const ended = run(once, inputs, { blocks: 6, asyncDepth: 2, reserveFullIsl: false });
      expect(ended.sink.times('preempted', 1)).toEqual([0]);
      expect(endOf(ended, 1)).toEqual([10, 'finished', 1, 'stop']);
    });

    it('passes over the request behind one for which a request before it was preempted that had got nothing, as vLLM does', () => {
      const p = new Prompts(4);
      const cast = [
        submit(0, p.request({ promptTokens: 7, outputTokens: 5, priority: 5 })),
        submit(5, p.request({ promptTokens: 6, outputTokens: 6 })),
        submit(5, p.request({ promptTokens: 5, outputTokens: 5 })),
      ];
      const done = run(p, cast, { blocks: 8, asyncDepth: 2, policy: 'priority', reserveFullIsl: false });
      // Built at 40: request 0 has its last token in flight and gets nothing; request 1 needs its 3 blocks; request 2 is passed over.
      expect(done.sink.times('preempted', 0)).toEqual([40]);
      expect([endOf(done, 0), endOf(done, 1), endOf(done, 2)]).toEqual([
        [50, 'finished', 5, 'length'],
        [80, 'finished', 6, 'length'],
        [80, 'finished', 5, 'length'],
      ]);
      expect(done.sink.gapsMs.toSorted((x, y) => x - y)).toEqual([...new Array(12).fill(10), 20]);
    });

    it.each([
      ['inside a step', 35],
      ['between the end of a step and the schedule of that time', 30],
    ])('carries out an abort %s at the end of the step in flight: both its tokens are lost', (_name, tMs) => {
      const p = new Prompts(4);
      const inputs: WorkerInput[] = [
        submit(0, p.request({ promptTokens: 4, outputTokens: 100 })),
        submit(0, p.request({ promptTokens: 4, outputTokens: 90 })),
        { tMs, kind: 'abort', id: 0 },
      ];
      const done = run(p, inputs, { asyncDepth: 2 });
      expect(endOf(done, 0)).toEqual([40, 'aborted', 3, 'abort']);
      expect(done.counters.wastedTokens).toBe(2);
      expect(endOf(done, 1)).toEqual([900, 'finished', 90, 'length']);
    });

    it('stops at the context limit without a wasted step, whatever ends the request', () => {
      for (const stopsEarly of [false, true]) {
        const p = new Prompts(4);
        const done = run(p, [submit(0, p.request({ promptTokens: 6, outputTokens: 100, stopsEarly }))], { maxModelLen: 8, asyncDepth: 2 });
        expect(endOf(done, 0)).toEqual([20, 'finished', 2, 'length_capped']);
        expect([done.counters.steps, done.counters.wastedTokens]).toEqual([2, 0]);
      }
    });

    it('goes on where steps take no time', () => {
      const p = new Prompts(4);
      const inputs = [
        submit(5, p.request({ promptTokens: 9, outputTokens: 12 })),
        submit(5, p.request({ promptTokens: 3, outputTokens: 7 })),
      ];
      const done = run(p, inputs, { asyncDepth: 2 }, 0);
      expect([endOf(done, 0), endOf(done, 1)]).toEqual([
        [5, 'finished', 12, 'length'],
        [5, 'finished', 7, 'length'],
      ]);
      expect(done.counters.steps).toBe(12);
    });

    it('shows both steps in flight to nobody: a view in a long decode has the end of the one that executes', () => {
      const p = new Prompts(4);
      const sink = new RecordingSink();
      const parts = { index: 0, branches: p.branches, timer: new AffineTimer({ baseMs: 10 }), links: null, sink };
      const worker = create({ ...parts, config: engineConfig({ asyncDepth: 2 }) });
      worker.submit(p.request({ promptTokens: 4, outputTokens: 101 }), 0);
      worker.advance(505, EVENT_CLASS.observe);
      const view = emptyLoadView();
      worker.loadView(505, view);
      // The schedule at 500 decided the step [510, 520), whose token is number 52: 55 resident tokens.
      expect([view.stepEndsMs, view.kvReferencedBlocks, worker.counters.steps, sink.gapsMs.length]).toEqual([510, 14, 50, 49]);
    });
  });
});
