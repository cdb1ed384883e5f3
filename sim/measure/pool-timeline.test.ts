import { describe, expect, it } from 'vitest';
import { emptyLoadView } from '../engine/empty-load-view.ts';
import { createJumpWorker } from '../engine/jump/create-jump-worker.ts';
import { createReferenceWorker } from '../engine/reference/reference-worker.ts';
import { REMOVAL } from '../engine/removal.ts';
import { randomCase } from '../engine/worker.property.ts';
import type { Worker, WorkerParts } from '../engine/worker.ts';
import { AffineTimer, play } from '../engine/worker-fixtures.ts';
import { PoolTimeline } from './pool-timeline.ts';
import { TurnPartition } from './turn-partition.ts';
import { TurnTimeline } from './turn-timeline.ts';

/** Instants of a random worker, and the removals that its own sink wrote down. */
function instants(seed: number, createWorker: (parts: WorkerParts) => Worker) {
  const { config, branches, links, inputs, timer } = randomCase(seed, { lifecycle: false });
  const timeline = new TurnTimeline();
  const partition = new TurnPartition([{ timer: new AffineTimer(timer), requestMs: 0 }], timeline);
  for (const input of inputs) if (input.kind === 'submit') partition.arrived(input.request.id, `s${input.request.id}/root/0`, 0, input.tMs);
  const { sink } = play((parts) => createWorker({ ...parts, sink: partition.sink(0, parts.sink), observer: partition }), {
    ...{ config, branches, links, inputs, timer: new AffineTimer(timer) },
  });
  const drawn = timeline.events().events.filter((event) => event.ph === 'i');
  const blocks = [...sink.removals.values()].reduce((sum, block) => sum + block.timesMs.length, 0);
  const counts = drawn
    .map(({ ts, name, args }) => `${Math.round(ts)} ${name} ${args!['tier']} ${args!['reason']} ${args!['blocks']}`)
    .sort();
  return { drawn, blocks, counts };
}

describe('the memory in the timeline', () => {
  it('has every removal once, in both engines at the same moments', () => {
    const names = new Set<string>();
    for (let seed = 1; seed <= 40; seed++) {
      const jumping = instants(seed, createJumpWorker);
      const stepped = instants(seed, createReferenceWorker);
      expect(jumping.counts, `seed ${seed}`).toEqual(stepped.counts);
      expect(jumping.drawn.reduce((sum, event) => sum + Number(event.args!['blocks']), 0)).toBe(jumping.blocks);
      for (const { name } of jumping.drawn) names.add(name);
    }
    expect([...names]).toEqual(expect.arrayContaining(['evicted', 'expired']));
  });

  it('long runs are thinned: no block is lost, looks stay those of every worker', () => {
    const timeline = new PoolTimeline();
    for (let k = 0; k < 50_000; k++) timeline.removed(k % 2, 0, 3, 10 * k, k % 3 === 0 ? REMOVAL.deadline : REMOVAL.capacity);
    for (let k = 0; k < 50_000; k++) timeline.looked(k % 5, 1000 * Math.floor(k / 5), { ...emptyLoadView(), kvCachedBlocks: k });
    const events = timeline.events();
    const removals = events.filter((event) => event.ph === 'i');
    expect(removals.length).toBeLessThanOrEqual(20_000);
    expect(removals.reduce((sum, event) => sum + Number(event.args!['blocks']), 0)).toBe(150_000);
    const totals = events.filter((event) => event.name === 'removed blocks' && event.pid === 1).at(-1)!.args!;
    expect(Number(totals['evicted']) + Number(totals['expired'])).toBe(75_000);
    const looks = events.filter((event) => event.name === 'HBM blocks');
    expect(looks.length).toBeLessThanOrEqual(20_000);
    const perWorker = [1, 2, 3, 4, 5].map((pid) => looks.filter((event) => event.pid === pid).length);
    expect(Math.max(...perWorker) - Math.min(...perWorker)).toBeLessThanOrEqual(1);
  });
});
