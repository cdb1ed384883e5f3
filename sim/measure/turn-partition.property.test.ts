import { describe, expect, it } from 'vitest';
import { createJumpWorker } from '../engine/jump/create-jump-worker.ts';
import { publishSharedLeaves } from '../engine/jump/equality.property.ts';
import { createReferenceWorker } from '../engine/reference/reference-worker.ts';
import { type CaseFlavour, randomCase, type WorkerCase } from '../engine/worker.property.ts';
import type { Worker, WorkerParts } from '../engine/worker.ts';
import { AffineTimer, play, type RecordingSink } from '../engine/worker-fixtures.ts';
import { COMPONENTS, componentIndex } from './turn-components.ts';
import { componentsOf, TurnPartition } from './turn-partition.ts';

const SEEDS = 150;

/** Plays a case under observation. */
function observed(create: (parts: WorkerParts) => Worker, workload: WorkerCase): { partition: TurnPartition; sink: RecordingSink } {
  const { config, branches, links, inputs } = workload;
  const partition = new TurnPartition([{ timer: new AffineTimer(workload.timer), requestMs: 0 }]);
  const scene = { config, branches, timer: new AffineTimer(workload.timer), links, inputs };
  const { sink } = play((parts) => create({ ...parts, sink: partition.sink(0, parts.sink), observer: partition }), scene);
  return { partition, sink };
}

/** Components of every request by `<id> ttft` and `<id> e2e`. */
function vectors({ partition }: { partition: TurnPartition }, workload: WorkerCase): Map<string, Float64Array> {
  const out = new Map<string, Float64Array>();
  for (const input of workload.inputs) {
    if (input.kind !== 'submit') continue;
    const parts = partition.turns.get(String(input.request.id));
    for (const what of ['ttft', 'e2e'] as const) {
      const attempt = parts?.[what];
      if (attempt != null) out.set(`${input.request.id} ${what}`, componentsOf(attempt, [], input.request.promptTokens));
    }
  }
  return out;
}

/** First turn whose components do not sum to what the sink saw, or null; counts what was checked. */
function firstInexact(run: ReturnType<typeof observed>, workload: WorkerCase, count: { turns: number }): string | null {
  for (const input of workload.inputs) {
    if (input.kind !== 'submit') continue;
    const { id, promptTokens } = input.request;
    const parts = run.partition.turns.get(String(id));
    const first = run.sink.calls.findLast((call) => call.what === 'firstToken' && call.facts[0] === id);
    const last = run.sink.calls.find((call) => call.what === 'ended' && call.facts[0] === id && call.facts[1] === 'finished');
    for (const [what, call] of [
      ['ttft', first],
      ['e2e', last],
    ] as const) {
      const attempt = parts?.[what] ?? null;
      if ((attempt === null) !== (call === undefined)) return `${id} ${what}: ${attempt === null ? 'no' : 'a'} partition`;
      if (attempt === null || call === undefined) continue;
      count.turns++;
      const sum = componentsOf(attempt, [], promptTokens).reduce((a, b) => a + b, 0);
      const expected = call.tMs - input.tMs;
      if (!(Math.abs(sum - expected) <= 1e-9 * Math.max(expected, call.tMs))) return `${id} ${what}: sum ${sum}, expected ${expected}`;
    }
  }
  return null;
}

describe('components of every request sum to its time, and both engines tell the same', () => {
  const flavours: readonly (readonly [string, CaseFlavour])[] = [
    ['synchronous', { asyncDepth2: false, lifecycle: false }],
    ['asynchronous', { asyncDepth2: true, lifecycle: false }],
    ['crashes, drains, slow workers', {}],
    ['times that tie', { dyadic: true }],
  ];
  it.each(flavours)('%s', (_name, flavour) => {
    const count = { turns: 0 };
    const seen = new Float64Array(COMPONENTS.length);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const workload = randomCase(seed, flavour);
      publishSharedLeaves(workload);
      const stepped = observed(createReferenceWorker, workload);
      const jumped = observed(createJumpWorker, workload);
      expect(firstInexact(stepped, workload, count), `seed ${seed}, stepped`).toBeNull();
      expect(firstInexact(jumped, workload, count), `seed ${seed}, jumping`).toBeNull();
      const expected = vectors(stepped, workload);
      const got = vectors(jumped, workload);
      expect([...got.keys()]).toEqual([...expected.keys()]);
      for (const [key, values] of expected) {
        values.forEach((ms, k) => {
          seen[k]! += Math.abs(ms);
          const other = got.get(key)![k]!;
          if (Math.abs(ms - other) > 1e-6) expect.fail(`seed ${seed} request ${key} ${COMPONENTS[k]}: stepped ${ms}, jumping ${other}`);
          if (ms < -1e-6) expect.fail(`seed ${seed} request ${key} ${COMPONENTS[k]}: ${ms}`);
        });
      }
    }
    expect(count.turns).toBeGreaterThan(4 * SEEDS);
    // A worker alone knows neither gateway nor causes.
    const never = COMPONENTS.filter((name, k) => seen[k]! < 1e-3 && !/^(retry|ingress|gatewayQueue|prefill\.)/.test(name));
    expect(never).toEqual([]);
    for (const name of ['prefill.compulsory', 'prefill.preempted'] as const) expect(seen[componentIndex(name)]).toBeGreaterThan(1);
  });
});
