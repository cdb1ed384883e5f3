import fc from 'fast-check';
import { expect, it } from 'vitest';
import { IntervalMap } from './interval-map.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 150);

/** Pieces of a plain map from id to value, clipped to first..last. */
function pieces(model: ReadonlyMap<number, number>, first: number, last: number): [number, number, number][] {
  const list: [number, number, number][] = [];
  for (let id = first; id <= last; id++) {
    const value = model.get(id);
    if (value === undefined) continue;
    const top = list[list.length - 1];
    if (top !== undefined && top[1] === id - 1 && top[2] === value) top[1] = id;
    else list.push([id, id, value]);
  }
  return list;
}

/** Found pieces with equal neighbours united: the map may split them at chunk borders. */
function found(map: IntervalMap, first: number, last: number): [number, number, number][] {
  const n = map.overlaps(first, last);
  const list: [number, number, number][] = [];
  for (let i = 0; i < n; i++) {
    const top = list[list.length - 1];
    if (top !== undefined && top[1] === map.foundFirst[i]! - 1 && top[2] === map.foundValue[i]) top[1] = map.foundLast[i]!;
    else list.push([map.foundFirst[i]!, map.foundLast[i]!, map.foundValue[i]!]);
  }
  return list;
}

const command = fc.record({ first: fc.nat(4000), length: fc.oneof(fc.constant(1), fc.nat(5), fc.nat(300)), value: fc.nat(4) });

it('an interval map answers as a plain map of ids would', () => {
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 60 }), (commands) => {
      const map = new IntervalMap();
      const model = new Map<number, number>();
      for (const { first, length, value } of commands) {
        map.assign(first, first + length, value);
        for (let id = first; id <= first + length; id++) model.set(id, value);
        expect(found(map, Math.max(0, first - 10), first + length + 10)).toEqual(
          pieces(model, Math.max(0, first - 10), first + length + 10),
        );
      }
      expect(found(map, 0, 5000)).toEqual(pieces(model, 0, 5000));
    }),
    { numRuns: runs },
  );
});

it('an interval map of thousands of pieces, over many chunks, answers as a plain map would', () => {
  const map = new IntervalMap();
  const model = new Map<number, number>();
  // A fixed linear congruential walk: single ids first, then wide overwrites across chunk borders.
  let x = 1;
  const next = (n: number): number => {
    x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
    return x % n;
  };
  for (let i = 0; i < 3000; i++) {
    const id = next(20_000);
    map.assign(id, id, i % 7);
    model.set(id, i % 7);
  }
  for (let i = 0; i < 60; i++) {
    const first = next(20_000);
    const last = first + next(2500);
    map.assign(first, last, i % 5);
    for (let id = first; id <= last; id++) model.set(id, i % 5);
    const from = next(20_000);
    expect(found(map, from, from + 3000)).toEqual(pieces(model, from, from + 3000));
  }
  expect(found(map, 0, 30_000)).toEqual(pieces(model, 0, 30_000));
});
