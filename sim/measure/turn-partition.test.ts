import { describe, expect, it } from 'vitest';
import { createJumpWorker } from '../engine/jump/create-jump-worker.ts';
import { createReferenceWorker } from '../engine/reference/reference-worker.ts';
import type { EngineConfig, EngineRequest, Worker, WorkerParts } from '../engine/worker.ts';
import { AffineTimer, engineConfig, Prompts, play, type WorkerInput } from '../engine/worker-fixtures.ts';
import { COMPONENTS } from './turn-components.ts';
import { componentsOf, TurnPartition } from './turn-partition.ts';

type Given = Parameters<Prompts['request']>[0] & { readonly atMs: number };

/** Steps of 10 ms + 1 ms per token. Returns the components of each request that are not 0. */
function partition(
  create: (parts: WorkerParts) => Worker,
  config: Partial<EngineConfig>,
  given: readonly Given[],
  until: 'ttft' | 'e2e' = 'ttft',
  more: readonly WorkerInput[] = [],
): Record<string, number>[] {
  const prompts = new Prompts(4);
  const requests: [EngineRequest, number][] = given.map(({ atMs, ...facts }) => [prompts.request({ ...facts, arrivalMs: atMs }), atMs]);
  const timer = () => new AffineTimer({ baseMs: 10, tokenMs: 1 });
  const observer = new TurnPartition([{ timer: timer(), requestMs: 0 }]);
  const inputs = [...requests.map(([request, tMs]) => ({ kind: 'submit', request, tMs }) as const), ...more];
  const scene = { config: engineConfig(config), branches: prompts.branches, timer: timer(), links: null, inputs };
  play((parts) => create({ ...parts, sink: observer.sink(0, parts.sink), observer }), scene);
  return requests.map(([request]) => {
    const parts = observer.turns.get(String(request.id))![until]!;
    const values = componentsOf(parts, [], request.promptTokens);
    return Object.fromEntries(COMPONENTS.map((name, k) => [name, values[k]!] as const).filter(([, ms]) => Math.abs(ms) > 1e-9));
  });
}

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
])('hand-checked partitions, %s engine', (_name, create) => {
  it('alone: the prompt in two chunks', () => {
    expect(partition(create, {}, [{ atMs: 5, promptTokens: 40, outputTokens: 3 }])).toEqual([{ 'prefill.compulsory': 10 + 32 + 10 + 8 }]);
  });

  it('decoding alone is its own time', () => {
    const [a] = partition(create, {}, [{ atMs: 5, promptTokens: 8, outputTokens: 4 }], 'e2e');
    expect(a).toEqual({ 'prefill.compulsory': 18, 'decode.own': 33 });
  });

  it('comes during a step of another one, whose decode it then shares a step with', () => {
    // Steps: [0, 18) prefill of A, [18, 37) decode of A + 8 tokens of B.
    const [, b] = partition(create, {}, [
      { atMs: 0, promptTokens: 8, outputTokens: 9 },
      { atMs: 4, promptTokens: 8, outputTokens: 1 },
    ]);
    expect(b).toEqual({ 'workerQueue.step': 14, 'prefill.compulsory': 18, 'interference.decode': 1 });
  });

  it('waits for a slot from the next pass on, which lies inside a run', () => {
    // A: [0, 18) prefill, decodes of 11 ms end at 29, 40, 51, 62. B comes at 33: the pass at 40 finds no slot, that at 62 admits it.
    const [a, b] = partition(create, { maxSeqs: 1 }, [
      { atMs: 0, promptTokens: 8, outputTokens: 5 },
      { atMs: 33, promptTokens: 8, outputTokens: 1 },
    ]);
    expect(a).toEqual({ 'prefill.compulsory': 18 });
    expect(b).toEqual({ 'workerQueue.step': 7, 'workerQueue.slots': 22, 'prefill.compulsory': 18 });
  });

  it('waits for a pass that a slow-down puts off, in a step that is longer than its tokens', () => {
    // As above, half as fast from 35 on: steps end at 40 + 5, 67, 89, then 2 * 18 for B.
    const [, b] = partition(
      create,
      { maxSeqs: 1 },
      [
        { atMs: 0, promptTokens: 8, outputTokens: 5 },
        { atMs: 33, promptTokens: 8, outputTokens: 1 },
      ],
      'ttft',
      [{ kind: 'slowdown', factor: 2, tMs: 35 }],
    );
    expect(b).toEqual({ 'workerQueue.step': 12, 'workerQueue.slots': 44, 'prefill.compulsory': 18, overhead: 18 });
  });

  it('waits for the budget, then for a step in which others compute', () => {
    // [0, 42) all 32 tokens for A; [42, 84) 8 tokens of A, 24 of B; [84, 111) a decode of A, 16 tokens of B.
    const [, b] = partition(create, {}, [
      { atMs: 0, promptTokens: 40, outputTokens: 9 },
      { atMs: 0, promptTokens: 40, outputTokens: 1 },
    ]);
    expect(b).toEqual({
      'workerQueue.budget': 42,
      'prefill.compulsory': 34 + 26,
      'interference.prefill': 8,
      'interference.decode': 1,
    });
  });

  it('waits for blocks', () => {
    // 10 usable blocks; A holds 8 and 9 of them until its end at 42 + 2 * 11.
    const [, b] = partition(create, { blocks: 11 }, [
      { atMs: 0, promptTokens: 32, outputTokens: 3 },
      { atMs: 0, promptTokens: 12, outputTokens: 1 },
    ]);
    expect(b).toEqual({ 'workerQueue.budget': 42, 'workerQueue.blocks': 22, 'prefill.compulsory': 22 });
  });
});
