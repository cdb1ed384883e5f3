import { describe, expect, it } from 'vitest';
import { createJumpWorker } from '../engine/jump/create-jump-worker.ts';
import { randomCase } from '../engine/worker.property.ts';
import { AffineTimer, play } from '../engine/worker-fixtures.ts';
import type { TraceEvent } from './trace-event.ts';
import { TurnPartition } from './turn-partition.ts';
import { TurnTimeline } from './turn-timeline.ts';

/** The timeline of a random worker and of who came there. */
function drawn(seed: number): { timeline: TurnTimeline; partition: TurnPartition } {
  const workload = randomCase(seed, { lifecycle: false });
  const timeline = new TurnTimeline();
  const partition = new TurnPartition([{ timer: new AffineTimer(workload.timer), requestMs: 0 }], timeline);
  const { config, branches, links, inputs } = workload;
  for (const input of inputs) if (input.kind === 'submit') partition.arrived(input.request.id, `s${input.request.id}/root/0`, 0, input.tMs);
  play((parts) => createJumpWorker({ ...parts, sink: partition.sink(0, parts.sink), observer: partition }), {
    ...{ config, branches, links, inputs, timer: new AffineTimer(workload.timer) },
  });
  return { timeline, partition };
}

describe('timeline', () => {
  it('every b has its e, no duration is negative, events are sorted, the queue is empty at the end', () => {
    const phases = new Set<string>();
    for (let seed = 1; seed <= 40; seed++) {
      const { events } = drawn(seed).timeline.events();
      const open = new Map<string, number>();
      let waiting = 0;
      let last: TraceEvent | undefined;
      for (const event of events) {
        phases.add(event.ph);
        expect(Number.isFinite(event.ts)).toBe(true);
        if (event.dur !== undefined) expect(event.dur).toBeGreaterThan(0);
        if (event.ph === 'b' || event.ph === 'e') {
          const key = `${event.pid} ${event.cat} ${event.id} ${event.name}`;
          open.set(key, (open.get(key) ?? 0) + (event.ph === 'b' ? 1 : -1));
        }
        if (event.name === 'waiting') waiting = Number(event.args!['waiting']);
        if (event.ph !== 'M' && last !== undefined) expect(event.ts).toBeGreaterThanOrEqual(last.ts);
        if (event.ph !== 'M') last = event;
      }
      expect([...open.values()].every((n) => n === 0)).toBe(true);
      expect(waiting).toBe(0);
    }
    expect([...phases].sort()).toEqual(['C', 'M', 'X', 'b', 'e', 'i']);
  });

  it('the slices of a finished turn follow one another without a gap from arrival to its end', () => {
    let turns = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const { timeline, partition } = drawn(seed);
      const slices = new Map<string, TraceEvent[]>();
      for (const event of timeline.events().events) {
        if (event.cat !== 'turn') continue;
        const turn = String(event.args!['turn']);
        slices.set(turn, [...(slices.get(turn) ?? []), event]);
      }
      for (const [turn, { arrivalMs, e2e }] of partition.turns) {
        if (e2e === null) continue;
        turns++;
        let atUs = 1000 * arrivalMs;
        for (const { ts, dur } of slices.get(turn)!) {
          expect(Math.abs(ts - atUs)).toBeLessThan(1e-3);
          atUs = ts + dur!;
        }
        expect(Math.abs(atUs - 1000 * e2e.untilMs)).toBeLessThan(1e-3);
      }
    }
    expect(turns).toBeGreaterThan(100);
  });

  it('arrows go from the dispatch to the first chunk; a long run is sampled by session', () => {
    const timeline = new TurnTimeline();
    for (let s = 0; s < 10; s++) {
      const way = { turn: `s${s}/root/0`, worker: 3 };
      timeline.add({ ...way, component: 'ingress', fromMs: s, toMs: s + 5 });
      timeline.add({ ...way, component: 'prefill', fromMs: s + 5, toMs: s + 25, chunk: { lane: 1, tokens: 8, from: 0 } });
      timeline.add({ ...way, component: 'decode', fromMs: s + 25, toMs: s + 25 });
    }
    const { events, sampled } = timeline.events(10);
    expect(sampled).toBe(2);
    const arrows = events.filter((event) => event.id === 's2/root/0' && 'sf'.includes(event.ph));
    expect(arrows.map(({ ph, ts, pid, tid }) => [ph, ts, pid, tid])).toEqual([
      ['s', 2000, 0, 3],
      ['f', 7000, 4, 2],
    ]);
    expect(new Set(events.filter((event) => event.pid >= 1000).map((event) => event.pid))).toEqual(new Set([1000, 1002, 1004, 1006, 1008]));
    expect(JSON.parse(timeline.json().text)).toMatchObject({ displayTimeUnit: 'ms' });
  });
});
